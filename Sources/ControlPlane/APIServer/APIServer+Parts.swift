// Subresources that change a part of an object: scale, a pod's ephemeral containers and resize, a request's approval.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

extension APIServer {
    /// Where an object keeps its number of replicas, and its selector as a string or as an object.
    struct ScalePaths: Sendable {
        var spec = ["spec", "replicas"]
        var status = ["status", "replicas"]
        var selector: [String]? = ["spec", "selector"]
    }

    func scale(_ request: APIRequest, _ target: ResourceTarget, _ paths: ScalePaths = ScalePaths()) async throws(ClusterProblem)
        -> APIResponse
    {
        switch request.method {
        case "GET", "HEAD": return respond(Self.scale(of: try existing(target).document, paths), status: 200, to: request)
        case "PUT", "PATCH": break
        default: throw .methodNotAllowed()
        }
        let change: @Sendable (JSON) throws(ClusterProblem) -> JSON
        var retries = true
        if request.method == "PUT" {
            let wanted = try body(request)
            retries = wanted.metaResourceVersion.isEmpty
            change = { _ throws(ClusterProblem) in wanted }
        } else {
            let patch = try partPatch(request)
            change = { (current) throws(ClusterProblem) in try patch(current, "Scale") }
        }
        var inner = request
        inner.wantsObjects = true
        inner.headers.removeAll { $0.0.lowercased() == "accept" }
        let answer = try await replace(inner, target, retries: retries) { (old) throws(ClusterProblem) in
            let wanted = try change(Self.scale(of: old, paths))
            let replicas = wanted["spec"]?["replicas"]?.integer ?? 0
            guard replicas >= 0 else {
                throw .invalid(
                    group: "autoscaling", kind: "Scale", name: old.metaName,
                    [.invalid("spec.replicas", String(replicas), "must be greater than or equal to 0")])
            }
            let version = wanted.metaResourceVersion
            if !version.isEmpty, version != old.metaResourceVersion { throw .conflict(target.resource, old.metaName) }
            var object = old
            object[path: paths.spec] = .integer(replicas)
            return object
        }
        guard case .object(let object) = answer.body, answer.status < 300 else { return answer }
        return respond(Self.scale(of: object, paths), status: 200, to: request)
    }

    private static func scale(of object: JSON, _ paths: ScalePaths) -> JSON {
        var metadata: JSON = .emptyObject
        for part in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] { metadata[part] = object["metadata"]?[part] }
        var status: JSON = ["replicas": object[path: paths.status] ?? 0]
        if let path = paths.selector, let selector = object[path: path] {
            if let text = selector.string {
                status["selector"] = JSON(text)
            } else if selector["matchLabels"] == nil, selector["matchExpressions"] == nil {
                status["selector"] = JSON(
                    selector.strings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","))
            } else {
                status["selector"] = JSON(SelectorText.text(selector))
            }
        }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": ["replicas": object[path: paths.spec] ?? 0], "status": status,
        ]
    }

    /// Changes just one part of an object; the rest of what the client sends counts for nothing.
    func changePart(
        _ request: APIRequest, _ target: ResourceTarget, _ take: @escaping @Sendable (JSON, JSON) throws(ClusterProblem) -> JSON
    ) async throws(ClusterProblem) -> APIResponse {
        switch request.method {
        case "GET", "HEAD": return try get(request, target)
        case "PUT":
            let decoded = try decode(try body(request), as: target.kind, try fieldValidation(request))
            return try await replace(
                request, target, warnings: decoded.warnings, retries: decoded.object.metaResourceVersion.isEmpty
            ) { (old) throws(ClusterProblem) in
                let version = decoded.object.metaResourceVersion
                if !version.isEmpty, version != old.metaResourceVersion { throw .conflict(target.resource, old.metaName) }
                return try take(old, target.kind.storable(decoded.object, as: schema.stored(target.kind)))
            }
        case "PATCH":
            let patch = try partPatch(request)
            return try await replace(request, target, retries: true) { (old) throws(ClusterProblem) in
                let new = try decode(try patch(target.kind.shown(old), target.kind.type), as: target.kind, .ignore).object
                return try take(old, target.kind.storable(new, as: schema.stored(target.kind)))
            }
        default: throw .methodNotAllowed()
        }
    }

    private func partPatch(_ request: APIRequest) throws(ClusterProblem) -> @Sendable (JSON, String) throws(ClusterProblem) -> JSON {
        let type = (request.header("content-type") ?? "").prefix { $0 != ";" }.filter { $0 != " " }
        let patch = try patchBody(request, type)
        let types = schema.types
        return { (old, name) throws(ClusterProblem) in
            do throws(PatchFailure) {
                switch type {
                case "application/json-patch+json": return try JSONPatch.apply(patch, to: old)
                case "application/merge-patch+json": return MergePatch.apply(patch, to: old)
                default: return try StrategicPatch(table: types).apply(patch, to: old, as: name)
                }
            } catch {
                throw .badRequest(error.message)
            }
        }
    }

    /// Debug containers are only ever added.
    func addEphemeralContainers(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        try await changePart(request, target) { (old, new) throws(ClusterProblem) in
            let before = old["spec"]?["ephemeralContainers"]?.array ?? []
            let after = new["spec"]?["ephemeralContainers"]?.array ?? []
            for container in before where !after.contains(where: { $0["name"] == container["name"] }) {
                throw .invalid(
                    group: "", kind: "Pod", name: old.metaName,
                    [
                        .forbidden(
                            "spec.ephemeralContainers",
                            "existing ephemeral containers \"\(container["name"]?.string ?? "")\" may not be removed\n")
                    ])
            }
            let others = ["initContainers", "containers"].flatMap { old["spec"]?[$0]?.array ?? [] }
            for (index, container) in after.enumerated() where others.contains(where: { $0["name"] == container["name"] }) {
                throw .invalid(
                    group: "", kind: "Pod", name: old.metaName,
                    [.duplicate("spec.ephemeralContainers[\(index)].name", container["name"]?.string ?? "")])
            }
            var object = old
            object[path: ["spec", "ephemeralContainers"]] = .array(after)
            return object
        }
    }

    /// Resources of running containers.
    func resize(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        try await changePart(request, target) { (old, new) throws(ClusterProblem) in
            var object = old
            guard var containers = old["spec"]?["containers"]?.array else { return old }
            for index in containers.indices {
                let wanted = (new["spec"]?["containers"]?.array ?? []).first { $0["name"] == containers[index]["name"] }
                containers[index]["resources"] = wanted?["resources"]
            }
            object[path: ["spec", "containers"]] = .array(containers)
            return object
        }
    }

    func approve(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let now = clock.now().rfc3339
        return try await changePart(request, target) { (old, new) throws(ClusterProblem) in
            var object = old
            let conditions = (new["status"]?["conditions"]?.array ?? []).map { condition in
                var condition = condition
                if condition["status"] == nil { condition["status"] = "True" }
                for part in ["lastUpdateTime", "lastTransitionTime"] where condition[part]?.string == nil { condition[part] = JSON(now) }
                return condition
            }
            object[path: ["status", "conditions"]] = .array(conditions)
            return object
        }
    }
}
