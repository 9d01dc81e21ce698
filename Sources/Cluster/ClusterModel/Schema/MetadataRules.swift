// What metadata may say, and what of it only the server may change.
package import Essentials
internal import OrderedCollections

package enum MetadataRules {
    /// The sum of all annotations' keys and values, in bytes.
    static let annotationsLimitBytes = 256 * 1024

    package static func check(_ object: JSON, of kind: Kind) -> [FieldCause] {
        let metadata = object["metadata"] ?? .null
        var causes: [FieldCause] = []
        let name = metadata["name"]?.string ?? ""
        if name.isEmpty {
            causes.append(.required("metadata.name", "name or generateName is required"))
        } else {
            let problems =
                switch kind.nameRule {
                case .label: NameRules.label(name)
                case .path: pathSegment(name)
                case .serviceLabel: NameRules.serviceLabel(name)
                case .subdomain: NameRules.subdomain(name)
                }
            causes += problems.map { .invalid("metadata.name", text: name, $0) }
        }
        causes += checkLabels(metadata["labels"], at: "metadata.labels")
        var size = 0
        for (key, value) in metadata["annotations"]?.object ?? [:] {
            causes += NameRules.qualifiedName(key.lowercased()).map { .invalid("metadata.annotations", text: key, $0) }
            size += key.utf8.count + (value.string?.utf8.count ?? 0)
        }
        if size > annotationsLimitBytes {
            causes.append(
                FieldCause(
                    reason: "FieldValueTooLong", field: "metadata.annotations",
                    message: "Too long: may not be more than \(annotationsLimitBytes) bytes"))
        }
        for (index, finalizer) in object.metaFinalizers.enumerated() {
            causes += NameRules.qualifiedName(finalizer).map { .invalid("metadata.finalizers[\(index)]", text: finalizer, $0) }
        }
        var controllers = 0
        for (index, owner) in (metadata["ownerReferences"]?.array ?? []).enumerated() {
            for part in ["apiVersion", "kind", "name", "uid"] where owner[part]?.string?.isEmpty ?? true {
                causes.append(.invalid("metadata.ownerReferences[\(index)].\(part)", "\"\"", "must not be empty"))
            }
            if owner["controller"] == true { controllers += 1 }
        }
        if controllers > 1 {
            causes.append(.invalid("metadata.ownerReferences", text: "", "Only one reference can have Controller set to true"))
        }
        return causes
    }

    static func checkLabels(_ labels: JSON?, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        for (key, value) in labels?.object ?? [:] {
            causes += NameRules.qualifiedName(key).map { .invalid(path, text: key, $0) }
            let text = value.string ?? ""
            causes += NameRules.labelValue(text).map { .invalid(path, text: text, $0) }
        }
        return causes
    }

    private static func pathSegment(_ name: String) -> [String] {
        if name == "." || name == ".." { return ["may not be '\(name)'"] }
        return ["/", "%"].filter { name.contains($0) }.map { "may not contain '\($0)'" }
    }

    /// Puts back what clients cannot change. `managed` are members that only the server sets.
    package static func preserve(in object: inout JSON, from old: JSON) {
        for part in ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "namespace", "selfLink"] {
            object["metadata"]?[part] = old["metadata"]?[part]
        }
    }
}
