// A deployment's ReplicaSets: finding or making the one of the current template, and sizing them.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

/// A deployment with its sets at one moment.
struct Rollout: Sendable {
    var deployment: JSON
    let spec: DeploymentSpec
    var new: JSON?
    var old: [JSON]

    var all: [JSON] { old + (new.map { [$0] } ?? []) }

    /// The same sets as the cache has them now, after own writes.
    func refreshed(_ sets: Ownership) -> Rollout {
        var copy = self
        copy.new = new.map { sets.dependents.item(namespace: $0.metaNamespace, name: $0.metaName) ?? $0 }
        copy.old = old.map { sets.dependents.item(namespace: $0.metaNamespace, name: $0.metaName) ?? $0 }
        return copy
    }
}

extension DeploymentController {
    /// The set of the current template (the oldest, should there be two) and all others.
    static func split(_ deployment: JSON, _ owned: [JSON]) -> (new: JSON?, old: [JSON]) {
        let template = deployment["spec"]?["template"] ?? .emptyObject
        let new = owned.sorted(by: isOlder).first { isSame($0["spec"]?["template"] ?? .emptyObject, template) }
        return (new, owned.filter { $0.metaUID != new?.metaUID })
    }

    /// Equality of templates without the label by which sets tell their pods apart.
    static func isSame(_ left: JSON, _ right: JSON) -> Bool { withoutHash(left).isSame(as: withoutHash(right)) }

    private static func withoutHash(_ template: JSON) -> JSON {
        var template = template
        template["metadata"]?["labels"]?[RolloutNames.hashLabel] = nil
        template["metadata"]?["creationTimestamp"] = nil
        if template["metadata"]?["labels"] == .emptyObject { template["metadata"]?["labels"] = nil }
        if template["metadata"] == .emptyObject { template["metadata"] = nil }
        return template
    }

    /// Sorts the sets, numbers the current one as the newest, and makes it where there is none and `creates` says so.
    func prepare(_ deployment: JSON, _ spec: DeploymentSpec, _ owned: [JSON], creates: Bool) async throws(ClusterProblem) -> Rollout {
        let (found, old) = Self.split(deployment, owned)
        let revision = (old.map(RolloutNames.revision(of:)).max() ?? 0) + 1
        var rollout = Rollout(deployment: deployment, spec: spec, new: found, old: old)
        if let set = found {
            let annotations = RolloutNames.annotations(of: set, from: deployment, revision: revision, isNew: false)
            if annotations != set.metaAnnotations || set.specInt("minReadySeconds") ?? 0 != spec.minReadySeconds {
                var changed = set
                changed[path: ["metadata", "annotations"]] = JSON(annotations)
                changed["spec"]?["minReadySeconds"] = spec.minReadySeconds == 0 ? Optional<JSON>.none : JSON(spec.minReadySeconds)
                rollout.new = try await context.update(.replicaSets, changed)
            }
            let number = rollout.new?.metaAnnotations[RolloutNames.revision] ?? String(revision)
            rollout.deployment = try await setRevision(deployment, number)
            return try await noteFound(rollout, "FoundNewReplicaSet", "Found new replica set \"\(set.metaName)\"")
        }
        return creates ? try await makeNewSet(rollout, revision) : rollout
    }

    /// A deployment that has no progress to tell of yet begins with the set it was found to have.
    private func noteFound(_ rollout: Rollout, _ reason: String, _ message: String) async throws(ClusterProblem) -> Rollout {
        guard rollout.spec.progressDeadlineSeconds != nil, rollout.deployment.condition("Progressing") == nil else { return rollout }
        return try await progress(rollout, "True", reason, message)
    }

    private func progress(_ rollout: Rollout, _ state: String, _ reason: String, _ message: String) async throws(ClusterProblem) -> Rollout
    {
        guard rollout.spec.progressDeadlineSeconds != nil else { return rollout }
        var rollout = rollout
        var conditions = Conditions(rollout.deployment.statusPart)
        conditions.set("Progressing", state, reason, message, at: context.clock.now(), hasUpdateTime: true)
        var status = rollout.deployment.statusPart
        status["conditions"] = conditions.document
        rollout.deployment = try await context.setStatus(.deployments, of: rollout.deployment, to: status)
        return rollout
    }

    private func setRevision(_ deployment: JSON, _ revision: String) async throws(ClusterProblem) -> JSON {
        if deployment.metaAnnotations[RolloutNames.revision] == revision { return deployment }
        return try await context.patch(
            .deployments, deployment, as: .merge,
            ["metadata": ["uid": JSON(deployment.metaUID), "annotations": [RolloutNames.revision: JSON(revision)]]])
    }

    private func makeNewSet(_ rollout: Rollout, _ revision: Int) async throws(ClusterProblem) -> Rollout {
        let deployment = rollout.deployment
        let replicas = DeploymentMath.newSetReplicas(rollout.spec, all: rollout.old, new: 0)
        let set = Self.newSet(deployment, rollout.spec, replicas: replicas, revision: revision)
        do throws(ClusterProblem) {
            var rollout = rollout
            rollout.new = try await context.create(.replicaSets, set)
            if replicas > 0 {
                events.record(
                    "Normal", "ScalingReplicaSet", "Scaled up replica set \(set.metaName) from 0 to \(replicas)", about: deployment)
            }
            rollout.deployment = try await setRevision(deployment, String(revision))
            return try await progress(rollout, "True", "NewReplicaSetCreated", "Created new replica set \"\(set.metaName)\"")
        } catch {
            if error.isAlreadyExists { return try await resolveCollision(rollout, set) }
            if !error.isNamespaceTerminating {
                let message = "Failed to create new replica set \"\(set.metaName)\": \(error.message)"
                events.record("Warning", "ReplicaSetCreateError", message, about: deployment)
                _ = try await progress(rollout, "False", "ReplicaSetCreateError", message)
            }
            throw error
        }
    }

    static func newSet(_ deployment: JSON, _ spec: DeploymentSpec, replicas: Int, revision: Int) -> JSON {
        var template = deployment["spec"]?["template"] ?? .emptyObject
        let hash = TemplateHash.text(of: template, collisions: deployment.statusPart["collisionCount"]?.int)
        template[path: ["metadata", "labels", RolloutNames.hashLabel]] = JSON(hash)
        var selector = deployment["spec"]?["selector"] ?? .emptyObject
        selector[path: ["matchLabels", RolloutNames.hashLabel]] = JSON(hash)
        var annotations = RolloutNames.annotations(of: .null, from: deployment, revision: revision, isNew: true)
        annotations[RolloutNames.desiredReplicas] = String(spec.replicas)
        annotations[RolloutNames.maxReplicas] = String(spec.replicas + spec.maxSurge)
        var body: JSON = ["replicas": JSON(replicas), "selector": selector, "template": template]
        if spec.minReadySeconds > 0 { body["minReadySeconds"] = JSON(spec.minReadySeconds) }
        return [
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": [
                "name": JSON(deployment.metaName + "-" + hash), "namespace": JSON(deployment.metaNamespace),
                "labels": template["metadata"]?["labels"] ?? .emptyObject, "annotations": JSON(annotations),
                "ownerReferences": [kind.controllerReference(to: deployment)],
            ],
            "spec": body,
        ]
    }

    /// A set of that name is there: ours after all, or one whose template has the same hash by chance.
    private func resolveCollision(_ rollout: Rollout, _ set: JSON) async throws(ClusterProblem) -> Rollout {
        let there = try await context.client.get(.replicaSets, namespace: set.metaNamespace, name: set.metaName)
        var rollout = rollout
        let template = rollout.deployment["spec"]?["template"] ?? .emptyObject
        if there.controllerUID == rollout.deployment.metaUID, Self.isSame(there["spec"]?["template"] ?? .null, template) {
            context.informers.existing(.replicaSets)?.note(written: there)
            rollout.new = there
            return rollout
        }
        var status = rollout.deployment.statusPart
        status["collisionCount"] = JSON((status["collisionCount"]?.int ?? 0) + 1)
        try await context.setStatus(.deployments, of: rollout.deployment, to: status)
        throw .conflict(.replicaSets, set.metaName, "another set has this name; a new one is tried")
    }

    /// Sizes a set and tells of it. Answers with true where its size changed.
    @discardableResult
    func resize(_ set: JSON, to replicas: Int, _ rollout: Rollout) async throws(ClusterProblem) -> Bool {
        let current = sets.dependents.item(namespace: set.metaNamespace, name: set.metaName) ?? set
        let before = DeploymentMath.replicas(current)
        let desired = String(rollout.spec.replicas)
        let most = String(rollout.spec.replicas + rollout.spec.maxSurge)
        let isNoted =
            current.metaAnnotations[RolloutNames.desiredReplicas] == desired && current.metaAnnotations[RolloutNames.maxReplicas] == most
        if before == replicas, isNoted { return false }
        var changed = current
        changed[path: ["spec", "replicas"]] = JSON(replicas)
        changed[path: ["metadata", "annotations", RolloutNames.desiredReplicas]] = JSON(desired)
        changed[path: ["metadata", "annotations", RolloutNames.maxReplicas]] = JSON(most)
        try await context.update(.replicaSets, changed)
        guard before != replicas else { return false }
        events.record(
            "Normal", "ScalingReplicaSet",
            "Scaled \(before < replicas ? "up" : "down") replica set \(set.metaName) from \(before) to \(replicas)",
            about: rollout.deployment)
        return true
    }

    /// Sizes the sets after the deployment's own number changed: one set alone follows it, several share it.
    func scale(_ rollout: Rollout) async throws(ClusterProblem) {
        let active = rollout.all.filter { DeploymentMath.replicas($0) > 0 }
        let latest = rollout.new ?? rollout.old.max { isOlder($0, $1) }
        if active.count <= 1 {
            guard let only = active.first ?? latest else { return }
            try await resize(only, to: rollout.spec.replicas, rollout)
        } else if DeploymentMath.isSaturated(rollout.spec, new: rollout.new) {
            for set in rollout.old where DeploymentMath.replicas(set) > 0 { try await resize(set, to: 0, rollout) }
        } else if rollout.spec.isRolling {
            let now = rollout.deployment.statusInt("replicas")
            for (set, size) in DeploymentMath.shares(rollout.spec, deploymentReplicas: now, sets: rollout.all) {
                try await resize(set, to: size, rollout)
            }
        }
    }
}
