// What pods take, in the names that quotas and nodes count by.
package import Essentials

package struct PodUse: Sendable, Equatable {
    private var amounts: [String: Quantity]

    /// Quota names that a pod must give a value for when a quota limits them.
    package static let mustBeNamed: Set<String> = ["limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "cpu", "memory"]

    package init() { amounts = [:] }

    /// The pod's containers together, or its largest init container where that is more.
    package init(_ pod: JSON) {
        amounts = ["pods": Quantity(1), "count/pods": Quantity(1)]
        for side in ["limits", "requests"] {
            var sum: [String: Quantity] = [:]
            for container in pod["spec"]?["containers"]?.array ?? [] {
                for (name, text) in container["resources"]?[side]?.strings ?? [:] {
                    if let amount = Quantity(text) { sum[name] = (sum[name] ?? .zero) + amount }
                }
            }
            for container in pod["spec"]?["initContainers"]?.array ?? [] {
                for (name, text) in container["resources"]?[side]?.strings ?? [:] {
                    if let amount = Quantity(text) { sum[name] = max(sum[name] ?? .zero, amount) }
                }
            }
            for (name, amount) in sum {
                amounts[side + "." + name] = amount
                if side == "requests" { amounts[name] = amount }
            }
        }
    }

    /// All pods that have not ended.
    package static func sum(_ pods: [JSON]) -> PodUse {
        var sum = PodUse()
        for pod in pods where !hasEnded(pod) { sum.add(PodUse(pod)) }
        return sum
    }

    package static func hasEnded(_ pod: JSON) -> Bool {
        let phase = pod["status"]?["phase"]?.string
        return phase == "Succeeded" || phase == "Failed"
    }

    package mutating func add(_ other: PodUse) {
        for (name, amount) in other.amounts { amounts[name] = (amounts[name] ?? .zero) + amount }
    }

    package mutating func subtract(_ other: PodUse) {
        for (name, amount) in other.amounts { amounts[name] = (amounts[name] ?? .zero) - amount }
    }

    package subscript(name: String) -> Quantity { amounts[name] ?? .zero }

    /// What the pod sets aside on its node: requests by resource, and one of `pods`.
    package static func requests(_ pod: JSON) -> [String: Quantity] {
        var result: [String: Quantity] = ["pods": Quantity(1)]
        for (name, amount) in PodUse(pod).amounts where name.hasPrefix("requests.") {
            result[String(name.dropFirst("requests.".count))] = amount
        }
        return result
    }
}
