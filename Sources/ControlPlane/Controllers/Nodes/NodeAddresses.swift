// Gives each node its part of the pod network (`spec.podCIDR`).
internal import ClusterClient
internal import ClusterModel
internal import Essentials

/// Equal parts of an IPv4 network.
struct NetworkParts: Sendable, Equatable {
    let base: UInt32
    let count: Int
    let bits: Int

    init?(_ network: String, bits: Int) {
        let halves = network.split(separator: "/")
        guard halves.count == 2, let prefix = Int(halves[1]), (1...bits).contains(prefix), bits <= 30 else { return nil }
        let numbers = halves[0].split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt32($0) }
        guard numbers.count == 4, numbers.allSatisfy({ $0 < 256 }) else { return nil }
        base = numbers.reduce(0) { $0 << 8 | $1 } & ~UInt32((UInt64(1) << (32 - prefix)) - 1)
        count = 1 << (bits - prefix)
        self.bits = bits
    }

    subscript(index: Int) -> String {
        let value = base + UInt32(index) << (32 - bits)
        return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)/\(bits)"
    }

    func firstFree(without taken: Set<String>) -> String? { (0..<count).lazy.map { self[$0] }.first { !taken.contains($0) } }
}

struct NodeAddresses: Controller {
    private let context: ControllerContext
    private let nodes: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(.nodes)
    }

    func run() async throws {
        guard let network = context.settings.podNetwork, let parts = NetworkParts(network, bits: context.settings.podNetworkBits) else {
            return try await Task.sleep(for: .seconds(1 << 30))
        }
        let events = context.events("cidrAllocator")
        // One worker: what one node got must be known before the next one asks.
        try await reconcile(queue, workers: 1, caches: [nodes], events: events, feeds: [nodes.feed(queue)]) { key in
            guard let node = nodes.item(key: key), (node["spec"]?["podCIDR"]?.string ?? "").isEmpty, !node.isBeingDeleted else { return }
            let taken = Set(nodes.items().compactMap { $0["spec"]?["podCIDR"]?.string })
            guard let free = parts.firstFree(without: taken) else {
                events.record("Normal", "CIDRNotAvailable", "Node \(node.metaName) status is now: CIDRNotAvailable", about: node)
                return
            }
            try await ignoring {
                try await context.patch(.nodes, node, as: .merge, ["spec": ["podCIDR": JSON(free), "podCIDRs": [JSON(free)]]])
            }
        }
    }
}
