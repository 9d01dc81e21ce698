// The numbers of a rollout: surge, shares, what may be taken away, and whether it is complete (upstream's deployment util).
internal import ClusterModel
internal import Essentials

/// A deployment's spec as the controller needs it.
struct DeploymentSpec: Sendable {
    let replicas: Int
    let isRolling: Bool
    let maxSurge: Int
    let maxUnavailable: Int
    let minReadySeconds: Int
    let isPaused: Bool
    /// `nil`: no deadline.
    let progressDeadlineSeconds: Int?
    let historyLimit: Int?

    /// This deadline means none (upstream's math.MaxInt32).
    private static let noDeadline = Int(Int32.max)

    init(_ deployment: JSON) {
        let spec = deployment.spec
        replicas = spec["replicas"]?.int ?? 1
        isRolling = spec["strategy"]?["type"]?.string ?? "RollingUpdate" == "RollingUpdate"
        minReadySeconds = spec["minReadySeconds"]?.int ?? 0
        isPaused = spec["paused"]?.bool ?? false
        progressDeadlineSeconds = spec["progressDeadlineSeconds"]?.int.flatMap { $0 == Self.noDeadline ? nil : $0 }
        historyLimit = spec["revisionHistoryLimit"]?.int.flatMap { $0 == Self.noDeadline ? nil : $0 }
        guard isRolling, replicas > 0 else {
            (maxSurge, maxUnavailable) = (0, 0)
            return
        }
        let rolling = spec["strategy"]?["rollingUpdate"]
        let surge = IntOrPercent.resolve(rolling?["maxSurge"] ?? "25%", of: replicas, roundUp: true) ?? 0
        var unavailable = IntOrPercent.resolve(rolling?["maxUnavailable"] ?? "25%", of: replicas, roundUp: false) ?? 0
        // Both may round to zero, and then nothing could ever move.
        if surge == 0, unavailable == 0 { unavailable = 1 }
        maxSurge = surge
        maxUnavailable = min(unavailable, replicas)
    }
}

enum DeploymentMath {
    static func replicas(_ set: JSON) -> Int { set.specInt("replicas") ?? 0 }
    static func sum(_ sets: [JSON]) -> Int { sets.reduce(0) { $0 + replicas($1) } }
    static func actual(_ sets: [JSON]) -> Int { sets.reduce(0) { $0 + $1.statusInt("replicas") } }
    static func available(_ sets: [JSON]) -> Int { sets.reduce(0) { $0 + $1.statusInt("availableReplicas") } }

    /// How many replicas the new set is to have now.
    static func newSetReplicas(_ spec: DeploymentSpec, all: [JSON], new: Int) -> Int {
        guard spec.isRolling else { return spec.replicas }
        let allowed = spec.replicas + spec.maxSurge - sum(all)
        return allowed <= 0 ? new : new + min(allowed, spec.replicas - new)
    }

    /// The sets to shrink with their new sizes: first what is not available anyway, then as much as stays above the minimum.
    static func shrinkOld(_ spec: DeploymentSpec, new: JSON, old: [JSON]) -> [(set: JSON, replicas: Int)] {
        let minimum = spec.replicas - spec.maxUnavailable
        let newUnavailable = replicas(new) - new.statusInt("availableReplicas")
        let limit = sum(old) + replicas(new) - minimum - newUnavailable
        guard sum(old) > 0, limit > 0 else { return [] }
        var sizes: [String: Int] = [:]
        let sorted = old.sorted(by: isOlder)
        var done = 0
        for set in sorted where done < limit {
            let unhealthy = replicas(set) - set.statusInt("availableReplicas")
            guard replicas(set) > 0, unhealthy > 0 else { continue }
            let count = min(limit - done, unhealthy)
            sizes[set.metaUID] = replicas(set) - count
            done += count
        }
        let spare = available(old + [new]) - minimum
        var taken = 0
        for set in sorted where taken < spare {
            let size = sizes[set.metaUID] ?? replicas(set)
            guard size > 0 else { continue }
            let count = min(size, spare - taken)
            sizes[set.metaUID] = size - count
            taken += count
        }
        return sorted.compactMap { set in sizes[set.metaUID].map { (set, $0) } }.filter { $0.replicas != replicas($0.set) }
    }

    /// Sizes after the deployment itself was scaled in the midst of a rollout: each set gets its share.
    static func shares(_ spec: DeploymentSpec, deploymentReplicas: Int, sets: [JSON]) -> [(set: JSON, replicas: Int)] {
        let active = sets.filter { replicas($0) > 0 }
        let allowed = spec.replicas > 0 ? spec.replicas + spec.maxSurge : 0
        let change = allowed - sum(active)
        let sorted = active.sorted { left, right in
            if replicas(left) != replicas(right) { return replicas(left) > replicas(right) }
            return change > 0 ? isOlder(right, left) : isOlder(left, right)
        }
        var sizes = sorted.map(replicas)
        var added = 0
        if change != 0 {
            for (index, set) in sorted.enumerated() {
                let share = share(of: set, spec, deploymentReplicas: deploymentReplicas)
                let left = change - added
                let part = left == 0 ? 0 : change > 0 ? min(share, left) : max(share, left)
                sizes[index] += part
                added += part
            }
            if !sizes.isEmpty { sizes[0] = max(0, sizes[0] + change - added) }
        }
        return Array(zip(sorted, sizes)).map { ($0.0, $0.1) }
    }

    private static func share(of set: JSON, _ spec: DeploymentSpec, deploymentReplicas: Int) -> Int {
        guard spec.replicas > 0 else { return -replicas(set) }
        var before = RolloutNames.number(RolloutNames.maxReplicas, of: set) ?? 0
        if before == 0 { before = deploymentReplicas }
        guard before > 0 else { return 0 }
        let size = Double(replicas(set) * (spec.replicas + spec.maxSurge)) / Double(before)
        return Int(size.rounded()) - replicas(set)
    }

    /// Whether the new set alone has everything and all of it is available.
    static func isSaturated(_ spec: DeploymentSpec, new: JSON?) -> Bool {
        guard let new else { return false }
        return replicas(new) == spec.replicas && RolloutNames.number(RolloutNames.desiredReplicas, of: new) == spec.replicas
            && new.statusInt("availableReplicas") == spec.replicas
    }

    /// Old sets that history no longer keeps.
    static func surplusHistory(_ spec: DeploymentSpec, old: [JSON]) -> [JSON] {
        guard let limit = spec.historyLimit else { return [] }
        let kept = old.filter { !$0.isBeingDeleted }
        guard kept.count > limit else { return [] }
        return kept.sorted { RolloutNames.revision(of: $0) < RolloutNames.revision(of: $1) }.prefix(kept.count - limit).filter { set in
            set.statusInt("replicas") == 0 && replicas(set) == 0 && set.generation <= set.statusInt("observedGeneration")
        }
    }
}
