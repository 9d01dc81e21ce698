// The kinds of storage: PersistentVolume and its claim, and the group storage.k8s.io.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let persistentVolume = Kind(
        resource: .persistentVolumes, name: "PersistentVolume", singular: "persistentvolume", shortNames: ["pv"], isNamespaced: false,
        hasStatus: true, countsGenerations: false,
        columns: [
            Column("Name"), Column("Capacity"), Column("Access Modes"), Column("Reclaim Policy"), Column("Status"), Column("Claim"),
            Column("StorageClass"), Column("VolumeAttributesClass"), Column("Reason"), Column("Age"), Column("VolumeMode", wide: true),
        ],
        cells: { object, now in
            let spec = object["spec"] ?? .null
            var claim = ""
            if let reference = spec["claimRef"] {
                claim = (reference["namespace"]?.string ?? "") + "/" + (reference["name"]?.string ?? "")
            }
            return [
                JSON(object.metaName), Cells.text(spec["capacity"]?["storage"], or: ""), JSON(Cells.accessModes(spec["accessModes"])),
                Cells.text(spec["persistentVolumeReclaimPolicy"], or: ""),
                object.isBeingDeleted ? "Terminating" : Cells.text(object["status"]?["phase"], or: ""), JSON(claim),
                Cells.text(spec["storageClassName"], or: ""), Cells.text(spec["volumeAttributesClassName"], or: "<unset>"),
                Cells.text(object["status"]?["reason"], or: ""), Cells.age(object, now), Cells.text(spec["volumeMode"], or: "<unset>"),
            ]
        },
        prepareCreate: { object in object["status"] = ["phase": "Pending"] }, check: VolumeRules.check)

    package static let persistentVolumeClaim = Kind(
        resource: .persistentVolumeClaims, name: "PersistentVolumeClaim", singular: "persistentvolumeclaim", shortNames: ["pvc"],
        hasStatus: true, countsGenerations: false,
        columns: [
            Column("Name"), Column("Status"), Column("Volume"), Column("Capacity"), Column("Access Modes"), Column("StorageClass"),
            Column("VolumeAttributesClass"), Column("Age"), Column("VolumeMode", wide: true),
        ],
        cells: { object, now in
            let spec = object["spec"] ?? .null
            let volume = spec["volumeName"]?.string ?? ""
            let status = volume.isEmpty ? nil : object["status"]
            return [
                JSON(object.metaName), object.isBeingDeleted ? "Terminating" : Cells.text(object["status"]?["phase"], or: ""),
                JSON(volume), Cells.text(status?["capacity"]?["storage"], or: ""), JSON(Cells.accessModes(status?["accessModes"])),
                Cells.text(spec["storageClassName"], or: ""), Cells.text(spec["volumeAttributesClassName"], or: "<unset>"),
                Cells.age(object, now), Cells.text(spec["volumeMode"], or: "<unset>"),
            ]
        },
        prepareCreate: { object in object["status"] = ["phase": "Pending"] }, check: ClaimRules.check)

    package static let storageClass = Kind(
        resource: .storageClasses, name: "StorageClass", singular: "storageclass", shortNames: ["sc"], isNamespaced: false,
        columns: [
            Column("Name"), Column("Provisioner"), Column("ReclaimPolicy"), Column("VolumeBindingMode"), Column("AllowVolumeExpansion"),
            Column("Age"),
        ],
        cells: { object, now in
            let isDefault = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
                .contains { object.metaAnnotations[$0] == "true" }
            return [
                JSON(object.metaName + (isDefault ? " (default)" : "")), Cells.text(object["provisioner"], or: ""),
                Cells.text(object["reclaimPolicy"], or: "Delete"), Cells.text(object["volumeBindingMode"], or: "Immediate"),
                Cells.flag(object["allowVolumeExpansion"]), Cells.age(object, now),
            ]
        },
        check: { new, old in
            guard let old else { return [] }
            let fixed = ["parameters", "provisioner", "reclaimPolicy"].filter { !(new[$0] ?? .null).isSame(as: old[$0] ?? .null) }
            return fixed.map { .forbidden($0, "updates to \($0) are forbidden.") } + Unchanged.check(new, old, [["volumeBindingMode"]])
        })

    package static let volumeAttachment = Kind(
        resource: .volumeAttachments, name: "VolumeAttachment", singular: "volumeattachment", isNamespaced: false, hasStatus: true,
        countsGenerations: false,
        columns: [Column("Name"), Column("Attacher"), Column("PV"), Column("Node"), Column("Attached"), Column("Age")],
        cells: { object, now in
            let spec = object["spec"]
            return [
                JSON(object.metaName), Cells.text(spec?["attacher"], or: ""), Cells.text(spec?["source"]?["persistentVolumeName"], or: ""),
                Cells.text(spec?["nodeName"], or: ""), Cells.flag(object["status"]?["attached"]), Cells.age(object, now),
            ]
        },
        check: { new, old in Unchanged.check(new, old, [["spec"]]) })

    package static let csiDriver = Kind(
        resource: .csiDrivers, name: "CSIDriver", singular: "csidriver", isNamespaced: false,
        columns: [
            Column("Name"), Column("AttachRequired", type: "boolean"), Column("PodInfoOnMount", type: "boolean"),
            Column("StorageCapacity", type: "boolean"), Column("TokenRequests"), Column("RequiresRepublish", type: "boolean"),
            Column("Modes"), Column("Age"),
        ],
        cells: { object, now in
            let spec = object["spec"]
            let tokens = (spec?["tokenRequests"]?.array ?? []).compactMap { $0["audience"]?.string }
            let modes = (spec?["volumeLifecycleModes"]?.array ?? []).compactMap(\.string)
            return [
                JSON(object.metaName), Cells.flag(spec?["attachRequired"]), Cells.flag(spec?["podInfoOnMount"]),
                Cells.flag(spec?["storageCapacity"]), JSON(tokens.isEmpty ? "<unset>" : tokens.joined(separator: ",")),
                Cells.flag(spec?["requiresRepublish"]), JSON(modes.isEmpty ? Cells.none : modes.joined(separator: ",")),
                Cells.age(object, now),
            ]
        },
        applyDefaults: { object in
            if object["spec"] != nil, object["spec"]?["volumeLifecycleModes"] == nil {
                object["spec"]?["volumeLifecycleModes"] = ["Persistent"]
            }
        })

    package static let csiNode = Kind(
        resource: .csiNodes, name: "CSINode", singular: "csinode", isNamespaced: false,
        columns: [Column("Name"), Column("Drivers", type: "integer"), Column("Age")],
        cells: { object, now in
            [JSON(object.metaName), JSON(Cells.count(object["spec"]?["drivers"])), Cells.age(object, now)]
        })

    package static let csiStorageCapacity = Kind(
        resource: .csiStorageCapacities, name: "CSIStorageCapacity", singular: "csistoragecapacity",
        columns: [Column("Name"), Column("StorageClassName"), Column("Capacity"), Column("Age")],
        cells: { object, now in
            [
                JSON(object.metaName), Cells.text(object["storageClassName"], or: ""), Cells.text(object["capacity"], or: ""),
                Cells.age(object, now),
            ]
        })
}

enum VolumeRules {
    private static let sources = [
        "awsElasticBlockStore", "csi", "fc", "flexVolume", "gcePersistentDisk", "hostPath", "iscsi", "local", "nfs",
    ]

    @Sendable static func check(_ new: JSON, _ old: JSON?) -> [FieldCause] {
        let spec = new["spec"] ?? .null
        var causes: [FieldCause] = []
        if (spec["accessModes"]?.array ?? []).isEmpty { causes.append(.required("spec.accessModes")) }
        causes += checkModes(spec["accessModes"], at: "spec.accessModes")
        let capacity = spec["capacity"]?.strings ?? [:]
        if capacity.isEmpty {
            causes.append(.required("spec.capacity"))
        } else if capacity["storage"] == nil || capacity.count > 1 {
            causes.append(.unsupported("spec.capacity", capacity.keys.sorted().first { $0 != "storage" } ?? "", ["storage"]))
        } else if let amount = capacity["storage"].flatMap(Quantity.init), amount <= .zero {
            causes.append(.invalid("spec.capacity[storage]", text: capacity["storage"] ?? "", "must be greater than zero"))
        }
        let given = sources.filter { spec[$0] != nil }
        if given.isEmpty { causes.append(.required("spec", "must specify a volume type")) }
        for source in given.dropFirst() { causes.append(.forbidden("spec.\(source)", "may not specify more than 1 volume type")) }
        if spec["local"] != nil, spec["nodeAffinity"] == nil {
            causes.append(.required("spec.nodeAffinity", "Local volume requires node affinity"))
        }
        guard let old else { return causes }
        if sources.contains(where: { !(spec[$0] ?? .null).isSame(as: old["spec"]?[$0] ?? .null) }) {
            causes.append(
                .forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"))
        }
        causes += Unchanged.check(new, old, [["spec", "volumeMode"]])
        if old["spec"]?["nodeAffinity"] != nil { causes += Unchanged.check(new, old, [["spec", "nodeAffinity"]]) }
        return causes
    }

    static func checkModes(_ modes: JSON?, at path: String) -> [FieldCause] {
        let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
        let named = (modes?.array ?? []).compactMap(\.string)
        var causes: [FieldCause] = named.filter { !known.contains($0) }.map { .unsupported(path, $0, known) }
        if named.contains("ReadWriteOncePod"), named.contains(where: { $0 != "ReadWriteOncePod" && known.contains($0) }) {
            causes.append(.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
        }
        return causes
    }
}

enum ClaimRules {
    @Sendable static func check(_ new: JSON, _ old: JSON?) -> [FieldCause] {
        var causes = check(spec: new["spec"] ?? .null, at: "spec")
        guard let old else { return causes }
        var left = new["spec"] ?? .null
        let was = old["spec"] ?? .null
        if (was["volumeName"]?.string ?? "").isEmpty { left["volumeName"] = was["volumeName"] }
        if was["storageClassName"] == nil { left["storageClassName"] = nil }
        let newSize = left["resources"]?["requests"]?["storage"]?.string.flatMap(Quantity.init) ?? .zero
        let oldSize = was["resources"]?["requests"]?["storage"]?.string.flatMap(Quantity.init) ?? .zero
        if old["status"]?["phase"] == "Bound" {
            left[path: ["resources", "requests", "storage"]] = was["resources"]?["requests"]?["storage"]
            left["volumeAttributesClassName"] = was["volumeAttributesClassName"]
        }
        if !left.isSame(as: was) {
            causes.append(
                .forbidden(
                    "spec",
                    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"))
        }
        let capacity = old["status"]?["capacity"]?["storage"]?.string.flatMap(Quantity.init) ?? .zero
        if newSize < oldSize, newSize <= capacity {
            causes.append(.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
        }
        return causes
    }

    static func check(spec: JSON, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        if (spec["accessModes"]?.array ?? []).isEmpty {
            causes.append(.required(path + ".accessModes", "at least 1 access mode is required"))
        }
        causes += VolumeRules.checkModes(spec["accessModes"], at: path + ".accessModes")
        if let size = spec["resources"]?["requests"]?["storage"]?.string {
            if let amount = Quantity(size), amount <= .zero {
                causes.append(.invalid(path + ".resources[storage]", text: size, "must be greater than zero"))
            }
        } else {
            causes.append(.required(path + ".resources[storage]"))
        }
        if let name = spec["storageClassName"]?.string, !name.isEmpty {
            causes += NameRules.subdomain(name).map { .invalid(path + ".storageClassName", text: name, $0) }
        }
        if let source = spec["dataSource"], (source["apiGroup"]?.string ?? "").isEmpty, source["kind"] != "PersistentVolumeClaim" {
            causes.append(
                .invalid(
                    path + ".dataSource", text: source["kind"]?.string ?? "",
                    "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
        }
        if let selector = spec["selector"] { causes += SelectorRules.check(selector, at: path + ".selector") }
        return causes
    }
}
