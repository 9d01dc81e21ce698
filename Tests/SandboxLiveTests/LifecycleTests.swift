// Real pods from nothing to nothing.
import Containers
import Essentials
import Kernel
import Kubelet
import Network
import Testing

extension SandboxLiveTests {
    @Suite struct LifecycleTests {
        @Test func aPodRunsWithItsNameAddressAndFiles() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of:
                        "hostname; id -u; cat /proc/self/uid_map; ip -4 -o addr show eth0; ip route; cat /etc/hosts; df -k / | tail -1; cat /proc/self/cgroup | head -3; mount; ls -la /dev /proc/self/fd; echo hello > /var/lib/containers/x && cat /var/lib/containers/x",
                    address: "172.30.0.12")
                #expect(text.contains("172.30.0.12/24"))
            }
        }

        @Test func nothingIsLeftBehind() async throws {
            try await Bench.with { bench in
                for round in 0..<3 {
                    let start = monotonicSeconds()
                    async let first = bench.sandboxes.create(
                        bench.plan("node1", namespace: "lab-\(round)"), address: "172.30.0.11", egress: .none, record: .emptyObject)
                    async let second = bench.sandboxes.create(
                        bench.plan("node2", namespace: "lab-\(round)"), address: "172.30.0.12", egress: .none, record: .emptyObject)
                    _ = try await (first, second)
                    let up = monotonicSeconds()
                    try await bench.sandboxes.remove(namespace: "lab-\(round)", pod: "node1")
                    try await bench.sandboxes.remove(namespace: "lab-\(round)", pod: "node2")
                    try await bench.sandboxes.removeGroup("lab-\(round)")
                    print("up \(up - start) down \(monotonicSeconds() - up)")
                }
            }
        }
    }
}
