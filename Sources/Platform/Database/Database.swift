// SQLite as the platform uses it: one file in WAL mode, one writer and one reader connection, migrations, online backup.
//
// May touch: the file it is given. Callers: Accounts, Labs and ClusterStore. Nothing here knows what is stored.
internal import Synchronization

/// What survives what. Every commit survives the death of the process.
package enum Durability: Sendable {
    /// Commits are flushed to the disk before they return: they survive a power cut.
    case powerLoss
    /// Commits survive a `kill -9`, but the last ones may be lost in a power cut. The file stays consistent.
    case processDeath
}

/// One step of the schema. Steps run once, in order, each in a transaction; `user_version` counts them.
package struct Migration: Sendable {
    package let sql: String
    package init(_ sql: String) { self.sql = sql }
}

/// An open SQLite file. Calls block for as long as SQLite works, which is microseconds for indexed access.
package final class Database: Sendable {
    /// How long a call waits for another process that holds the file, in milliseconds.
    package static let busyLimitMilliseconds: Int32 = 5_000

    private let writer: DatabaseConnection
    private let reader: DatabaseConnection?
    private let writerLock = Mutex<Void>(())
    private let readerLock = Mutex<Void>(())

    /// Opens or makes the file, then brings its schema up to date. `:memory:` gives a database that dies with the object.
    /// Without a separate reader, readers wait for writers, and some memory is saved.
    package init(
        path: String, migrations: [Migration] = [], durability: Durability = .powerLoss, cacheKiB: Int = 1024, separateReader: Bool = true
    ) throws(DatabaseProblem) {
        let isShared = path != ":memory:" && separateReader
        writer = try DatabaseConnection(path: path, isWriter: true, durability: durability, cacheKiB: cacheKiB)
        try writer.migrate(migrations)
        reader = isShared ? try DatabaseConnection(path: path, isWriter: false, durability: durability, cacheKiB: cacheKiB) : nil
    }

    /// Runs `body` in a read transaction: it sees one state of the data, and no half of a write.
    package func read<Value: Sendable>(_ body: (DatabaseConnection) throws -> Value) throws -> Value {
        guard let reader else { return try writerLock.withLock { _ in try body(writer) } }
        return try readerLock.withLock { _ in try reader.transaction("BEGIN", body) }
    }

    /// Runs `body` in a write transaction: all of it is stored, or, if it throws, nothing.
    package func write<Value: Sendable>(_ body: (DatabaseConnection) throws -> Value) throws -> Value {
        try writerLock.withLock { _ in try writer.transaction("BEGIN IMMEDIATE", body) }
    }

    /// Copies the whole database to a new file while others go on using it.
    package func backup(to path: String) throws(DatabaseProblem) {
        // The backup API restarts when another connection writes; through the writer itself it sees one state.
        let result: Result<Void, DatabaseProblem> = writerLock.withLock { _ in
            do throws(DatabaseProblem) { return .success(try writer.copy(to: path)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// Moves what the write-ahead log holds into the main file and truncates the log.
    package func checkpoint() throws {
        try writerLock.withLock { _ in try writer.execute("PRAGMA wal_checkpoint(TRUNCATE)") }
    }
}
