// The kind Node: its rules and columns.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let node = Kind(
        resource: .nodes, name: "Node", singular: "node", shortNames: ["no"], isNamespaced: false, hasStatus: true,
        columns: [
            Column("Name"), Column("Status"), Column("Roles"), Column("Age"), Column("Version"), Column("Internal-IP", wide: true),
            Column("External-IP", wide: true), Column("OS-Image", wide: true), Column("Kernel-Version", wide: true),
            Column("Container-Runtime", wide: true),
        ],
        cells: { object, now in NodeCells.cells(object, at: now) }, selectable: ["spec.unschedulable"],
        check: { new, old in
            var causes: [FieldCause] = []
            if let was = old?["spec"]?["podCIDR"], was != "", was != new["spec"]?["podCIDR"] {
                causes.append(.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"))
            }
            return causes
        })
}

private enum NodeCells {
    static func cells(_ node: JSON, at now: Timestamp) -> [JSON] {
        let ready = node["status"]?["conditions"]?.array?.first { $0["type"] == "Ready" }
        var status =
            switch ready?["status"]?.string {
            case "True": "Ready"
            case nil: "Unknown"
            default: "NotReady"
            }
        if node["spec"]?["unschedulable"] == true { status += ",SchedulingDisabled" }
        var roles: [String] = []
        for (key, value) in node.metaLabels {
            if key.hasPrefix("node-role.kubernetes.io/") {
                roles.append(String(key.dropFirst("node-role.kubernetes.io/".count)))
            } else if key == "kubernetes.io/role", !value.isEmpty {
                roles.append(value)
            }
        }
        let info = node["status"]?["nodeInfo"] ?? .null
        func address(_ type: String) -> JSON {
            let found = node["status"]?["addresses"]?.array?.first { $0["type"]?.string == type }?["address"]?.string
            return JSON(found ?? "<none>")
        }
        func known(_ key: String) -> JSON {
            let value = info[key]?.string ?? ""
            return JSON(value.isEmpty ? "<unknown>" : value)
        }
        return [
            JSON(node.metaName), JSON(status), JSON(roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ",")),
            JSON(Age.text(of: node, at: now)), JSON(info["kubeletVersion"]?.string ?? ""), address("InternalIP"), address("ExternalIP"),
            known("osImage"), known("kernelVersion"), known("containerRuntimeVersion"),
        ]
    }
}
