// One informer a resource for all parts of a process, so that a kind is listed, watched and kept once.
//
// Where the server has it (`/lectern/watch`), all kinds come over one watch and one connection: lists first, a few at a time, then
// the watch from the oldest of them; each informer takes what is newer than its own list. When an informer is added, the watch is
// opened again from where it was. Any other server gets a watch a kind.
package import ClusterModel
internal import Essentials
internal import Logging
internal import Synchronization

package final class SharedInformers: Sendable {
    /// Lists that are under way at once.
    static let limitLists = 4
    /// A watch over all kinds that is forbidden so often in a row is not asked for any more.
    static let limitRefusals = 6

    private struct Key: Hashable {
        let resource: GroupVersionResource
        let onlyMetadata: Bool
    }
    private struct State {
        var informers: [Key: Informer] = [:]
        /// Not listed yet, or to be listed again.
        var unlisted: Set<Key> = []
        /// The version of each informer's last list.
        var listed: [Key: Int64] = [:]
        var hasNews = false
        var isOver = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let client: ClusterClient
    private let state = Mutex(State())
    private let log = Logger(label: "informers")

    package init(client: ClusterClient) { self.client = client }

    /// The informer of the resource. Its first list comes when `run` does.
    package func informer(_ resource: GroupVersionResource) -> Informer { informer(Key(resource: resource, onlyMetadata: false)) }

    /// An informer of which the objects have `slimMetadata` only.
    package func metadata(_ resource: GroupVersionResource) -> Informer { informer(Key(resource: resource, onlyMetadata: true)) }

    /// The informer of the resource, where some part of the process has asked for it.
    package func existing(_ resource: GroupVersionResource) -> Informer? {
        state.withLock { $0.informers[Key(resource: resource, onlyMetadata: false)] }
    }

    /// Lists the resource again, as when its kind has come back.
    package func refresh(_ resource: GroupVersionResource) {
        for onlyMetadata in [false, true] { ask(Key(resource: resource, onlyMetadata: onlyMetadata)) }
    }

    private func ask(_ key: Key) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.informers[key] != nil else { return nil }
            state.unlisted.insert(key)
            return Self.news(&state)
        }
        waiter?.resume()
    }

    private func informer(_ key: Key) -> Informer {
        let (informer, waiter) = state.withLock { state -> (Informer, CheckedContinuation<Void, Never>?) in
            if let informer = state.informers[key] { return (informer, nil) }
            let informer = Informer(client: client, resource: key.resource, onlyMetadata: key.onlyMetadata)
            // Nobody would ever list it any more.
            if state.isOver { informer.end() }
            state.informers[key] = informer
            state.unlisted.insert(key)
            return (informer, Self.news(&state))
        }
        waiter?.resume()
        return informer
    }

    private static func news(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        state.hasNews = true
        defer { state.waiter = nil }
        return state.waiter
    }

    /// Returns when an informer is to be listed.
    private func waitForNews() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = state.withLock { state in
                    guard !state.hasNews, !Task.isCancelled else { return false }
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

    /// Runs all informers, those that are asked for later too, until cancelled.
    package func run() async throws {
        defer {
            let informers = state.withLock { state in
                state.isOver = true
                return state.informers.values
            }
            for informer in informers { informer.end() }
        }
        var position: Int64?
        var failures = 0
        while !Task.isCancelled {
            state.withLock { $0.hasNews = false }
            let isComplete = try await listAll()
            let start = position ?? state.withLock { $0.listed.values.min() }
            let pause = Informer.retryMilliseconds[min(failures, Informer.retryMilliseconds.count - 1)]
            guard let start else {
                // Nothing is listed: nothing is asked for yet, or the server is not there.
                if state.withLock({ $0.informers.isEmpty }) {
                    await waitForNews()
                } else {
                    try await Task.sleep(for: .milliseconds(pause))
                    failures += 1
                }
                continue
            }
            do {
                position = try await follow(from: start, retriesLists: !isComplete, pauseMilliseconds: pause)
                failures = isComplete ? 0 : failures + 1
            } catch let stop as BundleStop {
                position = stop.position
                try Task.checkCancellation()
                // A cluster that has just begun may not have its roles yet.
                let isRefused = stop.problem.code == 403 && failures >= Self.limitRefusals
                if stop.problem.code == 404 || isRefused { return try await runSeparately() }
                if stop.problem.isExpired {
                    position = nil
                    state.withLock { $0.unlisted = Set($0.informers.keys) }
                    continue
                }
                log.warning("watch ended", metadata: ["cause": "\(stop.problem.message)"])
                try await Task.sleep(for: .milliseconds(pause))
                failures += 1
            }
        }
        try Task.checkCancellation()
    }

    /// Lists what is not listed. Answers with false where something could not be.
    private func listAll() async throws -> Bool {
        let keys = state.withLock { $0.unlisted }
        return await withTaskGroup(of: Bool.self) { group in
            var isComplete = true
            var running = 0
            for key in keys {
                if running == Self.limitLists, let result = await group.next() {
                    isComplete = isComplete && result
                    running -= 1
                }
                running += 1
                group.addTask { await self.list(key) }
            }
            for await result in group { isComplete = isComplete && result }
            return isComplete
        }
    }

    private func list(_ key: Key) async -> Bool {
        guard let informer = state.withLock({ $0.informers[key] }) else { return true }
        do {
            let version = try await informer.list()
            state.withLock { state in
                state.unlisted.remove(key)
                state.listed[key] = Int64(version) ?? 0
            }
            return true
        } catch {
            guard let problem = error as? ClusterProblem else { return false }
            if problem.code == 404 || problem.code == 405 {
                // No such kind; `refresh` tells when there is.
                informer.take(list: ObjectList(items: [], resourceVersion: ""))
                _ = state.withLock { $0.unlisted.remove(key) }
                return true
            }
            log.warning("list failed", metadata: ["resource": "\(key.resource)", "cause": "\(problem.message)"])
            return false
        }
    }

    private struct BundleStop: Error {
        var problem: ClusterProblem
        var position: Int64
    }

    /// Watches until something is to be listed or the server ends it; answers with the last version seen.
    private func follow(from start: Int64, retriesLists: Bool, pauseMilliseconds: Int) async throws -> Int64 {
        let position = Position(start)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.readBundle(position) }
                group.addTask { await self.waitForNews() }
                if retriesLists { group.addTask { try await Task.sleep(for: .milliseconds(pauseMilliseconds)) } }
                try await group.next()
                group.cancelAll()
            }
        } catch let problem as ClusterProblem {
            throw BundleStop(problem: problem, position: position.value)
        } catch {
            throw BundleStop(problem: .unavailable("\(error)"), position: position.value)
        }
        return position.value
    }

    private final class Position: Sendable {
        private let state: Mutex<Int64>
        init(_ start: Int64) { state = Mutex(start) }
        var value: Int64 { state.withLock { $0 } }
        func reach(_ version: Int64) { state.withLock { $0 = max($0, version) } }
    }

    private static func name(_ resource: GroupVersionResource) -> String { resource.apiVersion + "/" + resource.resource }

    private func readBundle(_ position: Position) async throws {
        let (informers, listed) = state.withLock { ($0.informers, $0.listed) }
        var query = [("watch", "true"), ("resourceVersion", String(position.value))]
        var byName: [String: [Key]] = [:]
        for key in informers.keys {
            query.append((key.onlyMetadata ? "metadata" : "resource", Self.name(key.resource)))
            byName[Self.name(key.resource), default: []].append(key)
        }
        let request = APIRequest(method: "GET", path: "/lectern/watch", query: query, user: client.user)
        let response = await client.transport.send(request)
        guard case .stream(let chunks) = response.body else { throw ClusterClient.problem(response) }
        var splitter = LineSplitter()
        for await chunk in chunks {
            try splitter.add(chunk)
            while let line = splitter.next() {
                guard let document = try? JSON(parsing: line), let type = document["type"]?.string, let object = document["object"] else {
                    throw ClusterProblem.internalError("a line of the watch is no event")
                }
                if type == "ERROR" { throw ClusterProblem(status: object, httpStatus: 500) }
                let version = Int64(object.metaResourceVersion) ?? 0
                position.reach(version)
                guard let kind = WatchEvent.Kind(rawValue: type), kind != .bookmark else { continue }
                for key in byName[document["resource"]?.string ?? ""] ?? [] where version > listed[key] ?? .max {
                    informers[key]?.take(WatchEvent(kind: kind, object: object))
                }
            }
        }
        try Task.checkCancellation()
        throw ClusterProblem.unavailable("the server has closed the watch")
    }

    /// A watch a kind, for servers that are not ours.
    private func runSeparately() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            var running: Set<Key> = []
            while !Task.isCancelled {
                let informers = state.withLock { state in
                    state.hasNews = false
                    return state.informers
                }
                for (key, informer) in informers where running.insert(key).inserted { group.addTask { try await informer.run() } }
                await waitForNews()
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }
}
