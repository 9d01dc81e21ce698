// Where the runtime keeps things in a node.
//
//     RUN/pods/UID/            sandbox.json, ns/{ipc,uts,pid} (pins), shm (mount), hosts, hostname, resolv.conf
//     RUN/pods/UID/NAME.N/     container.json, config.json, rootfs (mount), pid, exit.json, {out,err,in}.fifo, crun/,
//                              termination-log, console.sock
//     RUN/exits/PID            how processes ended that only the node's first process could collect
//     STORAGE/pods/UID/        sandbox.json, cni.json: what takes the pod out of the network again
//     STORAGE/pods/UID/NAME.N/ upper, work: the changes of the container's files, on a disk that is not an overlay
//     LOGS/pods/NS_POD_UID/NAME/N.log, LOGS/containers/…   as every Kubernetes node has them
//     NETWORKS/cni-UID         the pod's network namespace (pin)
//
// RUN is in memory and goes with the node, as its pods do.
internal import Essentials
internal import Kernel
internal import Pods

package struct PodRuntimeSettings: Sendable {
    package var run = "/run/lectern"
    package var storage: String
    package var images = "/usr/lib/lectern/images"
    /// What images of programs see of the host's own.
    package var programs = "/usr/lib/lectern"
    package var logs = "/var/log"
    package var networks = "/run/netns"
    package var networkConfiguration = "/etc/cni/net.d"
    package var networkPrograms = ["/opt/cni/bin", "/usr/lib/cni"]
    package var networkCache = "/var/lib/cni"
    package var filters = "/var/lib/kubelet/seccomp"
    package var podman = "/var/lib/containers/storage"
    package var controlGroup = "kubepods"
    /// crun, where it is not in the usual places.
    package var runtime: String?
    /// What pods in the node's own network have as theirs.
    package var nodeAddresses: [String] = []
    /// The mount namespace that containers are made from, where it is not this process' own (for tests).
    package var mountPin: String?
    package var threads = 4

    /// `storage`: a directory that is not on an overlay; without one, the first such of the places that nodes have.
    package init(storage: String? = nil) {
        let kernel = LinuxKernel()
        self.storage =
            storage ?? ["/var/lib/kubelet", "/var/lib/containers"].first { kernel.isDirectory($0) && !kernel.isOnOverlay($0) }
            .map { $0 + "/lectern" } ?? "/var/lib/containers/lectern"
    }

    var pods: String { run + "/pods" }
    func pod(_ uid: String) -> SandboxPlaces {
        SandboxPlaces(
            uid: uid, directory: "\(pods)/\(uid)", storage: "\(storage)/pods/\(uid)", network: "\(networks)/cni-\(uid)")
    }
    func logDirectory(namespace: String, pod: String, uid: String) -> String { "\(logs)/pods/\(namespace)_\(pod)_\(uid)" }
}

struct SandboxPlaces: Sendable, Hashable {
    let uid: String
    let directory: String
    let storage: String
    let network: String
    var record: String { directory + "/sandbox.json" }
    var namespaces: String { directory + "/ns" }
    var interprocess: String { namespaces + "/ipc" }
    var hostnamePin: String { namespaces + "/uts" }
    var processes: String { namespaces + "/pid" }
    var sharedMemory: String { directory + "/shm" }
    var hosts: String { directory + "/hosts" }
    var hostname: String { directory + "/hostname" }
    var resolver: String { directory + "/resolv.conf" }
    /// What the node must still know after it was started again: plugins may have noted things on its disk.
    var storedRecord: String { storage + "/sandbox.json" }
    var attachment: String { storage + "/cni.json" }
    func container(_ name: String, attempt: Int) -> ContainerPlaces {
        ContainerPlaces(directory: "\(directory)/\(name).\(attempt)", storage: "\(storage)/\(name).\(attempt)")
    }
}

struct ContainerPlaces: Sendable, Hashable {
    let directory: String
    let storage: String
    var record: String { directory + "/container.json" }
    var configuration: String { directory + "/config.json" }
    var root: String { directory + "/rootfs" }
    var processFile: String { directory + "/pid" }
    var exit: String { directory + "/exit.json" }
    var output: String { directory + "/out.fifo" }
    var errors: String { directory + "/err.fifo" }
    var input: String { directory + "/in.fifo" }
    var runtime: String { directory + "/crun" }
    var runtimeLog: String { directory + "/crun.log" }
    var console: String { directory + "/console.sock" }
    var termination: String { directory + "/termination-log" }
    var upper: String { storage + "/upper" }
    var work: String { storage + "/work" }
}

extension PodRuntimeProblem {
    /// A refusal of the kernel, told under the reason of the step that it belongs to.
    init(_ reason: String, _ what: String, _ problem: KernelProblem) {
        self.init(
            reason: reason, message: "\(what): \(problem.call) \(problem.subject): \(Errno.text(problem.code).lowercasedFirst)",
            cause: problem.cause)
    }
}

/// Runs `body` and tells the kernel's refusals under `reason`.
func telling<Result>(_ reason: String, _ what: String, _ body: () throws(KernelProblem) -> Result) throws(PodRuntimeProblem) -> Result {
    do throws(KernelProblem) { return try body() } catch { throw PodRuntimeProblem(reason, what, error) }
}

extension String {
    /// As Go's programs write error texts.
    var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
