// System roles of the cluster's own programs and of the namespaces that they work in.

extension SystemRoles {
    static var components: [SystemRole] {
        [
            SystemRole(
                "system:node",
                [
                    "create authentication.k8s.io tokenreviews",
                    "create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews",
                    "read - services", "create,get,list,watch - nodes", "patch,update - nodes/status", "patch,update - nodes",
                    events, "read - pods", "create,delete - pods", "patch,update - pods/status", "create - pods/eviction",
                    "get,list,watch - configmaps,secrets", "get - persistentvolumeclaims,persistentvolumes", "get - endpoints",
                    "create,get,list,watch certificates.k8s.io certificatesigningrequests",
                    "create,delete,get,patch,update coordination.k8s.io leases", "get storage.k8s.io volumeattachments",
                    "create - serviceaccounts/token", "get,patch,update - persistentvolumeclaims/status",
                    "read storage.k8s.io csidrivers", "create,delete,get,patch,update storage.k8s.io csinodes",
                    "read node.k8s.io runtimeclasses",
                ]),
            SystemRole("system:node-problem-detector", ["get - nodes", "patch - nodes/status", events]),
            SystemRole(
                "system:node-proxier",
                ["list,watch - endpoints,services", "get,list,watch - nodes", events, "list,watch discovery.k8s.io endpointslices"]
            ).with { $0.users = ["system:kube-proxy"] },
            SystemRole(
                "system:kubelet-api-admin",
                ["get,list,watch - nodes", "proxy - nodes", "* - nodes/log,nodes/metrics,nodes/proxy,nodes/stats"]),
            SystemRole(
                "system:node-bootstrapper", ["create,get,list,watch certificates.k8s.io certificatesigningrequests"]),
            SystemRole(
                "system:auth-delegator",
                ["create authentication.k8s.io tokenreviews", "create authorization.k8s.io subjectaccessreviews"]),
            SystemRole("system:kube-aggregator", ["get,list,watch - endpoints,services"]),
            SystemRole(
                "system:kube-controller-manager",
                [
                    events, "create coordination.k8s.io leases", "get,update coordination.k8s.io leases kube-controller-manager",
                    "create - secrets,serviceaccounts", "delete - secrets", "get - configmaps,namespaces,secrets,serviceaccounts",
                    "update - secrets,serviceaccounts", "create authentication.k8s.io tokenreviews",
                    "create authorization.k8s.io subjectaccessreviews", "list,watch * *", "create - serviceaccounts/token",
                    // Whoever may watch all may do so in one watch.
                    "get /lectern/watch",
                ]
            ).with { $0.users = ["system:kube-controller-manager"] },
            SystemRole("system:kube-dns", ["list,watch - endpoints,services"]).with { $0.accounts = ["kube-dns"] },
            SystemRole(
                "system:kube-scheduler",
                [
                    events, "create coordination.k8s.io leases", "get,list,update,watch coordination.k8s.io leases kube-scheduler",
                    "get,list,watch - nodes", "delete,get,list,watch - pods", "create - bindings,pods/binding",
                    "patch,update - pods/status", "get,list,watch - replicationcontrollers,services",
                    "get,list,watch apps,extensions replicasets", "get,list,watch apps statefulsets",
                    "get,list,watch policy poddisruptionbudgets", "get,list,watch - persistentvolumeclaims,persistentvolumes",
                    "create authentication.k8s.io tokenreviews", "create authorization.k8s.io subjectaccessreviews",
                    "get,list,watch storage.k8s.io csinodes,csidrivers,csistoragecapacities", "list,watch - namespaces",
                ]
            ).with { $0.users = ["system:kube-scheduler"] },
            SystemRole(
                "system:volume-scheduler",
                [
                    "get,list,patch,update,watch - persistentvolumes", "get,list,watch storage.k8s.io storageclasses",
                    "get,list,patch,update,watch - persistentvolumeclaims",
                ]
            ).with { $0.users = ["system:kube-scheduler"] },
            SystemRole(
                "system:persistent-volume-provisioner",
                [
                    "create,delete,get,list,watch - persistentvolumes", "get,list,update,watch - persistentvolumeclaims",
                    "get,list,watch storage.k8s.io storageclasses", "watch - events", events,
                ]),
            SystemRole(
                "system:service-account-issuer-discovery",
                ["get /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/"]
            )
            .with { $0.groups = ["system:serviceaccounts"] },
            signer("system:certificates.k8s.io:certificatesigningrequests:nodeclient", "create", "certificatesigningrequests/nodeclient"),
            signer(
                "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "create",
                "certificatesigningrequests/selfnodeclient"),
            signer("system:certificates.k8s.io:kube-apiserver-client-approver", "approve", "signers kubernetes.io/kube-apiserver-client"),
            signer(
                "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", "approve",
                "signers kubernetes.io/kube-apiserver-client-kubelet"),
            signer("system:certificates.k8s.io:kubelet-serving-approver", "approve", "signers kubernetes.io/kubelet-serving"),
            signer("system:certificates.k8s.io:legacy-unknown-approver", "approve", "signers kubernetes.io/legacy-unknown"),
        ]
    }

    private static func signer(_ name: String, _ verb: String, _ rest: String) -> SystemRole {
        SystemRole(name, ["\(verb) certificates.k8s.io \(rest)"])
    }

    /// Roles in namespaces.
    static var places: [SystemRole] {
        let accounts = "system:controller:"
        return [
            SystemRole(
                "extension-apiserver-authentication-reader", ["get,list,watch - configmaps extension-apiserver-authentication"],
                namespace: "kube-system"
            )
            .with {
                $0.bindingName = "system::extension-apiserver-authentication-reader"
                $0.users = ["system:kube-controller-manager", "system:kube-scheduler"]
            },
            SystemRole(
                "system::leader-locking-kube-controller-manager",
                ["watch - configmaps", "get,update - configmaps kube-controller-manager"], namespace: "kube-system"
            )
            .with {
                $0.users = ["system:kube-controller-manager"]
                $0.accounts = ["kube-controller-manager"]
            },
            SystemRole(
                "system::leader-locking-kube-scheduler", ["watch - configmaps", "get,update - configmaps kube-scheduler"],
                namespace: "kube-system"
            )
            .with {
                $0.users = ["system:kube-scheduler"]
                $0.accounts = ["kube-scheduler"]
            },
            SystemRole(accounts + "bootstrap-signer", ["get,list,watch - secrets"], namespace: "kube-system").with {
                $0.accounts = ["bootstrap-signer"]
                $0.users = ["system:kube-controller-manager"]
            },
            SystemRole(accounts + "cloud-provider", ["create,get,list,watch - configmaps"], namespace: "kube-system").with {
                $0.accounts = ["cloud-provider"]
            },
            SystemRole(accounts + "token-cleaner", ["delete,get,list,watch - secrets", events], namespace: "kube-system").with {
                $0.accounts = ["token-cleaner"]
                $0.users = ["system:kube-controller-manager"]
            },
            SystemRole(
                accounts + "bootstrap-signer", ["get,list,watch - configmaps", "update - configmaps cluster-info", events],
                namespace: "kube-public"
            ).with {
                $0.accounts = ["bootstrap-signer"]
                $0.users = ["system:kube-controller-manager"]
            },
        ]
    }
}
