// How containers begin, end and are found again.
import ClusterModel
import Essentials
import Glibc
import Kernel
import PodRuntime
import Pods
import Testing

extension PodLiveTests {
    @Suite struct LifeTests {
        @Test func programsThatAreNotThereAreSaid() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                for (program, words) in [
                    ("nothing-here", "exec: \"nothing-here\": executable file not found in $PATH: unknown"),
                    ("/nothing/here", "exec: \"/nothing/here\": stat /nothing/here: no such file or directory: unknown"),
                    ("/etc/passwd", "exec: \"/etc/passwd\": permission denied: unknown"),
                ] {
                    var plan = try await bench.container(sandbox, "")
                    plan.command = [program]
                    let problem = await #expect(throws: PodRuntimeProblem.self) { try await bench.runtime.startContainer(plan) }
                    #expect(problem?.reason == "RunContainerError")
                    #expect(
                        problem?.message
                            == "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
                            + "unable to start container process: " + words)
                }
            }
        }

        @Test func imagesThatAreNotThereAreSaid() async throws {
            try await Bench.with { bench in
                #expect(await bench.runtime.image("tiny") == nil)
                let image = try await bench.runtime.pull("docker.io/library/tiny:latest", secrets: [])
                #expect(image.id == "docker.io/library/tiny@sha256:" + String(repeating: "ab", count: 32))
                #expect(await bench.runtime.image("tiny")?.id == image.id)
                let missing = await #expect(throws: PodRuntimeProblem.self) { try await bench.runtime.pull("nosuch:1", secrets: []) }
                #expect(missing?.reason == "ErrImagePull")
                #expect(missing?.message.contains("failed to resolve reference \"docker.io/library/nosuch:1\"") == true)
                let invalid = await #expect(throws: PodRuntimeProblem.self) { try await bench.runtime.pull("UPPER", secrets: []) }
                #expect(invalid?.reason == "InvalidImageName")
            }
        }

        @Test func aContainerThatEatsItsMemoryIsSaidTo() async throws {
            try await Bench.with { bench in
                let (_, exit) = try await bench.output(of: "tail /dev/zero") {
                    $0.qosClass = "Burstable"
                } configure: {
                    $0.resources = ["limits": ["memory": "16Mi", "cpu": "500m"]]
                }
                #expect(exit.isOutOfMemory && exit.exitCode == 137)
                let (text, _) = try await bench.output(
                    of:
                        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares || "
                        + "cat /sys/fs/cgroup/memory.max"
                ) {
                    $0.qosClass = "Guaranteed"
                } configure: {
                    $0.resources = ["limits": ["memory": "16Mi", "cpu": "500m"]]
                }
                #expect(text == "16777216\n50000\n512\n" || text == "16777216\n")
            }
        }

        @Test func signalsAndMessagesOfTheEnd() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                let plan = try await bench.container(
                    sandbox, "trap 'echo because > /dev/termination-log; exit 0' TERM; echo up; while :; do sleep 0.05; done")
                let id = try await bench.runtime.startContainer(plan)
                #expect(id.count == 64)
                var options = PodLogOptions()
                options.follow = true
                var text = ""
                for await chunk in try bench.runtime.log(
                    podUID: sandbox.uid, namespace: "default", pod: "web", container: "main", attempt: 0, options)
                {
                    text += String(decoding: chunk, as: UTF8.self)
                    if text == "up\n" {
                        #expect(await bench.runtime.usage(podUID: sandbox.uid, container: "main").map { $0.memoryUsageBytes > 0 } == true)
                        await bench.runtime.signal(podUID: sandbox.uid, container: "main", 15)
                    }
                }
                #expect(text == "up\n")
                #expect(try await bench.end().exitCode == 0)
                #expect(await bench.runtime.terminationMessage(podUID: sandbox.uid, container: "main", attempt: 0) == "because\n")
                let link = "\(bench.settings.logs)/containers/web_default_main-\(id).log"
                #expect(Host.kernel.exists(link))
                await bench.runtime.removeContainer(podUID: sandbox.uid, container: "main", attempt: 0, keepLog: true)
                #expect(try await bench.log(sandbox, plan) == "up\n")
                let again = try await bench.container(sandbox, "echo again", attempt: 1)
                _ = try await bench.runtime.startContainer(again)
                #expect(try await bench.end().attempt == 1)
                #expect(try await bench.log(sandbox, again) == "again\n")
            }
        }

        @Test func whatRunsIsFoundAgain() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox { $0.sharesProcesses = true }
                let stays = try await bench.container(
                    sandbox, "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done", name: "stays")
                let ends = try await bench.container(sandbox, "exit 9", name: "ends")
                _ = try await bench.runtime.startContainer(stays)
                _ = try await bench.runtime.startContainer(ends)
                _ = try await bench.end()
                bench.runtime.close()
                usleep(100_000)
                let next = try await NodePodRuntime(bench.settings)
                let found = try await next.adopt()
                #expect(found.count == 1 && found[0].uid == sandbox.uid && found[0].addresses == ["10.99.0.7"])
                #expect(found[0].containers.first { $0.name == "ends" }?.exit?.exitCode == 9)
                #expect(found[0].containers.first { $0.name == "stays" }?.exit == nil)
                await next.signal(podUID: sandbox.uid, container: "stays", 9)
                var exit: ContainerExit?
                for await one in next.exits {
                    exit = one
                    break
                }
                #expect(exit?.exitCode == 137 && exit?.container == "stays")
                let lines = try await bench.log(sandbox, stays).split(separator: "\n").map { Int($0) }
                #expect(lines.count > 4 && lines == Array(0..<lines.count), "no line is lost or doubled")
                next.close()
            }
        }

        @Test func processesAreSharedWhereThePodSaysSo() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox { $0.sharesProcesses = true }
                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec sleep 1234", name: "first"))
                let second = try await bench.container(sandbox, "ps; kill $(pidof sleep | cut -d' ' -f1)", name: "second")
                _ = try await bench.runtime.startContainer(second)
                _ = try await bench.end()
                let text = try await bench.log(sandbox, second)
                #expect(text.contains("sleep 1234") && text.contains("/pause"), "\(text)")
            }
        }

        @Test func aContainerForLookingIntoAnotherSeesItsProcesses() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec sleep 4321", name: "main"))
                let look = try await bench.container(sandbox, "ps; ls /proc/1/root/bin/sh", name: "debugger") {
                    $0.targetContainer = "main"
                }
                _ = try await bench.runtime.startContainer(look)
                _ = try await bench.end()
                let text = try await bench.log(sandbox, look)
                #expect(text.contains("1 root     sleep 4321") && text.contains("/proc/1/root/bin/sh"), "\(text)")
            }
        }

        @Test func podsOfANodeThatWasStartedAgainAreTakenOutOfTheNetwork() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec sleep 1000"))
                await bench.runtime.signal(podUID: sandbox.uid, container: "main", 9)
                _ = try await bench.end()
                bench.runtime.close()
                // What lies in memory goes with a node, and its mounts.
                let state = bench.state
                try await bench.threads.run { () throws in
                    for place in ["/run/pods", "/netns"] {
                        for point in try Host.kernel.mounts(below: state + place).reversed() { try Host.kernel.unmount(point) }
                        try Host.kernel.removeTree(state + place)
                    }
                }
                let next = try await NodePodRuntime(bench.settings)
                #expect(try await next.adopt().isEmpty)
                let calls = try Host.kernel.readText(state + "/bin/calls").split(separator: "\n")
                #expect(calls.count == 2 && calls[1].hasPrefix("DEL  IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;"))
                next.close()
            }
        }

        @Test func halfMadePodsLeaveNothing() async throws {
            try await Bench.with { bench in
                try Host.kernel.write(
                    bench.state + "/bin/still", text: "#!/bin/sh\ncat >/dev/null\necho '{\"code\":7,\"msg\":\"no room\"}'\nexit 1\n",
                    mode: 0o755)
                let problem = await #expect(throws: PodRuntimeProblem.self) { try await bench.sandbox() }
                #expect(problem?.reason == "FailedCreatePodSandBox")
                #expect(problem?.message.hasSuffix("plugin type=\"still\" failed (add): no room") == true)
                try Host.kernel.remove(bench.state + "/net.d/10-still.conflist")
                #expect(await bench.runtime.networkProblem()?.hasSuffix("cni plugin not initialized") == true)
                let none = await #expect(throws: PodRuntimeProblem.self) { try await bench.sandbox() }
                #expect(none?.reason == "NetworkNotReady")
                #expect(try await bench.sandbox { $0.hostNetwork = true }.uid != "")
            }
        }

        @Test func policiesAboutUsersAreKept() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                var plan = try await bench.container(sandbox, "true")
                plan.securityContext = ["runAsNonRoot": true]
                let problem = await #expect(throws: PodRuntimeProblem.self) { try await bench.runtime.startContainer(plan) }
                #expect(problem?.reason == "CreateContainerConfigError")
                #expect(
                    problem?.message
                        == "container has runAsNonRoot and image will run as root (pod: \"web_default(\(sandbox.uid))\", container: main)")
                plan.securityContext = ["seccompProfile": ["type": "Localhost", "localhostProfile": "none.json"]]
                let filter = await #expect(throws: PodRuntimeProblem.self) { try await bench.runtime.startContainer(plan) }
                #expect(filter?.message.hasSuffix("seccomp/none.json: no such file or directory") == true)
                plan.securityContext = ["readOnlyRootFilesystem": true, "seccompProfile": ["type": "RuntimeDefault"]]
                plan.command = ["sh", "-c", "touch /x 2>&1; touch /etc/hosts 2>&1; echo $?; touch /dev/shm/y && echo shm"]
                _ = try await bench.runtime.startContainer(plan)
                _ = try await bench.end()
                let text = try await bench.log(sandbox, plan)
                #expect(text.contains("Read-only file system") && text.contains("\n1\n") && text.hasSuffix("shm\n"), "\(text)")
            }
        }

        @Test func privilegedContainersAndThoseOfTheNodesNetwork() async throws {
            try await Bench.with { bench in
                let (text, _) = try await bench.output(
                    of: "mount -t tmpfs none /tmp && echo mounted; touch /proc/sys/kernel/x; ls /dev | wc -l"
                ) {
                    $0.hostNetwork = true
                } configure: {
                    $0.isPrivileged = true
                }
                #expect(text.contains("mounted"), "\(text)")
                let (other, _) = try await bench.output(of: "hostname; cat /etc/hosts; ls /proc | grep -c '^[0-9]'") {
                    $0.hostNetwork = true
                    $0.hostPID = true
                    $0.hostIPC = true
                } configure: { _ in
                }
                #expect(other.contains("# Kubernetes-managed hosts file (host network)."), "\(other)")
            }
        }
    }
}
