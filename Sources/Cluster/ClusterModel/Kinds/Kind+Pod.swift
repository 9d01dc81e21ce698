// The kind Pod: its computed defaults, rules and columns.
package import Essentials
internal import OrderedCollections

extension Kind {
    package static let pod = Kind(
        resource: .pods, name: "Pod", singular: "pod", shortNames: ["po"], categories: ["all"], hasStatus: true,
        columns: [
            Column("Name"), Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
            Column("Status", "The aggregate status of the containers in this pod."),
            Column(
                "Restarts",
                "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."),
            Column("Age"), Column("IP", wide: true), Column("Node", wide: true), Column("Nominated Node", wide: true),
            Column("Readiness Gates", wide: true),
        ],
        cells: { object, now in PodCells.cells(object, at: now) },
        selectable: [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase",
            "status.podIP", "status.podIPs", "status.nominatedNodeName",
        ],
        applyDefaults: PodDefaults.apply,
        prepareCreate: { object in object["status"] = ["phase": "Pending", "qosClass": JSON(PodDefaults.qosClass(object))] },
        check: { new, old in old.map { PodRules.checkUpdate(new, $0) } ?? PodRules.check(new) },
        subresources: [
            Subresource(name: "log", kind: "Pod", version: nil, verbs: ["get"]),
            Subresource(name: "binding", kind: "Binding", version: nil, verbs: ["create"]),
            Subresource(
                name: "eviction", kind: "Eviction", version: GroupVersionResource(group: "policy", version: "v1", resource: ""),
                verbs: ["create"]),
        ],
        gracePeriod: { pod in
            // A pod that runs nowhere has nothing to end.
            if pod["spec"]?["nodeName"]?.string?.isEmpty ?? true { return 0 }
            if let phase = pod["status"]?["phase"]?.string, phase == "Failed" || phase == "Succeeded" { return 0 }
            return pod["spec"]?["terminationGracePeriodSeconds"]?.int ?? 30
        })
}

enum PodDefaults {
    @Sendable static func apply(_ pod: inout JSON) {
        guard pod["spec"] != nil else { return }
        for list in ["containers", "initContainers"] {
            guard case .array(var containers) = pod["spec"]?[list] else { continue }
            for index in containers.indices { complete(&containers[index]) }
            pod["spec"]?[list] = .array(containers)
        }
        if let account = pod["spec"]?["serviceAccountName"]?.string, !account.isEmpty { pod["spec"]?["serviceAccount"] = JSON(account) }
    }

    private static func complete(_ container: inout JSON) {
        if container["imagePullPolicy"] == nil, let image = container["image"]?.string {
            container["imagePullPolicy"] = tag(of: image) == "latest" ? "Always" : "IfNotPresent"
        }
        for (name, limit) in container["resources"]?["limits"]?.object ?? [:] where container["resources"]?["requests"]?[name] == nil {
            container[path: ["resources", "requests", name]] = limit
        }
    }

    private static func tag(of image: String) -> String {
        if image.contains("@") { return "" }
        let last = image.split(separator: "/").last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return "latest" }
        return String(last[last.index(after: colon)...])
    }

    static func qosClass(_ pod: JSON) -> String {
        let containers = (pod["spec"]?["containers"]?.array ?? []) + (pod["spec"]?["initContainers"]?.array ?? [])
        var hasAny = false
        var isGuaranteed = !containers.isEmpty
        for container in containers {
            let limits = container["resources"]?["limits"]?.strings ?? [:]
            let requests = container["resources"]?["requests"]?.strings ?? [:]
            for name in ["cpu", "memory"] {
                let limit = limits[name].flatMap(Quantity.init)
                let request = requests[name].flatMap(Quantity.init)
                if limit != nil || request != nil { hasAny = true }
                if limit == nil || limit != request { isGuaranteed = false }
            }
        }
        return isGuaranteed ? "Guaranteed" : hasAny ? "Burstable" : "BestEffort"
    }
}

enum PodRules {
    static func check(_ pod: JSON) -> [FieldCause] {
        let spec = pod["spec"] ?? .null
        var causes: [FieldCause] = []
        let volumes = Set((spec["volumes"]?.array ?? []).compactMap { $0["name"]?.string })
        for (index, volume) in (spec["volumes"]?.array ?? []).enumerated() {
            causes += NameRules.label(volume["name"]?.string ?? "").map {
                .invalid("spec.volumes[\(index)].name", text: volume["name"]?.string ?? "", $0)
            }
            let sources = (volume.object ?? [:]).keys.filter { $0 != "name" }
            if sources.isEmpty { causes.append(.required("spec.volumes[\(index)]", "must specify a volume type")) }
            if sources.count > 1 {
                causes.append(.forbidden("spec.volumes[\(index)].\(sources[1])", "may not specify more than 1 volume type"))
            }
        }
        for list in ["initContainers", "containers"] {
            for (index, container) in (spec[list]?.array ?? []).enumerated() {
                causes += check(container, volumes: volumes, at: "spec.\(list)[\(index)]")
            }
        }
        if let hostname = spec["hostname"]?.string, !hostname.isEmpty {
            causes += NameRules.label(hostname).map { .invalid("spec.hostname", text: hostname, $0) }
        }
        return causes
    }

    private static func check(_ container: JSON, volumes: Set<String>, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        let name = container["name"]?.string ?? ""
        if !name.isEmpty { causes += NameRules.label(name).map { .invalid(path + ".name", text: name, $0) } }
        if container["image"]?.string?.isEmpty ?? true { causes.append(.required(path + ".image")) }
        for (index, mount) in (container["volumeMounts"]?.array ?? []).enumerated() {
            let volume = mount["name"]?.string ?? ""
            if !volumes.contains(volume) { causes.append(.notFound("\(path).volumeMounts[\(index)].name", volume)) }
        }
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            if let number = port["containerPort"]?.integer, !(1...65535).contains(number) {
                causes.append(.invalid("\(path).ports[\(index)].containerPort", String(number), "must be between 1 and 65535, inclusive"))
            }
        }
        let limits = container["resources"]?["limits"]?.strings ?? [:]
        for (resource, text) in container["resources"]?["requests"]?.strings ?? [:] {
            guard let request = Quantity(text), let limit = limits[resource].flatMap(Quantity.init), request > limit else { continue }
            causes.append(
                .invalid(
                    "\(path).resources.requests", text: text, "must be less than or equal to \(resource) limit of \(limits[resource] ?? "")"
                ))
        }
        return causes
    }

    /// What may change in a pod once it exists.
    static func checkUpdate(_ new: JSON, _ old: JSON) -> [FieldCause] {
        var allowed = new
        for list in ["containers", "initContainers"] {
            let was = old["spec"]?[list]?.array ?? []
            guard case .array(var containers) = new["spec"]?[list] else { continue }
            if containers.count != was.count { return [.forbidden("spec.\(list)", "pod updates may not add or remove containers")] }
            for index in containers.indices { containers[index]["image"] = was[index]["image"] }
            allowed["spec"]?[list] = .array(containers)
        }
        for part in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] { allowed["spec"]?[part] = old["spec"]?[part] }
        if old["spec"]?["terminationGracePeriodSeconds"]?.integer ?? 0 < 0, new["spec"]?["terminationGracePeriodSeconds"] == 1 {
            allowed["spec"]?["terminationGracePeriodSeconds"] = old["spec"]?["terminationGracePeriodSeconds"]
        }
        guard let left = allowed["spec"], let right = old["spec"], !left.isSame(as: right) else { return [] }
        return [
            .forbidden(
                "spec",
                "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
            )
        ]
    }
}

extension JSON {
    /// Equality that does not look at the order of members.
    package func isSame(as other: JSON) -> Bool {
        switch (self, other) {
        case (.object(let left), .object(let right)):
            guard left.count == right.count else { return false }
            for (key, value) in left {
                guard let counterpart = right[key], value.isSame(as: counterpart) else { return false }
            }
            return true
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { $0.isSame(as: $1) }
        default: return self == other
        }
    }
}
