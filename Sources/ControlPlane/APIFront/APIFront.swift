// The API server's face on the network: HTTPS in, requests of the API on, answers and streams back.
//
// A request goes: identity → impersonation → audit → authorization → body → reviews, streams or `APIServer`. The room may touch
// sockets through Web and the audit log's file. Callers: `kube-apiserver`, and the host's server for its admin.
package import APIServer
package import Access
package import ClusterModel
package import Essentials
internal import Synchronization
package import Web

/// Serves requests for WebSockets and other upgrades: exec, attach, port-forward.
package protocol StreamUpgrades: Sendable {
    /// nil: not one of these; answered as any other request. The user is known and may do it.
    func upgrade(_ request: HTTPRequest, _ attributes: RequestAttributes, user: UserInfo) async -> WireUpgrade?
}

/// Answers requests that are passed on to nodes, pods and services: `proxy`.
package protocol ProxyRequests: Sendable {
    /// nil: not one of these.
    func respond(to request: HTTPRequest, body: [UInt8], _ attributes: RequestAttributes, user: UserInfo) async -> HTTPResponse?
}

package struct APIFront: WireHandler {
    /// The largest body of a request, as upstream limits it.
    package static let bodyLimitBytes = 3 << 20

    let server: APIServer
    /// nil: whoever has a valid certificate is who it says, and the server itself decides what that is worth.
    let access: Access?
    let schema: Schema
    let audit: AuditLog?
    let upgrades: (any StreamUpgrades)?
    let proxies: (any ProxyRequests)?
    let metrics: ClusterMetrics?
    let health: HealthChecks
    let clock: any WallClock
    private let identifiers = RequestIdentifiers()

    package init(
        server: APIServer, access: Access? = nil, schema: Schema, audit: AuditLog? = nil, upgrades: (any StreamUpgrades)? = nil,
        proxies: (any ProxyRequests)? = nil, metrics: ClusterMetrics? = nil, health: HealthChecks = HealthChecks(),
        clock: any WallClock = SystemClock()
    ) {
        self.server = server
        self.access = access
        self.schema = schema
        self.audit = audit
        self.upgrades = upgrades
        self.proxies = proxies
        self.metrics = metrics
        self.health = health
        self.clock = clock
    }

    // MARK: The way of a request

    package func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        let call = APICall(request)
        let id = request.headers["audit-id"] ?? identifiers.next()
        var attributes = call.attributes
        var user = UserInfo.anonymous
        let received = audit == nil ? nil : clock.now()
        var response: HTTPResponse
        do throws(ClusterProblem) {
            let asker = try await identify(request)
            user = asker
            attributes = call.attributes
            if let impersonated = try await impersonate(call.request, asker) { user = impersonated }
            if let access {
                try await access.authorize(user, attributes)
                try await access.demandMore(user, attributes)
            }
            response = try await answer(call, request, body, user)
        } catch {
            response = Self.response(error)
        }
        response.headers.append("audit-id", id)
        if let audit, let received {
            audit.record(
                AuditRecord(id: id, request: request, attributes: attributes, user: user, status: response.status, received: received),
                at: clock.now())
        }
        return response
    }

    private func answer(
        _ call: APICall, _ http: HTTPRequest, _ body: [UInt8], _ user: UserInfo
    ) async throws(ClusterProblem) -> HTTPResponse {
        var request = call.request
        request.user = user
        request.isAuthorized = access != nil
        if !call.attributes.isResource, let answer = health.answer(request) { return answer }
        if let access {
            if let document = access.publicDocument(request) { return Self.json(document, status: 200) }
            if let review = Review(call.attributes) {
                let document = try Bodies.document(body, request, as: review.kind, schema)
                return Self.json(try await access.answer(review, document, for: user), status: 201)
            }
        }
        if let proxies, call.attributes.subresource == "proxy",
            let response = await proxies.respond(to: http, body: body, call.attributes, user: user)
        {
            return response
        }
        if let metrics, call.attributes.group == "metrics.k8s.io", ["get", "list"].contains(call.attributes.verb) {
            return Self.json(
                try await metrics.answer(call.attributes, labelSelector: request.queryValue("labelSelector")), status: 200)
        }
        request.body = body
        if Bodies.isYAML(request) { request.object = try Bodies.yaml(body) }
        let answer = await server.send(request)
        return HTTPResponse(status: answer.status, headers: HTTPHeaders(answer.headers), body: Self.body(answer.body))
    }

    package func upgrade(_ request: HTTPRequest) async -> WireUpgrade? {
        guard let upgrades else { return nil }
        let call = APICall(request)
        guard call.attributes.isResource else { return nil }
        var user = UserInfo.anonymous
        let received = clock.now()
        let upgrade: WireUpgrade?
        do throws(ClusterProblem) {
            user = try await identify(request)
            if let impersonated = try await impersonate(call.request, user) { user = impersonated }
            try await access?.authorize(user, call.attributes)
            upgrade = await upgrades.upgrade(request, call.attributes, user: user)
        } catch {
            upgrade = .refuse(Self.response(error))
        }
        if let audit, let upgrade {
            var status = 101
            if case .refuse(let response) = upgrade { status = response.status }
            audit.record(
                AuditRecord(
                    id: identifiers.next(), request: request, attributes: call.attributes, user: user, status: status, received: received),
                at: clock.now())
        }
        return upgrade
    }

    /// One object, read from memory.
    package func isQuick(_ request: HTTPRequest) -> Bool {
        guard request.method == "GET", access != nil, request.headers["upgrade"] == nil, !request.target.contains("watch=") else {
            return false
        }
        let path = request.target.utf8.prefix { $0 != UInt8(ascii: "?") }
        // /api/v1/namespaces/NS/RESOURCE/NAME and the like; lists have fewer parts, logs and proxies more.
        let slashes = path.reduce(0) { $0 + ($1 == UInt8(ascii: "/") ? 1 : 0) }
        if request.target.hasPrefix("/api/") { return slashes == (request.target.contains("/namespaces/") ? 6 : 4) }
        if request.target.hasPrefix("/apis/metrics.k8s.io/") { return false }
        if request.target.hasPrefix("/apis/") { return slashes == (request.target.contains("/namespaces/") ? 7 : 5) }
        return false
    }

    package func refusal(_ status: Int, _ reason: String) -> HTTPResponse {
        switch status {
        case 413: Self.response(ClusterProblem(code: 413, reason: "RequestEntityTooLarge", message: reason))
        case 408: Self.response(ClusterProblem(code: 408, reason: "Timeout", message: reason))
        default: .text(reason + "\n", status: status)
        }
    }

    // MARK: Who

    private func identify(_ request: HTTPRequest) async throws(ClusterProblem) -> UserInfo {
        guard let access else {
            if request.certificateProblem != nil { throw Access.unauthorized }
            return request.clientCertificate.map {
                UserInfo(name: $0.commonName, groups: $0.organizations + ["system:authenticated"])
            } ?? .anonymous
        }
        var presented = Presented()
        if let certificate = request.clientCertificate, !certificate.commonName.isEmpty {
            presented.commonName = certificate.commonName
            presented.organizations = certificate.organizations
        }
        presented.certificateProblem = request.certificateProblem
        presented.authorization = request.headers["authorization"] ?? Self.webSocketToken(request)
        return try await access.authenticate(presented)
    }

    /// Browsers can give a token to a WebSocket only as a subprotocol.
    private static func webSocketToken(_ request: HTTPRequest) -> String? {
        guard request.headers["upgrade"] != nil, let offered = request.headers["sec-websocket-protocol"] else { return nil }
        let prefix = "base64url.bearer.authorization.k8s.io."
        for part in offered.split(separator: ",") {
            let name = part.drop { $0 == " " }
            if name.hasPrefix(prefix), let token = Bodies.text(base64: String(name.dropFirst(prefix.count))) { return "Bearer " + token }
        }
        return nil
    }

    /// Who the request asks to be taken for; `nil` where it does not.
    private func impersonate(_ request: APIRequest, _ user: UserInfo) async throws(ClusterProblem) -> UserInfo? {
        guard let access, request.headers.contains(where: { $0.0.lowercased().hasPrefix("impersonate-") }) else { return nil }
        return try await Impersonation(request.headers).user(askedBy: user, access)
    }

    // MARK: Answers

    static func response(_ problem: ClusterProblem) -> HTTPResponse {
        var response = json(problem.status, status: problem.code)
        if let seconds = problem.retryAfterSeconds { response.headers.append("retry-after", String(seconds)) }
        if problem.code == 403 { response.headers.append("x-content-type-options", "nosniff") }
        return response
    }

    static func json(_ document: JSON, status: Int) -> HTTPResponse {
        HTTPResponse(
            status: status, headers: ["content-type": "application/json", "cache-control": "no-cache, private"],
            body: .bytes(document.bytes + [0x0A]))
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

/// Makes audit identifiers: a random beginning of this process, and a number.
final class RequestIdentifiers: Sendable {
    private let beginning = String(Identifier.uuid().dropLast(12))
    private let count = Atomic<UInt64>(0)

    func next() -> String {
        let number = String(count.wrappingAdd(1, ordering: .relaxed).newValue, radix: 16)
        return beginning + String(repeating: "0", count: max(0, 12 - number.count)) + number
    }
}

/// A request as the API sees it.
struct APICall {
    var request: APIRequest
    let attributes: RequestAttributes

    init(_ http: HTTPRequest) {
        request = APIRequest(
            method: http.method, path: http.path, query: http.rawQuery.isEmpty ? [] : http.query,
            headers: http.headers.map { ($0.name, $0.value) }, user: .anonymous)
        attributes = RequestAttributes(request)
    }
}
