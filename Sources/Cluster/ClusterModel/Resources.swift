// The resources of a lab's cluster by short names, besides those in ClusterModel.swift.

extension GroupVersionResource {
    package static let services = GroupVersionResource(version: "v1", resource: "services")
    package static let endpoints = GroupVersionResource(version: "v1", resource: "endpoints")
    package static let serviceAccounts = GroupVersionResource(version: "v1", resource: "serviceaccounts")
    package static let persistentVolumes = GroupVersionResource(version: "v1", resource: "persistentvolumes")
    package static let persistentVolumeClaims = GroupVersionResource(version: "v1", resource: "persistentvolumeclaims")
    package static let replicationControllers = GroupVersionResource(version: "v1", resource: "replicationcontrollers")
    package static let limitRanges = GroupVersionResource(version: "v1", resource: "limitranges")
    package static let podTemplates = GroupVersionResource(version: "v1", resource: "podtemplates")
    package static let componentStatuses = GroupVersionResource(version: "v1", resource: "componentstatuses")
    package static let bindings = GroupVersionResource(version: "v1", resource: "bindings")

    package static let deployments = GroupVersionResource(group: "apps", version: "v1", resource: "deployments")
    package static let replicaSets = GroupVersionResource(group: "apps", version: "v1", resource: "replicasets")
    package static let daemonSets = GroupVersionResource(group: "apps", version: "v1", resource: "daemonsets")
    package static let statefulSets = GroupVersionResource(group: "apps", version: "v1", resource: "statefulsets")
    package static let controllerRevisions = GroupVersionResource(group: "apps", version: "v1", resource: "controllerrevisions")

    package static let jobs = GroupVersionResource(group: "batch", version: "v1", resource: "jobs")
    package static let cronJobs = GroupVersionResource(group: "batch", version: "v1", resource: "cronjobs")

    package static let endpointSlices = GroupVersionResource(group: "discovery.k8s.io", version: "v1", resource: "endpointslices")

    package static let ingresses = GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "ingresses")
    package static let ingressClasses = GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "ingressclasses")

    package static let roles = GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: "roles")
    package static let roleBindings = GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: "rolebindings")
    package static let clusterRoles = GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: "clusterroles")
    package static let clusterRoleBindings = GroupVersionResource(
        group: "rbac.authorization.k8s.io", version: "v1", resource: "clusterrolebindings")

    package static let horizontalPodAutoscalers = GroupVersionResource(
        group: "autoscaling", version: "v2", resource: "horizontalpodautoscalers")

    package static let horizontalPodAutoscalersV1 = GroupVersionResource(
        group: "autoscaling", version: "v1", resource: "horizontalpodautoscalers")

    package static let podDisruptionBudgets = GroupVersionResource(group: "policy", version: "v1", resource: "poddisruptionbudgets")

    package static let storageClasses = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "storageclasses")
    package static let volumeAttachments = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "volumeattachments")
    package static let csiDrivers = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "csidrivers")
    package static let csiNodes = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "csinodes")
    package static let csiStorageCapacities = GroupVersionResource(group: "storage.k8s.io", version: "v1", resource: "csistoragecapacities")

    package static let priorityClasses = GroupVersionResource(group: "scheduling.k8s.io", version: "v1", resource: "priorityclasses")

    package static let certificateSigningRequests = GroupVersionResource(
        group: "certificates.k8s.io", version: "v1", resource: "certificatesigningrequests")

    package static let tokenReviews = GroupVersionResource(group: "authentication.k8s.io", version: "v1", resource: "tokenreviews")
    package static let selfSubjectReviews = GroupVersionResource(
        group: "authentication.k8s.io", version: "v1", resource: "selfsubjectreviews")

    package static let subjectAccessReviews = GroupVersionResource(
        group: "authorization.k8s.io", version: "v1", resource: "subjectaccessreviews")
    package static let localSubjectAccessReviews = GroupVersionResource(
        group: "authorization.k8s.io", version: "v1", resource: "localsubjectaccessreviews")
    package static let selfSubjectAccessReviews = GroupVersionResource(
        group: "authorization.k8s.io", version: "v1", resource: "selfsubjectaccessreviews")
    package static let selfSubjectRulesReviews = GroupVersionResource(
        group: "authorization.k8s.io", version: "v1", resource: "selfsubjectrulesreviews")

    package static let customResourceDefinitions = GroupVersionResource(
        group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions")

    package static let eventsV1 = GroupVersionResource(group: "events.k8s.io", version: "v1", resource: "events")

    package static let validatingWebhookConfigurations = GroupVersionResource(
        group: "admissionregistration.k8s.io", version: "v1", resource: "validatingwebhookconfigurations")
    package static let mutatingWebhookConfigurations = GroupVersionResource(
        group: "admissionregistration.k8s.io", version: "v1", resource: "mutatingwebhookconfigurations")

    package static let apiServices = GroupVersionResource(group: "apiregistration.k8s.io", version: "v1", resource: "apiservices")

    package static let runtimeClasses = GroupVersionResource(group: "node.k8s.io", version: "v1", resource: "runtimeclasses")

    package static let nodeMetrics = GroupVersionResource(group: "metrics.k8s.io", version: "v1beta1", resource: "nodes")
    package static let podMetrics = GroupVersionResource(group: "metrics.k8s.io", version: "v1beta1", resource: "pods")

}
