// Writes a container's plan as an OCI runtime configuration (opencontainers/runtime-spec config.md), with containerd's defaults.
internal import Containers
package import Essentials
package import Pods

/// What the plan does not say: what was resolved on this node.
package struct ResolvedContainer: Sendable {
    package var root: String
    package var user: ContainerUser
    package var capabilities: UInt64
    package var hostname: String
    /// Paths of the namespaces it joins by their OCI type; one that is not here and not in `fresh` is the node's own.
    package var joined: [String: String] = [:]
    package var fresh: Set<String> = []
    /// Mounts that every container of the pod has, such as /etc/hosts; a plan's own of the same target comes instead.
    package var podMounts: [MountPlan] = []
    package var openFilesLimit: UInt64 = 1 << 20
    package var hasControlGroups = true
    package var hasSysfs = true
    /// Devices of the node that a privileged container gets beside the usual ones.
    package var devices: [String] = []
    package var oomScoreAdjustment: Int?
    /// The system call filter of the node that the container names.
    package var filter: JSON?
    /// Restrictions of the mounts that sources lie on; copies must keep them.
    package var restrictions: [String: [String]] = [:]

    package init(root: String, user: ContainerUser, capabilities: UInt64, hostname: String) {
        self.root = root
        self.user = user
        self.capabilities = capabilities
        self.hostname = hostname
    }
}

package enum RuntimeConfiguration {
    static let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    package static func make(_ plan: PodContainerPlan, _ resolved: ResolvedContainer) -> JSON {
        let context = plan.securityContext
        let isPrivileged = plan.isPrivileged || context["privileged"]?.bool == true
        var linux: JSON = ["namespaces": .array(namespaces(resolved))]
        if !isPrivileged, context["procMount"]?.string != "Unmasked" {
            linux["maskedPaths"] = [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
                "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
            ]
            linux["readonlyPaths"] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
        if !isPrivileged {
            switch context["seccompProfile"]?["type"]?.string {
            case "RuntimeDefault": linux["seccomp"] = SeccompProfile.configuration
            case "Localhost": linux["seccomp"] = resolved.filter
            default: break
            }
        }
        return [
            "ociVersion": "1.0.2",
            "root": ["path": .string(resolved.root), "readonly": .bool(context["readOnlyRootFilesystem"]?.bool ?? false)],
            "process": process(plan, resolved),
            "mounts": .array(mounts(plan, resolved, isPrivileged: isPrivileged)),
            "linux": linux,
        ]
    }

    /// The image's entry point and command, and what the Pod puts in their place.
    package static func arguments(_ plan: PodContainerPlan) -> [String] {
        let image = plan.image.configuration
        var words = plan.command.isEmpty ? strings(image["Entrypoint"]) : plan.command
        if !plan.arguments.isEmpty {
            words += plan.arguments
        } else if plan.command.isEmpty {
            words += strings(image["Cmd"])
        }
        return words
    }

    package static func environment(_ plan: PodContainerPlan, hostname: String) -> [String] {
        var order: [String] = []
        var values: [String: String] = [:]
        func set(_ name: String, _ value: String) {
            if values.updateValue(value, forKey: name) == nil { order.append(name) }
        }
        let image = strings(plan.image.configuration["Env"])
        if !image.contains(where: { $0.hasPrefix("PATH=") }) { set("PATH", String(path.dropFirst(5))) }
        set("HOSTNAME", hostname)
        if plan.terminal { set("TERM", "xterm") }
        for text in image {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            set(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
        for (name, value) in plan.environment { set(name, value) }
        return order.map { "\($0)=\(values[$0] ?? "")" }
    }

    package static func workingDirectory(_ plan: PodContainerPlan) -> String {
        let named = plan.workingDirectory ?? plan.image.configuration["WorkingDir"]?.string ?? ""
        return named.isEmpty ? "/" : named
    }

    private static func process(_ plan: PodContainerPlan, _ resolved: ResolvedContainer) -> JSON {
        let capabilities = JSON(Capabilities.list(resolved.capabilities))
        let files = JSON(Int64(clamping: resolved.openFilesLimit))
        var process: JSON = [
            "terminal": .bool(plan.terminal),
            "user": [
                "uid": JSON(Int(resolved.user.user)), "gid": JSON(Int(resolved.user.group)),
                "additionalGids": .array(resolved.user.groups.map { JSON(Int($0)) }),
            ],
            "args": JSON(arguments(plan)),
            "env": JSON(environment(plan, hostname: resolved.hostname)),
            "cwd": .string(workingDirectory(plan)),
            "capabilities": ["bounding": capabilities, "effective": capabilities, "permitted": capabilities],
            "rlimits": [["type": "RLIMIT_NOFILE", "hard": files, "soft": files]],
            "noNewPrivileges": .bool(plan.securityContext["allowPrivilegeEscalation"]?.bool == false),
        ]
        if let score = resolved.oomScoreAdjustment { process["oomScoreAdj"] = JSON(score) }
        return process
    }

    private static func namespaces(_ resolved: ResolvedContainer) -> [JSON] {
        ["pid", "ipc", "uts", "mount", "network", "cgroup"].compactMap { type in
            if let path = resolved.joined[type] { return ["type": .string(type), "path": .string(path)] }
            return resolved.fresh.contains(type) ? ["type": .string(type)] : nil
        }
    }

    private static func mounts(_ plan: PodContainerPlan, _ resolved: ResolvedContainer, isPrivileged: Bool) -> [JSON] {
        func mount(_ target: String, _ type: String, _ options: [String]) -> JSON {
            ["destination": .string(target), "type": .string(type), "source": .string(type), "options": JSON(options)]
        }
        let access = isPrivileged ? "rw" : "ro"
        var mounts = [
            mount("/proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        ]
        if resolved.hasSysfs { mounts.append(mount("/sys", "sysfs", ["nosuid", "noexec", "nodev", access])) }
        if resolved.hasControlGroups {
            mounts.append(mount("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", access]))
        }
        let targets = Set(plan.mounts.map { plain($0.target) })
        let readOnlyRoot = plan.securityContext["readOnlyRootFilesystem"]?.bool ?? false
        for entry in resolved.podMounts where !targets.contains(plain(entry.target)) {
            var entry = entry
            if readOnlyRoot, entry.target.hasPrefix("/etc/") { entry.readOnly = true }
            mounts.append(bind(entry, resolved))
        }
        for device in resolved.devices { mounts.append(bind(MountPlan(source: device, target: device), resolved)) }
        // What lies in another mount comes after it.
        let own = plan.mounts.enumerated().sorted { left, right in
            let (first, second) = (depth(left.element.target), depth(right.element.target))
            return (first, left.offset) < (second, right.offset)
        }
        for (_, entry) in own { mounts.append(bind(entry, resolved)) }
        return mounts
    }

    private static func bind(_ entry: MountPlan, _ resolved: ResolvedContainer) -> JSON {
        var options = ["rbind"]
        switch entry.propagation {
        case "rslave", "HostToContainer": options.append("rslave")
        case "rshared", "Bidirectional": options.append("rshared")
        default: options.append("rprivate")
        }
        let restrictions = resolved.restrictions[entry.source] ?? []
        options.append(entry.readOnly || restrictions.contains("ro") ? "ro" : "rw")
        options += restrictions.filter { $0 != "ro" }
        return [
            "destination": .string(entry.target), "type": "bind", "source": .string(entry.source), "options": JSON(options),
        ]
    }

    private static func plain(_ path: String) -> String { "/" + path.split(separator: "/").joined(separator: "/") }
    private static func depth(_ path: String) -> Int { path.split(separator: "/").count }
    static func strings(_ value: JSON?) -> [String] { value?.array?.compactMap(\.string) ?? [] }
}
