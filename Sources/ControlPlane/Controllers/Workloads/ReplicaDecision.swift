// Decides about a set of equal pods: how many to make or which to delete, and what its status is.
internal import ClusterModel
internal import Essentials

enum ReplicaDecision {
    enum Step: Equatable {
        case nothing
        case create(Int)
        case delete([JSON])
    }

    /// `pods`: the set's active pods. `related`: the pods of all sets that share an owner with this one.
    static func step(desired: Int, pods: [JSON], related: [JSON], at now: Timestamp) -> Step {
        if pods.count < desired { return .create(min(desired - pods.count, PodMaker.burstPods)) }
        guard pods.count > desired else { return .nothing }
        let count = min(pods.count - desired, PodMaker.burstPods)
        if desired == 0, count == pods.count { return .delete(pods) }
        return .delete(Array(PodRank.sorted(pods, related: related, at: now).prefix(count)))
    }

    /// Why the last attempt to bring the number of pods about failed.
    struct Failure: Equatable {
        var reason: String
        var message: String
    }

    static func status(of set: JSON, pods: [JSON], failure: Failure?, at now: Timestamp) -> JSON {
        let minReady = set.specInt("minReadySeconds") ?? 0
        let labels = set["spec"]?["template"]?["metadata"]?["labels"]?.strings ?? [:]
        let ready = pods.filter(PodFacts.isReady)
        let available = ready.count { PodFacts.isAvailable($0, minReadySeconds: minReady, at: now) }
        let labelled = pods.count { pod in
            let own = pod.metaLabels
            return labels.allSatisfy { own[$0.key] == $0.value }
        }
        var status: JSON = ["replicas": JSON(pods.count)]
        if labelled > 0 { status["fullyLabeledReplicas"] = JSON(labelled) }
        if !ready.isEmpty { status["readyReplicas"] = JSON(ready.count) }
        if available > 0 { status["availableReplicas"] = JSON(available) }
        status["observedGeneration"] = JSON(set.generation)
        var conditions = Conditions(set.statusPart)
        if let failure {
            conditions.set("ReplicaFailure", "True", failure.reason, failure.message, at: now)
        } else {
            conditions.remove("ReplicaFailure")
        }
        if let document = conditions.document { status["conditions"] = document }
        return status
    }
}
