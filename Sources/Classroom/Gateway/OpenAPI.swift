// The OpenAPI 3.1 document, made from the very routes that serve.
internal import Essentials

struct OpenAPI {
    let routes: [Route]
    let version: String

    var document: JSON {
        var paths: JSON = .emptyObject
        for route in routes { paths[path: [route.pattern, route.method.lowercased()]] = operation(route) }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Lectern", "version": JSON(version),
                "description":
                    "Workshops with live terminals. Writes carry the header X-Lectern-CSRF with the value of the cookie lectern_csrf; GET /api/v1/session sets both cookies.",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/"]],
            "paths": paths,
            "components": [
                "securitySchemes": [
                    "session": ["type": "apiKey", "in": "cookie", "name": "lectern_session"],
                    "bearer": ["type": "http", "scheme": "bearer"],
                ],
                "schemas": Schema.components,
            ],
        ]
    }

    private func operation(_ route: Route) -> JSON {
        var value: JSON = ["summary": JSON(route.summary), "operationId": JSON(operationId(route))]
        let names = route.pattern.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
        var parameters: [JSON] = names.map { ["name": JSON($0), "in": "path", "required": true, "schema": ["type": "string"]] }
        if route.access != .anyone, route.method != "GET" {
            parameters.append([
                "name": "X-Lectern-CSRF", "in": "header", "required": false, "schema": ["type": "string"],
                "description": "The value of the cookie lectern_csrf. Not needed with a bearer token.",
            ])
        }
        if !parameters.isEmpty { value["parameters"] = JSON(parameters) }
        if let body = route.body {
            value["requestBody"] = ["required": true, "content": ["application/json": ["schema": body]]]
        }
        var responses: JSON = .emptyObject
        for answer in route.answers {
            var response: JSON = ["description": JSON(answer.text)]
            if let schema = answer.schema { response[path: ["content", "application/json", "schema"]] = schema }
            responses[String(answer.status)] = response
        }
        responses["default"] = [
            "description": "A problem (RFC 9457).",
            "content": ["application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]],
        ]
        value["responses"] = responses
        value["security"] = route.access == .anyone ? .array([]) : [["session": .array([])], ["bearer": .array([])]]
        return value
    }

    private func operationId(_ route: Route) -> String {
        let words = route.pattern.split(separator: "/").drop { $0 == "api" || $0 == "v1" }.map { segment in
            segment.hasPrefix("{") ? "by" + segment.dropFirst().dropLast().capitalizedFirst : segment.capitalizedFirst
        }
        return route.method.lowercased() + words.joined().filter { $0.isLetter || $0.isNumber }
    }
}

extension StringProtocol {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}

/// The schemas that operations refer to.
enum Schema {
    static func ref(_ name: String) -> JSON { ["$ref": JSON("#/components/schemas/\(name)")] }
    static func list(_ member: String, of name: String) -> JSON { object([(member, ["type": "array", "items": ref(name)])]) }
    static let string: JSON = ["type": "string"]
    static let integer: JSON = ["type": "integer"]
    static let time: JSON = ["type": "string", "format": "date-time"]

    static func object(_ members: [(String, JSON)], required: [String]? = nil) -> JSON {
        var properties: JSON = .emptyObject
        for (name, schema) in members { properties[name] = schema }
        return ["type": "object", "properties": properties, "required": JSON(required ?? members.map(\.0))]
    }

    static var components: JSON {
        [
            "Problem": object(
                [
                    ("type", ["type": "string", "description": "urn:lectern:problem:REASON, stable"]), ("title", string),
                    ("status", integer),
                    ("detail", string),
                ]),
            "Lab": object(
                [
                    ("id", string), ("workshop", string), ("owner", string),
                    ("state", ["type": "string", "enum": ["queued", "creating", "ready", "ending", "ended", "failed"]]),
                    ("reason", string), ("message", string), ("createdAt", time), ("expiresAt", time), ("endedAt", time),
                    ("extensionsLeft", integer),
                    ("queue", object([("position", integer), ("estimateSeconds", ["type": ["integer", "null"]]), ("rule", string)])),
                    ("nodes", ["type": "array", "items": ref("Node")]), ("usage", ref("Usage")), ("ageSeconds", integer),
                ],
                required: [
                    "id", "workshop", "owner", "state", "reason", "message", "createdAt", "expiresAt", "extensionsLeft", "nodes",
                ]),
            "Node": object([
                ("name", string), ("state", ["type": "string", "enum": ["creating", "ready", "failed", "gone"]]), ("message", string),
                ("address", string), ("terminals", ["type": "array", "items": string]),
            ]),
            "Usage": object([("memoryBytes", integer), ("cpuSeconds", ["type": "number"]), ("diskBytes", integer)]),
            "Workshop": object(
                [
                    ("name", string), ("title", string), ("description", string), ("duration", integer), ("difficulty", string),
                    ("tags", ["type": "array", "items": string]), ("nodes", integer), ("author", string),
                    ("image", ["type": ["string", "null"]]),
                    ("problems", integer),
                    (
                        "pages",
                        [
                            "type": "array",
                            "items": object([
                                ("slug", string), ("title", string), ("html", string),
                                ("headings", ["type": "array", "items": object([("id", string), ("level", integer), ("text", string)])]),
                                ("steps", ["type": "array", "items": object([("id", string), ("title", string)])]),
                            ]),
                        ]
                    ),
                ], required: ["name", "title", "description", "duration", "difficulty", "tags", "nodes", "problems"]),
            "Session": object([
                ("account", object([("id", string), ("name", string), ("role", string)])), ("caps", ["type": "object"]),
                ("portsDomain", string), ("version", string), ("csrf", string),
            ]),
            "ExecResult": object([
                ("exitCode", integer), ("stdout", string), ("stderr", string), ("timedOut", ["type": "boolean"]),
            ]),
        ]
    }
}
