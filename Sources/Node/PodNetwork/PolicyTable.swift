// Network policies as packet rules: for every pod of this node that a policy selects, a chain for what may come in and one for
// what may go out.
//
// Two base chains stand in the way of what is forwarded, egress before ingress. Each lets answers pass, looks the pod up in a
// map and jumps to its chain, which accepts or, at its end, drops. Whom a rule lets in or out is a set of addresses, shared by
// all pods that the rule is for: when pods come and go, only elements change. What the node itself sends to its pods is not
// forwarded, so it is never held up, as the API has it.
internal import ClusterModel
package import Essentials
package import Kernel

/// What matters of a pod.
package struct PolicyPod: Sendable, Hashable {
    package var namespace: String
    package var name: String
    package var node: String
    package var address: IPv4
    package var labels: [String: String]
    /// Ports by name.
    package var ports: [String: Port]

    package struct Port: Sendable, Hashable {
        package var transport: UInt8
        package var number: UInt16
    }

    /// Nil for pods without an address of their own.
    package init?(_ pod: JSON) {
        guard let address = pod["status"]?["podIP"]?.string.flatMap({ IPv4($0) }), pod["spec"]?["hostNetwork"]?.bool != true else {
            return nil
        }
        let phase = pod["status"]?["phase"]?.string
        guard phase != "Succeeded", phase != "Failed" else { return nil }
        namespace = pod.metaNamespace ?? ""
        name = pod.metaName
        node = pod["spec"]?["nodeName"]?.string ?? ""
        self.address = address
        labels = pod.metaLabels
        ports = [:]
        let containers =
            (pod["spec"]?["containers"]?.array ?? [])
            + (pod["spec"]?["initContainers"]?.array ?? []).filter { $0["restartPolicy"]?.string == "Always" }
        for port in containers.flatMap({ $0["ports"]?.array ?? [] }) {
            guard let name = port["name"]?.string, let number = port["containerPort"]?.int.flatMap({ UInt16(exactly: $0) }) else {
                continue
            }
            ports[name] = Port(transport: Transport.number(port["protocol"]?.string ?? "TCP") ?? 6, number: number)
        }
    }
}

package struct PolicyCompiler {
    package static let table = "lectern-policy"

    private let policies: [JSON]
    private let pods: [PolicyPod]
    private let namespaces: [String: [String: String]]
    private let node: String
    private var sets: [String: FilterSet] = [:]
    private var chains: [String: FilterChain] = [:]
    private var ways: [Direction: [FilterElement]] = [.ingress: [], .egress: []]

    package enum Direction: String, Sendable {
        case ingress
        case egress
    }

    /// `namespaces`: their labels by name.
    package init(policies: [JSON], pods: [PolicyPod], namespaces: [String: [String: String]], node: String) {
        self.policies = policies.sorted { $0.objectKey < $1.objectKey }
        self.pods = pods.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
        self.namespaces = namespaces
        self.node = node
    }

    /// Nil when no pod of this node is selected by any policy.
    package mutating func compile() -> FilterTable? {
        let selectors = policies.map { try? LabelSelector(structured: $0["spec"]?["podSelector"] ?? .emptyObject) }
        for pod in pods where pod.node == node {
            for direction in [Direction.ingress, .egress] {
                var isSelected = false
                var rules: [FilterRule] = []
                for (policy, selector) in zip(policies, selectors) {
                    guard policy.metaNamespace == pod.namespace, selector?.matches(pod.labels) == true,
                        Self.types(policy).contains(direction)
                    else { continue }
                    isSelected = true
                    for (index, rule) in (policy["spec"]?[direction.rawValue]?.array ?? []).enumerated() {
                        rules += compile(rule, "\(policy.objectKey)/\(direction)/\(index)", policy, direction, pod)
                    }
                }
                guard isSelected else { continue }
                let chain = "\(direction)-\(Self.hash("\(pod.namespace)/\(pod.name)"))"
                // No pod can be kept from itself.
                if direction == .ingress { rules.insert(.source(IPv4Block(pod.address, 32)) + [.verdict(.accept)], at: 0) }
                chains[chain] = FilterChain(rules + [[.verdict(.drop)]])
                ways[direction]?.append(FilterElement(pod.address.bytes, .verdict(.jump(chain))))
            }
        }
        guard !chains.isEmpty else { return nil }
        let known: FilterRule = .state(2 | 4) + [.verdict(.accept)]
        chains["egress"] = FilterChain(
            base: .init("filter", .forward, priority: 0), [known, .source + [.map(set: "egress-pods", register: 0, into: nil)]])
        chains["ingress"] = FilterChain(
            base: .init("filter", .forward, priority: 1), [known, .destination + [.map(set: "ingress-pods", register: 0, into: nil)]])
        for direction in [Direction.ingress, .egress] {
            var seen: Set<[UInt8]> = []
            let elements = (ways[direction] ?? []).filter { seen.insert($0.key).inserted }
            sets["\(direction)-pods"] = FilterSet(key: [.address], data: .verdict, elements: elements)
        }
        return FilterTable(name: Self.table, chains: chains, sets: sets)
    }

    private static func types(_ policy: JSON) -> Set<Direction> {
        if let types = policy["spec"]?["policyTypes"]?.array, !types.isEmpty {
            return Set(types.compactMap { Direction(rawValue: $0.string?.lowercased() ?? "") })
        }
        return policy["spec"]?["egress"]?.array?.isEmpty == false ? [.ingress, .egress] : [.ingress]
    }

    static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return String(hash, radix: 16)
    }
}

extension PolicyCompiler {
    private mutating func compile(_ rule: JSON, _ key: String, _ policy: JSON, _ direction: Direction, _ pod: PolicyPod) -> [FilterRule] {
        let peers = rule[direction == .ingress ? "from" : "to"]?.array ?? []
        let namespace = policy.metaNamespace ?? ""
        var peer: FilterRule = []
        if !peers.isEmpty {
            let name = "peers-\(Self.hash(key))"
            if sets[name] == nil { sets[name] = .ranges(peers.flatMap { ranges($0, in: namespace) }) }
            peer = direction == .ingress ? .source(in: name) : .destination(in: name)
        }
        let ports = rule["ports"]?.array ?? []
        guard !ports.isEmpty else { return [peer + [.verdict(.accept)]] }
        var byTransport: [UInt8: [ClosedRange<UInt16>]?] = [:]
        var named: [FilterElement] = []
        for port in ports {
            let transport = Transport.number(port["protocol"]?.string ?? "TCP") ?? 6
            if let name = port["port"]?.string {
                if direction == .ingress {
                    guard let known = pod.ports[name], known.transport == transport else { continue }
                    if let ranges = byTransport[transport] ?? [] { byTransport[transport] = ranges + [known.number...known.number] }
                } else {
                    named += targets(name, transport, peers: peers, in: namespace)
                }
            } else if let number = port["port"]?.int.flatMap({ UInt16(exactly: $0) }) {
                let last = port["endPort"]?.int.flatMap { UInt16(exactly: $0) } ?? number
                if let ranges = byTransport[transport] ?? [], last >= number { byTransport[transport] = ranges + [number...last] }
            } else {
                byTransport[transport] = .some(nil)  // every port
            }
        }
        var rules: [FilterRule] = []
        for (transport, ranges) in byTransport.sorted(by: { $0.key < $1.key }) {
            var steps = peer + .transport(transport)
            if let ranges {
                steps += [.load(.transport, offset: 2, length: 2, into: 0), .isAmong(.ports(ranges), register: 0, isNot: false)]
            }
            rules.append(steps + [.verdict(.accept)])
        }
        if !named.isEmpty {
            let name = "named-\(Self.hash(key))"
            sets[name] = FilterSet(
                key: [.address, .transport, .port], elements: Array(Set(named)).sorted { $0.key.lexicographicallyPrecedes($1.key) })
            rules.append(
                .destination + [
                    .meta(.transport, into: 1), .load(.transport, offset: 2, length: 2, into: 2),
                    .isIn(set: name, register: 0, isNot: false),
                    .verdict(.accept),
                ])
        }
        return rules
    }

    /// Where a named port leads, for each pod among the peers that has one of that name; without peers, for every pod.
    private func targets(_ name: String, _ transport: UInt8, peers: [JSON], in namespace: String) -> [FilterElement] {
        let found = peers.isEmpty ? pods : peers.flatMap { selected($0, in: namespace) }
        return found.compactMap { pod in
            guard let port = pod.ports[name], port.transport == transport else { return nil }
            return FilterElement(pod.address.bytes + FilterValue.transport(transport) + FilterValue.port(port.number))
        }
    }

    private func selected(_ peer: JSON, in namespace: String) -> [PolicyPod] {
        guard peer["ipBlock"] == nil else { return [] }
        let podSelector = peer["podSelector"].flatMap { try? LabelSelector(structured: $0) }
        let namespaceSelector = peer["namespaceSelector"].flatMap { try? LabelSelector(structured: $0) }
        guard podSelector != nil || namespaceSelector != nil else { return [] }
        return pods.filter { pod in
            if let namespaceSelector {
                guard namespaceSelector.matches(namespaces[pod.namespace] ?? [:]) else { return false }
            } else if pod.namespace != namespace {
                return false
            }
            return podSelector?.matches(pod.labels) ?? true
        }
    }

    private func ranges(_ peer: JSON, in namespace: String) -> [ClosedRange<UInt32>] {
        guard let block = peer["ipBlock"] else { return selected(peer, in: namespace).map { $0.address.value...$0.address.value } }
        guard let whole = block["cidr"]?.string.flatMap({ IPv4Block($0) }) else { return [] }
        let holes = (block["except"]?.array ?? []).compactMap { $0.string.flatMap { IPv4Block($0) } }
        return Self.range(whole).without(FilterSet.merged(holes.map(Self.range)))
    }

    static func range(_ block: IPv4Block) -> ClosedRange<UInt32> {
        let rest = block.prefixLength == 0 ? UInt32.max : (UInt32(1) << (32 - UInt32(block.prefixLength))) &- 1
        return block.base.value...(block.base.value | rest)
    }
}

extension ClosedRange<UInt32> {
    /// What is left without `holes`, which are in order and do not touch.
    func without(_ holes: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var rest: [ClosedRange<UInt32>] = []
        var start = UInt64(lowerBound)
        for hole in holes where hole.overlaps(self) {
            if UInt64(hole.lowerBound) > start { rest.append(UInt32(start)...(hole.lowerBound - 1)) }
            start = Swift.max(start, UInt64(hole.upperBound) + 1)
        }
        if start <= UInt64(upperBound) { rest.append(UInt32(start)...upperBound) }
        return rest
    }
}
