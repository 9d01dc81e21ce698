// Writes a pod's state as the `status` of its object, as upstream's kubelet words it.
internal import ClusterModel
package import Essentials
internal import Kernel

package enum PodStatus {
    package static func document(_ machine: PodMachine, pod: JSON, hostAddress: String, podAddress: String?, now: Timestamp) -> JSON {
        let old = pod["status"] ?? .null
        let isUp = machine.isRunning
        let phase =
            switch machine.state {
            case .succeeded: "Succeeded"
            case .failed: "Failed"
            case .running: "Running"
            // A container that waits for its next start belongs to a pod that runs.
            case .backingOff where machine.lastEnd != nil, .creating where machine.lastEnd != nil: "Running"
            case .removing: old["phase"]?.string ?? "Running"
            default: "Pending"
            }
        var status: JSON = [
            "phase": .string(phase),
            "conditions": .array([
                condition("PodReadyToStartContainers", isUp || machine.lastEnd != nil, nil, old, now),
                condition("Initialized", true, nil, old, now),
                condition("Ready", machine.isReady, notReady(machine), old, now),
                condition("ContainersReady", machine.isReady, notReady(machine), old, now),
                condition("PodScheduled", true, nil, old, now),
            ]),
            "hostIP": .string(hostAddress),
            "hostIPs": [["ip": .string(hostAddress)]],
            "startTime": .string(old["startTime"]?.string ?? now.rfc3339),
            "qosClass": .string(old["qosClass"]?.string ?? "Burstable"),
        ]
        if let podAddress {
            status["podIP"] = .string(podAddress)
            status["podIPs"] = [["ip": .string(podAddress)]]
        }
        if machine.state == .failed, machine.lastEnd == nil {
            status["reason"] = .string(machine.reason)
            status["message"] = .string(machine.message)
        }
        status["containerStatuses"] = [container(machine, pod: pod)]
        return status
    }

    private static func container(_ machine: PodMachine, pod: JSON) -> JSON {
        let image = pod["spec"]?["containers"]?[0]?["image"] ?? ""
        var status: JSON = [
            "name": .string(machine.container), "image": image, "imageID": image, "ready": .bool(machine.isReady),
            "started": .bool(machine.isRunning), "restartCount": JSON(machine.restarts), "state": state(machine),
            "lastState": .emptyObject,
        ]
        if machine.process != nil || machine.lastEnd != nil { status["containerID"] = .string(containerID(pod)) }
        if let end = machine.lastEnd, machine.state != .succeeded, machine.state != .failed {
            status["lastState"] = ["terminated": terminated(end, pod)]
        }
        return status
    }

    private static func state(_ machine: PodMachine) -> JSON {
        switch machine.state {
        case .running: return ["running": ["startedAt": .string((machine.startedAt ?? Timestamp(seconds: 0)).rfc3339)]]
        case .succeeded, .failed:
            if let end = machine.lastEnd { return ["terminated": terminated(end, .null)] }
            return ["waiting": waiting(machine)]
        default: return ["waiting": waiting(machine)]
        }
    }

    private static func waiting(_ machine: PodMachine) -> JSON {
        var waiting: JSON = ["reason": .string(machine.reason.isEmpty ? "ContainerCreating" : machine.reason)]
        if !machine.message.isEmpty { waiting["message"] = .string(machine.message) }
        return waiting
    }

    private static func terminated(_ end: PodMachine.Ended, _ pod: JSON) -> JSON {
        [
            "exitCode": JSON(Int(end.exit.code)), "reason": .string(end.exit.code == 0 ? "Completed" : "Error"),
            "startedAt": .string(end.startedAt.rfc3339), "finishedAt": .string(end.finishedAt.rfc3339),
        ]
    }

    private static func containerID(_ pod: JSON) -> String { "crun://" + pod.metaUID.filter { $0 != "-" } }

    private static func notReady(_ machine: PodMachine) -> (String, String)? {
        machine.isReady ? nil : ("ContainersNotReady", "containers with unready status: [\(machine.container)]")
    }

    // The time of a condition is when its status last changed.
    private static func condition(_ type: String, _ holds: Bool, _ why: (String, String)?, _ old: JSON, _ now: Timestamp) -> JSON {
        let before = old["conditions"]?.array?.first { $0["type"]?.string == type }
        let value = holds ? "True" : "False"
        var condition: JSON = ["type": .string(type), "status": .string(value)]
        if let why {
            condition["reason"] = .string(why.0)
            condition["message"] = .string(why.1)
        }
        condition["lastProbeTime"] = .null
        condition["lastTransitionTime"] =
            before?["status"]?.string == value ? before?["lastTransitionTime"] ?? .string(now.rfc3339) : .string(now.rfc3339)
        return condition
    }
}
