// Ports of the node that lead to pods (`hostPort`): one file a container, and a packet filter table made of all of them.
package import Essentials
package import Kernel

package struct PortMap: Sendable {
    package struct Mapping: Sendable, Hashable {
        package var transport: UInt8
        package var hostPort: UInt16
        package var containerPort: UInt16
        /// Only this address of the node; nil: any.
        package var hostAddress: IPv4?
    }

    private let kernel = LinuxKernel()
    private let directory: String
    private let node: String?
    private static let table = "cni_hostport"

    package static let directory = "/var/lib/cni/portmap"

    package init(directory: String = Self.directory, node: String? = nil) {
        self.directory = directory
        self.node = node
    }

    package static func mappings(_ configuration: JSON) -> [Mapping] {
        (configuration["runtimeConfig"]?["portMappings"]?.array ?? []).compactMap { entry in
            guard let host = entry["hostPort"]?.int.flatMap({ UInt16(exactly: $0) }), host > 0,
                let container = entry["containerPort"]?.int.flatMap({ UInt16(exactly: $0) }),
                let transport = Transport.number(entry["protocol"]?.string ?? "tcp")
            else { return nil }
            let address = entry["hostIP"]?.string.flatMap { IPv4($0) }
            return Mapping(
                transport: transport, hostPort: host, containerPort: container, hostAddress: address == IPv4(0) ? nil : address)
        }
    }

    package func add(_ container: String, _ mappings: [Mapping], to address: IPv4) throws(KernelProblem) {
        try change { () throws(KernelProblem) in
            let lines = mappings.map {
                "\($0.transport) \($0.hostAddress ?? IPv4(0)) \($0.hostPort) \(address) \($0.containerPort)\n"
            }
            try kernel.replace(directory + "/" + container, text: lines.joined())
        }
    }

    package func remove(_ containers: [String]) throws(KernelProblem) {
        guard containers.contains(where: { kernel.exists(directory + "/" + $0) }) else { return }
        try change { () throws(KernelProblem) in for container in containers { try kernel.remove(directory + "/" + container) } }
    }

    package func keep(only valid: Set<String>) throws(KernelProblem) {
        let gone = try kernel.list(directory).filter { !valid.contains($0) && $0 != "lock" }
        try remove(gone)
    }

    private func change(_ body: () throws(KernelProblem) -> Void) throws(KernelProblem) {
        try kernel.makeDirectories(directory)
        let lock = try kernel.lock(directory + "/lock")
        defer { lock.close() }
        try body()
        var lines: [String] = []
        for name in try kernel.list(directory) where name != "lock" && !name.hasSuffix(".new") {
            lines += try kernel.readText(directory + "/" + name).split(separator: "\n").map(String.init)
        }
        let filter = PacketFilter(table: Self.table, in: node)
        let table = Self.table(lines)
        if table.sets.values.allSatisfy({ $0.elements.isEmpty }) { try filter.remove() } else { try filter.apply(table) }
    }

    /// `TRANSPORT NODE-ADDRESS NODE-PORT POD-ADDRESS POD-PORT` lines as a table.
    package static func table(_ lines: [String]) -> FilterTable {
        var any: [FilterElement] = []
        var certain: [FilterElement] = []
        var pods: Set<IPv4> = []
        var known: Set<[UInt8]> = []
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 5, let transport = UInt8(words[0]), let host = IPv4(words[1]), let hostPort = UInt16(words[2]),
                let pod = IPv4(words[3]), let podPort = UInt16(words[4])
            else { continue }
            pods.insert(pod)
            let target = FilterElement.Value.fields(FilterValue.address(pod) + FilterValue.port(podPort))
            let port = FilterValue.transport(transport) + FilterValue.port(hostPort)
            let key = host == IPv4(0) ? port : FilterValue.address(host) + port
            guard known.insert(key).inserted else { continue }
            if host == IPv4(0) { any.append(FilterElement(key, target)) } else { certain.append(FilterElement(key, target)) }
        }
        let lookUp: [FilterRule] = [
            .destination + [
                .meta(.transport, into: 1), .load(.transport, offset: 2, length: 2, into: 2),
                .map(set: "hostip_hostport", register: 0, into: 4), .changeDestination(address: 4, port: 5),
            ],
            .toThisMachine + [
                .meta(.transport, into: 0), .load(.transport, offset: 2, length: 2, into: 1),
                .map(set: "hostport", register: 0, into: 4), .changeDestination(address: 4, port: 5),
            ],
        ]
        return FilterTable(
            name: table,
            chains: [
                "prerouting": FilterChain(base: .init("nat", .prerouting, priority: -90), lookUp),
                "output": FilterChain(base: .init("nat", .output, priority: -90), lookUp),
                "postrouting": FilterChain(
                    base: .init("nat", .postrouting, priority: 100),
                    [
                        // A pod that reaches itself through the node's port must see somebody else as the sender.
                        .source + [.load(.network, offset: 16, length: 4, into: 1), .isIn(set: "hairpin", register: 0, isNot: false)]
                            + [.masquerade],
                        // And so must a pod that the node's loopback speaks to.
                        .source(IPv4Block(IPv4(0x7F00_0000), 8)) + .destination + [
                            .isIn(set: "pods", register: 0, isNot: false), .masquerade,
                        ],
                    ]),
            ],
            sets: [
                "hostport": FilterSet(key: [.transport, .port], data: .fields([.address, .port]), elements: any),
                "hostip_hostport": FilterSet(
                    key: [.address, .transport, .port], data: .fields([.address, .port]), elements: certain),
                "hairpin": FilterSet(key: [.address, .address], elements: pods.sorted().map { FilterElement($0.bytes + $0.bytes) }),
                "pods": FilterSet(key: [.address], elements: pods.sorted().map { FilterElement($0.bytes) }),
            ])
    }
}

/// IP protocol numbers by the names that Kubernetes has for them.
package enum Transport {
    package static func number(_ name: String) -> UInt8? {
        switch name.uppercased() {
        case "TCP": 6
        case "UDP": 17
        case "SCTP": 132
        default: nil
        }
    }
}
