// A typical document of each kind that a lab's cluster stores, as people write it, and the row it shows when it is new.
import ClusterModel
import Essentials

struct KindManifest: Sendable, CustomStringConvertible {
    let resource: GroupVersionResource
    /// What stands beside apiVersion and kind.
    let document: String
    /// The cells of a new object, without `-o wide`; `*` stands for anything.
    let row: [String]
    var description: String { "\(resource.apiVersion) \(resource.resource)" }

    init(_ resource: GroupVersionResource, _ document: String, _ row: [String]) {
        self.resource = resource
        self.document = document
        self.row = row
    }

    private static let containers = #""containers":[{"name":"main","image":"web:1"}]"#
    private static let template = #""template":{"metadata":{"labels":{"app":"web"}},"spec":{\#(containers)}}"#
    private static let selector = #""selector":{"matchLabels":{"app":"web"}}"#
    private static let job = #""template":{"spec":{"restartPolicy":"Never",\#(containers)}}"#
    private static let hook =
        #"{"name":"a.b.c","clientConfig":{"service":{"namespace":"n","name":"s"}},"sideEffects":"None","admissionReviewVersions":["v1"]}"#
    private static let oldRules = #"[{"host":"a.b","http":{"paths":[{"path":"/x","backend":{"serviceName":"s","servicePort":80}}]}}]"#

    private static let rules = #""rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]"#

    private static func old(_ group: String, _ version: String, _ resource: String) -> GroupVersionResource {
        GroupVersionResource(group: group, version: version, resource: resource)
    }

    static let all: [KindManifest] = workloads + core + network + storage + access + others + former

    private static let workloads: [KindManifest] = [
        KindManifest(.pods, #"{"metadata":{"name":"x"},"spec":{\#(containers)}}"#, ["x", "0/1", "Pending", "0", "5s"]),
        KindManifest(
            .deployments, #"{"metadata":{"name":"x"},"spec":{"replicas":3,\#(selector),\#(template)}}"#, ["x", "0/3", "0", "0", "5s"]),
        KindManifest(.replicaSets, #"{"metadata":{"name":"x"},"spec":{\#(selector),\#(template)}}"#, ["x", "1", "0", "0", "5s"]),
        KindManifest(
            .daemonSets, #"{"metadata":{"name":"x"},"spec":{\#(selector),\#(template)}}"#,
            ["x", "0", "0", "0", "0", "0", "<none>", "5s"]),
        KindManifest(
            .statefulSets,
            #"{"metadata":{"name":"x"},"spec":{"serviceName":"s",\#(selector),\#(template),"volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}}"#,
            ["x", "0/1", "5s"]),
        KindManifest(.controllerRevisions, #"{"metadata":{"name":"x"},"data":{"a":1},"revision":2}"#, ["x", "<none>", "2", "5s"]),
        KindManifest(.replicationControllers, #"{"metadata":{"name":"x"},"spec":{\#(template)}}"#, ["x", "1", "0", "0", "5s"]),
        KindManifest(.podTemplates, #"{"metadata":{"name":"x"},\#(template)}"#, ["x", "main", "web:1", "app=web"]),
        KindManifest(.jobs, #"{"metadata":{"name":"x"},"spec":{\#(job)}}"#, ["x", "Running", "0/1", "", "5s"]),
        KindManifest(
            .cronJobs, #"{"metadata":{"name":"x"},"spec":{"schedule":"*/5 * * * *","jobTemplate":{"spec":{\#(job)}}}}"#,
            ["x", "*/5 * * * *", "<none>", "False", "0", "<none>", "5s"]),
    ]

    private static let core: [KindManifest] = [
        KindManifest(.namespaces, #"{"metadata":{"name":"x"}}"#, ["x", "Active", "5s"]),
        KindManifest(.nodes, #"{"metadata":{"name":"x"}}"#, ["x", "Unknown", "<none>", "5s", ""]),
        KindManifest(.configMaps, #"{"metadata":{"name":"x"},"data":{"a":"1"}}"#, ["x", "1", "5s"]),
        KindManifest(.secrets, #"{"metadata":{"name":"x"},"stringData":{"a":"1"}}"#, ["x", "Opaque", "1", "5s"]),
        KindManifest(.serviceAccounts, #"{"metadata":{"name":"x"}}"#, ["x", "0", "5s"]),
        KindManifest(
            .events,
            #"{"metadata":{"name":"x","namespace":"default"},"involvedObject":{"kind":"Pod","name":"p","namespace":"default"},"reason":"R","type":"Normal","message":"m","firstTimestamp":"2026-01-01T00:00:00Z"}"#,
            ["5s", "Normal", "R", "pod/p", "m"]),
        KindManifest(
            .limitRanges, #"{"metadata":{"name":"x"},"spec":{"limits":[{"type":"Container","max":{"cpu":"1"}}]}}"#,
            ["x", "2026-01-01T00:00:00Z"]),
        KindManifest(.resourceQuotas, #"{"metadata":{"name":"x"},"spec":{"hard":{"pods":"3"}}}"#, ["x", "pods: 0/3", "", "5s"]),
    ]

    private static let network: [KindManifest] = [
        KindManifest(
            .services, #"{"metadata":{"name":"x"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30001}]}}"#,
            ["x", "NodePort", "<none>", "<none>", "80:30001/TCP", "5s"]),
        KindManifest(
            .endpoints, #"{"metadata":{"name":"x"},"subsets":[{"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],"ports":[{"port":80}]}]}"#,
            ["x", "10.0.0.1:80,10.0.0.2:80", "5s"]),
        KindManifest(
            .endpointSlices,
            #"{"metadata":{"name":"x"},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"port":80}]}"#,
            ["x", "IPv4", "80", "10.0.0.1", "5s"]),
        KindManifest(
            .ingresses,
            #"{"metadata":{"name":"x"},"spec":{"rules":[{"host":"a.b","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"s","port":{"number":80}}}}]}}]}}"#,
            ["x", "<none>", "a.b", "", "80", "5s"]),
        KindManifest(
            .ingressClasses, #"{"metadata":{"name":"x"},"spec":{"controller":"example.com/c"}}"#, ["x", "example.com/c", "<none>", "5s"]),
        KindManifest(.networkPolicies, #"{"metadata":{"name":"x"},"spec":{"podSelector":{}}}"#, ["x", "<none>", "5s"]),
    ]

    private static let storage: [KindManifest] = [
        KindManifest(
            .persistentVolumes,
            #"{"metadata":{"name":"x"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/d"}}}"#,
            ["x", "1Gi", "RWO", "Retain", "Pending", "", "", "<unset>", "", "5s"]),
        KindManifest(
            .persistentVolumeClaims,
            #"{"metadata":{"name":"x"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}"#,
            ["x", "Pending", "", "", "", "", "<unset>", "5s"]),
        KindManifest(
            .storageClasses, #"{"metadata":{"name":"x"},"provisioner":"a.b/c"}"#,
            ["x", "a.b/c", "Delete", "Immediate", "false", "5s"]),
        KindManifest(
            .volumeAttachments,
            #"{"metadata":{"name":"x"},"spec":{"attacher":"a","nodeName":"n","source":{"persistentVolumeName":"v"}}}"#,
            ["x", "a", "v", "n", "false", "5s"]),
        KindManifest(
            .csiDrivers, #"{"metadata":{"name":"x"},"spec":{}}"#,
            ["x", "true", "false", "false", "<unset>", "false", "Persistent", "5s"]),
        KindManifest(.csiNodes, #"{"metadata":{"name":"x"},"spec":{"drivers":[{"name":"a","nodeID":"n"}]}}"#, ["x", "1", "5s"]),
        KindManifest(
            .csiStorageCapacities, #"{"metadata":{"name":"x"},"storageClassName":"c","capacity":"1Gi"}"#, ["x", "c", "1Gi", "5s"]),
    ]

    private static let access: [KindManifest] = [
        KindManifest(
            .roles, #"{"metadata":{"name":"system:x"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}"#,
            ["system:x", "2026-01-01T00:00:00Z"]),
        KindManifest(
            .clusterRoles, #"{"metadata":{"name":"x"},"rules":[{"verbs":["get"],"nonResourceURLs":["/healthz"]}]}"#,
            ["x", "2026-01-01T00:00:00Z"]),
        KindManifest(
            .roleBindings, #"{"metadata":{"name":"x"},"roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"u"}]}"#,
            ["x", "Role/r", "5s"]),
        KindManifest(
            .clusterRoleBindings,
            #"{"metadata":{"name":"x"},"roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[{"kind":"ServiceAccount","name":"a","namespace":"n"}]}"#,
            ["x", "ClusterRole/r", "5s"]),
        KindManifest(
            .certificateSigningRequests,
            #"{"metadata":{"name":"x"},"spec":{"request":"AAAA","signerName":"a.b/c","usages":["client auth"],"expirationSeconds":3600}}"#,
            ["x", "5s", "a.b/c", "", "60m", "Pending"]),
    ]

    private static let others: [KindManifest] = [
        KindManifest(
            .horizontalPodAutoscalers,
            #"{"metadata":{"name":"x"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":5}}"#,
            ["x", "Deployment/d", "cpu: <unknown>/80%", "1", "5", "0", "5s"]),
        KindManifest(
            .podDisruptionBudgets, #"{"metadata":{"name":"x"},"spec":{"minAvailable":"50%",\#(selector)}}"#,
            ["x", "50%", "N/A", "0", "5s"]),
        KindManifest(
            .priorityClasses, #"{"metadata":{"name":"x"},"value":1000}"#, ["x", "1000", "false", "5s", "PreemptLowerPriority"]),
        KindManifest(.leases, #"{"metadata":{"name":"x"},"spec":{"holderIdentity":"h"}}"#, ["x", "h", "5s"]),
        KindManifest(.runtimeClasses, #"{"metadata":{"name":"x"},"handler":"h"}"#, ["x", "h", "5s"]),
        KindManifest(.validatingWebhookConfigurations, #"{"metadata":{"name":"x"},"webhooks":[\#(hook)]}"#, ["x", "1", "5s"]),
        KindManifest(.mutatingWebhookConfigurations, #"{"metadata":{"name":"x"},"webhooks":[\#(hook)]}"#, ["x", "1", "5s"]),
        KindManifest(
            .apiServices,
            #"{"metadata":{"name":"v1.a.b"},"spec":{"group":"a.b","version":"v1","groupPriorityMinimum":100,"versionPriority":10}}"#,
            ["v1.a.b", "Local", "Unknown", "5s"]),
        KindManifest(
            .customResourceDefinitions,
            #"{"metadata":{"name":"xs.a.b"},"spec":{"group":"a.b","scope":"Cluster","names":{"plural":"xs","kind":"X"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}"#,
            ["xs.a.b", "2026-01-01T00:00:00Z"]),
    ]

    /// Versions of former years.
    private static let former: [KindManifest] = [
        KindManifest(
            .eventsV1,
            #"{"metadata":{"name":"x","namespace":"default"},"eventTime":"2026-01-01T00:00:00.000000Z","regarding":{"kind":"Pod","name":"p","namespace":"default"},"reason":"R","note":"m","type":"Normal","reportingController":"c"}"#,
            ["5s", "Normal", "R", "pod/p", "m"]),
        KindManifest(
            .horizontalPodAutoscalersV1,
            #"{"metadata":{"name":"x"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":5,"targetCPUUtilizationPercentage":70}}"#,
            ["x", "Deployment/d", "cpu: <unknown>/70%", "1", "5", "0", "5s"]),
        KindManifest(
            old("autoscaling", "v2beta2", "horizontalpodautoscalers"),
            #"{"metadata":{"name":"x"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"maxReplicas":5}}"#,
            ["x", "Deployment/d", "cpu: <unknown>/80%", "1", "5", "0", "5s"]),
        KindManifest(
            old("extensions", "v1beta1", "deployments"), #"{"metadata":{"name":"x"},"spec":{\#(template)}}"#, ["x", "0/1", "0", "0", "5s"]),
        KindManifest(
            old("extensions", "v1beta1", "daemonsets"), #"{"metadata":{"name":"x"},"spec":{"templateGeneration":1,\#(template)}}"#,
            ["x", "0", "0", "0", "0", "0", "<none>", "5s"]),
        KindManifest(
            old("extensions", "v1beta1", "replicasets"), #"{"metadata":{"name":"x"},"spec":{\#(template)}}"#, ["x", "1", "0", "0", "5s"]),
        KindManifest(
            old("extensions", "v1beta1", "networkpolicies"), #"{"metadata":{"name":"x"},"spec":{"podSelector":{}}}"#, ["x", "<none>", "5s"]),
        KindManifest(
            old("extensions", "v1beta1", "ingresses"), #"{"metadata":{"name":"x"},"spec":{"rules":\#(oldRules)}}"#,
            ["x", "<none>", "a.b", "", "80", "5s"]),
        KindManifest(
            old("networking.k8s.io", "v1beta1", "ingresses"),
            #"{"metadata":{"name":"x"},"spec":{"backend":{"serviceName":"s","servicePort":"http"}}}"#, ["x", "<none>", "*", "", "80", "5s"]),
        KindManifest(
            old("apps", "v1beta1", "deployments"), #"{"metadata":{"name":"x"},"spec":{\#(template)}}"#, ["x", "0/1", "0", "0", "5s"]),
        KindManifest(
            old("apps", "v1beta1", "statefulsets"), #"{"metadata":{"name":"x"},"spec":{"serviceName":"s",\#(template)}}"#,
            ["x", "0/1", "5s"]),
        KindManifest(
            old("apps", "v1beta1", "controllerrevisions"), #"{"metadata":{"name":"x"},"data":{},"revision":1}"#, ["x", "<none>", "1", "5s"]),
        KindManifest(
            old("apps", "v1beta2", "deployments"), #"{"metadata":{"name":"x"},"spec":{\#(selector),\#(template)}}"#,
            ["x", "0/1", "0", "0", "5s"]),
        KindManifest(
            old("apps", "v1beta2", "replicasets"), #"{"metadata":{"name":"x"},"spec":{\#(selector),\#(template)}}"#,
            ["x", "1", "0", "0", "5s"]),
        KindManifest(
            old("apps", "v1beta2", "daemonsets"), #"{"metadata":{"name":"x"},"spec":{\#(selector),\#(template)}}"#,
            ["x", "0", "0", "0", "0", "0", "<none>", "5s"]),
        KindManifest(
            old("apps", "v1beta2", "statefulsets"), #"{"metadata":{"name":"x"},"spec":{"serviceName":"s",\#(selector),\#(template)}}"#,
            ["x", "0/1", "5s"]),
        KindManifest(
            old("apps", "v1beta2", "controllerrevisions"), #"{"metadata":{"name":"x"},"data":{},"revision":1}"#, ["x", "<none>", "1", "5s"]),
        KindManifest(
            old("batch", "v1beta1", "cronjobs"),
            #"{"metadata":{"name":"x"},"spec":{"schedule":"@daily","jobTemplate":{"spec":{\#(job)}}}}"#,
            ["x", "@daily", "<none>", "False", "0", "<none>", "5s"]),
        KindManifest(
            old("policy", "v1beta1", "poddisruptionbudgets"), #"{"metadata":{"name":"x"},"spec":{"maxUnavailable":1,\#(selector)}}"#,
            ["x", "N/A", "1", "0", "5s"]),
        KindManifest(
            old("rbac.authorization.k8s.io", "v1beta1", "roles"), #"{"metadata":{"name":"x"},\#(rules)}"#, ["x", "2026-01-01T00:00:00Z"]),
        KindManifest(
            old("rbac.authorization.k8s.io", "v1beta1", "clusterroles"), #"{"metadata":{"name":"x"},\#(rules)}"#,
            ["x", "2026-01-01T00:00:00Z"]),
        KindManifest(
            old("rbac.authorization.k8s.io", "v1beta1", "rolebindings"),
            #"{"metadata":{"name":"x"},"roleRef":{"kind":"Role","name":"r"},"subjects":[]}"#, ["x", "Role/r", "5s"]),
        KindManifest(
            old("rbac.authorization.k8s.io", "v1beta1", "clusterrolebindings"),
            #"{"metadata":{"name":"x"},"roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[]}"#, ["x", "ClusterRole/r", "5s"]),
    ]
}
