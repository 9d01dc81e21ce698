// The schema table as OpenAPI v2 and v3, for `kubectl explain`, `apply` and `edit`.
internal import ClusterModel
internal import Essentials
internal import OrderedCollections

struct OpenAPI: Sendable {
    let schema: Schema
    /// Types that say their version and kind, wherever they stand.
    private let kindTypes: Set<String>

    init(schema: Schema) {
        self.schema = schema
        kindTypes = Set(schema.kinds.map(\.type))
    }

    var index: JSON {
        var paths: JSON = .emptyObject
        for group in schema.groups {
            for version in group.versions {
                let path = group.name.isEmpty ? "api/\(version)" : "apis/\(group.name)/\(version)"
                paths[path] = ["serverRelativeURL": JSON("/openapi/v3/\(path)")]
            }
        }
        return ["paths": paths]
    }

    var version2: JSON {
        var definitions = Self.scalars(isVersion3: false)
        var paths: JSON = .emptyObject
        for kind in schema.kinds {
            collect(kind.type, of: kind, into: &definitions, reference: "#/definitions/")
            for (path, item) in self.paths(kind, isVersion3: false) { paths[path] = item }
        }
        return [
            "swagger": "2.0", "info": ["title": "Kubernetes", "version": JSON(APIServer.gitVersion)], "paths": paths,
            "definitions": .object(definitions),
        ]
    }

    func version3(group: String, version: String) -> JSON {
        var schemas = Self.scalars(isVersion3: true)
        var paths: JSON = .emptyObject
        for kind in schema.kinds where kind.resource.group == group && kind.resource.version == version {
            collect(kind.type, of: kind, into: &schemas, reference: "#/components/schemas/")
            for (path, item) in self.paths(kind, isVersion3: true) { paths[path] = item }
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": JSON(APIServer.gitVersion)], "paths": paths,
            "components": ["schemas": .object(schemas)],
        ]
    }

    /// Upstream's names of types, by which clients know a few of them.
    private func definitionName(_ type: String) -> String { schema.types[type]?.fullName ?? type }

    private static let namesKey = "x-kubernetes-group-version-kind"

    private func collect(_ type: String, of kind: Kind?, into result: inout JSON.Object, reference: String) {
        guard let shape = schema.types[type] else { return }
        let name = shape.fullName
        let isKnown = result[name] != nil
        if let kind {
            // Several versions may share a type.
            let own: JSON = ["group": JSON(kind.resource.group), "kind": JSON(kind.name), "version": JSON(kind.resource.version)]
            var names = result[name]?[Self.namesKey]?.array ?? []
            names.append(own)
            result[name, default: .emptyObject][Self.namesKey] = .array(names)
        }
        if isKnown { return }
        if kind == nil { result[name] = .emptyObject }
        var properties: JSON = .emptyObject
        if kindTypes.contains(type) {
            properties["apiVersion"] = ["description": "The version of the form of this object.", "type": "string"]
            properties["kind"] = ["description": "The kind of this object.", "type": "string"]
        }
        var required: [String] = []
        for field in shape.fields {
            var property = self.property(field.type, reference: reference)
            if property["$ref"] != nil, reference.hasPrefix("#/components") {
                var whole: JSON = ["allOf": [property]]
                if case .named = field.type { whole["default"] = .emptyObject }
                property = whole
            }
            // `explain` shows both; the same twice helps nobody.
            if Self.named(field.type).flatMap({ schema.types[$0]?.doc }) != field.doc { property["description"] = JSON(field.doc) }
            if !field.allowed.isEmpty { property["enum"] = JSON(field.allowed) }
            if let fallback = field.fallback, property["allOf"] == nil, property["$ref"] == nil { property["default"] = fallback }
            if let key = field.mergeKey {
                property["x-kubernetes-patch-merge-key"] = JSON(key)
                property["x-kubernetes-patch-strategy"] = field.retainsKeys ? "merge,retainKeys" : "merge"
                property["x-kubernetes-list-map-keys"] = JSON(field.mapKeys)
                property["x-kubernetes-list-type"] = "map"
            } else if field.isSet {
                property["x-kubernetes-patch-strategy"] = "merge"
                property["x-kubernetes-list-type"] = "set"
            } else if field.isAtomic, case .list = field.type {
                property["x-kubernetes-list-type"] = "atomic"
            } else if field.isAtomic, case .map = field.type {
                property["x-kubernetes-map-type"] = "atomic"
            } else if field.retainsKeys {
                property["x-kubernetes-patch-strategy"] = "retainKeys"
            }
            properties[field.name] = property
            if field.isRequired { required.append(field.name) }
            if let below = Self.named(field.type) { collect(below, of: nil, into: &result, reference: reference) }
        }
        var definition: JSON = ["description": JSON(shape.doc), "type": "object", "properties": properties]
        if !required.isEmpty { definition["required"] = JSON(required) }
        definition[Self.namesKey] = result[name]?[Self.namesKey]
        result[name] = definition
    }

    private static let quantityName = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    private static let intOrStringName = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

    /// Values that are a type of their own although they are no objects.
    private static func scalars(isVersion3: Bool) -> JSON.Object {
        [
            quantityName: isVersion3
                ? ["description": "An amount, such as 500m or 1Gi.", "oneOf": [["type": "string"], ["type": "number"]]]
                : ["description": "An amount, such as 500m or 1Gi.", "type": "string"],
            intOrStringName: isVersion3
                ? [
                    "description": "A number, or a text such as a percentage or a name.", "format": "int-or-string",
                    "oneOf": [["type": "integer"], ["type": "string"]],
                ]
                : ["description": "A number, or a text such as a percentage or a name.", "type": "string", "format": "int-or-string"],
        ]
    }

    private static func named(_ type: FieldType) -> String? {
        switch type {
        case .named(let name): name
        case .list(let element), .map(let element): named(element)
        default: nil
        }
    }

    private func property(_ type: FieldType, reference: String) -> JSON {
        switch type {
        case .string: return ["type": "string"]
        case .bool: return ["type": "boolean"]
        case .int32: return ["type": "integer", "format": "int32"]
        case .int64: return ["type": "integer", "format": "int64"]
        case .double: return ["type": "number", "format": "double"]
        case .quantity: return ["$ref": JSON(reference + Self.quantityName)]
        case .intOrString: return ["$ref": JSON(reference + Self.intOrStringName)]
        case .time, .microTime: return ["type": "string", "format": "date-time"]
        case .bytes: return ["type": "string", "format": "byte"]
        case .any: return ["type": "object"]
        case .named(let name): return ["$ref": JSON(reference + definitionName(name))]
        case .list(let element): return ["type": "array", "items": property(element, reference: reference)]
        case .map(let element): return ["type": "object", "additionalProperties": property(element, reference: reference)]
        }
    }

    private func paths(_ kind: Kind, isVersion3: Bool) -> [(String, JSON)] {
        let resource = kind.resource
        let gvk: JSON = ["group": JSON(resource.group), "version": JSON(resource.version), "kind": JSON(kind.name)]
        let reference = JSON((isVersion3 ? "#/components/schemas/" : "#/definitions/") + definitionName(kind.type))
        func parameter(_ name: String, _ place: String = "query") -> JSON {
            var parameter: JSON = ["name": JSON(name), "in": JSON(place)]
            if place == "path" { parameter["required"] = true }
            if isVersion3 { parameter["schema"] = ["type": "string", "uniqueItems": true] } else { parameter["type"] = "string" }
            return parameter
        }
        func operation(_ action: String, parameters: [String]) -> JSON {
            let body: JSON =
                isVersion3
                ? ["description": "OK", "content": ["application/json": ["schema": ["$ref": reference]]]]
                : ["description": "OK", "schema": ["$ref": reference]]
            return [
                "operationId": JSON("\(action)\(resource.group)\(resource.version)\(kind.name)"),
                "parameters": .array(parameters.map { parameter($0) }),
                "responses": ["200": body], "x-kubernetes-action": JSON(action), "x-kubernetes-group-version-kind": gvk,
            ]
        }
        let writes = ["dryRun", "fieldManager", "fieldValidation"]
        let scope: [JSON] = kind.isNamespaced ? [parameter("namespace", "path")] : []
        let base = resource.root + (kind.isNamespaced ? "/namespaces/{namespace}/" : "/") + resource.resource
        var collection: JSON = ["parameters": .array(scope)]
        var object: JSON = ["parameters": .array([parameter("name", "path")] + scope)]
        if kind.verbs.contains("list") {
            collection["get"] = operation(
                "list", parameters: ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch"])
        }
        if kind.verbs.contains("create") { collection["post"] = operation("post", parameters: writes) }
        if kind.verbs.contains("deletecollection") {
            collection["delete"] = operation("deletecollection", parameters: ["dryRun", "labelSelector"])
        }
        if kind.verbs.contains("get") { object["get"] = operation("get", parameters: []) }
        if kind.verbs.contains("update") { object["put"] = operation("put", parameters: writes) }
        if kind.verbs.contains("patch") { object["patch"] = operation("patch", parameters: writes + ["force"]) }
        if kind.verbs.contains("delete") { object["delete"] = operation("delete", parameters: ["dryRun", "gracePeriodSeconds"]) }
        return kind.verbs.contains("get") ? [(base, collection), (base + "/{name}", object)] : [(base, collection)]
    }
}
