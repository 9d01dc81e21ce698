// Where a pod fits: the state of all nodes, and the decision for one pod. No clock, no client, no waiting.
//
// A decision goes filter by filter as upstream's plugins do, in their order, and stops for a node at the first that refuses:
// unschedulable, name, taints, affinity, ports, resources, volumes, spread, pod affinity. What concerns more than one node is
// counted once before (`Neighbourhood`). Among the nodes that are left the best score wins (`Placement+Score.swift`); when
// there is none, `Placement+Preempt.swift` looks for pods that would have to go.
internal import ClusterModel
internal import Essentials

enum PlacementDecision: Sendable, Equatable {
    /// `volumes`: claims to bind first, and the volume, or none where one is to be made.
    case bind(node: String, volumes: [String: String?] = [:])
    /// Upstream's sentence.
    case impossible(message: String)
    /// Would fit on the node without `victims` (their keys, the least important last).
    case preempt(node: String, victims: [String], message: String)
}

struct Placement: Sendable {
    private(set) var nodes: [String: NodeFacts] = [:]
    /// Pods that are bound or about to be: their nodes, by key.
    private var placed: [String: String] = [:]
    /// Pods on nodes that are not known (yet).
    private var homeless: [String: PodFacts] = [:]
    /// Pods that count on a node where others have to go first, by key.
    private(set) var nominated: [String: PodFacts] = [:]
    /// Labels of namespaces, where some pod's affinity asks for them.
    var namespaceLabels: [String: [String: String]] = [:]
    /// Placed pods with terms of affinity, so that others need not look at all pods.
    private(set) var selective: Set<String> = []

    mutating func set(node: JSON) {
        var fresh = NodeFacts(node)
        for pod in nodes[fresh.name]?.pods.values ?? [:].values { fresh.add(pod) }
        for (key, pod) in homeless where pod.nodeName == fresh.name {
            fresh.add(pod)
            homeless[key] = nil
        }
        nodes[fresh.name] = fresh
    }

    mutating func remove(node name: String) {
        guard let gone = nodes.removeValue(forKey: name) else { return }
        for (key, pod) in gone.pods { homeless[key] = pod }
    }

    /// Counts `pod` on its node.
    mutating func set(pod: JSON) {
        if PodUse.hasEnded(pod) { return remove(pod: pod.objectKey) }
        guard let node = pod["spec"]?["nodeName"]?.string, !node.isEmpty else { return }
        assume(PodFacts(pod), on: node)
    }

    mutating func assume(_ pod: JSON, on node: String) { assume(PodFacts(pod), on: node) }

    mutating func assume(_ pod: PodFacts, on node: String) {
        remove(pod: pod.key)
        nominated[pod.key] = nil
        placed[pod.key] = node
        if !pod.antiAffinity.isEmpty || !pod.affinity.isEmpty || !pod.preferredPods.isEmpty || !pod.unwantedPods.isEmpty {
            selective.insert(pod.key)
        }
        if nodes[node] != nil { nodes[node]?.add(pod) } else { homeless[pod.key] = pod }
    }

    mutating func remove(pod key: String) {
        nominated[key] = nil
        selective.remove(key)
        homeless[key] = nil
        guard let node = placed.removeValue(forKey: key) else { return }
        nodes[node]?.remove(key)
    }

    func isPlaced(_ key: String) -> Bool { placed[key] != nil }

    func place(of key: String) -> (node: NodeFacts, pod: PodFacts)? {
        guard let name = placed[key], let node = nodes[name], let pod = node.pods[key] else { return nil }
        return (node, pod)
    }

    /// Keeps the place of a pod for which others go.
    mutating func nominate(_ pod: PodFacts, node: String) { nominated[pod.key] = PodFacts(nominating: pod, node) }
    mutating func forgetNomination(_ key: String) { nominated[key] = nil }

    func decide(_ pod: JSON) -> PlacementDecision { decide(PodFacts(pod)) }

    func decide(
        _ pod: PodFacts, claims: [ClaimFacts] = [], budgets: [BudgetFacts] = []
    ) -> PlacementDecision {
        if nodes.isEmpty { return .impossible(message: "no nodes available to schedule pods") }
        let volumes = VolumeDecision(claims: claims)
        if let refusal = volumes.refusalEverywhere {
            let unhelpful = Refusal.sentence(nodes: nodes.count, [Refusal.unhelpful: nodes.count])
            return .impossible(message: "0/\(nodes.count) nodes are available: \(refusal). preemption: \(unhelpful)")
        }
        let around = Neighbourhood(of: pod, in: self)
        var fitting: [NodeFacts] = []
        var refusals: [String: Refusal] = [:]
        for (name, node) in nodes {
            if let refusal = refusal(of: pod, by: withNominated(node, for: pod), volumes, around) {
                refusals[name] = refusal
            } else {
                fitting.append(node)
            }
        }
        if let best = best(of: fitting, for: pod, around) {
            guard case .success(let chosen) = volumes.choice(for: best) else { return .bind(node: best.name) }
            return .bind(node: best.name, volumes: chosen)
        }
        var reasons: [String: Int] = [:]
        for refusal in refusals.values { for reason in refusal.reasons { reasons[reason, default: 0] += 1 } }
        let sentence = Refusal.sentence(nodes: nodes.count, reasons)
        return preemption(for: pod, volumes, refusals, budgets, sentence)
    }

    /// The node with the pods that wait for a place on it, where they are as important.
    func withNominated(_ node: NodeFacts, for pod: PodFacts) -> NodeFacts {
        guard !nominated.isEmpty else { return node }
        var node = node
        for other in nominated.values where other.nominatedNode == node.name && other.key != pod.key && other.priority >= pod.priority {
            node.add(other)
        }
        return node
    }

    func refusal(of pod: PodFacts, by node: NodeFacts, _ volumes: VolumeDecision, _ around: Neighbourhood) -> Refusal? {
        if let named = around.namedNodes, !named.contains(node.name) { return .notAmongNamed }
        if node.isUnschedulable, !pod.tolerates(NodeFacts.unschedulableTaint) { return .unschedulable }
        if !pod.nodeName.isEmpty, pod.nodeName != node.name { return .notNamed }
        if let taint = node.untolerated(by: pod, effects: NodeFacts.refusingEffects) {
            return .taint(taint["key"]?.string ?? "", taint["value"]?.string ?? "")
        }
        if !pod.isWanted(by: node) { return .affinity }
        if !pod.ports.isEmpty {
            let taken = node.pods.values.lazy.flatMap(\.ports)
            if pod.ports.contains(where: { wanted in taken.contains { $0.conflicts(with: wanted) } }) { return .ports }
        }
        if let refusal = shortage(of: pod, on: node) { return refusal }
        if case .failure(let refusal) = volumes.choice(for: node) { return refusal }
        return around.refusal(by: node, of: pod)
    }

    private func shortage(of pod: PodFacts, on node: NodeFacts) -> Refusal? {
        var reasons: [String] = []
        for (name, amount) in pod.requests.sorted(by: { $0.key < $1.key }) where amount > 0 {
            let used = node.used[name] ?? 0
            // The host counts these itself; a node that does not know them has them without limit.
            let total = node.allocatable[name] ?? (name.hasPrefix("lectern.dev/") ? .max : 0)
            guard amount > total - used else { continue }
            if name == "pods" { reasons.insert("Too many pods", at: 0) } else { reasons.append("Insufficient \(name)") }
        }
        return reasons.isEmpty ? nil : Refusal(reasons: reasons)
    }
}

extension PodFacts {
    /// The same pod, waiting for a place on the node.
    init(nominating pod: PodFacts, _ node: String) {
        self = pod
        nominatedNode = node
    }
}
