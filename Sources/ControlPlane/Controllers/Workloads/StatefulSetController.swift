// Keeps the numbered pods of a StatefulSet with their claims, in order.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct StatefulSetController: Controller {
    static let kind = OwnerKind(resource: .statefulSets, kind: "StatefulSet")

    private let context: ControllerContext
    private let sets: Informer
    private let pods: Ownership
    private let claims: Informer
    private let history: RevisionHistory
    private let events: EventWriter
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        sets = context.informers.informer(.statefulSets)
        pods = Ownership(context, of: .pods, by: Self.kind)
        claims = context.informers.informer(.persistentVolumeClaims)
        history = RevisionHistory(context, by: Self.kind, hashLabel: "controller.kubernetes.io/hash")
        events = context.events("statefulset-controller")
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 2, caches: [sets, pods.dependents, claims, history.revisions.dependents], events: events,
            feeds: [sets.feed(queue), pods.feed(queue, owners: sets, selector: DeploymentController.selector)]
        ) { try await sync($0) }
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        guard let set = sets.item(key: key), let selector = DeploymentController.selector(set) else { return }
        do throws(ClusterProblem) {
            _ = try await pods.claim(set, selector) { StatefulPods.ordinal($0, of: set) != nil }
            if set.isBeingDeleted { return }
            let state = try await history.sync(set, selector)
            let known = state.old + [state.current]
            let inUse = set.statusPart["currentRevision"]?.string ?? ""
            let current = known.first { $0.metaName == inUse } ?? state.current
            var problem: ClusterProblem?
            do throws(ClusterProblem) {
                for step in decision(set, selector, current, state).steps() { try await carryOut(step, set, known) }
                try await keepClaims(set)
            } catch {
                problem = error
            }
            let after = decision(set, selector, current, state)
            try await context.setStatus(.statefulSets, of: set, to: after.status(collisions: state.collisions))
            if let problem { throw problem }
            let owned = pods.owned(by: set.metaUID)
            let used = Set(owned.map(StatefulPods.revision) + [current.metaName])
            try await history.trim(state, limit: set.specInt("revisionHistoryLimit") ?? 10) { used.contains($0.metaName) }
            let minReady = set.specInt("minReadySeconds") ?? 0
            if let seconds = PodFacts.secondsUntilNextAvailable(owned, minReadySeconds: minReady, at: after.now) {
                queue.add(key, afterMilliseconds: Int(seconds * 1000) + 10)
            }
        } catch {
            if !error.isNotFound, !error.isNamespaceTerminating { throw error }
        }
    }

    private func decision(_ set: JSON, _ selector: LabelSelector, _ current: JSON, _ state: RevisionHistory.State) -> StatefulDecision {
        let owned = pods.owned(by: set.metaUID).filter { selector.matches(labelsOf: $0) }
        return StatefulDecision(
            set: set, pods: owned, current: current.metaName, newest: state.current.metaName, now: context.clock.now())
    }

    private func carryOut(_ step: StatefulDecision.Step, _ set: JSON, _ revisions: [JSON]) async throws(ClusterProblem) {
        switch step {
        case .create(let ordinal, let revision):
            let template = revisions.first { $0.metaName == revision }.map(Self.template) ?? set["spec"]?["template"]
            let pod = StatefulPods.pod(
                set, template: template ?? .emptyObject, ordinal: ordinal, revision: revision, kind: Self.kind)
            try await makeClaims(set, ordinal)
            try await tell("create", "Pod \(pod.metaName) in StatefulSet \(set.metaName)", set) { () throws(ClusterProblem) in
                _ = try await context.create(.pods, pod)
            }
        case .recreate(let pod):
            let isFailed = PodFacts.phase(pod) == "Failed"
            events.record(
                isFailed ? "Warning" : "Normal", isFailed ? "RecreatingFailedPod" : "RecreatingTerminatedPod",
                "StatefulSet \(set.objectKey) is recreating \(isFailed ? "failed" : "terminated") Pod \(pod.metaName)", about: set)
            try await delete(pod, set)
        case .condemn(let pod):
            try await keepClaims(set)
            try await delete(pod, set)
        case .update(let pod): try await delete(pod, set)
        case .repair(let pod, let ordinal):
            try await makeClaims(set, ordinal)
            let labels = [StatefulPods.nameLabel: pod.metaName, StatefulPods.indexLabel: String(ordinal)]
            try await context.patch(.pods, pod, as: .merge, ["metadata": ["uid": JSON(pod.metaUID), "labels": JSON(labels)]])
        }
    }

    /// The template that a revision holds.
    private static func template(_ revision: JSON) -> JSON {
        var template = revision["data"]?["spec"]?["template"] ?? .emptyObject
        template["$patch"] = nil
        return template
    }

    private func delete(_ pod: JSON, _ set: JSON) async throws(ClusterProblem) {
        try await tell("delete", "Pod \(pod.metaName) in StatefulSet \(set.metaName)", set) { () throws(ClusterProblem) in
            try await context.delete(.pods, pod)
        }
    }

    private func makeClaims(_ set: JSON, _ ordinal: Int) async throws(ClusterProblem) {
        for claim in StatefulPods.claims(set, ordinal: ordinal) {
            if let there = claims.item(namespace: claim.metaNamespace, name: claim.metaName) {
                // One that is on its way out belongs to a predecessor; the pod waits until it is gone.
                if there.isBeingDeleted {
                    throw .conflict(.persistentVolumeClaims, claim.metaName, "the claim is being deleted")
                }
                continue
            }
            let pod = StatefulPods.name(set, ordinal)
            try await tell("create", "Claim \(claim.metaName) Pod \(pod) in StatefulSet \(set.metaName)", set, done: "success") {
                () throws(ClusterProblem) in
                do throws(ClusterProblem) { _ = try await context.create(.persistentVolumeClaims, claim) } catch {
                    if !error.isAlreadyExists { throw error }
                }
            }
        }
    }

    /// Gives each claim the owners that the retention policy means.
    private func keepClaims(_ set: JSON) async throws(ClusterProblem) {
        guard !StatefulPods.claimTemplates(set).isEmpty else { return }
        let start = StatefulPods.start(set)
        let wanted = start..<start + StatefulPods.replicas(set)
        let owned = pods.owned(by: set.metaUID)
        for pod in owned {
            guard let ordinal = StatefulPods.ordinal(pod, of: set) else { continue }
            for template in StatefulPods.claimTemplates(set) {
                let name = StatefulPods.claimName(template, set, ordinal)
                guard let claim = claims.item(namespace: set.metaNamespace, name: name), !claim.isBeingDeleted else { continue }
                let owners = StatefulPods.claimOwners(claim, set, pod, isCondemned: !wanted.contains(ordinal), kind: Self.kind)
                if JSON(owners).isSame(as: JSON(claim.owners)) { continue }
                try await context.patch(
                    .persistentVolumeClaims, claim, as: .merge,
                    [
                        "metadata": [
                            "uid": JSON(claim.metaUID), "resourceVersion": JSON(claim.metaResourceVersion), "ownerReferences": JSON(owners),
                        ]
                    ])
            }
        }
    }

    /// Does one thing and tells how it went, as upstream words it.
    private func tell(
        _ verb: String, _ what: String, _ set: JSON, done: String = "successful", _ work: () async throws(ClusterProblem) -> Void
    ) async throws(ClusterProblem) {
        let reason = verb == "create" ? "Create" : "Delete"
        do throws(ClusterProblem) {
            try await work()
            events.record("Normal", "Successful" + reason, "\(verb) \(what) \(done)", about: set)
        } catch {
            if !error.isNamespaceTerminating {
                events.record("Warning", "Failed" + reason, "\(verb) \(what) failed error: \(error.message)", about: set)
            }
            throw error
        }
    }
}
