// What a server knows of one of its HTTP connections: whose it is, what it is doing, and since when it is silent.
internal import CLibwebsockets

@WebLoop
final class ConnectionTicket {
    let server: RunningServer
    let address: String
    let isSecure: Bool
    /// Unknown until asked; then nil inside when there is none.
    var certificate: ClientCertificate??
    private let wsi: OpaquePointer
    private var activeExchanges = 0
    private var socket: WebSocket?
    private var lastActivity: Double

    init(server: RunningServer, wsi: OpaquePointer, address: String, isSecure: Bool) {
        self.server = server
        self.wsi = wsi
        self.address = address
        self.isSecure = isSecure
        lastActivity = LoopEngine.shared.poller.coarseNow
    }

    func heard() { lastActivity = LoopEngine.shared.poller.coarseNow }

    func exchangeBegan() {
        activeExchanges += 1
        heard()
    }

    func exchangeEnded() {
        activeExchanges -= 1
        heard()
    }

    func socketOpened(_ socket: WebSocket) { self.socket = socket }
    func socketClosed() { socket = nil }

    /// Closes the connection when it has been silent for too long while it is the peer's turn.
    func tick(now: Double) {
        if let socket { return socket.tick(now: now) }
        guard now - lastActivity > Double(server.limits.idleSeconds) else { return }
        if activeExchanges == 0 || LoopEngine.shared.exchanges.values.contains(where: { $0.ticket === self && $0.waitsForPeer }) {
            close()
        }
    }

    func close() { lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_KEEPALIVE_IDLE, LWS_TO_KILL_ASYNC) }

    /// libwebsockets has let go of the connection.
    func released() { server.released(self, wsi) }
}
