// Runs pods inside a lab's node: crun for containers, CNI plugins for the network, and no other program.
//
// The kubelet decides (NodeKubelet) and asks through `PodRuntime` (Pods); this room does. A pod is: control group,
// namespaces pinned on files, a network, a few files; a container is: overlay, control group, pipes that it holds open
// itself, crun. Everything is found again by what lies in RUN/pods and in the control groups (RuntimePaths.swift), so a
// kubelet may end at any moment: its containers run on, their output waits in their pipes, and how they ended is noted by
// this process while it lives and by the node's first process otherwise.
//
// Way down, also of half-made pods: kill → network → mounts → control groups → files.
package import ClusterModel
internal import Containers
package import Essentials
internal import Kernel
internal import Logging
package import Pods
internal import Synchronization

package final class NodePodRuntime: PodRuntime {
    let settings: PodRuntimeSettings
    let kernel = LinuxKernel()
    let clock: any WallClock
    let threads: KernelThreads
    let readiness: Readiness
    let groups: PodGroups
    package let catalogue: ImageCatalogue
    let program: String
    let openFilesLimit: UInt64
    let boundingCapabilities: UInt64
    let logger = Logger(label: "kubelet.runtime")
    let state = Mutex(State())
    package let exits: AsyncStream<ContainerExit>
    let exitInput: AsyncStream<ContainerExit>.Continuation

    struct State {
        var sandboxes: [String: SandboxRecord] = [:]
        /// Containers that run, by pod and name.
        var running: [String: [String: RunningContainer]] = [:]
        /// Pods that are being removed: nothing is started in them.
        var leaving: Set<String> = []
        /// Containers whose process is not known yet, but may have ended already.
        var starting = 0
    }

    /// Prepares the node: directories and control groups. Orphans of containers become this process' children.
    package init(_ settings: PodRuntimeSettings, clock: any WallClock = SystemClock()) async throws(PodRuntimeProblem) {
        LinuxKernel.prepareProcess()
        self.settings = settings
        self.clock = clock
        let kernel = kernel
        let fail: @Sendable (KernelProblem) -> PodRuntimeProblem = { PodRuntimeProblem("RuntimeFailed", "container runtime", $0) }
        do throws(KernelProblem) {
            threads = try KernelThreads(count: settings.threads, pin: settings.mountPin)
            readiness = try Readiness()
        } catch { throw fail(error) }
        guard let program = settings.runtime ?? ["/usr/bin/crun", "/usr/local/bin/crun"].first(where: { kernel.exists($0) }) else {
            throw PodRuntimeProblem(reason: "RuntimeFailed", message: "crun is not installed")
        }
        self.program = program
        openFilesLimit = min(LinuxKernel.openFilesLimit, 1 << 20)
        boundingCapabilities = kernel.boundingCapabilities
        catalogue = ImageCatalogue(settings: settings, kernel: kernel)
        (exits, exitInput) = AsyncStream.makeStream(bufferingPolicy: .unbounded)  // one for each container that ran
        do throws(KernelProblem) {
            groups = try await threads.run { () throws(KernelProblem) -> PodGroups in
                for directory in [
                    settings.pods, settings.storage + "/pods", settings.logs + "/pods", settings.logs + "/containers", settings.networks,
                ] {
                    try kernel.makeDirectories(directory)
                }
                // The node's first process holds the containers' pipes when this process ends.
                try kernel.write(settings.run + "/runtime.pid", text: "\(LinuxKernel.ownProcess)\n")
                let table = try kernel.readText("/proc/thread-self/mountinfo", limitBytes: 64 << 20)
                let layout = ControlGroupLayout(mountTable: table)
                let groups = PodGroups(top: settings.controlGroup, layout: layout, kernel: kernel)
                do throws(KernelProblem) {
                    try groups.prepare()
                    return groups
                } catch {
                    // A node whose control groups cannot be divided runs its pods without limits.
                    Logger(label: "kubelet.runtime").warning(
                        "Control groups cannot be divided; limits of pods are not kept.", metadata: ["cause": "\(error.description)"])
                    return PodGroups(top: settings.controlGroup, layout: ControlGroupLayout(mountTable: ""), kernel: kernel)
                }
            }
        } catch { throw fail(error) }
    }

    package func networkProblem() async -> String? {
        NetworkConfiguration.load(settings.networkConfiguration, kernel: kernel) == nil ? NetworkAttachment.notReady : nil
    }

    // MARK: Images

    package func image(_ reference: String) async -> PulledImage? { catalogue.present(reference) }
    package func pull(_ reference: String, secrets: [JSON]) async throws(PodRuntimeProblem) -> PulledImage {
        try catalogue.pull(reference)
    }
    package func images() async -> [(names: [String], sizeBytes: Int64)] { catalogue.list() }

    // MARK: What is asked about running containers

    func sandbox(_ uid: String) -> SandboxRecord? { state.withLock { $0.sandboxes[uid] } }
    func running(_ uid: String, _ name: String) -> RunningContainer? { state.withLock { $0.running[uid]?[name] } }

    package func signal(podUID: String, container: String, _ signal: Int32) async {
        guard let running = running(podUID, container) else { return }
        try? kernel.signal(running.handle, signal)
        // Where it shares process ids with others, its children do not end with it.
        if signal == 9, let group = running.group {
            await threads.run { [self] in for process in groups.processes(group) { try? kernel.signal(process, 9) } }
        }
    }

    package func usage(podUID: String, container: String) async -> ContainerUsage? {
        guard let running = running(podUID, container), let group = running.group, let figures = groups.usage(group) else { return nil }
        var usage = ContainerUsage()
        usage.processorNanoseconds = figures.processorNanoseconds
        usage.memoryUsageBytes = figures.memoryBytes
        usage.memoryWorkingSetBytes = max(0, figures.memoryBytes - figures.inactiveFileBytes)
        usage.memoryResidentBytes = figures.residentBytes
        usage.logBytes = kernel.facts(running.log.path)?.sizeBytes ?? 0
        return usage
    }

    private static let terminationLimitBytes = 4096

    package func terminationMessage(podUID: String, container: String, attempt: Int) async -> String {
        let path = settings.pod(podUID).container(container, attempt: attempt).termination
        return String(decoding: (try? kernel.read(path, limitBytes: Self.terminationLimitBytes)) ?? [], as: UTF8.self)
    }

    package func log(podUID: String, namespace: String, pod: String, container: String, attempt: Int, _ options: PodLogOptions)
        throws(PodRuntimeProblem) -> AsyncStream<[UInt8]>
    {
        let path = "\(settings.logDirectory(namespace: namespace, pod: pod, uid: podUID))/\(container)/\(attempt).log"
        let live = running(podUID, container).flatMap { $0.record.attempt == attempt ? $0.log : nil }
        guard live != nil || !PodLog.files(of: path, kernel: kernel).isEmpty else {
            throw PodRuntimeProblem(
                reason: "NotFound",
                message: "failed to try resolving symlinks in path \"\(path)\": lstat \(path): no such file or directory")
        }
        let reader = PodLogReader(path: path, live: live, kernel: kernel, options: options, now: clock.now())
        return AsyncStream { await reader.next() }
    }

    /// Lets go of everything without ending a container: what the kubelet does when it is told to end.
    package func close() {
        let running = state.withLock { state in state.running.values.flatMap { $0.values } }
        for container in running { container.release(readiness) }
        exitInput.finish()
    }

    /// Starts a program on one of the threads and suspends until it ended. Its streams are files, so nothing blocks.
    func run(_ command: Command) async throws(KernelProblem) -> ProcessExit {
        let process = try await threads.run { [kernel] () throws(KernelProblem) in try kernel.spawn(command) }
        return await readiness.exit(of: process, kernel: kernel) ?? .unknown
    }
}
