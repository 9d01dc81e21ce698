// Gives services of type LoadBalancer the addresses of the nodes: there is no other balancer in a lab, and every node's proxy takes
// what comes in at such an address and port.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

/// Which service has which addresses, decided for all of them at once: of two that want one port the older one has it.
struct BalancerPlan {
    struct Port: Hashable {
        var transport: String
        var number: Int
    }

    /// Ports that nodes need for themselves.
    static let reserved: Set<Int> = [22, 53, 2379, 2380, 2381, 6443, 6784, 10248, 10249, 10250, 10256, 10257, 10259]

    enum Outcome: Equatable {
        case addresses([String])
        /// Somebody else's port; nil: the nodes'.
        case taken(port: Int, by: String?)
    }

    private(set) var outcomes: [String: Outcome] = [:]

    init(services: [JSON], nodes: [JSON]) {
        let addresses = Self.addresses(nodes)
        var owners: [Port: String] = [:]
        let order = services.filter(Self.isOurs).sorted {
            ($0["metadata"]?["creationTimestamp"]?.string ?? "", $0.objectKey)
                < ($1["metadata"]?["creationTimestamp"]?.string ?? "", $1.objectKey)
        }
        for service in order {
            let ports = (service["spec"]?["ports"]?.array ?? []).compactMap { port in
                port["port"]?.int.map { Port(transport: port["protocol"]?.string ?? "TCP", number: $0) }
            }
            if let port = ports.first(where: { Self.reserved.contains($0.number) }) {
                outcomes[service.objectKey] = .taken(port: port.number, by: nil)
            } else if let port = ports.first(where: { owners[$0] != nil }) {
                outcomes[service.objectKey] = .taken(port: port.number, by: owners[port])
            } else {
                for port in ports { owners[port] = service.objectKey }
                let wanted = service["spec"]?["loadBalancerIP"]?.string ?? ""
                outcomes[service.objectKey] = .addresses(addresses.contains(wanted) ? [wanted] : addresses)
            }
        }
    }

    static func isOurs(_ service: JSON) -> Bool {
        service["spec"]?["type"]?.string == "LoadBalancer" && (service["spec"]?["loadBalancerClass"]?.string ?? "").isEmpty
            && !service.isBeingDeleted
    }

    private static func addresses(_ nodes: [JSON]) -> [String] {
        nodes.sorted { $0.metaName < $1.metaName }.compactMap { node in
            let conditions = node["status"]?["conditions"]?.array ?? []
            guard conditions.first(where: { $0["type"]?.string == "Ready" })?["status"]?.string == "True" else { return nil }
            return node["status"]?["addresses"]?.array?.first { $0["type"]?.string == "InternalIP" }?["address"]?.string
        }
    }
}

struct LoadBalancers: Controller {
    private let context: ControllerContext
    private let services: Informer
    private let nodes: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(.services)
        nodes = context.informers.informer(.nodes)
    }

    func run() async throws {
        let events = context.events("service-controller")
        let feeds = [services, nodes].map { informer -> @Sendable () async throws -> Void in
            {
                for await _ in informer.changes() { queue.add("all") }
                try Task.checkCancellation()
            }
        }
        try await reconcile(queue, workers: 1, caches: [services, nodes], events: events, feeds: feeds) { _ in
            let plan = BalancerPlan(services: services.items(), nodes: nodes.items())
            for service in services.items() {
                let known = service["status"]?["loadBalancer"]?["ingress"]?.array ?? []
                switch plan.outcomes[service.objectKey] {
                case .addresses(let addresses):
                    let wanted = addresses.map { address -> JSON in ["ip": JSON(address), "ipMode": "VIP"] }
                    guard known.map({ $0["ip"]?.string ?? "" }) != addresses else { continue }
                    if known.isEmpty { events.record("Normal", "EnsuringLoadBalancer", "Ensuring load balancer", about: service) }
                    try await set(service, wanted)
                    events.record("Normal", "EnsuredLoadBalancer", "Ensured load balancer", about: service)
                case .taken(let port, let owner):
                    if !known.isEmpty { try await set(service, []) }
                    let whose = owner.map { "service \($0)" } ?? "the nodes themselves"
                    events.record(
                        "Warning", "SyncLoadBalancerFailed", "Error syncing load balancer: port \(port) of the nodes belongs to \(whose)",
                        about: service)
                case nil:
                    if !known.isEmpty, (service["spec"]?["loadBalancerClass"]?.string ?? "").isEmpty, !service.isBeingDeleted {
                        try await set(service, [])
                    }
                }
            }
        }
    }

    private func set(_ service: JSON, _ ingress: [JSON]) async throws {
        try await ignoring {
            try await context.patch(
                .services, service, as: .merge, ["status": ["loadBalancer": ingress.isEmpty ? nil : ["ingress": .array(ingress)]]],
                subresource: "status")
        }
    }
}
