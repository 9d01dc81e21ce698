// What placing a pod depends on, read once from its document.
internal import ClusterModel
internal import Essentials

/// Amounts by resource: thousandths of a cpu, whole units of all else.
typealias Amounts = [String: Int64]

extension Amounts {
    /// Reads quantities; what is no quantity counts as nothing.
    init(quantities: JSON?) {
        self = [:]
        for (name, value) in quantities?.members ?? [] {
            let text = value.string ?? value.integer.map { String($0) } ?? ""
            if let amount = Quantity(text) { self[name] = name == "cpu" ? amount.milliValue : amount.value }
        }
    }

    mutating func add(_ other: Amounts) { for (name, amount) in other { self[name, default: 0] += amount } }
    mutating func subtract(_ other: Amounts) { for (name, amount) in other { self[name, default: 0] -= amount } }
    mutating func raise(to other: Amounts) { for (name, amount) in other { self[name] = Swift.max(self[name] ?? 0, amount) } }
}

/// A port of the node that a container takes.
struct HostPort: Sendable, Hashable {
    var address: String
    var protocolName: String
    var port: Int

    func conflicts(with other: HostPort) -> Bool {
        port == other.port && protocolName == other.protocolName
            && (address == other.address || address == "0.0.0.0" || other.address == "0.0.0.0")
    }
}

/// Which pods, and within what: a term of pod affinity or anti-affinity.
struct PodTerm: Sendable {
    var selector: LabelSelector?
    /// Names of namespaces; with `namespaceSelector` those that it selects too.
    var namespaces: Set<String>
    var namespaceSelector: LabelSelector?
    var topologyKey: String
    var weight: Int64 = 0

    /// `owner` is the pod that has the term.
    init(_ term: JSON, owner: JSON, weight: Int64 = 0) {
        let labels = owner.metaLabels
        var selector = term["labelSelector"].flatMap { $0.isNull ? nil : try? LabelSelector(structured: $0) }
        for (list, isIn) in [("matchLabelKeys", true), ("mismatchLabelKeys", false)] {
            for key in term[list]?.array?.compactMap(\.string) ?? [] {
                guard let value = labels[key] else { continue }
                selector?.requirements.append(LabelSelector.Requirement(key: key, operator: isIn ? .in : .notIn, values: [value]))
            }
        }
        self.selector = selector
        namespaces = Set(term["namespaces"]?.array?.compactMap(\.string) ?? [])
        namespaceSelector = term["namespaceSelector"].flatMap { $0.isNull ? nil : try? LabelSelector(structured: $0) }
        if namespaces.isEmpty, namespaceSelector == nil { namespaces = [owner.metaNamespace ?? ""] }
        topologyKey = term["topologyKey"]?.string ?? ""
        self.weight = weight
    }

    func selects(_ pod: PodFacts, namespaceLabels: [String: [String: String]]) -> Bool {
        guard let selector else { return false }
        var isThere = namespaces.contains(pod.namespace)
        if !isThere, let namespaceSelector {
            isThere = namespaceSelector.isEmpty || namespaceLabels[pod.namespace].map(namespaceSelector.matches) ?? false
        }
        return isThere && selector.matches(pod.labels)
    }
}

/// How evenly pods lie over the values of a label of nodes.
struct SpreadConstraint: Sendable {
    var maxSkew: Int
    var topologyKey: String
    var isHard: Bool
    var minDomains: Int
    var selector: LabelSelector
    var honorsAffinity: Bool
    var honorsTaints: Bool

    init(maxSkew: Int, topologyKey: String, selector: LabelSelector) {
        self.maxSkew = maxSkew
        self.topologyKey = topologyKey
        self.selector = selector
        isHard = false
        minDomains = 1
        honorsAffinity = true
        honorsTaints = false
    }

    init(_ constraint: JSON, owner: JSON) {
        maxSkew = constraint["maxSkew"]?.int ?? 1
        topologyKey = constraint["topologyKey"]?.string ?? ""
        isHard = constraint["whenUnsatisfiable"]?.string != "ScheduleAnyway"
        minDomains = constraint["minDomains"]?.int ?? 1
        // No selector selects nothing.
        let nothing = LabelSelector(requirements: [LabelSelector.Requirement(key: "", operator: .in)])
        var selector = constraint["labelSelector"].flatMap { $0.isNull ? nil : try? LabelSelector(structured: $0) } ?? nothing
        let labels = owner.metaLabels
        for key in constraint["matchLabelKeys"]?.array?.compactMap(\.string) ?? [] {
            guard let value = labels[key] else { continue }
            selector.requirements.append(LabelSelector.Requirement(key: key, operator: .in, values: [value]))
        }
        self.selector = selector
        honorsAffinity = constraint["nodeAffinityPolicy"]?.string != "Ignore"
        honorsTaints = constraint["nodeTaintsPolicy"]?.string == "Honor"
    }
}

/// One term of node affinity: labels and names that a node must have.
struct NodeTerm: Sendable {
    var labels: LabelSelector
    var fields: LabelSelector
    var isEmpty: Bool { labels.isEmpty && fields.isEmpty }
    /// Something in it cannot be understood; it selects nothing.
    var isBroken = false

    init(_ term: JSON) {
        func selector(_ name: String) -> LabelSelector? {
            try? LabelSelector(structured: ["matchExpressions": term[name] ?? []])
        }
        let (labels, fields) = (selector("matchExpressions"), selector("matchFields"))
        isBroken = labels == nil || fields == nil
        self.labels = labels ?? LabelSelector()
        self.fields = fields ?? LabelSelector()
    }

    func selects(_ node: NodeFacts) -> Bool {
        !isBroken && !isEmpty && labels.matches(node.labels) && fields.matches(["metadata.name": node.name])
    }

    /// The one node that the term can mean.
    var nodeName: String? {
        fields.requirements.first { $0.key == "metadata.name" && $0.operator == .in && $0.values.count == 1 }?.values.first
    }
}

struct PodFacts: Sendable {
    let key: String
    let uid: String
    let name: String
    let namespace: String
    let labels: [String: String]
    let nodeName: String
    var nominatedNode: String
    let priority: Int64
    let neverPreempts: Bool
    let isBeingDeleted: Bool
    /// What scheduling reserves.
    let requests: Amounts
    /// The same for scores: containers that ask for nothing count as a little.
    let scored: Amounts
    let asksForNothing: Bool
    let ports: [HostPort]
    let tolerations: [JSON]
    let nodeSelector: [String: String]
    /// `nil`: any node.
    let nodeTerms: [NodeTerm]?
    let preferredNodes: [(weight: Int64, term: NodeTerm)]
    let affinity: [PodTerm]
    let antiAffinity: [PodTerm]
    let preferredPods: [PodTerm]
    let unwantedPods: [PodTerm]
    let spread: [SpreadConstraint]
    /// The controller whose pods are spread by default.
    let ownerUID: String
    let images: [String]
    let imageContainers: Int
    /// Names of the claims of its volumes.
    let claims: [String]
    /// When it was given to its node, or made.
    let startTime: String

    static let usualCPU: Int64 = 100
    static let usualMemory: Int64 = 200 << 20
    /// As much as an existing pod's required affinity counts for one that it selects.
    static let hardAffinityWeight: Int64 = 1

    init(_ pod: JSON) {
        let spec = pod["spec"] ?? .null
        key = pod.objectKey
        uid = pod.metaUID
        name = pod.metaName
        namespace = pod.metaNamespace ?? ""
        labels = pod.metaLabels
        nodeName = spec["nodeName"]?.string ?? ""
        nominatedNode = pod["status"]?["nominatedNodeName"]?.string ?? ""
        priority = spec["priority"]?.integer ?? 0
        neverPreempts = spec["preemptionPolicy"]?.string == "Never"
        isBeingDeleted = pod.isBeingDeleted
        let containers = spec["containers"]?.array ?? []
        let starters = spec["initContainers"]?.array ?? []
        requests = Self.sum(spec, containers, starters, usual: false)
        scored = Self.sum(spec, containers, starters, usual: true)
        asksForNothing = requests.keys.allSatisfy { $0 == "pods" }
        ports = (containers + starters.filter { $0["restartPolicy"] == "Always" }).flatMap { container in
            (container["ports"]?.array ?? []).compactMap { port in
                guard let number = port["hostPort"]?.int, number > 0 else { return nil }
                let address = port["hostIP"]?.string ?? ""
                return HostPort(
                    address: address.isEmpty ? "0.0.0.0" : address, protocolName: port["protocol"]?.string ?? "TCP", port: number)
            }
        }
        tolerations = spec["tolerations"]?.array ?? []
        nodeSelector = spec["nodeSelector"]?.strings ?? [:]
        let affinity = spec["affinity"] ?? .null
        let nodes = affinity["nodeAffinity"] ?? .null
        nodeTerms = nodes[path: ["requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]]?.array?.map(NodeTerm.init)
        preferredNodes = (nodes["preferredDuringSchedulingIgnoredDuringExecution"]?.array ?? []).map {
            ($0["weight"]?.integer ?? 1, NodeTerm($0["preference"] ?? .null))
        }
        func terms(_ kind: String) -> (required: [PodTerm], preferred: [PodTerm]) {
            let part = affinity[kind] ?? .null
            return (
                (part["requiredDuringSchedulingIgnoredDuringExecution"]?.array ?? []).map { PodTerm($0, owner: pod) },
                (part["preferredDuringSchedulingIgnoredDuringExecution"]?.array ?? []).map {
                    PodTerm($0["podAffinityTerm"] ?? .null, owner: pod, weight: $0["weight"]?.integer ?? 1)
                }
            )
        }
        (self.affinity, preferredPods) = terms("podAffinity")
        (antiAffinity, unwantedPods) = terms("podAntiAffinity")
        spread = (spec["topologySpreadConstraints"]?.array ?? []).map { SpreadConstraint($0, owner: pod) }
        let owner = pod["metadata"]?["ownerReferences"]?.array?.first { $0["controller"] == true }
        ownerUID = ["ReplicaSet", "StatefulSet", "ReplicationController"].contains(owner?["kind"]?.string) ? owner?.metaOwnerUID ?? "" : ""
        images = (containers + starters).compactMap { $0["image"]?.string }
        imageContainers = containers.count + starters.count
        claims = (spec["volumes"]?.array ?? []).compactMap { volume in
            if let claim = volume["persistentVolumeClaim"]?["claimName"]?.string { return claim }
            guard let name = volume["name"]?.string, volume["ephemeral"]?.object != nil else { return nil }
            return pod.metaName + "-" + name
        }
        startTime = pod["status"]?["startTime"]?.string ?? pod["metadata"]?["creationTimestamp"]?.string ?? ""
    }

    /// What the pod needs at its hungriest: its containers and sidecars together, or one init container beside the sidecars
    /// that have started by then.
    private static func sum(_ spec: JSON, _ containers: [JSON], _ starters: [JSON], usual: Bool) -> Amounts {
        func need(_ container: JSON) -> Amounts {
            var amounts = Amounts(quantities: container["resources"]?["requests"])
            if usual {
                amounts = ["cpu": amounts["cpu"] ?? usualCPU, "memory": amounts["memory"] ?? usualMemory]
            }
            return amounts
        }
        var total: Amounts = [:]
        for container in containers { total.add(need(container)) }
        var sidecars: Amounts = [:]
        var start: Amounts = [:]
        for container in starters {
            if container["restartPolicy"] == "Always" {
                sidecars.add(need(container))
                start.raise(to: sidecars)
            } else {
                var beside = need(container)
                beside.add(sidecars)
                start.raise(to: beside)
            }
        }
        total.add(sidecars)
        total.raise(to: start)
        for (name, amount) in Amounts(quantities: spec["resources"]?["requests"]) { total[name] = amount }
        total.add(Amounts(quantities: spec["overhead"]))
        total["pods"] = 1
        return total
    }

    /// Whether a node's taint does not keep the pod away.
    func tolerates(_ taint: JSON) -> Bool {
        tolerations.contains { toleration in
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

    func isWanted(by node: NodeFacts) -> Bool {
        nodeSelector.allSatisfy { node.labels[$0.key] == $0.value } && nodeTerms?.contains { $0.selects(node) } ?? true
    }

    /// The nodes that its terms name one by one, where all terms do.
    var namedNodes: Set<String>? {
        guard let nodeTerms, !nodeTerms.isEmpty else { return nil }
        let names = nodeTerms.compactMap(\.nodeName)
        return names.count == nodeTerms.count ? Set(names) : nil
    }
}

extension JSON {
    fileprivate var metaOwnerUID: String { self["uid"]?.string ?? "" }
}
