// Turns a CustomResourceDefinition into kinds like the built-in ones: columns, checks, types for apply and OpenAPI.
package import Essentials
internal import OrderedCollections

/// A version of a custom resource.
package struct CustomKind: Sendable {
    package let kind: Kind
    /// Types for the table, the kind's own first.
    package let types: [ObjectType]
    package let specReplicas: [String]?
    package let statusReplicas: [String]
    package let scaleSelector: [String]?
}

package enum CustomKinds {
    /// The kinds of the served versions; the reason where the definition cannot be served.
    package static func make(from definition: JSON) throws(PatchFailure) -> [CustomKind] {
        let spec = definition["spec"] ?? .null
        let names = definition["status"]?["acceptedNames"] ?? spec["names"] ?? .null
        let group = spec["group"]?.string ?? ""
        let plural = names["plural"]?.string ?? ""
        let versions = spec["versions"]?.array ?? []
        let storage = versions.first { $0["storage"] == true }?["name"]?.string ?? ""
        var kinds: [CustomKind] = []
        for version in versions where version["served"] == true {
            let schema = try JSONSchema(version["schema"]?["openAPIV3Schema"] ?? ["x-kubernetes-preserve-unknown-fields": true])
            kinds.append(
                make(
                    version, schema, names, isNamespaced: spec["scope"] == "Namespaced",
                    GroupVersionResource(group: group, version: version["name"]?.string ?? "", resource: plural),
                    storage: GroupVersionResource(group: group, version: storage, resource: plural)))
        }
        // The version that clients prefer comes first.
        return kinds.sorted { VersionOrder.isBefore($0.kind.resource.version, $1.kind.resource.version) }
    }

    private static func make(
        _ version: JSON, _ schema: JSONSchema, _ names: JSON, isNamespaced: Bool, _ resource: GroupVersionResource,
        storage: GroupVersionResource
    ) -> CustomKind {
        let name = names["kind"]?.string ?? ""
        let typeName = resource.group.split(separator: ".").reversed().joined(separator: ".") + ".\(resource.version).\(name)"
        var builder = TypeBuilder()
        builder.root(schema, name: typeName)
        var kind = Kind(
            resource: resource, name: name, singular: names["singular"]?.string ?? name.lowercased(),
            shortNames: (names["shortNames"]?.array ?? []).compactMap(\.string),
            categories: (names["categories"]?.array ?? []).compactMap(\.string), isNamespaced: isNamespaced)
        kind.typeName = typeName
        kind.customSchema = schema
        kind.hasStatus = version["subresources"]?["status"] != nil
        kind.applyDefaults = { object in
            let metadata = object["metadata"]
            schema.fill(&object)
            object["metadata"] = metadata
        }
        kind.check = { new, _ in
            var object = new
            // Metadata has rules of its own, the same for all kinds.
            object["metadata"] = schema.properties["metadata"] == nil ? nil : new["metadata"]
            return schema.check(object)
        }
        if resource != storage {
            kind.conversion = Kind.Conversion(storage: storage, toStorage: { _ in }, fromStorage: { _ in })
        }
        let scale = version["subresources"]?["scale"]
        let specReplicas = scale?["specReplicasPath"]?.string.flatMap { FieldPath($0)?.names }
        if specReplicas != nil {
            kind.subresources.append(
                Kind.Subresource(
                    name: "scale", kind: "Scale", version: GroupVersionResource(group: "autoscaling", version: "v1", resource: ""),
                    verbs: ["get", "patch", "update"]))
        }
        let columns = Self.columns(version)
        kind.columns = [Column("Name")] + columns.map(\.column)
        kind.cells = { object, now in
            [JSON(object.metaName)] + columns.map { $0.cell(object, now) }
        }
        kind.selectable = (version["selectableFields"]?.array ?? []).compactMap { $0["jsonPath"]?.string }.map {
            String($0.drop { $0 == "." })
        }
        return CustomKind(
            kind: kind, types: builder.types, specReplicas: specReplicas,
            statusReplicas: scale?["statusReplicasPath"]?.string.flatMap { FieldPath($0)?.names } ?? ["status", "replicas"],
            scaleSelector: scale?["labelSelectorPath"]?.string.flatMap { FieldPath($0)?.names })
    }

    private struct PrinterColumn: Sendable {
        let column: Column
        let path: FieldPath?
        let type: String

        func cell(_ object: JSON, _ now: Timestamp) -> JSON {
            guard let values = path?.values(in: object), let first = values.first else { return .null }
            switch type {
            case "date": return JSON(Age.text(since: first, at: now))
            case "integer", "number", "boolean": return first
            default:
                if values.count > 1 { return JSON(values.map { $0.string ?? $0.text }.joined(separator: ",")) }
                return JSON(first.string ?? first.text)
            }
        }
    }

    private static func columns(_ version: JSON) -> [PrinterColumn] {
        let written = version["additionalPrinterColumns"]?.array ?? []
        if written.isEmpty {
            return [PrinterColumn(column: Column("Age"), path: FieldPath(".metadata.creationTimestamp"), type: "date")]
        }
        return written.map { column in
            let type = column["type"]?.string ?? "string"
            return PrinterColumn(
                column: Column(
                    column["name"]?.string ?? "", type: type, wide: (column["priority"]?.int ?? 0) > 0, column["description"]?.string ?? ""),
                path: FieldPath(column["jsonPath"]?.string ?? ""), type: type)
        }
    }
}

/// The order of API versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name.
package enum VersionOrder {
    package static func isBefore(_ left: String, _ right: String) -> Bool {
        switch (rank(left), rank(right)) {
        case (let left?, let right?): left.lexicographicallyPrecedes(right)
        case (.some, nil): true
        case (nil, .some): false
        case (nil, nil): left < right
        }
    }

    private static func rank(_ version: String) -> [Int]? {
        guard let match = version.wholeMatch(of: /v([0-9]+)(?:(alpha|beta)([0-9]+))?/) else { return nil }
        let major = Int(match.1) ?? 0
        let stage = match.2 == nil ? 0 : match.2 == "beta" ? 1 : 2
        return [stage, -major, -(match.3.flatMap { Int($0) } ?? 0)]
    }
}

/// Collects the types of a schema, nested ones under the path they stand at.
private struct TypeBuilder {
    var types: [ObjectType] = []

    mutating func root(_ schema: JSONSchema, name: String) {
        let place = types.count
        types.append(ObjectType(name: name, doc: schema.doc, fields: []))
        var fields = [Field(number: 0, name: "metadata", type: .named("ObjectMeta"), doc: "Name, labels and the like.")]
        fields += self.fields(schema, name: name).filter { !["apiVersion", "kind", "metadata"].contains($0.name) }
        types[place] = ObjectType(name: name, doc: schema.doc, fields: fields)
    }

    private mutating func fields(_ schema: JSONSchema, name: String) -> [Field] {
        schema.properties.map { key, property in
            var field = Field(number: 0, name: key, type: type(property, name: name + "." + key), doc: property.doc)
            field.isRequired = schema.required.contains(key)
            field.fallback = property.fallback
            field.allowed = property.allowed.compactMap(\.string)
            field.staysWhenEmpty = true
            if property.listType == "map" {
                field.mapKeys = property.listKeys
            } else if property.listType == "set" {
                field.isSet = true
            }
            field.isAtomic = property.mapType == "atomic" || property.listType == "atomic"
            return field
        }
    }

    private mutating func type(_ schema: JSONSchema, name: String) -> FieldType {
        if schema.isIntOrString { return .intOrString }
        switch schema.type {
        case "string": return schema.format == "byte" ? .bytes : schema.format == "date-time" ? .time : .string
        case "integer": return schema.format == "int32" ? .int32 : .int64
        case "number": return .double
        case "boolean": return .bool
        case "array": return .list(schema.items.map { type($0, name: name) } ?? .any)
        case "object":
            if !schema.properties.isEmpty, !schema.keepsUnknown {
                let place = types.count
                types.append(ObjectType(name: name, doc: schema.doc, fields: []))
                types[place] = ObjectType(name: name, doc: schema.doc, fields: fields(schema, name: name))
                return .named(name)
            }
            if case .schema(let rest) = schema.rest { return .map(type(rest, name: name)) }
            return .any
        default: return .any
        }
    }
}
