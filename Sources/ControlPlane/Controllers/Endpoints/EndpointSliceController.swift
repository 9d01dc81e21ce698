// Writes the EndpointSlices of each service that selects pods: what proxies and DNS read.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct EndpointSliceController: Controller {
    static let serviceLabel = "kubernetes.io/service-name"
    static let managedLabel = "endpointslice.kubernetes.io/managed-by"
    static let manager = "endpointslice-controller.k8s.io"
    static let byService = "service"

    private let context: ControllerContext
    private let feed: ServiceFeed
    private let nodes: Informer
    private let slices: Informer
    private let events: EventWriter
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        feed = ServiceFeed(context)
        nodes = context.informers.informer(.nodes)
        slices = Self.slices(context)
        events = context.events("endpoint-slice-controller")
    }

    /// Slices by the service they belong to.
    static func slices(_ context: ControllerContext) -> Informer {
        let slices = context.informers.informer(.endpointSlices)
        slices.addIndex(byService) { slice in
            guard let service = slice["metadata"]?["labels"]?[serviceLabel]?.string else { return [] }
            return [(slice.metaNamespace ?? "") + "/" + service + "/" + (slice["metadata"]?["labels"]?[managedLabel]?.string ?? "")]
        }
        return slices
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 2, caches: [feed.services, feed.pods, nodes, slices], events: events,
            feeds: [
                feed.services.feed(queue), feed.podChanges(queue),
                {
                    // A slice that someone changes or deletes is put right.
                    for await change in slices.changes() {
                        let slice = change.object
                        guard slice["metadata"]?["labels"]?[Self.managedLabel]?.string == Self.manager,
                            let service = slice["metadata"]?["labels"]?[Self.serviceLabel]?.string
                        else { continue }
                        queue.add((slice.metaNamespace ?? "") + "/" + service)
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { try await sync($0) }
    }

    static func template(_ service: JSON, labels: [String: String], manager: String, family: String, at now: Timestamp) -> JSON {
        var labels = labels
        labels[serviceLabel] = service.metaName
        labels[managedLabel] = manager
        let owner: JSON = [
            "apiVersion": "v1", "kind": service["kind"] ?? "Service", "name": JSON(service.metaName), "uid": JSON(service.metaUID),
            "controller": true, "blockOwnerDeletion": true,
        ]
        return [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": [
                "generateName": JSON(service.metaName + "-"), "namespace": JSON(service.metaNamespace), "labels": JSON(labels),
                "annotations": ["endpoints.kubernetes.io/last-change-trigger-time": JSON(now.rfc3339)], "ownerReferences": [owner],
            ],
            "addressType": JSON(family),
        ]
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        let known = slices.items(index: Self.byService, value: key + "/" + Self.manager)
        guard let service = feed.services.item(key: key), let selector = EndpointPlan.selector(service) else {
            // Slices of a service that is gone are its dependents; those of one that no longer selects are ours to remove.
            for slice in known { try await context.delete(.endpointSlices, slice) }
            return
        }
        if service.isBeingDeleted { return }
        let pods = feed.pods(service, selector)
        var families = (service["spec"]?["ipFamilies"]?.array ?? []).compactMap(\.string)
        if families.isEmpty { families = ["IPv4"] }
        let now = context.clock.now()
        for family in families {
            let groups = EndpointPlan.groups(service, pods: pods, isIPv6: family == "IPv6") { node in
                nodes.item(name: node)?["metadata"]?["labels"]?["topology.kubernetes.io/zone"]?.string
            }
            let template = Self.template(
                service, labels: EndpointPlan.labels(service), manager: Self.manager, family: family, at: now)
            let plan = SlicePlan.make(existing: known.filter { $0["addressType"]?.string == family }, groups: groups, template: template)
            try await Self.carryOut(plan, context)
        }
        for slice in known where !families.contains(slice["addressType"]?.string ?? "") {
            try await context.delete(.endpointSlices, slice)
        }
    }

    static func carryOut(_ plan: SlicePlan, _ context: ControllerContext) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            // New addresses come before old ones go.
            for slice in plan.create { _ = try await context.create(.endpointSlices, slice) }
            for slice in plan.update { try await context.update(.endpointSlices, slice) }
            for slice in plan.delete { try await context.delete(.endpointSlices, slice) }
        } catch {
            if !error.isNamespaceTerminating { throw error }
        }
    }
}
