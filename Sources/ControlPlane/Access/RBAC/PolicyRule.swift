// Rules of roles: what they allow, as they stand in objects and as they are decided by.
internal import ClusterModel
package import Essentials

/// One rule of a role, as in `rules`.
package struct PolicyRule: Sendable, Hashable {
    package var verbs: [String]
    package var groups: [String]
    package var resources: [String]
    package var names: [String]
    package var paths: [String]

    package init(_ verbs: [String], groups: [String] = [""], _ resources: [String], names: [String] = []) {
        self.verbs = verbs
        self.groups = groups
        self.resources = resources
        self.names = names
        paths = []
    }

    package init(_ verbs: [String], paths: [String]) {
        self.verbs = verbs
        self.paths = paths
        groups = []
        resources = []
        names = []
    }

    init(_ document: JSON) {
        func list(_ key: String) -> [String] { (document[key]?.array ?? []).compactMap(\.string) }
        verbs = list("verbs")
        groups = list("apiGroups")
        resources = list("resources")
        names = list("resourceNames")
        paths = list("nonResourceURLs")
    }

    static func list(_ role: JSON) -> [PolicyRule] { (role["rules"]?.array ?? []).map(PolicyRule.init) }

    package var document: JSON {
        var result: JSON = .emptyObject
        if !groups.isEmpty { result["apiGroups"] = JSON(groups) }
        if !paths.isEmpty { result["nonResourceURLs"] = JSON(paths) }
        if !names.isEmpty { result["resourceNames"] = JSON(names) }
        if !resources.isEmpty { result["resources"] = JSON(resources) }
        result["verbs"] = JSON(verbs)
        return result
    }

    func allows(_ request: RequestAttributes) -> Bool {
        guard verbs.contains("*") || verbs.contains(request.verb) else { return false }
        guard request.isResource else { return allows(path: request.path) }
        return (groups.contains("*") || groups.contains(request.group))
            && allows(resource: request.resource, subresource: request.subresource) && (names.isEmpty || names.contains(request.name))
    }

    private func allows(resource: String, subresource: String) -> Bool {
        for rule in resources {
            if rule == "*" { return true }
            if subresource.isEmpty {
                if rule == resource { return true }
            } else if rule == resource + "/" + subresource || rule == "*/" + subresource {
                return true
            }
        }
        return false
    }

    private func allows(path: String) -> Bool {
        paths.contains { $0 == "*" || $0 == path || ($0.hasSuffix("*") && path.hasPrefix($0.dropLast())) }
    }

    /// As Go prints a rule in the refusal to grant it.
    var compactText: String {
        func quoted(_ values: [String]) -> String { "[" + values.map { "\"\($0)\"" }.joined(separator: " ") + "]" }
        var parts: [String] = []
        if !groups.isEmpty { parts.append("APIGroups:" + quoted(groups)) }
        if !resources.isEmpty { parts.append("Resources:" + quoted(resources)) }
        if !names.isEmpty { parts.append("ResourceNames:" + quoted(names)) }
        if !paths.isEmpty { parts.append("NonResourceURLs:" + quoted(paths)) }
        parts.append("Verbs:" + quoted(verbs))
        return "{" + parts.joined(separator: ", ") + "}"
    }
}

/// Many rules, sorted so that a request looks at few of them.
final class CompiledRules: Sendable {
    private struct Key: Hashable {
        var group: String
        var resource: String
    }

    let rules: [PolicyRule]
    private let byResource: [Key: [Int]]
    /// Rules that name all resources, or a subresource of all.
    private let wide: [Int]
    private let byPath: [Int]

    init(_ rules: [PolicyRule]) {
        self.rules = rules
        var byResource: [Key: [Int]] = [:]
        var wide: [Int] = []
        var byPath: [Int] = []
        for (index, rule) in rules.enumerated() {
            if !rule.paths.isEmpty { byPath.append(index) }
            if rule.groups.contains("*") || rule.resources.contains(where: { $0 == "*" || $0.hasPrefix("*/") }) {
                wide.append(index)
                continue
            }
            for group in rule.groups {
                for resource in rule.resources { byResource[Key(group: group, resource: resource), default: []].append(index) }
            }
        }
        self.byResource = byResource
        self.wide = wide
        self.byPath = byPath
    }

    func allows(_ request: RequestAttributes) -> Bool {
        guard request.isResource else { return byPath.contains { rules[$0].allows(request) } }
        let key = Key(group: request.group, resource: request.wholeResource)
        if let found = byResource[key], found.contains(where: { rules[$0].allows(request) }) { return true }
        return wide.contains { rules[$0].allows(request) }
    }
}
