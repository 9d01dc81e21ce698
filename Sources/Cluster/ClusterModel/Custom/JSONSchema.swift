// The schema of a custom resource (OpenAPI v3, structural): what stays of a document, what is filled in, what is wrong.
package import Essentials
internal import OrderedCollections

package final class JSONSchema: Sendable {
    /// A schema nested deeper is refused.
    static let depthLimit = 64

    enum Rest: Sendable {
        /// Members that are not named go.
        case none
        case any
        case schema(JSONSchema)
    }

    let type: String
    let doc: String
    let format: String
    let properties: OrderedDictionary<String, JSONSchema>
    let rest: Rest
    let items: JSONSchema?
    let required: [String]
    let allowed: [JSON]
    let fallback: JSON?
    let isNullable: Bool
    let isIntOrString: Bool
    let keepsUnknown: Bool
    let isEmbedded: Bool
    let listType: String
    let listKeys: [String]
    let mapType: String
    /// Everything else a value is measured by, as it was written.
    let rules: JSON
    let allOf: [JSONSchema]
    let anyOf: [JSONSchema]
    let oneOf: [JSONSchema]
    let not: JSONSchema?

    package init(_ document: JSON, depth: Int = 0) throws(PatchFailure) {
        guard depth < Self.depthLimit else { throw PatchFailure("the schema is nested more than \(Self.depthLimit) deep") }
        func below(_ value: JSON?) throws(PatchFailure) -> JSONSchema? {
            guard let value, value.object != nil else { return nil }
            return try JSONSchema(value, depth: depth + 1)
        }
        func each(_ name: String) throws(PatchFailure) -> [JSONSchema] {
            var all: [JSONSchema] = []
            for value in document[name]?.array ?? [] { if let schema = try below(value) { all.append(schema) } }
            return all
        }
        type = document["type"]?.string ?? ""
        doc = document["description"]?.string ?? ""
        format = document["format"]?.string ?? ""
        var properties: OrderedDictionary<String, JSONSchema> = [:]
        for (name, value) in document["properties"]?.object ?? [:] { properties[name] = try below(value) }
        self.properties = properties
        keepsUnknown = document["x-kubernetes-preserve-unknown-fields"] == true
        if let schema = try below(document["additionalProperties"]) {
            rest = .schema(schema)
        } else {
            rest = keepsUnknown || document["additionalProperties"] == true ? .any : .none
        }
        items = try below(document["items"])
        required = (document["required"]?.array ?? []).compactMap(\.string)
        allowed = document["enum"]?.array ?? []
        fallback = document["default"]
        isNullable = document["nullable"] == true
        isIntOrString = document["x-kubernetes-int-or-string"] == true
        isEmbedded = document["x-kubernetes-embedded-resource"] == true
        listType = document["x-kubernetes-list-type"]?.string ?? ""
        listKeys = (document["x-kubernetes-list-map-keys"]?.array ?? []).compactMap(\.string)
        mapType = document["x-kubernetes-map-type"]?.string ?? ""
        var rules: JSON = .emptyObject
        for name in [
            "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems",
            "maxItems", "uniqueItems", "minProperties", "maxProperties",
        ] { rules[name] = document[name] }
        self.rules = rules
        allOf = try each("allOf")
        anyOf = try each("anyOf")
        oneOf = try each("oneOf")
        not = try below(document["not"])
    }

    /// The document without members that the schema does not know; their paths go to `unknown`.
    package func prune(_ value: JSON, path: String, unknown: inout [String]) -> JSON {
        switch value {
        case .object(let members):
            if isEmbedded, keepsUnknown { return value }
            var result: JSON.Object = [:]
            for (name, member) in members {
                let place = path.isEmpty ? name : path + "." + name
                if let property = properties[name] {
                    result[name] = property.prune(member, path: place, unknown: &unknown)
                } else if isEmbedded, ["apiVersion", "kind", "metadata"].contains(name) {
                    result[name] = member
                } else {
                    switch rest {
                    case .any: result[name] = member
                    case .schema(let schema): result[name] = schema.prune(member, path: place, unknown: &unknown)
                    case .none: if unknown.count < 100 { unknown.append(place) }
                    }
                }
            }
            return .object(result)
        case .array(let elements):
            guard let items else { return value }
            return .array(elements.enumerated().map { items.prune($1, path: "\(path)[\($0)]", unknown: &unknown) })
        default: return value
        }
    }

    /// Fills in defaults; a null where null is not allowed counts as absent.
    package func fill(_ value: inout JSON) {
        switch value {
        case .object(var members):
            value = .null
            for (name, property) in properties {
                if members[name]?.isNull ?? false, !property.isNullable, property.fallback != nil { members[name] = nil }
                if members[name] == nil, let fallback = property.fallback { members[name] = fallback }
                guard var member = members[name] else { continue }
                property.fill(&member)
                members[name] = member
            }
            if case .schema(let schema) = rest {
                for (name, member) in members where properties[name] == nil {
                    var member = member
                    schema.fill(&member)
                    members[name] = member
                }
            }
            value = .object(members)
        case .array(var elements):
            guard let items else { return }
            value = .null
            for index in elements.indices { items.fill(&elements[index]) }
            value = .array(elements)
        default: return
        }
    }
}
