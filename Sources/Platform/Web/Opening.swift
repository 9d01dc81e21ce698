// The stages between a routed connection and its splice: reading the head behind TLS, waiting for the opener, saying goodbye.
internal import Essentials
internal import Glibc

/// Finishes TLS and reads the first head of a connection that will be spliced.
@WebLoop
final class SecureHead: PollSource, Arriving {
    let address: String
    private let server: RunningServer
    private let stream: TLSStream
    private let opener: any SpliceOpener
    private let deadline: Double
    private var watch = Watch()
    private var bytes: [UInt8] = []

    init(server: RunningServer, stream: TLSStream, address: String, opener: any SpliceOpener, deadline: Double) {
        self.server = server
        self.stream = stream
        self.address = address
        self.opener = opener
        self.deadline = deadline
    }

    func begin() { ready(0) }

    func tick(now: Double) { if now > deadline { abandon() } }

    func abandon() {
        watch.end(stream.descriptor)
        stream.close()
        server.advance(self, to: nil)
    }

    func ready(_ events: UInt32) {
        let buffer = UnsafeMutableRawBufferPointer(start: LoopEngine.shared.scratch, count: 16 << 10)
        while true {
            switch stream.read(into: buffer) {
            case .bytes(let count):
                bytes += UnsafeRawBufferPointer(rebasing: buffer[..<count])
                if examine() { return }
            case .blocked:
                return watch.set(stream.descriptor, stream.needsWritable ? Poller.writable : Poller.readable, self)
            case .ended, .failed: return abandon()
            }
        }
    }

    private func examine() -> Bool {
        switch HTTPHead.parse(bytes) {
        case .incomplete:
            guard bytes.count > server.limits.headBytes else { return false }
            leave(Arrival.headTooLarge(server.limits))
        case .invalid(let reason): leave(.text("The request's head is malformed: \(reason).\n", status: 400))
        case .complete(let head):
            guard head.length <= server.limits.headBytes else {
                leave(Arrival.headTooLarge(server.limits))
                return true
            }
            watch.end(stream.descriptor)
            let request = head.request(isSecure: true, remoteAddress: address)
            let opening = Opening(
                server: server, stream: stream, address: address, request: request, head: head, early: Array(bytes[head.length...]),
                opener: opener)
            server.advance(self, to: opening)
            opening.begin()
        }
        return true
    }

    private func leave(_ response: HTTPResponse) {
        watch.end(stream.descriptor)
        let farewell = Farewell(server: server, stream: stream, address: address)
        server.advance(self, to: farewell)
        farewell.begin(response.encodedHTTP1())
    }
}

/// Waits for the opener of a splice.
@WebLoop
final class Opening: PollSource, Arriving {
    let address: String
    private let server: RunningServer
    private let stream: any ByteStream
    private let request: HTTPRequest
    private let head: HTTPHead
    private let early: [UInt8]
    private let opener: any SpliceOpener
    private var watch = Watch()
    private var task: Task<Void, Never>?
    private var isOver = false

    init(
        server: RunningServer, stream: any ByteStream, address: String, request: HTTPRequest, head: HTTPHead, early: [UInt8],
        opener: any SpliceOpener
    ) {
        self.server = server
        self.stream = stream
        self.address = address
        self.request = request
        self.head = head
        self.early = early
        self.opener = opener
    }

    func begin() {
        // Only a broken connection is reported: what the client sends meanwhile can wait.
        watch.set(stream.descriptor, Poller.edge, self)
        task = Task { [request, opener] in
            let opening = await opener.open(request)
            self.opened(opening)
        }
    }

    func ready(_ events: UInt32) { if events & (Poller.hangup | Poller.failure) != 0 { abandon() } }

    /// How long opening may take is the opener's to say.
    func tick(now: Double) {}

    func abandon() {
        guard !isOver else { return }
        isOver = true
        task?.cancel()
        watch.end(stream.descriptor)
        stream.close()
        server.advance(self, to: nil)
    }

    private func opened(_ opening: SpliceOpening) {
        guard !isOver else { return }
        isOver = true
        watch.end(stream.descriptor)
        switch opening {
        case .respond(let response): leave(response)
        case .connected(let descriptor, let options):
            let socket = descriptor.take()
            guard let far = Self.farStream(socket, options, name: request.hostName) else {
                return leave(.text("The node's side of this connection could not be set up.\n", status: 502))
            }
            let splice = Splice(server: server, near: stream, far: far, address: address, toFar: head.rewritten(options) + early)
            server.advance(self, to: splice)
            splice.begin()
        }
    }

    private static func farStream(_ socket: Int32, _ options: SpliceOptions, name: String) -> (any ByteStream)? {
        guard socket >= 0 else { return nil }
        let flags = fcntl(socket, F_GETFL)
        _ = fcntl(socket, F_SETFL, flags | O_NONBLOCK)
        var one: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        guard options.upstreamTLS else { return PlainStream(socket) }
        if let context = LoopEngine.shared.trustingContext, let stream = TLSStream(socket, context, connectingTo: name) { return stream }
        Glibc.close(socket)
        return nil
    }

    private func leave(_ response: HTTPResponse) {
        let farewell = Farewell(server: server, stream: stream, address: address)
        server.advance(self, to: farewell)
        farewell.begin(response.encodedHTTP1())
    }
}

extension HTTPHead {
    /// The head as bytes, with what the options say taken out or set.
    func rewritten(_ options: SpliceOptions) -> [UInt8] {
        var target = start.1
        if !options.dropQuery.isEmpty, let mark = target.firstIndex(of: "?") {
            let kept = target[target.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false).filter { item in
                !options.dropQuery.contains(String(item.prefix { $0 != "=" }))
            }
            target = String(target[..<mark]) + (kept.isEmpty ? "" : "?" + kept.joined(separator: "&"))
        }
        var text = "\(start.0) \(target) \(start.2)\r\n"
        for field in headers.fields {
            if options.setHeaders.contains(where: { field.isNamed($0.0) }) { continue }
            var value = field.value
            if !options.dropCookies.isEmpty, field.isNamed("cookie") {
                value = value.split(separator: ";").map { $0.drop { $0 == " " } }
                    .filter { pair in !options.dropCookies.contains(String(pair.prefix { $0 != "=" })) }.joined(separator: "; ")
                if value.isEmpty { continue }
            }
            text += "\(field.name): \(value)\r\n"
        }
        for (name, value) in options.setHeaders { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

/// Sends a last answer, then reads on until the other side has seen it: closing with unread bytes would reset the connection.
@WebLoop
final class Farewell: PollSource, Arriving {
    private static let lingerSeconds = 2.0
    /// Bytes read and dropped at most.
    private static let dropLimitBytes = 256 << 10

    let address: String
    private let server: RunningServer
    private let stream: any ByteStream
    private var watch = Watch()
    private var bytes: [UInt8] = []
    private var offset = 0
    private var dropped = 0
    private let deadline = monotonicSeconds() + Farewell.lingerSeconds

    init(server: RunningServer, stream: any ByteStream, address: String) {
        self.server = server
        self.stream = stream
        self.address = address
    }

    func begin(_ bytes: [UInt8]) {
        self.bytes = bytes
        if bytes.isEmpty { stream.shutdownWrite() }
        ready(0)
    }

    func tick(now: Double) { if now > deadline { abandon() } }

    func abandon() {
        watch.end(stream.descriptor)
        stream.close()
        server.advance(self, to: nil)
    }

    func ready(_ events: UInt32) {
        while offset < bytes.count {
            let result = bytes.withUnsafeBytes { stream.write(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
            switch result {
            case .bytes(let count):
                offset += count
                if offset == bytes.count { stream.shutdownWrite() }
            case .blocked: return watch.set(stream.descriptor, stream.writeNeedsReadable ? Poller.readable : Poller.writable, self)
            case .ended, .failed: return abandon()
            }
        }
        let buffer = UnsafeMutableRawBufferPointer(start: LoopEngine.shared.scratch, count: 64 << 10)
        while dropped <= Self.dropLimitBytes {
            switch stream.read(into: buffer) {
            case .bytes(let count): dropped += count
            case .blocked: return watch.set(stream.descriptor, Poller.readable, self)
            case .ended, .failed: return abandon()
            }
        }
        abandon()
    }
}
