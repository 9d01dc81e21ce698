// Which less important pods would have to go so that a pod fits, and on which node that harms least.
internal import ClusterModel
internal import Essentials

/// A disruption budget as it stands.
struct BudgetFacts: Sendable {
    let namespace: String
    let selector: LabelSelector
    var allowed: Int

    init?(_ budget: JSON) {
        guard let selector = budget["spec"]?["selector"].flatMap({ try? LabelSelector(structured: $0) }) else { return nil }
        namespace = budget.metaNamespace ?? ""
        self.selector = selector
        allowed = budget["status"]?["disruptionsAllowed"]?.int ?? 0
    }

    func covers(_ pod: PodFacts) -> Bool { pod.namespace == namespace && !pod.labels.isEmpty && selector.matches(pod.labels) }
}

extension Placement {
    private struct Candidate {
        var node: String
        /// The most important first.
        var victims: [PodFacts]
        /// Victims that a budget protects.
        var violations: Int
    }

    /// What `decide` answers when no node fits.
    func preemption(
        for pod: PodFacts, _ volumes: VolumeDecision, _ refusals: [String: Refusal], _ budgets: [BudgetFacts], _ sentence: String
    ) -> PlacementDecision {
        if pod.neverPreempts {
            return .impossible(message: sentence + " preemption: not eligible due to preemptionPolicy=Never.")
        }
        if let node = nodes[pod.nominatedNode], refusals[node.name].map({ !$0.isFinal }) ?? true,
            node.pods.values.contains(where: { $0.isBeingDeleted && $0.priority < pod.priority })
        {
            return .impossible(message: sentence + " preemption: not eligible due to a terminating pod on the nominated node.")
        }
        var reasons: [String: Int] = [:]
        var candidates: [Candidate] = []
        for (name, refusal) in refusals {
            guard !refusal.isFinal else {
                reasons[Refusal.unhelpful, default: 0] += 1
                continue
            }
            switch victims(on: name, for: pod, volumes, budgets) {
            case .success(let candidate): candidates.append(candidate)
            case .failure(let why): for reason in why.reasons { reasons[reason, default: 0] += 1 }
            }
        }
        if let chosen = candidates.min(by: Self.harmsLess) {
            return .preempt(node: chosen.node, victims: chosen.victims.map(\.key), message: sentence)
        }
        return .impossible(message: sentence + " preemption: " + Refusal.sentence(nodes: nodes.count, reasons))
    }

    private func victims(
        on name: String, for pod: PodFacts, _ volumes: VolumeDecision, _ budgets: [BudgetFacts]
    ) -> Result<Candidate, Refusal> {
        guard let node = nodes[name] else { return .failure(Refusal(Refusal.noVictims)) }
        let lower = node.pods.values.filter { $0.priority < pod.priority }.sorted(by: Self.isMoreImportant)
        guard !lower.isEmpty else { return .failure(Refusal(Refusal.noVictims)) }
        var without = self
        for victim in lower { without.remove(pod: victim.key) }
        if let refusal = without.refusal(of: pod, on: name, volumes) { return .failure(refusal) }
        // Each may stay that can, those first that a budget protects.
        var budgets = budgets
        var protected: [PodFacts] = []
        var free: [PodFacts] = []
        for victim in lower {
            let covering = budgets.indices.filter { budgets[$0].covers(victim) }
            for index in covering { budgets[index].allowed -= 1 }
            if covering.contains(where: { budgets[$0].allowed < 0 }) { protected.append(victim) } else { free.append(victim) }
        }
        var victims: [PodFacts] = []
        var violations = 0
        for (group, isProtected) in [(protected, true), (free, false)] {
            for candidate in group {
                without.assume(candidate, on: name)
                guard without.refusal(of: pod, on: name, volumes) != nil else { continue }
                without.remove(pod: candidate.key)
                victims.append(candidate)
                if isProtected { violations += 1 }
            }
        }
        return .success(Candidate(node: name, victims: victims.sorted(by: Self.isMoreImportant), violations: violations))
    }

    private func refusal(of pod: PodFacts, on name: String, _ volumes: VolumeDecision) -> Refusal? {
        guard let node = nodes[name] else { return .notNamed }
        return refusal(of: pod, by: withNominated(node, for: pod), volumes, Neighbourhood(of: pod, in: self))
    }

    private static func isMoreImportant(_ one: PodFacts, _ other: PodFacts) -> Bool {
        if one.priority != other.priority { return one.priority > other.priority }
        return one.startTime == other.startTime ? one.key < other.key : one.startTime < other.startTime
    }

    /// Fewer broken budgets, then less important victims, then fewer, then younger ones.
    private static func harmsLess(_ one: Candidate, _ other: Candidate) -> Bool {
        if one.violations != other.violations { return one.violations < other.violations }
        let (first, second) = (one.victims.first?.priority ?? .min, other.victims.first?.priority ?? .min)
        if first != second { return first < second }
        func sum(_ candidate: Candidate) -> Int64 { candidate.victims.reduce(0) { $0 + $1.priority + Int64(Int32.max) + 1 } }
        if sum(one) != sum(other) { return sum(one) < sum(other) }
        if one.victims.count != other.victims.count { return one.victims.count < other.victims.count }
        func earliest(_ candidate: Candidate) -> String {
            let top = candidate.victims.first?.priority
            return candidate.victims.filter { $0.priority == top }.map(\.startTime).min() ?? ""
        }
        let (youth, age) = (earliest(one), earliest(other))
        return youth == age ? one.node < other.node : youth > age
    }
}
