// Mirrors Endpoints that people write for services without a selector into slices, so that proxies need to read slices only.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct EndpointSliceMirroring: Controller {
    static let manager = "endpointslicemirroring-controller.k8s.io"
    static let skipLabel = "endpointslice.kubernetes.io/skip-mirror"

    private let context: ControllerContext
    private let services: Informer
    private let endpoints: Informer
    private let slices: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(.services)
        endpoints = context.informers.informer(.endpoints)
        slices = EndpointSliceController.slices(context)
    }

    func run() async throws {
        try await reconcile(
            queue, caches: [services, endpoints, slices],
            feeds: [
                services.feed(queue), endpoints.feed(queue),
                {
                    for await change in slices.changes() {
                        let labels = change.object.metaLabels
                        guard labels[EndpointSliceController.managedLabel] == Self.manager,
                            let name = labels[EndpointSliceController.serviceLabel]
                        else { continue }
                        queue.add((change.object.metaNamespace ?? "") + "/" + name)
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { try await sync($0) }
    }

    /// Whether these Endpoints are a person's own and want to be mirrored.
    static func isWanted(_ endpoints: JSON, _ service: JSON?) -> Bool {
        guard let service, !endpoints.isBeingDeleted, service["spec"]?["selector"]?.strings.isEmpty ?? true else { return false }
        return endpoints.metaLabels[skipLabel] != "true"
            && endpoints.metaAnnotations["control-plane.alpha.kubernetes.io/leader"] == nil
    }

    static func groups(_ endpoints: JSON, isIPv6: Bool) -> [EndpointPlan.Group] {
        (endpoints["subsets"]?.array ?? []).compactMap { subset in
            let ports: [JSON] = (subset["ports"]?.array ?? []).map { port in
                var copy = port
                copy["name"] = port["name"] ?? ""
                copy["protocol"] = port["protocol"] ?? "TCP"
                return copy
            }
            var entries: [JSON] = []
            for (part, isReady) in [("addresses", true), ("notReadyAddresses", false)] {
                for address in subset[part]?.array ?? [] {
                    guard let ip = address["ip"]?.string, ip.contains(":") == isIPv6 else { continue }
                    var entry: JSON = ["addresses": [JSON(ip)], "conditions": ["ready": JSON(isReady)]]
                    for field in ["hostname", "targetRef", "nodeName"] { if let value = address[field] { entry[field] = value } }
                    entries.append(entry)
                }
            }
            return entries.isEmpty ? nil : EndpointPlan.Group(ports: ports, endpoints: entries)
        }
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        let known = slices.items(index: EndpointSliceController.byService, value: key + "/" + Self.manager)
        guard let object = endpoints.item(key: key), Self.isWanted(object, services.item(key: key)) else {
            for slice in known { try await context.delete(.endpointSlices, slice) }
            return
        }
        let labels = object.metaLabels
        for family in ["IPv4", "IPv6"] {
            let groups = Self.groups(object, isIPv6: family == "IPv6")
            let existing = known.filter { $0["addressType"]?.string == family }
            if groups.isEmpty {
                for slice in existing { try await context.delete(.endpointSlices, slice) }
                continue
            }
            let template = EndpointSliceController.template(
                object, labels: labels, manager: Self.manager, family: family, at: context.clock.now())
            try await EndpointSliceController.carryOut(
                SlicePlan.make(existing: existing, groups: groups, template: template), context)
        }
    }
}
