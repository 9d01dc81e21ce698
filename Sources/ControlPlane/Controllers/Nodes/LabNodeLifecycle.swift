// Notices nodes that are no longer heard of, and says by taints what is wrong with a node.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

/// The taints a node's conditions call for.
enum NodeTaints {
    static let notReady = "node.kubernetes.io/not-ready"
    static let unreachable = "node.kubernetes.io/unreachable"
    static let unschedulable = "node.kubernetes.io/unschedulable"
    private static let pressures = [
        "MemoryPressure": "node.kubernetes.io/memory-pressure", "DiskPressure": "node.kubernetes.io/disk-pressure",
        "PIDPressure": "node.kubernetes.io/pid-pressure", "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
    ]
    static let own: Set<String> = Set([notReady, unreachable, unschedulable] + pressures.values)

    static func wanted(_ node: JSON) -> [(key: String, effect: String)] {
        let conditions = node["status"]?["conditions"]?.array ?? []
        func status(_ type: String) -> String? { conditions.first { $0["type"]?.string == type }?["status"]?.string }
        var taints: [(String, String)] = []
        switch status("Ready") {
        case "True": break
        case "Unknown": taints += [(unreachable, "NoSchedule"), (unreachable, "NoExecute")]
        default: taints += [(notReady, "NoSchedule"), (notReady, "NoExecute")]
        }
        for (type, key) in pressures.sorted(by: { $0.key < $1.key }) where status(type) == "True" { taints.append((key, "NoSchedule")) }
        if node["spec"]?["unschedulable"] == true { taints.append((unschedulable, "NoSchedule")) }
        return taints
    }

    /// The node's taints after the change; `nil` where they are right already.
    static func change(_ node: JSON, at now: Timestamp) -> [JSON]? {
        let current = node["spec"]?["taints"]?.array ?? []
        let wanted = wanted(node)
        func name(_ taint: JSON) -> String { "\(taint["key"]?.string ?? "")/\(taint["effect"]?.string ?? "")" }
        var result = current.filter { taint in
            !own.contains(taint["key"]?.string ?? "") || wanted.contains { "\($0.key)/\($0.effect)" == name(taint) }
        }
        for (key, effect) in wanted where !result.contains(where: { name($0) == "\(key)/\(effect)" }) {
            result.append(["key": JSON(key), "effect": JSON(effect), "timeAdded": JSON(now.rfc3339)])
        }
        return Set(result.map(name)) == Set(current.map(name)) ? nil : result
    }
}

/// When each node's lease was last seen to change, by this machine's clock: nodes' clocks may differ.
private final class HeardLeases: Sendable {
    private let heard = Mutex<[String: (text: String, at: Double)]>([:])

    /// False where nothing changed.
    func note(_ name: String, _ text: String) -> Bool {
        heard.withLock { heard in
            guard heard[name]?.text != text else { return false }
            heard[name] = (text, monotonicSeconds())
            return true
        }
    }

    func time(_ name: String) -> Double? { heard.withLock { $0[name]?.at } }
}

struct LabNodeLifecycle: Controller {
    private let context: ControllerContext
    private let nodes: Informer
    private let leases: Informer
    private let pods: Informer
    private let queue = WorkQueue()
    private let heard = HeardLeases()

    init(_ context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(.nodes)
        leases = context.informers.informer(.leases)
        pods = context.informers.informer(.pods)
        pods.addIndex("node") { PodFacts.node($0).isEmpty ? [] : [PodFacts.node($0)] }
    }

    func run() async throws {
        let events = context.events("node-controller")
        try await reconcile(
            queue, workers: 1, caches: [nodes, leases, pods], events: events,
            feeds: [
                nodes.feed(queue),
                {
                    for await change in leases.changes() {
                        let lease = change.object
                        guard lease.metaNamespace == "kube-node-lease" else { continue }
                        note(lease)
                    }
                    try Task.checkCancellation()
                },
                {
                    for await change in nodes.changes() {
                        guard case .added(let node) = change else { continue }
                        events.record(
                            "Normal", "RegisteredNode", "Node \(node.metaName) event: Registered Node \(node.metaName) in Controller",
                            about: node)
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { key in
            let name = key.hasPrefix("lease/") ? String(key.dropFirst("lease/".count)) : key
            if key.hasPrefix("lease/") { try await look(name, events) } else { try await setTaints(name) }
        }
    }

    /// A lease that changed is a sign of life; the next one is due before the grace time is over.
    private func note(_ lease: JSON) {
        let text = lease["spec"]?["renewTime"]?.string ?? ""
        if heard.note(lease.metaName, text) {
            queue.add("lease/" + lease.metaName, afterMilliseconds: Int(NodeHealth.graceSeconds * 1000) + 100)
        }
    }

    private func look(_ name: String, _ events: EventWriter) async throws {
        guard let node = nodes.item(name: name), let last = heard.time(name) else { return }
        guard monotonicSeconds() - last >= NodeHealth.graceSeconds else { return }
        let now = JSON(context.clock.now().rfc3339)
        var conditions = node["status"]?["conditions"]?.array ?? []
        var hasChanged = false
        for index in conditions.indices where conditions[index]["status"] != "Unknown" && conditions[index]["type"] != "NetworkUnavailable"
        {
            conditions[index]["status"] = "Unknown"
            conditions[index]["reason"] = "NodeStatusUnknown"
            conditions[index]["message"] = "Kubelet stopped posting node status."
            conditions[index]["lastTransitionTime"] = now
            hasChanged = true
        }
        guard hasChanged else { return }
        var status = node["status"] ?? .emptyObject
        status["conditions"] = .array(conditions)
        let wanted = status
        try await ignoring { try await context.setStatus(.nodes, of: node, to: wanted) }
        events.record("Normal", "NodeNotReady", "Node \(name) status is now: NodeNotReady", about: node)
        for pod in pods.items(index: "node", value: name) { try await markNotReady(pod, now) }
    }

    /// What runs on a node that nobody hears of does not count as ready.
    private func markNotReady(_ pod: JSON, _ now: JSON) async throws {
        var status = pod["status"] ?? .emptyObject
        guard var conditions = status["conditions"]?.array,
            let index = conditions.firstIndex(where: { $0["type"] == "Ready" && $0["status"] == "True" })
        else { return }
        conditions[index]["status"] = "False"
        conditions[index]["lastTransitionTime"] = now
        status["conditions"] = .array(conditions)
        let wanted = status
        try await ignoring { try await context.setStatus(.pods, of: pod, to: wanted) }
    }

    private func setTaints(_ name: String) async throws {
        guard let node = nodes.item(name: name), let taints = NodeTaints.change(node, at: context.clock.now()) else { return }
        try await ignoring {
            try await context.patch(
                .nodes, node, as: .merge,
                ["metadata": ["resourceVersion": JSON(node.metaResourceVersion)], "spec": ["taints": .array(taints)]])
        }
    }
}

/// Deletes pods from nodes whose taints they do not bear, in the time they bear them.
struct TaintEviction: Controller {
    private let context: ControllerContext
    private let nodes: Informer
    private let pods: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(.nodes)
        pods = context.informers.informer(.pods)
        pods.addIndex("node") { PodFacts.node($0).isEmpty ? [] : [PodFacts.node($0)] }
    }

    /// Seconds until the pod must go: 0 is now, `nil` never.
    static func patience(_ pod: JSON, _ taints: [JSON], at now: Timestamp) -> Double? {
        let strict = taints.filter { $0["effect"] == "NoExecute" }
        let tolerations = pod["spec"]?["tolerations"]?.array ?? []
        var least: Double?
        for taint in strict {
            let bearing = tolerations.filter { tolerates($0, taint) }
            if bearing.isEmpty { return 0 }
            let limits = bearing.compactMap { $0["tolerationSeconds"]?.number }
            guard let limit = limits.min() else { continue }
            let since = taint["timeAdded"]?.string.flatMap { Timestamp(rfc3339: $0) } ?? now
            let left = max(0, limit - now.since(since))
            least = min(least ?? left, left)
        }
        return least
    }

    private static func tolerates(_ toleration: JSON, _ taint: JSON) -> Bool {
        let effect = toleration["effect"]?.string ?? ""
        guard effect.isEmpty || effect == taint["effect"]?.string else { return false }
        let key = toleration["key"]?.string ?? ""
        if toleration["operator"] == "Exists" { return key.isEmpty || key == taint["key"]?.string }
        return key == taint["key"]?.string && (toleration["value"]?.string ?? "") == (taint["value"]?.string ?? "")
    }

    func run() async throws {
        let events = context.events("taint-eviction-controller")
        try await reconcile(
            queue, workers: 2, caches: [nodes, pods], events: events,
            feeds: [
                {
                    for await change in nodes.changes() {
                        let node = change.object
                        guard (node["spec"]?["taints"]?.array ?? []).contains(where: { $0["effect"] == "NoExecute" }) else { continue }
                        for pod in pods.items(index: "node", value: node.metaName) { queue.add(pod.objectKey) }
                    }
                    try Task.checkCancellation()
                },
                pods.feed(queue),
            ]
        ) { key in
            guard let pod = pods.item(key: key), !pod.isBeingDeleted, let node = nodes.item(name: PodFacts.node(pod)) else { return }
            let taints = node["spec"]?["taints"]?.array ?? []
            guard let left = Self.patience(pod, taints, at: context.clock.now()) else { return }
            if left > 0 { return queue.add(key, afterMilliseconds: Int(left * 1000) + 10) }
            events.record("Normal", "TaintManagerEviction", "Marking for deletion Pod \(pod.objectKey)", about: pod)
            try await context.delete(.pods, pod)
        }
    }
}
