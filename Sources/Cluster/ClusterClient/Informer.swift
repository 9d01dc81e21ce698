// A local copy of one kind of object, kept up to date by list and watch, and the changes to it.
//
// A listener that falls behind costs no more than the objects there are: of one object only what still matters waits,
// its latest state, or its end and the state of its successor.
package import ClusterModel
package import Essentials
internal import Logging
internal import Synchronization

package enum InformerChange: Sendable, Equatable {
    case added(JSON)
    case modified(JSON)
    case deleted(JSON)

    /// The object as it is, or was last.
    package var object: JSON {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object): object
        }
    }
}

package final class Informer: Sendable {
    /// Waits after the first, second, … failure in a row, in milliseconds; the last one holds from then on.
    package static let retryMilliseconds = [50, 200, 500, 1_000, 2_000]
    /// A server that ends a watch before it has said anything is asked again after this, in milliseconds.
    static let emptyWatchMilliseconds = 100

    private struct State {
        var cache = InformerCache()
        var isSynced = false
        var isOver = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var listeners: [Int: InformerQueue] = [:]
        var nextListener = 0

        func tell(_ changes: [(key: String, change: InformerChange)]) {
            for (key, change) in changes { for listener in listeners.values { listener.add(key, change) } }
        }
    }

    private let client: ClusterClient
    private let resource: GroupVersionResource
    private let namespace: String?
    private let options: ListOptions
    /// Objects have `slimMetadata` only.
    private let onlyMetadata: Bool
    private let state = Mutex(State())
    private let log = Logger(label: "informer")

    package init(
        client: ClusterClient, resource: GroupVersionResource, namespace: String? = nil, labelSelector: String? = nil,
        fieldSelector: String? = nil
    ) {
        self.client = client
        self.resource = resource
        self.namespace = namespace
        options = ListOptions(labelSelector: labelSelector, fieldSelector: fieldSelector)
        onlyMetadata = false
    }

    init(client: ClusterClient, resource: GroupVersionResource, onlyMetadata: Bool) {
        self.client = client
        self.resource = resource
        namespace = nil
        options = ListOptions()
        self.onlyMetadata = onlyMetadata
    }

    /// All objects as last seen.
    package func items() -> [JSON] { state.withLock { Array($0.cache.items.values) } }

    package func item(namespace: String? = nil, name: String) -> JSON? {
        state.withLock { $0.cache.items[InformerCache.key(namespace, name)] }
    }

    /// Objects can be found by the values that `values` gives for them; asking again for an index that is there changes nothing.
    package func addIndex(_ name: String, _ values: @escaping @Sendable (JSON) -> [String]) {
        state.withLock { $0.cache.addIndex(name, values) }
    }

    package func items(index: String, value: String) -> [JSON] { state.withLock { $0.cache.items(index: index, value: value) } }

    /// Takes in what the server answered to a write of this process, so that it is seen here before the watch tells of it.
    /// For informers without selectors.
    package func note(written object: JSON) { state.withLock { $0.tell($0.cache.note(written: object)) } }

    /// Takes in that the server has removed the object.
    package func note(gone object: JSON) { state.withLock { $0.tell($0.cache.note(gone: object)) } }

    /// Returns once the first list is in, or `run` has ended.
    package func waitForSync() async {
        await withCheckedContinuation { continuation in
            let isSynced = state.withLock { state in
                if !state.isSynced, !state.isOver { state.waiters.append(continuation) }
                return state.isSynced || state.isOver
            }
            if isSynced { continuation.resume() }
        }
    }

    /// The objects there are, as `added`, and every change from then on.
    package func changes() -> InformerChanges {
        let queue = InformerQueue()
        let number = state.withLock { state in
            for (key, item) in state.cache.items { queue.add(key, .added(item)) }
            let number = state.nextListener
            state.nextListener += 1
            state.listeners[number] = queue
            return number
        }
        queue.onEnd { [weak self] in _ = self?.state.withLock { $0.listeners.removeValue(forKey: number) } }
        return InformerChanges(queue: queue)
    }

    /// Lists and watches until cancelled; failures are tried again.
    package func run() async throws {
        defer { end() }
        var failures = 0
        while !Task.isCancelled {
            do {
                let version = try await list()
                failures = 0
                try await follow(from: version)
            } catch {
                try Task.checkCancellation()
                let expired = (error as? ClusterProblem)?.isExpired ?? false
                if !expired {
                    log.warning("list and watch failed", metadata: ["resource": "\(resource.resource)", "cause": "\(error)"])
                    try await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(failures, Self.retryMilliseconds.count - 1)]))
                    failures += 1
                }
            }
        }
        try Task.checkCancellation()
    }

    /// Those who wait for the first list wait no longer.
    func end() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Reads the whole list; answers with its version.
    func list() async throws -> String {
        var list: ObjectList
        if onlyMetadata {
            let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
            let answer = try await client.document(
                APIRequest(method: "GET", path: resource.path(), headers: [("accept", accept)], user: client.user))
            list = ObjectList(
                items: answer["items"]?.array ?? [], resourceVersion: answer["metadata"]?["resourceVersion"]?.string ?? "")
        } else {
            list = try await client.list(resource, namespace: namespace, options: options)
        }
        take(list: list)
        return list.resourceVersion
    }

    func take(list: ObjectList) {
        let items = onlyMetadata ? list.items.map(\.slimMetadata) : list.items
        let waiters = state.withLock { state in
            state.tell(state.cache.replace(with: items, at: list.resourceVersion))
            state.isSynced = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func watch(from version: String) -> WatchSequence {
        var options = options
        options.resourceVersion = version
        guard onlyMetadata else { return client.watch(resource, namespace: namespace, options: options) }
        let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
        return client.watch(
            APIRequest(
                method: "GET", path: resource.path(), query: options.query + [("watch", "true"), ("allowWatchBookmarks", "true")],
                headers: [("accept", accept)], wantsObjects: true, user: client.user))
    }

    private func follow(from version: String) async throws {
        var version = version
        while !Task.isCancelled {
            var isEmpty = true
            for try await event in watch(from: version) {
                version = event.object[path: ["metadata", "resourceVersion"]]?.string ?? version
                isEmpty = false
                take(event)
            }
            if isEmpty { try await Task.sleep(for: .milliseconds(Self.emptyWatchMilliseconds)) }
        }
    }

    func take(_ event: WatchEvent) {
        var event = event
        if onlyMetadata { event.object = event.object.slimMetadata }
        state.withLock { $0.tell($0.cache.apply(event)) }
    }
}

/// The changes one listener has not taken yet; at most two an object.
final class InformerQueue: Sendable {
    private struct State {
        var order: [String] = []
        var head = 0
        var byKey: [String: [InformerChange]] = [:]
        var waiter: CheckedContinuation<Void, Never>?
        var end: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    func onEnd(_ end: @escaping @Sendable () -> Void) { state.withLock { $0.end = end } }

    deinit { state.withLock { $0.end }?() }

    func add(_ key: String, _ change: InformerChange) {
        let waiter = state.withLock { state in
            if state.byKey[key] == nil {
                state.order.append(key)
                state.byKey[key] = [change]
            } else {
                state.byKey[key]?.merge(change)
            }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func take() -> InformerChange? {
        state.withLock { state in
            guard state.head < state.order.count else { return nil }
            let key = state.order[state.head]
            guard var changes = state.byKey[key], !changes.isEmpty else { return nil }
            let change = changes.removeFirst()
            if changes.isEmpty {
                state.byKey[key] = nil
                state.head += 1
                if state.head == state.order.count || state.head > 1024 {
                    state.order.removeFirst(state.head)
                    state.head = 0
                }
            } else {
                state.byKey[key] = changes
            }
            return change
        }
    }

    func next() async -> InformerChange? {
        while !Task.isCancelled {
            if let change = take() { return change }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let mustWait = state.withLock { state in
                        guard state.head == state.order.count, !Task.isCancelled else { return false }
                        state.waiter = continuation
                        return true
                    }
                    if !mustWait { continuation.resume() }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume()
            }
        }
        return nil
    }
}

extension [InformerChange] {
    /// Adds a change to those of the same object that wait, and drops what no longer matters.
    fileprivate mutating func merge(_ change: InformerChange) {
        switch (last, change) {
        case (.added, .modified(let object)), (.added, .added(let object)): self[count - 1] = .added(object)
        case (.modified, .modified), (.modified, .added): self[count - 1] = change
        case (.added, .deleted) where count == 2: removeLast()
        case (.deleted, .deleted): self[count - 1] = change
        case (.modified, .deleted), (.added, .deleted): self[count - 1] = change
        case (.deleted, .modified(let object)): append(.added(object))
        default: append(change)
        }
    }
}

/// For one consumer; ends when its task is cancelled.
package struct InformerChanges: AsyncSequence, Sendable {
    package typealias Element = InformerChange
    let queue: InformerQueue

    package struct AsyncIterator: AsyncIteratorProtocol {
        let queue: InformerQueue
        package mutating func next() async -> InformerChange? { await queue.next() }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}
