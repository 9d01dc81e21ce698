// Removes pods that nobody else will: too many that have ended, those of nodes that are gone, and deleted ones without a node.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct PodGarbage: Controller {
    /// Ended pods that stay (upstream's --terminated-pod-gc-threshold).
    static let keepEndedPods = 12_500
    /// A node must be gone for this long before its pods go, in seconds.
    static let quarantineSeconds = 40

    private let context: ControllerContext
    private let pods: Informer
    private let nodes: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        pods = context.informers.informer(.pods)
        nodes = context.informers.informer(.nodes)
        pods.addIndex("node") { PodFacts.node($0).isEmpty ? [] : [PodFacts.node($0)] }
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 1, caches: [pods, nodes],
            feeds: [
                {
                    for await change in nodes.changes() {
                        if case .deleted(let node) = change {
                            queue.add("node/" + node.metaName, afterMilliseconds: Self.quarantineSeconds * 1000)
                        }
                    }
                    try Task.checkCancellation()
                },
                { try await notePods() },
            ]
        ) { try await work($0) }
    }

    private func notePods() async throws {
        var ended: Set<String> = []
        for await change in pods.changes() {
            let pod = change.object
            if case .deleted = change {
                ended.remove(pod.objectKey)
                continue
            }
            if PodFacts.node(pod).isEmpty {
                if pod.isBeingDeleted { queue.add("pod/" + pod.objectKey, afterMilliseconds: 1_000) }
            } else if nodes.item(name: PodFacts.node(pod)) == nil {
                queue.add("node/" + PodFacts.node(pod), afterMilliseconds: Self.quarantineSeconds * 1000)
            }
            if PodUse.hasEnded(pod), ended.insert(pod.objectKey).inserted, ended.count > Self.keepEndedPods { queue.add("ended") }
        }
        try Task.checkCancellation()
    }

    /// Ended pods beyond the limit, those that were evicted first, then the oldest.
    static func surplus(_ pods: [JSON], keep: Int) -> [JSON] {
        let ended = pods.filter { PodUse.hasEnded($0) && !$0.isBeingDeleted }
        guard ended.count > keep else { return [] }
        return Array(
            ended.sorted { left, right in
                let (one, two) = (left["status"]?["reason"] == "Evicted", right["status"]?["reason"] == "Evicted")
                return one == two ? isOlder(left, right) : one
            }.prefix(ended.count - keep))
    }

    private func work(_ key: String) async throws(ClusterProblem) {
        if key == "ended" {
            for pod in Self.surplus(pods.items(), keep: Self.keepEndedPods) { try await remove(pod) }
        } else if key.hasPrefix("node/") {
            try await clearNode(String(key.dropFirst("node/".count)))
        } else if let pod = pods.item(key: String(key.dropFirst("pod/".count))), pod.isBeingDeleted, PodFacts.node(pod).isEmpty {
            try await remove(pod)
        }
    }

    private func clearNode(_ name: String) async throws(ClusterProblem) {
        guard nodes.item(name: name) == nil else { return }
        do throws(ClusterProblem) {
            _ = try await context.client.get(.nodes, name: name)
            return
        } catch {
            if !error.isNotFound { throw error }
        }
        for pod in pods.items(index: "node", value: name) {
            if !PodUse.hasEnded(pod) {
                let now = JSON(context.clock.now().rfc3339)
                let condition: JSON = [
                    "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "lastTransitionTime": now,
                    "message": "PodGC: node no longer exists",
                ]
                do throws(ClusterProblem) {
                    try await context.patch(
                        .pods, pod, ["status": ["phase": "Failed", "conditions": [condition]]], subresource: "status")
                } catch {
                    if error.isNotFound { continue }
                    throw error
                }
            }
            try await remove(pod)
        }
    }

    private func remove(_ pod: JSON) async throws(ClusterProblem) { try await context.delete(.pods, pod, graceSeconds: 0) }
}
