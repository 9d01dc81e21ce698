// A new connection before anyone has read from it: its first bytes are peeked at until it is clear where it belongs.
//
// MSG_PEEK leaves the bytes for whoever gets the connection; epoll is edge-triggered, so a half-sent head is looked at again
// only when more of it comes.
internal import CLibwebsockets
internal import Essentials
internal import Glibc

@WebLoop
final class Arrival: PollSource, Arriving {
    let address: String
    private let server: RunningServer
    private var descriptor: Int32
    private var token: UInt64?
    private let deadline: Double

    init(server: RunningServer, descriptor: Int32, address: String) {
        self.server = server
        self.descriptor = descriptor
        self.address = address
        deadline = monotonicSeconds() + Double(server.limits.headSeconds)
    }

    func begin() {
        if !look() { token = LoopEngine.shared.poller.add(descriptor, Poller.readable | Poller.peerEnded | Poller.edge, self) }
    }

    func ready(_ events: UInt32) { _ = look() }

    func tick(now: Double) {
        guard now > deadline else { return }
        finish(.text("The request's head took longer than \(server.limits.headSeconds) seconds.\n", status: 408))
    }

    func abandon() {
        let descriptor = release()
        Glibc.close(descriptor)
        server.advance(self, to: nil)
    }

    // Takes the descriptor out of the epoll set and away from this object.
    private func release() -> Int32 {
        if let token { LoopEngine.shared.poller.remove(descriptor, token: token) }
        token = nil
        defer { descriptor = -1 }
        return descriptor
    }

    private func finish(_ response: HTTPResponse) {
        let farewell = Farewell(server: server, stream: PlainStream(release()), address: address)
        server.advance(self, to: farewell)
        farewell.begin(response.encodedHTTP1())
    }

    /// True when the connection has gone on to its next stage (or is closed).
    private func look() -> Bool {
        let limit = max(server.limits.headBytes, 18 << 10) + 1
        let count = recv(descriptor, LoopEngine.shared.scratch, min(limit, LoopEngine.scratchBytes), Int32(MSG_PEEK))
        if count < 0, errno == EAGAIN || errno == EINTR { return false }
        guard count > 0 else {
            abandon()
            return true
        }
        let bytes = UnsafeBufferPointer(start: LoopEngine.shared.scratch, count: count)
        if bytes[0] == 22 { return lookAtTLS(bytes) }
        if server.tls != nil {
            finish(.text("This port speaks TLS: use https.\n", status: 400))
            return true
        }
        let preface = Array("PRI * HTTP/2.0\r\n".utf8)
        if server.configuration.offersHTTP2, zip(bytes, preface).allSatisfy({ $0 == $1 }) {
            guard bytes.count >= preface.count else { return false }
            server.adopt(self, release(), host: LoopEngine.shared.priorKnowledgeHost, isSecure: false)
            return true
        }
        return lookAtHead(bytes)
    }

    private func lookAtHead(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let head: HTTPHead
        switch HTTPHead.parse(bytes) {
        case .incomplete:
            guard bytes.count > server.limits.headBytes else { return false }
            finish(Self.headTooLarge(server.limits))
            return true
        case .invalid(let reason):
            finish(.text("The request's head is malformed: \(reason).\n", status: 400))
            return true
        case .complete(let complete): head = complete
        }
        if head.length > server.limits.headBytes {
            finish(Self.headTooLarge(server.limits))
            return true
        }
        guard head.headers.all("host").count <= 1, head.start.2 == "HTTP/1.0" || head.headers["host"] != nil else {
            finish(.text("The request names no host, or more than one.\n", status: 400))
            return true
        }
        let request = head.request(isSecure: false, remoteAddress: address)
        let route = server.configuration.frontDoor?.route(
            host: request.hostName, head: PeekedHead(request: request, isTLS: false, remoteAddress: address))
        switch route {
        case nil, .serve: server.adopt(self, release(), host: LoopEngine.shared.plainHost, isSecure: false)
        case .splice(let opener):
            let stream = PlainStream(release())
            // The head was only peeked at; now it is ours, and no byte more.
            let taken = recv(stream.descriptor, LoopEngine.shared.scratch, head.length, 0)
            guard taken == head.length else {
                stream.close()
                server.advance(self, to: nil)
                return true
            }
            let opening = Opening(server: server, stream: stream, address: address, request: request, head: head, early: [], opener: opener)
            server.advance(self, to: opening)
            opening.begin()
        }
        return true
    }

    private func lookAtTLS(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let tls = server.tls else {
            abandon()
            return true
        }
        let name: String
        switch ClientHello.serverName(bytes) {
        case .incomplete:
            if bytes.count <= 18 << 10 { return false }
            name = ""
        case .none: name = ""
        case .name(let found): name = found
        }
        let route = server.configuration.frontDoor?.route(host: name, head: PeekedHead(request: nil, isTLS: true, remoteAddress: address))
        switch route {
        case nil, .serve: server.adopt(self, release(), host: tls.host(for: name), isSecure: true)
        case .splice(let opener):
            let socket = release()
            guard let stream = TLSStream(socket, tls.spliceContext(for: name), connectingTo: nil) else {
                Glibc.close(socket)
                server.advance(self, to: nil)
                return true
            }
            let head = SecureHead(server: server, stream: stream, address: address, opener: opener, deadline: deadline)
            server.advance(self, to: head)
            head.begin()
        }
        return true
    }

    static func headTooLarge(_ limits: WebLimits) -> HTTPResponse {
        .text("The request's head is larger than the \(limits.headBytes) bytes allowed here.\n", status: 431)
    }
}

extension HTTPHead {
    func request(isSecure: Bool, remoteAddress: String) -> HTTPRequest {
        HTTPRequest(
            method: start.0, target: start.1, headers: headers, authority: (headers["host"] ?? "").lowercased(), isSecure: isSecure,
            remoteAddress: remoteAddress, version: start.2 == "HTTP/1.0" ? .http10 : .http11)
    }
}

extension HTTPRequest {
    /// The authority without its port, in lower case.
    package var hostName: String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") { return String(authority[...end]) }
        return String(authority.prefix { $0 != ":" })
    }
}

extension HTTPResponse {
    /// The response as HTTP/1.1 bytes that end the connection; only bodies of bytes.
    func encodedHTTP1() -> [UInt8] {
        var body: [UInt8] = []
        if case .bytes(let bytes) = self.body { body = bytes }
        var text = "HTTP/1.1 \(status) \(Self.phrase(status))\r\n"
        for field in headers.fields where !["content-length", "transfer-encoding", "connection"].contains(where: field.isNamed) {
            guard field.name.utf8.allSatisfy(isTokenByte), field.value.utf8.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else {
                continue
            }
            text += "\(field.name): \(field.value)\r\n"
        }
        return Array("\(text)content-length: \(body.count)\r\nconnection: close\r\n\r\n".utf8) + body
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 302: "Found"
        case 303: "See Other"
        case 307: "Temporary Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 408: "Request Timeout"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        default: "Status"
        }
    }
}
