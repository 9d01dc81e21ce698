// From a Pod to what the runtime is asked for: the sandbox's plan and each container's, with everything resolved.
internal import ClusterModel
package import Essentials

package enum PodPlans {
    package static func sandbox(_ pod: JSON, nodeName: String, _ resolver: ResolverSettings) -> SandboxPlan {
        let spec = pod["spec"] ?? .null
        let names = PodNames.hostname(pod, nodeName: nodeName, clusterDomain: resolver.clusterDomain)
        var plan = SandboxPlan(namespace: pod.metaNamespace ?? "default", name: pod.metaName, uid: pod.metaUID, hostname: names.short)
        plan.labels = pod.metaLabels
        plan.annotations = pod.metaAnnotations
        plan.hostNetwork = spec["hostNetwork"] == true
        plan.hostPID = spec["hostPID"] == true
        plan.hostIPC = spec["hostIPC"] == true
        plan.sharesProcesses = spec["shareProcessNamespace"] == true
        plan.hostsLines = PodNames.hostsLines(pod)
        plan.resolver = PodNames.resolver(pod, resolver)
        for sysctl in spec["securityContext"]?["sysctls"]?.array ?? [] {
            if let name = sysctl["name"]?.string { plan.sysctls[name] = sysctl["value"]?.string ?? "" }
        }
        if !plan.hostNetwork {
            plan.hostPorts = hostPorts(pod).map { SandboxPlan.HostPort(host: $0.host, container: $0.container, proto: $0.proto) }
        }
        var limits: JSON = .emptyObject
        for (name, amount) in PodResources.limits(pod).sorted(by: { $0.key < $1.key }) { limits[name] = JSON(amount.description) }
        if let own = spec["resources"]?["limits"] { for (name, amount) in own.members { limits[name] = amount } }
        if limits != .emptyObject { plan.resources["limits"] = limits }
        var requests: JSON = .emptyObject
        for (name, amount) in PodResources.requests(pod).sorted(by: { $0.key < $1.key }) { requests[name] = JSON(amount.description) }
        if requests != .emptyObject { plan.resources["requests"] = requests }
        return plan
    }

    /// Ports of the node that the pod wants for itself.
    package static func hostPorts(_ pod: JSON) -> [(host: Int, container: Int, proto: String, address: String)] {
        let usesNode = pod["spec"]?["hostNetwork"] == true
        return ContainerSpec.all(of: pod).filter { $0.role == .main || $0.role == .sidecar }.flatMap { spec in
            (spec.json["ports"]?.array ?? []).compactMap { port in
                guard let container = port["containerPort"]?.int else { return nil }
                let host = port["hostPort"]?.int ?? (usesNode ? container : 0)
                guard host > 0 else { return nil }
                return (host, container, port["protocol"]?.string ?? "TCP", port["hostIP"]?.string ?? "")
            }
        }
    }

    package static func container(
        _ spec: ContainerSpec, of pod: JSON, attempt: Int, image: PulledImage, environment: [(String, String)], mounts: [MountPlan]
    ) throws(PodRuntimeProblem) -> PodContainerPlan {
        var plan = PodContainerPlan(podUID: pod.metaUID, name: spec.name, attempt: attempt, image: image)
        let values = Dictionary(environment, uniquingKeysWith: { $1 })
        func words(_ key: String) -> [String] {
            (spec.json[key]?.array ?? []).compactMap(\.string).map { PodEnvironment.expand($0, values) }
        }
        plan.command = words("command")
        plan.arguments = words("args")
        plan.environment = environment
        plan.workingDirectory = spec.json["workingDir"]?.string
        plan.mounts = mounts
        plan.securityContext = security(spec.json["securityContext"] ?? .null, pod["spec"]?["securityContext"] ?? .null)
        plan.resources = spec.json["resources"] ?? .emptyObject
        plan.terminal = spec.json["tty"] == true
        plan.stdin = spec.json["stdin"] == true
        plan.stdinOnce = spec.json["stdinOnce"] == true
        plan.terminationMessagePath = spec.json["terminationMessagePath"]?.string ?? "/dev/termination-log"
        plan.isPrivileged = spec.json["securityContext"]?["privileged"] == true
        plan.targetContainer = spec.json["targetContainerName"]?.string
        try check(plan.securityContext, image, spec, pod)
        return plan
    }

    /// The container's own settings over the pod's.
    package static func security(_ container: JSON, _ pod: JSON) -> JSON {
        var merged: JSON = .emptyObject
        for (key, value) in pod.members where key != "sysctls" { merged[key] = value }
        for (key, value) in container.members where !value.isNull { merged[key] = value }
        return merged
    }

    private static func check(_ context: JSON, _ image: PulledImage, _ spec: ContainerSpec, _ pod: JSON) throws(PodRuntimeProblem) {
        guard context["runAsNonRoot"] == true else { return }
        let label = "\(pod.metaName)_\(pod.metaNamespace ?? "default")(\(pod.metaUID))"
        if let user = context["runAsUser"]?.int {
            guard user == 0 else { return }
            throw PodEnvironment.problem(
                "container's runAsUser breaks non-root policy (pod: \"\(label)\", container: \(spec.name))")
        }
        let user =
            (image.configuration["config"] ?? image.configuration)["User"]?.string?.split(separator: ":").first.map(String.init) ?? ""
        if user.isEmpty || user == "0" {
            throw PodEnvironment.problem(
                "container has runAsNonRoot and image will run as root (pod: \"\(label)\", container: \(spec.name))")
        }
        if Int(user) == nil {
            let why = "container has runAsNonRoot and image has non-numeric user (\(user)), cannot verify user is non-root"
            throw PodEnvironment.problem("\(why) (pod: \"\(label)\", container: \(spec.name))")
        }
    }
}
