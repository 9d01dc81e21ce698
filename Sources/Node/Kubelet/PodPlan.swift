// From a Pod to a plan: what of `spec` this node can do, and a clear refusal of what it cannot.
internal import ClusterModel
package import Containers
package import Essentials
package import Network
internal import Kernel

package enum KubeletProblem: Problem, Equatable {
    case unsupported(String)
    case invalid(field: String, String)
    case referenceMissing(kind: String, name: String)
    case noSuchPod(String)
    case notRunning(String)
    case noLog(String)

    package var reason: String {
        switch self {
        case .unsupported: "UnsupportedPod"
        case .invalid: "InvalidPod"
        case .referenceMissing: "CreateContainerConfigError"
        case .noSuchPod: "NotFound"
        case .notRunning: "NotRunning"
        case .noLog: "BadRequest"
        }
    }
    package var message: String {
        switch self {
        case .unsupported(let what): "This node cannot run the pod: \(what)."
        case .invalid(let field, let why): "\(field): \(why)"
        case .referenceMissing(let kind, let name): "\(kind) \"\(name)\" not found"
        case .noSuchPod(let name): "pods \"\(name)\" not found"
        case .noLog(let why): why
        case .notRunning(let name): "The node \"\(name)\" is not running."
        }
    }
}

/// What the kubelet knows beside the Pod.
package struct PlanSurroundings: Sendable {
    package var agentProgram: String?
    /// The host's labkube program and its image store, which nodes see read-only.
    package var clusterProgram: String?
    package var catalogue: String?
    /// Contents of the ConfigMaps ("configmaps/NAME") and Secrets ("secrets/NAME") that the Pod names.
    package var files: [String: [String: [UInt8]]] = [:]
    package init(agentProgram: String? = nil, clusterProgram: String? = nil, catalogue: String? = nil) {
        self.agentProgram = agentProgram
        self.clusterProgram = clusterProgram
        self.catalogue = catalogue
    }
}

package enum PodPlan {
    package static let agentAnnotation = "lectern.dev/agent"
    package static let addressAnnotation = "lectern.dev/address"
    package static let processesResource = "lectern.dev/pids"
    /// Without a limit in the Pod a container has these.
    package static let defaultDiskBytes: Int64 = 4 << 30
    package static let defaultProcesses: Int64 = 4096
    private static let defaultMemoryVolumeBytes: Int64 = 64 << 20

    package static func isAgent(_ pod: JSON) -> Bool { pod.metaAnnotations[agentAnnotation] == "true" }

    /// `configmaps/NAME` and `secrets/NAME` that must be read before `make`, with whether they may be missing.
    package static func references(of pod: JSON) -> [(key: String, isOptional: Bool)] {
        (pod["spec"]?["volumes"]?.array ?? []).compactMap { volume in
            if let map = volume["configMap"], let name = map["name"]?.string {
                return ("configmaps/" + name, map["optional"]?.bool ?? false)
            }
            if let secret = volume["secret"], let name = secret["secretName"]?.string {
                return ("secrets/" + name, secret["optional"]?.bool ?? false)
            }
            return nil
        }
    }

    package static func make(_ pod: JSON, _ surroundings: PlanSurroundings) throws(KubeletProblem) -> ContainerPlan {
        let spec = pod["spec"] ?? .null
        guard let namespace = pod.metaNamespace, isSafe(namespace), isSafe(pod.metaName) else {
            throw .invalid(field: "metadata.name", "is no DNS label")
        }
        guard let containers = spec["containers"]?.array, containers.count == 1, let container = containers.first else {
            throw .unsupported("a pod has exactly one container here")
        }
        guard (spec["initContainers"]?.array ?? []).isEmpty else { throw .unsupported("init containers are not supported here") }
        for flag in ["hostNetwork", "hostPID", "hostIPC"] where spec[flag]?.bool == true {
            throw .unsupported("\(flag) would leave the lab")
        }
        guard let name = container["name"]?.string, isSafe(name) else {
            throw .invalid(field: "spec.containers[0].name", "is no DNS label")
        }
        guard let image = container["image"]?.string else { throw .invalid(field: "spec.containers[0].image", "is missing") }

        let limits = container["resources"]?["limits"] ?? .null
        let disk = try amount(limits["ephemeral-storage"], "ephemeral-storage") ?? defaultDiskBytes
        var plan = ContainerPlan(
            namespace: namespace, pod: pod.metaName, container: name, image: image, hostname: spec["hostname"]?.string ?? pod.metaName,
            diskBytes: disk)
        plan.limits = ContainerLimits(
            memoryBytes: try amount(limits["memory"], "memory"), milliCPU: try milli(limits["cpu"], "cpu"),
            processes: try amount(limits[processesResource], processesResource) ?? defaultProcesses)
        plan.command = strings(container["command"])
        plan.arguments = strings(container["args"])
        plan.workingDirectory = container["workingDir"]?.string
        for variable in container["env"]?.array ?? [] {
            guard let key = variable["name"]?.string else { continue }
            plan.environment.append("\(key)=\(variable["value"]?.string ?? field(variable["valueFrom"], pod) ?? "")")
        }
        applySecurity(container["securityContext"] ?? .null, spec["securityContext"] ?? .null, to: &plan)

        plan.hosts = (spec["hostAliases"]?.array ?? []).compactMap { alias in
            alias["ip"]?.string.map { ($0, strings(alias["hostnames"])) }
        }
        let own = pod.metaAnnotations[addressAnnotation]
        if let own, !plan.hosts.contains(where: { $0.address == own }) { plan.hosts.insert((own, [plan.hostname]), at: 0) }
        plan.nameServers = strings(spec["dnsConfig"]?["nameservers"])
        if plan.nameServers.isEmpty { plan.nameServers = [LabAddresses.router.description] }

        plan.volumes = try volumes(container["volumeMounts"]?.array ?? [], spec["volumes"]?.array ?? [], surroundings)
        if isAgent(pod) {
            plan.agentProgram = surroundings.agentProgram
            plan.clusterProgram = surroundings.clusterProgram
            if let catalogue = surroundings.catalogue {
                plan.volumes.append(VolumeMount(target: catalogueMountPath, source: .host(path: catalogue), readOnly: true))
            }
            plan.hasAgentSocket = true
        }
        return plan
    }

    private static func applySecurity(_ context: JSON, _ podContext: JSON, to plan: inout ContainerPlan) {
        var capabilities = ContainerPlan.defaultCapabilities
        for name in strings(context["capabilities"]?["drop"]) { capabilities.removeAll { name == "ALL" || $0 == name } }
        for name in strings(context["capabilities"]?["add"]) {
            // Inside a user namespace "all" is what a node may have; more would be refused by the kernel anyway.
            let added = name == "ALL" ? ContainerPlan.nodeCapabilities : [name.hasPrefix("CAP_") ? String(name.dropFirst(4)) : name]
            capabilities += added.filter { !capabilities.contains($0) }
        }
        if context["privileged"]?.bool == true { capabilities = ContainerPlan.nodeCapabilities }
        plan.capabilities = capabilities
        plan.masksPaths = context["procMount"]?.string != "Unmasked" && context["privileged"]?.bool != true
        plan.readOnlyRoot = context["readOnlyRootFilesystem"]?.bool ?? false
        // The deny list stays even for "Unconfined": a pod here is a stranger's.
        plan.filtersSystemCalls = true
    }

    private static func volumes(_ mounts: [JSON], _ volumes: [JSON], _ surroundings: PlanSurroundings) throws(KubeletProblem)
        -> [VolumeMount]
    {
        var result: [VolumeMount] = []
        for (index, mount) in mounts.enumerated() {
            let field = "spec.containers[0].volumeMounts[\(index)]"
            guard let name = mount["name"]?.string, let target = mount["mountPath"]?.string, target.hasPrefix("/"),
                !target.split(separator: "/").contains("..")
            else { throw .invalid(field: field, "needs a name and an absolute mountPath") }
            guard let volume = volumes.first(where: { $0["name"]?.string == name }), isSafe(name) else {
                throw .invalid(field: field + ".name", "names no volume of the pod")
            }
            guard mount["subPath"] == nil else { throw .unsupported("subPath is not supported here") }
            var readOnly = mount["readOnly"]?.bool ?? false
            let source: VolumeSource
            if let empty = volume["emptyDir"] {
                let size = try amount(empty["sizeLimit"], "sizeLimit")
                source = empty["medium"]?.string == "Memory" ? .memory(limitBytes: size ?? defaultMemoryVolumeBytes) : .disk(name: name)
            } else if let path = volume["hostPath"]?["path"]?.string {
                source = .host(path: path)
            } else if let image = volume["image"]?["reference"]?.string {
                source = .image(name: image)
                readOnly = true
            } else if let map = volume["configMap"]?["name"]?.string {
                source = .files(name: name, contents: surroundings.files["configmaps/" + map] ?? [:])
            } else if let secret = volume["secret"]?["secretName"]?.string {
                source = .files(name: name, contents: surroundings.files["secrets/" + secret] ?? [:])
            } else {
                throw .unsupported("the volume \"\(name)\" is of a kind that is not supported here")
            }
            result.append(VolumeMount(target: target, source: source, readOnly: readOnly))
        }
        return result
    }

    /// Whether the lab may reach the internet: only when one of its policies lets everything out.
    package static func egress(policies: [JSON]) -> Egress {
        for policy in policies {
            for rule in policy["spec"]?["egress"]?.array ?? [] {
                guard let targets = rule["to"]?.array, !targets.isEmpty else { return .open }
                if targets.contains(where: { $0["ipBlock"]?["cidr"]?.string == "0.0.0.0/0" }) { return .open }
            }
        }
        return .none
    }

    private static func strings(_ value: JSON?) -> [String] { value?.array?.compactMap(\.string) ?? [] }

    private static func field(_ source: JSON?, _ pod: JSON) -> String? {
        switch source?["fieldRef"]?["fieldPath"]?.string {
        case "metadata.name": pod.metaName
        case "metadata.namespace": pod.metaNamespace
        case "metadata.uid": pod.metaUID
        case "spec.nodeName": pod["spec"]?["nodeName"]?.string
        case "status.podIP": pod.metaAnnotations[addressAnnotation]
        default: nil
        }
    }

    // Names become parts of paths and of control groups.
    private static func isSafe(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 253 && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46 }
    }

    private static func amount(_ value: JSON?, _ field: String) throws(KubeletProblem) -> Int64? {
        try milli(value, field).map { ($0 + 999) / 1000 }
    }

    private static func milli(_ value: JSON?, _ field: String) throws(KubeletProblem) -> Int64? {
        guard let value else { return nil }
        guard let amount = Quantity(value.string ?? value.text), !amount.isNegative else {
            throw .invalid(field: "spec.containers[0].resources.limits.\(field)", "is no quantity")
        }
        return amount.milliValue
    }
}
