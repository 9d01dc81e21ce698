// The workloads: Deployment, ReplicaSet, DaemonSet, StatefulSet, ControllerRevision, ReplicationController, PodTemplate.
internal import Essentials
internal import OrderedCollections

extension Kind.Subresource {
    static let scale = Kind.Subresource(
        name: "scale", kind: "Scale", version: GroupVersionResource(group: "autoscaling", version: "v1", resource: ""),
        verbs: ["get", "patch", "update"])
}

extension Kind {
    package static let deployment = Kind(
        resource: .deployments, name: "Deployment", singular: "deployment", shortNames: ["deploy"], categories: ["all"], hasStatus: true,
        columns: [
            Column("Name"), Column("Ready", "Number of the pod with ready state"), Column("Up-to-date"), Column("Available"), Column("Age"),
        ] + Cells.containerColumns + [Column("Selector", wide: true)],
        cells: { object, now in
            let status = object["status"]
            let ready: JSON = "\(status?["readyReplicas"]?.integer ?? 0)/\(object["spec"]?["replicas"]?.integer ?? 0)"
            return [
                JSON(object.metaName), ready, Cells.number(status?["updatedReplicas"]), Cells.number(status?["availableReplicas"]),
                Cells.age(object, now),
            ] + Cells.containers(object["spec"]?["template"]) + [Cells.selector(object["spec"]?["selector"])]
        },
        applyDefaults: { object in
            PodDefaults.complete(templateOf: &object)
            WorkloadDefaults.rollingUpdate(&object, at: ["spec", "strategy"], ["maxUnavailable": "25%", "maxSurge": "25%"])
        },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, old in
            let spec = new["spec"] ?? .null
            var causes = SelectorRules.checkWorkload(
                spec, template: spec["template"], empty: "empty selector is invalid for deployment")
            causes += PodSpecRules.checkAlways(spec["template"], kind: "ReplicaSet", at: "spec.template")
            causes += WorkloadRules.check(strategy: spec["strategy"], at: "spec.strategy")
            if let deadline = spec["progressDeadlineSeconds"]?.integer, deadline <= spec["minReadySeconds"]?.integer ?? 0 {
                causes.append(.invalid("spec.progressDeadlineSeconds", String(deadline), "must be greater than minReadySeconds"))
            }
            return causes + SelectorRules.checkUnchanged(new, old)
        },
        subresources: [.scale])

    package static let replicaSet = Kind(
        resource: .replicaSets, name: "ReplicaSet", singular: "replicaset", shortNames: ["rs"], categories: ["all"], hasStatus: true,
        columns: WorkloadCells.replicaColumns,
        cells: { object, now in WorkloadCells.replicas(object, now) + [Cells.selector(object["spec"]?["selector"])] },
        selectable: ["status.replicas"],
        applyDefaults: { object in PodDefaults.complete(templateOf: &object) },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, old in
            let spec = new["spec"] ?? .null
            var causes = SelectorRules.checkWorkload(
                spec, template: spec["template"], empty: "empty selector is invalid for deployment")
            causes += PodSpecRules.checkAlways(spec["template"], kind: "ReplicaSet", at: "spec.template")
            return causes + SelectorRules.checkUnchanged(new, old)
        },
        subresources: [.scale])

    package static let daemonSet = Kind(
        resource: .daemonSets, name: "DaemonSet", singular: "daemonset", shortNames: ["ds"], categories: ["all"], hasStatus: true,
        columns: [
            Column("Name"), Column("Desired", type: "integer"), Column("Current", type: "integer"), Column("Ready", type: "integer"),
            Column("Up-to-date", type: "integer"), Column("Available", type: "integer"), Column("Node Selector"), Column("Age"),
        ] + Cells.containerColumns + [Column("Selector", wide: true)],
        cells: { object, now in
            let status = object["status"]
            let template = object["spec"]?["template"]
            return [
                JSON(object.metaName), Cells.number(status?["desiredNumberScheduled"]), Cells.number(status?["currentNumberScheduled"]),
                Cells.number(status?["numberReady"]), Cells.number(status?["updatedNumberScheduled"]),
                Cells.number(status?["numberAvailable"]), Cells.labels(template?["spec"]?["nodeSelector"]), Cells.age(object, now),
            ] + Cells.containers(template) + [Cells.selector(object["spec"]?["selector"])]
        },
        applyDefaults: { object in
            PodDefaults.complete(templateOf: &object)
            WorkloadDefaults.rollingUpdate(&object, at: ["spec", "updateStrategy"], ["maxUnavailable": 1, "maxSurge": 0])
        },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, old in
            let spec = new["spec"] ?? .null
            var causes = SelectorRules.checkWorkload(
                spec, template: spec["template"], empty: "empty selector is invalid for daemonset")
            causes += PodSpecRules.checkAlways(spec["template"], kind: "DaemonSet", at: "spec.template")
            causes += WorkloadRules.check(daemonStrategy: spec["updateStrategy"], at: "spec.updateStrategy")
            return causes + SelectorRules.checkUnchanged(new, old)
        })

    package static let statefulSet = Kind(
        resource: .statefulSets, name: "StatefulSet", singular: "statefulset", shortNames: ["sts"], categories: ["all"], hasStatus: true,
        nameRule: .label,
        columns: [Column("Name"), Column("Ready", "Number of the pod with ready state"), Column("Age")] + Cells.containerColumns,
        cells: { object, now in
            let ready = "\(object["status"]?["readyReplicas"]?.integer ?? 0)/\(object["spec"]?["replicas"]?.integer ?? 0)"
            return [JSON(object.metaName), JSON(ready), Cells.age(object, now)] + Cells.containers(object["spec"]?["template"])
        },
        applyDefaults: { object in
            PodDefaults.complete(templateOf: &object)
            WorkloadDefaults.rollingUpdate(&object, at: ["spec", "updateStrategy"], ["partition": 0])
            guard var claims = object["spec"]?["volumeClaimTemplates"]?.array else { return }
            for index in claims.indices {
                claims[index]["apiVersion"] = "v1"
                claims[index]["kind"] = "PersistentVolumeClaim"
            }
            object["spec"]?["volumeClaimTemplates"] = .array(claims)
        },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, old in WorkloadRules.check(statefulSet: new, old) },
        subresources: [.scale])

    package static let controllerRevision = Kind(
        resource: .controllerRevisions, name: "ControllerRevision", singular: "controllerrevision",
        columns: [Column("Name"), Column("Controller", "Controller of the object"), Column("Revision"), Column("Age")],
        cells: { object, now in
            let owner = (object["metadata"]?["ownerReferences"]?.array ?? []).first { $0["controller"] == true }
            var controller = Cells.none
            if let owner {
                let group = (owner["apiVersion"]?.string ?? "").split(separator: "/").dropLast().first.map { "." + $0 } ?? ""
                controller = (owner["kind"]?.string ?? "").lowercased() + group + "/" + (owner["name"]?.string ?? "")
            }
            return [JSON(object.metaName), JSON(controller), Cells.number(object["revision"]), Cells.age(object, now)]
        },
        check: { new, old in
            (new["data"] == nil ? [.required("data", "data is mandatory")] : []) + Unchanged.check(new, old, [["data"]])
        })

    package static let replicationController = Kind(
        resource: .replicationControllers, name: "ReplicationController", singular: "replicationcontroller", shortNames: ["rc"],
        categories: ["all"], hasStatus: true, columns: WorkloadCells.replicaColumns,
        cells: { object, now in WorkloadCells.replicas(object, now) + [Cells.labels(object["spec"]?["selector"])] },
        selectable: ["status.replicas"],
        applyDefaults: { object in
            PodDefaults.complete(templateOf: &object)
            WorkloadDefaults.takeLabels(&object, selector: ["spec", "selector"])
        },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, _ in
            let spec = new["spec"] ?? .null
            let selector = spec["selector"]?.strings ?? [:]
            var causes: [FieldCause] = selector.isEmpty ? [.required("spec.selector")] : []
            let labels = spec["template"]?["metadata"]?["labels"]?.strings ?? [:]
            if selector.contains(where: { labels[$0.key] != $0.value }) {
                causes.append(SelectorRules.mismatch(spec["template"], at: "spec.template"))
            }
            return causes + PodSpecRules.checkAlways(spec["template"], kind: "ReplicationController", at: "spec.template")
        },
        subresources: [.scale])

    package static let podTemplate = Kind(
        resource: .podTemplates, name: "PodTemplate", singular: "podtemplate",
        columns: [Column("Name"), Column("Containers"), Column("Images"), Column("Pod Labels")],
        cells: { object, _ in
            [JSON(object.metaName)] + Cells.containers(object["template"]) + [Cells.labels(object["template"]?["metadata"]?["labels"])]
        },
        applyDefaults: { object in PodDefaults.complete(templateOf: &object, at: ["template"]) },
        check: { new, _ in PodSpecRules.check(template: new["template"], at: "template") })
}

enum WorkloadCells {
    static let replicaColumns =
        [
            Column("Name"), Column("Desired", type: "integer"), Column("Current", type: "integer"), Column("Ready", type: "integer"),
            Column("Age"),
        ] + Cells.containerColumns + [Column("Selector", wide: true)]

    static func replicas(_ object: JSON, _ now: Timestamp) -> [JSON] {
        let status = object["status"]
        return [
            JSON(object.metaName), Cells.number(object["spec"]?["replicas"]), Cells.number(status?["replicas"]),
            Cells.number(status?["readyReplicas"]), Cells.age(object, now),
        ] + Cells.containers(object["spec"]?["template"])
    }
}

enum WorkloadDefaults {
    /// A new object has no state yet, whatever the client says.
    @Sendable static func clearStatus(_ object: inout JSON) {
        guard let kind = object["kind"]?.string else { return }
        object["status"] = .emptyObject
        Defaulting().apply(to: &object, as: kind)
    }

    /// The steps of a rolling update, where that is the strategy.
    static func rollingUpdate(_ object: inout JSON, at path: [String], _ steps: JSON.Object) {
        guard object[path: path]?["type"]?.string == "RollingUpdate" else { return }
        for (name, value) in steps where object[path: path]?["rollingUpdate"]?[name] == nil {
            object[path: path + ["rollingUpdate", name]] = value
        }
    }

    /// Labels and a plain selector come from the template where they are left out.
    static func takeLabels(_ object: inout JSON, selector path: [String]) {
        guard let labels = object["spec"]?["template"]?["metadata"]?["labels"], !(labels.object ?? [:]).isEmpty else { return }
        if (object[path: path]?.object ?? [:]).isEmpty { object[path: path] = labels }
        if object.metaLabels.isEmpty { object[path: ["metadata", "labels"]] = labels }
    }
}

enum WorkloadRules {
    static func check(strategy: JSON?, at path: String) -> [FieldCause] {
        let steps = strategy?["rollingUpdate"]
        switch strategy?["type"]?.string {
        case "Recreate":
            return steps == nil
                ? []
                : [.forbidden(path + ".rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        case "RollingUpdate": break
        default: return []
        }
        guard let steps else { return [.required(path + ".rollingUpdate", "this should be defaulted and never be nil")] }
        let below = path + ".rollingUpdate"
        var causes = AmountRules.check(steps["maxUnavailable"], at: below + ".maxUnavailable")
        causes += AmountRules.check(steps["maxSurge"], at: below + ".maxSurge")
        if AmountRules.isZero(steps["maxUnavailable"]), AmountRules.isZero(steps["maxSurge"]) {
            causes.append(
                .invalid(
                    below + ".maxUnavailable", GoText.numberOrText(steps["maxUnavailable"]), "may not be 0 when `maxSurge` is 0"))
        }
        return causes + AmountRules.checkAtMostAll(steps["maxUnavailable"], at: below + ".maxUnavailable")
    }

    static func check(daemonStrategy strategy: JSON?, at path: String) -> [FieldCause] {
        guard strategy?["type"]?.string == "RollingUpdate" else { return [] }
        guard let steps = strategy?["rollingUpdate"] else { return [.required(path + ".rollingUpdate")] }
        let below = path + ".rollingUpdate"
        var causes: [FieldCause] = []
        for part in ["maxUnavailable", "maxSurge"] {
            causes += AmountRules.check(steps[part], at: "\(below).\(part)")
            causes += AmountRules.checkAtMostAll(steps[part], at: "\(below).\(part)")
        }
        let missing = !AmountRules.isZero(steps["maxUnavailable"])
        let surplus = !AmountRules.isZero(steps["maxSurge"])
        if !missing, !surplus {
            causes.append(.required(below + ".maxUnavailable", "cannot be 0 when maxSurge is 0"))
        } else if missing, surplus {
            causes.append(
                .invalid(
                    below + ".maxSurge", GoText.numberOrText(steps["maxSurge"]), "may not be set when maxUnavailable is non-zero"))
        }
        return causes
    }

    static func check(statefulSet new: JSON, _ old: JSON?) -> [FieldCause] {
        let spec = new["spec"] ?? .null
        var causes = SelectorRules.checkWorkload(
            spec, template: spec["template"], empty: "empty selector is invalid for statefulset")
        let claims = (spec["volumeClaimTemplates"]?.array ?? []).map(\.metaName)
        causes += PodSpecRules.checkAlways(spec["template"], kind: "StatefulSet", at: "spec.template", claims: claims)
        if spec["updateStrategy"]?["type"] == "OnDelete", let steps = spec["updateStrategy"]?["rollingUpdate"] {
            causes.append(
                .invalid(
                    "spec.updateStrategy.rollingUpdate", GoText.any(steps), "only allowed for updateStrategy 'RollingUpdate'"))
        }
        causes += AmountRules.check(
            spec["updateStrategy"]?["rollingUpdate"]?["maxUnavailable"], at: "spec.updateStrategy.rollingUpdate.maxUnavailable")
        guard let old else { return causes }
        var left = spec
        for part in [
            "replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
            "revisionHistoryLimit",
        ] {
            left[part] = old["spec"]?[part]
        }
        if !left.isSame(as: old["spec"] ?? .null) {
            causes.append(
                .forbidden(
                    "spec",
                    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
                ))
        }
        return causes
    }
}
