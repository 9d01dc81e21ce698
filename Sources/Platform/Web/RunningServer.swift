// A listening server: its accept socket, its TLS hosts, and the connections it counts.
internal import CLibwebsockets
internal import Essentials
internal import Glibc

@WebLoop
final class RunningServer: PollSource, TickSource {
    /// Connections accepted in one turn.
    private static let acceptsPerTurn = 64
    private static let backlog: Int32 = 4096

    let configuration: WebServerConfiguration
    let limits: WebLimits
    let handler: any HTTPHandler
    let customFields: [String]
    private let listener: OwnedDescriptor
    let port: UInt16
    private(set) var tls: ServerCertificates?
    private var token: UInt64 = 0
    private var listening = true
    private var acceptPaused = false
    private var tickets: [OpaquePointer: ConnectionTicket] = [:]
    private var arrivals: [ObjectIdentifier: any Arriving] = [:]
    private var perAddress: [String: Int] = [:]
    private var total = 0

    init(configuration: WebServerConfiguration, handler: any HTTPHandler) throws(WebProblem) {
        LoopEngine.shared.startLibrary()
        self.configuration = configuration
        self.handler = handler
        limits = configuration.limits
        customFields = RequestReader.usualCustomFields + configuration.customHeaders.map { $0.lowercased() }
        (listener, port) = try Listening.open(configuration.address, configuration.port, backlog: Self.backlog)
        if let files = configuration.tls {
            tls = try ServerCertificates(files, alpn: configuration.offersHTTP2 ? "h2,http/1.1" : "http/1.1")
        }
        token = LoopEngine.shared.poller.add(listener.number, Poller.readable, self)
        LoopEngine.shared.poller.addTicker(self)
    }

    func stop() {
        guard listening else { return }
        listening = false
        LoopEngine.shared.poller.remove(listener.number, token: token)
        LoopEngine.shared.poller.removeTicker(self)
        listener.close()
        for ticket in tickets.values { ticket.close() }
        for arrival in Array(arrivals.values) { arrival.abandon() }
        tls?.close()
    }

    /// True when nothing of this server is left on the loop.
    var isGone: Bool { !listening && total == 0 }

    func ready(_ events: UInt32) {
        for _ in 0..<Self.acceptsPerTurn {
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = withUnsafeMutablePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    accept4(listener.number, $0, &length, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
                }
            }
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                if errno != EAGAIN { pauseAccepting() }
                return
            }
            welcome(descriptor, Listening.numericAddress(storage))
        }
    }

    // Out of descriptors or memory: the backlog waits for the next tick.
    private func pauseAccepting() {
        acceptPaused = true
        LoopEngine.shared.poller.change(listener.number, token: token, 0)
    }

    private func welcome(_ descriptor: Int32, _ address: String) {
        let key = Listening.countingKey(address)
        guard total < limits.connections, perAddress[key, default: 0] < limits.connectionsPerAddress || Listening.isLoopback(address) else {
            Glibc.close(descriptor)
            return
        }
        total += 1
        perAddress[key, default: 0] += 1
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        let arrival = Arrival(server: self, descriptor: descriptor, address: address)
        arrivals[ObjectIdentifier(arrival)] = arrival
        arrival.begin()
    }

    /// Replaces one stage of a connection before HTTP by the next; nil: the connection is closed.
    func advance(_ arrival: any Arriving, to next: (any Arriving)?) {
        arrivals[ObjectIdentifier(arrival)] = nil
        if let next { arrivals[ObjectIdentifier(next)] = next } else { forget(arrival.address) }
    }

    private func forget(_ address: String) {
        total -= 1
        let key = Listening.countingKey(address)
        if let count = perAddress[key] { perAddress[key] = count > 1 ? count - 1 : nil }
    }

    /// Gives a connection to libwebsockets, which owns the descriptor from now on.
    func adopt(_ arrival: Arrival, _ descriptor: Int32, host: OpaquePointer, isSecure: Bool) {
        arrivals[ObjectIdentifier(arrival)] = nil
        var socket = lws_sock_file_fd_type()
        socket.sockfd = descriptor
        var kind = LWS_ADOPT_SOCKET.rawValue | LWS_ADOPT_HTTP.rawValue
        if isSecure { kind |= LWS_ADOPT_ALLOW_SSL.rawValue }
        guard let wsi = lws_adopt_descriptor_vhost(host, lws_adoption_type(rawValue: kind), socket, nil, nil) else {
            return forget(arrival.address)
        }
        let ticket = ConnectionTicket(server: self, wsi: wsi, address: arrival.address, isSecure: isSecure)
        tickets[wsi] = ticket
        LoopEngine.shared.connections[wsi] = ticket
    }

    func released(_ ticket: ConnectionTicket, _ wsi: OpaquePointer) {
        guard tickets.removeValue(forKey: wsi) != nil else { return }
        forget(ticket.address)
    }

    func tick(now: Double) {
        if acceptPaused {
            acceptPaused = false
            LoopEngine.shared.poller.change(listener.number, token: token, Poller.readable)
        }
        for arrival in Array(arrivals.values) { arrival.tick(now: now) }
        for ticket in Array(tickets.values) { ticket.tick(now: now) }
    }

    func reloadCertificates() throws(WebProblem) {
        guard let files = configuration.tls else { return }
        try tls?.reload(files)
    }
}

/// A connection that is not libwebsockets' (yet): being peeked at, spliced, or told goodbye.
@WebLoop
protocol Arriving: AnyObject {
    var address: String { get }
    func tick(now: Double)
    /// Closes it now.
    func abandon()
}
