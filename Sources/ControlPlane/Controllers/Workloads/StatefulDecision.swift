// Decides the next steps of a StatefulSet: numbers in order, one at a time or all at once, and which pod is updated next.
internal import ClusterModel
internal import Essentials

struct StatefulDecision {
    enum Step: Equatable {
        /// Make the pod of this number from the template of this revision.
        case create(ordinal: Int, revision: String)
        /// A pod that has ended is deleted so that it can be made anew.
        case recreate(JSON)
        /// Its labels or claims are not those of its number any more.
        case repair(JSON, ordinal: Int)
        /// Its number is no longer wanted.
        case condemn(JSON)
        /// It is of an old template.
        case update(JSON)
    }

    let set: JSON
    let pods: [JSON]
    /// Names of the revisions in use and of the newest.
    let current: String
    let newest: String
    let now: Timestamp

    private var minReady: Int { self.set.specInt("minReadySeconds") ?? 0 }
    private var isOrdered: Bool { !StatefulPods.isParallel(self.set) }
    private func isAvailable(_ pod: JSON) -> Bool {
        isRunningAndReady(pod) && PodFacts.isAvailable(pod, minReadySeconds: minReady, at: now)
    }
    private func isRunningAndReady(_ pod: JSON) -> Bool { PodFacts.phase(pod) == "Running" && PodFacts.isReady(pod) }
    private func isHealthy(_ pod: JSON) -> Bool { isRunningAndReady(pod) && !pod.isBeingDeleted }

    /// Pods by number, wanted or not.
    private var byOrdinal: [Int: JSON] {
        var result: [Int: JSON] = [:]
        for pod in pods { if let ordinal = StatefulPods.ordinal(pod, of: set) { result[ordinal] = pod } }
        return result
    }

    private var wanted: Range<Int> {
        let start = StatefulPods.start(set)
        return start..<start + StatefulPods.replicas(set)
    }

    /// The revision that a new pod of this number gets: below the partition, or while an update has not come so far, the old one.
    private func revision(for ordinal: Int) -> String {
        guard StatefulPods.isRolling(set) else { return newest }
        let start = StatefulPods.start(set)
        if set["spec"]?["updateStrategy"]?["rollingUpdate"] == nil {
            return ordinal < start + set.statusInt("currentReplicas") ? current : newest
        }
        return ordinal < start + StatefulPods.partition(set) ? current : newest
    }

    /// What to do now. With ordered management one step at most, and none while a pod is on its way.
    func steps() -> [Step] {
        if set.isBeingDeleted { return [] }
        var steps: [Step] = []
        let pods = byOrdinal
        for ordinal in wanted {
            guard let pod = pods[ordinal] else {
                steps.append(.create(ordinal: ordinal, revision: revision(for: ordinal)))
                if isOrdered { return steps }
                continue
            }
            if PodUse.hasEnded(pod) {
                if !pod.isBeingDeleted { steps.append(.recreate(pod)) }
                if isOrdered { return steps }
                continue
            }
            if !pod.isBeingDeleted, !StatefulPods.hasIdentity(pod, set, ordinal) { steps.append(.repair(pod, ordinal: ordinal)) }
            if isOrdered, pod.isBeingDeleted || !isAvailable(pod) { return steps }
        }
        let condemned = pods.filter { !wanted.contains($0.key) }.sorted { $0.key > $1.key }.map(\.value)
        let firstSick = (pods.sorted { wanted.contains($0.key) == wanted.contains($1.key) ? $0.key < $1.key : wanted.contains($0.key) })
            .map(\.value).first { !isHealthy($0) }
        for pod in condemned {
            if pod.isBeingDeleted {
                if isOrdered { return steps }
                continue
            }
            if isOrdered, !isAvailable(pod), pod.metaUID != firstSick?.metaUID { return steps }
            steps.append(.condemn(pod))
            if isOrdered { return steps }
        }
        guard steps.isEmpty, StatefulPods.isRolling(set) else { return steps }
        return nextUpdate(pods).map { [$0] } ?? []
    }

    /// From the highest number down to the partition: the next pod of an old template, once those above are well.
    private func nextUpdate(_ pods: [Int: JSON]) -> Step? {
        let least = StatefulPods.start(set) + StatefulPods.partition(set)
        for ordinal in wanted.reversed() where ordinal >= least {
            guard let pod = pods[ordinal] else { return nil }
            if StatefulPods.revision(pod) != newest, !pod.isBeingDeleted { return .update(pod) }
            if !isHealthy(pod) || !isAvailable(pod) { return nil }
        }
        return nil
    }

    func status(collisions: Int?) -> JSON {
        let living = byOrdinal.values
        func count(_ isCounted: (JSON) -> Bool) -> Int { living.count(where: isCounted) }
        let total = count { !PodUse.hasEnded($0) || $0.isBeingDeleted }
        let ready = count(isRunningAndReady)
        let available = count(isAvailable)
        var currentCount = count { !$0.isBeingDeleted && StatefulPods.revision($0) == current }
        let updated = count { !$0.isBeingDeleted && StatefulPods.revision($0) == newest }
        var inUse = current
        if StatefulPods.isRolling(set), updated == total, ready == total {
            inUse = newest
            currentCount = updated
        }
        var status: JSON = ["observedGeneration": JSON(set.generation), "replicas": JSON(total)]
        for (name, number) in [
            ("readyReplicas", ready), ("currentReplicas", currentCount), ("updatedReplicas", updated),
        ] where number > 0 { status[name] = JSON(number) }
        status["currentRevision"] = JSON(inUse)
        status["updateRevision"] = JSON(newest)
        status["collisionCount"] = JSON(collisions ?? set.statusInt("collisionCount"))
        status["availableReplicas"] = JSON(available)
        if let conditions = set.statusPart["conditions"] { status["conditions"] = conditions }
        return status
    }
}
