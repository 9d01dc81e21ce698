// Writes a plan as an OCI runtime configuration (opencontainers/runtime-spec config.md).
package import Essentials

/// The parts of the configuration that only the machine knows.
package struct RuntimeSettings: Sendable, Equatable {
    package var root: String
    package var userNamespace: String
    package var networkNamespace: String
    package var first: UInt32
    package var count: UInt32
    package var openFilesLimit: UInt64
    /// Host paths of the volumes, in the plan's order; nil for one in memory.
    package var volumePaths: [String?]
    package var hasControlGroups: Bool
    package init(
        root: String, userNamespace: String, networkNamespace: String, first: UInt32, count: UInt32, openFilesLimit: UInt64,
        volumePaths: [String?], hasControlGroups: Bool
    ) {
        self.root = root
        self.userNamespace = userNamespace
        self.networkNamespace = networkNamespace
        self.first = first
        self.count = count
        self.openFilesLimit = openFilesLimit
        self.volumePaths = volumePaths
        self.hasControlGroups = hasControlGroups
    }
}

package enum RuntimeSpec {
    /// Sizes of the file systems in memory that every node has. Each is charged to the node's memory as it fills.
    private static let deviceTmpfsBytes = 1 << 20
    private static let sharedMemoryBytes = 64 << 20
    private static let runTmpfsBytes = 64 << 20

    package static func configuration(_ plan: ContainerPlan, image: Image, _ settings: RuntimeSettings) -> JSON {
        var configuration: JSON = [
            "ociVersion": "1.0.2",
            "hostname": .string(plan.hostname),
            "root": ["path": .string(settings.root), "readonly": .bool(plan.readOnlyRoot)],
            "process": process(plan, image: image, settings),
            "mounts": JSON(mounts(plan, settings)),
        ]
        var linux: JSON = [
            "namespaces": [
                ["type": "pid"], ["type": "ipc"], ["type": "uts"], ["type": "mount"], ["type": "cgroup"],
                ["type": "network", "path": .string(settings.networkNamespace)],
                ["type": "user", "path": .string(settings.userNamespace)],
            ],
            "uidMappings": [["containerID": 0, "hostID": JSON(Int(settings.first)), "size": JSON(Int(settings.count))]],
            "gidMappings": [["containerID": 0, "hostID": JSON(Int(settings.first)), "size": JSON(Int(settings.count))]],
        ]
        if plan.filtersSystemCalls { linux["seccomp"] = SeccompProfile.configuration }
        if plan.masksPaths {
            linux["maskedPaths"] = [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
            ]
            linux["readonlyPaths"] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
        configuration["linux"] = linux
        return configuration
    }

    private static func process(_ plan: ContainerPlan, image: Image, _ settings: RuntimeSettings) -> JSON {
        var arguments = plan.command.isEmpty ? image.entrypoint : plan.command
        if !plan.arguments.isEmpty {
            arguments += plan.arguments
        } else if plan.command.isEmpty {
            arguments += image.command
        }
        var environment = image.environment
        if !environment.contains(where: { $0.hasPrefix("PATH=") }) {
            environment.insert("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", at: 0)
        }
        environment.append("HOSTNAME=\(plan.hostname)")
        environment += plan.environment
        let capabilities = JSON(plan.capabilities.map { "CAP_" + $0 })
        let files = JSON(Int64(clamping: min(settings.openFilesLimit, 1 << 20)))
        return [
            "terminal": false,
            "user": ["uid": 0, "gid": 0],
            "args": JSON(arguments),
            "env": JSON(environment),
            "cwd": .string(plan.workingDirectory ?? image.workingDirectory),
            "capabilities": [
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities, "inheritable": [], "ambient": [],
            ],
            "rlimits": [
                ["type": "RLIMIT_NOFILE", "hard": files, "soft": files],
                ["type": "RLIMIT_CORE", "hard": 0, "soft": 0],
            ],
            "noNewPrivileges": false,
            // When the whole machine runs out of memory, a node goes before the server does.
            "oomScoreAdj": 300,
        ]
    }

    private static func mounts(_ plan: ContainerPlan, _ settings: RuntimeSettings) -> [JSON] {
        func mount(_ target: String, _ type: String, _ source: String, _ options: [String]) -> JSON {
            ["destination": .string(target), "type": .string(type), "source": .string(source), "options": JSON(options)]
        }
        var mounts = [
            mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=\(deviceTmpfsBytes)"]),
            mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=\(sharedMemoryBytes)"]),
            mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", "sysfs", plan.masksPaths ? ["nosuid", "noexec", "nodev", "ro"] : ["nosuid", "noexec", "nodev"]),
            mount("/run", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=755", "size=\(runTmpfsBytes)"]),
        ]
        if settings.hasControlGroups {
            mounts.append(
                mount(
                    "/sys/fs/cgroup", "cgroup", "cgroup",
                    plan.masksPaths ? ["nosuid", "noexec", "nodev", "ro"] : ["nosuid", "noexec", "nodev", "rw"]))
        }
        // `ip netns exec` unmounts /sys before it mounts a new one, which the kernel allows only while another is in sight.
        // crun takes a sysfs directly below the root only.
        if !plan.masksPaths { mounts.append(mount("/.sysfs", "sysfs", "sysfs", ["nosuid", "noexec", "nodev"])) }
        for (volume, path) in zip(plan.volumes, settings.volumePaths) {
            let access = volume.readOnly ? "ro" : "rw"
            if case .memory(let limit) = volume.source {
                mounts.append(mount(volume.target, "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777", "size=\(limit)", access]))
            } else if let path {
                mounts.append(mount(volume.target, "bind", path, ["rbind", "nosuid", "nodev", access]))
            }
        }
        if let program = plan.agentProgram {
            mounts.append(mount(agentMountPath, "bind", program, ["bind", "nosuid", "nodev", "ro"]))
        }
        if let program = plan.clusterProgram {
            mounts.append(mount(clusterProgramMountPath, "bind", program, ["bind", "nosuid", "nodev", "ro"]))
        }
        return mounts
    }
}
