// delete: at once, after a grace period, or when the last finalizer is done.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

/// The options of a deletion, from the body or the query.
struct Deletion {
    var graceSeconds: Int?
    var uid: String?
    var resourceVersion: String?
    var isDryRun: Bool
    /// What becomes of dependents; `nil`: as the kind and the object's finalizers have it.
    var propagation: Propagation?

    enum Propagation: String { case background = "Background", foreground = "Foreground", orphan = "Orphan" }
}

extension APIServer {
    func delete(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let deletion = try deletion(request)
        let outcome = try await delete(target, deletion)
        let keepsPods = collectsGarbage && deletion.propagation == nil && target.kind.name == "Job" && target.kind.orphansByDefault
        let warnings = keepsPods ? [Self.jobWarning] : []
        switch outcome {
        case .waiting(let object):
            return respond(
                try Rendering(request).apply(object, target.kind, at: clock.now()), status: 200, to: request, warnings: warnings)
        case .gone(let object):
            var details: JSON = ["name": JSON(object.metaName), "kind": JSON(target.resource.resource), "uid": JSON(object.metaUID)]
            if !target.resource.group.isEmpty { details["group"] = JSON(target.resource.group) }
            return respond(
                ["kind": "Status", "apiVersion": "v1", "metadata": .emptyObject, "status": "Success", "details": details], status: 200,
                to: request)
        }
    }

    func deleteCollection(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        guard !target.kind.isNamespaced || target.namespace != nil else { throw .methodNotAllowed() }
        let deletion = try deletion(request)
        let selection = try Selection(request, target.kind)
        let list: StoredList
        do throws(StoreProblem) { list = try store.list(prefix: target.kind.storePrefix(namespace: target.namespace)) } catch {
            throw ClusterProblem(error, target.resource, "")
        }
        var deleted: [JSON] = []
        for object in list.objects.map(\.document) where selection.matches(object) {
            var one = target
            one.name = object.metaName
            do throws(ClusterProblem) {
                switch try await delete(one, deletion) {
                case .waiting(let last), .gone(let last): deleted.append(last)
                }
            } catch {
                if !error.isNotFound { throw error }
            }
        }
        let metadata: JSON = ["resourceVersion": JSON(String(store.revision))]
        return respond(try Rendering(request).list(deleted, target.kind, metadata: metadata, at: clock.now()), status: 200, to: request)
    }

    enum DeletionOutcome {
        case waiting(JSON)
        case gone(JSON)
    }

    func deletion(_ request: APIRequest) throws(ClusterProblem) -> Deletion {
        var options: JSON = .null
        if request.object != nil || !request.body.isEmpty { options = try body(request) }
        var grace = options["gracePeriodSeconds"]?.int
        if grace == nil, let text = request.queryValue("gracePeriodSeconds"), !text.isEmpty {
            guard let seconds = Int(text) else { throw .badRequest("gracePeriodSeconds is not a number: \(text)") }
            grace = seconds
        }
        if let grace, grace < 0 { throw .badRequest("gracePeriodSeconds: Invalid value: \(grace): must be non-negative") }
        return Deletion(
            graceSeconds: grace, uid: options["preconditions"]?["uid"]?.string,
            resourceVersion: options["preconditions"]?["resourceVersion"]?.string,
            isDryRun: try Self.isDryRun(request, options), propagation: try Self.propagation(request, options))
    }

    private static func propagation(_ request: APIRequest, _ options: JSON) throws(ClusterProblem) -> Deletion.Propagation? {
        let orphans = options["orphanDependents"]?.bool ?? request.queryValue("orphanDependents").map { $0 == "true" }
        guard let text = options["propagationPolicy"]?.string ?? request.queryValue("propagationPolicy"), !text.isEmpty else {
            return orphans.map { $0 ? .orphan : .background }
        }
        if orphans != nil {
            throw .invalid(
                group: "meta.k8s.io", kind: "DeleteOptions", name: "",
                [.invalid("propagationPolicy", text: text, "orphanDependents and deletionPropagation cannot be both set")])
        }
        guard let policy = Deletion.Propagation(rawValue: text) else {
            throw .invalid(
                group: "meta.k8s.io", kind: "DeleteOptions", name: "",
                [.unsupported("propagationPolicy", text, ["Foreground", "Background", "Orphan", "nil"])])
        }
        return policy
    }

    func delete(_ target: ResourceTarget, _ deletion: Deletion) async throws(ClusterProblem) -> DeletionOutcome {
        var attempts = Self.conflictAttempts
        while true {
            let old = try existing(target)
            try Self.check(deletion, old.document, target)
            let (object, isLast) = mark(old.document, target.kind, deletion)
            if deletion.isDryRun { return isLast ? .gone(object) : .waiting(object) }
            if !isLast, object.isSame(as: old.document) { return .waiting(old.document) }
            do throws(StoreProblem) {
                let stored = try await isLast ? store.delete(old, object) : store.update(old, object)
                return isLast ? .gone(stored.document) : .waiting(stored.document)
            } catch {
                attempts -= 1
                if case .changed = error, attempts > 0 { continue }
                throw ClusterProblem(error, target.resource, target.name ?? "")
            }
        }
    }

    private static func check(_ deletion: Deletion, _ object: JSON, _ target: ResourceTarget) throws(ClusterProblem) {
        if let uid = deletion.uid, uid != object.metaUID {
            throw .conflict(
                target.resource, object.metaName, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(object.metaUID)")
        }
        if let version = deletion.resourceVersion, version != object.metaResourceVersion {
            throw .conflict(
                target.resource, object.metaName,
                "Precondition failed: ResourceVersion in precondition: \(version), ResourceVersion in object meta: \(object.metaResourceVersion)"
            )
        }
    }

    /// The object as the deletion leaves it, and whether it is removed at once.
    private func mark(_ old: JSON, _ kind: Kind, _ deletion: Deletion) -> (object: JSON, isLast: Bool) {
        var object = old
        if collectsGarbage {
            let finalizers = Self.finalizers(old, kind, deletion)
            if finalizers != old.metaFinalizers {
                object["metadata"]?["finalizers"] = finalizers.isEmpty ? Optional<JSON>.none : JSON(finalizers)
            }
        }
        let now = clock.now()
        var grace = 0
        if kind.name != "Namespace", let usual = kind.gracePeriod(old) {
            grace = usual == 0 ? 0 : deletion.graceSeconds ?? usual
            // A pod that is on a node stays until the node says that it is gone, however little time it was given;
            // only an explicit 0 removes it at once. (Upstream removes it at once for a 0 in the specification too.)
            if usual == 0, deletion.graceSeconds == nil, kind.holdsNode(old) { grace = 1 }
        }
        if let running = old["metadata"]?["deletionGracePeriodSeconds"]?.int, old.isBeingDeleted {
            // A second request can only shorten the time.
            guard grace < running else { return (object, Self.isFinished(object, kind)) }
        } else if old.isBeingDeleted, kind.name != "Namespace" {
            return (object, Self.isFinished(object, kind))
        }
        if !old.isBeingDeleted || grace > 0 || kind.gracePeriod(old) != nil {
            let start = old.isBeingDeleted ? old["metadata"]?["deletionTimestamp"]?.string.flatMap(Timestamp.init(rfc3339:)) ?? now : now
            let end = old.isBeingDeleted && grace == 0 ? min(start, now) : now.adding(seconds: Int64(grace))
            object["metadata"]?["deletionTimestamp"] = JSON(end.rfc3339)
            object["metadata"]?["deletionGracePeriodSeconds"] = kind.name == "Namespace" ? nil : JSON(grace)
        }
        if kind.name == "Namespace" {
            object["status"] = (object["status"] ?? .emptyObject)
            object["status"]?["phase"] = "Terminating"
        }
        return (object, Self.isFinished(object, kind))
    }
}

extension APIServer {
    private static let jobWarning =
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"

    /// Whether a garbage collector runs beside this server: in a lab's cluster, not on the host.
    private var collectsGarbage: Bool { schema.kind(.replicaSets) != nil }

    /// The object's finalizers with those that make the garbage collector treat its dependents as the deletion says.
    private static func finalizers(_ old: JSON, _ kind: Kind, _ deletion: Deletion) -> [String] {
        let had = old.metaFinalizers
        var policy = deletion.propagation
        if policy == nil, had.contains("orphan") { policy = .orphan }
        if policy == nil, had.contains("foregroundDeletion") { policy = .foreground }
        if policy == nil, !old.isBeingDeleted, kind.orphansByDefault { policy = .orphan }
        var finalizers = had.filter { $0 != "orphan" && $0 != "foregroundDeletion" }
        if policy == .orphan { finalizers.append("orphan") }
        if policy == .foreground { finalizers.append("foregroundDeletion") }
        return Set(finalizers) == Set(had) ? had : finalizers
    }
}

extension Kind {
    /// Kinds whose dependents stay when a deletion does not say otherwise, as they did before there was a choice.
    fileprivate var orphansByDefault: Bool {
        (name == "Job" && resource.group == "batch") || (name == "ReplicationController" && resource.group.isEmpty)
    }

    /// Whether the object is a pod that some node runs.
    fileprivate func holdsNode(_ object: JSON) -> Bool {
        guard name == "Pod", !(object["spec"]?["nodeName"]?.string?.isEmpty ?? true) else { return false }
        let phase = object["status"]?["phase"]?.string
        return phase != "Failed" && phase != "Succeeded"
    }
}
