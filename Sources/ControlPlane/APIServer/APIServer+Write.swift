// create, update and patch.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

extension APIServer {
    func create(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let kind = target.kind
        guard !kind.isNamespaced || target.namespace != nil else { throw .methodNotAllowed() }
        let decoded = try decode(try body(request), as: kind, try fieldValidation(request))
        return try await create(decoded.object, request, target, warnings: decoded.warnings)
    }

    private func create(
        _ document: JSON, _ request: APIRequest, _ target: ResourceTarget, warnings: [String], isApply: Bool = false
    ) async throws(ClusterProblem) -> APIResponse {
        let kind = schema.stored(target.kind)
        let document = target.kind.storable(document, as: kind)
        var object = document
        let writer = fieldWriter(request, target, isApply: isApply)
        if !object.metaResourceVersion.isEmpty {
            throw .badRequest("resourceVersion should not be set on objects to be created")
        }
        try begin(&object, target)
        let prefix = object["metadata"]?["generateName"]?.string ?? ""
        let isGenerated = object.metaName.isEmpty && !prefix.isEmpty
        var attempts = isGenerated ? 8 : 1
        while true {
            if isGenerated { object["metadata"]?["name"] = JSON(String(prefix.prefix(58)) + Identifier.short(length: 5)) }
            var complete = object
            self.complete(&complete, kind)
            kind.prepareCreate(&complete)
            try checkNamespace(complete, target)
            let notes = warnings + (try admit(&complete, old: nil, request, target))
            try check(complete, kind, named: target.kind)
            if tracksFields {
                let manager = FieldManager(table: schema.types, type: kind.type)
                if isApply {
                    let applied: JSON
                    do throws(ApplyConflicts) {
                        applied = try manager.apply(document, to: nil, by: writer, force: true, at: clock.now())
                    } catch {
                        throw .internalError(error.message)
                    }
                    complete["metadata"]?["managedFields"] = applied["metadata"]?["managedFields"]
                } else {
                    complete = manager.recordUpdate(complete, from: nil, by: writer, at: clock.now())
                }
            }
            let isDryRun = try Self.isDryRun(request)
            let reservation = try quota.reserve(complete, kind, store: store)
            defer { quota.release(reservation) }
            if isDryRun {
                return respond(
                    try Rendering(request).apply(complete, target.kind, at: clock.now()), status: 201, to: request, warnings: notes)
            }
            do throws(StoreProblem) {
                let stored = try await store.create(kind.storeKey(namespace: target.namespace, name: complete.metaName), complete)
                return try respondCreated(stored, target.kind, request, notes)
            } catch {
                attempts -= 1
                if case .exists = error, attempts > 0 { continue }
                throw ClusterProblem(error, target.resource, complete.metaName)
            }
        }
    }

    private func respondCreated(_ stored: StoredObject, _ kind: Kind, _ request: APIRequest, _ warnings: [String]) throws(StoreProblem)
        -> APIResponse
    {
        do throws(ClusterProblem) { return try respond(object: stored, kind, status: 201, to: request, warnings: warnings) } catch {
            return respond(error, to: request)
        }
    }

    /// Sets what the server decides about a new object.
    private func begin(_ object: inout JSON, _ target: ResourceTarget) throws(ClusterProblem) {
        if target.kind.isNamespaced {
            if let own = object.metaNamespace, !own.isEmpty, own != target.namespace {
                throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
            }
            object["metadata"]?["namespace"] = JSON(target.namespace)
        } else {
            object["metadata"]?["namespace"] = nil
        }
        for part in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "managedFields"] {
            object["metadata"]?[part] = nil
        }
        object["metadata"]?["uid"] = JSON(Identifier.uuid())
        object["metadata"]?["creationTimestamp"] = JSON(clock.now().rfc3339)
        object["metadata"]?["generation"] = target.kind.hasGeneration ? 1 : nil
    }

    /// New objects need a namespace that is there and stays.
    private func checkNamespace(_ object: JSON, _ target: ResourceTarget) throws(ClusterProblem) {
        guard target.kind.isNamespaced, let name = target.namespace else { return }
        let namespace = ResourceTarget(kind: .namespace, namespace: nil, name: name, subresource: nil)
        let found = try existing(namespace)
        guard found.document.isBeingDeleted || found.document["status"]?["phase"] == "Terminating" else { return }
        var problem = ClusterProblem.forbidden(
            target.resource, object.metaName, "unable to create new content in namespace \(name) because it is being terminated")
        problem.causes = [
            FieldCause(reason: "NamespaceTerminating", field: "metadata.namespace", message: "namespace \(name) is being terminated")
        ]
        throw problem
    }

    func update(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let decoded = try decode(try body(request), as: target.kind, try fieldValidation(request))
        guard decoded.object.metaName == target.name ?? "" else {
            throw .badRequest(
                "the name of the object (\(decoded.object.metaName)) does not match the name on the URL (\(target.name ?? ""))")
        }
        let object = target.kind.storable(decoded.object, as: schema.stored(target.kind))
        return try await replace(request, target, warnings: decoded.warnings, retries: object.metaResourceVersion.isEmpty) { _ in object }
    }

    /// Puts `make(old)` in the place of the old object, and starts over while `retries` allows it.
    func replace(
        _ request: APIRequest, _ target: ResourceTarget, warnings: [String] = [], retries: Bool, isApply: Bool = false,
        _ make: (JSON) throws(ClusterProblem) -> JSON
    ) async throws(ClusterProblem) -> APIResponse {
        var attempts = retries ? Self.conflictAttempts : 1
        while true {
            let old = try existing(target)
            var object = try prepare(try make(old.document), from: old.document, target, isApply: isApply)
            let notes = warnings + (try admit(&object, old: old.document, request, target))
            // What a subresource of its own changes is not for the rules of the whole object to forbid.
            let isPart = ["ephemeralcontainers", "resize"].contains(target.subresource)
            try check(object, schema.stored(target.kind), old: isPart ? nil : old.document, named: target.kind)
            if tracksFields, !isApply, target.subresource != "status" {
                object = FieldManager(table: schema.types, type: schema.stored(target.kind).type).recordUpdate(
                    object, from: old.document, by: fieldWriter(request, target, isApply: false), at: clock.now())
            }
            if object.isSame(as: old.document) { return try respond(object: old, target.kind, to: request, warnings: notes) }
            if try Self.isDryRun(request) {
                return respond(
                    try Rendering(request).apply(object, target.kind, at: clock.now()), status: 200, to: request, warnings: notes)
            }
            do throws(StoreProblem) {
                let isLast = Self.isFinished(object, target.kind)
                let stored = try await isLast ? store.delete(old, object) : store.update(old, object)
                return try respondUpdated(stored, target.kind, request, notes)
            } catch {
                attempts -= 1
                if case .changed = error, attempts > 0 { continue }
                throw ClusterProblem(error, target.resource, target.name ?? "")
            }
        }
    }

    private func respondUpdated(_ stored: StoredObject, _ kind: Kind, _ request: APIRequest, _ warnings: [String]) throws(StoreProblem)
        -> APIResponse
    {
        do throws(ClusterProblem) { return try respond(object: stored, kind, to: request, warnings: warnings) } catch {
            return respond(error, to: request)
        }
    }

    /// The new object as it may be stored over the old one.
    private func prepare(_ new: JSON, from old: JSON, _ target: ResourceTarget, isApply: Bool) throws(ClusterProblem) -> JSON {
        let kind = schema.stored(target.kind)
        let version = new.metaResourceVersion
        guard version.isEmpty || version == "0" || version == old.metaResourceVersion else {
            throw .conflict(target.resource, target.name ?? "")
        }
        guard new.metaUID.isEmpty || new.metaUID == old.metaUID else {
            throw .conflict(
                target.resource, target.name ?? "",
                "Precondition failed: UID in precondition: \(new.metaUID), UID in object meta: \(old.metaUID)")
        }
        var object = new
        if target.subresource == "status" {
            object = old
            object["status"] = new["status"]
            if isApply { object["metadata"]?["managedFields"] = new["metadata"]?["managedFields"] }
            Defaulting(table: schema.types).apply(to: &object, as: kind.type)
        } else {
            if kind.hasStatus, target.subresource != "approval" { object["status"] = old["status"] }
            if kind.name == "Namespace" { object["spec"] = old["spec"] }
            MetadataRules.preserve(in: &object, from: old)
            kind.prepareUpdate(&object, old)
            complete(&object, kind)
            if let generation = old["metadata"]?["generation"]?.integer, !(object["spec"] ?? .null).isSame(as: old["spec"] ?? .null) {
                object["metadata"]?["generation"] = JSON(generation + 1)
            }
        }
        object["metadata"]?["resourceVersion"] = JSON(old.metaResourceVersion)
        return object
    }

    /// Whether an object that is being deleted has nothing left to wait for.
    static func isFinished(_ object: JSON, _ kind: Kind) -> Bool {
        guard object.isBeingDeleted, object.metaFinalizers.isEmpty else { return false }
        if kind.name == "Namespace" { return object["spec"]?["finalizers"]?.array?.isEmpty ?? true }
        return object["metadata"]?["deletionGracePeriodSeconds"]?.integer ?? 0 == 0
    }

    func patch(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let type = (request.header("content-type") ?? "").prefix { $0 != ";" }.trimmed
        let patch = try patchBody(request, type)
        let kind = target.kind
        if kind.customSchema != nil, type == "application/strategic-merge-patch+json" {
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            )
        }
        let validation = try fieldValidation(request)
        if type == "application/apply-patch+yaml", try stored(target.key, target) == nil {
            let decoded = try decode(patch, as: kind, validation)
            var fresh = decoded.object
            if fresh.metaName.isEmpty { fresh["metadata"]?["name"] = JSON(target.name) }
            try Self.checkApplied(fresh)
            return try await create(fresh, request, target, warnings: decoded.warnings, isApply: true)
        }
        if type == "application/apply-patch+yaml", tracksFields {
            return try await apply(patch, request, target, validation)
        }
        let types = schema.types
        // A patch that names a resourceVersion means just that version.
        let retries = patch["metadata"]?["resourceVersion"] == nil
        var warnings: [String] = []
        if case .object = patch, validation == .warn {
            var decoding = Decoding(table: types)
            if (try? decoding.decode(patch, as: kind.type)) != nil {
                warnings = decoding.unknownFields.filter { !$0.contains("$") }.map { "unknown field \"\($0)\"" }
            }
        }
        return try await replace(request, target, warnings: warnings, retries: retries) { (stored) throws(ClusterProblem) in
            let old = kind.shown(stored)
            let patched: JSON
            do throws(PatchFailure) {
                switch type {
                case "application/json-patch+json": patched = try JSONPatch.apply(patch, to: old)
                case "application/merge-patch+json": patched = MergePatch.apply(patch, to: old)
                default: patched = try StrategicPatch(table: types).apply(patch, to: old, as: kind.type)
                }
            } catch {
                if error.isUnprocessable {
                    throw ClusterProblem(
                        code: 422, reason: "Invalid",
                        message: "the server rejected our request due to an error in our request: \(error.message)")
                }
                throw .badRequest(error.message)
            }
            let decoded = try decode(patched, as: kind, validation == .strict ? .strict : .ignore)
            guard decoded.object.metaName == old.metaName else {
                throw .badRequest(
                    "the name of the object (\(decoded.object.metaName)) does not match the name on the URL (\(old.metaName))")
            }
            return kind.storable(decoded.object, as: schema.stored(kind))
        }
    }

    func patchBody(_ request: APIRequest, _ type: String) throws(ClusterProblem) -> JSON {
        let known = [
            "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ]
        guard known.contains(type) else {
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: \(known.joined(separator: ", "))")
        }
        if type == "application/apply-patch+yaml", request.queryValue("fieldManager")?.isEmpty ?? true {
            throw .badRequest("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
        }
        var request = request
        if request.object == nil { request.headers = [("content-type", type.hasSuffix("yaml") ? "application/yaml" : "application/json")] }
        return try body(request)
    }
}
