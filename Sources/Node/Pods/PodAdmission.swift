// Whether this node takes a pod that was given to it: room, ports, and what the pod asks of its node.
package import ClusterModel
package import Essentials

package struct AdmissionRefusal: Sendable, Equatable {
    package var reason: String
    package var message: String
    package init(reason: String, message: String) {
        self.reason = reason
        self.message = message
    }
}

package enum PodAdmission {
    /// `others` are the pods that the node has already and that have not ended.
    package static func check(
        _ pod: JSON, others: [JSON], nodeName: String, labels: [String: String], allocatable: [String: Quantity]
    ) -> AdmissionRefusal? {
        let priority = pod["spec"]?["priority"]?.int ?? 0
        let isCritical = priority >= 2_000_000_000 || pod.metaAnnotations[StaticPods.sourceAnnotation] == "file"
        if !isCritical, let refusal = room(pod, others, allocatable) { return refusal }
        if !fits(pod, nodeName: nodeName, labels: labels) {
            return AdmissionRefusal(
                reason: "NodeAffinity",
                message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
        }
        let taken = others.flatMap(PodPlans.hostPorts)
        for port in PodPlans.hostPorts(pod) where taken.contains(where: { conflict($0, port) }) {
            return AdmissionRefusal(
                reason: "NodePorts", message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports")
        }
        return nil
    }

    private static func room(_ pod: JSON, _ others: [JSON], _ allocatable: [String: Quantity]) -> AdmissionRefusal? {
        func refusal(_ name: String, _ wanted: Int64, _ used: Int64, _ capacity: Int64) -> AdmissionRefusal {
            AdmissionRefusal(
                reason: "OutOf\(name)",
                message: "Node didn't have enough resource: \(name), requested: \(wanted), used: \(used), capacity: \(capacity)")
        }
        if let limit = allocatable["pods"]?.value, Int64(others.count) + 1 > limit {
            return refusal("pods", 1, Int64(others.count), limit)
        }
        let wanted = PodResources.requests(pod)
        guard !wanted.isEmpty else { return nil }
        var used: [String: Quantity] = [:]
        for other in others {
            for (name, amount) in PodResources.requests(other) { used[name] = (used[name] ?? .zero) + amount }
        }
        for name in wanted.keys.sorted() {
            guard let amount = wanted[name], !amount.isZero else { continue }
            let capacity = allocatable[name] ?? .zero
            guard capacity < amount + (used[name] ?? .zero) else { continue }
            let taken = used[name] ?? .zero
            if name == "cpu" { return refusal(name, amount.milliValue, taken.milliValue, capacity.milliValue) }
            return refusal(name, amount.value, taken.value, capacity.value)
        }
        return nil
    }

    private static func conflict(
        _ left: (host: Int, container: Int, proto: String, address: String),
        _ right: (host: Int, container: Int, proto: String, address: String)
    ) -> Bool {
        func isAny(_ address: String) -> Bool { address.isEmpty || address == "0.0.0.0" || address == "::" }
        return left.host == right.host && left.proto == right.proto
            && (isAny(left.address) || isAny(right.address) || left.address == right.address)
    }

    /// nodeSelector and the required node affinity.
    package static func fits(_ pod: JSON, nodeName: String, labels: [String: String]) -> Bool {
        let spec = pod["spec"] ?? .null
        for (key, value) in spec["nodeSelector"]?.strings ?? [:] where labels[key] != value { return false }
        guard
            let required = spec["affinity"]?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]?["nodeSelectorTerms"]?.array
        else { return true }
        return required.contains { term in
            let expressions = term["matchExpressions"]?.array ?? []
            let fields = term["matchFields"]?.array ?? []
            guard !expressions.isEmpty || !fields.isEmpty else { return false }
            return expressions.allSatisfy { holds($0, labels[$0["key"]?.string ?? ""]) }
                && fields.allSatisfy { holds($0, $0["key"]?.string == "metadata.name" ? nodeName : nil) }
        }
    }

    private static func holds(_ expression: JSON, _ value: String?) -> Bool {
        let values = (expression["values"]?.array ?? []).compactMap(\.string)
        switch expression["operator"]?.string {
        case "In": return value.map(values.contains) ?? false
        case "NotIn": return !(value.map(values.contains) ?? false)
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt", "Lt":
            guard let number = value.flatMap({ Int64($0) }), let limit = values.first.flatMap({ Int64($0) }) else { return false }
            return expression["operator"] == "Gt" ? number > limit : number < limit
        default: return false
        }
    }
}
