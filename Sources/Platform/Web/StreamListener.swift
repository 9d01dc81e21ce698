// Plain or TLS byte streams that are not HTTP, from the accepting side: each connection gets a handler of its own.
internal import CLibwebsockets
internal import COpenSSL
internal import Essentials
internal import Glibc

/// PEM files of a stream server. With `clientCA`, clients must show a certificate of that authority.
package struct StreamTLS: Sendable, Equatable {
    package var certificate: String
    package var key: String
    package var clientCA: String?
    package init(certificate: String, key: String, clientCA: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientCA = clientCA
    }
}

/// Listens, and adopts what it accepts. Lives on the loop until `close()`.
@WebLoop
package final class StreamListener: PollSource {
    /// Connections accepted in one turn.
    private static let acceptsPerTurn = 64
    private static let backlog: Int32 = 128

    package let port: UInt16
    private let listener: OwnedDescriptor
    private let context: TLSContext?
    private let admit: @WebLoop () -> (any RawConnectionHandler)?
    private var token: UInt64 = 0
    private var isOpen = true

    /// `address` is numeric; port 0 lets the system choose. `admit` gives the handler of a new connection; `nil` closes it
    /// at once. With TLS, a handler first hears of its connection when the handshake is over.
    package init(
        address: String, port: UInt16, tls: StreamTLS? = nil, admit: @escaping @WebLoop () -> (any RawConnectionHandler)?
    ) throws(WebProblem) {
        context = try tls.map { (files) throws(WebProblem) in
            let context = try TLSContext(serving: CertificateFiles(certificate: files.certificate, key: files.key))
            if let authority = files.clientCA {
                try TLSContext.acceptClients(context.pointer, authority)
                SSL_CTX_set_verify(context.pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
            }
            return context
        }
        self.admit = admit
        (listener, self.port) = try Listening.open(address, port, backlog: Self.backlog)
        token = LoopEngine.shared.poller.add(listener.number, Poller.readable, self)
    }

    /// Stops listening; connections go on.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        LoopEngine.shared.poller.remove(listener.number, token: token)
        listener.close()
    }

    func ready(_ events: UInt32) {
        for _ in 0..<Self.acceptsPerTurn where isOpen {
            let descriptor = accept4(listener.number, nil, nil, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return
            }
            welcome(descriptor)
        }
    }

    private func welcome(_ descriptor: Int32) {
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        guard let handler = admit() else {
            Glibc.close(descriptor)
            return
        }
        guard let context else {
            _ = RawConnection.adopt(PlainStream(descriptor), handler: handler)
            return
        }
        guard let stream = TLSStream(descriptor, context, connectingTo: nil) else {
            Glibc.close(descriptor)
            return
        }
        _ = RawConnection.adopt(stream, handler: handler)
    }
}

extension RawConnection {
    /// Connects to a TLS server and checks its name. What is sent before the handshake is over waits for it; failures come
    /// to `closed` of the handler.
    package static func connect(
        host: String, port: UInt16, tls: HTTPClientOptions?, handler: any RawConnectionHandler
    ) async throws(WebProblem) -> RawConnection {
        let shown = host.contains(":") ? "[\(host)]" : host
        guard let target = HTTPClientTarget("\(tls == nil ? "http" : "https")://\(shown):\(port)") else {
            throw .malformed("the address \(host):\(port)")
        }
        let context = try tls.map { (options) throws(WebProblem) in try TLSContext(trusting: options) }
        let socket = try await Dialer.connect(target, tls ?? HTTPClientOptions())
        guard let tls, let context else { return try adopt(socket, handler: handler) }
        let number = socket.take()
        var one: Int32 = 1
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        guard let stream = TLSStream(number, context, connectingTo: target.host, checksName: !tls.insecure) else {
            Glibc.close(number)
            throw .socket("TLS")
        }
        return adopt(stream, handler: handler)
    }
}
