// Runs one pod of a DaemonSet on each node that it selects, and replaces them node by node when the template changes.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

final class DaemonSetController: Controller {
    static let kind = OwnerKind(resource: .daemonSets, kind: "DaemonSet")
    /// Waits before the pod of a node that failed again and again is made anew, in milliseconds; doubled from the first to the last.
    static let backOffMilliseconds = (first: 1_000, last: 900_000)

    private let context: ControllerContext
    private let sets: Informer
    private let nodes: Informer
    private let pods: Ownership
    private let history: RevisionHistory
    private let events: EventWriter
    private let maker: PodMaker
    private let queue = WorkQueue()
    /// How often the pod of a set failed on a node, and when it may be deleted next.
    private let failures = Mutex<[String: (count: Int, next: Double)]>([:])

    init(_ context: ControllerContext) {
        self.context = context
        sets = context.informers.informer(.daemonSets)
        nodes = context.informers.informer(.nodes)
        pods = Ownership(context, of: .pods, by: Self.kind)
        history = RevisionHistory(context, by: Self.kind, hashLabel: DaemonDecision.hashLabel)
        events = context.events("daemonset-controller")
        maker = PodMaker(context: context, events: events, kind: Self.kind)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 2, caches: [sets, nodes, pods.dependents, history.revisions.dependents], events: events,
            feeds: [
                sets.feed(queue), pods.feed(queue, owners: sets, selector: DeploymentController.selector), { try await self.noteNodes() },
            ]
        ) { try await self.sync($0) }
    }

    /// What a node says of its health changes often and concerns no set.
    private func noteNodes() async throws {
        var known: [String: JSON] = [:]
        for await change in nodes.changes() {
            let node = change.object
            var facts: JSON? = ["labels": JSON(node.metaLabels), "taints": node["spec"]?["taints"] ?? .null]
            if case .deleted = change { facts = nil }
            guard known[node.metaName] != facts else { continue }
            known[node.metaName] = facts
            for set in sets.items() { queue.add(set.objectKey) }
        }
        try Task.checkCancellation()
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        guard let set = sets.item(key: key), let selector = DeploymentController.selector(set) else { return }
        if selector.isEmpty {
            events.record("Warning", "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.", about: set)
            return
        }
        do throws(ClusterProblem) {
            _ = try await pods.claim(set, selector)
            if set.isBeingDeleted { return }
            let state = try await history.sync(set, selector)
            let hash = state.current["metadata"]?["labels"]?[DaemonDecision.hashLabel]?.string ?? ""
            var problem: ClusterProblem?
            do throws(ClusterProblem) {
                try await carryOut(decision(set, selector, hash).upkeep(), set, hash)
                try await carryOut(decision(set, selector, hash).update(), set, hash)
            } catch {
                problem = error
            }
            let after = decision(set, selector, hash)
            try await context.setStatus(.daemonSets, of: set, to: after.status(collisions: state.collisions))
            if let problem { throw problem }
            let used = Set(pods.owned(by: set.metaUID).compactMap { $0["metadata"]?["labels"]?[DaemonDecision.hashLabel]?.string })
            try await history.trim(state, limit: set.specInt("revisionHistoryLimit") ?? 10) { revision in
                used.contains(revision["metadata"]?["labels"]?[DaemonDecision.hashLabel]?.string ?? "")
            }
            let owned = pods.owned(by: set.metaUID)
            let minReady = set.specInt("minReadySeconds") ?? 0
            if let seconds = PodFacts.secondsUntilNextAvailable(owned, minReadySeconds: minReady, at: after.now) {
                queue.add(key, afterMilliseconds: Int(seconds * 1000) + 10)
            }
        } catch {
            if !error.isNotFound, !error.isNamespaceTerminating { throw error }
        }
    }

    private func decision(_ set: JSON, _ selector: LabelSelector, _ hash: String) -> DaemonDecision {
        let owned = pods.owned(by: set.metaUID).filter { selector.matches(labelsOf: $0) }
        return DaemonDecision(set: set, nodes: nodes.items(), pods: owned, hash: hash, now: context.clock.now())
    }

    private func carryOut(_ work: DaemonDecision.Work, _ set: JSON, _ hash: String) async throws(ClusterProblem) {
        var waiting: Set<String> = []
        for pod in work.failed {
            let node = PodFacts.node(pod)
            if let delay = backOff(set, node) {
                waiting.insert(pod.metaUID)
                queue.add(set.objectKey, afterMilliseconds: delay)
                continue
            }
            events.record(
                "Warning", "FailedDaemonPod", "Found failed daemon pod \(pod.objectKey) on node \(node), will try to kill it", about: set)
        }
        for pod in work.succeeded {
            events.record(
                "Normal", "SucceededDaemonPod",
                "Found succeeded daemon pod \(pod.objectKey) on node \(PodFacts.node(pod)), will try to delete it", about: set)
        }
        try await maker.deleteAll(work.delete.filter { !waiting.contains($0.metaUID) }, of: set)
        let fresh = work.create.prefix(PodMaker.burstPods).map { DaemonDecision.pod(set, node: $0, hash: hash, kind: Self.kind) }
        try await maker.slowStart(Array(fresh), for: set)
    }

    /// Milliseconds to wait before a failed pod is deleted; `nil`: now, and the next failure waits longer.
    private func backOff(_ set: JSON, _ node: String) -> Int? {
        let now = monotonicSeconds()
        let key = set.metaUID + "/" + node
        return failures.withLock { failures in
            let before = failures[key] ?? (0, 0)
            if before.next > now { return Int((before.next - now) * 1000) + 1 }
            // What has run for long since counts as new.
            let count = now - before.next > Double(Self.backOffMilliseconds.last) / 500 ? 0 : before.count
            let delay = min(Self.backOffMilliseconds.first << min(count, 10), Self.backOffMilliseconds.last)
            failures[key] = (count + 1, now + Double(delay) / 1000)
            return nil
        }
    }
}
