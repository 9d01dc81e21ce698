// Serves the orchestrator's API to kubectl: HTTP requests in, API requests on, over TLS with client certificates.
internal import APIServer
internal import ClusterModel
internal import Essentials
internal import Web

struct KubernetesFront: HTTPHandler {
    /// The largest body of an API request, as upstream limits it.
    static let bodyLimitBytes = 3 << 20

    let server: APIServer

    func respond(to request: HTTPRequest, body: RequestBody) async -> HTTPResponse {
        let bytes: [UInt8]
        do {
            bytes = try await body.collect(limitBytes: Self.bodyLimitBytes)
        } catch {
            let status = error.reason == "BodyTooLarge" ? 413 : 400
            let problem = ClusterProblem(
                code: status, reason: status == 413 ? "RequestEntityTooLarge" : "BadRequest",
                message: "the request body could not be read: \(error.message)")
            return HTTPResponse(status: status, headers: ["content-type": "application/json"], body: .bytes(problem.status.bytes))
        }
        let user = request.clientCertificate.map {
            UserInfo(name: $0.commonName, groups: $0.organizations + ["system:authenticated"])
        }
        let answer = await server.send(
            APIRequest(
                method: request.method, path: request.path, query: request.query,
                headers: request.headers.map { ($0.name, $0.value) }, body: bytes, user: user ?? .anonymous))
        return HTTPResponse(status: answer.status, headers: HTTPHeaders(answer.headers), body: Self.body(answer.body))
    }

    private static func body(_ body: APIResponse.Body) -> HTTPBody {
        switch body {
        case .bytes(let bytes): .bytes(bytes)
        case .object(let object): .bytes(object.bytes)
        case .stream(let chunks): .stream(HTTPBodyStream { writer in for await chunk in chunks { try await writer.write(chunk) } })
        case .events(let events):
            .stream(
                HTTPBodyStream { writer in
                    for await event in events {
                        let line: JSON
                        switch event {
                        case .success(let event): line = ["type": JSON(event.kind.rawValue), "object": event.object]
                        case .failure(let problem): line = ["type": "ERROR", "object": problem.status]
                        }
                        try await writer.write(line.bytes + [0x0A])
                    }
                })
        }
    }
}
