// All roles and bindings at one moment, by whom they speak of.
internal import ClusterModel
internal import Essentials
internal import Synchronization

/// A subject of a binding.
enum Subject: Hashable, Sendable {
    case user(String)
    case group(String)

    /// `nil` for kinds that nobody knows.
    init?(_ document: JSON, namespace: String?) {
        let name = document["name"]?.string ?? ""
        switch document["kind"]?.string {
        case "User": self = .user(name)
        case "Group": self = .group(name)
        case "ServiceAccount":
            guard let place = document["namespace"]?.string.flatMap({ $0.isEmpty ? nil : $0 }) ?? namespace else { return nil }
            self = .user("system:serviceaccount:\(place):\(name)")
        default: return nil
        }
    }
}

final class RoleIndex: Sendable {
    /// Rules by subject, in one namespace ("": everywhere).
    private typealias Grants = [String: [Subject: [String]]]

    /// Rules by the role's place and name: `NAMESPACE/NAME`, or `/NAME` of a cluster role.
    private let roles: [String: [PolicyRule]]
    private let grants: Grants
    /// Users whose rules are worked out; as many as there are active ones, so bounded.
    private static let cacheLimitUsers = 1024
    private let compiled = Mutex<[Asker: CompiledRules]>([:])

    private struct Asker: Hashable {
        var name: String
        var groups: [String]
        var namespace: String
    }

    /// Each argument: the objects as they are.
    init(clusterRoles: [JSON], roles: [JSON], clusterBindings: [JSON], bindings: [JSON]) {
        var rules: [String: [PolicyRule]] = [:]
        for role in clusterRoles {
            rules["/" + role.metaName] = Aggregation.selectors(role) == nil ? PolicyRule.list(role) : Aggregation.rules(role, clusterRoles)
        }
        for role in roles { rules[(role.metaNamespace ?? "") + "/" + role.metaName] = PolicyRule.list(role) }
        var grants: Grants = [:]
        for binding in clusterBindings + bindings {
            let place = binding.metaNamespace ?? ""
            let reference = binding["roleRef"] ?? .null
            let role = (reference["kind"]?.string == "Role" ? place : "") + "/" + (reference["name"]?.string ?? "")
            for document in binding["subjects"]?.array ?? [] {
                guard let subject = Subject(document, namespace: binding.metaNamespace) else { continue }
                grants[place, default: [:]][subject, default: []].append(role)
            }
        }
        self.roles = rules
        self.grants = grants
    }

    func rules(of user: UserInfo, namespace: String) -> CompiledRules {
        let asker = Asker(name: user.name, groups: user.groups, namespace: namespace)
        if let known = compiled.withLock({ $0[asker] }) { return known }
        var found: [PolicyRule] = []
        for place in namespace.isEmpty ? [""] : ["", namespace] {
            guard let bySubject = grants[place] else { continue }
            for subject in [.user(user.name)] + user.groups.map(Subject.group) {
                for role in bySubject[subject] ?? [] { found += roles[role] ?? [] }
            }
        }
        let rules = CompiledRules(found)
        compiled.withLock { cache in
            if cache.count >= Self.cacheLimitUsers { cache.removeAll() }
            cache[asker] = rules
        }
        return rules
    }

    /// The rules of a role that a binding names.
    func rules(role kind: String, _ name: String, namespace: String?) -> [PolicyRule]? {
        roles[(kind == "Role" ? namespace ?? "" : "") + "/" + name]
    }

    /// Roles that are named, but not there, among those bound to the user: said in refusals.
    func missingRoles(of user: UserInfo, namespace: String) -> [String] {
        var missing: [String] = []
        for place in namespace.isEmpty ? [""] : ["", namespace] {
            guard let bySubject = grants[place] else { continue }
            for subject in [.user(user.name)] + user.groups.map(Subject.group) {
                for role in bySubject[subject] ?? [] where roles[role] == nil {
                    let name = role.drop { $0 != "/" }.dropFirst()
                    missing.append("\(role.hasPrefix("/") ? "clusterrole" : "role").rbac.authorization.k8s.io \"\(name)\" not found")
                }
            }
        }
        return missing
    }
}

/// Cluster roles that are made of others.
enum Aggregation {
    /// `nil` for an ordinary role.
    static func selectors(_ role: JSON) -> [LabelSelector]? {
        guard let list = role["aggregationRule"]?["clusterRoleSelectors"]?.array else { return nil }
        return list.compactMap { try? LabelSelector(structured: $0) }
    }

    /// Aggregates may be made of aggregates; so deep they may be.
    private static let depthLimit = 4

    static func rules(_ role: JSON, _ all: [JSON], depth: Int = 0) -> [PolicyRule] {
        guard depth < depthLimit, let selectors = selectors(role) else { return PolicyRule.list(role) }
        var found: [PolicyRule] = []
        for other in all.sorted(by: { $0.metaName < $1.metaName }) where other.metaName != role.metaName {
            guard selectors.contains(where: { $0.matches(labelsOf: other) }) else { continue }
            for rule in rules(other, all, depth: depth + 1) where !found.contains(rule) { found.append(rule) }
        }
        return found
    }
}
