// The form of answers: objects, tables for `kubectl get`, or metadata alone; bytes for the wire or documents in the process.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

/// What the Accept header asks for.
enum Rendering: Sendable {
    enum Included: String, Sendable { case none = "None", metadata = "Metadata", object = "Object" }
    case object
    case table(Included)
    case metadata

    init(_ request: APIRequest) throws(ClusterProblem) {
        guard let accept = request.header("accept"), !accept.isEmpty else {
            self = .object
            return
        }
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.trimmed }
            guard let type = parts.first, ["application/json", "*/*", "application/*"].contains(type) else { continue }
            switch parts.first(where: { $0.hasPrefix("as=") }) {
            case nil: self = .object
            case "as=Table":
                let wanted = request.queryValue("includeObject") ?? ""
                guard let included = wanted.isEmpty ? .metadata : Included(rawValue: wanted) else {
                    throw .badRequest("unrecognized includeObject value: \"\(wanted)\"")
                }
                self = .table(included)
            case "as=PartialObjectMetadata", "as=PartialObjectMetadataList": self = .metadata
            default: continue
            }
            return
        }
        throw ClusterProblem(
            code: 406, reason: "NotAcceptable",
            message: "only the following media types are accepted: application/json, application/json;as=Table;g=meta.k8s.io;v=v1")
    }

    /// `object` is as it is stored; `kind` says in which version it is shown.
    func apply(_ object: JSON, _ kind: Kind, at now: Timestamp, withColumns: Bool = true) -> JSON {
        switch self {
        case .object: kind.shown(object)
        case .metadata: Self.metadataOnly(object)
        case .table(let included):
            table([object], kind, included, ["resourceVersion": JSON(object.metaResourceVersion)], at: now, withColumns: withColumns)
        }
    }

    func list(_ objects: [JSON], _ kind: Kind, metadata: JSON, at now: Timestamp) -> JSON {
        switch self {
        case .object:
            [
                "kind": JSON(kind.listName), "apiVersion": JSON(kind.apiVersion), "metadata": metadata,
                "items": .array(objects.map(kind.shown)),
            ]
        case .metadata:
            [
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": .array(objects.map(Self.metadataOnly)),
            ]
        case .table(let included): table(objects, kind, included, metadata, at: now, withColumns: true)
        }
    }

    private static func metadataOnly(_ object: JSON) -> JSON {
        ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] ?? .emptyObject]
    }

    private func table(
        _ objects: [JSON], _ kind: Kind, _ included: Included, _ metadata: JSON, at now: Timestamp, withColumns: Bool
    ) -> JSON {
        var columns: [JSON] = []
        if withColumns {
            columns = kind.columns.map { column in
                [
                    "name": JSON(column.name), "type": JSON(column.type), "format": column.name == "Name" ? "name" : "",
                    "description": JSON(column.doc), "priority": JSON(column.priority),
                ]
            }
        }
        let rows: [JSON] = objects.map { object in
            var row: JSON = ["cells": JSON(kind.cells(object, now))]
            switch included {
            case .none: break
            case .metadata: row["object"] = Self.metadataOnly(object)
            case .object: row["object"] = kind.shown(object)
            }
            return row
        }
        return [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": JSON(columns), "rows": JSON(rows),
        ]
    }
}

extension Substring {
    var trimmed: String {
        var text = self
        while text.first?.isWhitespace ?? false { text.removeFirst() }
        while text.last?.isWhitespace ?? false { text.removeLast() }
        return String(text)
    }
}

extension APIServer {
    static let jsonHeaders = [("content-type", "application/json"), ("cache-control", "no-cache, private")]

    func respond(_ document: JSON, status: Int, to request: APIRequest, warnings: [String] = []) -> APIResponse {
        let headers = Self.jsonHeaders + warnings.map { ("warning", "299 - " + Self.quoted($0)) }
        guard !request.wantsObjects else { return APIResponse(status: status, headers: headers, body: .object(document)) }
        return APIResponse(status: status, headers: headers, body: .bytes(document.bytes + [0x0A]))
    }

    func respond(_ problem: ClusterProblem, to request: APIRequest) -> APIResponse {
        var response = respond(problem.status, status: problem.code, to: request)
        if let seconds = problem.retryAfterSeconds { response.headers.append(("retry-after", String(seconds))) }
        return response
    }

    /// Answers with one object in the form that was asked for.
    func respond(
        object: StoredObject, _ kind: Kind, status: Int = 200, to request: APIRequest, warnings: [String] = []
    ) throws(ClusterProblem) -> APIResponse {
        let rendering = try Rendering(request)
        if case .object = rendering, !request.wantsObjects, warnings.isEmpty, kind.conversion == nil {
            return APIResponse(status: status, headers: Self.jsonHeaders, body: .bytes(object.bytes + [0x0A]))
        }
        return respond(rendering.apply(object.document, kind, at: clock.now()), status: status, to: request, warnings: warnings)
    }

    /// A quoted string of RFC 9110.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result.append("\\") }
            result.unicodeScalars.append(scalar.value < 32 ? " " : scalar)
        }
        return result + "\""
    }
}
