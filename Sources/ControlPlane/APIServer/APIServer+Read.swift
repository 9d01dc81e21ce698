// get, list and watch.
internal import ClusterModel
internal import ClusterStore
internal import Essentials
internal import Synchronization

/// The selectors of a request.
struct Selection: Sendable {
    let labels: LabelSelector
    let fields: FieldSelector
    var isEmpty: Bool { labels.isEmpty && fields.isEmpty }

    init(_ request: APIRequest, _ kind: Kind) throws(ClusterProblem) {
        labels = try LabelSelector(text: request.queryValue("labelSelector") ?? "")
        var fields = try FieldSelector(text: request.queryValue("fieldSelector") ?? "")
        if let unknown = fields.terms.first(where: { !kind.isSelectable($0.path) }) {
            throw .badRequest(
                "Unable to find \"\(kind.resource.apiVersion.replacingSlash), Resource=\(kind.resource.resource)\" that match label selector \"\(request.queryValue("labelSelector") ?? "")\", field selector \"\(request.queryValue("fieldSelector") ?? "")\": field label not supported: \(unknown.path)"
            )
        }
        if let names = kind.conversion?.fields {
            for index in fields.terms.indices {
                if let stored = names[fields.terms[index].path] { fields.terms[index].path = stored }
            }
        }
        self.fields = fields
    }

    /// The keys among which all that can match lie: one name's, where the selectors ask for one.
    func prefix(of target: ResourceTarget) -> String {
        let prefix = target.kind.storePrefix(namespace: target.namespace ?? fields.required("metadata.namespace"))
        let isOnePlace = !target.kind.isNamespaced || target.namespace != nil || fields.required("metadata.namespace") != nil
        return isOnePlace ? prefix + (target.name ?? fields.required("metadata.name") ?? "") : prefix
    }

    func matches(_ object: JSON) -> Bool { isEmpty || (fields.matches(object) && labels.matches(labelsOf: object)) }
}

extension String {
    /// `/v1` for the core group, `group/v1` otherwise, as Go prints a GroupVersion here.
    fileprivate var replacingSlash: String { contains("/") ? self : "/" + self }
}

extension APIServer {
    /// Objects a list holds at most when no limit is asked for is not bounded; a limit is taken up to this.
    static let listLimitObjects = 100_000

    func get(_ request: APIRequest, _ target: ResourceTarget) throws(ClusterProblem) -> APIResponse {
        try respond(object: existing(target), target.kind, to: request)
    }

    /// The object that the target names.
    func existing(_ target: ResourceTarget) throws(ClusterProblem) -> StoredObject {
        guard let object = try stored(target.key, target) else { throw .notFound(target.resource, target.name ?? "") }
        return object
    }

    func stored(_ key: String, _ target: ResourceTarget) throws(ClusterProblem) -> StoredObject? {
        do throws(StoreProblem) { return try store.get(key) } catch { throw ClusterProblem(error, target.resource, target.name ?? "") }
    }

    func list(_ request: APIRequest, _ target: ResourceTarget) throws(ClusterProblem) -> APIResponse {
        let rendering = try Rendering(request)
        let selection = try Selection(request, target.kind)
        let page = try ListPage(request)
        let prefix = selection.prefix(of: target)
        var found: StoredList
        do throws(StoreProblem) {
            found = try store.list(prefix: prefix, after: page.after, limit: selection.isEmpty ? page.limit : nil, at: page.revision)
        } catch {
            throw ClusterProblem(error, target.resource, "")
        }
        if !selection.isEmpty {
            found.objects = found.objects.filter { selection.matches($0.document) }
            if let limit = page.limit, found.objects.count > limit {
                found.objects.removeSubrange(limit...)
                found.hasMore = true
            }
        }
        var metadata: JSON = ["resourceVersion": JSON(String(found.revision))]
        if found.hasMore, let last = found.objects.last {
            metadata["continue"] = JSON(ListPage.token(revision: found.revision, after: last.key))
            if selection.isEmpty { metadata["remainingItemCount"] = JSON(found.remaining) }
        }
        if case .object = rendering, !request.wantsObjects, target.kind.conversion == nil {
            return APIResponse(status: 200, headers: Self.jsonHeaders, body: .bytes(Self.listBytes(found.objects, target.kind, metadata)))
        }
        return respond(
            rendering.list(found.objects.map(\.document), target.kind, metadata: metadata, at: clock.now()), status: 200, to: request)
    }

    /// A list put together from the bytes as they are stored.
    private static func listBytes(_ objects: [StoredObject], _ kind: Kind, _ metadata: JSON) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(objects.reduce(256) { $0 + $1.bytes.count + 1 })
        bytes.append(contentsOf: "{\"kind\":\"\(kind.listName)\",\"apiVersion\":\"\(kind.apiVersion)\",\"metadata\":".utf8)
        bytes.append(contentsOf: metadata.bytes)
        bytes.append(contentsOf: ",\"items\":[".utf8)
        for (index, object) in objects.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: object.bytes)
        }
        bytes.append(contentsOf: "]}\n".utf8)
        return bytes
    }
}

/// Where a list begins and ends: `limit`, `continue`, `resourceVersion`, `resourceVersionMatch`.
struct ListPage {
    var limit: Int?
    var after: String?
    var revision: Int64?

    init(_ request: APIRequest) throws(ClusterProblem) {
        if let text = request.queryValue("limit"), !text.isEmpty {
            guard let value = Int(text) else { throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax") }
            if value > 0 { limit = min(value, APIServer.listLimitObjects) }
        }
        let version = try Self.revision(request)
        if let token = request.queryValue("continue"), !token.isEmpty {
            guard version == nil || version == 0 else {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            guard let (at, key) = Self.parse(token: token) else { throw .badRequest("continue key is not valid") }
            after = key
            revision = at
        } else if request.queryValue("resourceVersionMatch") == "Exact" {
            guard let version, version > 0 else {
                throw .badRequest("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\" and empty")
            }
            revision = version
        }
    }

    static func revision(_ request: APIRequest) throws(ClusterProblem) -> Int64? {
        guard let text = request.queryValue("resourceVersion"), !text.isEmpty else { return nil }
        guard let value = Int64(text), value >= 0 else {
            throw .badRequest("resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing \"\(text)\": invalid syntax")
        }
        return value
    }

    static func token(revision: Int64, after key: String) -> String {
        let document: JSON = ["v": "meta.k8s.io/v1", "rv": JSON(revision), "start": JSON(key)]
        return Base64Text.encodeURL(document.bytes)
    }

    private static func parse(token: String) -> (Int64, String)? {
        guard let bytes = Base64Text.decode(token), let document = try? JSON(parsing: bytes), let revision = document["rv"]?.integer,
            let key = document["start"]?.string
        else { return nil }
        return (revision, key)
    }
}
