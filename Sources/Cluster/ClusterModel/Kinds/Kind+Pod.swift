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
            Subresource(name: "attach", kind: "PodAttachOptions", version: nil, verbs: ["create", "get"]),
            Subresource(name: "ephemeralcontainers", kind: "Pod", version: nil, verbs: ["get", "patch", "update"]),
            Subresource(name: "exec", kind: "PodExecOptions", version: nil, verbs: ["create", "get"]),
            Subresource(name: "portforward", kind: "PodPortForwardOptions", version: nil, verbs: ["create", "get"]),
            Subresource(name: "proxy", kind: "PodProxyOptions", version: nil, verbs: ["create", "delete", "get", "patch", "update"]),
            Subresource(name: "resize", kind: "Pod", version: nil, verbs: ["get", "patch", "update"]),
        ],
        gracePeriod: { pod in
            // A pod that runs nowhere has nothing to end.
            if pod["spec"]?["nodeName"]?.string?.isEmpty ?? true { return 0 }
            if let phase = pod["status"]?["phase"]?.string, phase == "Failed" || phase == "Succeeded" { return 0 }
            return pod["spec"]?["terminationGracePeriodSeconds"]?.int ?? 30
        })
}

extension Kind {
    /// A pod of the host, into which nobody looks through the API.
    static var hostPod: Kind {
        var kind = Kind.pod
        kind.subresources.removeAll { !["log", "binding", "eviction"].contains($0.name) }
        return kind
    }
}

enum PodDefaults {
    @Sendable static func apply(_ pod: inout JSON) {
        guard pod["spec"] != nil else { return }
        complete(specOf: &pod)
        if pod["spec"]?["enableServiceLinks"] == nil { pod["spec"]?["enableServiceLinks"] = true }
        let usesHost = pod["spec"]?["hostNetwork"] == true
        for list in ["containers", "initContainers"] {
            guard case .array(var containers) = pod["spec"]?[list] else { continue }
            for index in containers.indices { complete(&containers[index], usesHost: usesHost) }
            pod["spec"]?[list] = .array(containers)
        }
    }

    /// What templates are given as well: `holder` is a pod or a template.
    static func complete(specOf holder: inout JSON) {
        guard holder["spec"] != nil else { return }
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            guard case .array(var containers) = holder["spec"]?[list] else { continue }
            for index in containers.indices where containers[index]["imagePullPolicy"] == nil {
                guard let image = containers[index]["image"]?.string else { continue }
                containers[index]["imagePullPolicy"] = tag(of: image) == "latest" ? "Always" : "IfNotPresent"
            }
            holder["spec"]?[list] = .array(containers)
        }
        let account = holder["spec"]?["serviceAccountName"]?.string ?? ""
        if !account.isEmpty {
            holder["spec"]?["serviceAccount"] = JSON(account)
        } else if let old = holder["spec"]?["serviceAccount"]?.string, !old.isEmpty {
            holder["spec"]?["serviceAccountName"] = JSON(old)
        }
    }

    /// The template at `path`.
    static func complete(templateOf object: inout JSON, at path: [String] = ["spec", "template"]) {
        guard var template = object[path: path] else { return }
        complete(specOf: &template)
        object[path: path] = template
    }

    private static func complete(_ container: inout JSON, usesHost: Bool) {
        for (name, limit) in container["resources"]?["limits"]?.object ?? [:] where container["resources"]?["requests"]?[name] == nil {
            container[path: ["resources", "requests", name]] = limit
        }
        guard usesHost, case .array(var ports) = container["ports"] else { return }
        for index in ports.indices where (ports[index]["hostPort"]?.integer ?? 0) == 0 {
            ports[index]["hostPort"] = ports[index]["containerPort"]
        }
        container["ports"] = .array(ports)
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
    static func check(_ pod: JSON) -> [FieldCause] { PodSpecRules.check(pod["spec"] ?? .null, at: "spec") }

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
