// Which node's pods have which addresses, and the routes that follow: decided from the Node objects alone.
//
// A node with `spec.podCIDR` has that. Without one, its network is a /24 of the common range, chosen by the low bits of the
// node's own address: every node comes to the same answer about every other without anybody writing anything down.
internal import ClusterModel
package import Essentials
package import Kernel

package struct PeerNode: Sendable, Hashable {
    package var name: String
    package var address: IPv4
    /// Nil: the node has none (yet).
    package var subnet: IPv4Block?

    /// Nil for a node that has told no address.
    package init?(_ node: JSON, range: IPv4Block?) {
        let addresses = node["status"]?["addresses"]?.array ?? []
        guard
            let address = addresses.lazy.filter({ $0["type"]?.string == "InternalIP" }).compactMap({ $0["address"]?.string })
                .compactMap({ IPv4($0) }).first
        else { return nil }
        name = node.metaName
        self.address = address
        let given = [node["spec"]?["podCIDR"]?.string].compactMap(\.self) + (node["spec"]?["podCIDRs"]?.array?.compactMap(\.string) ?? [])
        subnet = given.lazy.compactMap { IPv4Block($0) }.first ?? range.flatMap { Self.derived(address, in: $0) }
    }

    /// The /24 of `range` for a node at `address`.
    package static func derived(_ address: IPv4, in range: IPv4Block) -> IPv4Block? {
        guard range.prefixLength < 24 else { return nil }
        let mask = UInt32(1) << (24 - UInt32(range.prefixLength)) - 1
        return IPv4Block(IPv4(range.base.value | (address.value & mask) << 8), 24)
    }
}

/// What a node's network is to be.
package struct NodePlan: Sendable, Equatable {
    package var own: PeerNode
    package var subnet: IPv4Block
    /// Nodes on the same wire, reached by their own addresses, and those that need the tunnel.
    package var neighbours: [PeerNode]
    package var distant: [PeerNode]
    /// Whom traffic from pods reaches without a change of its source.
    package var podNetworks: [IPv4Block]

    /// The origin that our routes carry in the kernel's table.
    package static let origin: UInt8 = 76
    package static let tunnel = "lectern.1"
    package static let tunnelPort: UInt16 = 8472

    /// `wire`: the network that this node's own address is in.
    package init(name: String, nodes: [JSON], range: IPv4Block?, wire: IPv4Block) throws(PodNetworkProblem) {
        let all = nodes.compactMap { PeerNode($0, range: range) }.sorted { $0.name < $1.name }
        guard let own = all.first(where: { $0.name == name }) else { throw .nodeUnknown(name) }
        guard let subnet = own.subnet else { throw .noSubnet(name) }
        if let other = all.first(where: { $0.subnet == subnet && $0.name < name }) { throw .subnetTaken("\(subnet)", by: other.name) }
        self.own = own
        self.subnet = subnet
        let others = all.filter { $0.name != name && $0.subnet != nil && $0.subnet != subnet }
        neighbours = others.filter { wire.contains($0.address) }
        distant = others.filter { !wire.contains($0.address) }
        var networks = Set(all.compactMap(\.subnet))
        if let range { networks.insert(range) }
        podNetworks = networks.sorted { ($0.base, $0.prefixLength) < ($1.base, $1.prefixLength) }
    }

    /// `tunnelLink`: the tunnel's number, where there is one.
    package func routes(tunnelLink: Int32?) -> [NetworkRoute] {
        var routes = neighbours.compactMap { node in
            node.subnet.map { NetworkRoute(to: $0, via: node.address, origin: Self.origin) }
        }
        if let tunnelLink {
            routes += distant.compactMap { node in
                node.subnet.map { NetworkRoute(to: $0, via: $0.base, link: tunnelLink, origin: Self.origin, isOnLink: true) }
            }
        }
        return routes
    }

    /// The address that a node's end of the tunnel has: it follows from the node's own, so nobody has to tell it.
    package static func tunnelHardware(_ node: IPv4) -> HardwareAddress { HardwareAddress(bytes: [0x0A, 0x5A] + node.bytes) }

    package static let table = "lectern-net"

    /// What pods send out of the cluster goes with the node's address.
    package var masqueradeTable: FilterTable {
        let networks = podNetworks.map { block in
            block.base.value...(block.base.value | (block.prefixLength == 0 ? .max : (UInt32(1) << (32 - UInt32(block.prefixLength))) &- 1))
        }
        return FilterTable(
            name: Self.table,
            chains: [
                "postrouting": FilterChain(
                    base: .init("nat", .postrouting, priority: 100),
                    [.source(subnet) + .destination(in: "pods", isNot: true) + [.masquerade]])
            ], sets: ["pods": .ranges(networks)])
    }
}
