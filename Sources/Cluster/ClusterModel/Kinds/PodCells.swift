// What `kubectl get pods` shows, by upstream's rules (pkg/printers/internalversion: printPod).
internal import Essentials

struct PodCells {
    private let pod: JSON
    private let now: Timestamp
    private var ready = 0
    private var restarts: Int64 = 0
    private var lastRestart: Timestamp?
    private var reason = ""

    static func cells(_ pod: JSON, at now: Timestamp) -> [JSON] {
        var cells = PodCells(pod: pod, now: now)
        return cells.make()
    }

    private init(pod: JSON, now: Timestamp) {
        self.pod = pod
        self.now = now
    }

    private mutating func make() -> [JSON] {
        let spec = pod["spec"] ?? .null
        let status = pod["status"] ?? .null
        var total = spec["containers"]?.array?.count ?? 0
        reason = status["reason"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? status["phase"]?.string ?? ""
        if condition("PodScheduled")?["reason"] == "SchedulingGated" { reason = "SchedulingGated" }
        let inits = spec["initContainers"]?.array ?? []
        let sidecars = Set(inits.filter { $0["restartPolicy"] == "Always" }.compactMap { $0["name"]?.string })
        total += sidecars.count
        let isInitializing = walkInit(status["initContainerStatuses"]?.array ?? [], sidecars: sidecars, total: inits.count)
        if !isInitializing || condition("Initialized")?["status"] == "True" { walkContainers(status["containerStatuses"]?.array ?? []) }
        if pod.isBeingDeleted {
            let phase = status["phase"]?.string
            if status["reason"] == "NodeLost" {
                reason = "Unknown"
            } else if phase != "Failed", phase != "Succeeded" {
                reason = "Terminating"
            }
        }
        var restartText = String(restarts)
        if restarts != 0, let lastRestart {
            restartText += " (\(Age.text(seconds: Int64(now.since(lastRestart).rounded(.down)))) ago)"
        }
        let gates = spec["readinessGates"]?.array ?? []
        let open = gates.filter { gate in condition(gate["conditionType"]?.string ?? "")?["status"] == "True" }.count
        func known(_ value: JSON?) -> JSON { JSON(value?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "<none>") }
        return [
            JSON(pod.metaName), "\(ready)/\(total)", JSON(reason), JSON(restartText), JSON(Age.text(of: pod, at: now)),
            known(status["podIPs"]?[0]?["ip"] ?? status["podIP"]), known(spec["nodeName"]), known(status["nominatedNodeName"]),
            gates.isEmpty ? "<none>" : "\(open)/\(gates.count)",
        ]
    }

    private func condition(_ type: String) -> JSON? { pod["status"]?["conditions"]?.array?.first { $0["type"]?.string == type } }

    private mutating func count(_ container: JSON) {
        restarts += container["restartCount"]?.integer ?? 0
        if let end = container["lastState"]?["terminated"]?["finishedAt"]?.string.flatMap(Timestamp.init(rfc3339:)) {
            lastRestart = max(lastRestart ?? end, end)
        }
    }

    /// True while an init container holds the pod up.
    private mutating func walkInit(_ statuses: [JSON], sidecars: Set<String>, total: Int) -> Bool {
        for (index, container) in statuses.enumerated() {
            count(container)
            let state = container["state"] ?? .null
            if let end = state["terminated"], end["exitCode"]?.integer == 0 { continue }
            if sidecars.contains(container["name"]?.string ?? ""), container["started"] == true {
                if container["ready"] == true { ready += 1 }
                continue
            }
            if let end = state["terminated"] {
                reason = "Init:" + Self.endReason(end)
            } else if let waiting = state["waiting"]?["reason"]?.string, !waiting.isEmpty, waiting != "PodInitializing" {
                reason = "Init:" + waiting
            } else {
                reason = "Init:\(index)/\(total)"
            }
            return true
        }
        return false
    }

    private mutating func walkContainers(_ statuses: [JSON]) {
        restarts = 0
        lastRestart = nil
        var hasRunning = false
        for container in statuses.reversed() {
            count(container)
            let state = container["state"] ?? .null
            if let waiting = state["waiting"]?["reason"]?.string, !waiting.isEmpty {
                reason = waiting
            } else if let end = state["terminated"] {
                reason = Self.endReason(end)
            } else if container["ready"] == true, state["running"] != nil {
                hasRunning = true
                ready += 1
            }
        }
        if reason == "Completed", hasRunning { reason = condition("Ready")?["status"] == "True" ? "Running" : "NotReady" }
    }

    private static func endReason(_ end: JSON) -> String {
        if let reason = end["reason"]?.string, !reason.isEmpty { return reason }
        if let signal = end["signal"]?.integer, signal != 0 { return "Signal:\(signal)" }
        return "ExitCode:\(end["exitCode"]?.integer ?? 0)"
    }
}
