// Writing: optimistic, by revision, many writers to a commit.
internal import Database
package import Essentials
internal import Synchronization

struct PendingWrite: Sendable {
    enum Change: Sendable {
        case create(JSON)
        case update(StoredObject, JSON)
        case delete(StoredObject, JSON)
    }
    enum Wake: Sendable {
        case lead
        case done(Result<StoredObject, StoreProblem>)
    }
    let key: String
    let change: Change
    /// `nil` for the one who leads: it takes its result from the batch itself, and always stands first.
    var waiter: CheckedContinuation<Wake, Never>?
}

extension ClusterStore {
    /// A larger object is refused, as etcd does.
    package static let objectLimitBytes = 1_572_864

    /// Stores a new object; `exists` where the key has one.
    package func create(_ key: String, _ document: JSON) async throws(StoreProblem) -> StoredObject {
        try await submit(key, .create(document))
    }

    /// Replaces the object whose state was `previous`; `changed` or `missing` where that is no longer its state.
    package func update(_ previous: StoredObject, _ document: JSON) async throws(StoreProblem) -> StoredObject {
        try await submit(previous.key, .update(previous, document))
    }

    /// Removes the object whose state was `previous`; watchers get `document` as its last state.
    package func delete(_ previous: StoredObject, _ document: JSON) async throws(StoreProblem) -> StoredObject {
        try await submit(previous.key, .delete(previous, document))
    }

    private func submit(_ key: String, _ change: PendingWrite.Change) async throws(StoreProblem) -> StoredObject {
        var wake: PendingWrite.Wake = .lead
        let leads = state.withLock { $0.enqueue(PendingWrite(key: key, change: change, waiter: nil)) }
        if !leads {
            wake = await withCheckedContinuation { waiter in
                let answer: PendingWrite.Wake? = state.withLock { state in
                    if state.enqueue(PendingWrite(key: key, change: change, waiter: nil)) { return .lead }
                    guard state.pending.count < Self.pendingLimitWrites else { return .done(.failure(.overloaded)) }
                    state.pending.append(PendingWrite(key: key, change: change, waiter: waiter))
                    return nil
                }
                if let answer { waiter.resume(returning: answer) }
            }
        }
        switch wake {
        case .lead: return try commitBatch().get()
        case .done(let result): return try result.get()
        }
    }

    /// Commits what waits, the leader's own write first, tells watchers and waiters, and names the next leader.
    private func commitBatch() -> Result<StoredObject, StoreProblem> {
        let (batch, base) = state.withLock { (Array($0.pending.prefix(Self.batchLimitWrites)), $0.revision) }
        var applied: [(event: StoreEvent?, result: Result<StoredObject, StoreProblem>)]
        do {
            applied = try database.write { connection in
                var revision = base
                return try batch.map { write in try Self.apply(write, revision: &revision, connection) }
            }
        } catch {
            applied = batch.map { _ in (nil, .failure(StoreProblem(error))) }
        }
        let (next, ended) = state.withLock { state in
            let ended = state.publish(applied.compactMap(\.event))
            state.pending.removeFirst(batch.count)
            guard !state.pending.isEmpty else {
                state.isCommitting = false
                return (PendingWrite?.none, ended)
            }
            let next = state.pending[0]
            state.pending[0].waiter = nil
            return (next, ended)
        }
        for watcher in ended { watcher.finish() }
        for (write, outcome) in zip(batch, applied).dropFirst() { write.waiter?.resume(returning: .done(outcome.result)) }
        next?.waiter?.resume(returning: .lead)
        return applied[0].result
    }

    private static func apply(
        _ write: PendingWrite, revision: inout Int64, _ connection: DatabaseConnection
    ) throws(DatabaseProblem) -> (event: StoreEvent?, result: Result<StoredObject, StoreProblem>) {
        let newest = try connection.first(
            "SELECT id, created, deleted FROM revision WHERE key = ? ORDER BY id DESC LIMIT 1", .text(write.key))
        let current = newest.flatMap { $0.bool(2) ? nil : (id: $0.integer(0), created: $0.integer(1)) }
        let previous: StoredObject?
        var document: JSON
        let kind: StoreEvent.Kind
        switch write.change {
        case .create(let new):
            guard current == nil else { return (nil, .failure(.exists(key: write.key))) }
            (previous, document, kind) = (nil, new, .created)
        case .update(let old, let new):
            guard let current else { return (nil, .failure(.missing(key: write.key))) }
            guard current.id == old.revision else { return (nil, .failure(.changed(key: write.key))) }
            (previous, document, kind) = (old, new, .modified)
        case .delete(let old, let last):
            guard let current else { return (nil, .failure(.missing(key: write.key))) }
            guard current.id == old.revision else { return (nil, .failure(.changed(key: write.key))) }
            (previous, document, kind) = (old, last, .deleted)
        }
        let id = revision + 1
        document["metadata", default: .emptyObject]["resourceVersion"] = JSON(String(id))
        let bytes = document.bytes
        guard bytes.count <= objectLimitBytes else { return (nil, .failure(.tooLarge(limitBytes: objectLimitBytes))) }
        let created = kind == .created ? id : current?.created ?? id
        try connection.execute(
            "INSERT INTO revision(id, key, previous, created, deleted, value) VALUES (?, ?, ?, ?, ?, ?)", .integer(id), .text(write.key),
            .integer(current?.id ?? 0), .integer(created), DatabaseValue(kind == .deleted), .blob(bytes))
        revision = id
        let object = StoredObject(key: write.key, revision: id, created: created, bytes: bytes, document: document)
        return (StoreEvent(kind: kind, object: object, previous: previous), .success(object))
    }
}

extension ClusterStore.State {
    /// Makes `write` the leader's, where nobody commits now.
    fileprivate mutating func enqueue(_ write: PendingWrite) -> Bool {
        guard !isCommitting else { return false }
        isCommitting = true
        pending.append(write)
        return true
    }

    /// Returns the watchers that could not follow.
    fileprivate mutating func publish(_ events: [StoreEvent]) -> [Watcher] {
        var ended: [Watcher] = []
        for event in events {
            revision = event.object.revision
            if event.kind == .deleted {
                cache[event.object.key] = nil
            } else {
                remember(event.object)
            }
            for (id, watcher) in watchers where watcher.deliver(event) != .taken {
                watchers[id] = nil
                ended.append(watcher)
            }
        }
        return ended
    }

    mutating func remember(_ object: StoredObject) {
        if cache.count >= ClusterStore.cacheLimitObjects, cache[object.key] == nil { cache.removeAll(keepingCapacity: true) }
        cache[object.key] = object
    }
}

extension JSON {
    /// The member `key`, made from `fallback` where there is none.
    fileprivate subscript(key: String, default fallback: JSON) -> JSON {
        get { self[key] ?? fallback }
        set { self[key] = newValue }
    }
}
