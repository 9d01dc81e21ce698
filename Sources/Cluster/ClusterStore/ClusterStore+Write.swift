// Writing: optimistic, by revision, many writers to a commit.
internal import Database
package import Essentials
internal import Synchronization

struct PendingWrite: Sendable {
    enum Change: Sendable {
        case create(JSON)
        case update(StoredObject, JSON)
        case delete(StoredObject, JSON)

        var document: JSON {
            switch self {
            case .create(let document), .update(_, let document), .delete(_, let document): document
            }
        }
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
        if case .remote(let link) = place { return try await link.submit(key, change) }
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
        let (change, previous, kind): (RevisionChange, StoredObject?, StoreEvent.Kind) =
            switch write.change {
            case .create: (.create, nil, .created)
            case .update(let old, _): (.update, old, .modified)
            case .delete(let old, _): (.delete, old, .deleted)
            }
        var document = write.change.document
        let outcome = try RevisionTable.append(
            change, write.key, expected: previous?.revision ?? 0, newest: revision, connection
        ) { id in
            document["metadata", default: .emptyObject]["resourceVersion"] = JSON(String(id))
            return document.bytes
        }
        switch outcome {
        case .failure(let problem): return (nil, .failure(problem))
        case .success(let row):
            revision = row.id
            let object = StoredObject(key: write.key, revision: row.id, created: row.created, bytes: row.value, document: document)
            return (StoreEvent(kind: kind, object: object, previous: previous), .success(object))
        }
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
    mutating func publish(_ events: [StoreEvent]) -> [Watcher] {
        var ended: [Watcher] = []
        for event in events {
            revision = event.object.revision
            if image != nil {
                image?.apply(event)
            } else if event.kind == .deleted {
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
    subscript(key: String, default fallback: JSON) -> JSON {
        get { self[key] ?? fallback }
        set { self[key] = newValue }
    }
}
