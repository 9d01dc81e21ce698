// Rolls a Deployment's pods over from one template to the next, by scaling the ReplicaSets it owns.
//
// One sync does one step: scale the new set up, or old ones down, or say how things stand. Each step's effect comes back as an
// event of a set and brings the next. Everything the controller must remember stands in the sets and their annotations, so it
// may die at any moment and another goes on.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct DeploymentController: Controller {
    static let kind = OwnerKind(resource: .deployments, kind: "Deployment")

    let context: ControllerContext
    let deployments: Informer
    let sets: Ownership
    let pods: Informer
    let events: EventWriter
    let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        deployments = context.informers.informer(.deployments)
        sets = Ownership(context, of: .replicaSets, by: Self.kind)
        pods = Ownership(context, of: .pods, by: ReplicaFamily.replicaSets.kind).dependents
        events = context.events("deployment-controller")
    }

    static func selector(_ deployment: JSON) -> LabelSelector? {
        deployment["spec"]?["selector"].flatMap { try? LabelSelector(structured: $0) }
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 4, caches: [deployments, sets.dependents, pods], events: events,
            feeds: [
                deployments.feed(queue), sets.feed(queue, owners: deployments, selector: Self.selector),
                { try await noteEndedPods() },
            ]
        ) { try await sync($0) }
    }

    /// A Recreate deployment waits for the last of its old pods to be gone.
    private func noteEndedPods() async throws {
        for await change in pods.changes() {
            guard case .deleted(let pod) = change, let owner = pod.controllerOwner, ReplicaFamily.replicaSets.kind.isOwner(owner),
                let set = sets.dependents.item(namespace: pod.metaNamespace, name: owner["name"]?.string ?? ""),
                let name = set.controllerOwner?["name"]?.string,
                let deployment = deployments.item(namespace: pod.metaNamespace, name: name), !DeploymentSpec(deployment).isRolling
            else { continue }
            queue.add(deployment.objectKey)
        }
        try Task.checkCancellation()
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        guard var deployment = deployments.item(key: key), let selector = Self.selector(deployment) else { return }
        if selector.isEmpty {
            events.record(
                "Warning", "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required.", about: deployment)
            var status = deployment.statusPart
            status["observedGeneration"] = JSON(deployment.generation)
            try await context.setStatus(.deployments, of: deployment, to: status)
            return
        }
        do throws(ClusterProblem) {
            let owned = try await sets.claim(deployment, selector)
            let spec = DeploymentSpec(deployment)
            if deployment.isBeingDeleted {
                let (new, old) = Self.split(deployment, owned)
                try await say(DeploymentStatus.counts(deployment, spec, new: new, old: old, at: context.clock.now()), deployment)
                return
            }
            if let conditions = DeploymentStatus.pauseChange(deployment, spec, at: context.clock.now()) {
                var status = deployment.statusPart
                status["conditions"] = conditions.document
                deployment = try await context.setStatus(.deployments, of: deployment, to: status)
            }
            try await advance(deployment, spec, owned)
        } catch {
            // A newer state of what we have read comes with its own event; a namespace that is going needs no more.
            if error.isNamespaceTerminating || error.isNotFound { return }
            throw error
        }
    }

    private func advance(_ deployment: JSON, _ spec: DeploymentSpec, _ owned: [JSON]) async throws(ClusterProblem) {
        if spec.isPaused || isScaled(spec, owned) {
            let rollout = try await prepare(deployment, spec, owned, creates: false)
            try await scale(rollout)
            let after = rollout.refreshed(sets)
            if spec.isPaused { try await dropHistory(after) }
            try await say(
                DeploymentStatus.counts(after.deployment, spec, new: after.new, old: after.old, at: context.clock.now()), after.deployment)
            return
        }
        if spec.isRolling {
            try await roll(try await prepare(deployment, spec, owned, creates: true))
        } else {
            try await recreate(deployment, spec, owned)
        }
    }

    /// Whether the deployment's own number changed since its sets were last sized.
    private func isScaled(_ spec: DeploymentSpec, _ owned: [JSON]) -> Bool {
        owned.contains { set in
            guard DeploymentMath.replicas(set) > 0, let desired = RolloutNames.number(RolloutNames.desiredReplicas, of: set) else {
                return false
            }
            return desired != spec.replicas
        }
    }

    private func roll(_ rollout: Rollout) async throws(ClusterProblem) {
        guard let new = rollout.new else { return }
        let wanted =
            DeploymentMath.replicas(new) >= rollout.spec.replicas
            ? rollout.spec.replicas
            : DeploymentMath.newSetReplicas(rollout.spec, all: rollout.all, new: DeploymentMath.replicas(new))
        if try await resize(new, to: wanted, rollout) { return try await tell(rollout.refreshed(sets)) }
        let shrinks = DeploymentMath.shrinkOld(rollout.spec, new: new, old: rollout.old)
        for (set, size) in shrinks { try await resize(set, to: size, rollout) }
        let after = rollout.refreshed(sets)
        if shrinks.isEmpty, DeploymentStatus.isComplete(after.deployment, after.spec, after.deployment.statusPart) {
            try await dropHistory(after)
        }
        try await tell(after)
    }

    private func recreate(_ deployment: JSON, _ spec: DeploymentSpec, _ owned: [JSON]) async throws(ClusterProblem) {
        var rollout = try await prepare(deployment, spec, owned, creates: false)
        let running = rollout.old.filter { DeploymentMath.replicas($0) > 0 }
        for set in running { try await resize(set, to: 0, rollout) }
        if !running.isEmpty || hasOldPods(rollout) { return try await tell(rollout.refreshed(sets)) }
        if rollout.new == nil { rollout = try await prepare(rollout.deployment, spec, owned, creates: true) }
        if let new = rollout.new { try await resize(new, to: spec.replicas, rollout) }
        let after = rollout.refreshed(sets)
        if DeploymentStatus.isComplete(after.deployment, spec, after.deployment.statusPart) { try await dropHistory(after) }
        try await tell(after)
    }

    /// Whether a pod of another template still runs or ends.
    private func hasOldPods(_ rollout: Rollout) -> Bool {
        if DeploymentMath.actual(rollout.old) > 0 { return true }
        return rollout.old.contains { set in
            pods.items(index: Ownership.byController, value: set.metaUID).contains { !PodUse.hasEnded($0) }
        }
    }

    private func dropHistory(_ rollout: Rollout) async throws(ClusterProblem) {
        for set in DeploymentMath.surplusHistory(rollout.spec, old: rollout.old) { try await context.delete(.replicaSets, set) }
    }

    /// Writes the status of a rollout and comes back when its deadline passes.
    private func tell(_ rollout: Rollout) async throws(ClusterProblem) {
        let now = context.clock.now()
        let status = DeploymentStatus.rollout(rollout.deployment, rollout.spec, new: rollout.new, old: rollout.old, at: now)
        try await say(status, rollout.deployment)
        if !DeploymentStatus.isComplete(rollout.deployment, rollout.spec, status),
            let deadline = DeploymentStatus.deadline(rollout.spec, Conditions(status))
        {
            queue.add(rollout.deployment.objectKey, afterMilliseconds: max(0, Int(deadline.since(now) * 1000)) + 1_000)
        }
    }

    private func say(_ status: JSON, _ deployment: JSON) async throws(ClusterProblem) {
        try await context.setStatus(.deployments, of: deployment, to: status)
    }
}
