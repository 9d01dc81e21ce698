// Gives each new pod a node: watches pods and nodes, decides in memory, binds through the API.
//
// May touch: the API only. Caller: the program. Decisions are made one after the other, each counting on those before it;
// what follows from them (binding, making room, saying why not) is done beside them, `actionLimit` at a time. A pod that
// fits nowhere is tried again when something changes that may help it.
package import ClusterClient
internal import ClusterModel
package import Essentials
internal import Logging
internal import Synchronization

package final class PodScheduler: Sendable {
    /// The scheduler that pods name when they name none.
    package static let name = "default-scheduler"
    /// Bindings and other requests under way at once.
    static let actionLimit = 16

    /// Added to waits, so that a pause is over when its timer rings.
    private static let timerSlackSeconds = 0.001

    struct State {
        /// Pods whose binding is under way: placed, though the watch has not said so.
        var assumed: Set<String> = []
        var placement = Placement()
        var queue = SchedulingQueue()
        /// The last sentence told about a pod that fits nowhere.
        var told: [String: String] = [:]
        /// What a waiting pod looked like when it was read.
        var documents: [String: JSON] = [:]
        var timer: Task<Void, Never>?
        var timerMoment = Double.infinity
    }

    let client: ClusterClient
    let clock: any WallClock
    private let names: Set<String>
    private let pods: Informer
    private let nodes: Informer
    let storage: StorageView
    let events: EventWriter
    private let gatekeeper: Gatekeeper
    let state = Mutex(State())
    private let bell: AsyncStream<Void>
    private let ringer: AsyncStream<Void>.Continuation
    let logger = Logger(label: "scheduler")

    /// `names` are the values of `spec.schedulerName` that this scheduler answers to.
    package init(client: ClusterClient, clock: any WallClock = SystemClock(), names: Set<String> = [PodScheduler.name]) {
        self.client = client
        self.clock = clock
        self.names = names
        pods = Informer(client: client, resource: .pods)
        nodes = Informer(client: client, resource: .nodes)
        storage = StorageView(client: client)
        gatekeeper = Gatekeeper(client: client, clock: clock)
        events = EventWriter(client: client, component: names.sorted().first ?? Self.name, clock: clock)
        (bell, ringer) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    deinit { state.withLock { $0.timer?.cancel() } }

    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.pods.run() }
            group.addTask { try await self.nodes.run() }
            group.addTask { try await self.events.run() }
            group.addTask { try await self.gatekeeper.run() }
            group.addTask { try await self.storage.run { self.wake { !$0.claims.isEmpty } } }
            await nodes.waitForSync()
            await pods.waitForSync()
            // All that is bound counts before the first decision.
            state.withLock { state in
                for node in nodes.items() { state.placement.set(node: node) }
                for pod in pods.items() { state.placement.set(pod: pod) }
            }
            group.addTask { for await change in self.nodes.changes() { self.note(node: change) } }
            group.addTask { for await change in self.pods.changes() { self.note(pod: change) } }
            group.addTask { try await self.decideAll() }
            try await group.next()
            group.cancelAll()
        }
        state.withLock { $0.timer?.cancel() }
    }

    // MARK: What changes

    private func note(node change: InformerChange) {
        let isHelpful = state.withLock { state in
            switch change {
            case .added(let node), .modified(let node):
                let before = state.placement.nodes[node.metaName]
                state.placement.set(node: node)
                // A node's sign of life changes nothing for those who wait.
                guard let before, let after = state.placement.nodes[node.metaName] else { return true }
                return before.taints != after.taints || before.isUnschedulable != after.isUnschedulable
                    || before.allocatable != after.allocatable || before.labels != after.labels
            case .deleted(let node):
                state.placement.remove(node: node.metaName)
                return true
            }
        }
        if isHelpful { wake { _ in true } }
    }

    /// What waking depends on.
    private enum Effect {
        case nothing
        case queued
        case placed
        case freed
        case gated(JSON)
    }

    private func note(pod change: InformerChange) {
        let effect: Effect = state.withLock { state in
            switch change {
            case .added(let pod), .modified(let pod):
                let key = pod.objectKey
                if let node = pod["spec"]?["nodeName"]?.string, !node.isEmpty {
                    state.forget(key)
                    let had = state.placement.isPlaced(key)
                    state.assumed.remove(key)
                    state.placement.set(pod: pod)
                    let has = state.placement.isPlaced(key)
                    return had == has ? .nothing : has ? .placed : .freed
                }
                guard isOurs(pod) else {
                    state.forget(key)
                    state.placement.remove(pod: key)
                    return isGated(pod) ? .gated(pod) : .nothing
                }
                let before = state.documents.updateValue(pod, forKey: key)
                let isChanged =
                    before.map { $0["spec"] != pod["spec"] || $0["metadata"]?["labels"] != pod["metadata"]?["labels"] } ?? true
                if before == nil || isChanged || before?["status"]?["nominatedNodeName"] != pod["status"]?["nominatedNodeName"] {
                    let facts = PodFacts(pod)
                    if !facts.nominatedNode.isEmpty, !state.placement.isPlaced(key) {
                        state.placement.nominate(facts, node: facts.nominatedNode)
                    }
                    state.queue.set(facts, isChanged: isChanged && before != nil)
                }
                return .queued
            case .deleted(let pod):
                let key = pod.objectKey
                state.forget(key)
                state.assumed.remove(key)
                let had = state.placement.isPlaced(key) || state.placement.nominated[key] != nil
                state.placement.remove(pod: key)
                return had ? .freed : .nothing
            }
        }
        switch effect {
        case .nothing: break
        case .gated(let pod): gatekeeper.add(pod)
        case .queued: ringer.yield()
        case .freed: wake { _ in true }
        case .placed: wake { !$0.affinity.isEmpty || $0.spread.contains(where: \.isHard) }
        }
    }

    func wake(where isHelped: (PodFacts) -> Bool) {
        state.withLock { $0.queue.wakeAll(now: monotonicSeconds(), where: isHelped) }
        ringer.yield()
    }

    private func isOurs(_ pod: JSON) -> Bool {
        guard !pod.isBeingDeleted, !PodUse.hasEnded(pod), names.contains(pod["spec"]?["schedulerName"]?.string ?? Self.name) else {
            return false
        }
        return pod["spec"]?["schedulingGates"]?.array?.isEmpty ?? true
    }

    /// Whether it waits for its gates to be opened and has not been told so.
    private func isGated(_ pod: JSON) -> Bool {
        guard !pod.isBeingDeleted, !(pod["spec"]?["schedulingGates"]?.array?.isEmpty ?? true),
            names.contains(pod["spec"]?["schedulerName"]?.string ?? Self.name)
        else { return false }
        return !(pod["status"]?["conditions"]?.array ?? []).contains { $0["type"] == "PodScheduled" }
    }

    // MARK: Deciding

    private func decideAll() async throws {
        var bell = bell.makeAsyncIterator()
        try await withThrowingTaskGroup(of: Void.self) { group in
            var underWay = 0
            while !Task.isCancelled {
                let now = monotonicSeconds()
                guard let pod = state.withLock({ $0.queue.take(now: now) }) else {
                    setTimer()
                    guard await bell.next() != nil else { break }
                    continue
                }
                let action = await decide(pod)
                if underWay >= Self.actionLimit {
                    try await group.next()
                    underWay -= 1
                }
                underWay += 1
                group.addTask { await self.perform(action, for: pod) }
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Rings when the first pause ends.
    private func setTimer() {
        let ringer = ringer
        state.withLock { state in
            let moment = state.queue.nextMoment() ?? .infinity
            guard moment != state.timerMoment else { return }
            state.timer?.cancel()
            state.timer = nil
            state.timerMoment = moment
            guard moment < .infinity else { return }
            state.timer = Task { [weak self] in
                do { try await Task.sleep(for: .seconds(max(0, moment - monotonicSeconds()) + Self.timerSlackSeconds)) } catch { return }
                self?.state.withLock { $0.timerMoment = .infinity }
                ringer.yield()
            }
        }
    }

    private func decide(_ pod: PodFacts) async -> Action {
        do throws(ClusterProblem) {
            var claims: [ClaimFacts] = []
            if !pod.claims.isEmpty { claims = await storage.claims(of: pod) }
            if Neighbourhood.asksForNamespaces(pod) { try await readNamespaces() }
            let decision = state.withLock { state in
                let decision = state.placement.decide(pod, claims: claims)
                if case .bind(let node, _) = decision { state.assume(pod, on: node) }
                return decision
            }
            guard case .preempt = decision else { return .decided(decision) }
            // Only now is it worth asking for budgets; a host's API has none.
            var budgets: [BudgetFacts] = []
            do throws(ClusterProblem) {
                budgets = try await client.list(.podDisruptionBudgets).items.compactMap(BudgetFacts.init)
            } catch {
                if !error.isNotFound { throw error }
            }
            return .decided(
                state.withLock { state in
                    let decision = state.placement.decide(pod, claims: claims, budgets: budgets)
                    switch decision {
                    case .bind(let node, _): state.assume(pod, on: node)
                    case .preempt(let node, _, _): state.placement.nominate(pod, node: node)
                    case .impossible: break
                    }
                    return decision
                })
        } catch {
            return .failed(error)
        }
    }

    /// Namespaces are seldom asked for, so they are not watched.
    private func readNamespaces() async throws(ClusterProblem) {
        let namespaces = try await client.list(.namespaces).items
        state.withLock { state in
            state.placement.namespaceLabels = Dictionary(
                namespaces.map { ($0.metaName, $0.metaLabels) }, uniquingKeysWith: { first, _ in first })
        }
    }
}

extension PodScheduler.State {
    mutating func assume(_ pod: PodFacts, on node: String) {
        assumed.insert(pod.key)
        placement.assume(pod, on: node)
    }

    /// The binding has failed.
    mutating func giveUpPlace(_ key: String) {
        guard assumed.remove(key) != nil else { return }
        placement.remove(pod: key)
    }

    mutating func forget(_ key: String) {
        queue.remove(key)
        told[key] = nil
        documents[key] = nil
    }
}
