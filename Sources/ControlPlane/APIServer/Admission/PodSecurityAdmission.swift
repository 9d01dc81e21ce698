// Pod security levels: a namespace's labels say what its pods may ask of their node.
internal import ClusterModel
internal import Essentials

enum PodSecurityAdmission {
    static let label = "pod-security.kubernetes.io/"
    /// Only these change what level a pod has after it was created.
    private static let watched = ["spec"]

    static func admit(_ pod: JSON, _ request: inout AdmissionRequest) throws(ClusterProblem) {
        guard let labels = namespaceLabels(request) else { return }
        if let old = request.old, watched.allSatisfy({ old[$0] == pod[$0] }) { return }
        let spec = pod["spec"] ?? .null
        if let level = labels[label + "enforce"], level != "privileged" {
            let version = labels[label + "enforce-version"] ?? "latest"
            let findings = PodSecurity.findings(spec, level: level)
            if !findings.isEmpty {
                throw request.forbidden(pod, "violates PodSecurity \"\(level):\(version)\": " + findings.joined(separator: ", "))
            }
        }
        warn(spec, labels, &request)
    }

    /// Workloads are stored whatever their pods ask for; who writes them is told.
    static func warn(_ object: JSON, _ request: inout AdmissionRequest) {
        guard let labels = namespaceLabels(request) else { return }
        let template = object["spec"]?["template"] ?? object["spec"]?["jobTemplate"]?["spec"]?["template"]
        guard let spec = template?["spec"] else { return }
        warn(spec, labels, &request)
    }

    private static func warn(_ spec: JSON, _ labels: [String: String], _ request: inout AdmissionRequest) {
        guard let level = labels[label + "warn"], level != "privileged" else { return }
        let version = labels[label + "warn-version"] ?? "latest"
        let findings = PodSecurity.findings(spec, level: level)
        if !findings.isEmpty {
            request.warnings.append("would violate PodSecurity \"\(level):\(version)\": " + findings.joined(separator: ", "))
        }
    }

    private static func namespaceLabels(_ request: AdmissionRequest) -> [String: String]? {
        guard let name = request.namespace, let namespace = request.lookup(.namespaces, name: name) else { return nil }
        let labels = namespace.metaLabels.filter { $0.key.hasPrefix(label) }
        return labels.isEmpty ? nil : labels
    }
}

/// The standards "baseline" and "restricted".
enum PodSecurity {
    private static let allowedCapabilities: Set<String> = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
        "SETUID", "SYS_CHROOT",
    ]
    private static let safeSysctls: Set<String> = [
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    ]
    private static let restrictedVolumes: Set<String> = [
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
    ]

    static func findings(_ spec: JSON, level: String) -> [String] {
        let containers = ["initContainers", "containers", "ephemeralContainers"].flatMap { spec[$0]?.array ?? [] }
        var findings = baseline(spec, containers)
        if level == "restricted" { findings += restricted(spec, containers) }
        return findings.sorted()
    }

    private static func names(_ containers: [JSON], _ matches: (JSON) -> Bool) -> [String] {
        containers.filter(matches).compactMap { $0["name"]?.string }
    }

    /// `container "a"` or `containers "a", "b"`.
    private static func list(_ names: [String]) -> String {
        (names.count == 1 ? "container " : "containers ") + names.map { "\"\($0)\"" }.joined(separator: ", ")
    }

    private static func baseline(_ spec: JSON, _ containers: [JSON]) -> [String] {
        var findings: [String] = []
        let spaces = ["hostNetwork", "hostPID", "hostIPC"].filter { spec[$0] == true }
        if !spaces.isEmpty { findings.append("host namespaces (\(spaces.map { "\($0)=true" }.joined(separator: ", ")))") }
        let privileged = names(containers) { $0["securityContext"]?["privileged"] == true }
        if !privileged.isEmpty {
            findings.append("privileged (\(list(privileged)) must not set securityContext.privileged=true)")
        }
        let added = containers.compactMap { container -> (String, [String])? in
            let extra = (container["securityContext"]?["capabilities"]?["add"]?.array ?? []).compactMap(\.string)
                .filter { !allowedCapabilities.contains($0) }
            return extra.isEmpty ? nil : (container["name"]?.string ?? "", extra)
        }
        if !added.isEmpty {
            let what = Set(added.flatMap(\.1)).sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            findings.append(
                "non-default capabilities (\(list(added.map(\.0))) must not include \(what) in securityContext.capabilities.add)")
        }
        let volumes = (spec["volumes"]?.array ?? []).filter { $0["hostPath"] != nil }.compactMap { $0["name"]?.string }
        if !volumes.isEmpty {
            findings.append(
                "hostPath volumes (\(volumes.count == 1 ? "volume" : "volumes") \(volumes.map { "\"\($0)\"" }.joined(separator: ", ")))")
        }
        let ports = containers.filter { ($0["ports"]?.array ?? []).contains { ($0["hostPort"]?.int ?? 0) != 0 } }
        if !ports.isEmpty {
            let numbers = ports.flatMap { ($0["ports"]?.array ?? []).compactMap { $0["hostPort"]?.int }.filter { $0 != 0 } }
            let names = ports.compactMap { $0["name"]?.string }
            let word = numbers.count == 1 ? "hostPort" : "hostPorts"
            findings.append(
                "hostPort (\(list(names)) \(names.count == 1 ? "uses" : "use") \(word) \(numbers.map(String.init).joined(separator: ", ")))"
            )
        }
        let masks = names(containers) { ($0["securityContext"]?["procMount"]?.string ?? "Default") != "Default" }
        if !masks.isEmpty { findings.append("procMount (\(list(masks)) must not set securityContext.procMount to \"Unmasked\")") }
        let unconfined = names(containers) { $0["securityContext"]?["seccompProfile"]?["type"] == "Unconfined" }
        if spec["securityContext"]?["seccompProfile"]?["type"] == "Unconfined" {
            findings.append("seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")")
        } else if !unconfined.isEmpty {
            findings.append("seccompProfile (\(list(unconfined)) must not set securityContext.seccompProfile.type to \"Unconfined\")")
        }
        let sysctls = (spec["securityContext"]?["sysctls"]?.array ?? []).compactMap { $0["name"]?.string }.filter {
            !safeSysctls.contains($0)
        }
        if !sysctls.isEmpty { findings.append("forbidden sysctls (\(sysctls.joined(separator: ", ")))") }
        return findings
    }

    private static func restricted(_ spec: JSON, _ containers: [JSON]) -> [String] {
        var findings: [String] = []
        let escalating = names(containers) { $0["securityContext"]?["allowPrivilegeEscalation"] != false }
        if !escalating.isEmpty {
            findings.append(
                "allowPrivilegeEscalation != false (\(list(escalating)) must set securityContext.allowPrivilegeEscalation=false)")
        }
        let keeping = names(containers) { !($0["securityContext"]?["capabilities"]?["drop"]?.array ?? []).contains("ALL") }
        if !keeping.isEmpty {
            findings.append("unrestricted capabilities (\(list(keeping)) must set securityContext.capabilities.drop=[\"ALL\"])")
        }
        let volumes = (spec["volumes"]?.array ?? []).filter { volume in
            let kinds = volume.members.map(\.key).filter { $0 != "name" }
            return kinds.contains { !restrictedVolumes.contains($0) && $0 != "hostPath" } || kinds.contains("hostPath")
        }.compactMap { $0["name"]?.string }
        if !volumes.isEmpty {
            findings.append(
                "restricted volume types (\(volumes.map { "volume \"\($0)\"" }.joined(separator: ", ")) uses a restricted type)")
        }
        let podRunsAsNonRoot = spec["securityContext"]?["runAsNonRoot"] == true
        let root = names(containers) { container in
            let own = container["securityContext"]?["runAsNonRoot"]
            return own == false || (own == nil && !podRunsAsNonRoot)
        }
        if !root.isEmpty { findings.append("runAsNonRoot != true (pod or \(list(root)) must set securityContext.runAsNonRoot=true)") }
        if spec["securityContext"]?["runAsUser"]?.int == 0 {
            findings.append("runAsUser=0 (pod must not set runAsUser=0)")
        }
        let asRoot = names(containers) { $0["securityContext"]?["runAsUser"]?.int == 0 }
        if !asRoot.isEmpty { findings.append("runAsUser=0 (\(list(asRoot)) must not set runAsUser=0)") }
        let podHasProfile = ["RuntimeDefault", "Localhost"].contains(spec["securityContext"]?["seccompProfile"]?["type"]?.string ?? "")
        let open = names(containers) { container in
            let own = container["securityContext"]?["seccompProfile"]?["type"]?.string
            return own == nil ? !podHasProfile : !["RuntimeDefault", "Localhost", "Unconfined"].contains(own ?? "")
        }
        if !open.isEmpty {
            findings.append(
                "seccompProfile (pod or \(list(open)) must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")")
        }
        return findings
    }
}
