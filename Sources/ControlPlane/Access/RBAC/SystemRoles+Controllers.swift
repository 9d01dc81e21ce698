// A role for each controller. Upstream runs each under a service account of its own; here the controller manager has them all too.

extension SystemRoles {
    static var controllers: [SystemRole] {
        table.map { name, rules in
            SystemRole("system:controller:" + name, rules).with {
                $0.accounts = [name]
                $0.users = ["system:kube-controller-manager"]
            }
        }
    }

    private static let table: [(String, [String])] = [
        (
            "attachdetach-controller",
            [
                "list,watch - persistentvolumeclaims,persistentvolumes", "get,list,watch - nodes", "patch,update - nodes/status",
                "list,watch - pods", events, "create,delete,get,list,watch storage.k8s.io volumeattachments",
                "get,list,watch storage.k8s.io csidrivers,csinodes",
            ]
        ),
        (
            "certificate-controller",
            [
                "delete,get,list,watch certificates.k8s.io certificatesigningrequests",
                "update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status",
                "approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet",
                "sign certificates.k8s.io signers kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown",
                "create authorization.k8s.io subjectaccessreviews", events,
            ]
        ),
        ("clusterrole-aggregation-controller", ["escalate,get,list,patch,update,watch rbac.authorization.k8s.io clusterroles"]),
        (
            "cronjob-controller",
            [
                "get,list,update,watch batch cronjobs", "create,delete,get,list,patch,update,watch batch jobs",
                "update batch cronjobs/status", "update batch cronjobs/finalizers", "delete,list,watch - pods", events,
            ]
        ),
        (
            "daemon-set-controller",
            [
                "get,list,watch apps,extensions daemonsets", "update apps,extensions daemonsets/status",
                "update apps,extensions daemonsets/finalizers", "list,watch - nodes", "create,delete,list,patch,watch - pods",
                "create - pods/binding", "create,delete,get,list,patch,update,watch apps controllerrevisions", events,
            ]
        ),
        (
            "deployment-controller",
            [
                "get,list,update,watch apps,extensions deployments", "update apps,extensions deployments/status",
                "update apps,extensions deployments/finalizers",
                "create,delete,get,list,patch,update,watch apps,extensions replicasets", "get,list,update,watch - pods", events,
            ]
        ),
        (
            "disruption-controller",
            [
                "get,list,watch apps,extensions deployments,replicasets", "get,list,watch - replicationcontrollers",
                "get,list,watch policy poddisruptionbudgets", "get,list,watch apps statefulsets",
                "update policy poddisruptionbudgets/status", "patch,update - pods/status", "get * */scale", events,
            ]
        ),
        (
            "endpoint-controller",
            [
                "get,list,watch - pods,services", "create,delete,get,list,update,watch - endpoints", "create - endpoints/restricted",
                events,
            ]
        ),
        (
            "endpointslice-controller",
            [
                "get,list,watch - nodes,pods,services", "update - services/finalizers",
                "create,delete,get,list,update,watch discovery.k8s.io endpointslices", events,
            ]
        ),
        (
            "endpointslicemirroring-controller",
            [
                "get,list,watch - endpoints,services", "update - services/finalizers", "update - endpoints/finalizers",
                "create,delete,get,list,update,watch discovery.k8s.io endpointslices", events,
            ]
        ),
        (
            "ephemeral-volume-controller",
            ["get,list,watch - pods", "update - pods/finalizers", "create,get,list,watch - persistentvolumeclaims", events]
        ),
        (
            "expand-controller",
            [
                "get,list,patch,update,watch - persistentvolumes", "patch,update - persistentvolumeclaims/status",
                "get,list,watch - persistentvolumeclaims", "get,list,watch storage.k8s.io storageclasses", events,
            ]
        ),
        ("generic-garbage-collector", ["delete,get,list,patch,update,watch * *", events]),
        (
            "horizontal-pod-autoscaler",
            [
                "get,list,watch autoscaling horizontalpodautoscalers", "update autoscaling horizontalpodautoscalers/status",
                "get,update * */scale", "list,watch - pods", "get,list metrics.k8s.io pods", events,
            ]
        ),
        (
            "job-controller",
            [
                "get,list,patch,update,watch batch jobs", "update batch jobs/status", "update batch jobs/finalizers",
                "create,delete,list,patch,watch - pods", events,
            ]
        ),
        (
            "namespace-controller",
            [
                "delete,get,list,watch - namespaces", "update - namespaces/finalize,namespaces/status",
                "delete,deletecollection,get,list,watch * *",
            ]
        ),
        (
            "node-controller",
            [
                "delete,get,list,patch,update,watch - nodes", "patch,update - nodes/status", "patch,update - pods/status",
                "delete,get,list,watch - pods", events,
            ]
        ),
        (
            "persistent-volume-binder",
            [
                "create,delete,get,list,update,watch - persistentvolumes", "update - persistentvolumes/status",
                "get,list,update,watch - persistentvolumeclaims", "update - persistentvolumeclaims/status",
                "create,delete,get,list,watch - pods", "get,list,watch storage.k8s.io storageclasses", "list,watch - nodes", events,
                "watch - events",
            ]
        ),
        ("pod-garbage-collector", ["delete,list,watch - pods", "get,list,watch - nodes", "patch - pods/status"]),
        ("pv-protection-controller", ["get,list,update,watch - persistentvolumes", events]),
        ("pvc-protection-controller", ["get,list,update,watch - persistentvolumeclaims", "get,list,watch - pods", events]),
        (
            "replicaset-controller",
            [
                "get,list,update,watch apps,extensions replicasets", "update apps,extensions replicasets/status",
                "update apps,extensions replicasets/finalizers", "create,delete,list,patch,watch - pods", events,
            ]
        ),
        (
            "replication-controller",
            [
                "get,list,update,watch - replicationcontrollers", "update - replicationcontrollers/status",
                "update - replicationcontrollers/finalizers", "create,delete,list,patch,watch - pods", events,
            ]
        ),
        ("resourcequota-controller", ["list,watch * *", "update - resourcequotas/status", events]),
        ("root-ca-cert-publisher", ["create,update - configmaps", events]),
        ("route-controller", ["list,watch - nodes", "patch - nodes/status", events]),
        ("service-account-controller", ["create - serviceaccounts", events]),
        ("service-controller", ["get,list,watch - services", "patch,update - services/status", "list,watch - nodes", events]),
        (
            "statefulset-controller",
            [
                "list,watch - pods", "get,list,watch apps statefulsets", "update apps statefulsets/status",
                "update apps statefulsets/finalizers", "create,delete,get,patch,update - pods",
                "create,delete,get,list,patch,update,watch apps controllerrevisions",
                "create,get,list,watch - persistentvolumeclaims", "delete,update - persistentvolumeclaims", "update - pods/finalizers",
                events,
            ]
        ),
        ("ttl-after-finished-controller", ["delete,get,list,watch batch jobs", events]),
        ("ttl-controller", ["list,patch,update,watch - nodes", events]),
        (
            "validatingadmissionpolicy-status-controller",
            [
                "get,list,watch admissionregistration.k8s.io validatingadmissionpolicies",
                "get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status", events,
            ]
        ),
        // Node leases are kept by nodes; the lifecycle controller looks at them.
        ("node-lease-reader", ["get,list,watch coordination.k8s.io leases"]),
        (
            "local-volume-provisioner",
            ["create,delete,get,list,patch,update,watch - persistentvolumes", "patch,update - persistentvolumeclaims"]
        ),
    ]
}
