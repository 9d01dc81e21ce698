// The roles and bindings that every cluster begins with, in a notation of one line a rule.
//
// `VERBS GROUPS RESOURCES [NAMES]`, each separated by commas; `-` is the core group, `read` and `write` stand for several verbs.
// `VERBS PATHS` is a rule about paths.
internal import ClusterModel
package import Essentials

/// A role as the cluster begins with it.
struct SystemRole {
    var name: String
    /// `nil`: of the cluster.
    var namespace: String?
    var rules: [PolicyRule]
    var labels: [String: String] = [:]
    /// The labels of the roles it is made of.
    var aggregates: [String] = []
    /// Who has it, and where another name is wanted, the binding's.
    var users: [String] = []
    var groups: [String] = []
    /// Service accounts of kube-system.
    var accounts: [String] = []
    var bindingNamespace: String?
    var bindingName: String?

    init(_ name: String, _ rules: [String], namespace: String? = nil) {
        self.name = name
        self.namespace = namespace
        self.rules = rules.map(PolicyRule.init(line:))
    }

    func with(_ change: (inout SystemRole) -> Void) -> SystemRole {
        var copy = self
        change(&copy)
        return copy
    }
}

extension PolicyRule {
    /// Reads the notation of this file.
    init(line: String) {
        let words = line.split(separator: " ").map { $0.split(separator: ",").map(String.init) }
        let verbs = words[0].flatMap { word -> [String] in
            switch word {
            case "read": ["get", "list", "watch"]
            case "write": ["create", "delete", "deletecollection", "patch", "update"]
            default: [word]
            }
        }
        if words.count == 2 {
            self.init(verbs, paths: words[1])
        } else {
            self.init(verbs, groups: words[1].map { $0 == "-" ? "" : $0 }, words[2], names: words.count > 3 ? words[3] : [])
        }
    }
}

package enum SystemRoles {
    private static let automatic = "rbac.authorization.kubernetes.io/autoupdate"
    static let bootstrapLabel = "kubernetes.io/bootstrapping"
    static let events = "create,patch,update -,events.k8s.io events"

    static var all: [SystemRole] { SystemRoles.people + SystemRoles.components + SystemRoles.controllers + SystemRoles.places }

    /// The rules by which a kubelet is judged apart from what its pods name.
    static let node: [PolicyRule] = (SystemRoles.components.first { $0.name == "system:node" })?.rules ?? []

    /// For a server that serves no roles: the index of these.
    static let index = RoleIndex(
        clusterRoles: documents.filter { $0["kind"] == "ClusterRole" }, roles: documents.filter { $0["kind"] == "Role" },
        clusterBindings: documents.filter { $0["kind"] == "ClusterRoleBinding" },
        bindings: documents.filter { $0["kind"] == "RoleBinding" })

    /// Roles before the bindings that name them.
    package static var documents: [JSON] {
        all.map(role) + all.filter { !($0.users + $0.groups + $0.accounts).isEmpty }.map(binding)
    }

    private static func metadata(_ name: String, _ namespace: String?, _ labels: [String: String]) -> JSON {
        var labels = labels
        labels[bootstrapLabel] = "rbac-defaults"
        var metadata: JSON = ["name": JSON(name), "annotations": [automatic: "true"], "labels": JSON(labels)]
        if let namespace { metadata["namespace"] = JSON(namespace) }
        return metadata
    }

    private static func role(_ role: SystemRole) -> JSON {
        var document: JSON = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": role.namespace == nil ? "ClusterRole" : "Role",
            "metadata": metadata(role.name, role.namespace, role.labels), "rules": JSON(role.rules.map(\.document)),
        ]
        if !role.aggregates.isEmpty {
            document["aggregationRule"] = [
                "clusterRoleSelectors": JSON(role.aggregates.map { ["matchLabels": [$0: "true"]] })
            ]
        }
        return document
    }

    private static func binding(_ role: SystemRole) -> JSON {
        let group = "rbac.authorization.k8s.io"
        let place = role.namespace ?? role.bindingNamespace
        var subjects: [JSON] = role.accounts.map { ["kind": "ServiceAccount", "name": JSON($0), "namespace": "kube-system"] }
        subjects += role.groups.map { ["apiGroup": JSON(group), "kind": "Group", "name": JSON($0)] }
        subjects += role.users.map { ["apiGroup": JSON(group), "kind": "User", "name": JSON($0)] }
        return [
            "apiVersion": JSON(group + "/v1"), "kind": place == nil ? "ClusterRoleBinding" : "RoleBinding",
            "metadata": metadata(role.bindingName ?? role.name, place, [:]),
            "roleRef": [
                "apiGroup": JSON(group), "kind": role.namespace == nil ? "ClusterRole" : "Role", "name": JSON(role.name),
            ], "subjects": JSON(subjects),
        ]
    }
}
