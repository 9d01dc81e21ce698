// Reads the document of a write: format, kind, unknown fields, defaults, and the checks before it is stored.
internal import ClusterModel
internal import Essentials

enum FieldValidation: String {
    case ignore = "Ignore", warn = "Warn", strict = "Strict"
}

extension APIServer {
    /// A larger body is refused.
    static let bodyLimitBytes = 3 * 1024 * 1024

    /// The body as a document.
    func body(_ request: APIRequest) throws(ClusterProblem) -> JSON {
        if let object = request.object { return object }
        guard request.body.count <= Self.bodyLimitBytes else {
            throw ClusterProblem(
                code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large: limit is \(Self.bodyLimitBytes)")
        }
        let type = (request.header("content-type") ?? "application/json").prefix { $0 != ";" }.trimmed.lowercased()
        if type == "application/vnd.kubernetes.protobuf" || request.body.starts(with: Protobuf.magic) { return try protobuf(request.body) }
        guard type.contains("json") || type.contains("yaml") || type == "*/*" else {
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: application/json, application/vnd.kubernetes.protobuf"
            )
        }
        do throws(JSONError) { return try JSON(parsing: request.body) } catch {
            guard !type.contains("yaml") else {
                throw .unsupportedMediaType("YAML bodies are not supported here; send the same document as JSON")
            }
            throw .badRequest("couldn't get version/kind; json parse error: \(error.message)")
        }
    }

    private func protobuf(_ body: [UInt8]) throws(ClusterProblem) -> JSON {
        do throws(DecodingFailure) {
            return try Protobuf(table: schema.types).decode(body) { apiVersion, kind in
                switch kind {
                case "DeleteOptions", "Binding", "Eviction", "Scale", "TokenRequest": kind
                default: schema.kind(apiVersion: apiVersion, kind: kind)?.type
                }
            }
        } catch {
            throw .badRequest(error.message)
        }
    }

    func fieldValidation(_ request: APIRequest) throws(ClusterProblem) -> FieldValidation {
        guard let text = request.queryValue("fieldValidation"), !text.isEmpty else { return .warn }
        guard let value = FieldValidation(rawValue: text) else {
            throw .badRequest("fieldValidation: Unsupported value: \"\(text)\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"")
        }
        return value
    }

    static func isDryRun(_ request: APIRequest, _ options: JSON = .null) throws(ClusterProblem) -> Bool {
        let values = request.query.filter { $0.0 == "dryRun" }.map(\.1) + (options["dryRun"]?.array?.compactMap(\.string) ?? [])
        for value in values where value != "All" && !value.isEmpty {
            throw .badRequest("dryRun: Unsupported value: \"\(value)\": supported values: \"All\"")
        }
        return values.contains("All")
    }

    /// Reads `document` as `kind`: known fields only, with defaults. Returns the warnings about the rest.
    func decode(_ document: JSON, as kind: Kind, _ validation: FieldValidation) throws(ClusterProblem) -> (object: JSON, warnings: [String])
    {
        guard case .object = document else {
            throw .badRequest("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct")
        }
        let apiVersion = document["apiVersion"]?.string ?? kind.apiVersion
        let name = document["kind"]?.string ?? kind.name
        guard apiVersion == kind.apiVersion else {
            throw .badRequest("the API version in the data (\(apiVersion)) does not match the expected API version (\(kind.apiVersion))")
        }
        guard name == kind.name else {
            throw .badRequest("\(name) in version \"\(kind.resource.version)\" cannot be handled as a \(kind.name): the kinds differ")
        }
        if let custom = kind.customSchema { return try decode(document, as: kind, custom, validation) }
        var document = document
        for path in kind.conversion?.dropped ?? [] where document[path: path] != nil { document[path: path] = nil }
        let subject = "\(kind.name) in version \"\(kind.resource.version)\" cannot be handled as a \(kind.name): "
        var decoding = Decoding(table: schema.types)
        var decoded: JSON
        do throws(DecodingFailure) { decoded = try decoding.decode(document, as: kind.type) } catch {
            throw .badRequest(subject + error.message)
        }
        var warnings: [String] = []
        if !decoding.unknownFields.isEmpty, validation != .ignore {
            warnings = decoding.unknownFields.map { "unknown field \"\($0)\"" }
            if validation == .strict { throw .badRequest(subject + "strict decoding error: " + warnings.joined(separator: ", ")) }
        }
        var object: JSON = ["kind": JSON(kind.name), "apiVersion": JSON(kind.apiVersion), "metadata": decoded["metadata"] ?? .emptyObject]
        decoded["metadata"] = nil
        decoded["kind"] = nil
        decoded["apiVersion"] = nil
        for (key, value) in decoded.members { object[key] = value }
        return (object, warnings)
    }

    /// A custom resource: metadata as everywhere, the rest by its own schema.
    private func decode(
        _ document: JSON, as kind: Kind, _ custom: JSONSchema, _ validation: FieldValidation
    ) throws(ClusterProblem) -> (object: JSON, warnings: [String]) {
        var unknown: [String] = []
        var rest = document
        for part in ["kind", "apiVersion", "metadata"] { rest[part] = nil }
        rest = custom.prune(rest, path: "", unknown: &unknown)
        var decoding = Decoding(table: schema.types)
        let metadata: JSON
        do throws(DecodingFailure) { metadata = try decoding.decode(document["metadata"] ?? .emptyObject, as: "ObjectMeta") } catch {
            throw .badRequest("\(kind.name) in version \"\(kind.resource.version)\" cannot be handled as a \(kind.name): \(error.message)")
        }
        unknown = decoding.unknownFields.map { "metadata." + $0 } + unknown
        let warnings = validation == .ignore ? [] : unknown.map { "unknown field \"\($0)\"" }
        if validation == .strict, !warnings.isEmpty {
            throw .badRequest("strict decoding error: " + warnings.joined(separator: ", "))
        }
        var object: JSON = ["apiVersion": JSON(kind.apiVersion), "kind": JSON(kind.name), "metadata": metadata]
        for (key, value) in rest.members { object[key] = value }
        return (object, warnings)
    }

    func complete(_ object: inout JSON, _ kind: Kind) {
        if kind.customSchema != nil { return kind.applyDefaults(&object) }
        Defaulting(table: schema.types).apply(to: &object, as: kind.type)
        kind.applyDefaults(&object)
    }

    /// Throws 422 with everything that is wrong at once.
    /// Errors name the version that the client asked for.
    func check(_ object: JSON, _ kind: Kind, old: JSON? = nil, named: Kind? = nil) throws(ClusterProblem) {
        var causes = MetadataRules.check(object, of: kind)
        if kind.customSchema == nil { causes += FieldRules(table: schema.types).check(object, as: kind.type) }
        causes += kind.check(object, old)
        if !causes.isEmpty { throw .invalid(group: (named ?? kind).resource.group, kind: kind.name, name: object.metaName, causes) }
    }
}

extension JSON {
    /// The members in order; none where this is no object.
    var members: [(key: String, value: JSON)] {
        guard let object else { return [] }
        return object.map { ($0.key, $0.value) }
    }
}
