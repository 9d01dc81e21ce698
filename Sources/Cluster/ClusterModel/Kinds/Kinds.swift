// The kinds of the orchestrator, except those with files of their own. To add one, add it here and to `Schema`.
package import Essentials
internal import OrderedCollections

private func text(_ value: JSON?, or fallback: String = "") -> JSON {
    JSON(value?.string.flatMap { $0.isEmpty ? nil : $0 } ?? fallback)
}

extension Kind {
    package static let namespace = Kind(
        resource: .namespaces, name: "Namespace", singular: "namespace", shortNames: ["ns"], isNamespaced: false, hasStatus: true,
        nameRule: .label,
        columns: [Column("Name"), Column("Status", "The status of the namespace"), Column("Age")],
        cells: { object, now in [JSON(object.metaName), text(object["status"]?["phase"]), JSON(Age.text(of: object, at: now))] },
        selectable: ["status.phase"],
        applyDefaults: { object in
            if object["metadata"]?["labels"]?["kubernetes.io/metadata.name"] == nil, !object.metaName.isEmpty {
                object[path: ["metadata", "labels", "kubernetes.io/metadata.name"]] = JSON(object.metaName)
            }
        },
        prepareCreate: { object in
            object["status"] = ["phase": "Active"]
            var finalizers = object["spec"]?["finalizers"]?.array ?? []
            if !finalizers.contains("kubernetes") { finalizers.append("kubernetes") }
            object[path: ["spec", "finalizers"]] = .array(finalizers)
        },
        subresources: [Subresource(name: "finalize", kind: "Namespace", version: nil, verbs: ["update"])])

    package static let configMap = Kind(
        resource: .configMaps, name: "ConfigMap", singular: "configmap", shortNames: ["cm"],
        columns: [Column("Name"), Column("Data"), Column("Age")],
        cells: { object, now in
            let count = (object["data"]?.object?.count ?? 0) + (object["binaryData"]?.object?.count ?? 0)
            return [JSON(object.metaName), JSON(count), JSON(Age.text(of: object, at: now))]
        },
        check: { new, old in
            var causes = KeyedData.check(new, parts: ["data", "binaryData"])
            for key in (new["data"]?.object ?? [:]).keys where new["binaryData"]?[key] != nil {
                causes.append(.invalid("data[\(key)]", text: key, "duplicate of key present in binaryData"))
            }
            return causes + KeyedData.checkImmutable(new, old, parts: ["data", "binaryData"])
        })

    package static let secret = Kind(
        resource: .secrets, name: "Secret", singular: "secret",
        columns: [Column("Name"), Column("Type"), Column("Data"), Column("Age")],
        cells: { object, now in
            [JSON(object.metaName), text(object["type"]), JSON(object["data"]?.object?.count ?? 0), JSON(Age.text(of: object, at: now))]
        },
        selectable: ["type"],
        applyDefaults: { object in
            for (key, value) in object["stringData"]?.object ?? [:] {
                object[path: ["data", key]] = JSON(Base64Text.encode(Array((value.string ?? "").utf8)))
            }
            object["stringData"] = nil
        },
        check: { new, old in
            var causes = KeyedData.check(new, parts: ["data"]) + KeyedData.checkImmutable(new, old, parts: ["data"])
            if let old, new["type"] != old["type"] {
                causes.append(.invalid("type", text: new["type"]?.string ?? "", "field is immutable"))
            }
            return causes
        })

    package static let lease = Kind(
        resource: .leases, name: "Lease", singular: "lease", columns: [Column("Name"), Column("Holder"), Column("Age")],
        cells: { object, now in
            [JSON(object.metaName), text(object["spec"]?["holderIdentity"]), JSON(Age.text(of: object, at: now))]
        })

    package static let networkPolicy = Kind(
        resource: .networkPolicies, name: "NetworkPolicy", singular: "networkpolicy", shortNames: ["netpol"],
        columns: [Column("Name"), Column("Pod-Selector"), Column("Age")],
        cells: { object, now in
            [JSON(object.metaName), JSON(SelectorText.text(object["spec"]?["podSelector"])), JSON(Age.text(of: object, at: now))]
        },
        applyDefaults: { object in
            guard let spec = object["spec"], spec["policyTypes"] == nil else { return }
            object["spec"]?["policyTypes"] = spec["egress"]?.array?.isEmpty ?? true ? ["Ingress"] : ["Ingress", "Egress"]
        },
        check: { new, _ in
            (new["spec"]?["policyTypes"]?.array ?? []).enumerated().compactMap { index, type in
                guard let word = type.string, word != "Ingress", word != "Egress" else { return nil }
                return .unsupported("spec.policyTypes[\(index)]", word, ["Ingress", "Egress"])
            }
        })

    package static let resourceQuota = Kind(
        resource: .resourceQuotas, name: "ResourceQuota", singular: "resourcequota", shortNames: ["quota"], hasStatus: true,
        columns: [Column("Name"), Column("Request"), Column("Limit"), Column("Age")],
        cells: { object, now in
            let hard = object["status"]?["hard"]?.strings ?? object["spec"]?["hard"]?.strings ?? [:]
            var requests: [String] = []
            var limits: [String] = []
            for name in hard.keys.sorted() {
                let used = object["status"]?["used"]?[name]?.string ?? "0"
                let line = "\(name): \(used)/\(hard[name] ?? "0")"
                if name.hasPrefix("limits.") { limits.append(line) } else { requests.append(line) }
            }
            return [
                JSON(object.metaName), JSON(requests.joined(separator: ", ")), JSON(limits.joined(separator: ", ")),
                JSON(Age.text(of: object, at: now)),
            ]
        },
        prepareCreate: { object in
            object["status"] = ["hard": object["spec"]?["hard"] ?? .emptyObject, "used": .emptyObject]
        },
        check: { new, _ in
            (new["spec"]?["hard"]?.object ?? [:]).compactMap { name, value in
                guard let amount = value.string.flatMap(Quantity.init), amount.isNegative else { return nil }
                return .invalid("spec.hard[\(name)]", text: value.string ?? "", "must be greater than or equal to 0")
            }
        })

    package static let event = Kind(
        resource: .events, name: "Event", singular: "event", shortNames: ["ev"],
        columns: [
            Column("Last Seen"), Column("Type"), Column("Reason"), Column("Object"), Column("Subobject", wide: true),
            Column("Source", wide: true),
            Column("Message"), Column("First Seen", wide: true), Column("Count", type: "integer", wide: true), Column("Name", wide: true),
        ],
        cells: { object, now in EventCells.cells(object, at: now) },
        selectable: [
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
            "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
        ],
        check: { new, _ in
            let namespace = new["involvedObject"]?["namespace"]?.string ?? ""
            if !namespace.isEmpty, namespace != new.metaNamespace {
                return [.invalid("involvedObject.namespace", text: namespace, "does not match event.namespace")]
            }
            return []
        })
}

/// What ConfigMaps and Secrets have in common.
enum KeyedData {
    static let limitBytes = 1024 * 1024

    static func check(_ object: JSON, parts: [String]) -> [FieldCause] {
        var causes: [FieldCause] = []
        var size = 0
        for part in parts {
            for (key, value) in object[part]?.object ?? [:] {
                causes += NameRules.configKey(key).map { .invalid("\(part)[\(key)]", text: key, $0) }
                size += value.string?.utf8.count ?? 0
            }
        }
        if size > limitBytes {
            causes.append(
                FieldCause(reason: "FieldValueTooLong", field: parts[0], message: "Too long: may not be more than \(limitBytes) bytes"))
        }
        return causes
    }

    static func checkImmutable(_ new: JSON, _ old: JSON?, parts: [String]) -> [FieldCause] {
        guard let old, old["immutable"] == true else { return [] }
        var causes: [FieldCause] = []
        if new["immutable"] != true { causes.append(.forbidden("immutable", "field is immutable when `immutable` is set")) }
        for part in parts where new[part] != old[part] {
            causes.append(.forbidden(part, "field is immutable when `immutable` is set"))
        }
        return causes
    }
}

/// Structured selectors as kubectl prints them.
package enum SelectorText {
    package static func text(_ selector: JSON?) -> String {
        var parts = (selector?["matchLabels"]?.strings ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        for expression in selector?["matchExpressions"]?.array ?? [] {
            let key = expression["key"]?.string ?? ""
            let values = (expression["values"]?.array ?? []).compactMap(\.string).joined(separator: ",")
            switch expression["operator"]?.string {
            case "In": parts.append("\(key) in (\(values))")
            case "NotIn": parts.append("\(key) notin (\(values))")
            case "Exists": parts.append(key)
            case "DoesNotExist": parts.append("!" + key)
            default: break
            }
        }
        return parts.isEmpty ? "<none>" : parts.joined(separator: ",")
    }
}

enum EventCells {
    static func cells(_ event: JSON, at now: Timestamp) -> [JSON] {
        var first = age(event["firstTimestamp"], now)
        if event["eventTime"]?.string != nil { first = age(event["eventTime"], now) }
        var last = event["lastTimestamp"]?.string == nil ? first : age(event["lastTimestamp"], now)
        var count = event["count"]?.integer ?? 1
        if let series = event["series"] {
            last = age(series["lastObservedTime"], now)
            count = series["count"]?.integer ?? 1
        } else if count == 0 {
            count = 1
        }
        let seen = count > 1 ? "\(last) (x\(count) over \(first))" : last
        let involved = event["involvedObject"] ?? .null
        let name = involved["name"]?.string ?? ""
        let target = (involved["kind"]?.string ?? "").lowercased() + (name.isEmpty ? "" : "/" + name)
        let component = text(event["source"]?["component"]).string ?? ""
        let host = event["source"]?["host"]?.string ?? ""
        let source = component.isEmpty ? (event["reportingComponent"]?.string ?? "") : component
        var message = event["message"]?.string ?? ""
        while message.last?.isWhitespace ?? false { message.removeLast() }
        return [
            JSON(seen), text(event["type"]), text(event["reason"]), JSON(target), text(involved["fieldPath"]),
            JSON(host.isEmpty ? source : "\(source), \(host)"), JSON(message), JSON(first), JSON(count), JSON(event.metaName),
        ]
    }

    private static func age(_ time: JSON?, _ now: Timestamp) -> String { Age.text(since: time, at: now) }
}
