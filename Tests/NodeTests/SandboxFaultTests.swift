// Pods come up and go in a scripted kernel, and every step of theirs fails once.
import Containers
import Essentials
import Kernel
import Kubelet
import Network
import Testing

/// A machine in memory with control groups of one version, crun and mkfs.
private struct ScriptedMachine {
    let kernel: ScriptedKernel

    init(version: Int) throws {
        kernel = ScriptedKernel { kernel, command in
            guard command.arguments.contains("run"), let at = command.arguments.firstIndex(of: "--pid-file") else { return 0 }
            let process = kernel.startProcess(controlGroups: command.controlGroups)
            try? kernel.write(command.arguments[at + 1], text: String(process))
            return 0
        }
        try kernel.makeDirectories("/proc/self")
        try kernel.makeDirectories("/usr/bin")
        try kernel.write("/usr/bin/crun", text: "")
        try kernel.makeDirectories("/state/images/test/node/rootfs")
        try kernel.makeDirectories("/state/run")
        let roots = version == 1 ? ["memory", "pids", "cpuset"].map { "/sys/fs/cgroup/" + $0 } : ["/sys/fs/cgroup"]
        for root in roots { try kernel.makeDirectories(root) }
        if version == 1 {
            for file in ["cpuset.cpus", "cpuset.mems", "cgroup.clone_children"] {
                try kernel.write("/sys/fs/cgroup/cpuset/" + file, text: "0")
            }
        }
        let lines = roots.map { root in
            version == 1
                ? "31 24 0:27 / \(root) rw - cgroup cgroup rw,\(root.split(separator: "/").last ?? "")"
                : "31 24 0:27 / \(root) rw - cgroup2 cgroup2 rw"
        }
        try kernel.write("/proc/self/mountinfo", text: lines.joined(separator: "\n"))
    }
}

@Suite struct SandboxFaultTests {
    private func plan(_ pod: String = "node1") -> ContainerPlan {
        var plan = ContainerPlan(namespace: "lab-a", pod: pod, container: "node", image: "test/node", hostname: pod, diskBytes: 1 << 30)
        plan.command = ["/bin/sh"]
        plan.limits = ContainerLimits(memoryBytes: 1 << 30, milliCPU: 500, processes: 100)
        plan.volumes = [VolumeMount(target: "/data", source: .disk(name: "data"), readOnly: false)]
        plan.masksPaths = false
        plan.hasAgentSocket = true
        return plan
    }

    private func sandboxes(_ kernel: any Kernel) async throws -> PodSandboxes {
        try await PodSandboxes.open(
            SandboxSettings(state: "/state", threads: 1), kernel: kernel, threads: try KernelThreads(count: 1, pin: nil), instance: "test")
    }

    @Test(arguments: [1, 2]) func aPodComesUpWithItsPartsAndLeavesNothing(version: Int) async throws {
        let machine = try ScriptedMachine(version: version)
        let sandboxes = try await sandboxes(machine.kernel)
        let before = machine.kernel.world
        let process = try await sandboxes.create(plan(), address: "172.30.0.11", egress: .none, record: ["uid": "1"])
        let world = machine.kernel.world
        let place = sandboxes.paths.pod("lab-a", "node1")
        #expect(sandboxes.runtime.runningProcess("lab-a", "node1", container: "node") == process)
        #expect(
            world.mounts == [
                sandboxes.paths.userNamespace("lab-a"), sandboxes.paths.router("lab-a"), place.disk, place.root, place.network,
            ])
        #expect(world.links[sandboxes.paths.router("lab-a")] == ["lo", "br0", "n11"] && world.links[place.network] == ["lo", "eth0"])
        // No cable to the host.
        #expect(world.links[""] == nil)
        #expect(machine.kernel.commands.map { $0[0] } == ["mkfs.ext4", "crun"])
        try await sandboxes.remove(namespace: "lab-a", pod: "node1")
        try await sandboxes.removeGroup("lab-a")
        let after = machine.kernel.world
        #expect(after.mounts.isEmpty && after.loops.isEmpty && after.processes.isEmpty)
        #expect(after.links.values.allSatisfy { $0.isEmpty })
        // The template of the disk stays for the next lab.
        #expect(after.directories.subtracting(before.directories) == ["/state/cache"])
    }

    @Test func limitsAreWrittenBeforeTheProcessIsStarted() async throws {
        let machine = try ScriptedMachine(version: 1)
        let sandboxes = try await sandboxes(machine.kernel)
        _ = try await sandboxes.create(plan(), address: nil, egress: .none, record: ["uid": "1"])
        let group = "/lectern-test/lab-a/node1.node/"
        #expect(try machine.kernel.readText("/sys/fs/cgroup/memory" + group + "memory.limit_in_bytes") == String(1 << 30))
        #expect(try machine.kernel.readText("/sys/fs/cgroup/pids" + group + "pids.max") == "100")
        #expect(machine.kernel.world.processes.values.first?.count == 3)
    }

    @Test(arguments: [1, 2]) func everyStepThatFailsUndoesTheEarlierOnes(version: Int) async throws {
        var number = 1
        while true {
            let machine = try ScriptedMachine(version: version)
            let faulty = FaultyKernel(machine.kernel)
            let sandboxes = try await sandboxes(faulty)
            let before = machine.kernel.world.mounts
            faulty.arm(.once(call: number, code: Errno.inputOutput))
            let process = try? await sandboxes.create(plan(), address: nil, egress: .none, record: ["uid": "1"])
            let refused = faulty.refused
            if refused.isEmpty { break }
            faulty.arm(.none)
            if process == nil {
                #expect(!machine.kernel.exists(sandboxes.paths.pod("lab-a", "node1").directory), "after \(refused)")
                #expect(machine.kernel.world.processes.isEmpty, "after \(refused)")
            }
            try await sandboxes.remove(namespace: "lab-a", pod: "node1")
            try await sandboxes.removeGroup("lab-a")
            #expect(machine.kernel.world.mounts == before, "after \(refused)")
            #expect(try machine.kernel.list("/state/run") == [], "after \(refused)")
            #expect(machine.kernel.world.directories.filter { $0.contains("lectern-test/") }.isEmpty, "after \(refused)")
            number += 1
        }
        #expect(number > 50)
    }

    @Test func aServerThatDiesAtAnyStepLeavesWhatTheNextOneRemoves() async throws {
        var number = 1
        while true {
            let machine = try ScriptedMachine(version: 1)
            let faulty = FaultyKernel(machine.kernel)
            let dying = try await sandboxes(faulty)
            faulty.arm(.death(call: number))
            _ = try? await dying.create(plan(), address: nil, egress: .none, record: ["uid": "1"])
            let refused = faulty.refused
            if refused.isEmpty { break }
            let next = try await sandboxes(machine.kernel)
            for (namespace, pods) in try await next.leftovers() {
                for pod in pods { try await next.remove(namespace: namespace, pod: pod) }
                try await next.removeGroup(namespace)
            }
            #expect(try machine.kernel.list("/state/run") == [] && machine.kernel.world.mounts.isEmpty, "after \(refused)")
            #expect(machine.kernel.world.processes.isEmpty, "after \(refused)")
            number += 1
        }
        #expect(number > 50)
    }

    @Test func aPodWhoseRecordIsLostIsRemovedAllTheSame() async throws {
        let machine = try ScriptedMachine(version: 1)
        let sandboxes = try await sandboxes(machine.kernel)
        _ = try await sandboxes.create(plan("node1"), address: nil, egress: .none, record: ["uid": "1"])
        let other = try await sandboxes.create(plan("node1.b"), address: nil, egress: .none, record: ["uid": "2"])
        try machine.kernel.write(sandboxes.paths.pod("lab-a", "node1").record, text: "{")
        try await sandboxes.remove(namespace: "lab-a", pod: "node1")
        #expect(machine.kernel.world.processes.keys.sorted() == [other])
        #expect(!machine.kernel.exists("/sys/fs/cgroup/pids/lectern-test/lab-a/node1.node"))
        #expect(machine.kernel.exists("/sys/fs/cgroup/pids/lectern-test/lab-a/node1.b.node"))
    }

    @Test func twoLabsNeverShareUserIds() async throws {
        let machine = try ScriptedMachine(version: 1)
        let controlGroups = try ControlGroups(instance: "test", kernel: machine.kernel)
        try controlGroups.prepare()
        let groups = SandboxGroups(paths: StatePaths(state: "/state"), kernel: machine.kernel, controlGroups: controlGroups)
        let first = try groups.create("lab-a")
        let second = try groups.create("lab-b")
        #expect(first.first + SandboxGroup.count <= second.first)
        #expect(try groups.destroy("lab-a"))
        #expect(try groups.create("lab-c").slot == first.slot)
        // The next server reads the slots back.
        let successor = SandboxGroups(paths: StatePaths(state: "/state"), kernel: machine.kernel, controlGroups: controlGroups)
        try successor.adopt()
        #expect(successor.existing("lab-b") == second)
        #expect(try successor.create("lab-d").slot != second.slot)
    }

    @Test func theMachineIsNotPromisedAway() async throws {
        let machine = try ScriptedMachine(version: 1)
        machine.kernel.change { $0.freeDiskBytes = 1 << 20 }
        let sandboxes = try await sandboxes(machine.kernel)
        await #expect(throws: KernelProblem.self) { try await sandboxes.create(plan(), address: nil, egress: .none, record: .emptyObject) }
        #expect(try machine.kernel.list("/state/run") == [])
    }
}
