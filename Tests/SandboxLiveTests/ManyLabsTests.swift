// Many labs at once: none fails, and the figures are printed for whoever measures (LECTERN_BENCH_LABS sets the number).
import Containers
import Essentials
import Glibc
import Kernel
import Kubelet
import Network
import Testing

extension SandboxLiveTests {
    @Suite struct ManyLabsTests {
        @Test func manyLabsComeUpAndGo() async throws {
            let count = getenv("LECTERN_BENCH_LABS").flatMap { Int(String(cString: $0)) } ?? 5
            try await Bench.with { bench in
                let kernelBefore = try kernelKiB()
                let start = monotonicSeconds()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lab in 0..<count {
                        for node in 1...2 {
                            group.addTask {
                                _ = try await bench.sandboxes.create(
                                    bench.agentPlan("node\(node)", namespace: "lab-\(lab)"), address: "172.30.0.\(10 + node)",
                                    egress: .none, record: .emptyObject)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let up = monotonicSeconds()
                try await Task.sleep(for: .seconds(2))
                let kernel = try kernelKiB() - kernelBefore
                let processes = try processesKiB(bench)
                let middle = monotonicSeconds()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lab in 0..<count {
                        group.addTask {
                            try await bench.sandboxes.remove(namespace: "lab-\(lab)", pod: "node1")
                            try await bench.sandboxes.remove(namespace: "lab-\(lab)", pod: "node2")
                            try await bench.sandboxes.removeGroup("lab-\(lab)")
                        }
                    }
                    try await group.waitForAll()
                }
                print(
                    "\(count) labs: up \(up - start) s, down \(monotonicSeconds() - middle) s, each \(processes / count) KiB of processes and \(kernel / count) KiB of kernel"
                )
            }
        }

        /// What the kernel holds and cannot take back.
        private func kernelKiB() throws -> Int {
            let text = try Host.kernel.readText("/proc/meminfo")
            return ["SUnreclaim", "KernelStack", "PageTables", "Percpu"].reduce(0) { sum, key in
                sum + (text.split(separator: "\n").first { $0.hasPrefix(key + ":") }.flatMap { Int($0.filter(\.isNumber)) } ?? 0)
            }
        }

        /// Proportional set sizes of all processes of the labs.
        private func processesKiB(_ bench: Bench) throws -> Int {
            var sum = 0
            for namespace in bench.sandboxes.controlGroups.namespaces() {
                for process in bench.sandboxes.controlGroups.processes(namespace) {
                    let text = (try? Host.kernel.readText("/proc/\(process)/smaps_rollup")) ?? ""
                    sum += text.split(separator: "\n").first { $0.hasPrefix("Pss:") }.flatMap { Int($0.filter(\.isNumber)) } ?? 0
                }
            }
            return sum
        }
    }
}
