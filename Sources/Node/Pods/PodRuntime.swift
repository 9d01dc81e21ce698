// What the kubelet of a lab's node asks of the thing that runs containers: the same questions as the Container Runtime
// Interface, as one protocol, so that the kubelet's decisions can be tested without a kernel.
package import ClusterModel
package import Essentials

/// A volume as a container sees it: a directory or file of the node, already made by the kubelet's volumes.
package struct MountPlan: Sendable, Hashable {
    package var source: String
    package var target: String
    package var readOnly: Bool
    /// `rslave`, `rshared` or empty.
    package var propagation: String
    package init(source: String, target: String, readOnly: Bool = false, propagation: String = "") {
        self.source = source
        self.target = target
        self.readOnly = readOnly
        self.propagation = propagation
    }
}

/// A pod's surroundings: what its containers share.
package struct SandboxPlan: Sendable, Hashable {
    package var namespace: String
    package var name: String
    package var uid: String
    package var hostname: String
    package var labels: [String: String] = [:]
    package var annotations: [String: String] = [:]
    package var hostNetwork = false
    package var hostPID = false
    package var hostIPC = false
    package var sharesProcesses = false
    /// Lines of the pod's /etc/hosts beyond its own, as `ADDRESS NAME…`.
    package var hostsLines: [String] = []
    /// The whole text of the pod's /etc/resolv.conf.
    package var resolver = ""
    package var sysctls: [String: String] = [:]
    /// Ports to be reachable at the node's address (hostPort), as `(host, container, protocol)`.
    package var hostPorts: [HostPort] = []
    /// `Guaranteed`, `Burstable` or `BestEffort`: where the pod's control group lies.
    package var qosClass = "BestEffort"
    /// The pod's control group limits, where the whole pod has some: `requests` and `limits` as the API writes them.
    package var resources: JSON = .emptyObject

    package struct HostPort: Sendable, Hashable {
        package var host: Int
        package var container: Int
        package var proto: String
        package init(host: Int, container: Int, proto: String) {
            self.host = host
            self.container = container
            self.proto = proto
        }
    }

    package init(namespace: String, name: String, uid: String, hostname: String) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.hostname = hostname
    }
}

/// A container before it runs. Everything is resolved: environment, mounts, user.
package struct PodContainerPlan: Sendable, Hashable {
    package var podUID: String
    package var name: String
    /// How often this container was started before; part of its log file's name.
    package var attempt: Int
    /// The image as `pull` found it.
    package var image: PulledImage
    package var command: [String] = []
    package var arguments: [String] = []
    package var environment: [(String, String)] = []
    package var workingDirectory: String?
    package var mounts: [MountPlan] = []
    /// The container's and the pod's securityContext, merged, as the API writes them.
    package var securityContext: JSON = .emptyObject
    /// `resources` of the container as the API writes them.
    package var resources: JSON = .emptyObject
    package var terminal = false
    package var stdin = false
    package var stdinOnce = false
    package var terminationMessagePath = "/dev/termination-log"
    /// Devices of the node the container may use: all where it is privileged.
    package var isPrivileged = false
    /// For an ephemeral container: the container whose process ids it shares.
    package var targetContainer: String?

    package init(podUID: String, name: String, attempt: Int, image: PulledImage) {
        self.podUID = podUID
        self.name = name
        self.attempt = attempt
        self.image = image
    }

    package static func == (left: Self, right: Self) -> Bool { String(reflecting: left) == String(reflecting: right) }
    package func hash(into hasher: inout Hasher) { hasher.combine(podUID + name + String(attempt)) }
}

package struct PulledImage: Sendable, Hashable {
    /// As the Pod named it.
    package var reference: String
    /// `docker.io/library/alpine@sha256:…`, for `imageID`.
    package var id: String
    package var sizeBytes: Int64
    /// The image's OCI configuration: Env, Entrypoint, Cmd, WorkingDir, User.
    package var configuration: JSON
    package init(reference: String, id: String, sizeBytes: Int64, configuration: JSON) {
        self.reference = reference
        self.id = id
        self.sizeBytes = sizeBytes
        self.configuration = configuration
    }
}

package struct ContainerExit: Sendable, Hashable {
    package var podUID: String
    package var container: String
    package var attempt: Int
    package var exitCode: Int
    package var signal: Int?
    package var isOutOfMemory: Bool
    package var finishedAt: Timestamp
    package init(
        podUID: String, container: String, attempt: Int, exitCode: Int, signal: Int? = nil, isOutOfMemory: Bool = false,
        finishedAt: Timestamp
    ) {
        self.podUID = podUID
        self.container = container
        self.attempt = attempt
        self.exitCode = exitCode
        self.signal = signal
        self.isOutOfMemory = isOutOfMemory
        self.finishedAt = finishedAt
    }
}

/// What runs or ended here, as found after the kubelet's start.
package struct FoundSandbox: Sendable, Hashable {
    package var namespace: String
    package var name: String
    package var uid: String
    package var addresses: [String]
    package var createdAt: Timestamp
    package var containers: [FoundContainer]
    package init(namespace: String, name: String, uid: String, addresses: [String], createdAt: Timestamp, containers: [FoundContainer]) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.addresses = addresses
        self.createdAt = createdAt
        self.containers = containers
    }
}

package struct FoundContainer: Sendable, Hashable {
    package var name: String
    package var attempt: Int
    package var id: String
    package var image: PulledImage
    package var startedAt: Timestamp
    /// `nil` while it runs.
    package var exit: ContainerExit?
    package init(name: String, attempt: Int, id: String, image: PulledImage, startedAt: Timestamp, exit: ContainerExit?) {
        self.name = name
        self.attempt = attempt
        self.id = id
        self.image = image
        self.startedAt = startedAt
        self.exit = exit
    }
}

/// The streams of a process that someone watches: `exec` and `attach`.
package protocol ContainerStreams: Sendable {
    /// Output as it comes: channel 1 is stdout (or the terminal), 2 is stderr. Ends with the process or the container.
    var output: AsyncStream<(channel: UInt8, bytes: [UInt8])> { get }
    /// Suspends while the process does not read.
    func write(_ bytes: [UInt8]) async
    func closeInput() async
    func resize(columns: Int, rows: Int) async
    /// The exit code once the process ended; for `attach` that of the container.
    func exitCode() async -> Int
    /// Gives up: an exec'ed process is killed, an attached one goes on.
    func close() async
}

package struct ContainerUsage: Sendable, Hashable {
    package var processorNanoseconds: Int64 = 0
    package var memoryWorkingSetBytes: Int64 = 0
    package var memoryUsageBytes: Int64 = 0
    package var memoryResidentBytes: Int64 = 0
    package var logBytes: Int64 = 0
    package var rootBytes: Int64 = 0
    package init() {}
}

/// Problems whose `reason` is what a Pod's status says: ErrImagePull, ImagePullBackOff (the kubelet's), InvalidImageName,
/// ErrImageNeverPull, CreateContainerError, RunContainerError, FailedCreatePodSandBox, NetworkNotReady.
package struct PodRuntimeProblem: Problem, Equatable {
    package var reason: String
    package var message: String
    package var cause: String?
    package init(reason: String, message: String, cause: String? = nil) {
        self.reason = reason
        self.message = message
        self.cause = cause
    }
}

package protocol PodRuntime: Sendable {
    /// `nil` when a pod network is configured, else why not (`NetworkPluginNotReady`).
    func networkProblem() async -> String?
    /// What is here from an earlier life.
    func adopt() async throws(PodRuntimeProblem) -> [FoundSandbox]
    /// Makes network namespace, addresses and files. Addresses: the node's own for host-network pods.
    func startSandbox(_ plan: SandboxPlan) async throws(PodRuntimeProblem) -> [String]
    /// Kills what is left of the pod and removes every trace but its logs; done twice it does nothing.
    func removeSandbox(uid: String, namespace: String, name: String) async throws(PodRuntimeProblem)
    /// Creates and starts; answers with the container's id (64 hex digits).
    func startContainer(_ plan: PodContainerPlan) async throws(PodRuntimeProblem) -> String
    /// Does nothing to a container that has ended.
    func signal(podUID: String, container: String, _ signal: Int32) async
    /// Frees an ended container's root file system; `keepLog` leaves its log for `logs --previous`.
    func removeContainer(podUID: String, container: String, attempt: Int, keepLog: Bool) async
    /// Every end of a container, once, also of those that ended while no kubelet ran.
    var exits: AsyncStream<ContainerExit> { get }
    func image(_ reference: String) async -> PulledImage?
    func pull(_ reference: String, secrets: [JSON]) async throws(PodRuntimeProblem) -> PulledImage
    func images() async -> [(names: [String], sizeBytes: Int64)]
    func log(podUID: String, namespace: String, pod: String, container: String, attempt: Int, _ options: PodLogOptions)
        throws(PodRuntimeProblem) -> AsyncStream<[UInt8]>
    func exec(podUID: String, container: String, command: [String], terminal: Bool, stdin: Bool) async throws(PodRuntimeProblem)
        -> any ContainerStreams
    func attach(podUID: String, container: String, stdin: Bool) async throws(PodRuntimeProblem) -> any ContainerStreams
    /// A connected socket to a port inside the pod's network.
    func openPort(podUID: String, port: UInt16) async throws(PodRuntimeProblem) -> OwnedDescriptor
    /// `nil` where it does not run.
    func usage(podUID: String, container: String) async -> ContainerUsage?
    /// The text a container left at its terminationMessagePath.
    func terminationMessage(podUID: String, container: String, attempt: Int) async -> String
}
