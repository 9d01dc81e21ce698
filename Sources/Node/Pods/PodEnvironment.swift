// A container's environment: literal values, $(NAME) references, fields of the Pod, keys of ConfigMaps and Secrets, and
// the addresses of services.
package import ClusterModel
package import Essentials

/// What is in a ConfigMap or Secret, already decoded; `nil` where there is none.
package protocol KeyedObjects: Sendable {
    func configMap(_ name: String) -> [String: [UInt8]]?
    func secret(_ name: String) -> [String: [UInt8]]?
}

/// A snapshot of objects, fetched before it is needed.
package struct KeyedSnapshot: KeyedObjects {
    package var configMaps: [String: [String: [UInt8]]] = [:]
    package var secrets: [String: [String: [UInt8]]] = [:]
    package init() {}
    package func configMap(_ name: String) -> [String: [UInt8]]? { configMaps[name] }
    package func secret(_ name: String) -> [String: [UInt8]]? { secrets[name] }
}

package struct PodEnvironment: Sendable {
    package var pod: JSON
    package var hostAddress: String
    package var addresses: [String]
    package var nodeName: String
    package var allocatable: [String: Quantity]
    package var services: [JSON]
    /// Namespace of the services every pod is told of.
    package static let mainNamespace = "default"

    package init(
        pod: JSON, nodeName: String, hostAddress: String = "", addresses: [String] = [], allocatable: [String: Quantity] = [:],
        services: [JSON] = []
    ) {
        self.pod = pod
        self.nodeName = nodeName
        self.hostAddress = hostAddress
        self.addresses = addresses
        self.allocatable = allocatable
        self.services = services
    }

    /// Names of ConfigMaps and Secrets that the container's environment needs.
    package static func references(_ container: JSON) -> (configMaps: Set<String>, secrets: Set<String>) {
        var configMaps: Set<String> = []
        var secrets: Set<String> = []
        for source in container["envFrom"]?.array ?? [] {
            if let name = source["configMapRef"]?["name"]?.string { configMaps.insert(name) }
            if let name = source["secretRef"]?["name"]?.string { secrets.insert(name) }
        }
        for variable in container["env"]?.array ?? [] {
            if let name = variable["valueFrom"]?["configMapKeyRef"]?["name"]?.string { configMaps.insert(name) }
            if let name = variable["valueFrom"]?["secretKeyRef"]?["name"]?.string { secrets.insert(name) }
        }
        return (configMaps, secrets)
    }

    /// In the order in which they were set; later values replace earlier ones in their place.
    package func variables(of container: JSON, _ objects: any KeyedObjects) throws(PodRuntimeProblem) -> [(String, String)] {
        var result = Variables()
        for (name, value) in serviceVariables() { result.set(name, value) }
        let services = result.values
        for source in container["envFrom"]?.array ?? [] {
            let prefix = source["prefix"]?.string ?? ""
            for (kind, key) in [("configmap", "configMapRef"), ("secret", "secretRef")] {
                guard let reference = source[key], let name = reference["name"]?.string else { continue }
                guard let data = kind == "secret" ? objects.secret(name) : objects.configMap(name) else {
                    if reference["optional"] == true { continue }
                    throw Self.problem("\(kind) \"\(name)\" not found")
                }
                for (key, value) in data.sorted(by: { $0.key < $1.key }) where Self.isName(prefix + key) {
                    result.set(prefix + key, String(decoding: value, as: UTF8.self))
                }
            }
        }
        // References see what the container says itself before what services say.
        var visible = services
        for (name, value) in result.values { visible[name] = value }
        for variable in container["env"]?.array ?? [] {
            guard let name = variable["name"]?.string else { continue }
            if let source = variable["valueFrom"], !source.isNull {
                guard let value = try value(source, container, objects) else { continue }
                result.set(name, value)
                visible[name] = value
            } else {
                let value = Self.expand(variable["value"]?.string ?? "", visible)
                result.set(name, value)
                visible[name] = value
            }
        }
        return result.ordered
    }

    private func value(_ source: JSON, _ container: JSON, _ objects: any KeyedObjects) throws(PodRuntimeProblem) -> String? {
        if let field = source["fieldRef"]?["fieldPath"]?.string {
            guard let value = self.field(field) else { throw Self.problem("unsupported fieldPath: \(field)") }
            return value
        }
        if let resource = source["resourceFieldRef"] {
            guard let value = self.resource(resource, in: container) else {
                throw Self.problem("unsupported container resource : \(resource["resource"]?.string ?? "")")
            }
            return value
        }
        for (kind, title, key) in [("configmap", "ConfigMap", "configMapKeyRef"), ("secret", "Secret", "secretKeyRef")] {
            guard let reference = source[key], let name = reference["name"]?.string, let wanted = reference["key"]?.string else { continue }
            let isOptional = reference["optional"] == true
            guard let data = kind == "secret" ? objects.secret(name) : objects.configMap(name) else {
                if isOptional { return nil }
                throw Self.problem("\(kind) \"\(name)\" not found")
            }
            guard let bytes = data[wanted] else {
                if isOptional { return nil }
                throw Self.problem("couldn't find key \(wanted) in \(title) \(pod.metaNamespace ?? "default")/\(name)")
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        return ""
    }

    static func problem(_ message: String) -> PodRuntimeProblem {
        PodRuntimeProblem(reason: "CreateContainerConfigError", message: message)
    }

    /// A field of the Pod, as `fieldRef` names it; `nil` for one that it cannot name.
    package func field(_ path: String) -> String? {
        switch path {
        case "metadata.name": return pod.metaName
        case "metadata.namespace": return pod.metaNamespace ?? "default"
        case "metadata.uid": return pod.metaUID
        case "metadata.labels": return Self.map(pod.metaLabels)
        case "metadata.annotations": return Self.map(pod.metaAnnotations)
        case "spec.nodeName": return nodeName
        case "spec.serviceAccountName": return pod["spec"]?["serviceAccountName"]?.string ?? ""
        case "status.hostIP": return hostAddress
        case "status.hostIPs": return hostAddress
        case "status.podIP": return addresses.first ?? ""
        case "status.podIPs": return addresses.joined(separator: ",")
        default:
            for (prefix, values) in [("metadata.labels", pod.metaLabels), ("metadata.annotations", pod.metaAnnotations)] {
                guard path.hasPrefix(prefix + "['"), path.hasSuffix("']") else { continue }
                return values[String(path.dropFirst(prefix.count + 2).dropLast(2))] ?? ""
            }
            return nil
        }
    }

    // `key="value"` lines with Go's escapes, sorted.
    private static func map(_ values: [String: String]) -> String {
        values.sorted { $0.key < $1.key }.map { "\($0.key)=\(JSON.string($0.value).text)" }.joined(separator: "\n")
    }

    /// `resourceFieldRef`: an amount over its divisor, rounded up.
    package func resource(_ reference: JSON, in container: JSON) -> String? {
        let parts = (reference["resource"]?.string ?? "").split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, ["limits", "requests"].contains(parts[0]) else { return nil }
        let resources = container["resources"]
        var amount = PodResources.quantity(resources?[parts[0]]?[parts[1]])
        if amount == nil, parts[0] == "requests" { amount = PodResources.quantity(resources?["limits"]?[parts[1]]) }
        // Without a limit, the whole node is the limit.
        if amount == nil, parts[0] == "limits" { amount = allocatable[parts[1]] }
        let value = amount ?? .zero
        var divisor = PodResources.quantity(reference["divisor"]) ?? .zero
        if divisor.isZero { divisor = Quantity(1) }
        if parts[1] == "cpu" {
            let unit = max(1, divisor.milliValue)
            return String((value.milliValue + unit - 1) / unit)
        }
        let unit = max(1, divisor.value)
        return String((value.value + unit - 1) / unit)
    }

    /// `$(NAME)` becomes the value, `$$(NAME)` stays `$(NAME)`, unknown names stay as they are.
    package static func expand(_ text: String, _ values: [String: String]) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "$"), index + 1 < bytes.count else {
                output.append(bytes[index])
                index += 1
                continue
            }
            switch bytes[index + 1] {
            case UInt8(ascii: "$"):
                output.append(UInt8(ascii: "$"))
                index += 2
            case UInt8(ascii: "("):
                guard let close = bytes[(index + 2)...].firstIndex(of: UInt8(ascii: ")")) else {
                    output += [UInt8(ascii: "$"), UInt8(ascii: "(")]
                    index += 2
                    continue
                }
                let name = String(decoding: bytes[(index + 2)..<close], as: UTF8.self)
                output += values[name].map { Array($0.utf8) } ?? Array(bytes[index...close])
                index = close + 1
            default:
                output += [UInt8(ascii: "$"), bytes[index + 1]]
                index += 2
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(48...57).contains(first) else { return false }
        return text.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "=") }
    }

    private struct Variables {
        var values: [String: String] = [:]
        private var names: [String] = []
        mutating func set(_ name: String, _ value: String) {
            if values.updateValue(value, forKey: name) == nil { names.append(name) }
        }
        var ordered: [(String, String)] { names.map { ($0, values[$0] ?? "") } }
    }
}

extension PodEnvironment {
    /// Addresses of the services of the pod's namespace, and of `kubernetes`, in the shape Docker once gave them.
    package func serviceVariables() -> [(String, String)] {
        let namespace = pod.metaNamespace ?? "default"
        let all = pod["spec"]?["enableServiceLinks"]?.bool ?? true
        var chosen: [String: JSON] = [:]
        for service in services {
            let address = service["spec"]?["clusterIP"]?.string ?? ""
            guard !address.isEmpty, address != "None" else { continue }
            if service.metaNamespace == namespace, all {
                chosen[service.metaName] = service
            } else if service.metaNamespace == Self.mainNamespace, service.metaName == "kubernetes", chosen["kubernetes"] == nil {
                chosen["kubernetes"] = service
            }
        }
        return chosen.sorted { $0.key < $1.key }.flatMap { Self.variables(of: $0.value) }
    }

    private static func variables(of service: JSON) -> [(String, String)] {
        let ports = service["spec"]?["ports"]?.array ?? []
        guard let first = ports.first, let firstPort = first["port"]?.int else { return [] }
        let address = service["spec"]?["clusterIP"]?.string ?? ""
        let prefix = upper(service.metaName)
        let host = address.contains(":") ? "[\(address)]" : address
        var result = [("\(prefix)_SERVICE_HOST", address), ("\(prefix)_SERVICE_PORT", String(firstPort))]
        for port in ports {
            if let name = port["name"]?.string, !name.isEmpty, let number = port["port"]?.int {
                result.append(("\(prefix)_SERVICE_PORT_\(upper(name))", String(number)))
            }
        }
        for (index, port) in ports.enumerated() {
            guard let number = port["port"]?.int else { continue }
            let proto = port["protocol"]?.string ?? "TCP"
            let url = "\(proto.lowercased())://\(host):\(number)"
            if index == 0 { result.append(("\(prefix)_PORT", url)) }
            let base = "\(prefix)_PORT_\(number)_\(proto.uppercased())"
            result += [
                (base, url), (base + "_PROTO", proto.lowercased()), (base + "_PORT", String(number)), (base + "_ADDR", address),
            ]
        }
        return result
    }

    private static func upper(_ name: String) -> String { String(name.map { $0 == "-" ? "_" : $0 }).uppercased() }
}
