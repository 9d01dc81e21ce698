// What a pod asks for and may take: requests, limits and the class of service that follows from them.
package import ClusterModel
package import Essentials

package enum PodResources {
    package static func qosClass(_ pod: JSON) -> String {
        let containers = (pod["spec"]?["containers"]?.array ?? []) + (pod["spec"]?["initContainers"]?.array ?? [])
        var hasAny = false
        var isGuaranteed = !containers.isEmpty
        for container in containers {
            let limits = container["resources"]?["limits"]
            let requests = container["resources"]?["requests"]
            for name in ["cpu", "memory"] {
                let limit = quantity(limits?[name])
                let request = quantity(requests?[name]) ?? limit
                if limit != nil || request != nil { hasAny = true }
                if limit == nil || limit != request { isGuaranteed = false }
            }
        }
        return isGuaranteed ? "Guaranteed" : hasAny ? "Burstable" : "BestEffort"
    }

    /// A manifest may say `cpu: 1`, which is no text.
    package static func quantity(_ value: JSON?) -> Quantity? {
        guard let value else { return nil }
        if let text = value.string { return Quantity(text) }
        if let number = value.integer { return Quantity(number) }
        return value.number.flatMap { Quantity(String($0)) }
    }

    /// What the scheduler counts: the main containers and sidecars together, or the largest moment of the init containers.
    package static func requests(_ pod: JSON) -> [String: Quantity] { total(pod, "requests") }

    /// `limits` where every container has one; the pod's control group is limited then.
    package static func limits(_ pod: JSON) -> [String: Quantity] {
        let containers = (pod["spec"]?["containers"]?.array ?? [])
        return total(pod, "limits").filter { name, _ in containers.allSatisfy { quantity($0["resources"]?["limits"]?[name]) != nil } }
    }

    private static func total(_ pod: JSON, _ side: String) -> [String: Quantity] {
        func amounts(_ container: JSON) -> [String: Quantity] {
            var result: [String: Quantity] = [:]
            for (name, value) in container["resources"]?[side]?.members ?? [] { result[name] = quantity(value) }
            if side == "requests" {
                for (name, value) in container["resources"]?["limits"]?.members ?? [] where result[name] == nil {
                    result[name] = quantity(value)
                }
            }
            return result
        }
        var sum: [String: Quantity] = [:]
        for container in pod["spec"]?["containers"]?.array ?? [] {
            for (name, amount) in amounts(container) { sum[name] = (sum[name] ?? .zero) + amount }
        }
        var sidecars: [String: Quantity] = [:]
        var peak: [String: Quantity] = [:]
        for container in pod["spec"]?["initContainers"]?.array ?? [] {
            let own = amounts(container)
            if container["restartPolicy"]?.string == "Always" {
                for (name, amount) in own {
                    sidecars[name] = (sidecars[name] ?? .zero) + amount
                    sum[name] = (sum[name] ?? .zero) + amount
                }
                for (name, amount) in sidecars { peak[name] = max(peak[name] ?? .zero, amount) }
            } else {
                for (name, amount) in own { peak[name] = max(peak[name] ?? .zero, amount + (sidecars[name] ?? .zero)) }
            }
        }
        for (name, amount) in peak { sum[name] = max(sum[name] ?? .zero, amount) }
        return sum
    }
}
