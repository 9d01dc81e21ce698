// When the node runs out of memory or disk: whether it does, and which pod goes for it.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods

struct Eviction: Sendable {
    private let settings: KubeletSettings
    private var available: [String: (left: Int64, limit: Int64)] = [:]

    init(settings: KubeletSettings) { self.settings = settings }

    /// The node's pressures now.
    mutating func look() -> Set<String> {
        let facts = NodeFacts(rootFolder: settings.rootFolder)
        available = [:]
        var pressures: Set<String> = []
        let memory = NodeFacts.availableMemory(total: facts.memoryBytes)
        if facts.memoryBytes > 0, memory < settings.evictionMemoryBytes, facts.memoryBytes > 4 * settings.evictionMemoryBytes {
            pressures.insert("MemoryPressure")
            available["memory"] = (memory, settings.evictionMemoryBytes)
        }
        let limit = Int64(Double(facts.disk.totalBytes) * settings.evictionDiskPercent / 100)
        // A large disk that is shared with others is short only when little is left in bytes too.
        let free = Int64(clamping: facts.disk.freeBytes)
        if facts.disk.totalBytes > 0, free < min(limit, 1 << 30) {
            pressures.insert("DiskPressure")
            available["ephemeral-storage"] = (free, limit)
        }
        return pressures
    }

    /// Evicts the pod that matters least: no requests first, then the one that takes most beyond what it asked for.
    func evict(from workers: [PodWorker], runtime: any PodRuntime, _ pressures: Set<String>) async {
        let resource = pressures.contains("MemoryPressure") ? "memory" : "ephemeral-storage"
        var ranked: [(worker: PodWorker, order: Int, priority: Int, used: Int64, text: String)] = []
        for worker in workers where !worker.isStatic {
            let machine = worker.machine
            let pod = machine.pod
            let priority = pod["spec"]?["priority"]?.int ?? 0
            guard !machine.isOver, machine.isInitialized, priority < 2_000_000_000 else { continue }
            var used: Int64 = 0
            var parts: [String] = []
            for spec in machine.specs where spec.role == .main {
                guard let usage = await runtime.usage(podUID: worker.uid, container: spec.name) else { continue }
                let own = resource == "memory" ? usage.memoryWorkingSetBytes : usage.rootBytes + usage.logBytes
                let request = PodResources.quantity(spec.json["resources"]?["requests"]?[resource]) ?? .zero
                if own > request.value {
                    parts.append(
                        "Container \(spec.name) was using \(own >> 10)Ki, request is \(request), has larger consumption of \(resource). ")
                }
                used += own
            }
            let request = PodResources.requests(pod)[resource]?.value ?? 0
            ranked.append((worker, used > request ? 0 : 1, priority, used - request, parts.joined()))
        }
        let victim = ranked.min { ($0.order, $0.priority, -$0.used) < ($1.order, $1.priority, -$1.used) }
        guard let victim else { return }
        let state = available[resource] ?? (0, 0)
        let threshold = Quantity(state.limit, format: .binary)
        let message =
            "The node was low on resource: \(resource). Threshold quantity: \(threshold), available: \(state.left >> 10)Ki. \(victim.text)"
        victim.worker.mailbox.send(.evicted(reason: "Evicted", message: message))
    }
}
