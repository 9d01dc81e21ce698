// One request of the HTTP client on its connection: sends it, parses the head, feeds the body.
internal import Essentials
internal import Glibc

@WebLoop
final class ClientExchange: RawConnectionHandler, TickSource {
    private enum Framing {
        case none
        case length(Int)
        case chunked(ChunkDecoder)
        case untilEnd
    }

    /// How many times longer a reader may pause than the other side.
    private static let readerPatience = 20.0

    private let options: HTTPClientOptions
    private let method: String
    private var continuation: CheckedContinuation<Result<HTTPClientResponse, WebProblem>, Never>?
    private var connection: RawConnection?
    private var buffered: [UInt8] = []
    private var body: RequestBody?
    private var framing = Framing.none
    private var paused = false
    private var isOver = false
    private var lastProgress = monotonicSeconds()
    private let authority: String

    private init(
        _ options: HTTPClientOptions, _ method: String, _ authority: String,
        _ continuation: CheckedContinuation<Result<HTTPClientResponse, WebProblem>, Never>
    ) {
        self.options = options
        self.method = method
        self.authority = authority
        self.continuation = continuation
    }

    static func run(
        _ socket: OwnedDescriptor, _ target: HTTPClientTarget, _ options: HTTPClientOptions, _ method: String, _ headers: HTTPHeaders,
        _ body: [UInt8]
    ) async throws(WebProblem) -> HTTPClientResponse {
        let context = target.isSecure ? try TLSContext(trusting: options) : nil
        var text = "\(method) \(target.target) HTTP/1.1\r\nhost: \(headers["host"] ?? target.authority)\r\n"
        for field in headers.fields where !field.isNamed("host") && !field.isNamed("content-length") {
            text += "\(field.name): \(field.value)\r\n"
        }
        if !body.isEmpty || ["POST", "PUT", "PATCH"].contains(method) { text += "content-length: \(body.count)\r\n" }
        if headers["connection"] == nil { text += "connection: close\r\n" }
        let request = Array((text + "\r\n").utf8) + body
        let result = await withCheckedContinuation { continuation in
            WebLoop.post {
                let exchange = ClientExchange(options, method, target.authority, continuation)
                exchange.begin(socket, target, context, request)
            }
        }
        return try result.get()
    }

    private func begin(_ socket: OwnedDescriptor, _ target: HTTPClientTarget, _ context: TLSContext?, _ request: [UInt8]) {
        do {
            let connection: RawConnection
            if let context {
                let number = socket.take()
                guard let stream = TLSStream(number, context, connectingTo: target.host, checksName: !options.insecure) else {
                    Glibc.close(number)
                    throw WebProblem.socket("TLS")
                }
                connection = RawConnection.adopt(stream, handler: self)
            } else {
                connection = try RawConnection.adopt(socket, handler: self)
            }
            self.connection = connection
            LoopEngine.shared.poller.addTicker(self)
            connection.send(request)
        } catch {
            finish(error as? WebProblem ?? .peerGone)
        }
    }

    func tick(now: Double) {
        // A reader may take its time, but one that has gone must not hold the connection for ever.
        let limit = paused ? options.timeoutSeconds * Self.readerPatience : options.timeoutSeconds
        if now - lastProgress > limit { finish(.timedOut(seconds: limit)) }
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        lastProgress = LoopEngine.shared.poller.coarseNow
        guard body == nil else { return feed(bytes[...]) }
        buffered += bytes
        while true {
            switch HTTPHead.parse(buffered, isResponse: true) {
            case .incomplete:
                if buffered.count > options.headBytes {
                    finish(.malformed("the response's head is larger than \(options.headBytes) bytes"))
                }
                return
            case .invalid(let reason): return finish(.malformed(reason))
            case .complete(let head):
                let rest = buffered[head.length...]
                // 1xx answers precede the real one.
                if head.start.1.hasPrefix("1") {
                    buffered = Array(rest)
                    continue
                }
                buffered = []
                return answer(head, rest)
            }
        }
    }

    private func answer(_ head: HTTPHead, _ rest: ArraySlice<UInt8>) {
        let status = Int(head.start.1) ?? 0
        var length: Int?
        if method == "HEAD" || status == 204 || status == 304 {
            framing = .length(0)
        } else if let coding = head.headers["transfer-encoding"], equalsIgnoringCase(coding, "chunked") {
            framing = .chunked(ChunkDecoder())
        } else if let text = head.headers["content-length"] {
            guard let number = Int(text), number >= 0 else { return finish(.malformed("the response's Content-Length is not a number")) }
            framing = .length(number)
            length = number
        } else {
            framing = .untilEnd
        }
        let body = RequestBody(contentLength: length, limitBytes: options.readBufferBytes) { [weak self] in
            WebLoop.post { self?.roomAgain() }
        }
        self.body = body
        continuation?.resume(returning: .success(HTTPClientResponse(status: status, headers: head.headers, body: body)))
        continuation = nil
        feed(rest)
    }

    private func feed(_ bytes: ArraySlice<UInt8>) {
        guard let body, !isOver else { return }
        var full = false
        switch framing {
        case .none: break
        case .untilEnd: full = body.append(Array(bytes))
        case .length(let remaining):
            let piece = bytes.prefix(remaining)
            if !piece.isEmpty { full = body.append(Array(piece)) }
            framing = .length(remaining - piece.count)
            if remaining == piece.count { return finish(nil) }
        case .chunked(var decoder):
            var piece: [UInt8] = []
            guard decoder.decode(bytes, into: &piece) != nil else { return finish(.malformed("the response's chunks are broken")) }
            framing = .chunked(decoder)
            if !piece.isEmpty { full = body.append(piece) }
            if decoder.isDone { return finish(nil) }
        }
        if full {
            paused = true
            connection?.pauseReading()
        }
    }

    private func roomAgain() {
        guard paused, !isOver else { return }
        paused = false
        lastProgress = LoopEngine.shared.poller.coarseNow
        connection?.resumeReading()
    }

    func ended(_ connection: RawConnection) {
        if case .untilEnd = framing, body != nil { finish(nil) } else { finish(.peerGone) }
    }

    func closed(_ connection: RawConnection, error: String?) {
        if continuation != nil, let error { finish(.cannotConnect("\(authority): \(error)")) } else { ended(connection) }
    }

    private func finish(_ problem: WebProblem?) {
        guard !isOver else { return }
        isOver = true
        LoopEngine.shared.poller.removeTicker(self)
        connection?.close()
        connection = nil
        if let problem { body?.fail(problem) } else { body?.end() }
        if let continuation { continuation.resume(returning: .failure(problem ?? .peerGone)) }
        continuation = nil
    }
}
