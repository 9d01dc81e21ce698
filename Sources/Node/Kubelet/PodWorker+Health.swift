// Finds out whether a pod's container is ready and well: by its agent, by its probes, or by being up.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Synchronization

extension PodWorker {
    func watchHealth(process: Int32?) async {
        let pod = pod.withLock { $0 }
        if PodPlan.isAgent(pod) {
            var wait = 5
            while !Task.isCancelled {
                if await surroundings.sandboxes.asksAgent(namespace: namespace, pod: name, readiness: surroundings.readiness) {
                    return send(.event(.ready(true)))
                }
                guard let process, surroundings.sandboxes.kernel.exists("/proc/\(process)") else { return }
                try? await Task.sleep(for: .milliseconds(wait))
                wait = min(wait * 2, 1000)
            }
            return
        }
        let container = pod["spec"]?["containers"]?[0] ?? .null
        let ports = container["ports"]?.array ?? []
        await withDiscardingTaskGroup { group in
            if let probe = Probe(container["readinessProbe"], ports: ports) {
                group.addTask { [self] in
                    await ask(probe, process: process, container: container, startsHealthy: false) { send(.event(.ready($0))) }
                }
            } else {
                send(.event(.ready(true)))
            }
            if let probe = Probe(container["livenessProbe"], ports: ports) {
                group.addTask { [self] in
                    await ask(probe, process: process, container: container, startsHealthy: true) { healthy in
                        if !healthy { send(.event(.unhealthy("Liveness probe failed"))) }
                    }
                }
            }
        }
    }

    private func ask(_ probe: Probe, process: Int32?, container: JSON, startsHealthy: Bool, _ tell: @Sendable (Bool) -> Void) async {
        var counter = ProbeCounter(probe, startsHealthy: startsHealthy)
        try? await Task.sleep(for: .seconds(probe.initialDelaySeconds))
        while !Task.isCancelled, let process, surroundings.sandboxes.kernel.exists("/proc/\(process)") {
            let answer = await surroundings.sandboxes.answers(
                probe, namespace: namespace, pod: name, container: container["name"]?.string ?? "", readiness: surroundings.readiness)
            if let verdict = counter.note(answer) { tell(verdict) }
            try? await Task.sleep(for: .seconds(probe.periodSeconds))
        }
    }
}
