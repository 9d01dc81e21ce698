// Carries requests to an API server over HTTPS on connections that are kept; certificates and tokens in files may change.
package import ClusterModel
internal import Essentials
internal import Logging
internal import Synchronization
internal import Web

package final class HTTPSTransport: ClusterTransport {
    /// How often files are looked at for changes, in seconds, while requests are made.
    package static let recheckSeconds = 5.0

    private struct Secrets {
        var marks: [WireFile.Mark] = []
        var token: String?
        var checkedAt = 0.0
    }

    package let configuration: ClusterConfiguration
    private let recheckSeconds: Double
    private let session: HTTPSession
    private let secrets: Mutex<Secrets>
    private let log = Logger(label: "wire")

    package convenience init(_ configuration: ClusterConfiguration) throws(WireProblem) {
        try self.init(configuration, timeoutSeconds: 60)
    }

    package init(
        _ configuration: ClusterConfiguration, timeoutSeconds: Double, recheckSeconds: Double = HTTPSTransport.recheckSeconds
    ) throws(WireProblem) {
        self.configuration = configuration
        self.recheckSeconds = recheckSeconds
        let place = try ServerPlace(configuration.server)
        let marks = Self.marks(configuration)
        let (material, token) = try Self.read(configuration)
        var limits = HTTPSessionLimits()
        limits.timeoutSeconds = timeoutSeconds
        do throws(WebProblem) {
            session = try HTTPSession(host: place.host, port: place.port, tls: place.isSecure ? material : nil, limits: limits)
        } catch {
            throw .badCertificate(detail: error.cause ?? error.message)
        }
        secrets = Mutex(Secrets(marks: marks, token: token, checkedAt: monotonicSeconds()))
    }

    private static func files(_ configuration: ClusterConfiguration) -> [String] {
        [configuration.authority, configuration.certificate, configuration.key, configuration.token].compactMap {
            if case .file(let path) = $0 { path } else { nil }
        }
    }

    private static func marks(_ configuration: ClusterConfiguration) -> [WireFile.Mark] { files(configuration).map(WireFile.Mark.init) }

    private static func read(_ configuration: ClusterConfiguration) throws(WireProblem) -> (TLSMaterial, token: String?) {
        func text(_ secret: ClusterSecret?) throws(WireProblem) -> String? {
            switch secret {
            case nil: return nil
            case .text(let text): return text
            case .file(let path):
                guard let bytes = WireFile.read(path) else { throw .unreadable(file: path, cause: WireFile.lastError) }
                return String(decoding: bytes, as: UTF8.self)
            }
        }
        let material = TLSMaterial(
            authorities: try text(configuration.authority), certificate: try text(configuration.certificate),
            key: try text(configuration.key), insecure: configuration.isInsecure, serverName: configuration.serverName)
        let token = try text(configuration.token).map { String($0.filter { !$0.isWhitespace }) }
        return (material, token)
    }

    /// The token for a request; takes files that have changed since.
    private func currentToken() -> String? {
        let now = monotonicSeconds()
        let (token, isDue) = secrets.withLock { secrets in
            let isDue = now - secrets.checkedAt >= recheckSeconds
            if isDue { secrets.checkedAt = now }
            return (secrets.token, isDue)
        }
        guard isDue else { return token }
        let marks = Self.marks(configuration)
        guard secrets.withLock({ $0.marks != marks }) else { return token }
        do throws(WireProblem) {
            let (material, fresh) = try Self.read(configuration)
            do throws(WebProblem) { try session.renew(material) } catch {
                throw .badCertificate(detail: error.cause ?? error.message)
            }
            secrets.withLock {
                $0.marks = marks
                $0.token = fresh
            }
            return fresh
        } catch {
            // Half of a rotation: the other file follows.
            log.warning("changed certificates or token not taken yet", metadata: ["cause": "\(error.message)"])
            return token
        }
    }

    package func send(_ request: APIRequest) async -> APIResponse {
        let body = request.object.map(\.bytes) ?? request.body
        var headers: [(String, String)] = [("user-agent", configuration.userAgent)]
        if let token = currentToken() { headers.append(("authorization", "Bearer " + token)) }
        if request.header("accept") == nil { headers.append(("accept", "application/json")) }
        if !body.isEmpty, request.header("content-type") == nil { headers.append(("content-type", "application/json")) }
        headers += request.headers
        let streams = ["watch", "follow"].contains { ["true", "1"].contains(request.queryValue($0) ?? "") }
        let answer: HTTPSessionAnswer
        do throws(WebProblem) {
            answer = try await session.send(
                HTTPSessionRequest(
                    method: request.method, target: Self.target(request), headers: headers, body: body, streams: streams))
        } catch {
            let problem = self.problem(error)
            return APIResponse(status: problem.code, body: .object(problem.status))
        }
        let fields = answer.headers.map { ($0.name, $0.value) }
        switch answer.body {
        case .bytes(let bytes): return APIResponse(status: answer.status, headers: fields, body: .bytes(bytes))
        case .stream(let stream):
            guard answer.status >= 300 else {
                let chunks = AsyncStream<[UInt8]>(unfolding: { await stream.next() }, onCancel: { stream.cancel() })
                return APIResponse(status: answer.status, headers: fields, body: .stream(chunks))
            }
            var bytes: [UInt8] = []
            while bytes.count < WireFile.limitBytes, let chunk = await stream.next() { bytes += chunk }
            return APIResponse(status: answer.status, headers: fields, body: .bytes(bytes))
        }
    }

    static func target(_ request: APIRequest) -> String {
        guard !request.query.isEmpty else { return request.path }
        return request.path + "?" + request.query.map { PathText.escape($0.0) + "=" + PathText.escape($0.1) }.joined(separator: "&")
    }

    private func problem(_ error: WebProblem) -> ClusterProblem {
        let server = configuration.server
        switch error {
        case .cannotConnect(let detail) where detail.contains("certificate verify failed"):
            return .unavailable(
                "The server \(server) shows a certificate that is not of the expected authority (\(detail)). Check the certificate authority in the kubeconfig, and this machine's clock."
            )
        case .cannotConnect(let detail):
            return .unavailable("The connection to the server \(server) failed (\(detail)). Is the API server running there?")
        case .timedOut(let seconds):
            return ClusterProblem(
                code: 504, reason: "Timeout", message: "The server \(server) did not answer within \(Int(seconds)) seconds.",
                retryAfterSeconds: 1)
        case .peerGone: return .unavailable("The server \(server) closed the connection before it answered.")
        case .malformed(let detail): return .internalError("the answer of \(server) breaks the protocol: \(detail)")
        default: return .unavailable("The server \(server) cannot be asked: \(error.cause ?? error.message)")
        }
    }
}

/// The parts of `https://HOST:PORT`.
private struct ServerPlace {
    var isSecure: Bool
    var host: String
    var port: UInt16

    init(_ server: String) throws(WireProblem) {
        var rest = Substring(server)
        if rest.hasPrefix("https://") {
            isSecure = true
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            isSecure = false
            rest = rest.dropFirst(7)
        } else {
            isSecure = true
        }
        rest = rest.prefix { $0 != "/" }
        var portText = isSecure ? "443"[...] : "80"[...]
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            let after = rest[rest.index(after: end)...]
            if after.hasPrefix(":") { portText = after.dropFirst() }
        } else {
            let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { throw .badServer(server) }
            host = parts.first.map(String.init) ?? ""
            if parts.count == 2 { portText = parts[1] }
        }
        guard !host.isEmpty, let port = UInt16(portText) else { throw .badServer(server) }
        self.port = port
    }
}
