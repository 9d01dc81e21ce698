// Fills in what a document leaves open, and finds what its type does not allow.
package import Essentials
internal import OrderedCollections

package struct Defaulting: Sendable {
    private let table: TypeTable
    package init(table: TypeTable = .builtIn) { self.table = table }

    package func apply(to document: inout JSON, as type: String) {
        guard let shape = table[type], case .object(var members) = document else { return }
        document = .null
        for field in shape.fields {
            if let fallback = field.fallback, Self.isAbsent(members[field.name], field) { members[field.name] = fallback }
            guard hasParts(field.type), var value = members[field.name] else { continue }
            members[field.name] = .null
            apply(to: &value, field.type)
            members[field.name] = value
        }
        document = .object(members)
    }

    /// A zero counts as absent unless the table says that it is a value.
    private static func isAbsent(_ value: JSON?, _ field: Field) -> Bool {
        guard let value else { return true }
        guard !field.isPointer else { return false }
        switch value {
        case .string(let text): return text.isEmpty
        case .integer(let number): return number == 0
        default: return false
        }
    }

    private func hasParts(_ type: FieldType) -> Bool {
        switch type {
        case .named(let name): name != "ObjectMeta"
        case .list(let element), .map(let element): hasParts(element)
        default: false
        }
    }

    private func apply(to value: inout JSON, _ type: FieldType) {
        switch type {
        case .named(let name): apply(to: &value, as: name)
        case .list(let element):
            guard case .array(var elements) = value else { return }
            value = .null
            for index in elements.indices { apply(to: &elements[index], element) }
            value = .array(elements)
        case .map(let element):
            guard case .object(var members) = value else { return }
            value = .null
            for key in members.keys {
                guard var member = members[key] else { continue }
                apply(to: &member, element)
                members[key] = member
            }
            value = .object(members)
        default: return
        }
    }
}

/// Checks what the table says about fields: required ones, allowed words, least numbers, whole lists of unique names.
package struct FieldRules: Sendable {
    private let table: TypeTable
    package init(table: TypeTable = .builtIn) { self.table = table }

    package func check(_ document: JSON, as type: String, at path: String = "") -> [FieldCause] {
        guard let shape = table[type], case .object(let members) = document else { return [] }
        var causes: [FieldCause] = []
        for field in shape.fields {
            // What was observed is not for us to refuse; upstream checks no status by these rules either.
            if path.isEmpty, field.name == "status" { continue }
            let below = path.isEmpty ? field.name : path + "." + field.name
            guard let value = members[field.name] else {
                if field.isRequired { causes.append(.required(below)) }
                continue
            }
            if field.isRequired, value == "", field.fallback == nil { causes.append(.required(below)) }
            if !field.allowed.isEmpty, let text = value.string, !text.isEmpty, !field.allowed.contains(text) {
                causes.append(.unsupported(below, text, field.allowed))
            }
            if let minimum = field.minimum, let number = value.integer, number < minimum {
                causes.append(.invalid(below, String(number), "must be greater than or equal to \(minimum)"))
            }
            causes += check(value, field, at: below)
        }
        return causes
    }

    /// Types whose names must be unique in their list; in other lists the last one counts.
    private static let named: Set<String> = ["Container", "EphemeralContainer", "Volume", "ValidatingWebhook", "MutatingWebhook"]

    private func check(_ value: JSON, _ field: Field, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        switch field.type {
        case .named(let name) where name != "ObjectMeta": causes += check(value, as: name, at: path)
        case .list(.named(let name)):
            var seen: Set<String> = []
            for (index, element) in (value.array ?? []).enumerated() {
                causes += check(element, as: name, at: "\(path)[\(index)]")
                if Self.named.contains(name), let key = element["name"]?.string, !seen.insert(key).inserted {
                    causes.append(.duplicate("\(path)[\(index)].name", key))
                }
            }
        case .map(.named(let name)):
            for (key, element) in value.object ?? [:] { causes += check(element, as: name, at: "\(path)[\(key)]") }
        default: break
        }
        return causes
    }
}

extension FieldCause {
    package static func required(_ field: String, _ why: String = "") -> FieldCause {
        FieldCause(reason: "FieldValueRequired", field: field, message: "Required value" + (why.isEmpty ? "" : ": " + why))
    }
    /// `value` is quoted when it is text: pass it as it should read.
    package static func invalid(_ field: String, _ value: String, _ why: String) -> FieldCause {
        FieldCause(reason: "FieldValueInvalid", field: field, message: "Invalid value: \(value): \(why)")
    }
    package static func invalid(_ field: String, text: String, _ why: String) -> FieldCause { invalid(field, "\"\(text)\"", why) }
    package static func unsupported(_ field: String, _ value: String, _ allowed: [String]) -> FieldCause {
        FieldCause(
            reason: "FieldValueNotSupported", field: field,
            message: "Unsupported value: \"\(value)\": supported values: " + allowed.sorted().map { "\"\($0)\"" }.joined(separator: ", "))
    }
    package static func duplicate(_ field: String, _ value: String) -> FieldCause {
        FieldCause(reason: "FieldValueDuplicate", field: field, message: "Duplicate value: \"\(value)\"")
    }
    package static func forbidden(_ field: String, _ why: String) -> FieldCause {
        FieldCause(reason: "FieldValueForbidden", field: field, message: "Forbidden: \(why)")
    }
    package static func notFound(_ field: String, _ value: String) -> FieldCause {
        FieldCause(reason: "FieldValueNotFound", field: field, message: "Not found: \"\(value)\"")
    }
}
