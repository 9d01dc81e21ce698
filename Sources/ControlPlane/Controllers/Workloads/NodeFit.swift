// Whether a pod's own wishes and a node's taints let the two come together; resources are the scheduler's concern.
internal import ClusterModel
internal import Essentials

enum NodeFit {
    /// Whether node name, node selector and required node affinity of a pod's spec allow the node.
    static func selects(_ spec: JSON, _ node: JSON) -> Bool {
        if let wanted = spec["nodeName"]?.string, !wanted.isEmpty, wanted != node.metaName { return false }
        let labels = node.metaLabels
        for (key, value) in spec["nodeSelector"]?.strings ?? [:] where labels[key] != value { return false }
        let path = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]
        guard let terms = spec[path: path]?.array else { return true }
        return terms.contains { term in
            let labelled = term["matchExpressions"]?.array ?? []
            let named = term["matchFields"]?.array ?? []
            guard !labelled.isEmpty || !named.isEmpty else { return false }
            return holds(labelled, labels) && holds(named, ["metadata.name": node.metaName])
        }
    }

    private static func holds(_ expressions: [JSON], _ values: [String: String]) -> Bool {
        guard let selector = try? LabelSelector(structured: ["matchExpressions": JSON(expressions)]) else { return false }
        return selector.matches(values)
    }

    /// Whether the pod stands all taints of these effects.
    static func tolerates(_ spec: JSON, _ node: JSON, effects: Set<String>) -> Bool {
        let tolerations = spec["tolerations"]?.array ?? []
        return (node["spec"]?["taints"]?.array ?? []).allSatisfy { taint in
            !effects.contains(taint["effect"]?.string ?? "") || tolerations.contains { matches($0, taint) }
        }
    }

    static func matches(_ toleration: JSON, _ taint: JSON) -> Bool {
        if let effect = toleration["effect"]?.string, !effect.isEmpty, effect != taint["effect"]?.string { return false }
        let key = toleration["key"]?.string ?? ""
        let isExists = toleration["operator"]?.string == "Exists"
        if key.isEmpty { return isExists }
        guard key == taint["key"]?.string else { return false }
        return isExists || toleration["value"]?.string ?? "" == taint["value"]?.string ?? ""
    }
}
