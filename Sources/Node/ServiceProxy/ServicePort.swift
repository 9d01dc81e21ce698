// A port of a service and where it leads, read from the Service and its EndpointSlices.
internal import ClusterModel
package import Essentials
package import Kernel

package struct ServiceEndpoint: Sendable, Hashable {
    package var address: IPv4
    package var port: UInt16
    package var isLocal: Bool
    package init(address: IPv4, port: UInt16, isLocal: Bool) {
        self.address = address
        self.port = port
        self.isLocal = isLocal
    }
}

package struct ServicePort: Sendable, Hashable {
    package var namespace: String
    package var service: String
    /// Empty where the service has one port without a name.
    package var name: String
    package var transport: UInt8
    package var port: UInt16
    package var nodePort: UInt16?
    package var clusterAddresses: [IPv4]
    package var externalAddresses: [IPv4]
    package var balancerAddresses: [IPv4]
    /// Empty: anyone may use the load balancer's addresses.
    package var sourceRanges: [IPv4Block]
    /// A client keeps its endpoint for this long.
    package var affinitySeconds: UInt32?
    package var externalIsLocal: Bool
    package var internalIsLocal: Bool
    package var healthCheckNodePort: UInt16?
    /// Those that take new connections: all ready ones, or else those that still serve while they end.
    package var endpoints: [ServiceEndpoint]
    package var localEndpoints: [ServiceEndpoint]

    package var transportName: String {
        switch transport {
        case 17: "udp"
        case 132: "sctp"
        default: "tcp"
        }
    }

    /// `namespace/name/tcp/port`
    package var key: String { "\(namespace)/\(service)/\(transportName)/\(name)" }

    /// The ports that this proxy is to serve: none of headless services, of names for other names, and of other proxies.
    package static func ports(of service: JSON, slices: [JSON], node: String) -> [ServicePort] {
        let spec = service["spec"] ?? .emptyObject
        guard spec["type"]?.string != "ExternalName", service.metaLabels["service.kubernetes.io/service-proxy-name"] == nil else {
            return []
        }
        let listed = (spec["clusterIPs"]?.array ?? []) + [spec["clusterIP"] ?? .null]
        var clusterAddresses: [IPv4] = []
        for address in listed.compactMap({ $0.string.flatMap { IPv4($0) } }) where !clusterAddresses.contains(address) {
            clusterAddresses.append(address)
        }
        guard !clusterAddresses.isEmpty else { return [] }
        let balancers = (service["status"]?["loadBalancer"]?["ingress"]?.array ?? []).filter { $0["ipMode"]?.string != "Proxy" }
        let affinity: UInt32? =
            spec["sessionAffinity"]?.string == "ClientIP"
            ? spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]?.int.flatMap { UInt32(exactly: $0) } ?? 10800 : nil
        let externalIsLocal = spec["externalTrafficPolicy"]?.string == "Local"
        return (spec["ports"]?.array ?? []).compactMap { entry in
            guard let port = entry["port"]?.int.flatMap({ UInt16(exactly: $0) }),
                let transport = transportNumber(entry["protocol"]?.string ?? "TCP")
            else { return nil }
            let name = entry["name"]?.string ?? ""
            let (all, local) = endpoints(slices, named: name, transport: transport, node: node)
            return ServicePort(
                namespace: service.metaNamespace ?? "", service: service.metaName, name: name, transport: transport, port: port,
                nodePort: entry["nodePort"]?.int.flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 },
                clusterAddresses: clusterAddresses,
                externalAddresses: (spec["externalIPs"]?.array ?? []).compactMap { $0.string.flatMap { IPv4($0) } },
                balancerAddresses: balancers.compactMap { $0["ip"]?.string.flatMap { IPv4($0) } },
                sourceRanges: (spec["loadBalancerSourceRanges"]?.array ?? []).compactMap { $0.string.flatMap { IPv4Block($0) } },
                affinitySeconds: affinity, externalIsLocal: externalIsLocal,
                internalIsLocal: spec["internalTrafficPolicy"]?.string == "Local",
                healthCheckNodePort: externalIsLocal
                    ? spec["healthCheckNodePort"]?.int.flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 } : nil,
                endpoints: all, localEndpoints: local)
        }
    }

    private static func endpoints(
        _ slices: [JSON], named name: String, transport: UInt8, node: String
    ) -> ([ServiceEndpoint], [ServiceEndpoint]) {
        var ready: Set<ServiceEndpoint> = []
        var ending: Set<ServiceEndpoint> = []
        for slice in slices where slice["addressType"]?.string == "IPv4" {
            guard
                let port = slice["ports"]?.array?.first(where: {
                    ($0["name"]?.string ?? "") == name && transportNumber($0["protocol"]?.string ?? "TCP") == transport
                })?["port"]?.int.flatMap({ UInt16(exactly: $0) })
            else { continue }
            for endpoint in slice["endpoints"]?.array ?? [] {
                guard let address = endpoint["addresses"]?[0]?.string.flatMap({ IPv4($0) }) else { continue }
                let conditions = endpoint["conditions"]
                let isReady = conditions?["ready"]?.bool ?? true
                let entry = ServiceEndpoint(address: address, port: port, isLocal: endpoint["nodeName"]?.string == node)
                if isReady {
                    ready.insert(entry)
                } else if conditions?["serving"]?.bool ?? false, conditions?["terminating"]?.bool ?? false {
                    ending.insert(entry)
                }
            }
        }
        func order(_ set: Set<ServiceEndpoint>) -> [ServiceEndpoint] { set.sorted { ($0.address, $0.port) < ($1.address, $1.port) } }
        let localReady = ready.filter(\.isLocal)
        return (order(ready.isEmpty ? ending : ready), order(localReady.isEmpty ? ending.filter(\.isLocal) : localReady))
    }

    private static func transportNumber(_ name: String) -> UInt8? {
        switch name {
        case "TCP": 6
        case "UDP": 17
        case "SCTP": 132
        default: nil
        }
    }
}
