// The revisioned store behind an API server: every write is a new row of one append-only table.
//
// May touch: one SQLite file, or a connection to the process that holds it. Caller: APIServer only; all else goes
// through the API.
//
// Two places. In a file of its own (the host) the store reads and writes the table of revisions; `RevisionTable` tells its
// format. With `remote` (a lab) another process, `etcd`, holds the table; here all newest rows lie in memory, so reading
// needs no round trip, writes go there, and what comes back in the order of revisions is what readers and watchers see.
// `RemoteLink` explains that.
//
// Invariants. Watchers hear of a row after its commit, in the order of ids, and never twice.
//
// Group commit. A writer appends to `pending`; the first becomes the leader and commits all that wait in one
// transaction, then wakes them; if more came meanwhile, one of those is woken to lead the next batch.
package import Database
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

    enum Place: Sendable {
        case file(RevisionTable)
        case remote(RemoteLink)
    }

    let place: Place
    let state: Mutex<State>

    struct State {
        var revision: Int64
        var compacted: Int64
        var pending: [PendingWrite] = []
        var isCommitting = false
        var cache: [String: StoredObject] = [:]
        var watchers: [Int: Watcher] = [:]
        var nextWatcher = 0
        /// All newest rows, where the store is in another process. `nil` until they are here.
        var image: StoreImage?
        /// When the connection to that process was lost, in monotonic seconds.
        var lostSince: Double?
        var readyWaiters: [CheckedContinuation<Void, Never>] = []
    }

    /// The store in a file of its own.
    package init(path: String, durability: Durability = .powerLoss, cacheKiB: Int = 1024) throws(StoreProblem) {
        let table = try RevisionTable(path: path, durability: durability, cacheKiB: cacheKiB)
        let bounds = try table.bounds()
        place = .file(table)
        state = Mutex(State(revision: bounds.newest, compacted: bounds.compacted))
    }

    /// The store that another process holds. Nothing is read or written before `run()` runs.
    package init(remote configuration: RemoteStoreConfiguration) {
        place = .remote(RemoteLink(configuration))
        state = Mutex(State(revision: 0, compacted: 0, lostSince: 0))
    }

    var database: Database {
        guard case .file(let table) = place else { preconditionFailure("a store in another process has no file here") }
        return table.database
    }

    /// The newest revision that watchers have heard of.
    package var revision: Int64 { state.withLock { $0.revision } }

    /// Copies the store to a new file while it is in use. Only where the file is.
    package func backup(to path: String) throws(StoreProblem) {
        guard case .file(let table) = place else { throw .refused(detail: "the file is another process's to copy") }
        do throws(DatabaseProblem) { try table.database.backup(to: path) } catch { throw .database(error) }
    }

    /// Proves that the file can still be written, or that the process that holds it answers.
    package func check() throws(StoreProblem) {
        guard case .file(let table) = place else {
            guard state.withLock({ $0.image != nil && $0.lostSince == nil }) else { throw .unreachable }
            return
        }
        do {
            try table.database.write { try $0.execute("INSERT OR REPLACE INTO setting VALUES ('checked', 1)") }
        } catch {
            throw StoreProblem(error)
        }
    }
}
