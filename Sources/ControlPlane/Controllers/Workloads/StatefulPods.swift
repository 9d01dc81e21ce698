// The pods and claims of a StatefulSet: names, numbers, and what makes a pod the one of its number.
internal import ClusterModel
internal import Essentials

enum StatefulPods {
    static let nameLabel = "statefulset.kubernetes.io/pod-name"
    static let indexLabel = "apps.kubernetes.io/pod-index"
    static let revisionLabel = "controller-revision-hash"

    static func name(_ set: JSON, _ ordinal: Int) -> String { "\(set.metaName)-\(ordinal)" }

    /// The number at the end of a pod's name, where the rest is the set's name.
    static func ordinal(_ pod: JSON, of set: JSON) -> Int? {
        let prefix = set.metaName + "-"
        guard pod.metaName.hasPrefix(prefix) else { return nil }
        let rest = pod.metaName.dropFirst(prefix.count)
        guard !rest.isEmpty, rest.allSatisfy({ $0.isASCII && $0.isNumber }), rest == "0" || !rest.hasPrefix("0") else { return nil }
        return Int(rest)
    }

    static func start(_ set: JSON) -> Int { set["spec"]?["ordinals"]?["start"]?.int ?? 0 }
    static func replicas(_ set: JSON) -> Int { set.specInt("replicas") ?? 1 }
    static func isParallel(_ set: JSON) -> Bool { set["spec"]?["podManagementPolicy"] == "Parallel" }
    static func isRolling(_ set: JSON) -> Bool { set["spec"]?["updateStrategy"]?["type"]?.string ?? "RollingUpdate" == "RollingUpdate" }
    static func partition(_ set: JSON) -> Int { set["spec"]?["updateStrategy"]?["rollingUpdate"]?["partition"]?.int ?? 0 }
    static func claimName(_ template: JSON, _ set: JSON, _ ordinal: Int) -> String { "\(template.metaName)-\(set.metaName)-\(ordinal)" }
    static func claimTemplates(_ set: JSON) -> [JSON] { set["spec"]?["volumeClaimTemplates"]?.array ?? [] }
    static func revision(_ pod: JSON) -> String { pod["metadata"]?["labels"]?[revisionLabel]?.string ?? "" }

    /// Whether claims go with the set, or with a number that is no longer wanted.
    static func deletesClaims(_ set: JSON, _ when: String) -> Bool {
        set["spec"]?["persistentVolumeClaimRetentionPolicy"]?[when] == "Delete"
    }

    /// The pod of a number, from the template of `revision` (the set's own or an earlier one).
    static func pod(_ set: JSON, template: JSON, ordinal: Int, revision: String, kind: OwnerKind) -> JSON {
        var pod = PodMaker.pod(from: template, owner: set, kind: kind)
        pod["metadata"]?["generateName"] = nil
        pod["metadata"]?["name"] = JSON(name(set, ordinal))
        identify(&pod, set, ordinal)
        pod[path: ["metadata", "labels", revisionLabel]] = JSON(revision)
        pod[path: ["spec", "hostname"]] = JSON(name(set, ordinal))
        if let service = set["spec"]?["serviceName"]?.string, !service.isEmpty { pod[path: ["spec", "subdomain"]] = JSON(service) }
        let claimed = Set(claimTemplates(set).map(\.metaName))
        if !claimed.isEmpty {
            let volumes: [JSON] = claimTemplates(set).map { template in
                [
                    "name": JSON(template.metaName),
                    "persistentVolumeClaim": ["claimName": JSON(claimName(template, set, ordinal)), "readOnly": false],
                ]
            }
            let others = (pod.spec["volumes"]?.array ?? []).filter { !claimed.contains($0["name"]?.string ?? "") }
            pod[path: ["spec", "volumes"]] = JSON(volumes + others)
        }
        return pod
    }

    private static func identify(_ pod: inout JSON, _ set: JSON, _ ordinal: Int) {
        pod[path: ["metadata", "labels", nameLabel]] = JSON(name(set, ordinal))
        pod[path: ["metadata", "labels", indexLabel]] = JSON(String(ordinal))
    }

    static func hasIdentity(_ pod: JSON, _ set: JSON, _ ordinal: Int) -> Bool {
        pod["metadata"]?["labels"]?[nameLabel]?.string == name(set, ordinal)
            && pod["metadata"]?["labels"]?[indexLabel]?.string == String(ordinal)
    }

    /// The claims that the pod of a number needs.
    static func claims(_ set: JSON, ordinal: Int) -> [JSON] {
        claimTemplates(set).map { template in
            var claim = template
            claim["apiVersion"] = "v1"
            claim["kind"] = "PersistentVolumeClaim"
            claim["status"] = nil
            claim["metadata"]?["name"] = JSON(claimName(template, set, ordinal))
            claim["metadata"]?["namespace"] = JSON(set.metaNamespace)
            var labels = template.metaLabels
            labels.merge(set["spec"]?["selector"]?["matchLabels"]?.strings ?? [:]) { _, selected in selected }
            claim["metadata"]?["labels"] = JSON(labels)
            return claim
        }
    }

    /// The owners a claim should have, by the set's retention policy: the set, the pod that is on its way out, or nobody.
    static func claimOwners(_ claim: JSON, _ set: JSON, _ pod: JSON?, isCondemned: Bool, kind: OwnerKind) -> [JSON] {
        var owners = claim.owners.filter { owner in
            owner["uid"]?.string != set.metaUID
                && !(owner["kind"] == "Pod" && owner["name"]?.string.map { $0.hasPrefix(set.metaName + "-") } ?? false)
        }
        let byScaling = deletesClaims(set, "whenScaled") && isCondemned
        if byScaling, let pod, !pod.metaUID.isEmpty {
            owners.append(["apiVersion": "v1", "kind": "Pod", "name": JSON(pod.metaName), "uid": JSON(pod.metaUID)])
        } else if deletesClaims(set, "whenDeleted") {
            owners.append(
                [
                    "apiVersion": JSON(kind.resource.apiVersion), "kind": JSON(kind.kind), "name": JSON(set.metaName),
                    "uid": JSON(set.metaUID),
                ])
        }
        return owners
    }
}
