// Pods that a file on the node describes, and their mirrors: the objects by which the API server shows them.
internal import ClusterModel
package import Essentials

package enum StaticPods {
    package static let sourceAnnotation = "kubernetes.io/config.source"
    package static let seenAnnotation = "kubernetes.io/config.seen"
    package static let hashAnnotation = "kubernetes.io/config.hash"
    package static let mirrorAnnotation = "kubernetes.io/config.mirror"

    /// The Pod of a manifest as this node runs it; `hash` is of the file and names this version of it.
    package static func pod(_ manifest: JSON, nodeName: String, hash: String, seen: Timestamp) throws(PodRuntimeProblem) -> JSON {
        guard manifest["kind"]?.string == "Pod", manifest["apiVersion"]?.string == "v1" else {
            throw PodRuntimeProblem(reason: "InvalidManifest", message: "a manifest must be a Pod of version v1")
        }
        var pod = manifest
        let base = manifest.metaName
        guard !base.isEmpty, NameRules.subdomain(base).isEmpty else {
            throw PodRuntimeProblem(reason: "InvalidManifest", message: "metadata.name is missing or no DNS name")
        }
        guard !(manifest["spec"]?["containers"]?.array ?? []).isEmpty else {
            throw PodRuntimeProblem(reason: "InvalidManifest", message: "spec.containers is missing")
        }
        pod[path: ["metadata", "name"]] = JSON("\(base)-\(nodeName.lowercased())")
        if (pod.metaNamespace ?? "").isEmpty { pod[path: ["metadata", "namespace"]] = "default" }
        if pod.metaUID.isEmpty { pod[path: ["metadata", "uid"]] = JSON(hash) }
        var annotations = pod.metaAnnotations
        annotations[sourceAnnotation] = "file"
        annotations[hashAnnotation] = hash
        annotations[seenAnnotation] = seen.rfc3339Micro
        pod[path: ["metadata", "annotations"]] = JSON(annotations)
        pod[path: ["metadata", "creationTimestamp"]] = nil
        pod["status"] = nil
        pod[path: ["spec", "nodeName"]] = JSON(nodeName)
        var tolerations = pod["spec"]?["tolerations"]?.array ?? []
        let all: JSON = ["effect": "NoExecute", "operator": "Exists"]
        if !tolerations.contains(all) { tolerations.append(all) }
        pod[path: ["spec", "tolerations"]] = .array(tolerations)
        return pod
    }

    package static func isMirror(_ pod: JSON) -> Bool { pod.metaAnnotations[mirrorAnnotation] != nil }
    package static func isStatic(_ pod: JSON) -> Bool { pod.metaAnnotations[sourceAnnotation] == "file" && !isMirror(pod) }

    /// What is created in the API for `pod`; owned by the node, so that it goes with it.
    package static func mirror(of pod: JSON, nodeUID: String?) -> JSON {
        let hash = pod.metaAnnotations[hashAnnotation] ?? ""
        var annotations = pod.metaAnnotations
        annotations[mirrorAnnotation] = hash
        var metadata: JSON = [
            "name": JSON(pod.metaName), "namespace": JSON(pod.metaNamespace ?? "default"), "annotations": JSON(annotations),
        ]
        if !pod.metaLabels.isEmpty { metadata["labels"] = JSON(pod.metaLabels) }
        if let nodeUID, let node = pod["spec"]?["nodeName"]?.string {
            metadata["ownerReferences"] = [
                ["apiVersion": "v1", "kind": "Node", "name": JSON(node), "uid": JSON(nodeUID), "controller": true]
            ]
        }
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"] ?? .emptyObject]
    }

    /// Whether `mirror` shows this very version of `pod`.
    package static func matches(_ mirror: JSON, _ pod: JSON) -> Bool {
        mirror.metaAnnotations[mirrorAnnotation] == pod.metaAnnotations[hashAnnotation]
    }
}
