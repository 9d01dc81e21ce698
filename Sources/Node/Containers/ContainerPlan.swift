// What a container shall be, decided before anything is done: the kubelet makes it from a Pod.
internal import Essentials

/// What a mount of a volume shows.
package enum VolumeSource: Sendable, Equatable {
    /// A directory on the pod's own disk, by name.
    case disk(name: String)
    /// A file system in memory with a size.
    case memory(limitBytes: Int64)
    case host(path: String)
    /// An image's files, read-only.
    case image(name: String)
    /// Files with fixed contents (ConfigMap, Secret), by name of the volume.
    case files(name: String, contents: [String: [UInt8]])
}

package struct VolumeMount: Sendable, Equatable {
    package var target: String
    package var source: VolumeSource
    package var readOnly: Bool
    package init(target: String, source: VolumeSource, readOnly: Bool) {
        self.target = target
        self.source = source
        self.readOnly = readOnly
    }
}

package struct ContainerLimits: Sendable, Equatable {
    package var memoryBytes: Int64?
    /// Thousandths of a processor.
    package var milliCPU: Int64?
    package var processes: Int64?
    package init(memoryBytes: Int64? = nil, milliCPU: Int64? = nil, processes: Int64? = nil) {
        self.memoryBytes = memoryBytes
        self.milliCPU = milliCPU
        self.processes = processes
    }
}

package struct ContainerPlan: Sendable, Equatable {
    package var namespace: String
    package var pod: String
    package var container: String
    package var image: String
    package var hostname: String
    /// Lines of /etc/hosts beyond localhost.
    package var hosts: [(address: String, names: [String])] = []
    package var nameServers: [String] = []
    /// Empty: what the image says.
    package var command: [String] = []
    package var arguments: [String] = []
    package var environment: [String] = []
    package var workingDirectory: String?
    package var capabilities: [String] = []
    package var filtersSystemCalls = true
    package var masksPaths = true
    package var readOnlyRoot = false
    package var limits = ContainerLimits()
    package var diskBytes: Int64
    package var volumes: [VolumeMount] = []
    /// The host's node-agent program, mounted read-only over the command's own path.
    package var agentProgram: String?
    /// The host's labkube program: everything of Kubernetes that a node runs, mounted read-only beside the agent.
    package var clusterProgram: String?
    /// Passes a listening socket as descriptor 3.
    package var hasAgentSocket = false

    package init(namespace: String, pod: String, container: String, image: String, hostname: String, diskBytes: Int64) {
        self.namespace = namespace
        self.pod = pod
        self.container = container
        self.image = image
        self.hostname = hostname
        self.diskBytes = diskBytes
    }

    package static func == (left: ContainerPlan, right: ContainerPlan) -> Bool {
        String(reflecting: left) == String(reflecting: right)
    }
}

/// Where in a node the agent is mounted.
package let agentMountPath = "/usr/lib/lectern/node-agent"
/// Where in a node Kubernetes' program is mounted; kubeadm, kubelet and others are links to it.
package let clusterProgramMountPath = "/usr/lib/lectern/labkube"
/// Where in a node the host's images are seen, read-only.
package let catalogueMountPath = "/usr/lib/lectern/images"

extension ContainerPlan {
    /// What a node may do inside its user namespace (docs/decisions: sandbox).
    package static let nodeCapabilities = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_OWNER", "KILL", "MKNOD", "NET_ADMIN",
        "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_NICE",
        "SYS_PTRACE", "SYS_RESOURCE", "SYS_TTY_CONFIG",
    ]

    /// What a container has when its Pod says nothing, as container runtimes agree.
    package static let defaultCapabilities = [
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    ]
}
