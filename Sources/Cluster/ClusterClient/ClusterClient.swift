// How components speak to an API server: typed verbs over a transport that may be in this process or far away.
//
// May touch: nothing but its transport. Callers: Labs, Kubelet, Scheduler, Controllers. No caller knows where the server is.
package import ClusterModel
package import Essentials

/// The items of a list and what to watch from.
package struct ObjectList: Sendable {
    package var items: [JSON]
    package var resourceVersion: String
    /// Where the next chunk begins, when a limit cut the list.
    package var continueToken: String?
}

/// Which objects a list or watch selects. Selectors have kubectl's syntax.
package struct ListOptions: Sendable {
    package var labelSelector: String?
    package var fieldSelector: String?
    package var resourceVersion: String?
    package var limit: Int?
    package var continueToken: String?
    package init(
        labelSelector: String? = nil, fieldSelector: String? = nil, resourceVersion: String? = nil, limit: Int? = nil,
        continueToken: String? = nil
    ) {
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.resourceVersion = resourceVersion
        self.limit = limit
        self.continueToken = continueToken
    }

    var query: [(String, String)] {
        var query: [(String, String)] = []
        if let labelSelector { query.append(("labelSelector", labelSelector)) }
        if let fieldSelector { query.append(("fieldSelector", fieldSelector)) }
        if let resourceVersion { query.append(("resourceVersion", resourceVersion)) }
        if let limit { query.append(("limit", String(limit))) }
        if let continueToken { query.append(("continue", continueToken)) }
        return query
    }
}

package enum PatchKind: String, Sendable {
    case json = "application/json-patch+json"
    case merge = "application/merge-patch+json"
    case strategic = "application/strategic-merge-patch+json"
    case apply = "application/apply-patch+yaml"
}

package struct DeleteOptions: Sendable {
    package var gracePeriodSeconds: Int?
    package var propagationPolicy: String?
    package var uid: String?
    package var resourceVersion: String?
    package init(gracePeriodSeconds: Int? = nil, propagationPolicy: String? = nil, uid: String? = nil, resourceVersion: String? = nil) {
        self.gracePeriodSeconds = gracePeriodSeconds
        self.propagationPolicy = propagationPolicy
        self.uid = uid
        self.resourceVersion = resourceVersion
    }

    var document: JSON {
        var options: JSON = ["kind": "DeleteOptions", "apiVersion": "v1"]
        if let gracePeriodSeconds { options["gracePeriodSeconds"] = JSON(gracePeriodSeconds) }
        if let propagationPolicy { options["propagationPolicy"] = JSON(propagationPolicy) }
        var preconditions: JSON = .emptyObject
        if let uid { preconditions["uid"] = JSON(uid) }
        if let resourceVersion { preconditions["resourceVersion"] = JSON(resourceVersion) }
        if preconditions != .emptyObject { options["preconditions"] = preconditions }
        return options
    }
}

/// A client acting as one user.
package struct ClusterClient: Sendable {
    package let transport: any ClusterTransport
    package let user: UserInfo

    package init(transport: any ClusterTransport, user: UserInfo = .system) {
        self.transport = transport
        self.user = user
    }

    package func get(_ resource: GroupVersionResource, namespace: String? = nil, name: String) async throws(ClusterProblem) -> JSON {
        try await document(APIRequest(method: "GET", path: resource.path(namespace: namespace, name: name), user: user))
    }

    package func list(
        _ resource: GroupVersionResource, namespace: String? = nil, options: ListOptions = ListOptions()
    ) async throws(ClusterProblem) -> ObjectList {
        let answer = try await document(
            APIRequest(method: "GET", path: resource.path(namespace: namespace), query: options.query, user: user))
        let metadata = answer["metadata"] ?? .null
        return ObjectList(
            items: answer["items"]?.array ?? [], resourceVersion: metadata["resourceVersion"]?.string ?? "",
            continueToken: metadata["continue"]?.string.flatMap { $0.isEmpty ? nil : $0 })
    }

    /// Creates `object` in `namespace`, or in the namespace its metadata names.
    package func create(
        _ resource: GroupVersionResource, namespace: String? = nil, _ object: JSON
    ) async throws(ClusterProblem) -> JSON {
        try await document(
            APIRequest(method: "POST", path: resource.path(namespace: namespace ?? object.metaNamespace), object: object, user: user))
    }

    /// Replaces the object; a `resourceVersion` in it must still be the current one.
    package func update(_ resource: GroupVersionResource, _ object: JSON) async throws(ClusterProblem) -> JSON {
        try await document(
            APIRequest(
                method: "PUT", path: resource.path(namespace: object.metaNamespace, name: object.metaName), object: object, user: user))
    }

    /// Replaces the status only.
    package func updateStatus(_ resource: GroupVersionResource, _ object: JSON) async throws(ClusterProblem) -> JSON {
        try await document(
            APIRequest(
                method: "PUT", path: resource.path(namespace: object.metaNamespace, name: object.metaName, subresource: "status"),
                object: object,
                user: user))
    }

    package func patch(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, _ kind: PatchKind = .merge, _ patch: JSON,
        subresource: String? = nil
    ) async throws(ClusterProblem) -> JSON {
        try await document(
            APIRequest(
                method: "PATCH", path: resource.path(namespace: namespace, name: name, subresource: subresource),
                query: kind == .apply ? [("fieldManager", user.name), ("force", "true")] : [], headers: [("content-type", kind.rawValue)],
                object: patch, user: user))
    }

    /// Asks for deletion. The answer is the object where it goes on for a while, or a `Status`.
    @discardableResult
    package func delete(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, options: DeleteOptions = DeleteOptions()
    ) async throws(ClusterProblem) -> JSON {
        try await document(
            APIRequest(method: "DELETE", path: resource.path(namespace: namespace, name: name), object: options.document, user: user))
    }

    /// Deletes all that the selectors select.
    package func deleteCollection(
        _ resource: GroupVersionResource, namespace: String? = nil, options: DeleteOptions = DeleteOptions(),
        selecting: ListOptions = ListOptions()
    ) async throws(ClusterProblem) {
        _ = try await document(
            APIRequest(
                method: "DELETE", path: resource.path(namespace: namespace), query: selecting.query, object: options.document, user: user))
    }

    /// Creates a subresource, such as a pod's `binding` or `eviction`.
    @discardableResult
    package func post(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, subresource: String, _ object: JSON
    ) async throws(ClusterProblem) -> JSON {
        try await document(
            APIRequest(
                method: "POST", path: resource.path(namespace: namespace, name: name, subresource: subresource), object: object, user: user)
        )
    }

    /// Reads, changes and replaces an object, and starts over when someone else was faster.
    ///
    /// `change` returns false when nothing is to be written.
    @discardableResult
    package func modify(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, status: Bool = false, attempts: Int = 8,
        _ change: @Sendable (inout JSON) -> Bool
    ) async throws(ClusterProblem) -> JSON {
        var remaining = attempts
        while true {
            var object = try await get(resource, namespace: namespace, name: name)
            guard change(&object) else { return object }
            do throws(ClusterProblem) {
                return try await status ? updateStatus(resource, object) : update(resource, object)
            } catch {
                remaining -= 1
                guard error.isConflict, remaining > 0 else { throw error }
            }
        }
    }

    /// Changes after `options.resourceVersion` ("" or `nil`: first an `added` for each object there is), bookmarks among
    /// them. Nothing is sent before the first element is asked for. The sequence throws a `ClusterProblem`; `isExpired` asks
    /// for a new list. It ends when the task is cancelled or the server closes.
    package func watch(
        _ resource: GroupVersionResource, namespace: String? = nil, options: ListOptions = ListOptions(), timeoutSeconds: Int? = nil
    ) -> WatchSequence {
        var query = options.query + [("watch", "true"), ("allowWatchBookmarks", "true")]
        if let timeoutSeconds { query.append(("timeoutSeconds", String(timeoutSeconds))) }
        let request = APIRequest(
            method: "GET", path: resource.path(namespace: namespace), query: query, wantsObjects: true, user: user)
        return WatchSequence(request: request, transport: transport)
    }

    /// What an answer that is no success says.
    static func problem(_ response: APIResponse) -> ClusterProblem {
        switch response.body {
        case .bytes(let bytes): ClusterProblem(status: (try? JSON(parsing: bytes)) ?? .null, httpStatus: response.status)
        case .object(let object): ClusterProblem(status: object, httpStatus: response.status)
        case .stream, .events: .internalError("the server answered with a stream")
        }
    }

    /// A watch by a request of the caller's own making, such as one for metadata only.
    package func watch(_ request: APIRequest) -> WatchSequence { WatchSequence(request: request, transport: transport) }

    /// Sends a request that has one document as its answer.
    package func document(_ request: APIRequest) async throws(ClusterProblem) -> JSON {
        var request = request
        request.wantsObjects = true
        let response = await transport.send(request)
        let document: JSON
        switch response.body {
        case .object(let object): document = object
        case .bytes(let bytes):
            do throws(JSONError) { document = try JSON(parsing: bytes) } catch {
                guard response.status >= 400 else { throw .internalError("the server's answer is not JSON") }
                document = .null
            }
        case .stream, .events: throw .internalError("the server answered with a stream")
        }
        guard response.status < 400 else { throw ClusterProblem(status: document, httpStatus: response.status) }
        return document
    }
}
