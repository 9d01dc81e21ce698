// A client's side of an upgrade: one request on a connection of its own, which then belongs to whoever asked.
internal import Essentials
internal import Glibc

extension HTTPSession {
    /// Asks for an upgrade. After 101 `begin` gets the connection, on the loop, and names who goes on with it; any other
    /// answer comes back with its body.
    package func upgrade(
        _ request: HTTPSessionRequest, begin: @escaping @WebLoop @Sendable (RawConnection) -> any RawConnectionHandler
    ) async throws(WebProblem) -> HTTPSessionAnswer {
        let way = try await way()
        let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let result = await withCheckedContinuation { continuation in
            WebLoop.post {
                do throws(WebProblem) {
                    try UpgradeConnection(request, way: way, authority: authority, begin: begin, continuation: continuation).start()
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}

@WebLoop
private final class UpgradeConnection: RawConnectionHandler, TickSource {
    private static let headLimitBytes = 64 << 10
    private static let bodyLimitBytes = 1 << 20
    private static let timeoutSeconds = 30.0

    private let request: HTTPSessionRequest
    private let way: SessionWay
    private let authority: String
    private let begin: @WebLoop @Sendable (RawConnection) -> any RawConnectionHandler
    private var continuation: CheckedContinuation<Result<HTTPSessionAnswer, WebProblem>, Never>?
    private var connection: RawConnection?
    private var next: (any RawConnectionHandler)?
    private var buffered: [UInt8] = []
    private var answer: HTTPSessionAnswer?
    private var length: Int?
    private let deadline = monotonicSeconds() + timeoutSeconds

    init(
        _ request: HTTPSessionRequest, way: SessionWay, authority: String,
        begin: @escaping @WebLoop @Sendable (RawConnection) -> any RawConnectionHandler,
        continuation: CheckedContinuation<Result<HTTPSessionAnswer, WebProblem>, Never>
    ) {
        self.request = request
        self.way = way
        self.authority = authority
        self.begin = begin
        self.continuation = continuation
    }

    func start() throws(WebProblem) {
        let connection = try SessionConnection.open(way, authority: authority, handler: self)
        self.connection = connection
        LoopEngine.shared.poller.addTicker(self)
        var text = "\(request.method) \(request.target) HTTP/1.1\r\nhost: \(authority)\r\n"
        for (name, value) in request.headers { text += "\(name): \(value)\r\n" }
        connection.send(Array((text + "\r\n").utf8))
    }

    func tick(now: Double) { if now > deadline { finish(.failure(.timedOut(seconds: Self.timeoutSeconds))) } }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        if let next { return next.received(connection, bytes) }
        buffered += bytes
        if answer != nil { return collect() }
        switch HTTPHead.parse(buffered, isResponse: true) {
        case .incomplete: if buffered.count > Self.headLimitBytes { finish(.failure(.malformed("the answer's head is too large"))) }
        case .invalid(let reason): finish(.failure(.malformed(reason)))
        case .complete(let head):
            buffered.removeFirst(head.length)
            let status = Int(head.start.1) ?? 0
            let answer = HTTPSessionAnswer(status: status, headers: head.headers, body: .bytes([]))
            if status == 101 {
                let next = begin(connection)
                self.next = next
                LoopEngine.shared.poller.removeTicker(self)
                continuation?.resume(returning: .success(answer))
                continuation = nil
                let early = buffered
                buffered = []
                if !early.isEmpty { next.received(connection, early) }
                return
            }
            self.answer = answer
            length = head.headers["content-length"].flatMap { Int($0) }
            collect()
        }
    }

    private func collect() {
        guard var answer else { return }
        if let length, buffered.count < length, buffered.count < Self.bodyLimitBytes { return }
        if length == nil, connection != nil, buffered.count < Self.bodyLimitBytes { return }
        answer.body = .bytes(buffered)
        finish(.success(answer))
    }

    private func finish(_ result: Result<HTTPSessionAnswer, WebProblem>) {
        guard let continuation else { return }
        self.continuation = nil
        LoopEngine.shared.poller.removeTicker(self)
        connection?.close()
        connection = nil
        continuation.resume(returning: result)
    }

    func ended(_ connection: RawConnection) {
        if let next { return next.ended(connection) }
        self.connection = nil
        connection.close()
        if answer == nil { finish(.failure(.peerGone)) } else { collect() }
    }

    func drained(_ connection: RawConnection) { next?.drained(connection) }

    func closed(_ connection: RawConnection, error: String?) {
        if let next { return next.closed(connection, error: error) }
        self.connection = nil
        if answer == nil { finish(.failure(error.map { .socket($0) } ?? .peerGone)) } else { collect() }
    }
}
