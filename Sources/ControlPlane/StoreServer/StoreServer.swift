// The store as a process of its own: one table of revisions behind sockets, as etcd stands behind API servers.
//
// May touch: its SQLite file and the addresses it is given. Caller: the program `etcd`. The other end of the wire is
// `ClusterStore` with a remote place; `StoreProtocol` explains what is said.
//
// Everything happens on the loop, commits too: while the disk is flushed, what API servers send gathers in their sockets
// and is the next batch. So one flush serves all that came during the last one, and no thread is ever waited for.
package import ClusterStore
internal import Database
internal import Essentials
internal import Logging
package import Web

/// An address to listen on, in numbers.
package struct StoreListen: Sendable, Equatable {
    package var host: String
    package var port: UInt16
    package var isSecure: Bool
    package init(host: String, port: UInt16, isSecure: Bool) {
        self.host = host
        self.port = port
        self.isSecure = isSecure
    }
}

package struct StoreServerConfiguration: Sendable {
    /// The SQLite file; its folder is there.
    package var file: String
    /// For API servers; health and metrics are answered here as well.
    package var clients: [StoreListen]
    /// For probes and metrics only.
    package var probes: [StoreListen] = []
    /// For the addresses that are secure.
    package var tls: StreamTLS?
    package init(file: String, clients: [StoreListen]) {
        self.file = file
        self.clients = clients
    }
}

@WebLoop
package final class StoreServer {
    /// Writes in one transaction, and about how many bytes of values.
    static let batchLimitWrites = 512
    static let batchLimitBytes = 4 << 20
    /// Connections at once.
    static let sessionLimit = 256
    /// Pages of the file kept in memory, in KiB.
    nonisolated static let cacheKiB = 512

    struct Queued {
        let session: StoreSession
        let write: StoreWrite
    }

    nonisolated let table: RevisionTable
    nonisolated let identity: String
    nonisolated let configuration: StoreServerConfiguration
    private(set) var newest: Int64
    private(set) var compacted: Int64
    private(set) var figures = StoreFigures()
    private var queue: [Queued] = []
    private var isCommitPlanned = false
    private var sessions: [ObjectIdentifier: StoreSession] = [:]
    private var listeners: [StreamListener] = []
    private let onDamage: @Sendable (StoreProblem) -> Void
    private let log = Logger(label: "etcd")

    /// Opens and checks the file. `onDamage` is called when the file turns out to be damaged while in use: nothing that is
    /// answered after it would be worth anything.
    nonisolated package init(
        _ configuration: StoreServerConfiguration, onDamage: @escaping @Sendable (StoreProblem) -> Void
    ) throws(StoreProblem) {
        self.configuration = configuration
        self.onDamage = onDamage
        table = try RevisionTable(path: configuration.file, cacheKiB: Self.cacheKiB, separateReader: false)
        try table.verify()
        identity = try table.identity()
        (newest, compacted) = try table.bounds()
    }

    /// Listens; returns the ports, clients' first.
    package func start() throws(WebProblem) -> [UInt16] {
        for (isProbe, listen) in configuration.clients.map({ (false, $0) }) + configuration.probes.map({ (true, $0) }) {
            let listener = try StreamListener(
                address: listen.host, port: listen.port, tls: listen.isSecure ? configuration.tls : nil
            ) { [weak self] in self?.admit(isProbe: isProbe) }
            listeners.append(listener)
        }
        log.info("ready to serve client requests", metadata: ["revision": "\(newest)", "file": "\(configuration.file)"])
        return listeners.map(\.port)
    }

    package func stop() {
        for listener in listeners { listener.close() }
        listeners = []
        for session in sessions.values { session.hangUp() }
        sessions = [:]
    }

    /// Forgets history that is older than five minutes, until cancelled.
    nonisolated package func run() async throws {
        var mark = await newest
        while true {
            try await Task.sleep(for: .seconds(ClusterStore.historySeconds))
            await compact(through: mark)
            mark = await newest
        }
    }

    private func admit(isProbe: Bool) -> StoreSession? {
        guard sessions.count < Self.sessionLimit else { return nil }
        let session = StoreSession(server: self, isProbe: isProbe)
        sessions[ObjectIdentifier(session)] = session
        return session
    }

    func forget(_ session: StoreSession) { sessions[ObjectIdentifier(session)] = nil }

    /// Ends other connections of the same client: what they sent and is not done yet will not be done.
    func endOthers(of client: UInt64, than session: StoreSession) {
        for other in sessions.values where other !== session && other.client == client { other.hangUp() }
    }

    /// A client that did not get as far as its first word: mostly a certificate of another authority, or none.
    func noteRefused(_ cause: String) { log.warning("rejected connection on client endpoint", metadata: ["cause": "\(cause)"]) }

    // MARK: Writing

    func enqueue(_ write: StoreWrite, from session: StoreSession) {
        queue.append(Queued(session: session, write: write))
        planCommit()
    }

    // Later in this turn of the loop: what else has arrived belongs to the same flush.
    private func planCommit() {
        guard !isCommitPlanned else { return }
        isCommitPlanned = true
        WebLoop.post { self.commit() }
    }

    private func takeBatch() -> [Queued] {
        var count = 0
        var bytes = 0
        while count < queue.count, count < Self.batchLimitWrites, bytes < Self.batchLimitBytes {
            bytes += queue[count].write.value.bytes.count
            count += 1
        }
        defer { queue.removeFirst(count) }
        return queue.prefix(count).filter { !$0.session.isOver }
    }

    private func commit() {
        isCommitPlanned = false
        let batch = takeBatch()
        if !queue.isEmpty { planCommit() }
        guard !batch.isEmpty else { return }
        var results: [Result<RevisionRow, StoreProblem>] = []
        let begun = monotonicSeconds()
        do {
            var last = newest
            results = try table.database.write { connection in
                try batch.map { (queued) throws(DatabaseProblem) in
                    let write = queued.write
                    let result = try RevisionTable.append(
                        write.change, write.key, expected: write.expected, newest: last, connection
                    ) { write.value.filled($0) }
                    if case .success(let row) = result { last = row.id }
                    return result
                }
            }
            if last > newest { figures.count(seconds: monotonicSeconds() - begun) }
            figures.rows += Int(last - newest)
            figures.isFull = last == newest && figures.isFull
            newest = last
        } catch {
            let problem = note(error)
            results = batch.map { _ in .failure(problem) }
        }
        tell(batch, results)
    }

    /// To each session in the order of the commit: its own answers, and the rows of others.
    private func tell(_ batch: [Queued], _ results: [Result<RevisionRow, StoreProblem>]) {
        for session in sessions.values where session.isCurrent {
            var bytes: [UInt8] = []
            for (queued, result) in zip(batch, results) {
                switch result {
                case .success(let row) where queued.session === session:
                    StoreFrame.done(id: queued.write.id, revision: row.id).encode(into: &bytes)
                case .success(let row): StoreFrame.row(row).encode(into: &bytes)
                case .failure(let problem) where queued.session === session:
                    StoreFrame.refused(id: queued.write.id, problem.refusal, detail: problem.cause ?? "").encode(into: &bytes)
                case .failure: break
                }
            }
            session.send(bytes)
        }
    }

    private func note(_ error: any Error) -> StoreProblem {
        guard let problem = error as? DatabaseProblem else { return .database(.failed(code: 0, detail: "\(error)")) }
        if case .full = problem, !figures.isFull {
            figures.isFull = true
            log.error("the disk is full: writes are refused until there is room")
        } else if problem != .full {
            log.error("the store could not be written", metadata: ["cause": "\(problem)"])
        }
        switch problem {
        case .unusable: onDamage(.database(problem))
        // After a failed flush nobody knows what the disk has.
        case .failed(let code, _) where code & 0xFF == Self.inputOutputError: onDamage(.database(problem))
        default: break
        }
        return .database(problem)
    }

    private static let inputOutputError = 10

    // MARK: Forgetting

    private func compact(through mark: Int64) async {
        let bound = min(mark, newest - 1)
        guard bound > compacted else { return }
        do {
            try table.markCompacted(bound)
            compacted = bound
            var step = RevisionTable.CompactionStep.superseded
            while let next = try table.compactStep(step, through: bound) {
                step = next
                // Writers come in between.
                await Task.yield()
            }
            log.info("finished scheduled compaction", metadata: ["compact-revision": "\(bound)"])
        } catch {
            _ = note(error)
        }
        var bytes: [UInt8] = []
        StoreFrame.compacted(revision: compacted).encode(into: &bytes)
        for session in sessions.values where session.isCurrent { session.send(bytes) }
    }

    /// For tests: what `run` does after five minutes.
    package func compactNow() async { await compact(through: newest) }
}

extension StoreProblem {
    var refusal: StoreProtocol.Refusal {
        switch self {
        case .exists: .exists
        case .missing: .missing
        case .changed: .changed
        case .tooLarge: .tooLarge
        default: isFull ? .full : .failed
        }
    }
}
