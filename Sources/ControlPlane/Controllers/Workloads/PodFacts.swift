// What a pod's status means to the controllers that own it, and which of several pods goes first.
internal import ClusterModel
internal import Essentials

enum PodFacts {
    static func phase(_ pod: JSON) -> String { pod["status"]?["phase"]?.string ?? "Pending" }
    static func node(_ pod: JSON) -> String { pod["spec"]?["nodeName"]?.string ?? "" }

    /// Neither ended nor about to.
    static func isActive(_ pod: JSON) -> Bool { !pod.isBeingDeleted && !PodUse.hasEnded(pod) }

    static func isReady(_ pod: JSON) -> Bool { pod.hasCondition("Ready") }

    static func readySince(_ pod: JSON) -> Timestamp? {
        guard let ready = pod.condition("Ready"), ready["status"] == "True" else { return nil }
        return ready["lastTransitionTime"]?.time
    }

    /// Ready for at least `minReadySeconds`.
    static func isAvailable(_ pod: JSON, minReadySeconds: Int, at now: Timestamp) -> Bool {
        guard isReady(pod) else { return false }
        if minReadySeconds == 0 { return true }
        guard let since = readySince(pod) else { return false }
        return now >= since.adding(seconds: Int64(minReadySeconds))
    }

    /// Seconds until the next of these ready pods becomes available.
    static func secondsUntilNextAvailable(_ pods: [JSON], minReadySeconds: Int, at now: Timestamp) -> Double? {
        guard minReadySeconds > 0 else { return nil }
        return pods.compactMap { pod -> Double? in
            guard let since = readySince(pod) else { return nil }
            let left = since.adding(seconds: Int64(minReadySeconds)).since(now)
            return left > 0 ? left : nil
        }.min()
    }

    static func restarts(_ pod: JSON) -> Int {
        (pod["status"]?["containerStatuses"]?.array ?? []).compactMap { $0["restartCount"]?.int }.max() ?? 0
    }
}

/// Which pods a controller gives up first (upstream's ActivePodsWithRanks).
struct PodRank {
    let pod: JSON
    /// How many pods of the same family its node runs.
    let crowd: Int
    let now: Timestamp

    /// The pods to delete, least wanted first. `related` are the pods among which crowding counts.
    static func sorted(_ pods: [JSON], related: [JSON], at now: Timestamp) -> [JSON] {
        var crowds: [String: Int] = [:]
        for pod in related where PodFacts.isActive(pod) { crowds[PodFacts.node(pod), default: 0] += 1 }
        return pods.map { PodRank(pod: $0, crowd: crowds[PodFacts.node($0)] ?? 0, now: now) }.sorted { $0.goesBefore($1) }.map(\.pod)
    }

    private static let phases = ["Pending": 0, "Unknown": 1, "Running": 2]

    func goesBefore(_ other: PodRank) -> Bool {
        let (left, right) = (pod, other.pod)
        if PodFacts.node(left).isEmpty != PodFacts.node(right).isEmpty { return PodFacts.node(left).isEmpty }
        let (one, two) = (Self.phases[PodFacts.phase(left)] ?? 0, Self.phases[PodFacts.phase(right)] ?? 0)
        if one != two { return one < two }
        if PodFacts.isReady(left) != PodFacts.isReady(right) { return !PodFacts.isReady(left) }
        let (cost, otherCost) = (Self.cost(left), Self.cost(right))
        if cost != otherCost { return cost < otherCost }
        if crowd != other.crowd { return crowd > other.crowd }
        if PodFacts.isReady(left), let since = PodFacts.readySince(left), let otherSince = PodFacts.readySince(right), since != otherSince {
            return isYounger(since, otherSince, left, right)
        }
        if PodFacts.restarts(left) != PodFacts.restarts(right) { return PodFacts.restarts(left) > PodFacts.restarts(right) }
        if left.created != right.created { return isYounger(left.created, right.created, left, right) }
        return left.metaUID < right.metaUID
    }

    /// Ages count in powers of two, so that pods of about the same age go in no order that could be foreseen.
    private func isYounger(_ time: Timestamp, _ other: Timestamp, _ left: JSON, _ right: JSON) -> Bool {
        let (rank, otherRank) = (Self.magnitude(now.since(time)), Self.magnitude(now.since(other)))
        return rank == otherRank ? left.metaUID < right.metaUID : rank < otherRank
    }

    private static func magnitude(_ seconds: Double) -> Int {
        let nanoseconds = seconds * 1e9
        return nanoseconds < 1 ? -1 : 63 - UInt64(min(nanoseconds, 9e18)).leadingZeroBitCount
    }

    private static func cost(_ pod: JSON) -> Int {
        pod["metadata"]?["annotations"]?["controller.kubernetes.io/pod-deletion-cost"]?.string.flatMap { Int($0) } ?? 0
    }
}
