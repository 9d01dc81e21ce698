// Rules for one container: image, ports, environment, resources, mounts, probes and hooks.
internal import Essentials
internal import OrderedCollections

enum ContainerRules {
    static func check(_ container: JSON, in spec: JSON, volumes: Set<String>, at path: String) -> [FieldCause] {
        let name = container["name"]?.string ?? ""
        var causes: [FieldCause] = name.isEmpty ? [] : NameRules.label(name).map { .invalid(path + ".name", text: name, $0) }
        if container["image"]?.string?.isEmpty ?? true { causes.append(.required(path + ".image")) }
        causes += checkPorts(container, usesHost: spec["hostNetwork"] == true, at: path + ".ports")
        for (index, variable) in (container["env"]?.array ?? []).enumerated() {
            causes += check(variable: variable, at: "\(path).env[\(index)]")
        }
        for (index, source) in (container["envFrom"]?.array ?? []).enumerated()
        where source["configMapRef"] == nil && source["secretRef"] == nil {
            causes.append(.invalid("\(path).envFrom[\(index)]", "\"\"", "must specify one of: `configMapRef` or `secretRef`"))
        }
        var mounts: Set<String> = []
        for (index, mount) in (container["volumeMounts"]?.array ?? []).enumerated() {
            let below = "\(path).volumeMounts[\(index)]"
            let volume = mount["name"]?.string ?? ""
            if !volumes.contains(volume) { causes.append(.notFound(below + ".name", volume)) }
            let place = mount["mountPath"]?.string ?? ""
            if !place.isEmpty, !mounts.insert(place).inserted {
                causes.append(.invalid(below + ".mountPath", text: place, "must be unique"))
            }
            if let part = mount["subPath"]?.string, !part.isEmpty {
                if part.hasPrefix("/") { causes.append(.invalid(path + ".volumeMounts.subPath", text: part, "must be a relative path")) }
                if part.split(separator: "/").contains("..") {
                    causes.append(.invalid(path + ".volumeMounts.subPath", text: part, "must not contain '..'"))
                }
            }
        }
        causes += checkResources(container["resources"], at: path + ".resources")
        for part in ["livenessProbe", "readinessProbe", "startupProbe"] {
            guard let probe = container[part] else { continue }
            causes += check(handler: probe, at: "\(path).\(part)", forms: ["exec", "httpGet", "tcpSocket", "grpc"])
            if part != "readinessProbe", let successes = probe["successThreshold"]?.integer, successes != 1, successes > 0 {
                causes.append(.invalid("\(path).\(part).successThreshold", String(successes), "must be 1"))
            }
            guard let seconds = probe["terminationGracePeriodSeconds"]?.integer else { continue }
            if part == "readinessProbe" {
                causes.append(
                    .invalid("\(path).\(part).terminationGracePeriodSeconds", String(seconds), "must not be set for readinessProbes"))
            } else if seconds <= 0 {
                causes.append(.invalid("\(path).\(part).terminationGracePeriodSeconds", String(seconds), "must be greater than 0"))
            }
        }
        for part in ["postStart", "preStop"] {
            guard let hook = container["lifecycle"]?[part] else { continue }
            causes += check(handler: hook, at: "\(path).lifecycle.\(part)", forms: ["exec", "httpGet", "tcpSocket", "sleep"])
        }
        return causes + check(security: container["securityContext"], at: path + ".securityContext")
    }

    private static func checkPorts(_ container: JSON, usesHost: Bool, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        var names: Set<String> = []
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            let below = "\(path)[\(index)]"
            if let name = port["name"]?.string, !name.isEmpty {
                causes += NameRules.portName(name).map { .invalid(below + ".name", text: name, $0) }
                if !names.insert(name).inserted { causes.append(.duplicate(below + ".name", name)) }
            }
            causes += AmountRules.checkPort(port["containerPort"], at: below + ".containerPort")
            guard let host = port["hostPort"]?.integer, host != 0 else { continue }
            causes += AmountRules.checkPort(.integer(host), at: below + ".hostPort")
            if usesHost, port["containerPort"]?.integer != host {
                causes.append(
                    .invalid(
                        below + ".containerPort", String(port["containerPort"]?.integer ?? 0),
                        "must match `hostPort` when `hostNetwork` is true"))
            }
        }
        return causes
    }

    private static func check(variable: JSON, at path: String) -> [FieldCause] {
        let name = variable["name"]?.string ?? ""
        var causes: [FieldCause] = name.isEmpty ? [] : NameRules.environmentName(name).map { .invalid(path + ".name", text: name, $0) }
        guard let source = variable["valueFrom"] else { return causes }
        let count = source.object?.count ?? 0
        if count == 0 {
            causes.append(
                .invalid(
                    path + ".valueFrom", "\"\"", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`")
            )
        } else if !(variable["value"]?.string ?? "").isEmpty {
            causes.append(.invalid(path + ".valueFrom", "\"\"", "may not be specified when `value` is not empty"))
        }
        if count > 1 { causes.append(.invalid(path + ".valueFrom", "\"\"", "may not have more than one field specified at a time")) }
        if let field = source["fieldRef"]?["fieldPath"]?.string, !isKnown(field: field) {
            causes.append(
                .invalid(
                    path + ".valueFrom.fieldRef.fieldPath", text: field,
                    "error converting fieldPath: field label not supported: \(field)"))
        }
        return causes
    }

    private static let fields: Set<String> = [
        "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations", "spec.nodeName",
        "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs",
        "status.podIP", "status.podIPs",
    ]

    private static func isKnown(field: String) -> Bool {
        fields.contains(field)
            || ((field.hasPrefix("metadata.labels['") || field.hasPrefix("metadata.annotations['")) && field.hasSuffix("']"))
    }

    private static let resources: Set<String> = ["cpu", "memory", "ephemeral-storage"]

    static func checkResources(_ requirements: JSON?, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        let limits = requirements?["limits"]?.strings ?? [:]
        for side in ["limits", "requests"] {
            for (name, text) in (requirements?[side]?.strings ?? [:]).sorted(by: { $0.key < $1.key }) {
                let below = "\(path).\(side)[\(name)]"
                if !resources.contains(name), !name.contains("/"), !name.hasPrefix("hugepages-") {
                    causes.append(.invalid(below, text: name, "must be a standard resource type or fully qualified"))
                }
                guard let amount = Quantity(text) else { continue }
                if amount.isNegative { causes.append(.invalid(below, text: text, "must be greater than or equal to 0")) }
                if side == "requests", let limit = limits[name].flatMap(Quantity.init), amount > limit {
                    causes.append(
                        .invalid(
                            path + ".requests", text: text, "must be less than or equal to \(name) limit of \(limits[name] ?? "")"))
                }
            }
        }
        return causes
    }

    /// A probe or a hook: it has exactly one way, which is complete.
    private static func check(handler: JSON, at path: String, forms: [String]) -> [FieldCause] {
        let given = forms.filter { handler[$0] != nil }
        guard let form = given.first else { return [.required(path, "must specify a handler type")] }
        var causes: [FieldCause] = given.dropFirst().map { .forbidden("\(path).\($0)", "may not specify more than 1 handler type") }
        let below = "\(path).\(form)"
        switch form {
        case "exec":
            if (handler["exec"]?["command"]?.array ?? []).isEmpty { causes.append(.required(below + ".command")) }
        case "httpGet", "tcpSocket": causes += AmountRules.checkPortOrName(handler[form]?["port"], at: below + ".port")
        case "grpc": causes += AmountRules.checkPort(handler["grpc"]?["port"], at: below + ".port")
        default: break
        }
        return causes
    }

    private static func check(security: JSON?, at path: String) -> [FieldCause] {
        guard let security else { return [] }
        var causes: [FieldCause] = []
        for part in ["runAsUser", "runAsGroup"] {
            guard let id = security[part]?.integer, !(0...2_147_483_647).contains(id) else { continue }
            causes.append(.invalid("\(path).\(part)", String(id), "must be between 0 and 2147483647, inclusive"))
        }
        if security["allowPrivilegeEscalation"] == false, security["privileged"] == true {
            causes.append(
                .invalid(path, GoText.any(security), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        }
        return causes
    }
}
