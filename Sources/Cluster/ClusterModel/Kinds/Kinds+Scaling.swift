// The kinds HorizontalPodAutoscaler, PodDisruptionBudget and PriorityClass.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let horizontalPodAutoscaler = Kind(
        resource: .horizontalPodAutoscalers, name: "HorizontalPodAutoscaler", singular: "horizontalpodautoscaler", shortNames: ["hpa"],
        categories: ["all"], hasStatus: true, countsGenerations: false,
        columns: [
            Column("Name"), Column("Reference"), Column("Targets"), Column("MinPods"), Column("MaxPods"), Column("Replicas"), Column("Age"),
        ],
        cells: { object, now in
            let spec = object["spec"]
            let target = spec?["scaleTargetRef"]
            return [
                JSON(object.metaName), JSON("\(target?["kind"]?.string ?? "")/\(target?["name"]?.string ?? "")"),
                JSON(ScalerCells.targets(object)), spec?["minReplicas"]?.integer.map { JSON(String($0)) } ?? "<unset>",
                Cells.number(spec?["maxReplicas"]), Cells.number(object["status"]?["currentReplicas"]), Cells.age(object, now),
            ]
        },
        applyDefaults: ScalerDefaults.apply,
        prepareCreate: { object in object["status"] = ["desiredReplicas": 0] },
        check: { new, _ in
            let spec = new["spec"] ?? .null
            var causes: [FieldCause] = []
            let least = spec["minReplicas"]?.integer ?? 1
            if least < 1 { causes.append(.invalid("spec.minReplicas", String(least), "must be greater than or equal to 1")) }
            let most = spec["maxReplicas"]?.integer ?? 0
            if most < 1 { causes.append(.invalid("spec.maxReplicas", String(most), "must be greater than 0")) }
            if most < least {
                causes.append(.invalid("spec.maxReplicas", String(most), "must be greater than or equal to `minReplicas`"))
            }
            for (index, metric) in (spec["metrics"]?.array ?? []).enumerated() {
                guard let type = metric["type"]?.string, !type.isEmpty else { continue }
                let part = type.prefix(1).lowercased() + type.dropFirst()
                if metric[part] == nil {
                    causes.append(
                        .required("spec.metrics[\(index)].\(part)", "must populate information for the given metric source"))
                }
            }
            return causes
        })

    package static let podDisruptionBudget = Kind(
        resource: .podDisruptionBudgets, name: "PodDisruptionBudget", singular: "poddisruptionbudget", shortNames: ["pdb"],
        hasStatus: true,
        columns: [
            Column("Name"), Column("Min Available"), Column("Max Unavailable"), Column("Allowed Disruptions", type: "integer"),
            Column("Age"),
        ],
        cells: { object, now in
            [
                JSON(object.metaName), Cells.numberOrPercent(object["spec"]?["minAvailable"], or: "N/A"),
                Cells.numberOrPercent(object["spec"]?["maxUnavailable"], or: "N/A"),
                Cells.number(object["status"]?["disruptionsAllowed"]), Cells.age(object, now),
            ]
        },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, _ in
            let spec = new["spec"] ?? .null
            var causes: [FieldCause] = []
            if spec["minAvailable"] != nil, spec["maxUnavailable"] != nil {
                causes.append(.invalid("spec", GoText.any(spec), "minAvailable and maxUnavailable cannot be both set"))
            }
            for part in ["minAvailable", "maxUnavailable"] {
                causes += AmountRules.check(spec[part], at: "spec.\(part)")
                causes += AmountRules.checkAtMostAll(spec[part], at: "spec.\(part)")
            }
            if let selector = spec["selector"] { causes += SelectorRules.check(selector, at: "spec.selector") }
            return causes
        })

    package static let priorityClass = Kind(
        resource: .priorityClasses, name: "PriorityClass", singular: "priorityclass", shortNames: ["pc"], isNamespaced: false,
        countsGenerations: true,
        columns: [
            Column("Name"), Column("Value", type: "integer"), Column("Global-Default", type: "boolean"), Column("Age"),
            Column("PreemptionPolicy"),
        ],
        cells: { object, now in
            [
                JSON(object.metaName), Cells.number(object["value"]), Cells.flag(object["globalDefault"]), Cells.age(object, now),
                Cells.text(object["preemptionPolicy"], or: ""),
            ]
        },
        check: { new, old in
            var causes: [FieldCause] = []
            let value = new["value"]?.integer ?? 0
            let system: [String: Int64] = ["system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000]
            if new.metaName.hasPrefix("system-") {
                if system[new.metaName] != value {
                    causes.append(
                        .forbidden("metadata.name", "priority class names with 'system-' prefix are reserved for system use only"))
                }
            } else if value > 1_000_000_000 {
                causes.append(.forbidden("value", "maximum allowed value of a user defined priority is 1000000000"))
            }
            if let old, old["value"] != new["value"] { causes.append(.forbidden("value", "may not be changed in an update.")) }
            return causes + Unchanged.check(new, old, [["preemptionPolicy"]])
        })
}

enum ScalerDefaults {
    @Sendable static func apply(_ scaler: inout JSON) {
        guard var spec = scaler["spec"] else { return }
        if (spec["metrics"]?.array ?? []).isEmpty {
            spec["metrics"] = [
                ["type": "Resource", "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 80]]]
            ]
        }
        if spec["behavior"] != nil {
            let up: JSON = [
                "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                "policies": [["type": "Pods", "value": 4, "periodSeconds": 15], ["type": "Percent", "value": 100, "periodSeconds": 15]],
            ]
            let down: JSON = ["selectPolicy": "Max", "policies": [["type": "Percent", "value": 100, "periodSeconds": 15]]]
            for (name, rules) in [("scaleUp", up), ("scaleDown", down)] {
                for (part, value) in rules.object ?? [:] where spec["behavior"]?[name]?[part] == nil {
                    spec[path: ["behavior", name, part]] = value
                }
            }
        }
        scaler["spec"] = spec
    }
}

enum ScalerCells {
    /// Wanted and seen values, as `cpu: 12%/80%`.
    static func targets(_ scaler: JSON) -> String {
        let specs = scaler["spec"]?["metrics"]?.array ?? []
        if specs.isEmpty { return Cells.none }
        let seen = scaler["status"]?["currentMetrics"]?.array ?? []
        let texts = specs.enumerated().map { index, spec in text(spec, index < seen.count ? seen[index] : nil) }
        let first = texts.prefix(2).joined(separator: ", ")
        return texts.count > 2 ? "\(first) + \(texts.count - 2) more..." : first
    }

    private static func text(_ spec: JSON, _ seen: JSON?) -> String {
        let type = spec["type"]?.string ?? ""
        let part = type.prefix(1).lowercased() + type.dropFirst()
        let target = spec[part]?["target"]
        let current = seen?[part]?["current"]
        func value(_ name: String) -> String { current?[name]?.string ?? "<unknown>" }
        switch type {
        case "Resource", "ContainerResource":
            let prefix = (spec[part]?["name"]?.string ?? "") + ": "
            if let wanted = target?["averageValue"]?.string { return "\(prefix)\(value("averageValue"))/\(wanted)" }
            let now = current?["averageUtilization"]?.integer.map { "\($0)%" } ?? "<unknown>"
            return "\(prefix)\(now)/\(target?["averageUtilization"]?.integer.map { "\($0)%" } ?? "<auto>")"
        case "Pods": return "\(value("averageValue"))/\(target?["averageValue"]?.string ?? "")"
        case "Object", "External":
            if let wanted = target?["averageValue"]?.string { return "\(value("averageValue"))/\(wanted) (avg)" }
            return "\(value("value"))/\(target?["value"]?.string ?? "")"
        default: return "<unknown type>"
        }
    }
}

/// The autoscaler as autoscaling/v1 has it: cpu is a field, everything else an annotation.
enum OldScaler {
    private static let note = "autoscaling.alpha.kubernetes.io/metrics"
    private static let behaviorNote = "autoscaling.alpha.kubernetes.io/behavior"

    private static func isCPU(_ metric: JSON) -> Bool {
        metric["type"] == "Resource" && metric["resource"]?["name"] == "cpu"
            && (metric["resource"]?["target"]?["averageUtilization"] ?? metric["resource"]?["current"]?["averageUtilization"]) != nil
    }

    @Sendable static func toStorage(_ scaler: inout JSON) {
        var metrics: [JSON] = []
        if let percent = scaler["spec"]?["targetCPUUtilizationPercentage"] {
            metrics.append([
                "type": "Resource", "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": percent]],
            ])
        }
        if let text = scaler.metaAnnotations[note], let others = try? JSON(parsing: Array(text.utf8)) { metrics += others.array ?? [] }
        if let text = scaler.metaAnnotations[behaviorNote], let behavior = try? JSON(parsing: Array(text.utf8)) {
            scaler[path: ["spec", "behavior"]] = behavior
        }
        for name in [note, behaviorNote] { scaler["metadata"]?["annotations"]?[name] = nil }
        scaler["spec"]?["targetCPUUtilizationPercentage"] = nil
        if !metrics.isEmpty { scaler["spec"]?["metrics"] = .array(metrics) }
        scaler["status"]?["currentCPUUtilizationPercentage"] = nil
    }

    @Sendable static func fromStorage(_ scaler: inout JSON) {
        var others: [JSON] = []
        for metric in scaler["spec"]?["metrics"]?.array ?? [] {
            if isCPU(metric), scaler["spec"]?["targetCPUUtilizationPercentage"] == nil {
                scaler["spec"]?["targetCPUUtilizationPercentage"] = metric["resource"]?["target"]?["averageUtilization"]
            } else {
                others.append(metric)
            }
        }
        scaler["spec"]?["metrics"] = nil
        if !others.isEmpty { scaler[path: ["metadata", "annotations", note]] = JSON(JSON.array(others).text) }
        if let behavior = scaler["spec"]?["behavior"] {
            scaler[path: ["metadata", "annotations", behaviorNote]] = JSON(behavior.text)
            scaler["spec"]?["behavior"] = nil
        }
        let seen = scaler["status"]?["currentMetrics"]?.array?.first(where: isCPU)
        if let percent = seen?["resource"]?["current"]?["averageUtilization"] {
            scaler["status"]?["currentCPUUtilizationPercentage"] = percent
        }
        for part in ["currentMetrics", "conditions"] { scaler["status"]?[part] = nil }
    }
}
