// From Pods to plans, from plans to configurations, and what is refused.
import Containers
import Essentials
import Kernel
import Kubelet
import Network
import OrderedCollections
import Testing

@Suite struct PodPlanTests {
    static func pod(spec: JSON = [:], container: JSON = [:], annotations: JSON = [:]) -> JSON {
        var first: JSON = ["name": "node", "image": "lectern/node"]
        first = merge(first, container)
        return [
            "metadata": ["name": "node1", "namespace": "lab-a", "uid": "u-1", "annotations": annotations],
            "spec": merge(["containers": [first]], spec),
        ]
    }

    private static func merge(_ base: JSON, _ more: JSON) -> JSON {
        var base = base
        for (key, value) in more.object ?? [:] { base[key] = value }
        return base
    }

    @Test func aLabNodeIsUnderstood() throws {
        let pod = Self.pod(
            spec: [
                "hostname": "node1", "hostAliases": [["ip": "172.30.0.12", "hostnames": ["node2"]]],
                "volumes": [["name": "containers", "emptyDir": [:]]],
            ],
            container: [
                "command": ["/usr/lib/lectern/node-agent"],
                "securityContext": ["procMount": "Unmasked", "capabilities": ["add": ["SYS_ADMIN"]]],
                "resources": ["limits": ["cpu": "1500m", "memory": "1Gi", "ephemeral-storage": "2Gi", "lectern.dev/pids": "2048"]],
                "volumeMounts": [["name": "containers", "mountPath": "/var/lib/containers"]],
            ], annotations: ["lectern.dev/agent": "true", "lectern.dev/address": "172.30.0.11"])
        let plan = try PodPlan.make(pod, PlanSurroundings(agentProgram: "/opt/node-agent"))
        #expect(plan.limits == ContainerLimits(memoryBytes: 1 << 30, milliCPU: 1500, processes: 2048))
        #expect(plan.diskBytes == 2 << 30 && !plan.masksPaths && plan.hasAgentSocket && plan.agentProgram == "/opt/node-agent")
        #expect(plan.capabilities.contains("SYS_ADMIN") && plan.capabilities.contains("CHOWN"))
        #expect(plan.hosts.map(\.address) == ["172.30.0.11", "172.30.0.12"])
        #expect(plan.volumes == [VolumeMount(target: "/var/lib/containers", source: .disk(name: "containers"), readOnly: false)])
    }

    @Test(arguments: [
        Self.pod(spec: ["hostNetwork": true]), Self.pod(spec: ["hostPID": true]),
        Self.pod(spec: ["initContainers": [["name": "x", "image": "y"]]]),
        Self.pod(spec: ["containers": []]), Self.pod(container: ["name": "../x"]),
        Self.pod(container: ["resources": ["limits": ["memory": "lots"]]]),
        Self.pod(container: ["resources": ["limits": ["memory": "-1"]]]),
        Self.pod(
            spec: ["volumes": [["name": "a", "emptyDir": [:]]]], container: ["volumeMounts": [["name": "a", "mountPath": "/x/../../etc"]]]),
        Self.pod(
            spec: ["volumes": [["name": "../../a", "emptyDir": [:]]]],
            container: ["volumeMounts": [["name": "../../a", "mountPath": "/x"]]]),
        Self.pod(container: ["volumeMounts": [["name": "missing", "mountPath": "/x"]]]),
    ])
    func whatWouldLeaveTheLabOrIsWrongIsRefused(pod: JSON) {
        #expect(throws: KubeletProblem.self) { try PodPlan.make(pod, PlanSurroundings()) }
    }

    @Test func onlyAPolicyThatLetsEverythingOutOpensALab() {
        let closed: JSON = ["spec": ["policyTypes": ["Egress"], "egress": [["to": [["podSelector": [:]]]]]]]
        let open: JSON = ["spec": ["policyTypes": ["Egress"], "egress": [[:]]]]
        #expect(PodPlan.egress(policies: []) == .none)
        #expect(PodPlan.egress(policies: [closed]) == .none)
        #expect(PodPlan.egress(policies: [closed, open]) == .open)
    }
}

@Suite struct RuntimeSpecTests {
    private let image = Image(
        name: "x", root: "/x", environment: ["LANG=C.UTF-8"], entrypoint: ["/entry"], command: ["serve"], workingDirectory: "/srv", user: ""
    )

    private func configuration(_ change: (inout ContainerPlan) -> Void = { _ in }, limit: UInt64 = 20000) -> JSON {
        var plan = ContainerPlan(namespace: "lab-a", pod: "node1", container: "node", image: "x", hostname: "node1", diskBytes: 1 << 30)
        plan.capabilities = ["CHOWN"]
        change(&plan)
        return RuntimeSpec.configuration(
            plan, image: image,
            RuntimeSettings(
                root: "/r", userNamespace: "/u", networkNamespace: "/n", first: 0x7000_0000, count: 65536, openFilesLimit: limit,
                volumePaths: plan.volumes.map { _ in "/v" }, hasControlGroups: true))
    }

    @Test func everyNamespaceIsItsOwn() {
        let types = configuration()["linux"]?["namespaces"]?.array?.compactMap { $0["type"]?.string }
        #expect(Set(types ?? []) == ["pid", "ipc", "uts", "mount", "cgroup", "network", "user"])
    }

    @Test func everyMemoryFileSystemHasASize() {
        let mounts =
            configuration { plan in
                plan.volumes = [VolumeMount(target: "/m", source: .memory(limitBytes: 4096), readOnly: false)]
            }["mounts"]?.array ?? []
        for mount in mounts where mount["type"] == "tmpfs" {
            #expect(mount["options"]?.array?.contains { $0.string?.hasPrefix("size=") == true } == true)
        }
    }

    @Test func pathsAreMaskedUnlessTheNodeIsAMachine() {
        #expect(configuration()["linux"]?["maskedPaths"] != nil)
        let machine = configuration { $0.masksPaths = false }
        #expect(machine["linux"]?["maskedPaths"] == nil)
        #expect(machine["mounts"]?.array?.contains { $0["destination"] == "/.sysfs" } == true)
    }

    @Test func theOpenFilesLimitIsNeverAboveTheServersOwn() {
        #expect(configuration(limit: 4096)["process"]?["rlimits"]?[0]?["hard"] == 4096)
        #expect(configuration(limit: .max)["process"]?["rlimits"]?[0]?["hard"] == JSON(1 << 20))
    }

    @Test func commandAndArgumentsReplaceTheImagesAsKubernetesSays() {
        func arguments(_ command: [String], _ arguments: [String]) -> JSON? {
            configuration { plan in
                plan.command = command
                plan.arguments = arguments
            }["process"]?["args"]
        }
        #expect(arguments([], []) == ["/entry", "serve"])
        #expect(arguments([], ["a"]) == ["/entry", "a"])
        #expect(arguments(["c"], []) == ["c"])
        #expect(arguments(["c"], ["a"]) == ["c", "a"])
    }

    @Test func deniedSystemCallsAreMissingOrForbidden() {
        let rules = configuration()["linux"]?["seccomp"]?["syscalls"]?.array ?? []
        func answer(_ name: String) -> Int64? {
            rules.first { $0["args"] == nil && $0["names"]?.array?.contains(.string(name)) == true }?["errnoRet"]?.integer
        }
        for name in ["keyctl", "add_key", "request_key", "io_uring_setup", "userfaultfd"] { #expect(answer(name) == 38) }
        for name in ["bpf", "perf_event_open", "kexec_load", "init_module", "clock_settime", "open_by_handle_at"] {
            #expect(answer(name) == 1)
        }
        #expect(rules.contains { $0["names"] == ["socket"] && $0["args"]?[0]?["value"] == 40 })
    }
}

@Suite struct ControlGroupTests {
    @Test func bothVersionsAndTheMixtureAreRecognized() {
        let first =
            "31 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
        let second = "33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
        let mixed = ControlGroupLayout(mountTable: first + "\n" + second)
        #expect(mixed.version == .one && mixed.roots.map(\.path) == ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"])
        #expect(mixed.spare == "/sys/fs/cgroup/unified")
        let unified = ControlGroupLayout(mountTable: "33 24 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw")
        #expect(unified.version == .two && unified.roots.map(\.path) == ["/sys/fs/cgroup"])
        #expect(ControlGroupLayout(mountTable: "25 30 0:23 / /sys rw - sysfs sysfs rw").version == .none)
    }
}

@Suite struct ImageStoreTests {
    @Test(arguments: ["../x", "/etc", "a/../../b", "a//b", "", ".hidden", "a/b/c/d", "rootfs", "a\nb"])
    func aNameCannotLeadOutOfTheStore(name: String) throws {
        let kernel = ScriptedKernel()
        let store = ImageStore(paths: StatePaths(state: "/state"), kernel: kernel)
        #expect(throws: ContainersProblem.imageMissing(name)) { try store.image(named: name) }
    }

    @Test func anImageBringsItsSettings() throws {
        let kernel = ScriptedKernel()
        try kernel.makeDirectories("/state/images/lectern/node/rootfs")
        try kernel.write(
            "/state/images/lectern/node/config.json", text: #"{"config":{"Env":["A=1"],"Cmd":["/bin/sh"],"WorkingDir":"/root"}}"#)
        let store = ImageStore(paths: StatePaths(state: "/state"), kernel: kernel)
        let image = try store.image(named: "lectern/node:latest")
        #expect(image.environment == ["A=1"] && image.command == ["/bin/sh"] && image.workingDirectory == "/root")
        #expect(try store.names() == ["lectern/node"])
        try kernel.write("/state/images/lectern/node/config.json", text: "{")
        #expect(throws: ContainersProblem.self) { try store.image(named: "lectern/node") }
    }
}

@Suite struct AddressChoiceTests {
    @Test func anAddressIsTheWantedOneOrTheFirstFree() throws {
        let taken: Set<IPv4> = [IPv4("172.30.0.11")!, IPv4("172.30.0.12")!]
        #expect(try LabAddresses.choose(wanted: nil, taken: taken).description == "172.30.0.13")
        #expect(try LabAddresses.choose(wanted: "172.30.0.20", taken: taken).description == "172.30.0.20")
        for wanted in ["172.30.0.11", "172.30.0.1", "172.30.0.255", "10.0.0.1", "no"] {
            #expect(throws: NetworkProblem.addressTaken(wanted)) { try LabAddresses.choose(wanted: wanted, taken: taken) }
        }
    }
}
