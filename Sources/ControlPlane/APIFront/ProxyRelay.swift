// `proxy` of nodes, pods and services: the request goes on to the other server, and its answer back.
package import Access
package import ClusterClient
package import ClusterModel
internal import Essentials
package import Web

package struct ProxyRelay: ProxyRequests {
    /// Fields that speak of one connection only, or of us.
    private static let dropped: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "host",
        "content-length", "authorization",
    ]

    private let client: ClusterClient
    private let kubelets: any KubeletSessions

    package init(client: ClusterClient, kubelets: any KubeletSessions) {
        self.client = client
        self.kubelets = kubelets
    }

    package func respond(
        to request: HTTPRequest, body: [UInt8], _ attributes: RequestAttributes, user: UserInfo
    ) async -> HTTPResponse? {
        guard attributes.group.isEmpty, ["nodes", "pods", "services"].contains(attributes.resource), !attributes.name.isEmpty else {
            return nil
        }
        do throws(ClusterProblem) {
            let place = ProxyPlace(attributes.name)
            let session: HTTPSession
            switch attributes.resource {
            case "nodes": session = try await kubelets.session(node: place.name)
            case "pods": session = try await Self.session(try await pod(place, attributes.namespace), place)
            default: session = try await Self.session(try await service(place, attributes.namespace), place)
            }
            return try await pass(request, body, to: session)
        } catch {
            return APIFront.response(error)
        }
    }

    private func pass(_ request: HTTPRequest, _ body: [UInt8], to session: HTTPSession) async throws(ClusterProblem) -> HTTPResponse {
        var headers = request.headers.filter { !Self.dropped.contains($0.name.lowercased()) }.map { ($0.name, $0.value) }
        headers.append(("x-forwarded-for", request.remoteAddress))
        headers.append(("x-forwarded-uri", request.path))
        var target = Self.rest(of: request.path)
        if !request.rawQuery.isEmpty { target += "?" + request.rawQuery }
        let answer: HTTPSessionAnswer
        do throws(WebProblem) {
            answer = try await session.send(
                HTTPSessionRequest(method: request.method, target: target, headers: headers, body: body, streams: true))
        } catch {
            throw .unavailable(
                "error trying to reach service: \(error.cause ?? error.message)", retryAfterSeconds: nil)
        }
        let fields = answer.headers.filter { !Self.dropped.contains($0.name.lowercased()) }.map { ($0.name, $0.value) }
        guard case .stream(let stream) = answer.body else { return HTTPResponse(status: answer.status, headers: HTTPHeaders(fields)) }
        let length = answer.headers["content-length"].flatMap { Int($0) }
        return HTTPResponse(
            status: answer.status, headers: HTTPHeaders(fields),
            body: .stream(
                HTTPBodyStream(contentLength: length) { writer in
                    while let chunk = await stream.next() { try await writer.write(chunk) }
                    // The connection is the session's: it must last as long.
                    withExtendedLifetime(session) {}
                }))
    }

    /// What follows `/proxy` in the path.
    private static func rest(of path: String) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard let index = parts.firstIndex(of: "proxy") else { return "/" }
        let rest = "/" + parts[(index + 1)...].joined(separator: "/")
        return rest
    }

    private static func session(_ address: (host: String, port: Int), _ place: ProxyPlace) async throws(ClusterProblem) -> HTTPSession {
        guard let port = UInt16(exactly: address.port) else { throw .badRequest("invalid port \(address.port)") }
        do throws(WebProblem) {
            return try HTTPSession(host: address.host, port: port, tls: place.isSecure ? TLSMaterial(insecure: true) : nil)
        } catch {
            throw .unavailable("error trying to reach service: \(error.cause ?? error.message)", retryAfterSeconds: nil)
        }
    }

    private func pod(_ place: ProxyPlace, _ namespace: String) async throws(ClusterProblem) -> (String, Int) {
        let pod = try await client.get(.pods, namespace: namespace, name: place.name)
        guard let host = pod["status"]?["podIP"]?.string, !host.isEmpty else {
            throw .unavailable("address not allowed: pod \(place.name) has no address yet", retryAfterSeconds: nil)
        }
        let ports = (pod["spec"]?["containers"]?.array ?? []).flatMap { $0["ports"]?.array ?? [] }
        if place.port.isEmpty { return (host, ports.first?["containerPort"]?.int ?? 80) }
        if let number = Int(place.port) { return (host, number) }
        guard let number = ports.first(where: { $0["name"]?.string == place.port })?["containerPort"]?.int else {
            throw .badRequest("the pod \(place.name) has no port named \(place.port)")
        }
        return (host, number)
    }

    private func service(_ place: ProxyPlace, _ namespace: String) async throws(ClusterProblem) -> (String, Int) {
        let service = try await client.get(.services, namespace: namespace, name: place.name)
        let ports = service["spec"]?["ports"]?.array ?? []
        let port =
            place.port.isEmpty
            ? (ports.count == 1 ? ports.first : nil)
            : ports.first { $0["name"]?.string == place.port || $0["port"]?.int == Int(place.port) }
        let missing = ClusterProblem.unavailable(
            "no endpoints available for service \"\(place.name)\"", retryAfterSeconds: nil)
        guard let port else { throw missing }
        guard let endpoints = try? await client.get(.endpoints, namespace: namespace, name: place.name) else { throw missing }
        var found: [(String, Int)] = []
        for subset in endpoints["subsets"]?.array ?? [] {
            for candidate in subset["ports"]?.array ?? [] where candidate["name"]?.string ?? "" == port["name"]?.string ?? "" {
                for address in subset["addresses"]?.array ?? [] {
                    if let host = address["ip"]?.string, let number = candidate["port"]?.int { found.append((host, number)) }
                }
            }
        }
        guard let chosen = found.randomElement() else { throw missing }
        return chosen
    }
}

/// `[SCHEME:]NAME[:PORT]`
struct ProxyPlace {
    var isSecure = false
    var name: String
    var port = ""

    init(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1: name = parts[0]
        case 2:
            name = parts[0]
            port = parts[1]
        default:
            isSecure = parts[0] == "https"
            name = parts[1]
            port = parts[2]
        }
    }
}
