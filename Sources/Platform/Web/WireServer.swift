// A lean HTTP/1.1 server for programs: TLS with certificates of clients, whole requests, streams, and upgrades to raw bytes.
//
// Beside `WebServer`, which speaks to browsers through libwebsockets: this one starts nothing of it, answers in one write,
// leaves paths as they were sent, and gives a connection away after any `Upgrade`.
internal import CLibwebsockets
internal import Essentials
internal import Glibc

package struct WireServerConfiguration: Sendable {
    package var address: String
    /// 0 picks a free port.
    package var port: UInt16
    package var tls: TLSFiles?
    package var limits = WireLimits()

    package init(address: String = "127.0.0.1", port: UInt16 = 0, tls: TLSFiles? = nil) {
        self.address = address
        self.port = port
        self.tls = tls
    }
}

package struct WireLimits: Sendable {
    package var headBytes = 64 << 10
    /// Bytes of a request's body; it is read whole before it is handled.
    package var bodyBytes = 3 << 20
    package var connections = 10_000
    /// Seconds from accepting, or from the first byte of a request, to its end.
    package var requestSeconds = 30.0
    /// Seconds a connection may wait for its next request.
    package var idleSeconds = 180.0
    /// Seconds that a client may leave an answer unread.
    package var stallSeconds = 60.0
    /// Bytes of a stream that wait for the client; above this its writer waits.
    package var writeBufferBytes = 64 << 10

    package init() {}
}

package enum WireUpgrade: Sendable {
    case refuse(HTTPResponse)
    /// Answers 101 with these fields; `begin` gets the connection, on the loop, and names who goes on with it.
    case accept(HTTPHeaders, begin: @WebLoop @Sendable (RawConnection) -> any RawConnectionHandler)
}

/// Answers requests; off the loop, in a task that is cancelled when the client goes away.
package protocol WireHandler: Sendable {
    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse
    /// A request with `Upgrade`; nil: it is answered as any other.
    func upgrade(_ request: HTTPRequest) async -> WireUpgrade?
    /// Whether the answer takes next to no work and waits for nothing: it is then made on the loop's thread.
    func isQuick(_ request: HTTPRequest) -> Bool
    /// What is said to a request that is refused before it is read: 400, 408, 413, 431.
    func refusal(_ status: Int, _ reason: String) -> HTTPResponse
}

extension WireHandler {
    package func upgrade(_ request: HTTPRequest) async -> WireUpgrade? { nil }
    package func isQuick(_ request: HTTPRequest) -> Bool { false }
    package func refusal(_ status: Int, _ reason: String) -> HTTPResponse { .text(reason + "\n", status: status) }
}

package struct WireServer: Sendable {
    private let configuration: WireServerConfiguration
    private let handler: any WireHandler
    private let box = WireBox()

    package init(configuration: WireServerConfiguration, handler: any WireHandler) {
        self.configuration = configuration
        self.handler = handler
    }

    /// Listens; returns the port. Call once.
    package func start() async throws(WebProblem) -> UInt16 { try await box.start(configuration, handler) }

    /// Stops listening; requests under way may end within `graceSeconds`, then every connection is closed.
    package func stop(graceSeconds: Double = 0) async {
        let end = monotonicSeconds() + graceSeconds
        await box.stopListening()
        while monotonicSeconds() < end, await box.isBusy { try? await Task.sleep(for: .milliseconds(20)) }
        await box.closeAll()
    }

    /// Reads the certificate files again; connections made from now on use them. A bad file changes nothing.
    package func reloadCertificates() async throws(WebProblem) { try await box.reload() }

    /// Connections that are open now.
    package var connectionCount: Int { get async { await box.count } }
}

@WebLoop
private final class WireBox {
    private var listener: WireListener?

    nonisolated init() {}

    func start(_ configuration: WireServerConfiguration, _ handler: any WireHandler) throws(WebProblem) -> UInt16 {
        precondition(listener == nil, "a server starts once")
        let listener = try WireListener(configuration, handler)
        self.listener = listener
        return listener.port
    }

    func stopListening() { listener?.stopListening() }
    var isBusy: Bool { listener?.isBusy ?? false }
    func closeAll() { listener?.closeAll() }
    var count: Int { listener?.count ?? 0 }
    func reload() throws(WebProblem) { try listener?.reload() }
}

/// The accept socket and the connections.
@WebLoop
final class WireListener: PollSource, TickSource {
    private static let acceptsPerTurn = 64
    private static let backlog: Int32 = 1024
    private static let trimBytes = 16 << 20

    private let configuration: WireServerConfiguration
    let limits: WireLimits
    let handler: any WireHandler
    private let socket: OwnedDescriptor
    let port: UInt16
    private var context: TLSContext?
    private var token: UInt64 = 0
    private var isListening = true
    private var isPaused = false
    /// Bytes sent in all, at the last tick, and when memory was last given back.
    var sentBytes = 0
    private var sentAtTick = 0
    private var sentAtTrim = 0
    private var connections: [ObjectIdentifier: WireConnection] = [:]

    init(_ configuration: WireServerConfiguration, _ handler: any WireHandler) throws(WebProblem) {
        self.configuration = configuration
        self.handler = handler
        limits = configuration.limits
        if let files = configuration.tls { context = try TLSContext(server: files) }
        (socket, port) = try Listening.open(configuration.address, configuration.port, backlog: Self.backlog)
        token = LoopEngine.shared.poller.add(socket.number, Poller.readable, self)
    }

    func reload() throws(WebProblem) {
        if let files = configuration.tls { context = try TLSContext(server: files) }
    }

    func ready(_ events: UInt32) {
        for _ in 0..<Self.acceptsPerTurn {
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = withUnsafeMutablePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    accept4(socket.number, $0, &length, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
                }
            }
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                if errno != EAGAIN, !connections.isEmpty {
                    // Out of descriptors or memory: the backlog waits for the next tick.
                    isPaused = true
                    LoopEngine.shared.poller.change(socket.number, token: token, 0)
                }
                return
            }
            welcome(descriptor, Listening.numericAddress(storage))
        }
    }

    private func welcome(_ descriptor: Int32, _ address: String) {
        guard connections.count < limits.connections else {
            Glibc.close(descriptor)
            return
        }
        SocketHabits.set(descriptor)
        var stream: any ByteStream = PlainStream(descriptor)
        if let context {
            guard let tls = TLSStream(descriptor, context, connectingTo: nil) else {
                Glibc.close(descriptor)
                return
            }
            stream = tls
        }
        if connections.isEmpty { LoopEngine.shared.poller.addSlowTicker(self) }
        let connection = WireConnection(listener: self, address: address, isSecure: context != nil)
        connections[ObjectIdentifier(connection)] = connection
        connection.begin(stream)
    }

    func forget(_ connection: WireConnection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        guard connections.isEmpty else { return }
        LoopEngine.shared.poller.removeTicker(self)
        sentAtTick = sentBytes
        giveBack()
    }

    func tick(now: Double) {
        if isPaused, isListening {
            isPaused = false
            LoopEngine.shared.poller.change(socket.number, token: token, Poller.readable)
        }
        for connection in Array(connections.values) { connection.tick(now: now) }
        giveBack()
    }

    /// After large answers, when it has become quiet, the memory they took is given back to the system.
    private func giveBack() {
        if sentBytes == sentAtTick, sentBytes - sentAtTrim > Self.trimBytes {
            sentAtTrim = sentBytes
            FreeMemory.giveBack()
        }
        sentAtTick = sentBytes
    }

    var isBusy: Bool { connections.values.contains(where: \.isAnswering) }
    var count: Int { connections.count }

    func stopListening() {
        guard isListening else { return }
        isListening = false
        LoopEngine.shared.poller.remove(socket.number, token: token)
        socket.close()
    }

    func closeAll() {
        stopListening()
        for connection in Array(connections.values) { connection.close() }
    }
}

/// Options of sockets whose other side may vanish without a word.
enum SocketHabits {
    /// Seconds of silence after which probes begin, their spacing and their number.
    private static let keepAlive: [(option: Int32, value: Int32)] = [(TCP_KEEPIDLE, 30), (TCP_KEEPINTVL, 10), (TCP_KEEPCNT, 3)]
    private static let userTimeoutMilliseconds: Int32 = 60_000

    static func set(_ descriptor: Int32) {
        func set(_ level: Int32, _ option: Int32, _ value: Int32) {
            var value = value
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        for (option, value) in keepAlive { set(Int32(IPPROTO_TCP), option, value) }
        set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, userTimeoutMilliseconds)
        set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }
}
