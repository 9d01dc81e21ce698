// The remaining kinds: LimitRange, ComponentStatus, custom resources, webhooks, API services, runtime classes, metrics.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let limitRange = Kind(
        resource: .limitRanges, name: "LimitRange", singular: "limitrange", shortNames: ["limits"],
        columns: [Column("Name"), Column("Created At", type: "date")],
        cells: { object, _ in [JSON(object.metaName), Cells.created(object)] },
        applyDefaults: LimitDefaults.apply, check: { new, _ in LimitDefaults.check(new) })

    package static let componentStatus = Kind(
        resource: .componentStatuses, name: "ComponentStatus", singular: "componentstatus", shortNames: ["cs"], isNamespaced: false,
        verbs: ["get", "list"], isStored: false, deprecation: "v1 ComponentStatus is deprecated in v1.19+",
        columns: [
            Column("Name"), Column("Status", "Status of the component conditions"),
            Column("Message", "Message of the component conditions"), Column("Error", "Error of the component conditions"),
        ],
        cells: { object, _ in
            let healthy = (object["conditions"]?.array ?? []).first { $0["type"] == "Healthy" }
            let state =
                switch healthy?["status"]?.string {
                case "True": "Healthy"
                case "False": "Unhealthy"
                default: "Unknown"
                }
            return [JSON(object.metaName), JSON(state), Cells.text(healthy?["message"], or: ""), Cells.text(healthy?["error"], or: "")]
        })

    package static let customResourceDefinition = Kind(
        resource: .customResourceDefinitions, name: "CustomResourceDefinition", singular: "customresourcedefinition",
        shortNames: ["crd", "crds"], categories: ["api-extensions"], isNamespaced: false, hasStatus: true,
        columns: [Column("Name"), Column("Created At", type: "date")],
        cells: { object, _ in [JSON(object.metaName), Cells.created(object)] },
        applyDefaults: DefinitionRules.complete,
        prepareCreate: { object in
            let stored = (object["spec"]?["versions"]?.array ?? []).filter { $0["storage"] == true }.compactMap { $0["name"] }
            object["status"] = ["storedVersions": .array(stored)]
        },
        check: DefinitionRules.check)

    private static func webhooks(_ resource: GroupVersionResource, _ name: String) -> Kind {
        Kind(
            resource: resource, name: name, singular: name.lowercased(), categories: ["api-extensions"], isNamespaced: false,
            countsGenerations: true, columns: [Column("Name"), Column("Webhooks"), Column("Age")],
            cells: { object, now in [JSON(object.metaName), JSON(Cells.count(object["webhooks"])), Cells.age(object, now)] })
    }

    package static let validatingWebhookConfiguration = webhooks(.validatingWebhookConfigurations, "ValidatingWebhookConfiguration")
    package static let mutatingWebhookConfiguration = webhooks(.mutatingWebhookConfigurations, "MutatingWebhookConfiguration")

    package static let apiService = Kind(
        resource: .apiServices, name: "APIService", singular: "apiservice", categories: ["api-extensions"], isNamespaced: false,
        hasStatus: true, countsGenerations: false,
        columns: [
            Column("Name"), Column("Service", "The reference to the service that hosts this API endpoint."),
            Column("Available", "Whether this service is available."), Column("Age"),
        ],
        cells: { object, now in
            let service = object["spec"]?["service"]
            let place = service.map { "\($0["namespace"]?.string ?? "")/\($0["name"]?.string ?? "")" } ?? "Local"
            let available = (object["status"]?["conditions"]?.array ?? []).first { $0["type"] == "Available" }
            var state = available?["status"]?.string ?? "Unknown"
            if state != "True", let reason = available?["reason"]?.string { state += " (\(reason))" }
            return [JSON(object.metaName), JSON(place), JSON(state), Cells.age(object, now)]
        },
        check: { new, _ in
            let spec = new["spec"]
            let wanted = (spec?["version"]?.string ?? "") + "." + (spec?["group"]?.string ?? "")
            return new.metaName == wanted
                ? [] : [.invalid("metadata.name", text: new.metaName, "must be `spec.version+\".\"+spec.group`: \"\(wanted)\"")]
        })

    package static let runtimeClass = Kind(
        resource: .runtimeClasses, name: "RuntimeClass", singular: "runtimeclass", isNamespaced: false,
        columns: [Column("Name"), Column("Handler"), Column("Age")],
        cells: { object, now in [JSON(object.metaName), Cells.text(object["handler"], or: ""), Cells.age(object, now)] },
        check: { new, old in
            let handler = new["handler"]?.string ?? ""
            let problems: [FieldCause] =
                handler.isEmpty ? [] : NameRules.label(handler).map { .invalid("handler", text: handler, $0) }
            return problems + Unchanged.check(new, old, [["handler"]])
        })

    private static func measured(_ resource: GroupVersionResource, _ name: String, _ singular: String, isNamespaced: Bool) -> Kind {
        Kind(
            resource: resource, name: name, singular: singular, isNamespaced: isNamespaced, verbs: ["get", "list"], isStored: false,
            columns: [Column("Name"), Column("CPU"), Column("Memory"), Column("Window")],
            cells: { object, _ in
                let parts = object["usage"].map { [$0] } ?? (object["containers"]?.array ?? []).compactMap { $0["usage"] }
                func sum(_ name: String) -> JSON {
                    let total = parts.compactMap { $0[name]?.string.flatMap(Quantity.init) }.reduce(.zero, +)
                    return JSON(total.description)
                }
                return [JSON(object.metaName), sum("cpu"), sum("memory"), Cells.text(object["window"], or: "")]
            })
    }

    package static let nodeMetrics = measured(.nodeMetrics, "NodeMetrics", "", isNamespaced: false)
    package static let podMetrics = measured(.podMetrics, "PodMetrics", "", isNamespaced: true)
}

enum LimitDefaults {
    /// Limits of containers that name none come from the most that is allowed, requests from the limits.
    @Sendable static func apply(_ range: inout JSON) {
        guard var limits = range["spec"]?["limits"]?.array else { return }
        for index in limits.indices where limits[index]["type"] == "Container" {
            func fill(_ part: String, from source: String) {
                for (name, amount) in limits[index][source]?.object ?? [:] where limits[index][part]?[name] == nil {
                    limits[index][path: [part, name]] = amount
                }
            }
            fill("default", from: "max")
            fill("defaultRequest", from: "default")
            fill("defaultRequest", from: "min")
        }
        range["spec"]?["limits"] = .array(limits)
    }

    static func check(_ range: JSON) -> [FieldCause] {
        var causes: [FieldCause] = []
        var types: Set<String> = []
        for (index, item) in (range["spec"]?["limits"]?.array ?? []).enumerated() {
            let path = "spec.limits[\(index)]"
            let type = item["type"]?.string ?? ""
            if !type.isEmpty, !types.insert(type).inserted { causes.append(.duplicate(path + ".type", type)) }
            if type == "Pod" {
                for part in ["default", "defaultRequest"] where item[part] != nil {
                    causes.append(.forbidden("\(path).\(part)", "may not be specified when `type` is 'Pod'"))
                }
            }
            func amount(_ part: String, _ name: String) -> Quantity? { item[part]?[name]?.string.flatMap(Quantity.init) }
            func compare(_ low: String, _ lowName: String, _ high: String, _ highName: String) {
                for name in (item[low]?.object ?? [:]).keys.sorted() {
                    guard let small = amount(low, name), let large = amount(high, name), small > large else { continue }
                    causes.append(
                        .invalid(
                            "\(path).\(low)[\(name)]", text: small.description,
                            "\(lowName) value \(small) is greater than \(highName) value \(large)"))
                }
            }
            compare("min", "min", "max", "max")
            compare("min", "min", "default", "default")
            compare("default", "default", "max", "max")
            compare("defaultRequest", "default request", "max", "max")
            compare("defaultRequest", "default request", "default", "default limit")
        }
        return causes
    }
}

enum DefinitionRules {
    @Sendable static func complete(_ definition: inout JSON) {
        guard let kind = definition["spec"]?["names"]?["kind"]?.string, !kind.isEmpty else { return }
        for (part, name) in [("singular", kind.lowercased()), ("listKind", kind + "List")]
        where (definition["spec"]?["names"]?[part]?.string ?? "").isEmpty {
            definition[path: ["spec", "names", part]] = JSON(name)
        }
    }

    @Sendable static func check(_ new: JSON, _ old: JSON?) -> [FieldCause] {
        let spec = new["spec"] ?? .null
        let names = spec["names"] ?? .null
        let plural = names["plural"]?.string ?? ""
        let group = spec["group"]?.string ?? ""
        var causes: [FieldCause] = []
        if new.metaName != plural + "." + group {
            causes.append(.invalid("metadata.name", text: new.metaName, "must be spec.names.plural+\".\"+spec.group"))
        }
        if !group.isEmpty {
            causes += NameRules.subdomain(group).map { .invalid("spec.group", text: group, $0) }
            if !group.contains(".") { causes.append(.invalid("spec.group", text: group, "should be a domain with at least one dot")) }
        }
        for part in ["plural", "singular"] {
            guard let name = names[part]?.string, !name.isEmpty else { continue }
            causes += NameRules.serviceLabel(name).map { .invalid("spec.names.\(part)", text: name, $0) }
        }
        let versions = spec["versions"]?.array ?? []
        var seen: Set<String> = []
        for (index, version) in versions.enumerated() {
            let path = "spec.versions[\(index)]"
            let name = version["name"]?.string ?? ""
            if !name.isEmpty {
                causes += NameRules.serviceLabel(name).map { .invalid(path + ".name", text: name, $0) }
                if !seen.insert(name).inserted { causes.append(.duplicate(path + ".name", name)) }
            }
            if version["schema"]?["openAPIV3Schema"] == nil {
                causes.append(.required(path + ".schema.openAPIV3Schema", "schemas are required"))
            }
        }
        if !versions.isEmpty, versions.filter({ $0["storage"] == true }).count != 1 {
            causes.append(
                .invalid("spec.versions", GoText.any(spec["versions"]), "must have exactly one version marked as storage version"))
        }
        if spec["preserveUnknownFields"] == true {
            causes.append(
                .invalid(
                    "spec.preserveUnknownFields", "true",
                    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"))
        }
        return causes
            + Unchanged.check(new, old, [["spec", "group"], ["spec", "scope"], ["spec", "names", "kind"], ["spec", "names", "plural"]])
    }
}
