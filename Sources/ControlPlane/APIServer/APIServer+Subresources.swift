// Subresources of their own kind: a pod's log, binding and eviction, and a namespace's finalize.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

extension APIServer {
    func logs(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let pod = try existing(target).document
        var options = PodLogOptions()
        func flag(_ name: String) -> Bool { ["true", "1"].contains(request.queryValue(name) ?? "") }
        func number(_ name: String) throws(ClusterProblem) -> Int? {
            guard let text = request.queryValue(name), !text.isEmpty else { return nil }
            guard let value = Int(text), value >= 0 else {
                throw .invalid(
                    group: "", kind: "PodLogOptions", name: "", [.invalid(name, text, "must be greater than or equal to 0")])
            }
            return value
        }
        options.follow = flag("follow")
        options.previous = flag("previous")
        options.timestamps = flag("timestamps")
        options.tailLines = try number("tailLines")
        options.sinceSeconds = try number("sinceSeconds")
        options.limitBytes = try number("limitBytes")
        if let text = request.queryValue("sinceTime"), !text.isEmpty {
            guard let time = Timestamp(rfc3339: text) else { throw .badRequest("sinceTime is not a time: \(text)") }
            options.sinceTime = time
        }
        options.container = try container(request.queryValue("container") ?? "", of: pod)
        guard let node = pod["spec"]?["nodeName"]?.string, !node.isEmpty else {
            // A pod without a node has no log yet, which is no error upstream either.
            return APIResponse(status: 200, headers: [("content-type", "text/plain")], body: .bytes([]))
        }
        guard let proxy = nodes.proxy(of: node) else {
            throw .internalError("the node \(node) cannot be asked for the log now")
        }
        return APIResponse(
            status: 200, headers: [("content-type", "text/plain"), ("cache-control", "no-cache, private")],
            body: try await proxy.logs(of: pod, options))
    }

    private func container(_ wanted: String, of pod: JSON) throws(ClusterProblem) -> String {
        let spec = pod["spec"] ?? .null
        let names = ["initContainers", "containers", "ephemeralContainers"].map { list in
            (spec[list]?.array ?? []).compactMap { $0["name"]?.string }
        }
        if wanted.isEmpty {
            if names[1].count == 1, names[0].isEmpty { return names[1][0] }
            if let usual = pod.metaAnnotations["kubectl.kubernetes.io/default-container"] { return usual }
            if names[1].count == 1 { return names[1][0] }
            throw .badRequest(
                "a container name must be specified for pod \(pod.metaName), choose one of: [\(names[1].joined(separator: " "))]")
        }
        guard names.contains(where: { $0.contains(wanted) }) else {
            throw .badRequest("container \(wanted) is not valid for pod \(pod.metaName)")
        }
        return wanted
    }

    func bind(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let binding = try body(request)
        guard let node = binding["target"]?["name"]?.string, !node.isEmpty else {
            throw .invalid(group: "", kind: "Binding", name: target.name ?? "", [.required("target.name")])
        }
        var attempts = Self.conflictAttempts
        while true {
            let old = try existing(target)
            let pod = try Self.bound(old.document, to: node, binding, target, at: clock.now())
            if try Self.isDryRun(request, binding) { break }
            do throws(StoreProblem) {
                _ = try await store.update(old, pod)
                break
            } catch {
                attempts -= 1
                if case .changed = error, attempts > 0 { continue }
                throw ClusterProblem(error, target.resource, target.name ?? "")
            }
        }
        return respond(
            ["kind": "Status", "apiVersion": "v1", "metadata": .emptyObject, "status": "Success", "code": 201], status: 201, to: request)
    }

    /// The pod that a binding of its own names.
    func pod(of request: APIRequest, _ target: ResourceTarget) throws(ClusterProblem) -> ResourceTarget {
        ResourceTarget(kind: .pod, namespace: target.namespace, name: try body(request).metaName, subresource: "binding")
    }

    private static func bound(
        _ old: JSON, to node: String, _ binding: JSON, _ target: ResourceTarget, at now: Timestamp
    ) throws(ClusterProblem) -> JSON {
        if old.isBeingDeleted {
            throw .conflict(target.resource, old.metaName, "pod \(old.metaName) is being deleted, cannot be assigned to a host")
        }
        if let current = old["spec"]?["nodeName"]?.string, !current.isEmpty {
            throw .conflict(target.resource, old.metaName, "pod \(old.metaName) is already assigned to node \"\(current)\"")
        }
        if let uid = binding["metadata"]?["uid"]?.string, !uid.isEmpty, uid != old.metaUID {
            throw .conflict(
                target.resource, old.metaName, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(old.metaUID)")
        }
        var pod = old
        pod["spec"]?["nodeName"] = JSON(node)
        for (key, value) in binding["metadata"]?["annotations"]?.members ?? [] { pod[path: ["metadata", "annotations", key]] = value }
        let scheduled: JSON = ["type": "PodScheduled", "status": "True", "lastProbeTime": .null, "lastTransitionTime": JSON(now.rfc3339)]
        var conditions = pod["status"]?["conditions"]?.array ?? []
        conditions.removeAll { $0["type"] == "PodScheduled" }
        pod[path: ["status", "conditions"]] = .array(conditions + [scheduled])
        return pod
    }

    func evict(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let eviction = try body(request)
        let options = eviction["deleteOptions"] ?? .null
        let deletion = Deletion(
            graceSeconds: options["gracePeriodSeconds"]?.int, uid: options["preconditions"]?["uid"]?.string, resourceVersion: nil,
            isDryRun: try Self.isDryRun(request, options))
        _ = try await delete(target, deletion)
        return respond(
            ["kind": "Status", "apiVersion": "v1", "metadata": .emptyObject, "status": "Success", "code": 201], status: 201, to: request)
    }

    /// Takes the names of those who are done out of a namespace's finalizers; removes it with the last one.
    func finalize(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        let wanted = try decode(try body(request), as: target.kind, .ignore).object
        var attempts = Self.conflictAttempts
        while true {
            let old = try existing(target)
            let version = wanted.metaResourceVersion
            guard version.isEmpty || version == old.document.metaResourceVersion else {
                throw .conflict(target.resource, target.name ?? "")
            }
            var object = old.document
            object[path: ["spec", "finalizers"]] = wanted["spec"]?["finalizers"]
            do throws(StoreProblem) {
                let stored = try await Self.isFinished(object, target.kind) ? store.delete(old, object) : store.update(old, object)
                return respond(stored.document, status: 200, to: request)
            } catch {
                attempts -= 1
                if case .changed = error, version.isEmpty, attempts > 0 { continue }
                throw ClusterProblem(error, target.resource, target.name ?? "")
            }
        }
    }
}
