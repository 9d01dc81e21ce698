// SQLite through the wrapper: values, transactions, migrations, backup, damage.
import Database
import Essentials
import Glibc
import Testing

/// A folder that goes with its owner.
final class TemporaryFolder {
    let path: String
    init() throws {
        var template = Array("/tmp/lectern-database-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw DatabaseProblem.full }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    deinit {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { unlink(path + "/" + name) }
            }
            closedir(folder)
        }
        rmdir(path)
    }
}

@Suite struct DatabaseTests {
    static let schema = [Migration("CREATE TABLE thing(id INTEGER PRIMARY KEY, value)"), Migration("CREATE TABLE other(name TEXT UNIQUE)")]

    @Test func everyClassOfValueComesBackAsItWas() throws {
        let database = try Database(path: ":memory:", migrations: Self.schema)
        let values: [DatabaseValue] = [.null, 42, .integer(.min), 1.5, "text ✓ \u{0} nul", .blob([0, 255, 7]), .blob([]), ""]
        try database.write { connection in for value in values { try connection.execute("INSERT INTO thing(value) VALUES (?)", value) } }
        let read = try database.read { try $0.query("SELECT value FROM thing ORDER BY id").map { $0[0] } }
        #expect(read == values)
    }

    @Test func aFailedWriteLeavesNothing() throws {
        let folder = try TemporaryFolder()
        let database = try Database(path: folder.path + "/a.db", migrations: Self.schema)
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try database.write { connection in
                try connection.execute("INSERT INTO thing(value) VALUES (1)")
                throw Stop()
            }
        }
        #expect(try database.read { try $0.first("SELECT COUNT(*) FROM thing")?.int(0) } == 0)
    }

    @Test func constraintsAreToldApart() throws {
        let database = try Database(path: ":memory:", migrations: Self.schema)
        try database.write { try $0.execute("INSERT INTO other VALUES ('a')") }
        do {
            try database.write { try $0.execute("INSERT INTO other VALUES ('a')") }
            Issue.record("the name is taken")
        } catch let problem as DatabaseProblem {
            #expect(problem.reason == "DatabaseConstraint")
            #expect(!problem.message.contains("'a'"))
        }
    }

    @Test func migrationsRunOnceAndNewerFilesAreRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.db"
        do {
            let database = try Database(path: path, migrations: [Self.schema[0]])
            try database.write { try $0.execute("INSERT INTO thing(value) VALUES (7)") }
        }
        do {
            let database = try Database(path: path, migrations: Self.schema)
            #expect(try database.read { try $0.first("SELECT value FROM thing")?.int(0) } == 7)
            try database.write { try $0.execute("INSERT INTO other VALUES ('b')") }
        }
        #expect(throws: DatabaseProblem.newerVersion(path: path, found: 2, known: 1)) {
            try Database(path: path, migrations: [Self.schema[0]])
        }
    }

    @Test func aBrokenMigrationLeavesTheVersionBefore() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.db"
        #expect(throws: DatabaseProblem.self) {
            try Database(path: path, migrations: [Self.schema[0], Migration("CREATE TABLE x(a); NONSENSE")])
        }
        let database = try Database(path: path, migrations: Self.schema)
        #expect(try database.read { try $0.first("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'x'")?.int(0) } == 0)
    }

    @Test func aBackupIsWholeWhileOthersWrite() throws {
        let folder = try TemporaryFolder()
        let database = try Database(path: folder.path + "/a.db", migrations: Self.schema)
        try database.write { connection in
            for index in Int64(0)..<100 { try connection.execute("INSERT INTO thing(value) VALUES (?)", .integer(index)) }
        }
        try database.backup(to: folder.path + "/b.db")
        try database.write { try $0.execute("DELETE FROM thing") }
        let copy = try Database(path: folder.path + "/b.db", migrations: Self.schema)
        #expect(try copy.read { try $0.first("SELECT COUNT(*) FROM thing")?.int(0) } == 100)
    }

    @Test func aFileThatIsNoDatabaseIsRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.db"
        let file = fopen(path, "w")
        fputs(String(repeating: "not a database ", count: 500), file)
        fclose(file)
        do {
            _ = try Database(path: path)
            Issue.record("that is no database")
        } catch {
            #expect(error.reason == "DatabaseUnusable")
        }
        #expect(throws: DatabaseProblem.self) { try Database(path: folder.path + "/nowhere/a.db") }
    }
}
