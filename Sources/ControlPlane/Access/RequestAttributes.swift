// What a request asks for, as authorization sees it: a verb on a resource, or on a path that is none.
package import ClusterModel
internal import Essentials

package struct RequestAttributes: Sendable, Hashable {
    package var verb: String
    package var isResource: Bool
    package var path: String
    package var group = ""
    package var version = ""
    package var namespace = ""
    package var resource = ""
    package var subresource = ""
    package var name = ""

    package init(verb: String, path: String) {
        self.verb = verb
        self.path = path
        isResource = false
    }

    package init(
        verb: String, group: String = "", version: String = "", namespace: String = "", resource: String, subresource: String = "",
        name: String = ""
    ) {
        self.verb = verb
        isResource = true
        path = ""
        self.group = group
        self.version = version
        self.namespace = namespace
        self.resource = resource
        self.subresource = subresource
        self.name = name
    }

    /// Reads method, path and query. Parts that do not decode stay as they are: no rule names them.
    package init(_ request: APIRequest) {
        self.init(verb: request.method.lowercased(), path: request.path)
        let parts = request.path.split(separator: "/").map { PathText.unescape(String($0)) ?? String($0) }
        var rest: ArraySlice<String>
        switch parts.first {
        case "api" where parts.count >= 3:
            version = parts[1]
            rest = parts[2...]
        case "apis" where parts.count >= 4:
            group = parts[1]
            version = parts[2]
            rest = parts[3...]
        default: return
        }
        isResource = true
        if rest.first == "watch", rest.count > 1 { rest = rest.dropFirst() }
        if rest.first == "namespaces", rest.count > 1 {
            namespace = rest[rest.startIndex + 1]
            if rest.count > 2, !(group.isEmpty && ["status", "finalize"].contains(rest[rest.startIndex + 2])) { rest = rest.dropFirst(2) }
        }
        resource = rest.first ?? ""
        name = rest.dropFirst().first ?? ""
        subresource = rest.dropFirst(2).first ?? ""
        verb = Self.verb(request, name: name)
        if name.isEmpty, verb == "list" || verb == "watch" || verb == "deletecollection" {
            name = Self.selectedName(request.queryValue("fieldSelector"))
        }
    }

    private static func verb(_ request: APIRequest, name: String) -> String {
        switch request.method {
        case "GET", "HEAD":
            guard name.isEmpty || request.queryValue("watch") != nil else { return "get" }
            if ["true", "1"].contains(request.queryValue("watch") ?? "") { return "watch" }
            return name.isEmpty ? "list" : "get"
        case "POST": return "create"
        case "PUT": return "update"
        case "PATCH": return "patch"
        case "DELETE": return name.isEmpty ? "deletecollection" : "delete"
        default: return request.method.lowercased()
        }
    }

    /// The one name that a field selector allows.
    private static func selectedName(_ selector: String?) -> String {
        guard let selector, selector.contains("metadata.name"), let fields = try? FieldSelector(text: selector) else { return "" }
        return fields.required("metadata.name") ?? ""
    }

    var groupResource: String { group.isEmpty ? resource : resource + "." + group }
    var wholeResource: String { subresource.isEmpty ? resource : resource + "/" + subresource }

    /// The 403 of upstream's wording. `reason` is what an authorizer adds.
    package func refusal(_ user: UserInfo, reason: String = "") -> ClusterProblem {
        let tail = reason.isEmpty ? "" : ": " + reason
        guard isResource else {
            return ClusterProblem(
                code: 403, reason: "Forbidden", message: "forbidden: User \"\(user.name)\" cannot \(verb) path \"\(path)\"\(tail)")
        }
        let place = namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(namespace)\""
        return .forbidden(
            GroupVersionResource(group: group, version: version, resource: resource), name,
            "User \"\(user.name)\" cannot \(verb) resource \"\(wholeResource)\" in API group \"\(group)\" \(place)\(tail)")
    }
}
