// The conditions of a Node and what stands in its status, in upstream's words.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods

enum NodeConditions {
    static func networkMessage(_ problem: String) -> String {
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:\(problem)"
    }

    static let table: [(type: String, sound: (String, String), short: (String, String))] = [
        (
            "MemoryPressure", ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
        ),
        (
            "DiskPressure", ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("KubeletHasDiskPressure", "kubelet has disk pressure")
        ),
        (
            "PIDPressure", ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available")
        ),
    ]

    static func conditions(networkProblem: String?, pressures: Set<String>, previous: [JSON], now: Timestamp) -> [JSON] {
        var result: [JSON] = []
        for (type, sound, short) in table {
            let holds = pressures.contains(type)
            let words = holds ? short : sound
            result.append(condition(type, holds, words.0, words.1, previous, now))
        }
        if let networkProblem {
            result.append(condition("Ready", false, "KubeletNotReady", networkMessage(networkProblem), previous, now))
        } else {
            result.append(condition("Ready", true, "KubeletReady", "kubelet is posting ready status", previous, now))
        }
        return result
    }

    private static func condition(
        _ type: String, _ holds: Bool, _ reason: String, _ message: String, _ previous: [JSON], _ now: Timestamp
    ) -> JSON {
        let old = previous.first { $0["type"]?.string == type }
        let value = holds ? "True" : "False"
        let since = old?["status"]?.string == value ? old?["lastTransitionTime"] : nil
        return [
            "type": JSON(type), "status": JSON(value), "lastHeartbeatTime": JSON(now.rfc3339),
            "lastTransitionTime": since ?? JSON(now.rfc3339), "reason": JSON(reason), "message": JSON(message),
        ]
    }
}
