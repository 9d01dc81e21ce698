// What happens to an object between its defaults and its validation: things the cluster decides for the client, and refusals.
//
// Steps may read the store and change the object; none writes. The host's API server has no steps, a lab's has all.
package import ClusterModel
internal import ClusterStore
package import Essentials

/// Refuses writes by who makes them, where roles alone do not say enough.
package protocol WriteReview: Sendable {
    /// `old`: the object before the write.
    func check(_ object: JSON, old: JSON?, _ resource: GroupVersionResource, user: UserInfo) throws(ClusterProblem)
}

/// What a lab's API server is told about its cluster.
package struct AdmissionSettings: Sendable {
    /// Where ClusterIPs come from.
    package var serviceRange: String
    package var nodePorts: ClosedRange<Int>
    /// Whether pods get a token of their service account.
    package var injectsServiceAccounts: Bool
    package var review: (any WriteReview)?

    package init(serviceRange: String = "10.96.0.0/12", nodePorts: ClosedRange<Int> = 30000...32767, injectsServiceAccounts: Bool = true) {
        self.serviceRange = serviceRange
        self.nodePorts = nodePorts
        self.injectsServiceAccounts = injectsServiceAccounts
    }
}

/// A write on its way through admission.
struct AdmissionRequest {
    let server: APIServer
    let settings: AdmissionSettings
    let user: UserInfo
    let kind: Kind
    let namespace: String?
    let subresource: String?
    /// The object before the write; `nil` where it is created.
    let old: JSON?
    /// Sentences for the client that do not stop the write.
    var warnings: [String] = []

    var isCreate: Bool { old == nil }

    func lookup(_ resource: GroupVersionResource, namespace: String? = nil, name: String) -> JSON? {
        guard let kind = server.schema.kind(resource) else { return nil }
        return (try? server.store.get(kind.storeKey(namespace: namespace, name: name)))?.document
    }

    func list(_ resource: GroupVersionResource, namespace: String? = nil) -> [JSON] {
        guard let kind = server.schema.kind(resource) else { return [] }
        return ((try? server.store.list(prefix: kind.storePrefix(namespace: namespace)))?.objects ?? []).map(\.document)
    }

    func forbidden(_ object: JSON, _ why: String) -> ClusterProblem { .forbidden(kind.resource, object.metaName, why) }
}

extension APIServer {
    /// Runs the steps for one object; answers with warnings.
    func admit(
        _ object: inout JSON, old: JSON?, _ request: APIRequest, _ target: ResourceTarget
    ) throws(ClusterProblem) -> [String] {
        guard let settings = admission else { return [] }
        try settings.review?.check(object, old: old, target.resource, user: request.user)
        var admission = AdmissionRequest(
            server: self, settings: settings, user: request.user, kind: target.kind, namespace: target.namespace,
            subresource: target.subresource, old: old)
        if target.subresource == "status" { return [] }
        switch target.kind.name {
        case "Pod":
            if old == nil {
                try PriorityAdmission.admit(&object, admission)
                try ServiceAccountAdmission.admit(&object, admission)
                TolerationAdmission.admit(&object)
                try LimitRangeAdmission.admit(&object, admission)
            }
            try PodSecurityAdmission.admit(object, &admission)
        case "PersistentVolumeClaim":
            if old == nil {
                StorageAdmission.admitClaim(&object, admission)
                try LimitRangeAdmission.admitClaim(object, admission)
            }
        case "PersistentVolume": if old == nil { StorageAdmission.protect(&object, "kubernetes.io/pv-protection") }
        case "Node": if old == nil { TolerationAdmission.admitNode(&object) }
        case "Service": try ServiceAllocation.admit(&object, admission)
        case "CustomResourceDefinition": if old == nil { StorageAdmission.protect(&object, APIServer.cleanupFinalizer) }
        case "CertificateSigningRequest": if old == nil { IdentityAdmission.admit(&object, admission) }
        case "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "CronJob", "ReplicationController":
            PodSecurityAdmission.warn(object, &admission)
        default: break
        }
        return admission.warnings
    }
}

/// Who asked for a certificate is the server's word, not the client's.
enum IdentityAdmission {
    static func admit(_ object: inout JSON, _ request: AdmissionRequest) {
        object[path: ["spec", "username"]] = JSON(request.user.name)
        object[path: ["spec", "groups"]] = JSON(request.user.groups)
    }
}

/// Claims and volumes do not go while they are in use, and a claim without a class gets the default one.
enum StorageAdmission {
    static let defaultClass = "storageclass.kubernetes.io/is-default-class"

    static func admitClaim(_ claim: inout JSON, _ request: AdmissionRequest) {
        protect(&claim, "kubernetes.io/pvc-protection")
        guard claim["spec"]?["storageClassName"] == nil else { return }
        let classes = request.list(.storageClasses).filter { $0.metaAnnotations[defaultClass] == "true" }
        let newest = classes.max {
            ($0["metadata"]?["creationTimestamp"]?.string ?? "") < ($1["metadata"]?["creationTimestamp"]?.string ?? "")
        }
        if let newest { claim[path: ["spec", "storageClassName"]] = JSON(newest.metaName) }
    }

    static func protect(_ object: inout JSON, _ finalizer: String) {
        let finalizers = object["metadata"]?["finalizers"]?.array ?? []
        if !finalizers.contains(JSON(finalizer)) { object["metadata"]?["finalizers"] = .array(finalizers + [JSON(finalizer)]) }
    }
}

/// How long pods stay on nodes that are not ready, and that new nodes begin as such.
enum TolerationAdmission {
    static let seconds = 300

    static func admit(_ pod: inout JSON) {
        var tolerations = pod["spec"]?["tolerations"]?.array ?? []
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let isTolerated = tolerations.contains { toleration in
                let its = toleration["key"]?.string ?? ""
                let effect = toleration["effect"]?.string ?? ""
                return (its == key || (its.isEmpty && toleration["operator"] == "Exists")) && (effect.isEmpty || effect == "NoExecute")
            }
            if isTolerated { continue }
            tolerations.append(["key": JSON(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": JSON(seconds)])
        }
        pod[path: ["spec", "tolerations"]] = .array(tolerations)
    }

    static func admitNode(_ node: inout JSON) {
        let taint: JSON = ["key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"]
        let taints = node["spec"]?["taints"]?.array ?? []
        if !taints.contains(where: { $0["key"] == taint["key"] && $0["effect"] == taint["effect"] }) {
            node[path: ["spec", "taints"]] = .array(taints + [taint])
        }
    }
}

enum PriorityAdmission {
    /// Classes every cluster has.
    static let builtIn = ["system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000]

    static func admit(_ pod: inout JSON, _ request: AdmissionRequest) throws(ClusterProblem) {
        var name = pod["spec"]?["priorityClassName"]?.string ?? ""
        var value = 0
        var policy: String?
        if name.isEmpty {
            let fallback = request.list(.priorityClasses).filter { $0["globalDefault"] == true }
                .min { ($0["value"]?.int ?? 0) < ($1["value"]?.int ?? 0) }
            if let fallback {
                name = fallback.metaName
                value = fallback["value"]?.int ?? 0
                policy = fallback["preemptionPolicy"]?.string
            }
        } else if let found = request.lookup(.priorityClasses, name: name) {
            value = found["value"]?.int ?? 0
            policy = found["preemptionPolicy"]?.string
        } else if let known = builtIn[name] {
            value = known
        } else {
            throw request.forbidden(pod, "no PriorityClass with name \(name) was found")
        }
        if let wanted = pod["spec"]?["priority"]?.int, wanted != value {
            throw request.forbidden(
                pod,
                "the integer value of priority (\(wanted)) must not be provided in pod spec; priority admission controller computed \(value) from the given PriorityClass name"
            )
        }
        if !name.isEmpty { pod[path: ["spec", "priorityClassName"]] = JSON(name) }
        pod[path: ["spec", "priority"]] = JSON(value)
        if pod["spec"]?["preemptionPolicy"] == nil { pod[path: ["spec", "preemptionPolicy"]] = JSON(policy ?? "PreemptLowerPriority") }
    }
}
