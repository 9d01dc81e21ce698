// The kinds that a lab's own cluster serves.

extension Schema {
    /// Every kind of a lab's cluster, groups and versions in the order in which clients prefer them. To add one, see `Kinds/`.
    package static let cluster = Schema(kinds: current + Kind.oldVersions)

    private static let current: [Kind] = [
        .binding, .componentStatus, .configMap, .endpoints, .event, .limitRange, .namespace, .node, .persistentVolumeClaim,
        .persistentVolume, .pod, .podTemplate, .replicationController, .resourceQuota, .secret, .serviceAccount, .service,
        .apiService, .controllerRevision, .daemonSet, .deployment, .replicaSet, .statefulSet, .eventV1, .selfSubjectReview,
        .tokenReview, .localSubjectAccessReview, .selfSubjectAccessReview, .selfSubjectRulesReview, .subjectAccessReview,
        .horizontalPodAutoscaler, .horizontalPodAutoscalerV1, .cronJob, .job, .certificateSigningRequest, .ingressClass, .ingress,
        .networkPolicy, .podDisruptionBudget, .clusterRoleBinding, .clusterRole, .roleBinding, .role, .csiDriver, .csiNode,
        .csiStorageCapacity, .storageClass, .volumeAttachment, .mutatingWebhookConfiguration, .validatingWebhookConfiguration,
        .customResourceDefinition, .priorityClass, .lease, .runtimeClass, .endpointSlice, .nodeMetrics, .podMetrics,
    ]
}
