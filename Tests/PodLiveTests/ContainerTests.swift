// Real pods with one container, from nothing to nothing.
import ClusterModel
import Essentials
import Kernel
import PodRuntime
import Pods
import Testing

extension PodLiveTests {
    @Suite struct ContainerTests {
        @Test func aContainerHasItsNameFilesAndEnvironment() async throws {
            try await Bench.with { bench in
                let (text, exit) = try await bench.output(
                    of: "hostname; id; echo $COLOUR $SHAPE; cat /etc/hosts /etc/resolv.conf; ls /proc/self/fd | wc -l; pwd; "
                        + "echo bad >&2; printf end; exit 3"
                ) {
                    $0.hostsLines = ["10.1.1.1 other"]
                } configure: {
                    $0.environment = [("SHAPE", "round")]
                }

                #expect(exit.exitCode == 3)
                #expect(text.hasPrefix("web\nuid=0"))
                #expect(text.contains("blue round\n"))
                #expect(text.contains("10.99.0.7\tweb\n\n# Entries added by HostAliases.\n10.1.1.1 other\n"))
                #expect(text.contains("nameserver 10.96.0.10"))
                #expect(text.contains("bad\n") && text.contains("end"))
            }
        }

        @Test func tenPodsAtOnce() async throws {
            try await Bench.with { bench in
                for _ in 0..<2 {
                    let start = monotonicSeconds()
                    let pods = try await withThrowingTaskGroup(of: SandboxPlan.self) { group in
                        for index in 0..<10 {
                            group.addTask {
                                let sandbox = try await bench.sandbox("pod-\(index)")
                                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec sleep 1000"))
                                return sandbox
                            }
                        }
                        return try await group.reduce(into: []) { $0.append($1) }
                    }
                    let up = monotonicSeconds()
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for pod in pods {
                            group.addTask { try await bench.runtime.removeSandbox(uid: pod.uid, namespace: "default", name: pod.name) }
                        }
                        try await group.waitForAll()
                    }
                    print("ten up \((up - start) * 1000) ms, down \((monotonicSeconds() - up) * 1000) ms")
                }
                let start = monotonicSeconds()
                let sandbox = try await bench.sandbox("one")
                let half = monotonicSeconds()
                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec sleep 1000"))
                print("one: sandbox \((half - start) * 1000) ms, container \((monotonicSeconds() - half) * 1000) ms")
            }
        }
    }
}
