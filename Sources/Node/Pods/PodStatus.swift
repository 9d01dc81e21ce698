// A pod's status as the API shows it, computed from the machine: phase, conditions and what each container does.
internal import ClusterModel
package import Essentials

/// What a status says beside what the machine knows.
package struct StatusSurroundings: Sendable {
    package var hostAddress: String
    /// `lectern`: what stands before `://` in container ids.
    package var runtimeName: String
    package init(hostAddress: String, runtimeName: String = "lectern") {
        self.hostAddress = hostAddress
        self.runtimeName = runtimeName
    }
}

extension PodMachine {
    /// The whole status. `previous` is the last one written or read: times of conditions that did not change come from it.
    package func status(previous: JSON, _ surroundings: StatusSurroundings, now: Timestamp) -> JSON {
        let phase = phase
        var status: JSON = .emptyObject
        status["conditions"] = .array(conditions(phase: phase, previous: previous["conditions"]?.array ?? [], now: now))
        if !surroundings.hostAddress.isEmpty {
            status["hostIP"] = JSON(surroundings.hostAddress)
            status["hostIPs"] = [["ip": JSON(surroundings.hostAddress)]]
        }
        for (key, roles) in [
            ("initContainerStatuses", [ContainerSpec.Role.initial, .sidecar]), ("containerStatuses", [.main]),
            ("ephemeralContainerStatuses", [.ephemeral]),
        ] {
            let list = specs.filter { roles.contains($0.role) }.map { containerStatus($0, surroundings) }
            if !list.isEmpty { status[key] = .array(list) }
        }
        if let ending, !ending.message.isEmpty { status["message"] = JSON(ending.message) }
        status["phase"] = JSON(phase)
        let known = addresses.isEmpty ? (previous["podIPs"]?.array ?? []).compactMap { $0["ip"]?.string } : addresses
        if let first = known.first, sandbox != .none {
            status["podIP"] = JSON(first)
            status["podIPs"] = .array(known.map { ["ip": JSON($0)] })
        }
        status["qosClass"] = previous["qosClass"] ?? JSON(PodResources.qosClass(pod))
        if let ending, !ending.reason.isEmpty { status["reason"] = JSON(ending.reason) }
        if let startTime { status["startTime"] = JSON(startTime.rfc3339) }
        return status
    }

    package var phase: String {
        if let ending, !ending.reason.isEmpty { return "Failed" }
        let first = specs.filter { $0.role == .initial }.compactMap { records[$0.name] }
        if first.contains(where: { $0.phase == .ended && $0.end?.exitCode != 0 }), restartPolicy == "Never" { return "Failed" }
        let mains = specs.filter { $0.role == .main }.compactMap { records[$0.name] }
        let isOver = ending != nil && !records.values.contains { $0.isActive }
        if isOver, sandbox == .removed || sandbox == .removing {
            let ends = mains.compactMap(\.end)
            if ends.count == mains.count { return ends.allSatisfy { $0.exitCode == 0 } ? "Succeeded" : "Failed" }
            return ending?.isDeleted == true || ending?.isVanished == true ? "Failed" : "Pending"
        }
        if !isInitialized { return "Pending" }
        // A container that has never run is waited for; one that ran and ended is not.
        if mains.contains(where: { !$0.isRunning && $0.end == nil && $0.lastEnd == nil }) { return "Pending" }
        if mains.contains(where: { $0.isRunning }) { return "Running" }
        switch restartPolicy {
        case "Always": return "Running"
        default:
            let ends = mains.compactMap(\.end)
            if ends.count == mains.count, !mains.contains(where: { if case .backingOff = $0.phase { true } else { $0.isActive } }) {
                if ends.allSatisfy({ $0.exitCode == 0 }) { return "Succeeded" }
                if restartPolicy == "Never" { return "Failed" }
            }
            return "Running"
        }
    }

    private func conditions(phase: String, previous: [JSON], now: Timestamp) -> [JSON] {
        let mains = specs.filter { $0.role == .main }
        let sidecars = specs.filter { $0.role == .sidecar }
        let unready = (sidecars + mains).filter { !(records[$0.name]?.isReady ?? false) }.map(\.name)
        let isDone = phase == "Succeeded" || phase == "Failed"

        var containersReady = Condition("ContainersReady", unready.isEmpty && !isDone)
        if phase == "Succeeded" {
            containersReady.reason = "PodCompleted"
        } else if phase == "Failed" {
            containersReady.reason = "PodFailed"
        } else if !unready.isEmpty {
            containersReady.reason = "ContainersNotReady"
            containersReady.message = "containers with unready status: [\(unready.joined(separator: " "))]"
        }
        var ready = containersReady
        ready.type = "Ready"
        if ready.holds {
            var missing: [String] = []
            for gate in pod["spec"]?["readinessGates"]?.array ?? [] {
                let type = gate["conditionType"]?.string ?? ""
                let value = (pod["status"]?["conditions"]?.array ?? []).first { $0["type"]?.string == type }?["status"]?.string
                if value == nil {
                    missing.append("corresponding condition of pod readiness gate \"\(type)\" does not exist.")
                } else if value != "True" {
                    missing.append("the status of pod readiness gate \"\(type)\" is not \"True\", but \(value ?? "")")
                }
            }
            if !missing.isEmpty {
                ready.holds = false
                ready.reason = "ReadinessGatesNotReady"
                ready.message = missing.joined(separator: ", ")
            }
        }
        var initialized = Condition("Initialized", isInitialized || phase == "Succeeded")
        if phase == "Succeeded" { initialized.reason = "PodCompleted" }
        if !initialized.holds {
            let pending = specs.filter { spec in
                guard let record = records[spec.name] else { return false }
                return spec.role == .initial
                    ? !(record.phase == .ended && record.end?.exitCode == 0) : spec.role == .sidecar && !record.isStarted
            }.map(\.name)
            if pending.isEmpty {
                initialized.holds = true
            } else {
                initialized.reason = "ContainersNotInitialized"
                initialized.message = "containers with incomplete status: [\(pending.joined(separator: " "))]"
            }
        }
        let isUp = sandbox == .up && !addresses.isEmpty
        var own = [Condition("PodReadyToStartContainers", isUp), initialized, ready, containersReady, Condition("PodScheduled", true)]
        if let ending, ending.reason == "Evicted" || ending.reason == "Preempting" {
            own.append(Condition("DisruptionTarget", true, reason: "TerminationByKubelet", message: ending.message))
        }
        // Those of others stay in the API as they are: a status is a patch.
        return own.map { $0.document(previous: previous, now: now) }
    }

    private struct Condition {
        var type: String
        var holds: Bool
        var reason: String
        var message: String
        init(_ type: String, _ holds: Bool, reason: String = "", message: String = "") {
            self.type = type
            self.holds = holds
            self.reason = reason
            self.message = message
        }

        func document(previous: [JSON], now: Timestamp) -> JSON {
            let old = previous.first { $0["type"]?.string == type }
            let value = holds ? "True" : "False"
            let since = old?["status"]?.string == value ? old?["lastTransitionTime"] : nil
            var condition: JSON = [
                "type": JSON(type), "status": JSON(value), "lastProbeTime": .null, "lastTransitionTime": since ?? JSON(now.rfc3339),
            ]
            if !reason.isEmpty { condition["reason"] = JSON(reason) }
            if !message.isEmpty { condition["message"] = JSON(message) }
            return condition
        }
    }

    private func containerStatus(_ spec: ContainerSpec, _ surroundings: StatusSurroundings) -> JSON {
        let record = records[spec.name] ?? ContainerRecord()
        func named(_ id: String) -> JSON { JSON(id.isEmpty ? "" : "\(surroundings.runtimeName)://\(id)") }
        func terminated(_ end: ContainerEnd) -> JSON {
            var state: JSON = ["exitCode": JSON(end.exitCode), "reason": JSON(end.reason)]
            if !end.message.isEmpty { state["message"] = JSON(end.message) }
            state["startedAt"] = end.startedAt.map { JSON($0.rfc3339) } ?? .null
            state["finishedAt"] = JSON(end.finishedAt.rfc3339)
            if !end.id.isEmpty { state["containerID"] = named(end.id) }
            return ["terminated": state]
        }
        var state: JSON
        var last = record.lastEnd
        switch record.phase {
        case .running: state = ["running": ["startedAt": record.startedAt.map { JSON($0.rfc3339) } ?? .null]]
        case .ended: state = record.end.map(terminated) ?? .emptyObject
        case .starting where record.end != nil: state = record.end.map(terminated) ?? .emptyObject
        case .backingOff:
            state = ["waiting": ["reason": JSON(record.waitReason), "message": JSON(record.waitMessage)]]
            last = record.end ?? record.lastEnd
        default:
            let waitsForOthers = !isInitialized && spec.role != .ephemeral && specs.contains { $0.role == .initial || $0.role == .sidecar }
            state = ["waiting": ["reason": JSON(waitsForOthers ? "PodInitializing" : "ContainerCreating")]]
        }
        var status: JSON = [
            "name": JSON(spec.name), "state": state, "lastState": last.map(terminated) ?? .emptyObject,
            "ready": JSON(isReady(spec, record)),
            "restartCount": JSON(record.attempt - (record.phase == .starting && record.end != nil ? 1 : 0)),
            "image": JSON(record.image.map { Self.name($0, spec.image) } ?? spec.image), "imageID": JSON(record.image?.id ?? ""),
        ]
        if !record.id.isEmpty { status["containerID"] = named(record.id) }
        status["started"] = JSON(record.isRunning && record.isStarted)
        if record.isRunning, let resources = spec.json["resources"], !resources.members.isEmpty {
            if let requests = resources["requests"] { status["allocatedResources"] = requests }
            status["resources"] = record.resources.isNull ? resources : record.resources
        }
        let mounts = spec.json["volumeMounts"]?.array ?? []
        if record.isRunning, !mounts.isEmpty {
            status["volumeMounts"] = .array(
                mounts.map { mount in
                    var shown: JSON = ["name": mount["name"] ?? "", "mountPath": mount["mountPath"] ?? ""]
                    if mount["readOnly"] == true {
                        shown["readOnly"] = true
                        shown["recursiveReadOnly"] = "Disabled"
                    }
                    return shown
                })
        }
        return status
    }

    // An init container that did its work counts as ready.
    private func isReady(_ spec: ContainerSpec, _ record: ContainerRecord) -> Bool {
        spec.role == .initial ? record.phase == .ended && record.end?.exitCode == 0 : record.isRunning && record.isReady
    }

    // The normalized name, as upstream's runtime reports it.
    private static func name(_ image: PulledImage, _ wanted: String) -> String {
        guard !wanted.contains("@"), let repository = image.id.split(separator: "@").first, image.id.contains("@") else {
            return wanted
        }
        let last = wanted.split(separator: "/").last ?? ""
        let tag = last.lastIndex(of: ":").map { String(last[last.index(after: $0)...]) } ?? "latest"
        return "\(repository):\(tag)"
    }
}
