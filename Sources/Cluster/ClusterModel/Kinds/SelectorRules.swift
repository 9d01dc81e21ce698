// Rules about selectors, amounts and fields that do not change, which many kinds share.
internal import Essentials
internal import OrderedCollections

enum SelectorRules {
    static func check(_ selector: JSON?, at path: String) -> [FieldCause] {
        var causes = MetadataRules.checkLabels(selector?["matchLabels"], at: path + ".matchLabels")
        for (index, expression) in (selector?["matchExpressions"]?.array ?? []).enumerated() {
            let below = "\(path).matchExpressions[\(index)]"
            let key = expression["key"]?.string ?? ""
            let count = expression["values"]?.array?.count ?? 0
            switch expression["operator"]?.string {
            case "In", "NotIn":
                if count == 0 {
                    causes.append(.required(below + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
                }
            case "Exists", "DoesNotExist":
                if count > 0 {
                    causes.append(.forbidden(below + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
                }
            case let other: causes.append(.invalid(below + ".operator", text: other ?? "", "not a valid selector operator"))
            }
            causes += NameRules.qualifiedName(key).map { .invalid(below + ".key", text: key, $0) }
        }
        return causes
    }

    static func isEmpty(_ selector: JSON?) -> Bool {
        (selector?["matchLabels"]?.object?.isEmpty ?? true) && (selector?["matchExpressions"]?.array?.isEmpty ?? true)
    }

    static func matches(_ selector: JSON, _ labels: JSON?) -> Bool {
        guard let parsed = try? LabelSelector(structured: selector) else { return true }
        return parsed.matches(labels?.strings ?? [:])
    }

    /// The selector of a workload: it is there, says something, and fits the template.
    static func checkWorkload(_ spec: JSON, template: JSON?, empty: String, at path: String = "spec") -> [FieldCause] {
        guard let selector = spec["selector"] else {
            // Nothing selects nothing, so the template cannot fit; upstream says both.
            return [.required(path + ".selector"), mismatch(template, at: path + ".template")]
        }
        var causes = check(selector, at: path + ".selector")
        if isEmpty(selector) {
            causes.append(.invalid(path + ".selector", GoText.labelSelector(selector), empty))
        } else if causes.isEmpty, !matches(selector, template?["metadata"]?["labels"]) {
            causes.append(mismatch(template, at: path + ".template"))
        }
        return causes
    }

    static func mismatch(_ template: JSON?, at path: String) -> FieldCause {
        .invalid(
            path + ".metadata.labels", GoText.strings(template?["metadata"]?["labels"]), "`selector` does not match template `labels`")
    }

    static func checkUnchanged(_ new: JSON, _ old: JSON?) -> [FieldCause] {
        guard let old, !(new["spec"]?["selector"] ?? .null).isSame(as: old["spec"]?["selector"] ?? .null) else { return [] }
        return [.invalid("spec.selector", GoText.labelSelector(new["spec"]?["selector"]), "field is immutable")]
    }
}

enum AmountRules {
    /// A number from 0 on, or a percentage.
    static func check(_ value: JSON?, at path: String) -> [FieldCause] {
        if let text = value?.string {
            guard !isPercent(text) else { return [] }
            return [
                .invalid(
                    path, GoText.numberOrText(value),
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
                )
            ]
        }
        if let number = value?.integer, number < 0 { return [.invalid(path, String(number), "must be greater than or equal to 0")] }
        return []
    }

    static func checkAtMostAll(_ value: JSON?, at path: String) -> [FieldCause] {
        guard let percent = percent(value), percent > 100 else { return [] }
        return [.invalid(path, GoText.numberOrText(value), "must not be greater than 100%")]
    }

    static func isPercent(_ text: String) -> Bool {
        text.utf8.last == UInt8(ascii: "%") && text.utf8.count > 1 && text.utf8.dropLast().allSatisfy { $0 &- 48 < 10 }
    }

    static func percent(_ value: JSON?) -> Int? { value?.string.flatMap { isPercent($0) ? Int($0.dropLast()) : nil } }

    static func isZero(_ value: JSON?) -> Bool { value?.integer == 0 || percent(value) == 0 }

    static func checkPort(_ value: JSON?, at path: String) -> [FieldCause] {
        guard let number = value?.integer, !(1...65535).contains(number) else { return [] }
        return [.invalid(path, String(number), "must be between 1 and 65535, inclusive")]
    }

    /// A port by number or by name.
    static func checkPortOrName(_ value: JSON?, at path: String) -> [FieldCause] {
        if let name = value?.string { return NameRules.portName(name).map { .invalid(path, text: name, $0) } }
        return checkPort(value, at: path)
    }
}

enum Unchanged {
    /// `field is immutable` for each of the fields that differs.
    static func check(_ new: JSON, _ old: JSON?, _ paths: [[String]]) -> [FieldCause] {
        guard let old else { return [] }
        return paths.compactMap { path in
            let left = new[path: path] ?? .null
            guard !left.isSame(as: old[path: path] ?? .null) else { return nil }
            return .invalid(path.joined(separator: "."), GoText.any(left), "field is immutable")
        }
    }
}
