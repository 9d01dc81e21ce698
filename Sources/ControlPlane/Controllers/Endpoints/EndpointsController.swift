// Writes the Endpoints of each service that selects pods, the older form that some clients still read.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct EndpointsController: Controller {
    private let context: ControllerContext
    private let feed: ServiceFeed
    private let endpoints: Informer
    private let events: EventWriter
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        feed = ServiceFeed(context)
        endpoints = context.informers.informer(.endpoints)
        events = context.events("endpoint-controller")
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 2, caches: [feed.services, feed.pods, endpoints], events: events,
            feeds: [feed.services.feed(queue), feed.podChanges(queue), { try await noteEndpoints() }]
        ) { try await sync($0) }
    }

    /// What a predecessor left of services that are gone, and what someone deletes, is looked at; new ones are their makers' own.
    private func noteEndpoints() async throws {
        for object in endpoints.items() where !object.metaAnnotations.keys.contains("control-plane.alpha.kubernetes.io/leader") {
            queue.add(object.objectKey)
        }
        for await change in endpoints.changes() { if case .deleted = change { queue.add(change.object.objectKey) } }
        try Task.checkCancellation()
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        let known = endpoints.item(key: key)
        guard let service = feed.services.item(key: key) else {
            if let known { try await context.delete(.endpoints, known) }
            return
        }
        guard let selector = EndpointPlan.selector(service), !service.isBeingDeleted else { return }
        let subsets = EndpointPlan.subsets(service, pods: feed.pods(service, selector))
        let labels = EndpointPlan.labels(service)
        if let known, JSON(subsets).isSame(as: known["subsets"] ?? JSON([JSON]())), known.metaLabels == labels { return }
        var object = known ?? ["apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": JSON(service.metaName)]]
        object[path: ["metadata", "namespace"]] = JSON(service.metaNamespace)
        object[path: ["metadata", "labels"]] = JSON(labels)
        object[path: ["metadata", "annotations", "endpoints.kubernetes.io/last-change-trigger-time"]] = JSON(context.clock.now().rfc3339)
        object["subsets"] = JSON(subsets)
        do throws(ClusterProblem) {
            if known == nil {
                _ = try await context.create(.endpoints, object)
            } else {
                try await context.update(.endpoints, object)
            }
        } catch {
            if error.isNamespaceTerminating { return }
            if !error.isConflict, !error.isAlreadyExists {
                let verb = known == nil ? "Create" : "Update"
                events.record(
                    "Warning", "FailedTo\(verb)Endpoint",
                    "Failed to \(verb.lowercased()) endpoint \(key): \(error.message)", about: service)
            }
            throw error
        }
    }
}
