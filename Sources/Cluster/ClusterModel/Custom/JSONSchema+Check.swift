// Measures documents by a custom resource's schema, with the sentences of upstream's validator.
package import Essentials
internal import OrderedCollections

extension JSONSchema {
    /// More findings are not collected.
    private static let findingLimit = 50

    package func check(_ value: JSON, path: String = "") -> [FieldCause] {
        var causes: [FieldCause] = []
        collect(value, path, &causes)
        return causes
    }

    private func collect(_ value: JSON, _ path: String, _ causes: inout [FieldCause]) {
        guard causes.count < Self.findingLimit else { return }
        if value.isNull {
            if !isNullable, !type.isEmpty { causes.append(wrongType(value, path)) }
            return
        }
        guard hasType(value) else { return causes.append(wrongType(value, path)) }
        if !allowed.isEmpty, !allowed.contains(where: { $0.isSame(as: value) }) {
            let words = allowed.map { $0.string.map { "\"\($0)\"" } ?? $0.text }.joined(separator: ", ")
            causes.append(
                FieldCause(
                    reason: "FieldValueNotSupported", field: path,
                    message: "Unsupported value: \(value.text): supported values: \(words)"))
        }
        switch value {
        case .integer, .number: checkNumber(value, path, &causes)
        case .string(let text): checkText(text, path, &causes)
        case .array(let elements): checkList(elements, path, &causes)
        case .object(let members): checkObject(members, path, &causes)
        default: break
        }
        for schema in allOf { schema.collect(value, path, &causes) }
        if !anyOf.isEmpty, !anyOf.contains(where: { $0.check(value, path: path).isEmpty }) {
            causes.append(.invalid(path, "\"\"", "\"\(path)\" must validate at least one schema (anyOf)"))
        }
        if !oneOf.isEmpty {
            let count = oneOf.count { $0.check(value, path: path).isEmpty }
            if count == 0 {
                causes.append(.invalid(path, "\"\"", "\"\(path)\" must validate one and only one schema (oneOf). Found none valid"))
            }
            if count > 1 {
                causes.append(
                    .invalid(path, "\"\"", "\"\(path)\" must validate one and only one schema (oneOf). Found \(count) valid alternatives"))
            }
        }
        if let not, not.check(value, path: path).isEmpty {
            causes.append(.invalid(path, "\"\"", "\"\(path)\" must not validate the schema (not)"))
        }
    }

    private func hasType(_ value: JSON) -> Bool {
        if isIntOrString { return value.string != nil || value.integer != nil }
        switch type {
        case "": return true
        case "string": return value.string != nil
        case "integer": return value.integer != nil
        case "number": return value.number != nil
        case "boolean": return value.bool != nil
        case "array": return value.array != nil
        case "object": return value.object != nil
        default: return true
        }
    }

    private func wrongType(_ value: JSON, _ path: String) -> FieldCause {
        let found =
            switch value {
            case .null: "null"
            case .bool: "boolean"
            case .integer: "integer"
            case .number: "number"
            case .string: "string"
            case .array: "array"
            case .object: "object"
            }
        let wanted = isIntOrString ? "integer,string" : type
        return FieldCause(
            reason: "FieldValueTypeInvalid", field: path,
            message: "Invalid value: \"\(found)\": \(path) in body must be of type \(wanted): \"\(found)\"")
    }

    private func checkNumber(_ value: JSON, _ path: String, _ causes: inout [FieldCause]) {
        let number = value.number ?? 0
        func tell(_ why: String) { causes.append(.invalid(path, value.text, "\(path) in body should be \(why)")) }
        if let least = rules["minimum"]?.number {
            let isOpen = rules["exclusiveMinimum"] == true
            if isOpen ? number <= least : number < least {
                tell("greater than \(isOpen ? "" : "or equal to ")\(rules["minimum"]?.text ?? "")")
            }
        }
        if let most = rules["maximum"]?.number {
            let isOpen = rules["exclusiveMaximum"] == true
            if isOpen ? number >= most : number > most { tell("less than \(isOpen ? "" : "or equal to ")\(rules["maximum"]?.text ?? "")") }
        }
        if let step = rules["multipleOf"]?.number, step > 0, (number / step).rounded() * step != number {
            tell("a multiple of \(rules["multipleOf"]?.text ?? "")")
        }
        if format == "int32", let whole = value.integer, Int32(exactly: whole) == nil {
            tell("of type int32")
        }
    }

    private func checkText(_ text: String, _ path: String, _ causes: inout [FieldCause]) {
        let count = text.unicodeScalars.count
        if let least = rules["minLength"]?.int, count < least {
            causes.append(.invalid(path, text: text, "\(path) in body should be at least \(least) chars long"))
        }
        if let most = rules["maxLength"]?.int, count > most {
            causes.append(FieldCause(reason: "FieldValueTooLong", field: path, message: "Too long: may not be more than \(most) bytes"))
        }
        if let pattern = rules["pattern"]?.string, let regex = try? Regex(pattern), (try? regex.firstMatch(in: text)) == nil {
            causes.append(.invalid(path, text: text, "\(path) in body should match '\(pattern)'"))
        }
        if format == "date-time", Timestamp(rfc3339: text) == nil {
            causes.append(.invalid(path, text: text, "\(path) in body must be of type date-time: \"\(text)\""))
        }
        if format == "byte", !Base64Text.isValid(text) {
            causes.append(.invalid(path, text: text, "\(path) in body must be of type byte: \"\(text)\""))
        }
    }

    private func checkList(_ elements: [JSON], _ path: String, _ causes: inout [FieldCause]) {
        if let most = rules["maxItems"]?.int, elements.count > most {
            causes.append(
                FieldCause(
                    reason: "FieldValueTooMany", field: path, message: "Too many: \(elements.count): must have at most \(most) items"))
        }
        if let least = rules["minItems"]?.int, elements.count < least {
            causes.append(.invalid(path, String(elements.count), "\(path) in body should have at least \(least) items"))
        }
        var seen: Set<JSON> = []
        for (index, element) in elements.enumerated() {
            let place = "\(path)[\(index)]"
            if listType == "set" || rules["uniqueItems"] == true, !seen.insert(element).inserted {
                causes.append(FieldCause(reason: "FieldValueDuplicate", field: place, message: "Duplicate value: \(element.text)"))
            }
            if listType == "map" {
                var key: JSON.Object = [:]
                for name in listKeys { key[name] = element[name] ?? items?.properties[name]?.fallback }
                if !seen.insert(.object(key)).inserted {
                    causes.append(
                        FieldCause(reason: "FieldValueDuplicate", field: place, message: "Duplicate value: \(JSON.object(key).text)"))
                }
            }
            items?.collect(element, place, &causes)
        }
    }

    private func checkObject(_ members: JSON.Object, _ path: String, _ causes: inout [FieldCause]) {
        func below(_ name: String) -> String { path.isEmpty ? name : path + "." + name }
        for name in required where members[name] == nil { causes.append(.required(below(name))) }
        if let most = rules["maxProperties"]?.int, members.count > most {
            causes.append(
                FieldCause(
                    reason: "FieldValueTooMany", field: path, message: "Too many: \(members.count): must have at most \(most) items"))
        }
        if let least = rules["minProperties"]?.int, members.count < least {
            causes.append(.invalid(path, String(members.count), "\(path) in body should have at least \(least) properties"))
        }
        for (name, member) in members {
            if let property = properties[name] {
                property.collect(member, below(name), &causes)
            } else if case .schema(let schema) = rest {
                schema.collect(member, below(name), &causes)
            }
        }
    }
}
