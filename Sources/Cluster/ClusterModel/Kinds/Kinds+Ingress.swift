// The kinds Ingress and IngressClass, and the form Ingress had before networking.k8s.io/v1.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let ingress = Kind(
        resource: .ingresses, name: "Ingress", singular: "ingress", shortNames: ["ing"], hasStatus: true,
        columns: [
            Column("Name"), Column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
            Column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
            Column("Address", "Address is a list containing ingress points for the load-balancer"),
            Column("Ports", "Ports of TLS configurations that open"), Column("Age"),
        ],
        cells: { object, now in
            let spec = object["spec"]
            let rules = spec?["rules"]?.array ?? []
            let hosts = rules.prefix(3).compactMap { $0["host"]?.string.flatMap { $0.isEmpty ? nil : $0 } }
            var text = hosts.isEmpty ? "*" : hosts.joined(separator: ",")
            if !hosts.isEmpty, rules.count > 3 { text += " + \(rules.count - 3) more..." }
            let ports = (spec?["tls"]?.array ?? []).isEmpty ? "80" : "80, 443"
            return [
                JSON(object.metaName), Cells.text(spec?["ingressClassName"]), JSON(text),
                JSON(ServiceCells.balancer(object["status"]?["loadBalancer"]).joined(separator: ",")), JSON(ports), Cells.age(object, now),
            ]
        },
        prepareCreate: { object in object["status"] = ["loadBalancer": .emptyObject] },
        check: { new, _ in IngressRules.check(new) })

    package static let ingressClass = Kind(
        resource: .ingressClasses, name: "IngressClass", singular: "ingressclass", isNamespaced: false, countsGenerations: true,
        columns: [Column("Name"), Column("Controller"), Column("Parameters"), Column("Age")],
        cells: { object, now in
            var parameters = Cells.none
            if let given = object["spec"]?["parameters"] {
                let group = given["apiGroup"]?.string.flatMap { $0.isEmpty ? nil : "." + $0 } ?? ""
                parameters = (given["kind"]?.string ?? "") + group + "/" + (given["name"]?.string ?? "")
            }
            return [JSON(object.metaName), Cells.text(object["spec"]?["controller"], or: ""), JSON(parameters), Cells.age(object, now)]
        },
        check: { new, old in
            let controller = new["spec"]?["controller"]?.string ?? ""
            return (controller.isEmpty ? [.required("spec.controller")] : []) + Unchanged.check(new, old, [["spec", "controller"]])
        })
}

enum IngressRules {
    static func check(_ ingress: JSON) -> [FieldCause] {
        let spec = ingress["spec"] ?? .null
        let rules = spec["rules"]?.array ?? []
        var causes: [FieldCause] = []
        if rules.isEmpty, spec["defaultBackend"] == nil {
            causes.append(
                .invalid("spec", "[]networking.IngressRule(nil)", "either `defaultBackend` or `rules` must be specified"))
        }
        if let backend = spec["defaultBackend"] { causes += check(backend: backend, at: "spec.defaultBackend") }
        for (index, rule) in rules.enumerated() {
            let path = "spec.rules[\(index)]"
            if let host = rule["host"]?.string, !host.isEmpty { causes += check(host: host, at: path + ".host") }
            for (place, part) in (rule["http"]?["paths"]?.array ?? []).enumerated() {
                causes += check(part: part, at: "\(path).http.paths[\(place)]")
            }
        }
        for (index, certificate) in (spec["tls"]?.array ?? []).enumerated() {
            for (place, host) in (certificate["hosts"]?.array ?? []).enumerated() {
                let text = host.string ?? ""
                let problems = text.contains("*") ? wildcard(text) : NameRules.subdomain(text)
                causes += problems.map { .invalid("spec.tls[\(index)].hosts[\(place)]", text: text, $0) }
            }
        }
        return causes
    }

    private static func check(host: String, at path: String) -> [FieldCause] {
        if AddressRules.isAddress(host) { return [.invalid(path, text: host, "must be a DNS name, not an IP address")] }
        return (host.contains("*") ? wildcard(host) : NameRules.subdomain(host)).map { .invalid(path, text: host, $0) }
    }

    private static func wildcard(_ host: String) -> [String] {
        guard host.hasPrefix("*."), NameRules.subdomain(String(host.dropFirst(2))).isEmpty else {
            return [
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        }
        return []
    }

    private static func check(part: JSON, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        let text = part["path"]?.string ?? ""
        switch part["pathType"]?.string {
        case "Exact", "Prefix":
            if !text.hasPrefix("/") { causes.append(.invalid(path + ".path", text: text, "must be an absolute path")) }
            for sequence in ["//", "/./", "/../", "%2f", "%2F"] where text.contains(sequence) {
                causes.append(.invalid(path + ".path", text: text, "must not contain '\(sequence)'"))
            }
        case "ImplementationSpecific":
            if !text.isEmpty, !text.hasPrefix("/") {
                causes.append(.invalid(path + ".path", text: text, "must be an absolute path"))
            }
        default: break
        }
        if let backend = part["backend"] { causes += check(backend: backend, at: path + ".backend") }
        return causes
    }

    private static func check(backend: JSON, at path: String) -> [FieldCause] {
        switch (backend["service"], backend["resource"]) {
        case (.some, .some): return [.invalid(path, "\"\"", "cannot set both resource and service backends")]
        case (nil, nil): return [.invalid(path, "\"\"", "resource or service backend is required")]
        case (nil, .some): return []
        case (.some(let service), nil):
            let name = service["name"]?.string ?? ""
            var causes: [FieldCause] =
                name.isEmpty ? [] : NameRules.serviceLabel(name).map { .invalid(path + ".service.name", text: name, $0) }
            let port = service["port"]?["name"]?.string ?? ""
            let number = service["port"]?["number"]?.integer ?? 0
            if !port.isEmpty, number != 0 {
                causes.append(.invalid(path, "\"\"", "cannot set both port name & port number"))
            } else if !port.isEmpty {
                causes += NameRules.portName(port).map { .invalid(path + ".service.port.name", text: port, $0) }
            } else if number != 0 {
                causes += AmountRules.checkPort(.integer(number), at: path + ".service.port.number")
            } else {
                causes.append(.required(path, "port name or number is required"))
            }
            return causes
        }
    }
}

/// Ingress as extensions/v1beta1 and networking.k8s.io/v1beta1 had it.
enum OldIngress {
    @Sendable static func toStorage(_ ingress: inout JSON) {
        guard var spec = ingress["spec"] else { return }
        if let backend = spec["backend"] { spec["defaultBackend"] = new(backend) }
        spec["backend"] = nil
        change(&spec) { path in
            if path["pathType"] == nil { path["pathType"] = "ImplementationSpecific" }
            path["backend"] = new(path["backend"] ?? .emptyObject)
        }
        ingress["spec"] = spec
    }

    @Sendable static func fromStorage(_ ingress: inout JSON) {
        guard var spec = ingress["spec"] else { return }
        if let backend = spec["defaultBackend"] { spec["backend"] = old(backend) }
        spec["defaultBackend"] = nil
        change(&spec) { path in path["backend"] = old(path["backend"] ?? .emptyObject) }
        ingress["spec"] = spec
    }

    private static func change(_ spec: inout JSON, _ change: (inout JSON) -> Void) {
        guard var rules = spec["rules"]?.array else { return }
        for index in rules.indices {
            guard var paths = rules[index]["http"]?["paths"]?.array else { continue }
            for place in paths.indices { change(&paths[place]) }
            rules[index][path: ["http", "paths"]] = .array(paths)
        }
        spec["rules"] = .array(rules)
    }

    private static func new(_ backend: JSON) -> JSON {
        var result: JSON = .emptyObject
        result["resource"] = backend["resource"]
        if let name = backend["serviceName"] {
            result[path: ["service", "name"]] = name
            switch backend["servicePort"] {
            case .some(.string(let port)): result[path: ["service", "port", "name"]] = JSON(port)
            case .some(.integer(let port)): result[path: ["service", "port", "number"]] = JSON(port)
            default: break
            }
        }
        return result
    }

    private static func old(_ backend: JSON) -> JSON {
        var result: JSON = .emptyObject
        result["resource"] = backend["resource"]
        if let service = backend["service"] {
            result["serviceName"] = service["name"]
            result["servicePort"] = service["port"]?["name"] ?? service["port"]?["number"]
        }
        return result
    }
}
