// Operations on a lab's nodes: reset, run a command, and its ports.
internal import Accounts
internal import Essentials
internal import Labs
internal import Ports
internal import Terminals
internal import Web

extension Routes {
    static func nodes(_ services: GatewayServices) -> [Route] {
        [
            Route(
                "POST", "/api/v1/labs/{id}/nodes/{node}/reset", .visitor, "Replaces a node by a fresh one. What is on it is lost.",
                answers: [(202, "The lab.", Schema.ref("Lab"))]
            ) { call in
                let lab = try await call.lab()
                try await services.labs.resetNode(lab.id, node: call.parameter("node"))
                return jsonResponse(try await call.lab().json, status: 202)
            },
            Route(
                "POST", "/api/v1/labs/{id}/nodes/{node}/exec", .visitor,
                "Runs a command as root on a node and waits for it. Output past 1 MiB is cut.",
                body: Schema.object(
                    [("command", ["type": "array", "items": Schema.string]), ("timeoutSeconds", Schema.integer)], required: ["command"]),
                answers: [(200, "What it printed and how it ended.", Schema.ref("ExecResult"))]
            ) { call in
                let (lab, node) = try await call.node()
                let input = try await call.json()
                let command = (input["command"]?.array ?? []).compactMap(\.string)
                guard !command.isEmpty, command.count == input["command"]?.array?.count, command.count <= 256 else {
                    throw GatewayProblem.badRequest("“command” must be a list of 1 to 256 texts.")
                }
                let seconds = try input["timeoutSeconds"].map { _ in try input.requiredInt("timeoutSeconds", in: 1...600) } ?? 30
                await services.labs.touch(lab.id)
                let result = try await services.agents.exec(lab: lab.id, node: node.name, command: command, timeoutSeconds: seconds)
                return jsonResponse([
                    "exitCode": JSON(result.exitCode), "stdout": JSON(String(decoding: result.stdout, as: UTF8.self)),
                    "stderr": JSON(String(decoding: result.stderr, as: UTF8.self)), "timedOut": JSON(result.timedOut),
                ])
            },
            Route(
                "GET", "/api/v1/labs/{id}/nodes/{node}/ports", .visitor, "The TCP ports something listens on.",
                answers: [
                    (
                        200, "The ports.",
                        Schema.object([
                            (
                                "ports",
                                [
                                    "type": "array",
                                    "items": Schema.object([("port", Schema.integer), ("process", Schema.string)], required: ["port"]),
                                ]
                            )
                        ])
                    )
                ]
            ) { call in
                let (lab, node) = try await call.node()
                let status = try await services.agents.status(lab: lab.id, node: node.name)
                return jsonResponse(["ports": status["listening"] ?? .array([])])
            },
            Route(
                "POST", "/api/v1/labs/{id}/ports", .visitor, "A link that opens a node's port in the browser.",
                body: Schema.object(
                    [
                        ("node", Schema.string), ("port", Schema.integer), ("protocol", ["type": "string", "enum": ["http", "https"]]),
                        ("path", Schema.string),
                    ], required: ["node", "port"]),
                answers: [(200, "The link.", Schema.object([("url", Schema.string)]))]
            ) { call in
                let lab = try await call.lab()
                let input = try await call.json()
                let name = try input.requiredString("node", limit: 40)
                guard lab.nodes.contains(where: { $0.name == name }) else { throw LabProblem.nodeNotFound(lab: lab.id, node: name) }
                let port = try input.requiredInt("port", in: 1...65535)
                let scheme = input["protocol"]?.string ?? "http"
                guard scheme == "http" || scheme == "https" else {
                    throw GatewayProblem.badRequest("“protocol” must be http or https.")
                }
                let path = input["path"]?.string ?? "/"
                guard path.hasPrefix("/"), !path.hasPrefix("//"), path.utf8.count <= 1024,
                    path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 35 })
                else { throw GatewayProblem.badRequest("“path” must begin with / and be written in ASCII.") }
                let origin = call.gateway.pageOrigin(of: call.request)
                let url = services.ports.url(
                    for: PortAddress(lab: lab.id, node: name, port: UInt16(port)), secureNode: scheme == "https", scheme: origin.scheme,
                    port: origin.port, path: path)
                return jsonResponse(["url": JSON(url)])
            },
        ]
    }
}

extension Gateway {
    /// Scheme and port under which the browser sees Lectern; port links use the same.
    func pageOrigin(of request: HTTPRequest) -> (scheme: String, port: String?) {
        if let publicOrigin = services.publicOrigin {
            let scheme = publicOrigin.hasPrefix("https:") ? "https" : "http"
            let rest = publicOrigin.drop { $0 != "/" }.drop { $0 == "/" }
            return (scheme, Self.port(ofAuthority: String(rest)))
        }
        return (request.isSecure ? "https" : "http", Self.port(ofAuthority: request.authority))
    }

    private static func port(ofAuthority authority: String) -> String? {
        guard let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") else { return nil }
        let port = authority[authority.index(after: colon)...]
        return !port.isEmpty && port.allSatisfy(\.isNumber) ? String(port) : nil
    }
}
