// Where a pod fits: the state of all nodes, and the decision for one pod. No clock, no client, no waiting.
internal import ClusterModel
internal import Essentials

/// One node as placing sees it.
struct NodeState: Sendable {
    var node: JSON
    var allocatable: [String: Quantity]
    /// What the pods on it set aside, and those that are about to come.
    var used: [String: Quantity] = [:]

    init(node: JSON) {
        self.node = node
        allocatable = [:]
        for (name, text) in node["status"]?["allocatable"]?.strings ?? [:] { allocatable[name] = Quantity(text) }
    }
}

enum PlacementDecision: Sendable, Equatable {
    case bind(node: String)
    /// Upstream's sentence.
    case impossible(message: String)
}

struct Placement: Sendable {
    private(set) var nodes: [String: NodeState] = [:]
    /// Node and amounts by pod, for pods that are bound or about to be.
    private var placed: [String: (node: String, amounts: [String: Quantity])] = [:]

    mutating func set(node: JSON) {
        var state = NodeState(node: node)
        state.used = nodes[node.metaName]?.used ?? used(on: node.metaName)
        nodes[node.metaName] = state
    }

    mutating func remove(node: String) { nodes[node] = nil }

    /// Counts `pod` on its node.
    mutating func set(pod: JSON) {
        if PodUse.hasEnded(pod) { return remove(pod: pod.objectKey) }
        guard let node = pod["spec"]?["nodeName"]?.string, !node.isEmpty else { return }
        assume(pod, on: node)
    }

    mutating func assume(_ pod: JSON, on node: String) {
        remove(pod: pod.objectKey)
        let amounts = PodUse.requests(pod)
        placed[pod.objectKey] = (node, amounts)
        for (name, amount) in amounts {
            let sum = (nodes[node]?.used[name] ?? .zero) + amount
            nodes[node]?.used[name] = sum
        }
    }

    mutating func remove(pod key: String) {
        guard let (node, amounts) = placed.removeValue(forKey: key) else { return }
        for (name, amount) in amounts {
            let sum = (nodes[node]?.used[name] ?? .zero) - amount
            nodes[node]?.used[name] = sum
        }
    }

    func isPlaced(_ key: String) -> Bool { placed[key] != nil }

    private func used(on node: String) -> [String: Quantity] {
        var sum: [String: Quantity] = [:]
        for entry in placed.values where entry.node == node {
            for (name, amount) in entry.amounts { sum[name] = (sum[name] ?? .zero) + amount }
        }
        return sum
    }

    func decide(_ pod: JSON) -> PlacementDecision {
        if nodes.isEmpty { return .impossible(message: "no nodes available to schedule pods") }
        let requests = PodUse.requests(pod)
        var best: (name: String, score: Double)?
        var reasons: [String: Int] = [:]
        var helpless = 0
        for (name, state) in nodes {
            let refusal = refuses(pod, requests, state)
            guard refusal.reasons.isEmpty else {
                for reason in refusal.reasons { reasons[reason, default: 0] += 1 }
                if refusal.isFinal { helpless += 1 }
                continue
            }
            let score = score(pod, requests, state)
            if best == nil || score > best?.score ?? 0 || (score == best?.score && name < best?.name ?? "") { best = (name, score) }
        }
        if let best { return .bind(node: best.name) }
        return .impossible(message: message(reasons, helpless: helpless))
    }

    /// The least used node wins; one that would rather not have the pod comes last.
    private func score(_ pod: JSON, _ requests: [String: Quantity], _ state: NodeState) -> Double {
        var free = 0.0
        for name in ["cpu", "memory", "pods"] {
            guard let total = state.allocatable[name], !total.isZero else { continue }
            let used = (state.used[name] ?? .zero) + (requests[name] ?? .zero)
            free += 1 - Double(used.milliValue) / Double(total.milliValue)
        }
        let unwelcome = Taints.untolerated(by: pod, of: state.node, effects: ["PreferNoSchedule"]) != nil
        return free - (unwelcome ? 10 : 0)
    }

    private func refuses(_ pod: JSON, _ requests: [String: Quantity], _ state: NodeState) -> (reasons: [String], isFinal: Bool) {
        let spec = pod["spec"] ?? .null
        if state.node["spec"]?["unschedulable"] == true,
            !Taints.tolerates(pod, ["key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"])
        {
            return (["node(s) were unschedulable"], true)
        }
        if let taint = Taints.untolerated(by: pod, of: state.node, effects: ["NoSchedule", "NoExecute"]) {
            return (["node(s) had untolerated taint {\(taint["key"]?.string ?? ""): \(taint["value"]?.string ?? "")}"], true)
        }
        let labels = state.node.metaLabels
        let selects = (spec["nodeSelector"]?.strings ?? [:]).allSatisfy { labels[$0.key] == $0.value }
        guard selects, Affinity.allows(spec, labels: labels, name: state.node.metaName) else {
            return (["node(s) didn't match Pod's node affinity/selector"], true)
        }
        var reasons: [String] = []
        for (name, amount) in requests.sorted(by: { $0.key < $1.key }) where !amount.isZero {
            let total = state.allocatable[name] ?? (name.hasPrefix("lectern.dev/") ? amount + amount + (state.used[name] ?? .zero) : .zero)
            if (state.used[name] ?? .zero) + amount > total { reasons.append(name == "pods" ? "Too many pods" : "Insufficient \(name)") }
        }
        return (reasons, false)
    }

    private func message(_ reasons: [String: Int], helpless: Int) -> String {
        let count = nodes.count
        let texts = reasons.map { "\($0.value) \($0.key)" }.sorted()
        var preemption: [String] = []
        if count > helpless { preemption.append("\(count - helpless) No preemption victims found for incoming pod") }
        if helpless > 0 { preemption.append("\(helpless) Preemption is not helpful for scheduling") }
        return "0/\(count) nodes are available: \(texts.joined(separator: ", ")). "
            + "preemption: 0/\(count) nodes are available: \(preemption.joined(separator: ", "))."
    }
}

enum Taints {
    static func untolerated(by pod: JSON, of node: JSON, effects: [String]) -> JSON? {
        node["spec"]?["taints"]?.array?.first { taint in effects.contains(taint["effect"]?.string ?? "") && !tolerates(pod, taint) }
    }

    static func tolerates(_ pod: JSON, _ taint: JSON) -> Bool {
        (pod["spec"]?["tolerations"]?.array ?? []).contains { toleration in
            if let effect = toleration["effect"]?.string, !effect.isEmpty, effect != taint["effect"]?.string { return false }
            let key = toleration["key"]?.string ?? ""
            if !key.isEmpty, key != taint["key"]?.string { return false }
            switch toleration["operator"]?.string ?? "Equal" {
            case "Exists": return true
            case "Equal", "": return !key.isEmpty && (toleration["value"]?.string ?? "") == (taint["value"]?.string ?? "")
            default: return false
            }
        }
    }
}

enum Affinity {
    /// Whether one of the required node terms, if there are any, holds.
    static func allows(_ spec: JSON, labels: [String: String], name: String) -> Bool {
        let terms = spec[path: ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]]?.array
        guard let terms else { return true }
        return terms.contains { term in
            let onLabels = term["matchExpressions"]?.array ?? []
            let onFields = term["matchFields"]?.array ?? []
            guard !onLabels.isEmpty || !onFields.isEmpty else { return false }
            return holds(onLabels, labels) && holds(onFields, ["metadata.name": name])
        }
    }

    private static func holds(_ expressions: [JSON], _ values: [String: String]) -> Bool {
        guard let selector = try? LabelSelector(structured: ["matchExpressions": .array(expressions)]) else { return false }
        return selector.matches(values)
    }
}
