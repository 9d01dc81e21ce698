// What the live tests need: root, crun, and an image. A counter of everything a lab could leave behind.
//
// LECTERN_TEST_IMAGE names a root file system with a shell, iproute2, mount and python3; without it the node image of the
// usual state directory is taken, or /var/cache/lectern-tests/rootfs.
import Containers
import Essentials
import Glibc
import Kernel
import Kubelet
import Network
import Testing

enum Host {
    static let kernel = LinuxKernel()

    static var isCapable: Bool {
        geteuid() == 0 && image != nil && (try? ContainerRuntime.findProgram(kernel: kernel)) != nil
    }

    /// A root file system to run tests in.
    static let image: String? = {
        if let path = getenv("LECTERN_TEST_IMAGE").map({ String(cString: $0) }), kernel.exists(path + "/bin/sh") { return path }
        return ["/var/lib/lectern/images/lectern/node/rootfs", "/var/cache/lectern-tests/rootfs"].first { kernel.exists($0 + "/bin/sh") }
    }()

    /// A state directory of its own with the test image in it.
    static func makeState() throws -> String {
        let state = "/var/tmp/lectern-test-\(Identifier.short())"
        try kernel.makeDirectories(state + "/images/test/node")
        try kernel.makeDirectories(state)
        guard symlink(image!, state + "/images/test/node/rootfs") == 0 else {
            throw KernelProblem(call: "symlink", subject: state, code: errno)
        }
        return state
    }

    /// Everything on this machine that belongs to a state directory and would outlive its labs. Others may work here too.
    static func remains(of state: String, instance: String) throws -> [String] {
        var found: [String] = []
        for loop in try kernel.list("/sys/block") where loop.hasPrefix("loop") {
            let file = (try? kernel.readText("/sys/block/\(loop)/loop/backing_file")) ?? ""
            if file.hasPrefix(state) { found.append("loop \(loop) \(file)") }
        }
        let table = try kernel.readText("/proc/self/mountinfo", limitBytes: 1 << 24)
        for root in ControlGroupLayout(mountTable: table).roots where kernel.exists("\(root.path)/lectern-\(instance)") {
            found.append("control group \(root.path)/lectern-\(instance)")
        }
        found += table.split(separator: "\n").filter { $0.contains(state) }.map { "mount \($0)" }
        found += try kernel.list("/sys/class/net").filter { $0.hasPrefix("lt\(instance)") }.map { "link \($0)" }
        for process in try kernel.list("/proc") where Int(process) != nil {
            let groups = (try? kernel.readText("/proc/\(process)/cgroup")) ?? ""
            if groups.contains("lectern-\(instance)") { found.append("process \(process)") }
            let mounts = (try? kernel.readText("/proc/\(process)/mountinfo", limitBytes: 1 << 24)) ?? ""
            let status = (try? kernel.readText("/proc/\(process)/status")) ?? ""
            let isOurs =
                status.contains("PPid:\t\(getpid())\n") && (status.hasPrefix("Name:\tcrun\n") || groups.contains("lectern-\(instance)"))
            if isOurs, status.contains("State:\tZ") { found.append("uncollected child \(process)") }
            if mounts.contains(state + "/run") { found.append("mounts of process \(process)") }
        }
        if kernel.exists(state) { found.append(state) }
        return found
    }

    static func openDescriptors() throws -> Int { try kernel.list("/proc/self/fd").count }
}

/// Live tests run one after the other: each counts what it leaves behind.
@Suite(.serialized, .enabled(if: Host.isCapable, "needs root, crun and a test image")) struct SandboxLiveTests {}

/// A kernel, a state directory and sandboxes, gone after the test.
struct Bench {
    let state: String
    let sandboxes: PodSandboxes

    static func with(_ body: (Bench) async throws -> Void) async throws {
        let state = try Host.makeState()
        let bench = Bench(state: state, sandboxes: try await PodSandboxes.open(SandboxSettings(state: state)))
        do { try await body(bench) } catch {
            try await bench.close()
            throw error
        }
        try await bench.close()
    }

    func close() async throws {
        for namespace in try await sandboxes.leftovers().keys { try await sandboxes.removeGroup(namespace) }
        let instance = try Host.kernel.readText(state + "/instance")
        await sandboxes.close(forGood: true)
        // Other suites of this process count on their orphans going to PID 1.
        LinuxKernel.adoptsOrphans(false)
        try Host.kernel.removeTree(state)
        // The threads leave their mount namespace, and the kernel frees loop devices, a moment later.
        var remains: [String] = []
        for _ in 0..<100 {
            remains = try Host.remains(of: state, instance: instance)
            if remains.isEmpty { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(remains.isEmpty)
    }

    func plan(_ pod: String = "node1", namespace: String = "lab-a", _ script: String = "sleep infinity") -> ContainerPlan {
        var plan = ContainerPlan(namespace: namespace, pod: pod, container: "node", image: "test/node", hostname: pod, diskBytes: 256 << 20)
        plan.command = ["/bin/sh", "-c", script]
        plan.capabilities = ContainerPlan.nodeCapabilities
        plan.masksPaths = false
        plan.limits = ContainerLimits(memoryBytes: 256 << 20, milliCPU: 1000, processes: 256)
        plan.hosts = [("172.30.0.11", ["node1"]), ("172.30.0.12", ["node2"])]
        plan.nameServers = ["172.30.0.1"]
        plan.volumes = [VolumeMount(target: "/var/lib/containers", source: .disk(name: "containers"), readOnly: false)]
        return plan
    }

    /// A node as labs have it, where there is an agent; otherwise one that sleeps.
    func agentPlan(_ pod: String, namespace: String) -> ContainerPlan {
        var plan = plan(pod, namespace: namespace, "exec sleep infinity")
        guard let agent = Host.agentProgram else { return plan }
        plan.command = [agentMountPath, "--listen-fd", "3"]
        plan.agentProgram = agent
        plan.hasAgentSocket = true
        return plan
    }

    /// Runs a script as the pod's only process and returns what it printed, up to its end.
    func output(
        of script: String, pod: String = "node1", namespace: String = "lab-a", address: String? = nil,
        configure: (inout ContainerPlan) -> Void = { _ in }
    ) async throws -> String {
        var plan = plan(pod, namespace: namespace, script)
        configure(&plan)
        let process = try await sandboxes.create(plan, address: address, egress: .none, record: .emptyObject)
        let place = sandboxes.paths.pod(namespace, pod)
        let fifo = try Host.kernel.openFIFO(place.output, blocking: false)
        let errors = try Host.kernel.openFIFO(place.errors, blocking: false)
        let descriptor = try? Host.kernel.processDescriptor(process)
        var text: [UInt8] = []
        var rounds = 0
        while rounds < 600 {
            let ended = descriptor.map { waitReadableNow($0) } ?? true
            while let more = try Host.kernel.receive(from: fifo, limitBytes: 65536), !more.isEmpty { text += more }
            while let more = try Host.kernel.receive(from: errors, limitBytes: 65536), !more.isEmpty { text += more }
            if ended { break }
            rounds += 1
            try await Task.sleep(for: .milliseconds(50))
        }
        _ = Host.kernel.collect(process)
        try await sandboxes.remove(namespace: namespace, pod: pod)
        return String(decoding: text, as: UTF8.self)
    }
}

func waitReadableNow(_ descriptor: OwnedDescriptor) -> Bool {
    var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) > 0
}
