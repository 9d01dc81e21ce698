// `--audit-policy-file`: which requests are logged. Levels above Metadata count as Metadata.
internal import Access
package import ClusterModel
internal import Essentials
internal import Yaml

package struct AuditPolicy: Sendable {
    private struct Rule: Sendable {
        var isLogged: Bool
        var users: [String]
        var groups: [String]
        var verbs: [String]
        var namespaces: [String]
        var resources: [(group: String, names: [String])]
        var paths: [String]

        func matches(_ request: RequestAttributes, _ user: UserInfo) -> Bool {
            guard users.isEmpty || users.contains(user.name), groups.isEmpty || groups.contains(where: user.groups.contains),
                verbs.isEmpty || verbs.contains(request.verb)
            else { return false }
            if !resources.isEmpty || !namespaces.isEmpty {
                guard request.isResource, namespaces.isEmpty || namespaces.contains(request.namespace) else { return false }
                return resources.isEmpty || resources.contains { $0.group == request.group && Self.names($0.names, request) }
            }
            if !paths.isEmpty {
                return !request.isResource
                    && paths.contains { $0 == request.path || ($0.hasSuffix("*") && request.path.hasPrefix($0.dropLast())) }
            }
            return true
        }

        private static func names(_ names: [String], _ request: RequestAttributes) -> Bool {
            let whole = request.subresource.isEmpty ? request.resource : request.resource + "/" + request.subresource
            return names.isEmpty
                || names.contains { $0 == "*" || $0 == whole || $0 == "*/" + request.subresource || $0 == request.resource + "/*" }
        }
    }

    private let rules: [Rule]

    /// Everything is logged.
    package init() { rules = [] }

    package init(text: [UInt8]) throws(ClusterProblem) {
        let document: JSON
        do throws(YAMLProblem) { document = try YAML.document(text) } catch { throw .badRequest("the audit policy: \(error.message)") }
        guard document["kind"] == "Policy" else { throw .badRequest("the audit policy is not of kind Policy") }
        func list(_ value: JSON?) -> [String] { (value?.array ?? []).compactMap(\.string) }
        rules = (document["rules"]?.array ?? []).map { rule in
            Rule(
                isLogged: rule["level"] != "None", users: list(rule["users"]), groups: list(rule["userGroups"]), verbs: list(rule["verbs"]),
                namespaces: list(rule["namespaces"]),
                resources: (rule["resources"]?.array ?? []).map { ($0["group"]?.string ?? "", list($0["resources"])) },
                paths: list(rule["nonResourceURLs"]))
        }
    }

    func logs(_ request: RequestAttributes, _ user: UserInfo) -> Bool {
        if rules.isEmpty { return true }
        return rules.first { $0.matches(request, user) }?.isLogged ?? false
    }
}
