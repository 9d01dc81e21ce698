// An HTTP/1.1 client of one server that keeps its connections: a request takes one that is idle, or makes one.
//
// On the loop only; callers wait in tasks. An answer is given whole, or as a stream that is read no faster than it is taken.
internal import Essentials
internal import Glibc
internal import Synchronization

/// What a TLS client shows and whom it trusts, as PEM texts.
package struct TLSMaterial: Sendable, Equatable {
    /// Certificates of authorities; nil: the system's.
    package var authorities: String?
    package var certificate: String?
    package var key: String?
    /// Accept any certificate.
    package var insecure: Bool
    /// The name that the server's certificate must have, where it is not the host's.
    package var serverName: String?

    package init(
        authorities: String? = nil, certificate: String? = nil, key: String? = nil, insecure: Bool = false, serverName: String? = nil
    ) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.insecure = insecure
        self.serverName = serverName
    }
}

package struct HTTPSessionRequest: Sendable {
    package var method: String
    /// Path and query, encoded.
    package var target: String
    package var headers: [(String, String)]
    package var body: [UInt8]
    /// The answer comes as a stream, as soon as its head is there.
    package var streams: Bool

    package init(method: String = "GET", target: String, headers: [(String, String)] = [], body: [UInt8] = [], streams: Bool = false) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.streams = streams
    }
}

package struct HTTPSessionAnswer: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Ends when the server ends it or the connection is lost. Dropping it closes the connection.
        case stream(SessionStream)
    }
    package var status: Int
    package var headers: HTTPHeaders
    package var body: Body
}

/// The body of an answer as it comes. For one reader.
package final class SessionStream: Sendable {
    private let body: RequestBody
    private let stop: @Sendable () -> Void

    init(body: RequestBody, stop: @escaping @Sendable () -> Void) {
        self.body = body
        self.stop = stop
    }

    deinit { stop() }

    /// The next bytes; nil at the end, however it came.
    package func next() async -> [UInt8]? {
        var iterator = body.makeAsyncIterator()
        return try? await iterator.next()
    }

    /// Closes the connection; a waiting `next` ends.
    package func cancel() { stop() }
}

package struct HTTPSessionLimits: Sendable {
    /// From the request to the whole answer, or to a stream's head, in seconds.
    package var timeoutSeconds = 60.0
    /// A connection that was idle for longer is not used again: servers close theirs at some time.
    package var idleSeconds = 60.0
    /// Connections that are kept while idle.
    package var idleConnections = 4
    /// Requests under way, streams not counted; more wait.
    package var requests = 16
    /// The largest answer that is given whole.
    package var answerBytes = 256 << 20
    /// Bytes of a stream that wait to be taken: above this the connection is not read.
    package var streamBytes = 256 << 10

    package init() {}
}

package final class HTTPSession: Sendable {
    private struct State {
        var context: TLSContext?
        var material: TLSMaterial?
        var address: String?
    }

    package let host: String
    package let port: UInt16
    private let isSecure: Bool
    private let core: SessionPool
    private let state: Mutex<State>

    /// `tls` nil: plain HTTP.
    package init(host: String, port: UInt16, tls: TLSMaterial?, limits: HTTPSessionLimits = HTTPSessionLimits()) throws(WebProblem) {
        self.host = host
        self.port = port
        isSecure = tls != nil
        core = SessionPool(authority: host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)", limits: limits)
        var context: TLSContext?
        if let tls { context = try TLSContext(client: tls) }
        state = Mutex(State(context: context, material: tls))
    }

    deinit {
        let core = core
        WebLoop.post { core.close() }
    }

    /// Takes other certificates for the connections made from now on; those that are idle are closed.
    package func renew(_ material: TLSMaterial) throws(WebProblem) {
        guard isSecure, state.withLock({ $0.material != material }) else { return }
        let context = try TLSContext(client: material)
        state.withLock {
            $0.context = context
            $0.material = material
        }
        let core = core
        WebLoop.post { core.closeIdle() }
    }

    package func send(_ request: HTTPSessionRequest) async throws(WebProblem) -> HTTPSessionAnswer {
        let way = try await way()
        let ticket = SessionTicket()
        let core = core
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                WebLoop.post {
                    let exchange = SessionExchange(request: request, way: way, limits: core.limits, continuation: continuation)
                    ticket.exchange = exchange
                    if ticket.isCancelled { exchange.fail(.peerGone) } else { core.begin(exchange) }
                }
            }
        } onCancel: {
            WebLoop.post { ticket.cancel() }
        }
        if case .failure(.cannotConnect) = result, way.address != host { state.withLock { $0.address = nil } }
        return try result.get()
    }

    func way() async throws(WebProblem) -> SessionWay {
        let address = try await self.address()
        let (context, material) = state.withLock { ($0.context, $0.material) }
        return SessionWay(
            address: address, port: port, context: context, serverName: material?.serverName ?? host,
            checksName: !(material?.insecure ?? true))
    }

    /// The host's numeric address, looked up once until a connection fails.
    private func address() async throws(WebProblem) -> String {
        if let known = state.withLock({ $0.address }) { return known }
        var found: String? = host
        if Listening.socketAddress(host, 0) == nil {
            found = host == "localhost" ? "127.0.0.1" : await Dialer.resolve(host)
        }
        guard let found else { throw .cannotConnect("\(host):\(port): the name is not known") }
        state.withLock { $0.address = found }
        return found
    }
}

/// Where a connection goes.
struct SessionWay: Sendable {
    let address: String
    let port: UInt16
    let context: TLSContext?
    let serverName: String
    let checksName: Bool
}

/// Lets a cancelled task find its exchange on the loop.
@WebLoop
private final class SessionTicket {
    var exchange: SessionExchange?
    private(set) var isCancelled = false
    nonisolated init() {}
    func cancel() {
        isCancelled = true
        exchange?.cancel()
    }
}
