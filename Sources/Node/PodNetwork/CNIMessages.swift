// The CNI contract (spec 0.3.1 to 1.1.0): what a runtime says, and how results and errors are written for each version.
package import Essentials
package import Kernel

/// An error as the runtime is told: codes below 100 are the specification's.
package struct CNIError: Error, Sendable, Equatable {
    package enum Code: Int, Sendable {
        case incompatibleVersion = 1
        case unsupportedField = 2
        case unknownContainer = 3
        case badEnvironment = 4
        case inputOutput = 5
        case undecodable = 6
        case badConfiguration = 7
        case tryAgain = 11
        case notAvailable = 50
        case failed = 999
    }
    package var code: Code
    package var message: String
    package var details: String

    package init(_ code: Code, _ message: String, details: String = "") {
        self.code = code
        self.message = message
        self.details = details
    }

    package init(_ problem: KernelProblem) {
        self.init(.failed, problem.message, details: problem.cause ?? "")
    }

    package func document(version: String) -> JSON {
        var document: JSON = ["cniVersion": JSON(version), "code": JSON(code.rawValue), "msg": JSON(message)]
        if !details.isEmpty { document["details"] = JSON(details) }
        return document
    }
}

/// What the runtime asks: the environment's variables and the configuration on standard input.
package struct CNIRequest: Sendable {
    package static let versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    /// Bytes of a configuration.
    package static let inputLimitBytes = 1 << 20

    package var command: String
    package var container: String
    /// The path of the pod's network namespace; empty when it is gone.
    package var namespace: String
    package var interface: String
    /// `K8S_POD_NAME=…;…`
    package var arguments: [String: String]
    package var configuration: JSON

    package var version: String { configuration["cniVersion"]?.string ?? "0.1.0" }
    package var network: String { configuration["name"]?.string ?? "" }

    package init(environment: [String: String], input: [UInt8]) throws(CNIError) {
        command = environment["CNI_COMMAND"] ?? ""
        container = environment["CNI_CONTAINERID"] ?? ""
        namespace = environment["CNI_NETNS"] ?? ""
        interface = environment["CNI_IFNAME"] ?? ""
        arguments = [:]
        for pair in (environment["CNI_ARGS"] ?? "").split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { arguments[String(parts[0])] = String(parts[1]) }
        }
        guard !command.isEmpty else {
            throw CNIError(.badEnvironment, "required env variables [CNI_COMMAND] missing")
        }
        if command == "VERSION" {
            configuration = (try? JSON(parsing: input)) ?? .emptyObject
            return
        }
        do throws(JSONError) { configuration = try JSON(parsing: input) } catch {
            throw CNIError(.undecodable, "error unmarshall network config", details: "\(error)")
        }
        guard configuration.object != nil else { throw CNIError(.undecodable, "error unmarshall network config") }
        guard Self.versions.contains(version) else {
            throw CNIError(
                .incompatibleVersion, "incompatible CNI versions",
                details: "config is \"\(version)\", plugin supports \(Self.versions)")
        }
        var missing: [String] = []
        if ["ADD", "DEL", "CHECK"].contains(command) {
            if container.isEmpty { missing.append("CNI_CONTAINERID") }
            if interface.isEmpty { missing.append("CNI_IFNAME") }
            if namespace.isEmpty, command != "DEL" { missing.append("CNI_NETNS") }
        }
        guard missing.isEmpty else {
            throw CNIError(.badEnvironment, "required env variables [\(missing.joined(separator: ","))] missing")
        }
        guard container.utf8.allSatisfy(Self.isPlain), interface.utf8.count < 16, !interface.contains("/"), !interface.contains(" ") else {
            throw CNIError(.badEnvironment, "invalid characters in CNI_CONTAINERID or CNI_IFNAME")
        }
        guard !network.isEmpty, network != ".", network != "..", network.utf8.allSatisfy(Self.isPlain) else {
            throw CNIError(.badConfiguration, "missing or invalid network name")
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 46 || byte == 95
    }
}

/// What ADD gives back.
package struct CNIResult: Sendable, Equatable {
    package struct Interface: Sendable, Equatable {
        package var name: String
        package var hardware: String
        package var sandbox: String?
    }
    package var interfaces: [Interface]
    package var address: IPv4
    package var prefixLength: UInt8
    package var gateway: IPv4?
    package var routes: [(IPv4Block, IPv4?)]

    package static func == (left: CNIResult, right: CNIResult) -> Bool {
        left.document(version: "1.1.0") == right.document(version: "1.1.0")
    }

    package func document(version: String) -> JSON {
        let routes = JSON.array(
            routes.map { route in
                var entry: JSON = ["dst": JSON("\(route.0)")]
                if let gateway = route.1 { entry["gw"] = JSON("\(gateway)") }
                return entry
            })
        if version.hasPrefix("0.1") || version.hasPrefix("0.2") {
            var ip: JSON = ["ip": JSON("\(address)/\(prefixLength)")]
            if let gateway { ip["gateway"] = JSON("\(gateway)") }
            ip["routes"] = routes
            return ["cniVersion": JSON(version), "ip4": ip, "dns": .emptyObject]
        }
        var ip: JSON = .emptyObject
        if version.hasPrefix("0.3") || version.hasPrefix("0.4") { ip["version"] = "4" }
        ip["address"] = JSON("\(address)/\(prefixLength)")
        if let gateway { ip["gateway"] = JSON("\(gateway)") }
        if let index = interfaces.lastIndex(where: { $0.sandbox != nil }) { ip["interface"] = JSON(index) }
        var document: JSON = ["cniVersion": JSON(version)]
        if !interfaces.isEmpty {
            document["interfaces"] = .array(
                interfaces.map { interface in
                    var entry: JSON = ["name": JSON(interface.name), "mac": JSON(interface.hardware)]
                    if let sandbox = interface.sandbox { entry["sandbox"] = JSON(sandbox) }
                    return entry
                })
        }
        document["ips"] = [ip]
        document["routes"] = routes
        document["dns"] = .emptyObject
        return document
    }
}
