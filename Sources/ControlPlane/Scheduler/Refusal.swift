// Why a node does not take a pod, and how that is told: upstream's words.

/// One reason or several, of one filter.
struct Refusal: Error, Sendable, Equatable {
    var reasons: [String]
    /// Nothing that other pods do would help.
    var isFinal: Bool

    init(_ reason: String, isFinal: Bool = false) {
        reasons = [reason]
        self.isFinal = isFinal
    }

    init(reasons: [String]) {
        self.reasons = reasons
        isFinal = false
    }

    static let unschedulable = Refusal("node(s) were unschedulable", isFinal: true)
    static let notNamed = Refusal("node(s) didn't match the requested node name", isFinal: true)
    static let affinity = Refusal("node(s) didn't match Pod's node affinity/selector", isFinal: true)
    static let notAmongNamed = Refusal("node(s) didn't satisfy plugin(s) [NodeAffinity]", isFinal: true)
    static let ports = Refusal("node(s) didn't have free ports for the requested pod ports")
    static let volumesElsewhere = Refusal("node(s) had volume node affinity conflict", isFinal: true)
    static let volumesLost = Refusal("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", isFinal: true)
    static let noVolumes = Refusal("node(s) didn't find available persistent volumes to bind", isFinal: true)
    static let spread = Refusal("node(s) didn't match pod topology spread constraints")
    static let spreadLabel = Refusal("node(s) didn't match pod topology spread constraints (missing required label)", isFinal: true)
    static let podAffinity = Refusal("node(s) didn't match pod affinity rules", isFinal: true)
    static let podAntiAffinity = Refusal("node(s) didn't match pod anti-affinity rules")
    static let othersAntiAffinity = Refusal("node(s) didn't satisfy existing pods anti-affinity rules")

    static func taint(_ key: String, _ value: String) -> Refusal {
        Refusal("node(s) had untolerated taint {\(key): \(value)}", isFinal: true)
    }

    static let noVictims = "No preemption victims found for incoming pod"
    static let unhelpful = "Preemption is not helpful for scheduling"

    /// `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) …`, with a full stop.
    static func sentence(nodes: Int, _ reasons: [String: Int]) -> String {
        let texts = reasons.map { "\($0.value) \($0.key)" }.sorted()
        return "0/\(nodes) nodes are available:" + (texts.isEmpty ? "" : " \(texts.joined(separator: ", ")).")
    }
}
