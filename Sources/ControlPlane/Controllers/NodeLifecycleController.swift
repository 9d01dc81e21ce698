// Marks nodes that no longer renew their lease as unknown, and keeps pods away from nodes that are not ready.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

/// Decides about one node; the time a lease was seen to change counts, not what it says, so clocks may differ.
struct NodeHealth: Sendable {
    /// A node whose lease does not change for this long is unknown.
    static let graceSeconds = 40.0

    private(set) var renewals: [String: (text: String, seenAt: Double)] = [:]

    /// Notes the lease's text at a monotonic moment.
    mutating func note(node: String, renewTime: String, at now: Double) {
        if renewals[node]?.text != renewTime { renewals[node] = (renewTime, now) }
    }

    mutating func forget(node: String) { renewals[node] = nil }

    func isLost(_ node: String, at now: Double) -> Bool { renewals[node].map { now - $0.seenAt > Self.graceSeconds } ?? false }

    /// The taint that a node in this state should have.
    static func taint(for node: JSON) -> String? {
        switch node["status"]?["conditions"]?.array?.first(where: { $0["type"] == "Ready" })?["status"]?.string {
        case "True": nil
        case "Unknown": "node.kubernetes.io/unreachable"
        default: "node.kubernetes.io/not-ready"
        }
    }
}

struct NodeLifecycleController: Sendable {
    /// How often leases are looked at, in seconds.
    static let periodSeconds = 10
    private static let keys = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"]

    private let client: ClusterClient
    private let clock: any WallClock
    private let nodes: Informer

    init(client: ClusterClient, clock: any WallClock) {
        self.client = client
        self.clock = clock
        nodes = Informer(client: client, resource: .nodes)
    }

    func run() async throws {
        let queue = WorkQueue()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await nodes.run() }
            group.addTask {
                for await change in nodes.changes() {
                    switch change {
                    case .added(let node), .modified(let node): queue.add(node.metaName)
                    case .deleted: break
                    }
                }
            }
            group.addTask { try await queue.run { try await setTaint($0) } }
            group.addTask { try await watchLeases() }
            try await group.next()
            group.cancelAll()
        }
    }

    private func watchLeases() async throws {
        var health = NodeHealth()
        await nodes.waitForSync()
        while true {
            try await Task.sleep(for: .seconds(Self.periodSeconds))
            guard let leases = try? await client.list(.leases, namespace: "kube-node-lease").items else { continue }
            let now = monotonicSeconds()
            for node in nodes.items() {
                let lease = leases.first { $0.metaName == node.metaName }
                health.note(node: node.metaName, renewTime: lease?["spec"]?["renewTime"]?.string ?? "", at: now)
                if health.isLost(node.metaName, at: now) { try? await markUnknown(node) }
            }
            for name in health.renewals.keys where nodes.item(name: name) == nil { health.forget(node: name) }
        }
    }

    private func markUnknown(_ node: JSON) async throws(ClusterProblem) {
        let now = JSON(clock.now().rfc3339)
        var conditions = node["status"]?["conditions"]?.array ?? []
        var changed = false
        for index in conditions.indices where conditions[index]["status"] != "Unknown" {
            conditions[index]["status"] = "Unknown"
            conditions[index]["reason"] = "NodeStatusUnknown"
            conditions[index]["message"] = "Kubelet stopped posting node status."
            conditions[index]["lastTransitionTime"] = now
            changed = true
        }
        guard changed else { return }
        _ = try await client.patch(
            .nodes, name: node.metaName, .merge,
            ["metadata": ["resourceVersion": JSON(node.metaResourceVersion)], "status": ["conditions": .array(conditions)]],
            subresource: "status")
    }

    private func setTaint(_ name: String) async throws {
        guard let node = nodes.item(name: name) else { return }
        let wanted = NodeHealth.taint(for: node)
        let taints = node["spec"]?["taints"]?.array ?? []
        let others = taints.filter { !Self.keys.contains($0["key"]?.string ?? "") }
        let present = taints.compactMap { $0["key"]?.string }.filter(Self.keys.contains)
        guard present != (wanted.map { [$0] } ?? []) else { return }
        let new = others + (wanted.map { [["key": JSON($0), "effect": "NoSchedule"]] } ?? [])
        do throws(ClusterProblem) {
            _ = try await client.patch(
                .nodes, name: name, .merge,
                ["metadata": ["resourceVersion": JSON(node.metaResourceVersion)], "spec": ["taints": .array(new)]])
        } catch {
            // A newer state comes with its own event.
            if !error.isConflict, !error.isNotFound { throw error }
        }
    }
}
