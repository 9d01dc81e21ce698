// Which of the nodes that fit is best: upstream's scores with upstream's weights, each on a scale of 0 to 100.
internal import Essentials
internal import Glibc

extension Placement {
    static let scoreLimit = 100.0

    /// Weights of the default profile.
    private enum Weight {
        static let taints = 3.0
        static let nodeAffinity = 2.0
        static let spread = 2.0
        static let podAffinity = 2.0
        static let leastAllocated = 1.0
        static let balanced = 1.0
        static let images = 1.0
    }

    /// The best node. Among equals the one with fewer pods, then the one whose name comes first.
    func best(of nodes: [NodeFacts], for pod: PodFacts, _ around: Neighbourhood) -> NodeFacts? {
        guard nodes.count > 1 else { return nodes.first }
        var scores = Array(repeating: 0.0, count: nodes.count)
        func add(_ values: [Double], _ weight: Double) { for index in scores.indices { scores[index] += weight * values[index] } }
        let unwelcome = nodes.map { node in
            Double(node.taints.count { $0["effect"]?.string == "PreferNoSchedule" && !pod.tolerates($0) })
        }
        add(Self.scaled(unwelcome, reverse: true), Weight.taints)
        if !pod.preferredNodes.isEmpty {
            let wanted = nodes.map { node in
                pod.preferredNodes.reduce(0.0) { $0 + ($1.term.selects(node) ? Double($1.weight) : 0) }
            }
            add(Self.scaled(wanted, reverse: false), Weight.nodeAffinity)
        }
        add(nodes.map { leastAllocated(pod, $0) }, Weight.leastAllocated)
        if !pod.asksForNothing { add(nodes.map { balanced(pod, $0) }, Weight.balanced) }
        add(nodes.map { imageLocality(pod, $0) }, Weight.images)
        if !around.soft.isEmpty { add(spread(nodes, around), Weight.spread) }
        if !around.preference.isEmpty {
            let values = nodes.map { Double(around.preference(for: $0)) }
            let (low, high) = (values.min() ?? 0, values.max() ?? 0)
            if high > low { add(values.map { Self.scoreLimit * ($0 - low) / (high - low) }, Weight.podAffinity) }
        }
        var best = 0
        for index in nodes.indices.dropFirst() {
            let (one, other) = (nodes[index], nodes[best])
            let difference = scores[index].rounded(.down) - scores[best].rounded(.down)
            if difference > 0 || difference == 0 && (one.pods.count, one.name) < (other.pods.count, other.name) { best = index }
        }
        return nodes[best]
    }

    /// Brings counts to the scale by the largest.
    private static func scaled(_ values: [Double], reverse: Bool) -> [Double] {
        let largest = values.max() ?? 0
        guard largest > 0 else { return values.map { _ in reverse ? scoreLimit : 0 } }
        return values.map { value in
            let score = (scoreLimit * value / largest).rounded(.down)
            return reverse ? scoreLimit - score : score
        }
    }

    private func leastAllocated(_ pod: PodFacts, _ node: NodeFacts) -> Double {
        var score = 0.0
        var count = 0.0
        for name in ["cpu", "memory"] {
            guard let total = node.allocatable[name], total > 0 else { continue }
            let used = (node.scored[name] ?? 0) + (pod.scored[name] ?? 0)
            score += used > total ? 0 : Self.scoreLimit * Double(total - used) / Double(total)
            count += 1
        }
        return count == 0 ? 0 : (score / count).rounded(.down)
    }

    /// A node whose cpu and memory are used alike is better than one where one of them runs out first.
    private func balanced(_ pod: PodFacts, _ node: NodeFacts) -> Double {
        let parts = ["cpu", "memory"].compactMap { name -> Double? in
            guard let total = node.allocatable[name], total > 0 else { return nil }
            return min(1, Double((node.used[name] ?? 0) + (pod.requests[name] ?? 0)) / Double(total))
        }
        guard parts.count == 2 else { return Self.scoreLimit }
        return ((1 - abs(parts[0] - parts[1]) / 2) * Self.scoreLimit).rounded(.down)
    }

    private func imageLocality(_ pod: PodFacts, _ node: NodeFacts) -> Double {
        var sum = 0.0
        for image in pod.images {
            guard let size = node.images[image] else { continue }
            let holders = nodes.values.count { $0.images[image] != nil }
            sum += Double(size) * Double(holders) / Double(nodes.count)
        }
        let least = 23.0 * 1024 * 1024
        let most = 1000.0 * 1024 * 1024 * Double(max(1, pod.imageContainers))
        return (Self.scoreLimit * (min(max(sum, least), most) - least) / (most - least)).rounded(.down)
    }

    private func spread(_ candidates: [NodeFacts], _ around: Neighbourhood) -> [Double] {
        let raw = candidates.map { node -> Double? in
            var sum = 0.0
            for soft in around.soft {
                guard let value = node.labels[soft.constraint.topologyKey] else { return nil }
                // Values weigh by how many there are, so that many zones do not count less than few nodes.
                let weight = log(Double(soft.counts.count + 2))
                sum += Double(soft.counts[value] ?? 0) * weight + Double(soft.constraint.maxSkew - 1)
            }
            return sum.rounded()
        }
        let (low, high) = (raw.compactMap { $0 }.min() ?? 0, raw.compactMap { $0 }.max() ?? 0)
        return raw.map { value in
            guard let value else { return 0 }
            return high == 0 ? Self.scoreLimit : (Self.scoreLimit * (high + low - value) / high).rounded(.down)
        }
    }
}
