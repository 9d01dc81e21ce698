// One kept connection of an `HTTPSession`, and one request with its answer on it.
internal import Essentials
internal import Glibc

/// A request, and who waits for its answer.
@WebLoop
final class SessionExchange {
    let request: HTTPSessionRequest
    let way: SessionWay
    let limits: HTTPSessionLimits
    var deadline = 0.0
    weak var connection: SessionConnection?
    /// Called when it fails while it waits for a connection.
    var whenOver: (@WebLoop () -> Void)?
    private var continuation: CheckedContinuation<Result<HTTPSessionAnswer, WebProblem>, Never>?

    init(
        request: HTTPSessionRequest, way: SessionWay, limits: HTTPSessionLimits,
        continuation: CheckedContinuation<Result<HTTPSessionAnswer, WebProblem>, Never>
    ) {
        self.request = request
        self.way = way
        self.limits = limits
        self.continuation = continuation
    }

    var isWaiting: Bool { continuation != nil }

    func answer(_ answer: HTTPSessionAnswer) {
        continuation?.resume(returning: .success(answer))
        continuation = nil
    }

    func fail(_ problem: WebProblem) {
        whenOver?()
        whenOver = nil
        continuation?.resume(returning: .failure(problem))
        continuation = nil
    }

    /// The task that asked was cancelled.
    func cancel() {
        guard isWaiting else { return }
        if let connection { connection.abandon(.peerGone) } else { fail(.peerGone) }
    }

    func encoded(authority: String) -> [UInt8] {
        var text = "\(request.method) \(request.target) HTTP/1.1\r\nhost: \(authority)\r\n"
        for (name, value) in request.headers { text += "\(name): \(value)\r\n" }
        if !request.body.isEmpty || request.method != "GET" { text += "content-length: \(request.body.count)\r\n" }
        text += "\r\n"
        var bytes = Array(text.utf8)
        bytes.append(contentsOf: request.body)
        return bytes
    }
}

@WebLoop
final class SessionConnection: RawConnectionHandler {
    private enum Framing {
        case head
        case length(Int)
        case chunked(ChunkDecoder)
        case untilEnd
    }

    private static let headLimitBytes = 64 << 10

    private unowned let pool: SessionPool
    private var connection: RawConnection?
    private var exchange: SessionExchange?
    private var isFresh = true
    private var hasAnswered = false
    private var buffered: [UInt8] = []
    private var framing = Framing.head
    private var status = 0
    private var headers = HTTPHeaders()
    private var body: [UInt8] = []
    private var stream: RequestBody?
    private var isPaused = false
    private var closesAfter = false
    var idleSince = 0.0

    init(pool: SessionPool, way: SessionWay) throws(WebProblem) {
        self.pool = pool
        connection = try Self.open(way, authority: pool.authority, handler: self)
    }

    static func open(_ way: SessionWay, authority: String, handler: any RawConnectionHandler) throws(WebProblem) -> RawConnection {
        guard let storage = Listening.socketAddress(way.address, way.port) else { throw .cannotConnect(authority) }
        let socket = try Dialer.tcp(storage, authority)
        SocketHabits.set(socket.number)
        guard let context = way.context else { return try RawConnection.adopt(socket, handler: handler) }
        let number = socket.take()
        guard let tls = TLSStream(number, context, connectingTo: way.serverName, checksName: way.checksName) else {
            Glibc.close(number)
            throw .socket("TLS")
        }
        return RawConnection.adopt(tls, handler: handler)
    }

    var isOpen: Bool { connection?.isOpen ?? false }
    /// A whole answer, or the head of a stream, has still to come.
    var awaitsAnswer: Bool { exchange?.isWaiting ?? false }

    func run(_ exchange: SessionExchange, isFresh: Bool) {
        self.exchange = exchange
        self.isFresh = isFresh
        exchange.connection = self
        hasAnswered = false
        framing = .head
        buffered = []
        body = []
        stream = nil
        connection?.send(exchange.encoded(authority: pool.authority))
    }

    func close() {
        connection?.close()
        connection = nil
    }

    func tick(now: Double) {
        guard let exchange, exchange.isWaiting, now > exchange.deadline else { return }
        abandon(.timedOut(seconds: exchange.limits.timeoutSeconds))
    }

    /// Ends what is under way, and the connection with it.
    func abandon(_ problem: WebProblem) { finish(problem) }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        guard exchange != nil else { return finish(nil) }
        hasAnswered = true
        if case .head = framing { head(bytes) } else { feed(bytes[...]) }
    }

    private func head(_ bytes: [UInt8]) {
        if buffered.isEmpty { buffered = bytes } else { buffered += bytes }
        while true {
            switch HTTPHead.parse(buffered, isResponse: true) {
            case .incomplete:
                if buffered.count > Self.headLimitBytes { finish(.malformed("the answer's head is too large")) }
                return
            case .invalid(let reason): return finish(.malformed(reason))
            case .complete(let head):
                let rest = buffered[head.length...]
                if head.start.1.hasPrefix("1") {
                    buffered = Array(rest)
                    continue
                }
                begin(head)
                buffered = []
                return feed(rest)
            }
        }
    }

    private func begin(_ head: HTTPHead) {
        guard let exchange else { return }
        status = Int(head.start.1) ?? 0
        headers = head.headers
        closesAfter = head.start.0 == "HTTP/1.0" || headers["connection"].map { equalsIgnoringCase($0, "close") } == true
        if exchange.request.method == "HEAD" || status == 204 || status == 304 {
            framing = .length(0)
        } else if let coding = headers["transfer-encoding"], equalsIgnoringCase(coding, "chunked") {
            framing = .chunked(ChunkDecoder())
        } else if let text = headers["content-length"] {
            guard let count = Int(text), count >= 0 else { return finish(.malformed("the answer's Content-Length is not a number")) }
            framing = .length(count)
            if !exchange.request.streams { body.reserveCapacity(min(count, 16 << 20)) }
        } else {
            framing = .untilEnd
            closesAfter = true
        }
        guard exchange.request.streams else { return }
        let stream = RequestBody(contentLength: nil, limitBytes: exchange.limits.streamBytes) { [weak self] in
            WebLoop.post { self?.roomAgain() }
        }
        self.stream = stream
        let handle = SessionStream(body: stream) { [weak self, weak exchange] in
            WebLoop.post { self?.stop(exchange) }
        }
        exchange.answer(HTTPSessionAnswer(status: status, headers: headers, body: .stream(handle)))
    }

    /// The reader of `exchange`'s stream has gone.
    private func stop(_ exchange: SessionExchange?) {
        guard let exchange, exchange === self.exchange else { return }
        finish(.peerGone)
    }

    private func feed(_ bytes: ArraySlice<UInt8>) {
        guard exchange != nil else { return }
        switch framing {
        case .head: break
        case .untilEnd: take(bytes)
        case .length(let remaining):
            let piece = bytes.prefix(remaining)
            take(piece)
            guard exchange != nil else { return }
            framing = .length(remaining - piece.count)
            if remaining == piece.count { complete(leftover: bytes.count > piece.count) }
        case .chunked(var decoder):
            var piece: [UInt8] = []
            framing = .head
            guard let used = decoder.decode(bytes, into: &piece) else {
                return finish(.malformed("the answer's chunks are broken"))
            }
            let isDone = decoder.isDone
            framing = .chunked(decoder)
            take(piece[...])
            if isDone, exchange != nil { complete(leftover: used < bytes.count) }
        }
    }

    private func take(_ piece: ArraySlice<UInt8>) {
        guard !piece.isEmpty, let exchange else { return }
        if let stream {
            guard stream.append(Array(piece)) else { return }
            isPaused = true
            connection?.pauseReading()
        } else {
            guard body.count + piece.count <= exchange.limits.answerBytes else {
                return finish(.bodyTooLarge(limitBytes: exchange.limits.answerBytes))
            }
            body.append(contentsOf: piece)
        }
    }

    private func roomAgain() {
        guard isPaused else { return }
        isPaused = false
        connection?.resumeReading()
    }

    private func complete(leftover: Bool) {
        guard let exchange else { return }
        self.exchange = nil
        if let stream {
            stream.end()
        } else {
            let whole = body
            body = []
            exchange.answer(HTTPSessionAnswer(status: status, headers: headers, body: .bytes(whole)))
        }
        stream = nil
        roomAgain()
        pool.done(self, exchange, isReusable: !closesAfter && !leftover && isOpen)
    }

    func ended(_ connection: RawConnection) {
        if case .untilEnd = framing, exchange != nil { complete(leftover: false) } else { finish(.peerGone) }
    }

    func closed(_ connection: RawConnection, error: String?) {
        if let error, isFresh, !hasAnswered, exchange != nil {
            finish(.cannotConnect("\(pool.authority): \(error)"))
        } else {
            ended(connection)
        }
    }

    private func finish(_ problem: WebProblem?) {
        close()
        guard let exchange else { return pool.lost(idle: self) }
        self.exchange = nil
        let stream = stream
        self.stream = nil
        if problem == .peerGone, !isFresh, !hasAnswered, exchange.isWaiting, exchange.request.method == "GET" {
            return pool.again(self, exchange)
        }
        stream?.fail(problem ?? .peerGone)
        exchange.fail(problem ?? .peerGone)
        pool.done(self, exchange, isReusable: false)
    }
}
