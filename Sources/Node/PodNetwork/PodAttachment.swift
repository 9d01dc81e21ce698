// How a pod is to be attached, read from the configurations of the plugins whose names this program answers to.
internal import Essentials
package import Kernel

package struct PodAttachment: Sendable, Equatable {
    package var network: String
    package var range: AddressPool.Range
    package var bridge: String
    /// Nil: as the node's own way out has it.
    package var mtu: UInt32?
    /// Nil gateway: the network's own.
    package var routes: [Route]
    package var masquerades: Bool
    package var dataDirectory: String
    /// The pod's address, where the runtime wants a certain one.
    package var wanted: IPv4?
    package var subnet: IPv4Block

    package struct Route: Sendable, Equatable {
        package var destination: IPv4Block
        package var gateway: IPv4?
    }

    /// `flannel`: the content of /run/flannel/subnet.env, asked for only where the plugin needs it.
    package init(plugin: String, _ request: CNIRequest, flannel: () -> String?) throws(CNIError) {
        let configuration = request.configuration
        network = request.network
        mtu = configuration["mtu"]?.int.flatMap { UInt32(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 }
        masquerades = configuration["ipMasq"]?.bool ?? false
        dataDirectory = "/var/lib/cni/networks"
        routes = []
        var ipam = configuration["ipam"] ?? .emptyObject
        var isDefaultGateway = configuration["isDefaultGateway"]?.bool ?? false
        switch plugin {
        case "weave-net", "lectern-cni":
            bridge = plugin == "weave-net" ? "weave" : "pods"
            isDefaultGateway = true
        case "flannel":
            let delegate = configuration["delegate"] ?? .emptyObject
            bridge = delegate["bridge"]?.string ?? "cni0"
            isDefaultGateway = true
            masquerades = delegate["ipMasq"]?.bool ?? false
            let path = configuration["subnetFile"]?.string ?? "/run/flannel/subnet.env"
            guard let text = flannel() else {
                throw CNIError(.notAvailable, "loadFlannelSubnetEnv failed: open \(path): no such file or directory")
            }
            let lines = Self.environment(text)
            guard let subnet = lines["FLANNEL_SUBNET"].flatMap({ Self.addressAndNetwork($0)?.1 }) else {
                throw CNIError(.notAvailable, "\(path) is missing FLANNEL_SUBNET")
            }
            mtu = lines["FLANNEL_MTU"].flatMap { UInt32($0) }
            ipam = ["subnet": JSON("\(subnet)")]
            if let whole = lines["FLANNEL_NETWORK"].flatMap({ IPv4Block($0) }) {
                routes.append(Route(destination: whole, gateway: nil))
            }
        default:
            bridge = configuration["bridge"]?.string ?? "cni0"
        }
        guard bridge.utf8.count < 16, !bridge.isEmpty, !bridge.contains("/"), bridge.allSatisfy({ !$0.isWhitespace }) else {
            throw CNIError(.badConfiguration, "invalid bridge name \"\(bridge)\"")
        }
        let set = ipam["ranges"]?[0]?[0] ?? ipam
        guard let subnet = set["subnet"]?.string.flatMap({ IPv4Block($0) }) else {
            throw CNIError(.badConfiguration, "no IP ranges specified", details: "ipam.subnet or ipam.ranges is missing")
        }
        self.subnet = subnet
        func address(_ name: String) throws(CNIError) -> IPv4? {
            guard let text = set[name]?.string else { return nil }
            guard let address = IPv4(text) else { throw CNIError(.badConfiguration, "invalid \(name) \"\(text)\"") }
            return address
        }
        guard
            let range = AddressPool.Range(
                subnet: subnet, first: try address("rangeStart"), last: try address("rangeEnd"), gateway: try address("gateway"))
        else { throw CNIError(.badConfiguration, "subnet \(subnet) holds no addresses for pods") }
        self.range = range
        if let directory = ipam["dataDir"]?.string, directory.hasPrefix("/") { dataDirectory = directory }
        for route in ipam["routes"]?.array ?? [] {
            guard let destination = route["dst"]?.string.flatMap({ IPv4Block($0) }) else {
                // An IPv6 route has nobody to use it here.
                if route["dst"]?.string?.contains(":") == true { continue }
                throw CNIError(.badConfiguration, "invalid route")
            }
            routes.append(Route(destination: destination, gateway: route["gw"]?.string.flatMap { IPv4($0) }))
        }
        if isDefaultGateway, !routes.contains(where: { $0.destination.prefixLength == 0 }) {
            routes.append(Route(destination: IPv4Block(IPv4(0), 0), gateway: nil))
        }
        wanted = (request.arguments["IP"] ?? configuration["args"]?["cni"]?["ips"]?[0]?.string).flatMap {
            Self.addressAndNetwork($0)?.0 ?? IPv4($0)
        }
        if let wanted, !subnet.contains(wanted) { throw CNIError(.badConfiguration, "\(wanted) is not in \(subnet)") }
    }

    /// `10.244.1.1/24` as the address and its network.
    package static func addressAndNetwork(_ text: String) -> (IPv4, IPv4Block)? {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let address = IPv4(String(parts[0])), let block = IPv4Block(text) else { return nil }
        return (address, block)
    }

    /// `NAME=value` lines.
    package static func environment(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
        return values
    }

    /// The name of the node's end of a container's cable: always the same for the same container and interface.
    package static func cable(container: String, interface: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(container)/\(interface)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        let text = String(hash & 0xFFFF_FFFF, radix: 16)
        return "veth" + String(repeating: "0", count: 8 - text.count) + text
    }
}
