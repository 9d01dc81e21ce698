// What a pod's place has to do with pods on other nodes: affinity, anti-affinity and spread, counted once for all nodes.
internal import ClusterModel

/// A label of nodes with one of its values.
struct Topology: Hashable, Sendable {
    var key: String
    var value: String
}

struct Neighbourhood: Sendable {
    /// The only nodes that the pod can mean.
    let namedNodes: Set<String>?

    /// Where pods are that all of the pod's affinity terms select.
    private var attracting: Set<Topology> = []
    /// No pod anywhere is selected, and the pod selects itself: it may be the first.
    private var isFirst = false
    /// Where pods are that one of the pod's anti-affinity terms selects.
    private var repelling: Set<Topology> = []
    /// Where pods are whose anti-affinity selects the pod.
    private var repelledBy: Set<Topology> = []

    private struct Spread: Sendable {
        var constraint: SpreadConstraint
        /// Pods by value of the label, on nodes that count.
        var counts: [String: Int] = [:]
        var selectsItself = false
    }
    private var hard: [Spread] = []
    private(set) var soft: [SoftSpread] = []
    /// What preferred terms, the pod's and others', add up to.
    private(set) var preference: [Topology: Int64] = [:]

    /// A constraint that only makes scores.
    struct SoftSpread: Sendable {
        var constraint: SpreadConstraint
        var counts: [String: Int]
    }

    /// Upstream spreads the pods of a controller by these when they say nothing of their own.
    private static let usualSpread = [(skew: 3, key: "kubernetes.io/hostname"), (skew: 5, key: "topology.kubernetes.io/zone")]

    init(of pod: PodFacts, in placement: Placement) {
        namedNodes = pod.namedNodes
        countTerms(of: pod, placement)
        for constraint in pod.spread where constraint.isHard { hard.append(Self.spread(constraint, pod, placement)) }
        for constraint in pod.spread where !constraint.isHard {
            let counted = Self.spread(constraint, pod, placement)
            soft.append(SoftSpread(constraint: constraint, counts: counted.counts))
        }
        if pod.spread.isEmpty, !pod.ownerUID.isEmpty { countUsual(pod, placement) }
    }

    /// Whether counting looks at namespaces' labels.
    static func asksForNamespaces(_ pod: PodFacts) -> Bool {
        [pod.affinity, pod.antiAffinity, pod.preferredPods, pod.unwantedPods].contains { terms in
            terms.contains { $0.namespaceSelector.map { !$0.isEmpty } ?? false }
        }
    }

    // MARK: Counting

    private mutating func countTerms(of pod: PodFacts, _ placement: Placement) {
        let namespaces = placement.namespaceLabels
        func topology(_ term: PodTerm, _ node: NodeFacts) -> Topology? {
            node.labels[term.topologyKey].map { Topology(key: term.topologyKey, value: $0) }
        }
        let looksAtAll = !(pod.affinity.isEmpty && pod.antiAffinity.isEmpty && pod.preferredPods.isEmpty && pod.unwantedPods.isEmpty)
        var isAnySelected = false
        if looksAtAll {
            for node in placement.nodes.values {
                for other in node.pods.values {
                    if !pod.affinity.isEmpty, pod.affinity.allSatisfy({ $0.selects(other, namespaceLabels: namespaces) }) {
                        for term in pod.affinity {
                            guard let place = topology(term, node) else { continue }
                            isAnySelected = true
                            attracting.insert(place)
                        }
                    }
                    for term in pod.antiAffinity where term.selects(other, namespaceLabels: namespaces) {
                        if let place = topology(term, node) { repelling.insert(place) }
                    }
                    for (terms, sign) in [(pod.preferredPods, Int64(1)), (pod.unwantedPods, -1)] {
                        for term in terms where term.selects(other, namespaceLabels: namespaces) {
                            if let place = topology(term, node) { preference[place, default: 0] += sign * term.weight }
                        }
                    }
                }
            }
        }
        isFirst = !isAnySelected && pod.affinity.allSatisfy { $0.selects(pod, namespaceLabels: namespaces) }
        for key in placement.selective {
            guard let (node, other) = placement.place(of: key) else { continue }
            for term in other.antiAffinity where term.selects(pod, namespaceLabels: namespaces) {
                if let place = topology(term, node) { repelledBy.insert(place) }
            }
            for term in other.affinity where term.selects(pod, namespaceLabels: namespaces) {
                if let place = topology(term, node) { preference[place, default: 0] += PodFacts.hardAffinityWeight }
            }
            for (terms, sign) in [(other.preferredPods, Int64(1)), (other.unwantedPods, -1)] {
                for term in terms where term.selects(pod, namespaceLabels: namespaces) {
                    if let place = topology(term, node) { preference[place, default: 0] += sign * term.weight }
                }
            }
        }
    }

    private static func spread(_ constraint: SpreadConstraint, _ pod: PodFacts, _ placement: Placement) -> Spread {
        var spread = Spread(constraint: constraint, selectsItself: constraint.selector.matches(pod.labels))
        for node in placement.nodes.values {
            // A node counts only where all the labels of its kind of constraints are.
            let keys = pod.spread.filter { $0.isHard == constraint.isHard }.map(\.topologyKey)
            guard let value = node.labels[constraint.topologyKey], keys.allSatisfy({ node.labels[$0] != nil }) else { continue }
            if constraint.honorsAffinity, !pod.isWanted(by: node) { continue }
            if constraint.honorsTaints, node.untolerated(by: pod, effects: NodeFacts.refusingEffects) != nil { continue }
            spread.counts[value, default: 0] += node.pods.values.count {
                $0.namespace == pod.namespace && !$0.isBeingDeleted && constraint.selector.matches($0.labels)
            }
        }
        return spread
    }

    private mutating func countUsual(_ pod: PodFacts, _ placement: Placement) {
        for (skew, key) in Self.usualSpread {
            var counts: [String: Int] = [:]
            for node in placement.nodes.values {
                guard let value = node.labels[key] else { continue }
                counts[value, default: 0] += node.pods.values.count { $0.ownerUID == pod.ownerUID && !$0.isBeingDeleted }
            }
            guard counts.count > 1 else { continue }
            soft.append(
                SoftSpread(
                    constraint: SpreadConstraint(maxSkew: skew, topologyKey: key, selector: LabelSelector()), counts: counts))
        }
    }

    // MARK: Deciding

    func refusal(by node: NodeFacts, of pod: PodFacts) -> Refusal? {
        for spread in hard {
            guard let value = node.labels[spread.constraint.topologyKey] else { return .spreadLabel }
            var least = spread.counts.values.min() ?? 0
            if spread.counts.count < spread.constraint.minDomains { least = 0 }
            let here = (spread.counts[value] ?? 0) + (spread.selectsItself ? 1 : 0)
            if here - least > spread.constraint.maxSkew { return .spread }
        }
        func places(_ terms: [PodTerm]) -> [Topology?] {
            terms.map { term in node.labels[term.topologyKey].map { Topology(key: term.topologyKey, value: $0) } }
        }
        if !pod.affinity.isEmpty {
            let here = places(pod.affinity)
            guard here.allSatisfy({ $0 != nil }), isFirst || here.allSatisfy({ $0.map(attracting.contains) ?? false }) else {
                return .podAffinity
            }
        }
        if places(pod.antiAffinity).contains(where: { $0.map(repelling.contains) ?? false }) { return .podAntiAffinity }
        if repelledBy.contains(where: { node.labels[$0.key] == $0.value }) { return .othersAntiAffinity }
        return nil
    }

    /// Scores of preferred pod affinity before they are brought to one scale.
    func preference(for node: NodeFacts) -> Int64 {
        preference.reduce(0) { $0 + (node.labels[$1.key.key] == $1.key.value ? $1.value : 0) }
    }
}
