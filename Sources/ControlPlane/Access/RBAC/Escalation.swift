// Nobody grants what they do not have: checks of writes to roles and bindings, and of what nodes write.
package import ClusterModel
package import Essentials
internal import Synchronization

extension Access {
    /// Throws 403 for a write of `object` that would give someone more than `user` has. `old`: the object before.
    package func checkWrite(_ object: JSON, old: JSON?, _ resource: GroupVersionResource, user: UserInfo) throws(ClusterProblem) {
        switch (resource.group, resource.resource) {
        case ("rbac.authorization.k8s.io", "roles"), ("rbac.authorization.k8s.io", "clusterroles"):
            guard settings.modes.contains(.roles) else { return }
            try checkRole(object, old, resource, user)
        case ("rbac.authorization.k8s.io", "rolebindings"), ("rbac.authorization.k8s.io", "clusterrolebindings"):
            guard settings.modes.contains(.roles) else { return }
            try checkBinding(object, old, resource, user)
        case ("", "nodes"), ("", "pods"):
            if let node = NodeAuthorizer.node(user) { try Self.checkNode(node, object, old, resource) }
        default: break
        }
    }

    private func isFree(_ user: UserInfo, _ verb: String, _ resource: GroupVersionResource, _ object: JSON, name: String) -> Bool {
        if user.groups.contains(Self.masters) { return true }
        let place = object.metaNamespace ?? ""
        return index.rules(of: user, namespace: place).allows(
            RequestAttributes(
                verb: verb, group: resource.group, version: resource.version, namespace: place, resource: resource.resource, name: name))
    }

    private func checkRole(_ role: JSON, _ old: JSON?, _ resource: GroupVersionResource, _ user: UserInfo) throws(ClusterProblem) {
        let isUnchanged = old.map { $0["rules"] == role["rules"] && $0["aggregationRule"] == role["aggregationRule"] } ?? false
        if isUnchanged || isFree(user, "escalate", resource, role, name: role.metaName) { return }
        var rules = PolicyRule.list(role)
        // What an aggregate will be made of, nobody knows.
        if let rule = role["aggregationRule"], !rule.isNull, old?["aggregationRule"] != rule {
            rules += [PolicyRule(line: "* * *"), PolicyRule(line: "* *")]
        }
        try demand(rules, resource, role, user)
    }

    private func checkBinding(_ binding: JSON, _ old: JSON?, _ resource: GroupVersionResource, _ user: UserInfo) throws(ClusterProblem) {
        let isUnchanged = old.map { $0["roleRef"] == binding["roleRef"] && $0["subjects"] == binding["subjects"] } ?? false
        if isUnchanged || user.groups.contains(Self.masters) { return }
        let kind = binding["roleRef"]?["kind"]?.string ?? ""
        let name = binding["roleRef"]?["name"]?.string ?? ""
        let role: GroupVersionResource = kind == "Role" ? .roles : .clusterRoles
        if isFree(user, "bind", role, binding, name: name) { return }
        guard let rules = index.rules(role: kind, name, namespace: binding.metaNamespace) else { throw .notFound(role, name) }
        try demand(rules, resource, binding, user)
    }

    /// Throws unless the user has all the rules.
    private func demand(
        _ rules: [PolicyRule], _ resource: GroupVersionResource, _ object: JSON, _ user: UserInfo
    ) throws(ClusterProblem) {
        let own = index.rules(of: user, namespace: object.metaNamespace ?? "").rules
        let missing = rules.filter { rule in !rule.parts.allSatisfy { part in own.contains { $0.covers(part) } } }
        guard !missing.isEmpty else { return }
        let groups = user.groups.map { "\"\($0)\"" }.joined(separator: " ")
        throw .forbidden(
            resource, object.metaName,
            "user \"\(user.name)\" (groups=[\(groups)]) is attempting to grant RBAC permissions not currently held:\n"
                + missing.map(\.compactText).sorted().joined(separator: "\n"))
    }

    /// What is written is the node's own. Deleting and status go through `demandMore`.
    private static func checkNode(
        _ node: String, _ object: JSON, _ old: JSON?, _ resource: GroupVersionResource
    ) throws(ClusterProblem) {
        if resource.resource == "nodes" {
            guard object.metaName == node else {
                throw .forbidden(resource, object.metaName, "node \"\(node)\" is not allowed to modify node \"\(object.metaName)\"")
            }
            return
        }
        guard old == nil else { return }
        guard object.metaAnnotations["kubernetes.io/config.mirror"] != nil else {
            throw .forbidden(
                resource, object.metaName,
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"\(node)\" can only create mirror pods")
        }
        guard object["spec"]?["nodeName"]?.string == node else {
            throw .forbidden(resource, object.metaName, "node \"\(node)\" can only create pods with spec.nodeName set to itself")
        }
        guard object["spec"]?["serviceAccountName"]?.string?.isEmpty ?? true else {
            throw .forbidden(resource, object.metaName, "node \"\(node)\" can not create pods that reference a service account")
        }
    }
}

extension PolicyRule {
    /// The rule as rules of one verb, group, resource and name each.
    fileprivate var parts: [PolicyRule] {
        var parts: [PolicyRule] = []
        for verb in verbs {
            for path in paths { parts.append(PolicyRule([verb], paths: [path])) }
            for group in groups {
                for resource in resources {
                    if names.isEmpty { parts.append(PolicyRule([verb], groups: [group], [resource])) }
                    for name in names { parts.append(PolicyRule([verb], groups: [group], [resource], names: [name])) }
                }
            }
        }
        return parts
    }

    /// Whether this rule allows all that `part`, one of `parts`, allows.
    fileprivate func covers(_ part: PolicyRule) -> Bool {
        guard let verb = part.verbs.first, verbs.contains("*") || verbs.contains(verb) else { return false }
        if let path = part.paths.first {
            return paths.contains { $0 == "*" || $0 == path || ($0.hasSuffix("*") && path.hasPrefix($0.dropLast())) }
        }
        guard let group = part.groups.first, let resource = part.resources.first, groups.contains("*") || groups.contains(group) else {
            return false
        }
        let hasResource = resources.contains { own in
            own == "*" || own == resource || (own.hasPrefix("*/") && resource.hasSuffix(own.dropFirst()) && !resource.hasPrefix("*"))
        }
        guard hasResource else { return false }
        if names.isEmpty { return true }
        return part.names.first.map(names.contains) ?? false
    }
}
