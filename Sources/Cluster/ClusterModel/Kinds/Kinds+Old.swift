// Versions of kinds that clients and lessons of former years use. All are stored as today's version.
internal import Essentials
internal import OrderedCollections

extension GroupVersionResource {
    fileprivate static func extensions(_ resource: String) -> GroupVersionResource {
        GroupVersionResource(group: "extensions", version: "v1beta1", resource: resource)
    }

    fileprivate func at(_ version: String) -> GroupVersionResource {
        GroupVersionResource(group: group, version: version, resource: resource)
    }
}

extension Kind {
    /// The same as the stored version.
    private static let same: @Sendable (inout JSON) -> Void = { _ in }

    /// `kind` in an old version that gave other defaults. Old versions are not offered by `kubectl api-resources`, and not listed
    /// by `kubectl get all`; they answer whoever names them.
    private static func old(
        _ kind: Kind, _ resource: GroupVersionResource, _ warning: String, dropped: [[String]] = [],
        _ defaults: @escaping @Sendable (inout JSON) -> Void = same
    ) -> Kind {
        kind.served(as: resource) { copy in
            copy.deprecation = "\(resource.apiVersion) \(kind.name) is deprecated in \(warning)"
            copy.conversion = Conversion(storage: kind.resource, toStorage: defaults, fromStorage: same, dropped: dropped)
        }
    }

    private static func ingress(_ resource: GroupVersionResource) -> Kind {
        Kind.ingress.served(as: resource) { copy in
            copy.typeName = "networking.v1beta1.Ingress"
            copy.deprecation =
                "\(resource.apiVersion) Ingress is deprecated in v1.\(resource.group == "extensions" ? 14 : 19)+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress"
            copy.conversion = Conversion(
                storage: .ingresses, toStorage: OldIngress.toStorage, fromStorage: OldIngress.fromStorage)
        }
    }

    /// Every old version that is served.
    package static let oldVersions: [Kind] = [
        .deployment.old("apps", "v1beta2") { _ in }, .replicaSet.old("apps", "v1beta2") { _ in },
        .daemonSet.old("apps", "v1beta2") { _ in }, .statefulSet.old("apps", "v1beta2") { _ in },
        .controllerRevision.old("apps", "v1beta2") { _ in },
        .deployment.old("apps", "v1beta1") { object in
            OldDefaults.takeSelector(&object)
            OldDefaults.fill(&object, ["revisionHistoryLimit": 2])
        },
        .statefulSet.old("apps", "v1beta1") { object in
            OldDefaults.takeSelector(&object)
            OldDefaults.fill(&object, ["updateStrategy": ["type": "OnDelete"]])
        },
        .controllerRevision.old("apps", "v1beta1") { _ in },
        old(.cronJob, .cronJobs.at("v1beta1"), "v1.21+, unavailable in v1.25+; use batch/v1 CronJob"),
        old(
            .podDisruptionBudget, .podDisruptionBudgets.at("v1beta1"),
            "v1.21+, unavailable in v1.25+; use policy/v1 PodDisruptionBudget"),
        ingress(.ingresses.at("v1beta1")),
        old(
            .horizontalPodAutoscaler, .horizontalPodAutoscalers.at("v2beta2"),
            "v1.23+, unavailable in v1.26+; use autoscaling/v2 HorizontalPodAutoscaler"),
        old(.role, .roles.at("v1beta1"), "v1.17+, unavailable in v1.22+; use rbac.authorization.k8s.io/v1 Role"),
        old(.roleBinding, .roleBindings.at("v1beta1"), "v1.17+, unavailable in v1.22+; use rbac.authorization.k8s.io/v1 RoleBinding"),
        old(.clusterRole, .clusterRoles.at("v1beta1"), "v1.17+, unavailable in v1.22+; use rbac.authorization.k8s.io/v1 ClusterRole"),
        old(
            .clusterRoleBinding, .clusterRoleBindings.at("v1beta1"),
            "v1.17+, unavailable in v1.22+; use rbac.authorization.k8s.io/v1 ClusterRoleBinding"),
        .deployment.old("extensions", "v1beta1", dropped: [["spec", "rollbackTo"]]) { object in
            OldDefaults.takeSelector(&object)
            OldDefaults.fill(&object, ["revisionHistoryLimit": 2_147_483_647, "progressDeadlineSeconds": 2_147_483_647])
            OldDefaults.steps(&object, at: ["spec", "strategy"], ["maxUnavailable": 1, "maxSurge": 1])
        },
        .daemonSet.old("extensions", "v1beta1", dropped: [["spec", "templateGeneration"]]) { object in
            OldDefaults.takeSelector(&object)
            OldDefaults.fill(&object, ["updateStrategy": ["type": "OnDelete"]])
        },
        .replicaSet.old("extensions", "v1beta1") { object in OldDefaults.takeSelector(&object) },
        ingress(.extensions("ingresses")),
        old(
            .networkPolicy, .extensions("networkpolicies"), "v1.9+, unavailable in v1.16+; use networking.k8s.io/v1 NetworkPolicy"),
    ]

    private func old(
        _ group: String, _ version: String, dropped: [[String]] = [], _ defaults: @escaping @Sendable (inout JSON) -> Void
    ) -> Kind {
        Kind.old(
            self, GroupVersionResource(group: group, version: version, resource: resource.resource),
            "v1.\(version == "v1beta2" ? 9 : 8)+, unavailable in v1.16+; use apps/v1 \(name)", dropped: dropped, defaults)
    }

    /// The autoscaler that knows cpu only; not deprecated.
    package static let horizontalPodAutoscalerV1 = Kind.horizontalPodAutoscaler.served(as: .horizontalPodAutoscalersV1) { copy in
        copy.shortNames = ["hpa"]
        copy.categories = ["all"]
        copy.typeName = "autoscaling.v1.HorizontalPodAutoscaler"
        copy.conversion = Conversion(
            storage: .horizontalPodAutoscalers, toStorage: OldScaler.toStorage, fromStorage: OldScaler.fromStorage)
    }

    /// Events in the form of events.k8s.io, stored as events of the core group.
    package static let eventV1 = Kind.event.served(as: .eventsV1) { copy in
        copy.shortNames = ["ev"]
        copy.typeName = "events.v1.Event"
        copy.selectable = [
            "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "regarding.apiVersion",
            "regarding.resourceVersion", "regarding.fieldPath", "reason", "reportingController", "type",
        ]
        var fields = ["reportingController": "reportingComponent"]
        for part in ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"] {
            fields["regarding." + part] = "involvedObject." + part
        }
        copy.conversion = Conversion(
            storage: .events, toStorage: { EventForms.rename(&$0, toStorage: true) },
            fromStorage: { EventForms.rename(&$0, toStorage: false) }, fields: fields)
    }
}

enum EventForms {
    private static let names = [
        ("regarding", "involvedObject"), ("note", "message"), ("reportingController", "reportingComponent"),
        ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"), ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ]

    static func rename(_ event: inout JSON, toStorage: Bool) {
        for (form, stored) in names {
            let (from, to) = toStorage ? (form, stored) : (stored, form)
            guard let value = event[from] else { continue }
            event[from] = nil
            event[to] = value
        }
    }
}

enum OldDefaults {
    /// A selector and labels that are left out are the template's labels.
    static func takeSelector(_ object: inout JSON) {
        guard let labels = object["spec"]?["template"]?["metadata"]?["labels"], !(labels.object ?? [:]).isEmpty else { return }
        if object["spec"]?["selector"] == nil { object[path: ["spec", "selector", "matchLabels"]] = labels }
        if object.metaLabels.isEmpty { object[path: ["metadata", "labels"]] = labels }
    }

    static func fill(_ object: inout JSON, _ values: JSON.Object) {
        for (name, value) in values where object["spec"]?[name] == nil { object[path: ["spec", name]] = value }
    }

    static func steps(_ object: inout JSON, at path: [String], _ steps: JSON.Object) {
        guard object["spec"] != nil, object[path: path]?["type"]?.string ?? "RollingUpdate" == "RollingUpdate" else { return }
        for (name, value) in steps where object[path: path]?["rollingUpdate"]?[name] == nil {
            object[path: path + ["rollingUpdate", name]] = value
        }
    }
}
