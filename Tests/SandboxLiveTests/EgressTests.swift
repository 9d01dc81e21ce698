// A lab that may use the internet gets a cable, and still reaches nothing of the host's.
import Containers
import Essentials
import Kernel
import Kubelet
import Network
import Testing

extension SandboxLiveTests {
    @Suite struct EgressTests {
        @Test func anOpenLabReachesNoPrivateAddressAndItsCableGoes() async throws {
            let forwarding = try Host.kernel.readText("/proc/sys/net/ipv4/ip_forward")
            defer { try? Host.kernel.control("/proc/sys/net/ipv4/ip_forward", forwarding) }
            try await Bench.with { bench in
                let listener = try Listener()
                defer { listener.close() }
                let targets = ["127.0.0.1", "100.64.0.0", "100.64.0.2", "169.254.169.254"] + (try Host.addresses())
                let script = """
                    python3 - <<'END'
                    import socket, time
                    for target in \(targets):
                        start = time.monotonic()
                        try:
                            socket.create_connection((target, \(listener.port)), 3)
                            print(target, 'REACHED')
                        except OSError: print(target, 'refused', time.monotonic() - start < 2)
                    END
                    """
                _ = try await bench.sandboxes.create(
                    bench.plan("node1", namespace: "lab-b"), address: nil, egress: .open, record: .emptyObject)
                var plan = bench.plan("node1", namespace: "lab-a", script)
                plan.hosts = []
                _ = try await bench.sandboxes.create(plan, address: nil, egress: .open, record: .emptyObject)
                let links = try Host.kernel.list("/sys/class/net").filter { $0.hasPrefix("lt") }
                #expect(links.count >= 2)
                let place = bench.sandboxes.paths.pod("lab-a", "node1")
                let output = try Host.kernel.openFIFO(place.output, blocking: false)
                var text = ""
                for _ in 0..<400 where text.split(separator: "\n").count < targets.count {
                    if let more = try Host.kernel.receive(from: output, limitBytes: 65536) { text += String(decoding: more, as: UTF8.self) }
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(text.split(separator: "\n").count == targets.count)
                #expect(!text.contains("REACHED") && !text.contains("False"))
            }
        }
    }
}
