// Many labs at once: none fails, and the figures are printed for whoever measures (LECTERN_BENCH_LABS sets the number).
import Containers
import Essentials
import Glibc
import Kernel
import Kubelet
import Network
import Testing

extension SandboxLiveTests { @Suite struct ManyLabsTests {
    @Test func manyLabsComeUpAndGo() async throws {
        let count = getenv("LECTERN_BENCH_LABS").flatMap { Int(String(cString: $0)) } ?? 5
        try await Bench.with { bench in
            let memoryBefore = try usedKiB()
            let start = monotonicSeconds()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lab in 0..<count {
                    for node in 1...2 {
                        group.addTask {
                            _ = try await bench.sandboxes.create(
                                bench.plan("node\(node)", namespace: "lab-\(lab)", "exec sleep infinity"), address: "172.30.0.\(10 + node)", egress: .none, record: .emptyObject)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let up = monotonicSeconds()
            try await Task.sleep(for: .seconds(2))
            let memory = try usedKiB()
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
            print("\(count) labs: up \(up - start) s, down \(monotonicSeconds() - middle) s, \((memory - memoryBefore) / count) KiB each (sleep only)")
        }
    }

    private func usedKiB() throws -> Int {
        let text = try Host.kernel.readText("/proc/meminfo")
        func value(_ key: String) -> Int {
            text.split(separator: "\n").first { $0.hasPrefix(key + ":") }.flatMap { Int($0.filter(\.isNumber)) } ?? 0
        }
        return value("MemTotal") - value("MemFree") - value("Buffers") - value("Cached") - value("SReclaimable")
    }
}
}
