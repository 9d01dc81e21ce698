// Services as a packet filter table.
//
// New connections are looked up once, by address, protocol and port (or by protocol and port where the address is the node's
// own), in a map that leads to the service's chain. That chain picks an endpoint and changes the destination; the kernel
// remembers it for the rest of the connection, so a later change of the rules touches no connection that is made.
//
//     nat prerouting, output → services ─ service-ips ──▶ service-… / external-… ─▶ destination changed
//                                       └ service-nodeports ▶ external-…
//     nat postrouting        → marked, or a pod that reached itself: source changed to the node's
//     filter input, forward, output → what has no endpoint: refused, or dropped where only other nodes have one
//
// To a chain of endpoints leads: the ClusterIP directly; everything from outside through `external-…`, which marks the
// connection, so that answers come back this way, or takes local endpoints only and leaves the client's address as it is.
package import Kernel

package struct ServiceTable {
    package static let name = "kube-proxy"
    /// The bit that upstream marks connections with whose source is to be changed.
    static let masqueradeBit: UInt32 = 0x4000

    private let clusterNetwork: IPv4Block?
    private var chains: [String: FilterChain] = [:]
    private var sets: [String: FilterSet] = [:]
    private var addresses: [FilterElement] = []
    private var nodePorts: [FilterElement] = []
    private var deadAddresses: [FilterElement] = []
    private var deadNodePorts: [FilterElement] = []
    private var taken: Set<[UInt8]> = []
    private var clusterAddresses: Set<IPv4> = []
    private var endpointAddresses: Set<IPv4> = []

    /// `clusterNetwork`: whoever is not in it and uses a ClusterIP gets the node's address; nil: nobody does.
    package init(clusterNetwork: IPv4Block?) { self.clusterNetwork = clusterNetwork }

    package mutating func build(_ ports: [ServicePort]) -> FilterTable {
        for port in ports.sorted(by: { $0.key < $1.key }) { add(port) }
        sets["service-ips"] = FilterSet(key: [.address, .transport, .port], data: .verdict, elements: addresses)
        sets["service-nodeports"] = FilterSet(key: [.transport, .port], data: .verdict, elements: nodePorts)
        sets["no-endpoint-services"] = FilterSet(key: [.address, .transport, .port], data: .verdict, elements: deadAddresses)
        sets["no-endpoint-nodeports"] = FilterSet(key: [.transport, .port], data: .verdict, elements: deadNodePorts)
        sets["cluster-ips"] = FilterSet(key: [.address], elements: clusterAddresses.sorted().map { FilterElement($0.bytes) })
        sets["hairpin-connections"] = FilterSet(
            key: [.address, .address], elements: endpointAddresses.sorted().map { FilterElement($0.bytes + $0.bytes) })
        addBaseChains()
        return FilterTable(name: Self.name, chains: chains, sets: sets)
    }

    /// IPS_DST_NAT of a connection's status.
    private static let destinationChanged: UInt32 = 32

    private static let addressAndPort: FilterRule =
        .destination + [.meta(.transport, into: 1), .load(.transport, offset: 2, length: 2, into: 2)]
    private static let portOfNode: FilterRule =
        .toThisMachine + [.meta(.transport, into: 0), .load(.transport, offset: 2, length: 2, into: 1)]

    private mutating func addBaseChains() {
        var services: [FilterRule] = []
        if let clusterNetwork {
            services.append(.destination(in: "cluster-ips") + .source(clusterNetwork, isNot: true) + .addMark(Self.masqueradeBit))
        }
        services.append(Self.addressAndPort + [.map(set: "service-ips", register: 0, into: nil)])
        services.append(Self.portOfNode + [.map(set: "service-nodeports", register: 0, into: nil)])
        chains["services"] = FilterChain(services)
        for (name, hook) in [("nat-prerouting", FilterHook.prerouting), ("nat-output", .output)] {
            chains[name] = FilterChain(base: .init("nat", hook, priority: -100), [[.verdict(.jump("services"))]])
        }
        chains["nat-postrouting"] = FilterChain(
            base: .init("nat", .postrouting, priority: 100),
            [
                // A node that reaches its own address through a service speaks to itself all the way.
                .output("lo") + [.verdict(.return)],
                .mark(Self.masqueradeBit) + [
                    .meta(.mark, into: 0), .bits(register: 0, mask: ~Self.masqueradeBit, flip: 0), .setMark(from: 0), .masquerade,
                ],
                // Only what a service led back to its sender: a connection of a node to itself that is older than these rules would
                // be taken for a new one here and lose its port, and with it every watch of the control plane.
                [
                    .connectionStatus(into: 0), .bits(register: 0, mask: Self.destinationChanged, flip: 0),
                    .compare(.notEqual, register: 0, FilterValue.number(0)),
                ] + .source + [
                    .load(.network, offset: 16, length: 4, into: 1), .isIn(set: "hairpin-connections", register: 0, isNot: false),
                    .masquerade,
                ],
            ])
        chains["reject-chain"] = FilterChain([.transport(6) + [.reset], [.reject]])
        chains["endpoints-check"] = FilterChain([
            Self.addressAndPort + [.map(set: "no-endpoint-services", register: 0, into: nil)],
            Self.portOfNode + [.map(set: "no-endpoint-nodeports", register: 0, into: nil)],
            .destination(in: "cluster-ips") + [.verdict(.goto("reject-chain"))],
        ])
        let check: FilterRule = .state(8) + [.verdict(.jump("endpoints-check"))]
        for (name, hook) in [("filter-forward", FilterHook.forward), ("filter-output", .output)] {
            chains[name] = FilterChain(base: .init("filter", hook, priority: 0), [check])
        }
        // Nobody else may speak to the loopback, though its answers are let in where a node port of 127.0.0.1 led elsewhere.
        let intruder: FilterRule =
            .input("lo", isNot: true) + .destination(IPv4Block(IPv4(0x7F00_0000), 8)) + [
                .connectionStatus(into: 0), .bits(register: 0, mask: 16 | 32, flip: 0),
                .compare(.equal, register: 0, FilterValue.number(0)), .verdict(.drop),
            ]
        chains["filter-input"] = FilterChain(base: .init("filter", .input, priority: 0), [intruder, check])
    }

    private mutating func add(_ port: ServicePort) {
        let name = Self.name(port)
        clusterAddresses.formUnion(port.clusterAddresses)
        for endpoint in port.endpoints + port.localEndpoints { endpointAddresses.insert(endpoint.address) }
        let isReachable = !port.endpoints.isEmpty
        let hasOutside = port.nodePort != nil || !port.externalAddresses.isEmpty || !port.balancerAddresses.isEmpty
        let needsAll = isReachable && (!port.internalIsLocal || hasOutside)
        let needsLocal = !port.localEndpoints.isEmpty && (port.internalIsLocal || (hasOutside && port.externalIsLocal))
        if needsAll { chains["service-\(name)"] = FilterChain(choose(port, port.endpoints)) }
        if needsLocal { chains["local-\(name)"] = FilterChain(choose(port, port.localEndpoints)) }

        let inside: FilterVerdict? =
            port.internalIsLocal
            ? (port.localEndpoints.isEmpty ? nil : .goto("local-\(name)")) : (isReachable ? .goto("service-\(name)") : nil)
        for address in port.clusterAddresses { lead(address, port, to: inside, isElsewhere: port.internalIsLocal && isReachable) }

        guard hasOutside else { return }
        var outside: FilterVerdict?
        if isReachable {
            var rules: [FilterRule] = []
            if port.externalIsLocal {
                // What begins in the cluster may take any endpoint, as it would by the ClusterIP.
                if let clusterNetwork { rules.append(.source(clusterNetwork) + [.verdict(.goto("service-\(name)"))]) }
                rules.append(.fromThisMachine + .addMark(Self.masqueradeBit) + [.verdict(.goto("service-\(name)"))])
                if !port.localEndpoints.isEmpty { rules.append([.verdict(.goto("local-\(name)"))]) }
            } else {
                rules.append(.addMark(Self.masqueradeBit) + [.verdict(.goto("service-\(name)"))])
            }
            chains["external-\(name)"] = FilterChain(rules)
            outside = .goto("external-\(name)")
        }
        let isOnlyElsewhere = isReachable && port.externalIsLocal && port.localEndpoints.isEmpty
        for address in port.externalAddresses { lead(address, port, to: outside, isElsewhere: isOnlyElsewhere) }
        var balancer = outside
        if outside != nil, !port.sourceRanges.isEmpty {
            let ranges = port.sourceRanges.map { block in
                let rest = block.prefixLength == 0 ? UInt32.max : (UInt32(1) << (32 - UInt32(block.prefixLength))) &- 1
                return block.base.value...(block.base.value | rest)
            }
            chains["firewall-\(name)"] = FilterChain([
                .source + [.isAmong(.ranges(ranges), register: 0, isNot: false), .verdict(.goto("external-\(name)"))],
                [.verdict(.drop)],
            ])
            balancer = .goto("firewall-\(name)")
        }
        for address in port.balancerAddresses { lead(address, port, to: balancer, isElsewhere: isOnlyElsewhere) }
        if let nodePort = port.nodePort {
            let key = FilterValue.transport(port.transport) + FilterValue.port(nodePort)
            guard taken.insert(key).inserted else { return }
            if let outside { nodePorts.append(FilterElement(key, .verdict(outside))) }
            if outside == nil {
                deadNodePorts.append(FilterElement(key, .verdict(.goto("reject-chain"))))
            } else if isOnlyElsewhere {
                deadNodePorts.append(FilterElement(key, .verdict(.drop)))
            }
        }
    }

    private mutating func lead(_ address: IPv4, _ port: ServicePort, to verdict: FilterVerdict?, isElsewhere: Bool) {
        let key = address.bytes + FilterValue.transport(port.transport) + FilterValue.port(port.port)
        // The first service to claim an address and port has it.
        guard taken.insert(key).inserted else { return }
        if let verdict { addresses.append(FilterElement(key, .verdict(verdict))) }
        // What the chain above led nowhere, because other nodes have the endpoints, is dropped; what nobody has is refused.
        if isElsewhere {
            deadAddresses.append(FilterElement(key, .verdict(.drop)))
        } else if verdict == nil {
            deadAddresses.append(FilterElement(key, .verdict(.goto("reject-chain"))))
        }
    }

    /// Rules that pick one of the endpoints, each as likely as the others, or the one that the client had before.
    private mutating func choose(_ port: ServicePort, _ endpoints: [ServiceEndpoint]) -> [FilterRule] {
        let change: FilterRule = [.changeDestination(address: 4, port: 5)]
        func lead(_ endpoint: ServiceEndpoint) -> FilterRule {
            .transport(port.transport)
                + [.constant(endpoint.address.bytes, into: 4), .constant(FilterValue.port(endpoint.port), into: 5)] + change
        }
        guard let seconds = port.affinitySeconds else {
            if endpoints.count == 1 { return [lead(endpoints[0])] }
            let map = FilterSet(
                key: [.number], data: .fields([.address, .port]),
                elements: endpoints.enumerated().map { index, endpoint in
                    FilterElement(
                        FilterValue.number(UInt32(index)), .fields(endpoint.address.bytes + FilterValue.port(endpoint.port)))
                })
            return [
                .transport(port.transport)
                    + [.random(below: UInt32(endpoints.count), into: 0), .mapAmong(map, register: 0, into: 4)] + change
            ]
        }
        var known: [FilterRule] = []
        var fresh: [FilterRule] = []
        for (index, endpoint) in endpoints.enumerated() {
            // The time is part of the name: a set's cannot be changed.
            let set = "affinity-\(Self.hash(port.key))-\(seconds)-\(endpoint.address)-\(endpoint.port)"
            sets[set] = FilterSet(key: [.address], timeoutSeconds: seconds)
            known.append(.source(in: set) + [.remember(set: set, register: 0)] + lead(endpoint))
            let left = UInt32(endpoints.count - index)
            let chance: FilterRule = left == 1 ? [] : [.random(below: left, into: 0), .compare(.equal, register: 0, FilterValue.number(0))]
            fresh.append(chance + .source + [.remember(set: set, register: 0)] + lead(endpoint))
        }
        return known + fresh
    }

    /// A chain's name says whose it is, as upstream's do.
    static func name(_ port: ServicePort) -> String { String("\(hash(port.key))-\(port.key)".prefix(110)) }

    static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return String(hash & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }
}
