// Keeps as many pods as a ReplicaSet or ReplicationController asks for.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

/// What differs between the two kinds of sets.
struct ReplicaFamily: Sendable {
    let kind: OwnerKind
    let component: String
    let selector: @Sendable (JSON) -> LabelSelector?

    static let replicaSets = ReplicaFamily(
        kind: OwnerKind(resource: .replicaSets, kind: "ReplicaSet"), component: "replicaset-controller",
        selector: { set in set["spec"]?["selector"].flatMap { try? LabelSelector(structured: $0) } })

    static let replicationControllers = ReplicaFamily(
        kind: OwnerKind(resource: .replicationControllers, kind: "ReplicationController"), component: "replication-controller",
        selector: { set in
            let labels = set["spec"]?["selector"]?.strings ?? [:]
            return labels.isEmpty ? Optional<LabelSelector>.none : try? LabelSelector(structured: ["matchLabels": JSON(labels)])
        })
}

struct ReplicaSetController: Controller {
    private let context: ControllerContext
    private let family: ReplicaFamily
    private let sets: Informer
    private let pods: Ownership
    private let events: EventWriter
    private let maker: PodMaker
    private let queue = WorkQueue()

    init(_ context: ControllerContext, family: ReplicaFamily = .replicaSets) {
        self.context = context
        self.family = family
        sets = context.informers.informer(family.kind.resource)
        sets.addIndex(Ownership.byController) { $0.controllerUID.map { [$0] } ?? [] }
        pods = Ownership(context, of: .pods, by: family.kind)
        events = context.events(family.component)
        maker = PodMaker(context: context, events: events, kind: family.kind)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 4, caches: [sets, pods.dependents], events: events,
            feeds: [sets.feed(queue), pods.feed(queue, owners: sets, selector: family.selector)]
        ) { try await sync($0) }
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        guard let set = sets.item(key: key), let selector = family.selector(set) else { return }
        let claimed = try await pods.claim(set, selector, where: PodFacts.isActive)
        var failure: ReplicaDecision.Failure?
        var problem: ClusterProblem?
        if !set.isBeingDeleted {
            do throws(ClusterProblem) { try await manage(set, claimed) } catch { problem = error }
            if let problem, !problem.isNamespaceTerminating {
                failure = ReplicaDecision.Failure(
                    reason: claimed.count < set.specInt("replicas") ?? 1 ? "FailedCreate" : "FailedDelete", message: problem.message)
            }
        }
        let now = context.clock.now()
        let current = pods.owned(by: set.metaUID).filter { PodFacts.isActive($0) && selector.matches(labelsOf: $0) }
        let status = ReplicaDecision.status(of: set, pods: current, failure: failure, at: now)
        do throws(ClusterProblem) { try await context.setStatus(family.kind.resource, of: set, to: status) } catch {
            // A newer state of the set comes with its own event.
            if !error.isNotFound, !error.isConflict { throw error }
        }
        if let problem, !problem.isNamespaceTerminating { throw problem }
        let minReady = set.specInt("minReadySeconds") ?? 0
        if let seconds = PodFacts.secondsUntilNextAvailable(current, minReadySeconds: minReady, at: now) {
            queue.add(key, afterMilliseconds: Int(seconds * 1000) + 10)
        }
    }

    private func manage(_ set: JSON, _ claimed: [JSON]) async throws(ClusterProblem) {
        let desired = set.specInt("replicas") ?? 1
        let related = claimed.count > desired ? family(of: set) : []
        switch ReplicaDecision.step(desired: desired, pods: claimed, related: related, at: context.clock.now()) {
        case .nothing: break
        case .create(let count):
            let pod = PodMaker.pod(from: set["spec"]?["template"] ?? .emptyObject, owner: set, kind: family.kind)
            try await maker.slowStart(Array(repeating: pod, count: count), for: set)
        case .delete(let surplus): try await maker.deleteAll(surplus, of: set)
        }
    }

    /// The pods of all sets with the same owner as this one, its own among them.
    private func family(of set: JSON) -> [JSON] {
        guard let owner = set.controllerUID else { return pods.owned(by: set.metaUID) }
        return sets.items(index: Ownership.byController, value: owner).flatMap { pods.owned(by: $0.metaUID) }
    }
}
