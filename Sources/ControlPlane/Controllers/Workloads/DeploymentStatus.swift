// What a deployment says about itself: counts, Available, Progressing and why it fails.
internal import ClusterModel
internal import Essentials

struct DeploymentStatus {
    private static let failed = "ProgressDeadlineExceeded"
    private static let complete = "NewReplicaSetAvailable"

    /// The counts and the condition Available; other conditions stay as they are.
    static func counts(_ deployment: JSON, _ spec: DeploymentSpec, new: JSON?, old: [JSON], at now: Timestamp) -> JSON {
        let all = old + (new.map { [$0] } ?? [])
        let available = DeploymentMath.available(all)
        let ready = all.reduce(0) { $0 + $1.statusInt("readyReplicas") }
        let updated = new?.statusInt("replicas") ?? 0
        let unavailable = max(0, DeploymentMath.sum(all) - available)
        var status: JSON = ["observedGeneration": JSON(deployment.generation)]
        for (name, count) in [
            ("replicas", DeploymentMath.actual(all)), ("updatedReplicas", updated), ("readyReplicas", ready),
            ("availableReplicas", available), ("unavailableReplicas", unavailable),
        ] where count > 0 { status[name] = JSON(count) }
        if let collisions = deployment.statusPart["collisionCount"] { status["collisionCount"] = collisions }
        var conditions = Conditions(deployment.statusPart)
        if available >= spec.replicas - spec.maxUnavailable {
            conditions.set(
                "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", at: now, hasUpdateTime: true)
        } else {
            conditions.set(
                "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", at: now,
                hasUpdateTime: true)
        }
        status["conditions"] = conditions.document
        return status
    }

    static func isComplete(_ deployment: JSON, _ spec: DeploymentSpec, _ status: JSON) -> Bool {
        func count(_ name: String) -> Int { status[name]?.int ?? 0 }
        return count("updatedReplicas") == spec.replicas && count("replicas") == spec.replicas
            && count("availableReplicas") == spec.replicas
            && count("observedGeneration") >= deployment.generation
    }

    private static func isProgressing(_ old: JSON, _ new: JSON) -> Bool {
        func count(_ name: String, _ status: JSON) -> Int { status[name]?.int ?? 0 }
        let oldRest = count("replicas", old) - count("updatedReplicas", old)
        let newRest = count("replicas", new) - count("updatedReplicas", new)
        return count("updatedReplicas", new) > count("updatedReplicas", old) || newRest < oldRest
            || count("readyReplicas", new) > count("readyReplicas", old)
            || count("availableReplicas", new) > count("availableReplicas", old)
    }

    /// When the deadline passes, counted from the last progress; `nil` where there is none to pass.
    static func deadline(_ spec: DeploymentSpec, _ conditions: Conditions) -> Timestamp? {
        guard let seconds = spec.progressDeadlineSeconds, let condition = conditions.find("Progressing"),
            condition["reason"]?.string != complete, condition["reason"]?.string != failed
        else { return nil }
        return condition["lastUpdateTime"]?.time?.adding(seconds: Int64(seconds))
    }

    /// The whole status while a rollout is on its way or done.
    static func rollout(_ deployment: JSON, _ spec: DeploymentSpec, new: JSON?, old: [JSON], at now: Timestamp) -> JSON {
        var status = counts(deployment, spec, new: new, old: old, at: now)
        var conditions = Conditions(status)
        if spec.progressDeadlineSeconds == nil { conditions.remove("Progressing") }
        let current = conditions.find("Progressing")
        let wasComplete =
            (status["replicas"]?.int ?? 0) == (status["updatedReplicas"]?.int ?? 0) && current?["reason"]?.string == complete
        if spec.progressDeadlineSeconds != nil, !wasComplete {
            let subject = new.map { "ReplicaSet \"\($0.metaName)\"" } ?? "Deployment \"\(deployment.metaName)\""
            if isComplete(deployment, spec, status) {
                conditions.set(
                    "Progressing", "True", complete, "\(subject) has successfully progressed.", at: now, hasUpdateTime: true)
            } else if isProgressing(deployment.statusPart, status) {
                // A new time of progress with each step; the time of transition stays.
                conditions.remove("Progressing")
                conditions.set("Progressing", "True", "ReplicaSetUpdated", "\(subject) is progressing.", at: now, hasUpdateTime: true)
                if current?["status"] == "True", let since = current?["lastTransitionTime"], !conditions.list.isEmpty {
                    conditions.list[conditions.list.count - 1]["lastTransitionTime"] = since
                }
            } else if let deadline = deadline(spec, conditions), now > deadline {
                conditions.set("Progressing", "False", failed, "\(subject) has timed out progressing.", at: now, hasUpdateTime: true)
            }
        }
        if let failure = failure(new: new, old: old) {
            conditions.set(
                "ReplicaFailure", failure["status"]?.string ?? "True", failure["reason"]?.string ?? "", failure["message"]?.string ?? "",
                at: now, hasUpdateTime: true)
        } else {
            conditions.remove("ReplicaFailure")
        }
        status["conditions"] = conditions.document
        return status
    }

    /// The failure of the new set counts before that of an old one.
    private static func failure(new: JSON?, old: [JSON]) -> JSON? {
        new?.condition("ReplicaFailure") ?? old.lazy.compactMap { $0.condition("ReplicaFailure") }.first
    }

    /// The conditions of a deployment that was paused or resumed since they were written; `nil` where nothing is to change.
    static func pauseChange(_ deployment: JSON, _ spec: DeploymentSpec, at now: Timestamp) -> Conditions? {
        guard spec.progressDeadlineSeconds != nil else { return nil }
        var conditions = Conditions(deployment.statusPart)
        let reason = conditions.find("Progressing")?["reason"]?.string
        if reason == failed { return nil }
        if spec.isPaused, reason != "DeploymentPaused" {
            conditions.set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", at: now, hasUpdateTime: true)
            return conditions
        }
        if !spec.isPaused, reason == "DeploymentPaused" {
            conditions.set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", at: now, hasUpdateTime: true)
            return conditions
        }
        return nil
    }
}
