// What placing depends on of a node, and what is on it.
internal import ClusterModel
internal import Essentials

struct NodeFacts: Sendable {
    let name: String
    let labels: [String: String]
    let taints: [JSON]
    let isUnschedulable: Bool
    let allocatable: Amounts
    /// Bytes by name of the image.
    let images: [String: Int64]
    /// The pods that are on it or about to come, by key.
    var pods: [String: PodFacts] = [:]
    var used: Amounts = [:]
    var scored: Amounts = [:]

    init(_ node: JSON) {
        name = node.metaName
        labels = node.metaLabels
        taints = node["spec"]?["taints"]?.array ?? []
        isUnschedulable = node["spec"]?["unschedulable"] == true
        allocatable = Amounts(quantities: node["status"]?["allocatable"])
        var images: [String: Int64] = [:]
        for image in node["status"]?["images"]?.array ?? [] {
            for name in image["names"]?.array?.compactMap(\.string) ?? [] { images[name] = image["sizeBytes"]?.integer ?? 0 }
        }
        self.images = images
    }

    mutating func add(_ pod: PodFacts) {
        remove(pod.key)
        pods[pod.key] = pod
        used.add(pod.requests)
        scored.add(pod.scored)
    }

    mutating func remove(_ key: String) {
        guard let pod = pods.removeValue(forKey: key) else { return }
        used.subtract(pod.requests)
        scored.subtract(pod.scored)
    }

    func untolerated(by pod: PodFacts, effects: Set<String>) -> JSON? {
        taints.first { taint in effects.contains(taint["effect"]?.string ?? "") && !pod.tolerates(taint) }
    }

    static let unschedulableTaint: JSON = ["key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"]
    static let refusingEffects: Set<String> = ["NoSchedule", "NoExecute"]
}
