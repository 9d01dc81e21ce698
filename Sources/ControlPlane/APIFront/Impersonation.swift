// `Impersonate-User` and its kin: acting as someone else, where a role allows it.
internal import Access
internal import ClusterModel
internal import Essentials

struct Impersonation {
    private var name: String?
    private var uid = ""
    private var groups: [String] = []
    private var extra: [String: [String]] = [:]

    init(_ headers: [(String, String)]) {
        for (field, value) in headers {
            let field = field.lowercased()
            switch field {
            case "impersonate-user": name = value
            case "impersonate-uid": uid = value
            case "impersonate-group": groups.append(value)
            default:
                let prefix = "impersonate-extra-"
                if field.hasPrefix(prefix) {
                    let key = PathText.unescape(String(field.dropFirst(prefix.count))) ?? String(field.dropFirst(prefix.count))
                    extra[key, default: []].append(value)
                }
            }
        }
    }

    func user(askedBy asker: UserInfo, _ access: Access) async throws(ClusterProblem) -> UserInfo {
        guard let name, !name.isEmpty else {
            throw .badRequest("requested \(JSON(groups).text) without impersonating a user")
        }
        let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let isAccount = parts.count == 4 && name.hasPrefix("system:serviceaccount:")
        func demand(_ attributes: RequestAttributes) async throws(ClusterProblem) { try await access.authorize(asker, attributes) }
        if isAccount {
            try await demand(RequestAttributes(verb: "impersonate", namespace: parts[2], resource: "serviceaccounts", name: parts[3]))
        } else {
            try await demand(RequestAttributes(verb: "impersonate", resource: "users", name: name))
        }
        for group in groups { try await demand(RequestAttributes(verb: "impersonate", resource: "groups", name: group)) }
        let authentication = "authentication.k8s.io"
        for (key, values) in extra {
            for value in values {
                try await demand(
                    RequestAttributes(
                        verb: "impersonate", group: authentication, version: "v1", resource: "userextras", subresource: key, name: value))
            }
        }
        if !uid.isEmpty {
            try await demand(RequestAttributes(verb: "impersonate", group: authentication, version: "v1", resource: "uids", name: uid))
        }
        var all = groups
        if isAccount, groups.isEmpty { all = ["system:serviceaccounts", "system:serviceaccounts:" + parts[2]] }
        let usual = name == UserInfo.anonymous.name ? "system:unauthenticated" : "system:authenticated"
        if !all.contains("system:authenticated"), !all.contains("system:unauthenticated") { all.append(usual) }
        return UserInfo(name: name, groups: all, uid: uid, extra: extra)
    }
}
