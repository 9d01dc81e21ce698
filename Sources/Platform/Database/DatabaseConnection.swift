// One SQLite connection with its prepared statements. The only file that calls SQLite.
internal import CSQLite

/// A connection as a `read` or `write` closure sees it. It must not leave the closure.
package final class DatabaseConnection: @unchecked Sendable {
    // Guard: `Database` lends a connection only while it holds that connection's lock.
    private let handle: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]
    private let path: String

    /// Statements kept prepared; when there are more, all are dropped and prepared anew on use.
    private static let statementLimit = 128

    init(path: String, isWriter: Bool, durability: Durability, cacheKiB: Int) throws(DatabaseProblem) {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let detail = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "SQLite \(code)"
            sqlite3_close_v2(opened)
            throw .unusable(path: path, detail: detail)
        }
        handle = opened
        self.path = path
        sqlite3_busy_timeout(handle, Database.busyLimitMilliseconds)
        sqlite3_extended_result_codes(handle, 1)
        do {
            try execute("PRAGMA journal_mode=WAL")
            try execute("PRAGMA synchronous=\(durability == .powerLoss ? "FULL" : "NORMAL")")
            try execute("PRAGMA cache_size=-\(cacheKiB)")
            try execute("PRAGMA foreign_keys=ON")
            if !isWriter { try execute("PRAGMA query_only=ON") }
        } catch {
            throw .unusable(path: path, detail: error.cause ?? error.message)
        }
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(handle)
    }

    /// The rows that the last statement inserted, changed or deleted.
    package var changes: Int { Int(sqlite3_changes64(handle)) }

    /// The rowid of the last inserted row.
    package var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }

    /// Runs one statement and ignores its rows.
    package func execute(_ sql: String, _ arguments: DatabaseValue...) throws(DatabaseProblem) {
        try each(sql, arguments) { (_) throws(DatabaseProblem) in false }
    }

    /// All rows of one statement.
    package func query(_ sql: String, _ arguments: DatabaseValue...) throws(DatabaseProblem) -> [DatabaseRow] {
        var rows: [DatabaseRow] = []
        try each(sql, arguments) { (row) throws(DatabaseProblem) in
            rows.append(row)
            return true
        }
        return rows
    }

    /// The first row of one statement.
    package func first(_ sql: String, _ arguments: DatabaseValue...) throws(DatabaseProblem) -> DatabaseRow? {
        var found: DatabaseRow?
        try each(sql, arguments) { (row) throws(DatabaseProblem) in
            found = row
            return false
        }
        return found
    }

    /// Hands over row after row until `body` returns false.
    package func each(
        _ sql: String, _ arguments: [DatabaseValue], _ body: (DatabaseRow) throws(DatabaseProblem) -> Bool
    ) throws(DatabaseProblem) {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, argument) in arguments.enumerated() { try bind(argument, at: Int32(index + 1), of: statement) }
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: if try !body(row(of: statement)) { return }
            case SQLITE_DONE: return
            default: throw problem()
            }
        }
    }

    /// Runs several statements that take no arguments, such as a schema.
    package func run(script: String) throws(DatabaseProblem) {
        if sqlite3_exec(handle, script, nil, nil, nil) != SQLITE_OK { throw problem() }
    }

    func transaction<Value>(_ begin: String, _ body: (DatabaseConnection) throws -> Value) throws -> Value {
        try execute(begin)
        do {
            let value = try body(self)
            try execute("COMMIT")
            return value
        } catch {
            // A failed COMMIT may have ended the transaction already.
            if sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
            throw error
        }
    }

    func migrate(_ migrations: [Migration]) throws(DatabaseProblem) {
        let found = try first("PRAGMA user_version")?.int(0) ?? 0
        guard found <= migrations.count || migrations.isEmpty else {
            throw .newerVersion(path: path, found: found, known: migrations.count)
        }
        for (index, migration) in migrations.enumerated().dropFirst(found) {
            try execute("BEGIN IMMEDIATE")
            do {
                try run(script: migration.sql)
                try execute("PRAGMA user_version=\(index + 1)")
                try execute("COMMIT")
            } catch {
                if sqlite3_get_autocommit(handle) == 0 { try? execute("ROLLBACK") }
                throw error
            }
        }
    }

    func copy(to path: String) throws(DatabaseProblem) {
        var target: OpaquePointer?
        guard sqlite3_open_v2(path, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil) == SQLITE_OK, let target else {
            let detail = target.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
            sqlite3_close_v2(target)
            throw .unusable(path: path, detail: detail)
        }
        defer { sqlite3_close_v2(target) }
        guard let backup = sqlite3_backup_init(target, "main", handle, "main") else {
            throw .unusable(path: path, detail: String(cString: sqlite3_errmsg(target)))
        }
        let code = sqlite3_backup_step(backup, -1)
        sqlite3_backup_finish(backup)
        guard code == SQLITE_DONE else { throw code == SQLITE_FULL ? .full : .failed(code: Int(code), detail: "backup") }
    }

    private func prepared(_ sql: String) throws(DatabaseProblem) -> OpaquePointer {
        if let statement = statements[sql] { return statement }
        if statements.count >= Self.statementLimit {
            for statement in statements.values where sqlite3_stmt_busy(statement) == 0 { sqlite3_finalize(statement) }
            statements = statements.filter { sqlite3_stmt_busy($0.value) != 0 }
        }
        var statement: OpaquePointer?
        guard sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK, let statement else {
            throw problem()
        }
        statements[sql] = statement
        return statement
    }

    // SQLite copies the bytes before the call returns (SQLITE_TRANSIENT).
    private func bind(_ value: DatabaseValue, at index: Int32, of statement: OpaquePointer) throws(DatabaseProblem) {
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code: Int32
        switch value {
        case .null: code = sqlite3_bind_null(statement, index)
        case .integer(let value): code = sqlite3_bind_int64(statement, index, value)
        case .real(let value): code = sqlite3_bind_double(statement, index, value)
        case .text(let value): code = sqlite3_bind_text(statement, index, value, Int32(value.utf8.count), transient)
        case .blob(let value):
            code =
                value.isEmpty
                ? sqlite3_bind_zeroblob(statement, index, 0)
                : value.withUnsafeBytes { sqlite3_bind_blob64(statement, index, $0.baseAddress, UInt64($0.count), transient) }
        }
        if code != SQLITE_OK { throw problem() }
    }

    private func row(of statement: OpaquePointer) -> DatabaseRow {
        DatabaseRow(
            values: (0..<sqlite3_column_count(statement)).map { column in
                switch sqlite3_column_type(statement, column) {
                case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
                case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, column))
                case SQLITE_TEXT:
                    guard let text = sqlite3_column_text(statement, column) else { return .text("") }
                    let count = Int(sqlite3_column_bytes(statement, column))
                    return .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
                case SQLITE_BLOB:
                    let count = Int(sqlite3_column_bytes(statement, column))
                    guard count > 0, let bytes = sqlite3_column_blob(statement, column) else { return .blob([]) }
                    return .blob(Array(UnsafeRawBufferPointer(start: bytes, count: count)))
                default: return .null
                }
            })
    }

    private func problem() -> DatabaseProblem {
        let code = sqlite3_extended_errcode(handle)
        let detail = String(cString: sqlite3_errmsg(handle))
        switch code & 0xFF {
        case SQLITE_FULL: return .full
        case SQLITE_BUSY, SQLITE_LOCKED: return .busy
        case SQLITE_CONSTRAINT: return .constraint(detail: detail)
        case SQLITE_NOTADB, SQLITE_CORRUPT, SQLITE_CANTOPEN: return .unusable(path: path, detail: detail)
        default: return .failed(code: Int(code), detail: detail)
        }
    }
}
