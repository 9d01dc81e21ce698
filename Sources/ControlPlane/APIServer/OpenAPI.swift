// The schema table as OpenAPI v2 and v3, for `kubectl explain`, `apply` and `edit`.
internal import ClusterModel
internal import Essentials
internal import OrderedCollections

struct OpenAPI: Sendable {
    let schema: Schema

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
        var definitions: JSON.Object = [:]
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
        var schemas: JSON.Object = [:]
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
    private static func definitionName(_ type: String) -> String {
        // Custom types have their whole name.
        if type.contains(".") { return type }
        return switch type {
        case "ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "LabelSelector", "LabelSelectorRequirement", "Condition":
            "io.k8s.apimachinery.pkg.apis.meta.v1." + type
        case "Lease", "LeaseSpec": "io.k8s.api.coordination.v1." + type
        case _ where type.hasPrefix("NetworkPolicy") || type == "IPBlock": "io.k8s.api.networking.v1." + type
        default: "io.k8s.api.core.v1." + type
        }
    }

    private func collect(_ type: String, of kind: Kind?, into result: inout JSON.Object, reference: String) {
        let name = Self.definitionName(type)
        guard result[name] == nil, let shape = schema.types[type] else { return }
        result[name] = .null
        var properties: JSON = .emptyObject
        if kind != nil {
            properties["apiVersion"] = ["description": "The version of the form of this object.", "type": "string"]
            properties["kind"] = ["description": "The kind of this object.", "type": "string"]
        }
        var required: [String] = []
        for field in shape.fields {
            var property = self.property(field.type, reference: reference)
            if property["$ref"] != nil, reference.hasPrefix("#/components") {
                property = ["allOf": [property], "default": .emptyObject]
            }
            property["description"] = JSON(field.doc)
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
            }
            properties[field.name] = property
            if field.isRequired { required.append(field.name) }
            if let below = Self.named(field.type) { collect(below, of: nil, into: &result, reference: reference) }
        }
        var definition: JSON = ["description": JSON(shape.doc), "type": "object", "properties": properties]
        if !required.isEmpty { definition["required"] = JSON(required) }
        if let kind {
            definition["x-kubernetes-group-version-kind"] = [
                ["group": JSON(kind.resource.group), "kind": JSON(kind.name), "version": JSON(kind.resource.version)]
            ]
        }
        result[name] = definition
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
        case .quantity:
            return reference.hasPrefix("#/components") ? ["oneOf": [["type": "string"], ["type": "number"]]] : ["type": "string"]
        case .intOrString:
            return reference.hasPrefix("#/components")
                ? ["format": "int-or-string", "oneOf": [["type": "integer"], ["type": "string"]]]
                : ["type": "string", "format": "int-or-string"]
        case .time, .microTime: return ["type": "string", "format": "date-time"]
        case .bytes: return ["type": "string", "format": "byte"]
        case .any: return ["type": "object"]
        case .named(let name): return ["$ref": JSON(reference + Self.definitionName(name))]
        case .list(let element): return ["type": "array", "items": property(element, reference: reference)]
        case .map(let element): return ["type": "object", "additionalProperties": property(element, reference: reference)]
        }
    }

    private func paths(_ kind: Kind, isVersion3: Bool) -> [(String, JSON)] {
        let resource = kind.resource
        let gvk: JSON = ["group": JSON(resource.group), "version": JSON(resource.version), "kind": JSON(kind.name)]
        let reference = JSON((isVersion3 ? "#/components/schemas/" : "#/definitions/") + Self.definitionName(kind.type))
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
        let collection: JSON = [
            "get": operation("list", parameters: ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch"]),
            "post": operation("post", parameters: writes),
            "delete": operation("deletecollection", parameters: ["dryRun", "labelSelector"]),
            "parameters": .array(scope),
        ]
        let object: JSON = [
            "get": operation("get", parameters: []), "put": operation("put", parameters: writes),
            "patch": operation("patch", parameters: writes + ["force"]),
            "delete": operation("delete", parameters: ["dryRun", "gracePeriodSeconds"]),
            "parameters": .array([parameter("name", "path")] + scope),
        ]
        return [(base, collection), (base + "/{name}", object)]
    }
}
