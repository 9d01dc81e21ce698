// What kubeadm writes into a fresh cluster besides the add-ons: its configuration, the public cluster-info, and roles.
package import Essentials
internal import Crypto
internal import Yaml

package struct ClusterObjects: Sendable {
    package let settings: ClusterSettings
    package init(settings: ClusterSettings) { self.settings = settings }

    private static let bootstrappers = "system:bootstrappers:kubeadm:default-node-token"
    private static let rbac = "rbac.authorization.k8s.io"

    package static func configMap(_ name: String, namespace: String = "kube-system", _ data: [String: String]) -> JSON {
        ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": JSON(name), "namespace": JSON(namespace)], "data": JSON(data)]
    }

    package static func clusterRole(_ name: String, _ rules: [JSON]) -> JSON {
        ["apiVersion": JSON(rbac + "/v1"), "kind": "ClusterRole", "metadata": ["name": JSON(name)], "rules": JSON(rules)]
    }

    package static func role(_ name: String, namespace: String, _ rules: [JSON]) -> JSON {
        [
            "apiVersion": JSON(rbac + "/v1"), "kind": "Role", "metadata": ["name": JSON(name), "namespace": JSON(namespace)],
            "rules": JSON(rules),
        ]
    }

    package static func rule(_ resources: [String], _ verbs: [String], groups: [String] = [""], names: [String] = []) -> JSON {
        var rule: JSON = ["apiGroups": JSON(groups), "resources": JSON(resources)]
        if !names.isEmpty { rule["resourceNames"] = JSON(names) }
        rule["verbs"] = JSON(verbs)
        return rule
    }

    package enum Subject {
        case group(String), user(String), account(String)
    }

    package static func binding(_ name: String, namespace: String? = nil, role: String, isClusterRole: Bool = true, _ subjects: [Subject])
        -> JSON
    {
        var metadata: JSON = ["name": JSON(name)]
        if let namespace { metadata["namespace"] = JSON(namespace) }
        return [
            "apiVersion": JSON(rbac + "/v1"), "kind": namespace == nil ? "ClusterRoleBinding" : "RoleBinding", "metadata": metadata,
            "roleRef": ["apiGroup": JSON(rbac), "kind": isClusterRole ? "ClusterRole" : "Role", "name": JSON(role)],
            "subjects": JSON(
                subjects.map { subject -> JSON in
                    switch subject {
                    case .group(let name): ["apiGroup": JSON(rbac), "kind": "Group", "name": JSON(name)]
                    case .user(let name): ["apiGroup": JSON(rbac), "kind": "User", "name": JSON(name)]
                    case .account(let name): ["kind": "ServiceAccount", "name": JSON(name), "namespace": "kube-system"]
                    }
                }),
        ]
    }

    /// admin.conf's group becomes an administrator.
    package var adminBinding: JSON { Self.binding("kubeadm:cluster-admins", role: "cluster-admin", [.group("kubeadm:cluster-admins")]) }

    /// The phase `upload-config`.
    package var configuration: [JSON] {
        let readers: [Subject] = [.group(Self.bootstrappers), .group("system:nodes")]
        return [
            Self.configMap("kubeadm-config", ["ClusterConfiguration": YAML.text(settings.clusterConfiguration)]),
            Self.role(
                "kubeadm:nodes-kubeadm-config", namespace: "kube-system", [Self.rule(["configmaps"], ["get"], names: ["kubeadm-config"])]),
            Self.binding(
                "kubeadm:nodes-kubeadm-config", namespace: "kube-system", role: "kubeadm:nodes-kubeadm-config", isClusterRole: false,
                readers),
            Self.configMap("kubelet-config", ["kubelet": YAML.text(settings.kubeletConfiguration)]),
            Self.role("kubeadm:kubelet-config", namespace: "kube-system", [Self.rule(["configmaps"], ["get"], names: ["kubelet-config"])]),
            Self.binding("kubeadm:kubelet-config", namespace: "kube-system", role: "kubeadm:kubelet-config", isClusterRole: false, readers),
        ]
    }

    /// Each sentence of the phase `bootstrap-token` with what it is about.
    package static let bootstrapRules: [(sentence: String, objects: [JSON])] = [
        (
            "Configured RBAC rules to allow Node Bootstrap tokens to get nodes",
            [
                clusterRole("kubeadm:get-nodes", [rule(["nodes"], ["get"])]),
                binding("kubeadm:get-nodes", role: "kubeadm:get-nodes", [.group(bootstrappers)]),
            ]
        ),
        (
            "Configured RBAC rules to allow Node Bootstrap tokens to post CSRs in order for nodes to get long term certificate credentials",
            [binding("kubeadm:kubelet-bootstrap", role: "system:node-bootstrapper", [.group(bootstrappers)])]
        ),
        (
            "Configured RBAC rules to allow the csrapprover controller automatically approve CSRs from a Node Bootstrap Token",
            [
                binding(
                    "kubeadm:node-autoapprove-bootstrap", role: "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
                    [.group(bootstrappers)])
            ]
        ),
        (
            "Configured RBAC rules to allow certificate rotation for all node client certificates in the cluster",
            [
                binding(
                    "kubeadm:node-autoapprove-certificate-rotation",
                    role: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", [.group("system:nodes")])
            ]
        ),
    ]

    /// The kubeconfig without a user that everybody may read.
    package func publicKubeconfig(authority: String) -> String {
        let document: JSON = [
            "apiVersion": "v1",
            "clusters": [
                [
                    "cluster": [
                        "certificate-authority-data": JSON(Base64.encode(Array(authority.utf8))),
                        "server": JSON("https://\(settings.server)"),
                    ], "name": "",
                ]
            ],
            "contexts": nil, "current-context": "", "kind": "Config", "preferences": .emptyObject, "users": nil,
        ]
        return YAML.text(document)
    }

    /// The ConfigMap `cluster-info`, signed by each token, and the right of everybody to read it.
    package func clusterInfo(authority: String) -> [JSON] {
        let kubeconfig = publicKubeconfig(authority: authority)
        var data = ["kubeconfig": kubeconfig]
        for token in settings.tokens where token.usages.contains("signing") {
            data["jws-kubeconfig-\(token.token.id)"] = token.token.signature(of: kubeconfig)
        }
        return [
            Self.configMap("cluster-info", namespace: "kube-public", data),
            Self.role(
                "kubeadm:bootstrap-signer-clusterinfo", namespace: "kube-public",
                [Self.rule(["configmaps"], ["get"], names: ["cluster-info"])]),
            Self.binding(
                "kubeadm:bootstrap-signer-clusterinfo", namespace: "kube-public", role: "kubeadm:bootstrap-signer-clusterinfo",
                isClusterRole: false, [.user("system:anonymous")]),
        ]
    }

    /// A Secret that holders of a bootstrap token may read, with the roles for it.
    package static func shared(_ name: String, role: String, annotations: [String: String] = [:], _ data: [String: String]) -> [JSON] {
        var metadata: JSON = ["name": JSON(name), "namespace": "kube-system"]
        if !annotations.isEmpty { metadata["annotations"] = JSON(annotations) }
        return [
            ["apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": JSON(data)],
            Self.role(role, namespace: "kube-system", [rule(["secrets"], ["get"], names: [name])]),
            binding(role, namespace: "kube-system", role: role, isClusterRole: false, [.group(bootstrappers)]),
        ]
    }

    static let adminSecret = "lectern-admin-kubeconfig"
    static let certificatesSecret = "kubeadm-certs"
}
