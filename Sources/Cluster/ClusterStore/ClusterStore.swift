// The revisioned store behind an API server: every write is a new row of one append-only table.
//
// May touch: one SQLite file. Caller: APIServer only; all else goes through the API.
//
// Format. `revision(id, key, previous, created, deleted, value)`: `id` is the revision and grows by one with each write;
// `value` is the object as JSON with that revision as its `metadata.resourceVersion`, so lists and watches send the bytes
// as they lie. `previous` and `created` are earlier ids of the same key (0 for none).
//
// Invariants. The newest row of a key is its state; `deleted` rows are tombstones that hold the last state. Rows up to
// `compacted` that a later row up to `compacted` supersedes, and tombstones, are gone; the newest row of all stays, so
// that no revision is given twice. Watchers hear of a row after its commit, in the order of ids, and never twice.
//
// Group commit. A writer appends to `pending`; the first becomes the leader and commits all that wait in one
// transaction, then wakes them; if more came meanwhile, one of those is woken to lead the next batch.
package import Database
package import Essentials
internal import Synchronization

package final class ClusterStore: Sendable {
    /// Events a watcher may be behind before its watch ends with `compacted`.
    package static let watcherLimitEvents = 1024
    /// Rows a watch may have to catch up with.
    static let backlogLimitRows = 10_000
    /// Objects kept parsed.
    static let cacheLimitObjects = 512
    /// Writes in one transaction.
    static let batchLimitWrites = 256
    /// Writes that may wait; more are refused as `overloaded`.
    static let pendingLimitWrites = 10_000

    let database: Database
    let state: Mutex<State>

    struct State {
        var revision: Int64
        var compacted: Int64
        var pending: [PendingWrite] = []
        var isCommitting = false
        var cache: [String: StoredObject] = [:]
        var watchers: [Int: Watcher] = [:]
        var nextWatcher = 0
    }

    package init(path: String, durability: Durability = .powerLoss, cacheKiB: Int = 1024) throws(StoreProblem) {
        do throws(DatabaseProblem) {
            database = try Database(path: path, migrations: Self.migrations, durability: durability, cacheKiB: cacheKiB)
        } catch {
            throw .database(error)
        }
        let found: (Int64, Int64)
        do {
            found = try database.read { connection in
                (
                    try connection.first("SELECT MAX(id) FROM revision")?.integer(0) ?? 0,
                    try connection.first("SELECT value FROM setting WHERE name = 'compacted'")?.integer(0) ?? 0
                )
            }
        } catch {
            throw StoreProblem(error)
        }
        state = Mutex(State(revision: found.0, compacted: found.1))
    }

    private static let migrations = [
        Migration(
            """
            CREATE TABLE revision(
                id INTEGER PRIMARY KEY, key TEXT NOT NULL, previous INTEGER NOT NULL, created INTEGER NOT NULL,
                deleted INTEGER NOT NULL, value BLOB NOT NULL);
            CREATE UNIQUE INDEX revision_key ON revision(key, id);
            CREATE TABLE setting(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
            """)
    ]

    /// The newest revision that watchers have heard of.
    package var revision: Int64 { state.withLock { $0.revision } }

    /// Copies the store to a new file while it is in use.
    package func backup(to path: String) throws(StoreProblem) {
        do throws(DatabaseProblem) { try database.backup(to: path) } catch { throw .database(error) }
    }

    /// Proves that the file can still be written.
    package func check() throws(StoreProblem) {
        do {
            try database.write { try $0.execute("INSERT OR REPLACE INTO setting VALUES ('checked', 1)") }
        } catch {
            throw StoreProblem(error)
        }
    }
}

/// An object at one revision. The document is parsed when someone asks for it first, and kept.
package final class StoredObject: Sendable {
    package let key: String
    package let revision: Int64
    package let created: Int64
    package let bytes: [UInt8]
    private let parsed: Mutex<JSON?>

    init(key: String, revision: Int64, created: Int64, bytes: [UInt8], document: JSON? = nil) {
        self.key = key
        self.revision = revision
        self.created = created
        self.bytes = bytes
        parsed = Mutex(document)
    }

    package var document: JSON {
        parsed.withLock { value in
            if let value { return value }
            // The store wrote these bytes itself; a damaged file shows as an empty object, not as a crash.
            let document = (try? JSON(parsing: bytes)) ?? .emptyObject
            value = document
            return document
        }
    }
}

package enum StoreProblem: Problem, Equatable {
    case exists(key: String)
    case missing(key: String)
    /// Someone else wrote first.
    case changed(key: String)
    /// The revision asked for is no longer known; list again.
    case compacted(oldest: Int64)
    /// The revision asked for is not reached yet.
    case future(current: Int64)
    case overloaded
    case tooLarge(limitBytes: Int)
    case database(DatabaseProblem)

    init(_ error: any Error) {
        self = (error as? StoreProblem) ?? .database((error as? DatabaseProblem) ?? .failed(code: 0, detail: String(describing: error)))
    }

    package var reason: String {
        switch self {
        case .exists: "StoreExists"
        case .missing: "StoreMissing"
        case .changed: "StoreChanged"
        case .compacted: "StoreCompacted"
        case .future: "StoreFuture"
        case .overloaded: "StoreOverloaded"
        case .tooLarge: "StoreTooLarge"
        case .database(let problem): problem.reason
        }
    }

    package var message: String {
        switch self {
        case .exists(let key): "\(key) exists already."
        case .missing(let key): "\(key) does not exist."
        case .changed(let key): "\(key) was changed meanwhile. Read it again."
        case .compacted(let oldest): "The history before revision \(oldest) is gone. List again."
        case .future(let current): "The store is at revision \(current) only."
        case .overloaded: "Too many writes wait. Try again."
        case .tooLarge(let limit): "The object is larger than \(limit) bytes."
        case .database(let problem): problem.message
        }
    }

    /// Whether the disk has no room left.
    package var isFull: Bool { if case .database(.full) = self { true } else { false } }

    package var cause: String? { if case .database(let problem) = self { problem.cause } else { nil } }
}
