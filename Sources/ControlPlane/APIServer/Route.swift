// What a path means: a health check, a document of the server's own, or a resource.
internal import ClusterModel
internal import Essentials

/// A collection, an object or a subresource.
struct ResourceTarget: Sendable {
    var kind: Kind
    var namespace: String?
    var name: String?
    var subresource: String?
    var resource: GroupVersionResource { kind.resource }
    var key: String { kind.storeKey(namespace: namespace, name: name ?? "") }
}

enum Route {
    enum Document: Equatable {
        case paths, version, coreVersions, groups
        case group(String)
        case resources(group: String, version: String)
        case openAPI2, openAPI3
        case openAPI3Group(group: String, version: String)
    }
    case health(String)
    case document(Document)
    case resource(ResourceTarget)
    /// A watch over many kinds.
    case bundle

    /// Longer paths are refused.
    static let pathLimitBytes = 4096

    init(_ request: APIRequest, schema: Schema) throws(ClusterProblem) {
        guard request.path.utf8.count <= Self.pathLimitBytes else { throw .badRequest("the path is too long") }
        var parts: [String] = []
        for part in request.path.split(separator: "/", omittingEmptySubsequences: true) {
            guard let text = PathText.unescape(String(part)), !text.contains("/"), text != "..", !text.contains("\u{0}") else {
                throw .badRequest("the path is not valid")
            }
            parts.append(text)
        }
        switch parts.first {
        case nil: self = .document(.paths)
        case "version" where parts.count == 1: self = .document(.version)
        case "lectern" where parts == ["lectern", "watch"]: self = .bundle
        case "healthz", "livez", "readyz": self = .health(parts[0])
        case "openapi":
            if parts == ["openapi", "v2"] {
                self = .document(.openAPI2)
            } else if parts == ["openapi", "v3"] {
                self = .document(.openAPI3)
            } else if parts.count == 4, parts[2] == "api" {
                self = .document(.openAPI3Group(group: "", version: parts[3]))
            } else if parts.count == 5, parts[2] == "apis" {
                self = .document(.openAPI3Group(group: parts[3], version: parts[4]))
            } else {
                throw .noSuchPath
            }
        case "api":
            switch parts.count {
            case 1: self = .document(.coreVersions)
            case 2: self = .document(.resources(group: "", version: parts[1]))
            default: self = .resource(try Self.target(group: "", version: parts[1], parts[2...], schema))
            }
        case "apis":
            switch parts.count {
            case 1: self = .document(.groups)
            case 2: self = .document(.group(parts[1]))
            case 3: self = .document(.resources(group: parts[1], version: parts[2]))
            default: self = .resource(try Self.target(group: parts[1], version: parts[2], parts[3...], schema))
            }
        default: throw .noSuchPath
        }
    }

    private static func target(
        group: String, version: String, _ rest: ArraySlice<String>, _ schema: Schema
    ) throws(ClusterProblem) -> ResourceTarget {
        let parts = Array(rest)
        func kind(_ resource: String) throws(ClusterProblem) -> Kind {
            guard let kind = schema.kind(GroupVersionResource(group: group, version: version, resource: resource)) else {
                throw .noSuchPath
            }
            return kind
        }
        if parts[0] == "namespaces", parts.count >= 3, !(parts.count == 3 && ["status", "finalize"].contains(parts[2]) && group.isEmpty) {
            guard parts.count <= 5 else { throw .noSuchPath }
            let kind = try kind(parts[2])
            guard kind.isNamespaced else { throw .noSuchPath }
            return ResourceTarget(
                kind: kind, namespace: parts[1], name: parts.count > 3 ? parts[3] : nil, subresource: parts.count > 4 ? parts[4] : nil)
        }
        guard parts.count <= 3 else { throw .noSuchPath }
        let kind = try kind(parts[0])
        // A namespaced object is only found through its namespace; the collection of all namespaces is fine.
        if kind.isNamespaced, parts.count > 1 { throw .noSuchPath }
        return ResourceTarget(
            kind: kind, namespace: nil, name: parts.count > 1 ? parts[1] : nil, subresource: parts.count > 2 ? parts[2] : nil)
    }
}

/// Who may do what. So far: the masters everything, everyone else only what names no object.
enum Authorization {
    static func check(_ request: APIRequest, _ verb: String, _ target: ResourceTarget) throws(ClusterProblem) {
        let user = request.user
        if request.isAuthorized || user.groups.contains("system:masters") { return }
        var resource = target.resource.resource
        if let subresource = target.subresource { resource += "/" + subresource }
        let place =
            target.kind.isNamespaced && target.namespace != nil ? "in the namespace \"\(target.namespace ?? "")\"" : "at the cluster scope"
        throw .forbidden(
            target.resource, target.name ?? "",
            "User \"\(user.name)\" cannot \(verb) resource \"\(resource)\" in API group \"\(target.resource.group)\" \(place)")
    }

    static func checkPath(_ request: APIRequest) throws(ClusterProblem) {
        if request.isAuthorized { return }
        if request.user.groups.contains(where: { $0 == "system:masters" || $0 == "system:authenticated" }) { return }
        if request.path == "/version" || request.path == "/version/" { return }
        throw ClusterProblem(
            code: 403, reason: "Forbidden",
            message: "forbidden: User \"\(request.user.name)\" cannot \(request.method.lowercased()) path \"\(request.path)\"")
    }
}
