// The pod network's configuration, read as every container runtime reads it: the first valid file of /etc/cni/net.d.
// Specification: github.com/containernetworking/cni/blob/main/SPEC.md.
package import Essentials
package import Kernel

/// A chain of plugins, executed one after the other.
package struct NetworkConfiguration: Sendable, Equatable {
    package var name: String
    package var version: String?
    package var plugins: [JSON]

    package init(name: String, version: String?, plugins: [JSON]) {
        self.name = name
        self.version = version
        self.plugins = plugins
    }

    /// Reads a `.conflist`, or a `.conf` with one plugin. `nil` where it is neither.
    package init?(text: String, isList: Bool) {
        guard let json = try? JSON(parsing: text), let name = json["name"]?.string, !name.isEmpty else { return nil }
        let plugins = isList ? json["plugins"]?.array ?? [] : [json]
        guard !plugins.isEmpty, plugins.allSatisfy({ $0["type"]?.string?.isEmpty == false }) else { return nil }
        self.init(name: name, version: json["cniVersion"]?.string, plugins: plugins)
    }

    private static let fileLimitBytes = 1 << 20

    /// The first valid file of a directory, in the order of names.
    package static func load(_ directory: String, kernel: any Kernel) -> NetworkConfiguration? {
        for name in (try? kernel.list(directory)) ?? [] {
            let isList = name.hasSuffix(".conflist")
            guard isList || name.hasSuffix(".conf") || name.hasSuffix(".json"),
                let text = try? kernel.readText("\(directory)/\(name)", limitBytes: fileLimitBytes)
            else { continue }
            if let configuration = NetworkConfiguration(text: text, isList: isList) { return configuration }
        }
        return nil
    }

    package var json: JSON {
        ["name": .string(name), "cniVersion": version.map(JSON.string) ?? .null, "plugins": .array(plugins)]
    }

    package init?(json: JSON) {
        guard let name = json["name"]?.string, let plugins = json["plugins"]?.array else { return nil }
        self.init(name: name, version: json["cniVersion"]?.string, plugins: plugins)
    }
}

/// One call of a plugin.
package struct PluginCall: Sendable, Equatable {
    package var type: String
    package var environment: [String]
    package var input: JSON
}

/// What a plugin said.
package struct PluginOutcome: Sendable {
    package var isSuccess: Bool
    package var output: [UInt8]
    package var errors: [UInt8]
    package init(isSuccess: Bool, output: [UInt8], errors: [UInt8] = []) {
        self.isSuccess = isSuccess
        self.output = output
        self.errors = errors
    }
}

package struct NetworkProblem: Error, Equatable {
    package var message: String
    package init(message: String) { self.message = message }
}

/// A pod's place in the pod network.
package struct NetworkAttachment: Sendable {
    package var configuration: NetworkConfiguration
    package var sandbox: String
    package var namespacePath: String
    package var namespace: String
    package var pod: String
    package var uid: String
    package var hostPorts: [JSON] = []
    package var annotations: [String: String] = [:]
    package var result: JSON?

    package init(configuration: NetworkConfiguration, sandbox: String, namespacePath: String, namespace: String, pod: String, uid: String) {
        self.configuration = configuration
        self.sandbox = sandbox
        self.namespacePath = namespacePath
        self.namespace = namespace
        self.pod = pod
        self.uid = uid
    }

    package typealias Executor = @Sendable (PluginCall) async throws(NetworkProblem) -> PluginOutcome

    /// Runs the chain for ADD; the last plugin's result is the attachment's.
    package mutating func add(programs: [String], _ execute: Executor) async throws(NetworkProblem) {
        result = nil
        for plugin in configuration.plugins {
            let call = call("ADD", plugin, programs: programs)
            let outcome = try await execute(call)
            guard outcome.isSuccess else { throw Self.problem(call.type, "add", outcome) }
            let answer = try? JSON(parsing: outcome.output)
            // A plugin that changes nothing may say nothing.
            if let answer, answer.object != nil {
                result = answer
            } else if result == nil {
                throw NetworkProblem(message: "plugin type=\"\(call.type)\" failed (add): its answer is no result")
            }
        }
    }

    /// Runs the chain backwards for DEL, to its end whatever fails; what failed is returned.
    package func delete(programs: [String], _ execute: Executor) async -> [NetworkProblem] {
        var problems: [NetworkProblem] = []
        for plugin in configuration.plugins.reversed() {
            let call = call("DEL", plugin, programs: programs)
            do throws(NetworkProblem) {
                let outcome = try await execute(call)
                if !outcome.isSuccess { problems.append(Self.problem(call.type, "delete", outcome)) }
            } catch { problems.append(error) }
        }
        return problems
    }

    package func call(_ command: String, _ plugin: JSON, programs: [String]) -> PluginCall {
        var input = plugin
        input["name"] = .string(configuration.name)
        if let version = configuration.version { input["cniVersion"] = .string(version) }
        if let result { input["prevResult"] = result }
        var runtime = JSON.emptyObject
        let capabilities = plugin["capabilities"] ?? .null
        if capabilities["portMappings"]?.bool == true, !hostPorts.isEmpty { runtime["portMappings"] = .array(hostPorts) }
        if capabilities["io.kubernetes.cri.pod-annotations"]?.bool == true {
            runtime["io.kubernetes.cri.pod-annotations"] = JSON(annotations)
        }
        if runtime != .emptyObject { input["runtimeConfig"] = runtime }
        let arguments = [
            "IgnoreUnknown=1", "K8S_POD_NAMESPACE=\(namespace)", "K8S_POD_NAME=\(pod)", "K8S_POD_INFRA_CONTAINER_ID=\(sandbox)",
            "K8S_POD_UID=\(uid)",
        ]
        return PluginCall(
            type: plugin["type"]?.string ?? "",
            environment: [
                "CNI_COMMAND=\(command)", "CNI_CONTAINERID=\(sandbox)", "CNI_NETNS=\(namespacePath)", "CNI_IFNAME=eth0",
                "CNI_ARGS=" + arguments.joined(separator: ";"), "CNI_PATH=" + programs.joined(separator: ":"),
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ], input: input)
    }

    /// Addresses of the result without their lengths, those of version 4 first.
    package var addresses: [String] {
        guard let result else { return [] }
        var found = (result["ips"]?.array ?? []).compactMap { $0["address"]?.string }
        found += [result["ip4"]?["ip"]?.string, result["ip6"]?["ip"]?.string].compactMap { $0 }
        let plain = found.map { String($0.prefix { $0 != "/" }) }
        return plain.filter { !$0.contains(":") } + plain.filter { $0.contains(":") }
    }

    private static func problem(_ type: String, _ verb: String, _ outcome: PluginOutcome) -> NetworkProblem {
        let said = try? JSON(parsing: outcome.output)
        var text = said?["msg"]?.string ?? ""
        if let details = said?["details"]?.string, !details.isEmpty { text += "; " + details }
        if text.isEmpty {
            let errors = String(decoding: outcome.errors.prefix(512), as: UTF8.self).filter { $0 != "\n" }
            text = errors.isEmpty ? "it ended without a word" : errors
        }
        return NetworkProblem(message: "plugin type=\"\(type)\" failed (\(verb)): \(text)")
    }

    /// How upstream's kubelet is told that there is no pod network.
    package static let notReady =
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: "
        + "cni plugin not initialized"
}
