// System roles for people: administrators, editors and viewers, and what everyone may do.

extension SystemRoles {
    private static let aggregate = "rbac.authorization.k8s.io/aggregate-to-"

    static var people: [SystemRole] {
        [
            SystemRole("cluster-admin", ["* * *", "* *"]).with { $0.groups = ["system:masters"] },
            SystemRole(
                "system:discovery",
                ["get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"]
            ).with { $0.groups = ["system:authenticated"] },
            SystemRole("system:public-info-viewer", ["get /healthz,/livez,/readyz,/version,/version/"]).with {
                $0.groups = ["system:authenticated", "system:unauthenticated"]
            },
            SystemRole(
                "system:basic-user",
                [
                    "create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews",
                    "create authentication.k8s.io selfsubjectreviews",
                ]
            ).with { $0.groups = ["system:authenticated"] },
            SystemRole("system:monitoring", ["get /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"]).with {
                $0.groups = ["system:monitoring"]
            },
            SystemRole("admin", []).with { $0.aggregates = [aggregate + "admin"] },
            SystemRole("edit", []).with {
                $0.labels = [aggregate + "admin": "true"]
                $0.aggregates = [aggregate + "edit"]
            },
            SystemRole("view", []).with {
                $0.labels = [aggregate + "edit": "true"]
                $0.aggregates = [aggregate + "view"]
            },
            SystemRole(
                "system:aggregate-to-admin",
                [
                    "create authorization.k8s.io localsubjectaccessreviews",
                    "write,read rbac.authorization.k8s.io rolebindings,roles",
                ]
            ).with { $0.labels = [aggregate + "admin": "true"] },
            SystemRole("system:aggregate-to-edit", editing).with { $0.labels = [aggregate + "edit": "true"] },
            SystemRole("system:aggregated-metrics-reader", ["read metrics.k8s.io nodes,pods"]).with {
                $0.labels = [aggregate + "admin": "true", aggregate + "edit": "true", aggregate + "view": "true"]
            },
            SystemRole("system:aggregate-to-view", viewing).with { $0.labels = [aggregate + "view": "true"] },
        ]
    }

    private static let editing = [
        "read - pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy",
        "impersonate - serviceaccounts",
        "write - pods,pods/attach,pods/exec,pods/portforward,pods/proxy",
        "create - pods/eviction",
        "write - configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy",
        "create - serviceaccounts/token",
        "write apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale",
        "write autoscaling horizontalpodautoscalers",
        "write batch cronjobs,jobs",
        "write extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale",
        "write policy poddisruptionbudgets",
        "write networking.k8s.io ingresses,networkpolicies",
        "write,read coordination.k8s.io leases",
    ]

    private static let viewing = [
        "read - configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status",
        "read - bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status",
        "read - namespaces",
        "read discovery.k8s.io endpointslices",
        "read apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status",
        "read autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status",
        "read batch cronjobs,cronjobs/status,jobs,jobs/status",
        "read extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale",
        "read policy poddisruptionbudgets,poddisruptionbudgets/status",
        "read networking.k8s.io ingresses,ingresses/status,networkpolicies",
    ]
}
