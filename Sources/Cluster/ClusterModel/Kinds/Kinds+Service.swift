// The kinds Service, Endpoints and EndpointSlice.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let service = Kind(
        resource: .services, name: "Service", singular: "service", shortNames: ["svc"], categories: ["all"], hasStatus: true,
        nameRule: .serviceLabel, countsGenerations: false,
        columns: [
            Column("Name"), Column("Type"), Column("Cluster-IP"), Column("External-IP"), Column("Port(s)"), Column("Age"),
            Column("Selector", wide: true),
        ],
        cells: { object, now in ServiceCells.cells(object, at: now) },
        selectable: ["spec.clusterIP", "spec.type"],
        applyDefaults: ServiceDefaults.apply,
        prepareCreate: { object in object["status"] = ["loadBalancer": .emptyObject] },
        prepareUpdate: ServiceDefaults.drop,
        check: ServiceRules.check,
        subresources: [
            Subresource(name: "proxy", kind: "ServiceProxyOptions", version: nil, verbs: ["create", "delete", "get", "patch", "update"])
        ])

    package static let endpoints = Kind(
        resource: .endpoints, name: "Endpoints", singular: "endpoints", shortNames: ["ep"],
        columns: [Column("Name"), Column("Endpoints"), Column("Age")],
        cells: { object, now in
            var parts: [String] = []
            for subset in object["subsets"]?.array ?? [] {
                let addresses = (subset["addresses"]?.array ?? []).compactMap { $0["ip"]?.string }
                let ports = (subset["ports"]?.array ?? []).compactMap { $0["port"]?.integer }
                if ports.isEmpty { parts += addresses }
                for port in ports { parts += addresses.map { $0.contains(":") ? "[\($0)]:\(port)" : "\($0):\(port)" } }
            }
            return [JSON(object.metaName), Cells.list(parts, empty: Cells.none), Cells.age(object, now)]
        },
        check: { new, _ in
            var causes: [FieldCause] = []
            for (index, subset) in (new["subsets"]?.array ?? []).enumerated() {
                let path = "subsets[\(index)]"
                if (subset["addresses"]?.array ?? []).isEmpty, (subset["notReadyAddresses"]?.array ?? []).isEmpty {
                    causes.append(.required(path, "must specify `addresses` or `notReadyAddresses`"))
                }
                for list in ["addresses", "notReadyAddresses"] {
                    for (place, address) in (subset[list]?.array ?? []).enumerated() {
                        causes += AddressRules.check(address["ip"]?.string ?? "", at: "\(path).\(list)[\(place)].ip")
                    }
                }
                for (place, port) in (subset["ports"]?.array ?? []).enumerated() {
                    causes += AmountRules.checkPort(port["port"], at: "\(path).ports[\(place)].port")
                }
            }
            return causes
        })

    package static let endpointSlice = Kind(
        resource: .endpointSlices, name: "EndpointSlice", singular: "endpointslice", countsGenerations: true,
        columns: [Column("Name"), Column("AddressType"), Column("Ports"), Column("Endpoints"), Column("Age")],
        cells: { object, now in
            let ports = (object["ports"]?.array ?? []).map { port in
                port["port"]?.integer.map { String($0) } ?? port["name"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "*"
            }
            let addresses = (object["endpoints"]?.array ?? []).flatMap { $0["addresses"]?.array?.compactMap(\.string) ?? [] }
            return [
                JSON(object.metaName), Cells.text(object["addressType"], or: ""), Cells.list(ports, empty: "<unset>"),
                Cells.list(addresses, empty: "<unset>"), Cells.age(object, now),
            ]
        },
        check: { new, old in Unchanged.check(new, old, [["addressType"]]) })
}

enum ServiceCells {
    static func cells(_ service: JSON, at now: Timestamp) -> [JSON] {
        let spec = service["spec"] ?? .null
        let ports = (spec["ports"]?.array ?? []).map { port in
            let number = port["port"]?.integer ?? 0
            let proto = port["protocol"]?.string ?? "TCP"
            if let node = port["nodePort"]?.integer, node > 0 { return "\(number):\(node)/\(proto)" }
            return "\(number)/\(proto)"
        }
        return [
            JSON(service.metaName), Cells.text(spec["type"], or: ""), Cells.text(spec["clusterIP"]), JSON(external(service, spec)),
            JSON(ports.isEmpty ? Cells.none : ports.joined(separator: ",")), Cells.age(service, now), Cells.labels(spec["selector"]),
        ]
    }

    private static func external(_ service: JSON, _ spec: JSON) -> String {
        let given = (spec["externalIPs"]?.array ?? []).compactMap(\.string)
        switch spec["type"]?.string {
        case "ClusterIP", "NodePort": return given.isEmpty ? Cells.none : given.joined(separator: ",")
        case "LoadBalancer":
            let points = balancer(service["status"]?["loadBalancer"]) + given
            return points.isEmpty ? "<pending>" : points.joined(separator: ",")
        case "ExternalName": return spec["externalName"]?.string ?? ""
        default: return "<unknown>"
        }
    }

    static func balancer(_ status: JSON?) -> [String] {
        Set(
            (status?["ingress"]?.array ?? []).compactMap { point in
                let address = point["ip"]?.string ?? ""
                return address.isEmpty ? point["hostname"]?.string : address
            }
        ).filter { !$0.isEmpty }.sorted()
    }
}

enum ServiceDefaults {
    static func isReachableFromOutside(_ spec: JSON) -> Bool {
        switch spec["type"]?.string {
        case "NodePort", "LoadBalancer": true
        case "ClusterIP": !(spec["externalIPs"]?.array ?? []).isEmpty
        default: false
        }
    }

    @Sendable static func apply(_ service: inout JSON) {
        guard var spec = service["spec"] else { return }
        let type = spec["type"]?.string ?? ""
        if spec["sessionAffinity"] == "None" { spec["sessionAffinityConfig"] = nil }
        if spec["sessionAffinity"] == "ClientIP", spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"] == nil {
            spec[path: ["sessionAffinityConfig", "clientIP", "timeoutSeconds"]] = 10800
        }
        if var ports = spec["ports"]?.array {
            for index in ports.indices where ports[index]["targetPort"] == nil || ["", 0].contains(ports[index]["targetPort"]) {
                ports[index]["targetPort"] = ports[index]["port"]
            }
            spec["ports"] = .array(ports)
        }
        if isReachableFromOutside(spec), (spec["externalTrafficPolicy"]?.string ?? "").isEmpty { spec["externalTrafficPolicy"] = "Cluster" }
        if ["ClusterIP", "NodePort", "LoadBalancer"].contains(type), spec["internalTrafficPolicy"] == nil {
            spec["internalTrafficPolicy"] = "Cluster"
        }
        if type == "LoadBalancer", spec["allocateLoadBalancerNodePorts"] == nil { spec["allocateLoadBalancerNodePorts"] = true }
        service["spec"] = spec
    }

    /// What a service loses when it changes its type, unless the client says something new about it.
    @Sendable static func drop(_ service: inout JSON, _ old: JSON) {
        guard let was = old["spec"], let spec = service["spec"], spec["type"] != nil else { return }
        func drop(_ part: String, where isNeeded: (JSON) -> Bool) {
            if isNeeded(was), !isNeeded(spec), spec[part] == was[part] { service["spec"]?[part] = nil }
        }
        drop("externalTrafficPolicy", where: isReachableFromOutside)
        drop("healthCheckNodePort") { $0["type"] == "LoadBalancer" && $0["externalTrafficPolicy"] == "Local" }
        drop("loadBalancerClass") { $0["type"] == "LoadBalancer" }
        drop("allocateLoadBalancerNodePorts") { $0["type"] == "LoadBalancer" }
        for part in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] { drop(part) { $0["type"] != "ExternalName" } }
        guard !["NodePort", "LoadBalancer"].contains(spec["type"]), var ports = spec["ports"]?.array else { return }
        let before = Set((was["ports"]?.array ?? []).compactMap { $0["nodePort"]?.integer })
        for index in ports.indices where ports[index]["nodePort"]?.integer.map(before.contains) ?? false { ports[index]["nodePort"] = nil }
        service["spec"]?["ports"] = .array(ports)
    }
}

enum ServiceRules {
    @Sendable static func check(_ new: JSON, _ old: JSON?) -> [FieldCause] {
        let spec = new["spec"] ?? .null
        let type = spec["type"]?.string ?? ""
        let ports = spec["ports"]?.array ?? []
        let addresses = (spec["clusterIPs"]?.array ?? []).compactMap(\.string)
        let isHeadless = spec["clusterIP"] == "None" || addresses.first == "None"
        var causes: [FieldCause] = []
        if ports.isEmpty, !isHeadless, type != "ExternalName" { causes.append(.required("spec.ports")) }
        if isHeadless, ["LoadBalancer", "NodePort"].contains(type) {
            causes.append(.invalid("spec.clusterIPs[0]", "\"None\"", "may not be set to 'None' for \(type) services"))
        }
        if type == "ExternalName" {
            if !addresses.isEmpty { causes.append(.forbidden("spec.clusterIPs", "may not be set for ExternalName services")) }
            var name = spec["externalName"]?.string ?? ""
            if name.hasSuffix(".") { name.removeLast() }
            causes +=
                name.isEmpty
                ? [.required("spec.externalName")]
                : NameRules.subdomain(name).map { .invalid("spec.externalName", text: name, $0) }
        }
        causes += check(ports: ports, type: type)
        causes += MetadataRules.checkLabels(spec["selector"], at: "spec.selector")
        if let seconds = spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]?.integer, !(1...86400).contains(seconds) {
            causes.append(
                .invalid(
                    "spec.sessionAffinityConfig.clientIP.timeoutSeconds", String(seconds), "must be greater than 0 and less than 86400"))
        }
        for (index, address) in (spec["externalIPs"]?.array ?? []).enumerated() {
            causes += AddressRules.check(address.string ?? "", at: "spec.externalIPs[\(index)]")
        }
        if let policy = spec["externalTrafficPolicy"]?.string, !policy.isEmpty, !ServiceDefaults.isReachableFromOutside(spec) {
            causes.append(.invalid("spec.externalTrafficPolicy", text: policy, "may only be set for externally-accessible services"))
        }
        if spec["allocateLoadBalancerNodePorts"] != nil, type != "LoadBalancer" {
            causes.append(.forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'"))
        }
        if !(spec["loadBalancerSourceRanges"]?.array ?? []).isEmpty, type != "LoadBalancer" {
            causes.append(.forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"))
        }
        if let distribution = spec["trafficDistribution"]?.string, distribution != "PreferClose" {
            causes.append(.unsupported("spec.trafficDistribution", distribution, ["PreferClose"]))
        }
        return causes + checkAddress(new, old, addresses: addresses)
    }

    private static func checkAddress(_ new: JSON, _ old: JSON?, addresses: [String]) -> [FieldCause] {
        var causes: [FieldCause] = []
        let address = new["spec"]?["clusterIP"]?.string ?? ""
        if !address.isEmpty, address != "None", !AddressRules.isAddress(address) {
            causes.append(.invalid("spec.clusterIPs[0]", text: address, "must be empty, 'None', or a valid IP address"))
        }
        let was = old?["spec"]?["clusterIP"]?.string ?? ""
        let types = [new["spec"]?["type"], old?["spec"]?["type"]]
        if !was.isEmpty, !address.isEmpty, was != address, !types.contains("ExternalName") {
            let list = (addresses.isEmpty ? [address] : addresses).map(GoText.quote).joined(separator: ", ")
            causes.append(.invalid("spec.clusterIPs[0]", "[]string{\(list)}", "may not change once set"))
        }
        return causes
    }

    private static func check(ports: [JSON], type: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        var names: Set<String> = []
        var seen: Set<String> = []
        var nodePorts: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = "spec.ports[\(index)]"
            let name = port["name"]?.string ?? ""
            let proto = port["protocol"]?.string ?? ""
            if name.isEmpty {
                if ports.count > 1 { causes.append(.required(path + ".name")) }
            } else {
                causes += NameRules.label(name).map { .invalid(path + ".name", text: name, $0) }
                if !names.insert(name).inserted { causes.append(.duplicate(path + ".name", name)) }
            }
            causes += AmountRules.checkPort(port["port"], at: path + ".port")
            causes += AmountRules.checkPortOrName(port["targetPort"], at: path + ".targetPort")
            let number = port["port"]?.integer ?? 0
            if !seen.insert("\(proto)/\(number)").inserted {
                causes.append(
                    FieldCause(
                        reason: "FieldValueDuplicate", field: path,
                        message:
                            "Duplicate value: core.ServicePort{Name:\"\", Protocol:\"\(proto)\", AppProtocol:(*string)(nil), Port:\(number), TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, NodePort:0}"
                    ))
            }
            guard let node = port["nodePort"]?.integer, node != 0 else { continue }
            if type == "ClusterIP" || type == "ExternalName" {
                causes.append(.forbidden(path + ".nodePort", "may not be used when `type` is '\(type)'"))
            }
            if !nodePorts.insert("\(proto)/\(node)").inserted {
                causes.append(
                    FieldCause(reason: "FieldValueDuplicate", field: path + ".nodePort", message: "Duplicate value: \(node)"))
            }
        }
        return causes
    }
}

enum AddressRules {
    static func check(_ text: String, at path: String) -> [FieldCause] {
        guard isAddress(text) else {
            return [.invalid(path, text: text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
        }
        if text.hasPrefix("127.") || text == "::1" {
            return [.invalid(path, text: text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
        }
        if text.hasPrefix("169.254.") {
            return [.invalid(path, text: text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
        }
        if text == "0.0.0.0" || text == "::" { return [.invalid(path, text: text, "may not be unspecified (0.0.0.0 or ::)")] }
        return []
    }

    static func isAddress(_ text: String) -> Bool {
        if text.contains(":") {
            let parts = text.split(separator: ":", omittingEmptySubsequences: true)
            return text.utf8.allSatisfy { ($0 &- 48 < 10) || "abcdefABCDEF:.".utf8.contains($0) } && parts.count <= 8
                && parts.allSatisfy { $0.count <= 4 || $0.contains(".") }
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in part.count <= 3 && UInt8(part) != nil && (part == "0" || !part.hasPrefix("0")) }
    }
}
