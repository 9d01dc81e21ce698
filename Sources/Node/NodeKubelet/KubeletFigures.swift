// What pods and the node use, in the shapes of /stats/summary and of Prometheus' text.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods

struct KubeletFigures: Sendable {
    let kubelet: NodeKubelet

    private struct Line {
        var namespace: String
        var pod: String
        var uid: String
        var container: String
        var startedAt: Timestamp
        var usage: ContainerUsage
    }

    private func lines() async -> [Line] {
        var lines: [Line] = []
        for worker in kubelet.allWorkers.sorted(by: { ($0.namespace, $0.name) < ($1.namespace, $1.name) }) {
            let machine = worker.machine
            for spec in machine.specs {
                guard let record = machine.records[spec.name], record.isRunning,
                    let usage = await kubelet.world.runtime.usage(podUID: worker.uid, container: spec.name)
                else { continue }
                lines.append(
                    Line(
                        namespace: worker.namespace, pod: worker.name, uid: worker.uid, container: spec.name,
                        startedAt: record.startedAt ?? Timestamp(seconds: 0), usage: usage))
            }
        }
        return lines
    }

    func summary() async -> JSON {
        let now = JSON(SystemClock().now().rfc3339)
        let facts = NodeFacts(rootFolder: kubelet.settings.rootFolder)
        func cpu(_ nanoseconds: Int64) -> JSON { ["time": now, "usageNanoCores": 0, "usageCoreNanoSeconds": JSON(nanoseconds)] }
        var pods: [String: (reference: JSON, containers: [JSON], cpu: Int64, memory: Int64)] = [:]
        var order: [String] = []
        for line in await lines() {
            if pods[line.uid] == nil {
                order.append(line.uid)
                pods[line.uid] = (
                    ["name": JSON(line.pod), "namespace": JSON(line.namespace), "uid": JSON(line.uid)], [], 0, 0
                )
            }
            pods[line.uid]?.containers.append([
                "name": JSON(line.container), "startTime": JSON(line.startedAt.rfc3339), "cpu": cpu(line.usage.processorNanoseconds),
                "memory": [
                    "time": now, "usageBytes": JSON(line.usage.memoryUsageBytes), "workingSetBytes": JSON(line.usage.memoryWorkingSetBytes),
                    "rssBytes": JSON(line.usage.memoryResidentBytes),
                ],
                "rootfs": ["time": now, "usedBytes": JSON(line.usage.rootBytes)],
                "logs": ["time": now, "usedBytes": JSON(line.usage.logBytes)],
            ])
            pods[line.uid]?.cpu += line.usage.processorNanoseconds
            pods[line.uid]?.memory += line.usage.memoryWorkingSetBytes
        }
        return [
            "node": [
                "nodeName": JSON(kubelet.settings.nodeName), "cpu": cpu(NodeFacts.processorNanoseconds()),
                "memory": [
                    "time": now, "availableBytes": JSON(NodeFacts.availableMemory(total: facts.memoryBytes)),
                    "workingSetBytes": JSON(NodeFacts.workingSet() ?? 0),
                ],
                "fs": [
                    "time": now, "availableBytes": JSON(Int64(clamping: facts.disk.freeBytes)),
                    "capacityBytes": JSON(Int64(clamping: facts.disk.totalBytes)),
                    "usedBytes": JSON(Int64(clamping: facts.disk.totalBytes &- facts.disk.freeBytes)),
                ],
            ],
            "pods": .array(
                order.compactMap { uid in
                    pods[uid].map { pod in
                        [
                            "podRef": pod.reference, "containers": .array(pod.containers), "cpu": cpu(pod.cpu),
                            "memory": ["time": now, "workingSetBytes": JSON(pod.memory)],
                        ]
                    }
                }),
        ]
    }

    func resourceMetrics() async -> String {
        let now = SystemClock().now()
        let stamp = String(now.seconds * 1000 + Int64(now.nanoseconds) / 1_000_000)
        let lines = await lines()
        var text = ""
        func family(_ name: String, _ type: String, _ help: String, _ rows: [(String, String)]) {
            text += "# HELP \(name) [STABLE] \(help)\n# TYPE \(name) \(type)\n"
            for (labels, value) in rows { text += "\(name)\(labels) \(value) \(stamp)\n" }
        }
        func labels(_ line: Line) -> String { "{container=\"\(line.container)\",namespace=\"\(line.namespace)\",pod=\"\(line.pod)\"}" }
        func seconds(_ nanoseconds: Int64) -> String { String(Double(nanoseconds) / 1e9) }
        family(
            "container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds",
            lines.map { (labels($0), seconds($0.usage.processorNanoseconds)) })
        family(
            "container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes",
            lines.map { (labels($0), String($0.usage.memoryWorkingSetBytes)) })
        family(
            "container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds",
            lines.map { (labels($0), String(Double($0.startedAt.seconds) + Double($0.startedAt.nanoseconds) / 1e9)) })
        family(
            "node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds",
            [("", seconds(NodeFacts.processorNanoseconds()))])
        family(
            "node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes",
            [("", String(NodeFacts.workingSet() ?? 0))])
        var byPod: [(key: String, cpu: Int64, memory: Int64)] = []
        for line in lines {
            let key = "{namespace=\"\(line.namespace)\",pod=\"\(line.pod)\"}"
            if byPod.last?.key != key { byPod.append((key, 0, 0)) }
            byPod[byPod.count - 1].cpu += line.usage.processorNanoseconds
            byPod[byPod.count - 1].memory += line.usage.memoryWorkingSetBytes
        }
        family(
            "pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds",
            byPod.map { ($0.key, seconds($0.cpu)) })
        family(
            "pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes", byPod.map { ($0.key, String($0.memory)) })
        family("resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise", [("", "0")])
        return text
    }

    func metrics() async -> String {
        let machines = kubelet.allWorkers.map(\.machine)
        let running = machines.flatMap { $0.records.values }.count { $0.isRunning }
        return """
            # HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox
            # TYPE kubelet_running_pods gauge
            kubelet_running_pods \(machines.count { $0.sandbox == .up })
            # HELP kubelet_running_containers [ALPHA] Number of containers currently running
            # TYPE kubelet_running_containers gauge
            kubelet_running_containers{container_state="running"} \(running)
            # HELP kubernetes_build_info [ALPHA] A metric with a constant '1' value labeled by version.
            # TYPE kubernetes_build_info gauge
            kubernetes_build_info{git_version="\(KubeletSettings.version)",platform="linux/\(NodeFacts.architecture)"} 1

            """
    }
}
