// The names of the cluster's services, endpoints and pods, as the DNS specification of Kubernetes (1.1.0) has them.
internal import ClusterModel
package import Essentials
package import Kernel

/// What names are made of: a picture of the services at one moment.
package struct ServiceNames: Sendable {
    package struct Port: Sendable, Hashable {
        package var name: String
        /// `tcp`, `udp` or `sctp`.
        package var transport: String
        package var number: UInt16
    }
    package struct Endpoint: Sendable, Hashable {
        package var label: String
        package var address: IPv4
        package var ports: [Port]
    }
    package struct Service: Sendable {
        package var address: IPv4?
        package var externalName: String?
        package var ports: [Port]
        package var endpoints: [Endpoint]
        package var isHeadless: Bool { address == nil && externalName == nil }
    }

    package private(set) var services: [String: Service] = [:]
    package private(set) var namespaces: Set<String>
    /// `label.service.namespace` or `service.namespace` by address.
    package private(set) var reverse: [IPv4: [String]] = [:]

    package init(services: [JSON] = [], slices: [JSON] = [], namespaces: [String] = []) {
        self.namespaces = Set(namespaces)
        var byService: [String: [JSON]] = [:]
        for slice in slices where slice["addressType"]?.string == "IPv4" {
            if let name = slice.metaLabels["kubernetes.io/service-name"] {
                byService["\(name).\(slice.metaNamespace ?? "")", default: []].append(slice)
            }
        }
        for object in services {
            let key = "\(object.metaName).\(object.metaNamespace ?? "")"
            let service = Self.service(object, byService[key] ?? [])
            self.services[key] = service
            self.namespaces.insert(object.metaNamespace ?? "")
            if let address = service.address { reverse[address, default: []].append(key) }
        }
        for (key, service) in self.services.sorted(by: { $0.key < $1.key }) {
            for endpoint in service.endpoints where !(reverse[endpoint.address] ?? []).contains(where: { self.services[$0] != nil }) {
                reverse[endpoint.address, default: []].append(endpoint.label + "." + key)
            }
        }
    }

    private static func service(_ object: JSON, _ slices: [JSON]) -> Service {
        let spec = object["spec"] ?? .emptyObject
        if spec["type"]?.string == "ExternalName" {
            let target = (spec["externalName"]?.string ?? "").lowercased()
            return Service(address: nil, externalName: target.hasSuffix(".") ? String(target.dropLast()) : target, ports: [], endpoints: [])
        }
        var endpoints: [Endpoint] = []
        for slice in slices {
            let ports = Self.ports(slice["ports"]?.array ?? [])
            for entry in slice["endpoints"]?.array ?? [] where entry["conditions"]?["ready"]?.bool ?? true {
                guard let address = entry["addresses"]?[0]?.string.flatMap({ IPv4($0) }) else { continue }
                let label = entry["hostname"]?.string?.lowercased() ?? dashed(address)
                if let known = endpoints.firstIndex(where: { $0.address == address && $0.label == label }) {
                    endpoints[known].ports += ports.filter { !endpoints[known].ports.contains($0) }
                } else {
                    endpoints.append(Endpoint(label: label, address: address, ports: ports))
                }
            }
        }
        endpoints.sort { ($0.label, $0.address) < ($1.label, $1.address) }
        return Service(
            address: spec["clusterIP"]?.string.flatMap { IPv4($0) }, externalName: nil, ports: Self.ports(spec["ports"]?.array ?? []),
            endpoints: endpoints)
    }

    private static func ports(_ list: [JSON]) -> [Port] {
        list.compactMap { entry in
            guard let number = entry["port"]?.int.flatMap({ UInt16(exactly: $0) }) else { return nil }
            return Port(
                name: (entry["name"]?.string ?? "").lowercased(), transport: (entry["protocol"]?.string ?? "TCP").lowercased(),
                number: number)
        }
    }

    package static func dashed(_ address: IPv4) -> String { address.bytes.map(String.init).joined(separator: "-") }
}

/// A zone of the cluster's names: how long answers hold, and how pods' names are answered.
package struct ClusterZone: Sendable, Equatable {
    package enum Pods: Sendable { case disabled, insecure, verified }
    package var name: String
    package var timeToLive: UInt32
    package var pods: Pods
    package init(name: String = "cluster.local", timeToLive: UInt32 = 5, pods: Pods = .disabled) {
        self.name = name
        self.timeToLive = timeToLive
        self.pods = pods
    }
}

extension ServiceNames {
    /// The answer to a question in `zone`. A CNAME to a name elsewhere ends it: whoever asked follows.
    package func answer(_ name: String, _ type: UInt16, in zone: ClusterZone, serial: UInt32) -> DNSAnswer {
        let authority = [DNSRecord(zone.name, min(zone.timeToLive, 30), .authority(zone.name, serial: serial))]
        let nothing = DNSAnswer(authority: authority)
        let unknown = DNSAnswer(.nameError, authority: authority)
        guard name != zone.name else { return apex(type, zone, serial) ?? nothing }
        guard name.hasSuffix("." + zone.name) else { return DNSAnswer(.refused, isAuthoritative: false) }
        let labels = name.dropLast(zone.name.utf8.count + 1).split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        switch labels.last {
        case "dns-version" where labels.count == 1:
            return type == DNSType.txt ? DNSAnswer(records: [DNSRecord(name, zone.timeToLive, .text("1.1.0"))]) : nothing
        case "dns":
            guard labels == ["ns", "dns"] else { return labels.count == 1 ? nothing : unknown }
            let own = services["kube-dns.kube-system"]?.address
            return type == DNSType.a && own != nil ? DNSAnswer(records: [DNSRecord(name, zone.timeToLive, .address(own!))]) : nothing
        case "svc":
            guard labels.count > 1 else { return nothing }
            let namespace = labels[labels.count - 2]
            guard namespaces.contains(namespace) else { return unknown }
            if labels.count == 2 { return nothing }
            return service(Array(labels.dropLast(2)), namespace, name, type, zone).map { $0.isEmpty ? nothing : $0.answer } ?? unknown
        case "pod":
            guard zone.pods != .disabled else { return unknown }
            guard labels.count > 1 else { return nothing }
            guard namespaces.contains(labels[labels.count - 2]) else { return unknown }
            if labels.count == 2 { return nothing }
            guard labels.count == 3, let address = IPv4(String(labels[0].map { $0 == "-" ? "." : $0 })) else { return unknown }
            return type == DNSType.a ? DNSAnswer(records: [DNSRecord(name, zone.timeToLive, .address(address))]) : nothing
        default: return unknown
        }
    }

    /// The names of an address, as the whole `…in-addr.arpa` name says it; nil when no service has it.
    package func answer(reverse name: String, _ type: UInt16, in zone: ClusterZone) -> DNSAnswer? {
        guard name.hasSuffix(".in-addr.arpa") else { return nil }
        let parts = name.dropLast(13).split(separator: ".")
        guard parts.count == 4, let address = IPv4(parts.reversed().joined(separator: ".")), let names = reverse[address] else {
            return nil
        }
        guard type == DNSType.ptr || type == DNSType.any else { return DNSAnswer() }
        return DNSAnswer(records: names.map { DNSRecord(name, zone.timeToLive, .name(DNSType.ptr, "\($0).svc.\(zone.name)")) })
    }

    private func apex(_ type: UInt16, _ zone: ClusterZone, _ serial: UInt32) -> DNSAnswer? {
        switch type {
        case DNSType.soa: return DNSAnswer(records: [DNSRecord(zone.name, zone.timeToLive, .authority(zone.name, serial: serial))])
        case DNSType.ns:
            var answer = DNSAnswer(records: [DNSRecord(zone.name, zone.timeToLive, .name(DNSType.ns, "ns.dns." + zone.name))])
            if let own = services["kube-dns.kube-system"]?.address {
                answer.additional = [DNSRecord("ns.dns." + zone.name, zone.timeToLive, .address(own))]
            }
            return answer
        default: return nil
        }
    }

    private struct Found {
        var answer = DNSAnswer()
        var isEmpty: Bool { answer.answers.isEmpty }
    }

    /// Nil when there is no such name.
    private func service(_ labels: [String], _ namespace: String, _ name: String, _ type: UInt16, _ zone: ClusterZone) -> Found? {
        let key = "\(labels[labels.count - 1]).\(namespace)"
        guard let service = services[key] else { return nil }
        let full = "\(key).svc.\(zone.name)"
        var found = Found()
        func record(_ data: DNSRecord.Data) -> DNSRecord { DNSRecord(name, zone.timeToLive, data) }
        if let target = service.externalName {
            guard labels.count == 1 else { return nil }
            found.answer.answers = [record(.name(DNSType.cname, target))]
            return found
        }
        let wantsAddresses = type == DNSType.a || type == DNSType.any
        switch labels.count {
        case 1:
            // Without any endpoint a headless service has no name, as upstream has it.
            if service.isHeadless, service.endpoints.isEmpty { return nil }
            if type == DNSType.srv { return servers(service, service.ports, nil, name, full, zone) }
            guard wantsAddresses else { return found }
            found.answer.answers = (service.address.map { [$0] } ?? unique(service.endpoints.map(\.address))).map { record(.address($0)) }
            return found
        case 2:
            let endpoints = service.endpoints.filter { $0.label == labels[0] }
            guard !endpoints.isEmpty else { return nil }
            if type == DNSType.srv {
                for endpoint in endpoints {
                    for port in endpoint.ports {
                        found.answer.answers.append(record(.service(priority: 0, weight: 100, port: port.number, target: name)))
                    }
                }
                found.answer.additional = endpoints.map { DNSRecord(name, zone.timeToLive, .address($0.address)) }
            } else if wantsAddresses {
                found.answer.answers = unique(endpoints.map(\.address)).map { record(.address($0)) }
            }
            return found
        case 3:
            guard labels[0].hasPrefix("_"), labels[1].hasPrefix("_") else { return nil }
            let wanted = labels[0].dropFirst()
            let transport = labels[1].dropFirst()
            let known = service.isHeadless ? service.endpoints.flatMap(\.ports) : service.ports
            let ports = known.filter { $0.transport == transport && $0.name == wanted }
            guard !ports.isEmpty else { return nil }
            if type == DNSType.srv { return servers(service, ports, ports[0], name, full, zone) }
            guard wantsAddresses else { return found }
            found.answer.answers = (service.address.map { [$0] } ?? unique(service.endpoints.map(\.address))).map { record(.address($0)) }
            return found
        default: return nil
        }
    }

    private func servers(
        _ service: Service, _ ports: [Port], _ wanted: Port?, _ name: String, _ full: String, _ zone: ClusterZone
    ) -> Found {
        var found = Found()
        var targets: [(String, IPv4, [Port])] = []
        if let address = service.address {
            targets = [(full, address, ports)]
        } else {
            targets = service.endpoints.map { endpoint in
                let own = wanted.map { port in endpoint.ports.filter { $0.name == port.name && $0.transport == port.transport } }
                return ("\(endpoint.label).\(full)", endpoint.address, own ?? endpoint.ports)
            }
        }
        let count = targets.reduce(0) { $0 + $1.2.count }
        for (target, address, ports) in targets {
            for port in ports {
                found.answer.answers.append(
                    DNSRecord(
                        name, zone.timeToLive,
                        .service(priority: 0, weight: UInt16(max(1, 100 / max(1, count))), port: port.number, target: target)))
            }
            let record = DNSRecord(target, zone.timeToLive, .address(address))
            if !ports.isEmpty, !found.answer.additional.contains(record) { found.answer.additional.append(record) }
        }
        return found
    }

    private func unique(_ addresses: [IPv4]) -> [IPv4] {
        var seen: Set<IPv4> = []
        return addresses.filter { seen.insert($0).inserted }
    }
}
