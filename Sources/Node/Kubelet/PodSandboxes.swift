// Brings up and takes down pods on this machine: the order of steps across Containers and Network, and nothing of the API.
//
// A pod comes up as: group (once a Namespace: user ids, router) → disk, root, control group → network → crun. Every way
// down is the same, whatever exists: kill → cable → control groups → mounts → directory, so a half-made pod and one that
// an earlier process left are removed by the code that removes a whole one.
package import Containers
package import Essentials
package import Kernel
package import Network

package struct SandboxSettings: Sendable {
    package var state: String
    /// The image store, where it is not the state folder's own.
    package var images: String?
    /// At most this many pods are brought up at once; others wait their turn.
    package var threads: Int
    package var runtime: String?

    package init(state: String, images: String? = nil, threads: Int = 4, runtime: String? = nil) {
        self.state = state
        self.images = images
        self.threads = threads
        self.runtime = runtime
    }
}

package actor PodSandboxes {
    package nonisolated let paths: StatePaths
    package nonisolated let controlGroups: ControlGroups
    package nonisolated let runtime: ContainerRuntime
    nonisolated let groups: SandboxGroups
    nonisolated let networks: LabNetworks
    nonisolated let kernel: any Kernel
    nonisolated let threads: KernelThreads

    /// With less space than this on the host's disk no pod is brought up.
    package static let reservedDiskBytes: UInt64 = 256 << 20

    private enum GroupState {
        case changing([CheckedContinuation<Void, Never>])
        case ready(SandboxGroup)
    }
    private var states: [String: GroupState] = [:]
    var addresses: [String: [String: IPv4]] = [:]

    /// Prepares the machine: the mount namespace, control groups, what earlier processes left.
    package static func open(_ settings: SandboxSettings, kernel: any Kernel = LinuxKernel()) async throws -> PodSandboxes {
        LinuxKernel.prepareProcess()
        let paths = StatePaths(state: settings.state, images: settings.images)
        try kernel.makeDirectories(paths.state)
        try kernel.makeDirectory(paths.run, mode: 0o711)
        try kernel.makeDirectories(paths.images)
        try kernel.makeDirectories(paths.cache)
        let instanceFile = paths.state + "/instance"
        if !kernel.exists(instanceFile) { try kernel.write(instanceFile, text: Identifier.short(length: 4)) }
        let instance = try kernel.readText(instanceFile, limitBytes: 16)
        let threads = try KernelThreads(count: settings.threads, pin: paths.mountNamespace)
        return try await open(settings, kernel: kernel, threads: threads, instance: instance)
    }

    /// The same on threads that are there, for tests with a kernel that is not Linux.
    package static func open(_ settings: SandboxSettings, kernel: any Kernel, threads: KernelThreads, instance: String) async throws
        -> PodSandboxes
    {
        let paths = StatePaths(state: settings.state, images: settings.images)
        let program = try settings.runtime ?? ContainerRuntime.findProgram(kernel: kernel)
        let controlGroups = try ControlGroups(instance: instance, kernel: kernel)
        let groups = SandboxGroups(paths: paths, kernel: kernel, controlGroups: controlGroups)
        try await threads.run { () throws in
            try controlGroups.prepare()
            try groups.adopt()
        }
        let runtime = ContainerRuntime(
            paths: paths, kernel: kernel, controlGroups: controlGroups, program: program, openFilesLimit: LinuxKernel.openFilesLimit)
        return PodSandboxes(
            paths: paths, controlGroups: controlGroups, runtime: runtime, groups: groups,
            networks: LabNetworks(kernel: kernel, instance: instance),
            kernel: kernel, threads: threads)
    }

    init(
        paths: StatePaths, controlGroups: ControlGroups, runtime: ContainerRuntime, groups: SandboxGroups, networks: LabNetworks,
        kernel: any Kernel, threads: KernelThreads
    ) {
        self.paths = paths
        self.controlGroups = controlGroups
        self.runtime = runtime
        self.groups = groups
        self.networks = networks
        self.kernel = kernel
        self.threads = threads
    }

    /// Brings a pod up and returns the process id of its container. What fails is undone.
    package func create(_ plan: ContainerPlan, address wanted: String?, egress: Egress, record: JSON) async throws -> Int32 {
        // Disks of nodes are promises; none is given that the machine can no longer keep even a little of.
        if let usage = try? kernel.usage(ofFileSystem: paths.state), usage.freeBytes < Self.reservedDiskBytes {
            throw KernelProblem(call: "create", subject: plan.pod, code: Errno.noSpace)
        }
        let group = try await group(for: plan.namespace, egress: egress)
        let address = try reserve(wanted, namespace: plan.namespace, pod: plan.pod)
        do {
            return try await threads.run { [self] () throws in
                let pod = paths.pod(plan.namespace, plan.pod)
                try kernel.makeDirectory(pod.directory, mode: 0o711)
                var record = record
                record["address"] = .string(address.description)
                record["container"] = .string(plan.container)
                try kernel.write(pod.record, record.bytes, mode: 0o600, owner: nil)
                try runtime.prepare(plan, group: group)
                try networks.attach(
                    pin: pod.network, router: paths.router(plan.namespace), userNamespace: paths.userNamespace(plan.namespace),
                    firstGroup: group.first, address: address)
                return try runtime.start(plan, group: group)
            }
        } catch {
            try? await remove(namespace: plan.namespace, pod: plan.pod)
            throw error
        }
    }

    /// Starts the container of a pod that is up again, after its process ended.
    package func restart(_ plan: ContainerPlan) async throws -> Int32 {
        guard let group = groups.existing(plan.namespace) else {
            throw KernelProblem(call: "restart", subject: plan.pod, code: Errno.noEntry)
        }
        return try await threads.run { [self] () throws in
            // What a server that was killed had just started must not run beside what is started now.
            for process in controlGroups.processes(plan.namespace, runtime.groupName(plan)) { try kernel.kill(process, andWaitSeconds: 5) }
            return try runtime.start(plan, group: group)
        }
    }

    /// Kills a pod and removes all of it. Fine when there is none.
    package func remove(namespace: String, pod: String) async throws {
        let record = self.record(namespace: namespace, pod: pod)
        let address = addresses[namespace]?[pod] ?? record?["address"]?.string.flatMap { IPv4($0) }
        // The record may be half-written; what runs is told by the control groups.
        let containers = Set(controlGroups.containers(namespace, pod: pod) + [record?["container"]?.string].compactMap { $0 })
        try await threads.run { [self] () throws in
            if let address { try networks.detach(router: paths.router(namespace), address: address) }
            for container in containers {
                if let process = runtime.runningProcess(namespace, pod, container: container) {
                    try kernel.kill(process, andWaitSeconds: 10)
                }
            }
            try Self.untilGone(pod) { () throws(ContainersProblem) in try runtime.remove(namespace, pod, containers: containers.sorted()) }
        }
        addresses[namespace]?[pod] = nil
    }

    /// Removes what a Namespace has here beyond its pods, and any pod left in it.
    package func removeGroup(_ namespace: String) async throws {
        while case .changing(var waiters)? = states[namespace] {
            await withCheckedContinuation { continuation in
                waiters.append(continuation)
                states[namespace] = .changing(waiters)
            }
        }
        states[namespace] = .changing([])
        defer { wake(namespace, next: nil) }
        let slot = groups.existing(namespace)?.slot
        try await threads.run { [self] () throws in
            try killAll(in: namespace)
            for pod in try kernel.list(paths.group(namespace)) { runtime.collectEnded(in: paths.pod(namespace, pod)) }
            if let slot { try networks.destroyRouter(slot: slot) }
            try Self.untilGone(namespace) { () throws(ContainersProblem) in try groups.destroy(namespace) }
        }
        addresses[namespace] = nil
    }

    /// Pods found on this machine, by namespace: what earlier processes left.
    package func leftovers() async throws -> [String: [String]] {
        try await threads.run { [self] () throws in
            var found: [String: [String]] = [:]
            for namespace in try groups.namespaces() {
                found[namespace] = try kernel.list(paths.group(namespace)).filter { !$0.hasPrefix(".") }
            }
            return found
        }
    }

    /// Takes over a pod that an earlier process started. Returns its record and, where it still runs, its process.
    package func adopt(namespace: String, pod: String) async throws -> (record: JSON, process: Int32?)? {
        guard let group = groups.existing(namespace), let record = record(namespace: namespace, pod: pod),
            let container = record["container"]?.string
        else { return nil }
        // After a restart of the machine the files are there but nothing is mounted on them.
        let mounted = Set(try await threads.run { [self] () throws in try kernel.mounts(below: paths.group(namespace)) })
        let place = paths.pod(namespace, pod)
        let whole = [paths.userNamespace(namespace), paths.router(namespace), place.network, place.disk, place.root].allSatisfy(
            mounted.contains)
        guard whole else { return nil }
        if states[namespace] == nil { states[namespace] = .ready(group) }
        if let address = record["address"]?.string.flatMap({ IPv4($0) }) { addresses[namespace, default: [:]][pod] = address }
        let process = await threads.run { [self] in runtime.runningProcess(namespace, pod, container: container) }
        return (record, process)
    }

    package nonisolated func record(namespace: String, pod: String) -> JSON? {
        guard let text = try? kernel.readText(paths.pod(namespace, pod).record) else { return nil }
        return try? JSON(parsing: text)
    }

    package func address(namespace: String, pod: String) -> IPv4? { addresses[namespace]?[pod] }

    private func group(for namespace: String, egress: Egress) async throws -> SandboxGroup {
        while let state = states[namespace] {
            switch state {
            case .ready(let group): return group
            case .changing(var waiters):
                await withCheckedContinuation { continuation in
                    waiters.append(continuation)
                    states[namespace] = .changing(waiters)
                }
            }
        }
        states[namespace] = .changing([])
        do {
            let group = try await threads.run { [self] () throws in
                // An earlier process may have ended between the group and its first pod.
                if let left = groups.existing(namespace) {
                    let mounted = Set(try kernel.mounts(below: paths.group(namespace)))
                    if mounted.contains(paths.userNamespace(namespace)), mounted.contains(paths.router(namespace)) { return left }
                    for process in controlGroups.processes(namespace) { try kernel.kill(process, andWaitSeconds: 0) }
                    try networks.destroyRouter(slot: left.slot)
                    try Self.untilGone(namespace) { () throws(ContainersProblem) in try groups.destroy(namespace) }
                }
                let group = try groups.create(namespace)
                do { try networks.createRouter(pin: paths.router(namespace), slot: group.slot, egress: egress) } catch {
                    try? networks.destroyRouter(slot: group.slot)
                    _ = try? groups.destroy(namespace)
                    throw error
                }
                return group
            }
            wake(namespace, next: .ready(group))
            return group
        } catch {
            wake(namespace, next: nil)
            throw error
        }
    }

    // Signals all before it waits for any. Those that are children of this process are collected.
    private nonisolated func killAll(in namespace: String) throws {
        let processes = controlGroups.processes(namespace).compactMap { process in
            (try? kernel.processDescriptor(process)).map { (process, $0) }
        }
        for (process, _) in processes { try kernel.signal(process, 9) }
        for (process, descriptor) in processes {
            waitReadable(descriptor, milliseconds: 5000)
            _ = kernel.collect(process)
        }
    }

    private func wake(_ namespace: String, next: GroupState?) {
        let waiting: [CheckedContinuation<Void, Never>] = if case .changing(let waiters)? = states[namespace] { waiters } else { [] }
        states[namespace] = next
        for waiter in waiting { waiter.resume() }
    }

    private func reserve(_ wanted: String?, namespace: String, pod: String) throws(NetworkProblem) -> IPv4 {
        if let address = addresses[namespace]?[pod], wanted == nil || wanted == address.description { return address }
        let others = addresses[namespace, default: [:]].filter { $0.key != pod }.values
        let address = try LabAddresses.choose(wanted: wanted, taken: Set(others))
        addresses[namespace, default: [:]][pod] = address
        return address
    }

    // The last processes of a control group leave it a moment after they died.
    private static func untilGone(_ what: String, _ step: () throws(ContainersProblem) -> Bool) throws {
        for attempt in 0..<400 {
            if try step() { return }
            pauseThread(milliseconds: attempt < 20 ? 1 : 25)
        }
        throw KernelProblem(call: "remove", subject: what, code: Errno.busy)
    }
}

extension PodSandboxes {
    /// Ends the threads. `forGood` also gives up the mount namespace and the top control group, for a state directory
    /// that will not be used again; without it everything stays for the next process.
    package func close(forGood: Bool) async {
        if forGood {
            controlGroups.removeTop()
            networks.removeHostFilter()
            try? KernelThreads.release(pin: paths.mountNamespace)
        }
    }
}
