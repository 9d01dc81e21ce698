// A server killed at any moment: the next one takes over what runs and removes what is half-made.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Containers
import Essentials
import Glibc
import Kernel
import Kubelet
import Network
import Synchronization
import Testing

extension SandboxLiveTests {
    @Suite struct CrashTests {
        @Test func theNextServerTakesOverRunningPods() async throws {
            try await Bench.with { bench in
                let first = Memory()
                try await Cluster.run(bench) { cluster in
                    try await cluster.makeNamespace("lab-a")
                    try await cluster.makeNamespace("lab-b")
                    try await cluster.pod("node1", "echo before; exec sleep infinity", annotations: ["lectern.dev/address": "172.30.0.11"])
                    try await cluster.pod("node1", namespace: "lab-b", "exec sleep infinity")
                    try await cluster.pod("node2", namespace: "lab-b", "exec sleep infinity")
                    let pod = try await cluster.wait("node1", "ready") { $0.isPodReady }
                    try await cluster.wait("node1", namespace: "lab-b", "ready") { $0.isPodReady }
                    try await cluster.wait("node2", namespace: "lab-b", "ready") { $0.isPodReady }
                    first.set(pod)
                }
                let process = bench.sandboxes.runtime.runningProcess("lab-a", "node1", container: "node")
                #expect(process != nil)
                // While no server runs, one node dies and one pod is deleted behind everybody's back.
                try Host.kernel.kill(
                    #require(bench.sandboxes.runtime.runningProcess("lab-b", "node1", container: "node")), andWaitSeconds: 5)
                do {
                    let server = APIServer(store: try ClusterStore(path: bench.state + "/cluster.db"))
                    try await ClusterClient(transport: server).delete(
                        .pods, namespace: "lab-b", name: "node2", options: DeleteOptions(gracePeriodSeconds: 0))
                }

                let second = Bench(state: bench.state, sandboxes: try await PodSandboxes.open(SandboxSettings(state: bench.state)))
                try await Cluster.run(second) { cluster in
                    let restarted = try await cluster.wait("node1", namespace: "lab-b", "restarted") {
                        $0.container["restartCount"]?.int == 1 && $0.isPodReady
                    }
                    #expect(restarted.podPhase == "Running")
                    let pod = try await cluster.wait("node1", "ready") { $0.isPodReady }
                    #expect(pod.container["state"] == first.get().container["state"] && pod.container["restartCount"]?.int == 0)
                    #expect(second.sandboxes.runtime.runningProcess("lab-a", "node1", container: "node") == process)
                    for _ in 0..<200 where Host.kernel.exists(second.sandboxes.paths.pod("lab-b", "node2").directory) {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    #expect(!Host.kernel.exists(second.sandboxes.paths.pod("lab-b", "node2").directory))
                    try await cluster.client.delete(.pods, namespace: "lab-a", name: "node1")
                    try await cluster.wait("node1", "gone") { $0.isNull }
                }
            }
        }

        /// `LECTERN_CRASH_STEP` sets how many calls apart the tries are; 1 tries them all.
        private static let stride = getenv("LECTERN_CRASH_STEP").flatMap { Int(String(cString: $0)) } ?? 7

        @Test func whatWasHalfMadeAtAnyStepIsRemovedByTheNextServer() async throws {
            let total = try await calls()
            for number in Swift.stride(from: 1, through: total, by: Self.stride) {
                try await Bench.with { bench in
                    let faulty = FaultyKernel(Host.kernel)
                    let dying = try await PodSandboxes.open(SandboxSettings(state: bench.state, threads: 1), kernel: faulty)
                    faulty.arm(.death(call: number))
                    do {
                        _ = try await dying.create(bench.plan(), address: nil, egress: .none, record: ["uid": "1"])
                        Issue.record("call \(number) of \(total) was not missed")
                    } catch {}
                    let next = try await PodSandboxes.open(SandboxSettings(state: bench.state, threads: 1))
                    for (namespace, pods) in try await next.leftovers() {
                        for pod in pods { try await next.remove(namespace: namespace, pod: pod) }
                        try await next.removeGroup(namespace)
                    }
                    #expect(try Host.kernel.list(bench.state + "/run") == ["mnt"], "after \(faulty.refused)")
                }
            }
        }

        @Test func aStepThatFailsUndoesTheEarlierOnes() async throws {
            let total = try await calls()
            for number in Swift.stride(from: 1, through: total, by: Self.stride) {
                try await Bench.with { bench in
                    let faulty = FaultyKernel(Host.kernel)
                    let sandboxes = try await PodSandboxes.open(SandboxSettings(state: bench.state, threads: 1), kernel: faulty)
                    faulty.arm(.once(call: number, code: Errno.noSpace))
                    _ = try? await sandboxes.create(bench.plan(), address: nil, egress: .none, record: ["uid": "1"])
                    let refused = faulty.refused
                    faulty.arm(.none)
                    if sandboxes.runtime.runningProcess("lab-a", "node1", container: "node") == nil {
                        #expect(!Host.kernel.exists(sandboxes.paths.pod("lab-a", "node1").directory), "after \(refused)")
                    }
                    // The same pod can be made afterwards.
                    try await sandboxes.remove(namespace: "lab-a", pod: "node1")
                    _ = try await sandboxes.create(bench.plan(), address: nil, egress: .none, record: ["uid": "1"])
                    try await sandboxes.remove(namespace: "lab-a", pod: "node1")
                    try await sandboxes.removeGroup("lab-a")
                }
            }
        }

        /// How many calls it takes to make a pod.
        private func calls() async throws -> Int {
            var total = 0
            try await Bench.with { bench in
                let faulty = FaultyKernel(Host.kernel)
                let sandboxes = try await PodSandboxes.open(SandboxSettings(state: bench.state, threads: 1), kernel: faulty)
                faulty.arm(.none)
                _ = try await sandboxes.create(bench.plan(), address: nil, egress: .none, record: ["uid": "1"])
                total = faulty.calls
            }
            return total
        }
    }
}

private final class Memory: Sendable {
    private let value = Mutex(JSON.null)
    func set(_ json: JSON) { value.withLock { $0 = json } }
    func get() -> JSON { value.withLock { $0 } }
}
