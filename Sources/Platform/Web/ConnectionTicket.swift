// What a server knows of one of its HTTP connections: whose it is, what it is doing, and since when it is silent.
internal import CLibwebsockets

@WebLoop
final class ConnectionTicket: PollSource {
    let server: RunningServer
    let address: String
    let isSecure: Bool
    /// Unknown until asked; then nil inside when there is none.
    var certificate: ClientCertificate??
    private let wsi: OpaquePointer
    private var watch: UInt64 = 0
    private let descriptor: Int32
    private var awaitsWritable = false
    /// One in HTTP/1.1, any number of streams in HTTP/2.
    private var exchanges: [Exchange] = []
    private var socket: WebSocket?
    private var lastActivity: Double

    init(server: RunningServer, wsi: OpaquePointer, address: String, isSecure: Bool) {
        self.server = server
        self.wsi = wsi
        self.address = address
        self.isSecure = isSecure
        descriptor = lws_get_socket_fd(wsi)
        lastActivity = LoopEngine.shared.poller.coarseNow
        // libwebsockets does not look for the peer's end while an answer is awaited.
        watch = LoopEngine.shared.poller.add(descriptor, Poller.peerEnded | Poller.edge, self)
    }

    func ready(_ events: UInt32) {
        guard socket == nil else { return }
        let mine = exchanges
        if events & Poller.writable != 0, awaitsWritable {
            awaitsWritable = false
            LoopEngine.shared.poller.change(descriptor, token: watch, Poller.peerEnded | Poller.edge)
            for exchange in mine { exchange.wantWrite() }
        }
        if events & Poller.peerEnded != 0 { for exchange in mine { exchange.peerEnded() } }
    }

    /// Calls the exchange's `wantWrite` once the socket takes more.
    func awaitWritable() {
        guard !awaitsWritable else { return }
        awaitsWritable = true
        LoopEngine.shared.poller.change(descriptor, token: watch, Poller.peerEnded | Poller.writable | Poller.edge)
    }

    func heard() { lastActivity = LoopEngine.shared.poller.coarseNow }

    func began(_ exchange: Exchange) {
        exchanges.append(exchange)
        heard()
    }

    func ended(_ exchange: Exchange) {
        exchanges.removeAll { $0 === exchange }
        heard()
    }

    func socketOpened(_ socket: WebSocket) { self.socket = socket }
    func socketClosed() { socket = nil }

    /// Closes the connection when it has been silent for too long while it is the peer's turn.
    func tick(now: Double) {
        if let socket { return socket.tick(now: now) }
        guard now - lastActivity > Double(server.limits.idleSeconds) else { return }
        if exchanges.isEmpty || exchanges.contains(where: \.waitsForPeer) { close() }
    }

    func close() { lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_KEEPALIVE_IDLE, LWS_TO_KILL_ASYNC) }

    /// libwebsockets has let go of the connection.
    func released() {
        LoopEngine.shared.poller.forget(token: watch)
        server.released(self, wsi)
    }
}
