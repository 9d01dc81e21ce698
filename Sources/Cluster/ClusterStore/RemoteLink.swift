// The way to a store in another process: one connection, writes out, rows in.
//
// All newest rows lie in `State.image`. A write goes out as it is, without waiting for those before it; the other process
// commits what has gathered in one flush and answers in order. An answer makes the row visible to readers and watchers, then
// wakes the writer: who wrote sees its own write. Rows of other servers come in the same stream.
//
// When the connection ends, writes wait for the next one. There the rows that were missed come first; a write of ours that is
// among them was done, and any other was not (see `StoreProtocol`), so it is sent again. A write that has waited for
// `writeLimitSeconds` fails as `unreachable`. Reads go on from memory for a while: nobody else can have written, unless the
// process still runs and only we are cut off, and therefore only for `staleLimitSeconds`.
//
// Another server's write is visible here when its row has arrived, which is later than its answer there by the time of one
// message.
internal import Essentials
internal import Logging
internal import Synchronization
internal import Web

/// Where the process that holds the store is, and who we are.
package struct RemoteStoreConfiguration: Sendable {
    /// `https://host:port`; the first that answers is used.
    package var servers: [String]
    /// PEM files: who may have signed the server's certificate, and our own. They are read at each connection.
    package var authority: String?
    package var certificate: String?
    package var key: String?
    /// Objects kept parsed.
    package var documentLimit = 256
    package init(servers: [String], authority: String? = nil, certificate: String? = nil, key: String? = nil) {
        self.servers = servers
        self.authority = authority
        self.certificate = certificate
        self.key = key
    }
}

extension ClusterStore {
    /// The store that the process at one of `servers` holds. `run()` connects; `waitUntilReady()` waits for the first load.
    package static func remote(
        servers: [String], authority: String? = nil, certificate: String? = nil, key: String? = nil
    ) -> ClusterStore {
        ClusterStore(
            remote: RemoteStoreConfiguration(servers: servers, authority: authority, certificate: certificate, key: key))
    }
}

/// A write on its way.
struct RemoteWrite: Sendable {
    var id: UInt64 = 0
    let key: String
    let change: PendingWrite.Change
    let value: GappedValue
    let begun: Double
    /// It may have been done.
    var isSent = false
    /// `nil`: given up, though it may still be done.
    var waiter: CheckedContinuation<Result<StoredObject, StoreProblem>, Never>?

    var previous: StoredObject? {
        switch change {
        case .create: nil
        case .update(let previous, _), .delete(let previous, _): previous
        }
    }

    var wire: StoreWrite {
        let kind: RevisionChange =
            switch change {
            case .create: .create
            case .update: .update
            case .delete: .delete
            }
        return StoreWrite(id: id, change: kind, expected: previous?.revision ?? 0, key: key, value: value)
    }

    /// What the write has become at `revision`.
    func event(revision: Int64, ring: DocumentRing) -> StoreEvent {
        var document = change.document
        document["metadata", default: .emptyObject]["resourceVersion"] = JSON(String(revision))
        let kind: StoreEvent.Kind =
            switch change {
            case .create: .created
            case .update: .modified
            case .delete: .deleted
            }
        let object = StoredObject(
            key: key, revision: revision, created: previous?.created ?? revision, bytes: value.filled(revision), document: document,
            ring: ring)
        return StoreEvent(kind: kind, object: object, previous: previous)
    }

    /// Whether the row is this write, done.
    func isDone(as row: RevisionRow) -> Bool {
        guard row.key == key, row.previous == previous?.revision ?? 0 else { return false }
        if case .delete = change { guard row.isDeleted else { return false } } else { guard !row.isDeleted else { return false } }
        return value.filled(row.id) == row.value
    }
}

final class RemoteLink: Sendable {
    /// Seconds a write may take before it fails, as etcd's own clients wait.
    static let writeLimitSeconds = 7.0
    /// Seconds between two looks at writes that take long.
    static let watchSeconds = 2.0
    /// Seconds from connecting to the server's first words.
    static let greetLimitSeconds = 5.0
    /// Pauses after the first, second, … connection in a row that failed, in milliseconds.
    static let retryMilliseconds = [5, 20, 50, 100, 200, 500, 1_000]

    private struct Outbox {
        var writes: [RemoteWrite] = []
        /// Writes that are not answered yet.
        var open = 0
        var isWatched = false
    }

    let configuration: RemoteStoreConfiguration
    let ring: DocumentRing
    private let outbox = Mutex(Outbox())
    private let traffic: RemoteTraffic
    /// Stands for the revision while an object is written; nobody else knows it.
    private let mark = Array(Identifier.short(length: 20).utf8)
    private let watch: AsyncStream<Void>
    private let watchInput: AsyncStream<Void>.Continuation
    private let log = Logger(label: "etcd-client")

    init(_ configuration: RemoteStoreConfiguration) {
        self.configuration = configuration
        ring = DocumentRing(limit: configuration.documentLimit)
        traffic = RemoteTraffic(ring: ring)
        (watch, watchInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func submit(_ key: String, _ change: PendingWrite.Change) async throws(StoreProblem) -> StoredObject {
        let value = try gapped(change.document)
        let result = await withCheckedContinuation { waiter in
            let write = RemoteWrite(key: key, change: change, value: value, begun: monotonicSeconds(), waiter: waiter)
            let (isRoom, isFirst, isUnwatched) = outbox.withLock { outbox in
                outbox.open += 1
                guard outbox.open <= ClusterStore.pendingLimitWrites else { return (false, false, false) }
                outbox.writes.append(write)
                defer { outbox.isWatched = true }
                return (true, outbox.writes.count == 1, !outbox.isWatched)
            }
            if !isRoom { waiter.resume(returning: .failure(.overloaded)) }
            if isFirst { WebLoop.post { self.traffic.send(self.take()) } }
            if isUnwatched { watchInput.yield() }
        }
        outbox.withLock { $0.open -= 1 }
        return try result.get()
    }

    private func take() -> [RemoteWrite] {
        outbox.withLock { outbox in
            defer { outbox.writes = [] }
            return outbox.writes
        }
    }

    /// The document's bytes with a gap where the revision's digits go.
    private func gapped(_ document: JSON) throws(StoreProblem) -> GappedValue {
        var document = document
        document["metadata", default: .emptyObject]["resourceVersion"] = JSON(String(decoding: mark, as: UTF8.self))
        var bytes = document.bytes
        let gap = bytes.firstRange(of: mark)
        bytes.removeSubrange(gap)
        guard bytes.count + 20 <= ClusterStore.objectLimitBytes else { throw .tooLarge(limitBytes: ClusterStore.objectLimitBytes) }
        return GappedValue(bytes: bytes, gap: gap.lowerBound)
    }

    /// Keeps a connection until cancelled.
    func run(for store: ClusterStore) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.keepConnected(store) }
            group.addTask { await self.watchWrites() }
            try await group.next()
            group.cancelAll()
        }
    }

    private func keepConnected(_ store: ClusterStore) async throws {
        var failures = 0
        var number = 0
        while true {
            let server = configuration.servers[number % max(1, configuration.servers.count)]
            let outcome = await withTaskCancellationHandler {
                await traffic.connect(to: server, configuration, store: store)
            } onCancel: {
                WebLoop.post { self.traffic.hangUp("this process ends") }
            }
            try Task.checkCancellation()
            if outcome.wasCurrent {
                failures = 0
                log.warning("the connection to the store is lost", metadata: ["server": "\(server)", "cause": "\(outcome.cause)"])
            } else {
                number += 1
                if failures == 0 || failures == Self.retryMilliseconds.count {
                    log.warning("the store cannot be reached", metadata: ["server": "\(server)", "cause": "\(outcome.cause)"])
                }
            }
            try await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(failures, Self.retryMilliseconds.count - 1)]))
            failures += 1
        }
    }

    /// Looks at the time only while something is written.
    private func watchWrites() async {
        for await _ in watch {
            var isBusy = true
            while isBusy {
                do { try await Task.sleep(for: .seconds(Self.watchSeconds)) } catch { return }
                await traffic.expire(before: monotonicSeconds() - Self.writeLimitSeconds)
                isBusy = outbox.withLock { outbox in
                    outbox.isWatched = outbox.open > 0
                    return outbox.isWatched
                }
            }
        }
    }
}

extension [UInt8] {
    /// Where `part`, which is known to be there, begins first.
    fileprivate func firstRange(of part: [UInt8]) -> Range<Int> {
        let first = part[0]
        var index = 0
        while index + part.count <= count {
            if self[index] == first, self[index..<index + part.count].elementsEqual(part) { return index..<index + part.count }
            index += 1
        }
        preconditionFailure("the mark is always there")
    }
}
