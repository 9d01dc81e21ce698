// What the page draws of an object: a few members, small enough to send on every change.
package import ClusterModel
package import Essentials

/// A kind of thing the page draws.
package enum DigestKind: String, Sendable, CaseIterable {
    case nodes, pods, services, workloads, events

    /// The resources it is made from.
    package var resources: [GroupVersionResource] {
        switch self {
        case .nodes: [.nodes]
        case .pods: [.pods]
        case .services: [.services]
        case .workloads: [.deployments, .replicaSets, .daemonSets, .statefulSets, .jobs, .cronJobs]
        case .events: [.events]
        }
    }
}

package enum ClusterDigest {
    /// A longer message is cut.
    private static let messageLimit = 300

    /// `nil`: not drawn.
    package static func make(_ object: JSON, _ resource: GroupVersionResource, at now: Timestamp) -> JSON? {
        switch resource {
        case .nodes: node(object)
        case .pods: pod(object, now)
        case .services: service(object)
        case .events: event(object)
        default: workload(object, resource)
        }
    }

    private static func base(_ object: JSON) -> JSON {
        var digest: JSON = ["uid": JSON(object.metaUID), "name": JSON(object.metaName)]
        if let namespace = object.metaNamespace, !namespace.isEmpty { digest["namespace"] = JSON(namespace) }
        digest["created"] = object["metadata"]?["creationTimestamp"]
        if object.isBeingDeleted { digest["ending"] = true }
        return digest
    }

    private static func node(_ node: JSON) -> JSON {
        var digest = base(node)
        let ready = condition(node, "Ready")
        digest["ready"] = JSON(ready?["status"] == "True")
        if ready?["status"] != "True" { digest["why"] = JSON(short(ready?["message"]?.string ?? "")) }
        let prefix = "node-role.kubernetes.io/"
        digest["roles"] = JSON(node.metaLabels.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted())
        digest["version"] = node["status"]?["nodeInfo"]?["kubeletVersion"]
        if node["spec"]?["unschedulable"] == true { digest["cordoned"] = true }
        digest["cpu"] = node["status"]?["allocatable"]?["cpu"]
        digest["memory"] = node["status"]?["allocatable"]?["memory"]
        return digest
    }

    private static func pod(_ pod: JSON, _ now: Timestamp) -> JSON {
        var digest = base(pod)
        let cells = Kind.pod.cells(pod, now)
        digest["ready"] = cells[1]
        digest["state"] = cells[2]
        digest["restarts"] = JSON((pod["status"]?["containerStatuses"]?.array ?? []).reduce(0) { $0 + ($1["restartCount"]?.int ?? 0) })
        digest["node"] = pod["spec"]?["nodeName"]
        digest["address"] = pod["status"]?["podIP"]
        digest["images"] = JSON((pod["spec"]?["containers"]?.array ?? []).compactMap { $0["image"]?.string })
        digest["labels"] = JSON(pod.metaLabels)
        if let owner = (pod["metadata"]?["ownerReferences"]?.array ?? []).first(where: { $0["controller"] == true }) {
            digest["owner"] = ["kind": owner["kind"] ?? "", "name": owner["name"] ?? "", "uid": owner["uid"] ?? ""]
        }
        return digest
    }

    private static func service(_ service: JSON) -> JSON {
        var digest = base(service)
        let spec = service["spec"] ?? .null
        digest["type"] = spec["type"]
        digest["address"] = spec["clusterIP"]
        digest["ports"] = .array(
            (spec["ports"]?.array ?? []).map { port in
                var entry: JSON = ["port": port["port"] ?? 0, "protocol": port["protocol"] ?? "TCP"]
                if let number = port["nodePort"]?.int, number > 0 { entry["nodePort"] = JSON(number) }
                return entry
            })
        digest["selector"] = spec["selector"]
        digest["externalName"] = spec["externalName"]
        return digest
    }

    private static func workload(_ object: JSON, _ resource: GroupVersionResource) -> JSON? {
        var digest = base(object)
        let spec = object["spec"] ?? .null
        let status = object["status"] ?? .null
        digest["kind"] = object["kind"] ?? JSON(Schema.cluster.kind(resource)?.name ?? resource.resource)
        if let owner = (object["metadata"]?["ownerReferences"]?.array ?? []).first(where: { $0["controller"] == true }) {
            digest["owner"] = owner["uid"]
        }
        switch resource {
        case .daemonSets:
            digest["desired"] = status["desiredNumberScheduled"] ?? 0
            digest["ready"] = status["numberReady"] ?? 0
            digest["updated"] = status["updatedNumberScheduled"] ?? 0
        case .jobs:
            digest["desired"] = spec["completions"] ?? 1
            digest["ready"] = status["succeeded"] ?? 0
            digest["failed"] = status["failed"]
        case .cronJobs:
            digest["schedule"] = spec["schedule"]
            digest["desired"] = JSON(status["active"]?.array?.count ?? 0)
            digest["ready"] = digest["desired"]
        default:
            digest["desired"] = spec["replicas"] ?? 1
            digest["ready"] = status["readyReplicas"] ?? 0
            digest["updated"] = status["updatedReplicas"]
        }
        // An old ReplicaSet that nothing is left of would only be in the way.
        if resource == .replicaSets, digest["owner"] != nil, spec["replicas"]?.int == 0, (status["replicas"]?.int ?? 0) == 0 { return nil }
        digest["revision"] = JSON(object.metaAnnotations["deployment.kubernetes.io/revision"])
        if resource == .deployments { digest["rollout"] = JSON(rollout(object)) }
        if spec["paused"] == true || spec["suspend"] == true { digest["paused"] = true }
        return digest
    }

    private static func rollout(_ deployment: JSON) -> String {
        if let progress = condition(deployment, "Progressing"), progress["status"] == "False" { return "failed" }
        let spec = deployment["spec"] ?? .null
        let status = deployment["status"] ?? .null
        let desired = spec["replicas"]?.int ?? 1
        let isSeen = (status["observedGeneration"]?.int ?? 0) >= (deployment["metadata"]?["generation"]?.int ?? 0)
        let isDone =
            isSeen && (status["updatedReplicas"]?.int ?? 0) == desired && (status["replicas"]?.int ?? 0) == desired
            && (status["availableReplicas"]?.int ?? 0) == desired
        return isDone ? "complete" : "progressing"
    }

    private static func event(_ event: JSON) -> JSON {
        var digest: JSON = ["uid": JSON(event.metaUID), "namespace": JSON(event.metaNamespace ?? "")]
        digest["type"] = event["type"]
        digest["reason"] = event["reason"]
        digest["message"] = JSON(short(event["message"]?.string ?? event["note"]?.string ?? ""))
        let about = event["involvedObject"] ?? .null
        digest["kind"] = about["kind"]
        digest["object"] = about["name"]
        digest["count"] = event["count"] ?? 1
        digest["at"] =
            [event["lastTimestamp"], event["eventTime"], event["metadata"]?["creationTimestamp"]].compactMap { $0 }
            .first { $0.string != nil } ?? ""
        return digest
    }

    private static func condition(_ object: JSON, _ type: String) -> JSON? {
        object["status"]?["conditions"]?.array?.first { $0["type"]?.string == type }
    }

    private static func short(_ text: String) -> String { text.count <= messageLimit ? text : String(text.prefix(messageLimit)) + "…" }
}
