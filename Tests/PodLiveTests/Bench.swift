// A container runtime with a state directory, a mount namespace and control groups of its own, gone after the test.
//
// LECTERN_TEST_TINY names a root file system with busybox (else the image `lectern/tiny` of the usual state directory),
// LECTERN_TEST_STATE a directory that is on no overlay (else /var/tmp).
import ClusterModel
import Containers
import Essentials
import Glibc
import Kernel
import PodRuntime
import Pods
import Testing

enum Host {
    static let kernel = LinuxKernel()

    static let image: String? = {
        if let path = getenv("LECTERN_TEST_TINY").map({ String(cString: $0) }) { return path }
        let path = "/var/lib/lectern/images/lectern/tiny/rootfs"
        return kernel.exists(path + "/bin/busybox") ? path : nil
    }()

    static var isCapable: Bool {
        geteuid() == 0 && image != nil && ["/usr/bin/crun", "/usr/local/bin/crun"].contains { kernel.exists($0) }
    }
}

/// Live tests run one after the other: each counts what it leaves behind.
@Suite(.serialized, .enabled(if: Host.isCapable, "needs root, crun and the tiny image")) struct PodLiveTests {}

struct Bench: Sendable {
    let state: String
    let settings: PodRuntimeSettings
    let threads: KernelThreads
    let runtime: NodePodRuntime

    /// A plugin that gives addresses without links, as a shell script of the node's own.
    private static let plugin = """
        #!/bin/sh
        cat > /dev/null
        echo "$CNI_COMMAND $CNI_NETNS $CNI_ARGS" >> "$(dirname "$0")/calls"
        [ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.99.0.7/24"}]}'
        exit 0
        """

    static func with(_ body: (Bench) async throws -> Void) async throws {
        let name = "lectern-pods-\(Identifier.short())"
        let state = (getenv("LECTERN_TEST_STATE").map { String(cString: $0) } ?? "/var/tmp") + "/" + name
        let kernel = Host.kernel
        for folder in ["run", "storage", "logs", "netns", "net.d", "bin", "images/docker.io/library/tiny/latest"] {
            try kernel.makeDirectories("\(state)/\(folder)")
        }
        try kernel.link(state + "/images/docker.io/library/tiny/latest/rootfs", to: Host.image!)
        let digest = "sha256:" + String(repeating: "ab", count: 32)
        let configuration: JSON = [
            "config": ["Env": ["PATH=/bin:/sbin", "COLOUR=blue"], "Cmd": ["/bin/sh"]],
            "lectern": ["digest": .string(digest), "sizeBytes": 1234],
        ]
        try kernel.write(state + "/images/docker.io/library/tiny/latest/config.json", configuration.bytes, mode: 0o644, owner: nil)
        try kernel.write(state + "/bin/still", text: plugin, mode: 0o755)
        try kernel.write(
            state + "/net.d/10-still.conflist", text: #"{"cniVersion":"1.0.0","name":"still","plugins":[{"type":"still"}]}"#)
        // crun refuses a machine with both versions of control groups; in a node there is one.
        let table = try kernel.readText("/proc/self/mountinfo", limitBytes: 64 << 20)
        let pin = ControlGroupLayout(mountTable: table).spare == nil ? nil : state + "/mnt"
        let threads = try pinned(pin)
        try await threads.run { () throws in
            let layout = ControlGroupLayout(mountTable: try kernel.readText("/proc/thread-self/mountinfo", limitBytes: 64 << 20))
            if let spare = layout.spare, kernel.exists(spare + "/cgroup.procs") {
                try kernel.mount("tmpfs", at: spare, type: "tmpfs", options: .readOnly, data: "size=4k,mode=755")
            }
        }
        var settings = PodRuntimeSettings(storage: state + "/storage")
        settings.run = state + "/run"
        settings.images = state + "/images"
        settings.logs = state + "/logs"
        settings.networks = state + "/netns"
        settings.networkConfiguration = state + "/net.d"
        settings.networkPrograms = [state + "/bin"]
        settings.podman = state + "/podman"
        settings.controlGroup = name
        settings.mountPin = pin
        settings.nodeAddresses = ["192.0.2.1"]
        let bench = Bench(state: state, settings: settings, threads: threads, runtime: try await NodePodRuntime(settings))
        do { try await body(bench) } catch {
            try await bench.close()
            throw error
        }
        try await bench.close()
    }

    // Some kernels number namespaces by processor, and refuse to bind one with a smaller number than the caller's own.
    private static func pinned(_ pin: String?) throws -> KernelThreads {
        for _ in 0..<50 { if let threads = try? KernelThreads(count: 1, pin: pin) { return threads } }
        return try KernelThreads(count: 1, pin: pin)
    }

    /// Removes all that is there, by the runtime's own ways, and looks for what is left.
    func close() async throws {
        let kernel = Host.kernel
        runtime.close()
        let last = try await NodePodRuntime(settings)
        for found in try await last.adopt() { try await last.removeSandbox(uid: found.uid, namespace: found.namespace, name: found.name) }
        last.close()
        LinuxKernel.adoptsOrphans(false)
        let state = state
        let layout = ControlGroupLayout(mountTable: try kernel.readText("/proc/self/mountinfo", limitBytes: 64 << 20))
        for root in layout.roots {
            for group in ["burstable", "besteffort", ""] { try? kernel.remove("\(root.path)/\(settings.controlGroup)/\(group)") }
        }
        let left = try await threads.run { () throws in try kernel.mounts(below: state) }
        #expect(left.isEmpty)
        #expect(layout.roots.filter { kernel.exists("\($0.path)/\(settings.controlGroup)") }.map(\.path).isEmpty)
        #expect(try kernel.list(state + "/netns").isEmpty && kernel.list(state + "/run/pods").isEmpty)
        #expect(try kernel.list(state + "/storage/pods").isEmpty)
        if let pin = settings.mountPin { try KernelThreads.release(pin: pin) }
        try kernel.removeTree(state)
        let own = String(decoding: try kernel.read("/proc/self/task/\(getpid())/children", limitBytes: 65536), as: UTF8.self)
        let dead = own.split(separator: " ").filter { child in
            ((try? kernel.readText("/proc/\(child)/stat", limitBytes: 512)) ?? "").contains(") Z ")
        }
        #expect(dead.isEmpty)
    }

    func sandbox(_ name: String = "web", configure: (inout SandboxPlan) -> Void = { _ in }) async throws -> SandboxPlan {
        var plan = SandboxPlan(namespace: "default", name: name, uid: Identifier.uuid(), hostname: name)
        plan.resolver = "nameserver 10.96.0.10\nsearch default.svc.cluster.local\n"
        configure(&plan)
        _ = try await runtime.startSandbox(plan)
        return plan
    }

    func container(
        _ sandbox: SandboxPlan, _ script: String, name: String = "main", attempt: Int = 0,
        configure: (inout PodContainerPlan) -> Void = { _ in }
    )
        async throws -> PodContainerPlan
    {
        var plan = PodContainerPlan(
            podUID: sandbox.uid, name: name, attempt: attempt, image: try await runtime.pull("tiny", secrets: []))
        plan.command = ["/bin/sh", "-c", script]
        configure(&plan)
        return plan
    }

    /// Runs a script to its end and answers with what it printed and how it ended.
    func output(
        of script: String, sandbox configure: (inout SandboxPlan) -> Void = { _ in },
        configure change: (inout PodContainerPlan) -> Void = { _ in }
    ) async throws -> (text: String, exit: ContainerExit) {
        let sandbox = try await sandbox(configure: configure)
        let plan = try await container(sandbox, script, configure: change)
        _ = try await runtime.startContainer(plan)
        let exit = try await end()
        let text = try await log(sandbox, plan)
        try await runtime.removeSandbox(uid: sandbox.uid, namespace: "default", name: sandbox.name)
        return (text, exit)
    }

    func end() async throws -> ContainerExit {
        for await exit in runtime.exits { return exit }
        throw KernelProblem(call: "exits", subject: "", code: Errno.timedOut)
    }

    func log(_ sandbox: SandboxPlan, _ plan: PodContainerPlan, _ options: PodLogOptions = PodLogOptions()) async throws -> String {
        var text: [UInt8] = []
        for await chunk in try runtime.log(
            podUID: sandbox.uid, namespace: "default", pod: sandbox.name, container: plan.name, attempt: plan.attempt, options)
        { text += chunk }
        return String(decoding: text, as: UTF8.self)
    }
}
