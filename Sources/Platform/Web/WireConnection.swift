// One connection of the wire server: requests one after the other, each answered before the next is begun.
internal import Essentials
internal import Glibc

@WebLoop
final class WireConnection: RawConnectionHandler {
    private enum Phase {
        case head
        case body(HTTPRequest, needed: Int, ChunkDecoder?)
        case handling
        case streaming(isChunked: Bool)
        case upgraded(any RawConnectionHandler)
        case closing
    }

    /// Bytes that may wait unread while a request is handled.
    private static let pipelineBytes = 64 << 10

    private unowned let listener: WireListener
    private let address: String
    private let isSecure: Bool
    private var connection: RawConnection?
    private weak var tls: TLSStream?
    private var phase = Phase.head
    private var input: [UInt8] = []
    private var scanned = 0
    private var body: [UInt8] = []
    private var task: Task<Void, Never>?
    private var writer: HTTPBodyWriter?
    private var closesAfter = false
    private var isHead = false
    private var isReading = true
    private var certificate: (ClientCertificate?, problem: String?)?
    /// When this stage began, or last went on.
    private var since = monotonicSeconds()
    private var unsent = 0

    init(listener: WireListener, address: String, isSecure: Bool) {
        self.listener = listener
        self.address = address
        self.isSecure = isSecure
    }

    func begin(_ stream: any ByteStream) {
        tls = stream as? TLSStream
        connection = RawConnection.adopt(stream, handler: self)
    }

    /// A request is handled, or its answer is on its way.
    var isAnswering: Bool {
        switch phase {
        case .handling: true
        case .head, .body, .streaming, .upgraded: false
        case .closing: (connection?.bufferedBytes ?? 0) > 0
        }
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        switch phase {
        case .upgraded(let handler): return handler.received(connection, bytes)
        case .closing: return
        case .head, .body: since = monotonicSeconds()
        case .handling, .streaming: break
        }
        if input.isEmpty { input = bytes } else { input += bytes }
        advance()
        if input.count > Self.pipelineBytes, isReading, isBusy {
            isReading = false
            connection.pauseReading()
        }
    }

    private var isBusy: Bool {
        switch phase {
        case .handling, .streaming: true
        default: false
        }
    }

    private func advance() {
        while connection != nil {
            switch phase {
            case .head:
                guard !input.isEmpty, takeHead() else { return }
            case .body:
                guard takeBody() else { return }
            case .handling, .streaming, .upgraded, .closing: return
            }
        }
    }

    /// True when a whole head was taken.
    private func takeHead() -> Bool {
        switch WireHead.parse(input, from: &scanned, limit: listener.limits.headBytes) {
        case .incomplete: return false
        case .tooLarge:
            refuse(431, "The request's head is larger than \(listener.limits.headBytes) bytes.")
            return false
        case .invalid(let reason):
            refuse(400, "400 Bad Request: \(reason)")
            return false
        case .complete(let head):
            if head.length == input.count { input.removeAll(keepingCapacity: true) } else { input.removeFirst(head.length) }
            scanned = 0
            return take(head)
        }
    }

    private func take(_ head: WireHead) -> Bool {
        let shape = WireShape(head)
        if let fault = shape.fault {
            refuse(400, fault)
            return false
        }
        closesAfter = shape.closesAfter
        isHead = head.method == "HEAD"
        let shown = certificate ?? tls?.clientCertificate() ?? (nil, nil)
        certificate = shown
        var request = HTTPRequest(
            method: head.method, target: head.target, headers: head.headers, authority: (head.headers["host"] ?? "").lowercased(),
            isSecure: isSecure, remoteAddress: address, clientCertificate: shown.0, version: head.isHTTP10 ? .http10 : .http11)
        request.certificateProblem = shown.problem
        if shape.length > listener.limits.bodyBytes {
            refuse(413, "Request entity too large: limit is \(listener.limits.bodyBytes)")
            return false
        }
        if shape.length == 0, !shape.isChunked {
            handle(request, [])
            return true
        }
        if shape.expectsContinue { connection?.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
        body = []
        phase = .body(request, needed: shape.length, shape.isChunked ? ChunkDecoder() : nil)
        return true
    }

    /// True when the body is complete.
    private func takeBody() -> Bool {
        guard case .body(let request, let needed, let decoder) = phase, !input.isEmpty else { return false }
        if var decoder {
            guard let used = decoder.decode(input, into: &body) else {
                refuse(400, "400 Bad Request: the chunked body is malformed")
                return false
            }
            input.removeFirst(used)
            guard body.count <= listener.limits.bodyBytes else {
                refuse(413, "Request entity too large: limit is \(listener.limits.bodyBytes)")
                return false
            }
            guard decoder.isDone else {
                phase = .body(request, needed: 0, decoder)
                return false
            }
        } else if body.isEmpty, input.count == needed {
            swap(&body, &input)
        } else {
            let count = min(needed - body.count, input.count)
            if body.isEmpty { body.reserveCapacity(needed) }
            body.append(contentsOf: input[..<count])
            input.removeFirst(count)
            guard body.count == needed else { return false }
        }
        let whole = body
        body = []
        handle(request, whole)
        return true
    }

    private func handle(_ request: HTTPRequest, _ body: [UInt8]) {
        phase = .handling
        since = monotonicSeconds()
        let handler = listener.handler
        let wantsUpgrade = request.headers["upgrade"] != nil
        let writer = HTTPBodyWriter(limitBytes: listener.limits.writeBufferBytes) { [weak self] in WebLoop.post { self?.pump() } }
        self.writer = writer
        task = Task(executorPreference: handler.isQuick(request) ? LoopTasks.shared : nil) { [weak self] in
            if wantsUpgrade, let upgrade = await handler.upgrade(request) {
                WebLoop.post { self?.upgrade(upgrade, writer) }
                return
            }
            let response = await handler.respond(to: request, body: body)
            WebLoop.post { self?.answer(response, writer) }
        }
    }

    /// Streams are passed on by the loop's thread: they wait more than they work.
    private func write(_ stream: HTTPBodyStream, _ writer: HTTPBodyWriter) {
        task = Task(executorPreference: LoopTasks.shared) { [weak self] in
            do {
                try await stream.write(writer)
                writer.finish()
            } catch {
                WebLoop.post { if self?.writer === writer { self?.close() } }
            }
        }
    }

    // MARK: Answers

    private func answer(_ response: HTTPResponse, _ writer: HTTPBodyWriter) {
        guard writer === self.writer, case .handling = phase, let connection else { return }
        since = monotonicSeconds()
        if response.headers["connection"].map({ equalsIgnoringCase($0, "close") }) == true { closesAfter = true }
        var body: [UInt8] = []
        switch response.body {
        case .none: break
        case .bytes(let bytes): body = bytes
        case .file: return answer(.text("files are not served here\n", status: 500), writer)
        case .stream(let stream) where !isHead && response.mayHaveBody:
            var head = WireAnswer.head(response, length: nil, isChunked: !closesAfter, close: closesAfter)
            head.reserveCapacity(head.count + 1024)
            connection.send(head)
            phase = .streaming(isChunked: !closesAfter)
            return write(stream, writer)
        case .stream: break
        }
        var bytes = WireAnswer.head(response, length: body.count, isChunked: false, close: closesAfter)
        if !isHead, response.mayHaveBody {
            if body.count <= 64 << 10 {
                bytes += body
            } else {
                connection.send(bytes)
                bytes = body
            }
        }
        listener.sentBytes += bytes.count
        connection.send(bytes)
        complete()
    }

    private func complete() {
        task = nil
        writer = nil
        since = monotonicSeconds()
        guard let connection else { return }
        if closesAfter {
            phase = .closing
            if connection.bufferedBytes == 0 { close() } else { connection.shutdownWrite() }
            return
        }
        phase = .head
        if !isReading {
            isReading = true
            connection.resumeReading()
        }
        if !input.isEmpty { WebLoop.post { self.advance() } }
    }

    private func pump() {
        guard case .streaming(let isChunked) = phase, let connection, let writer else { return }
        let scratch = LoopEngine.shared.scratch
        while connection.bufferedBytes <= RawConnection.lowWaterBytes {
            let target = UnsafeMutableRawBufferPointer(start: scratch, count: 64 << 10)
            let (count, ended) = writer.take(into: target)
            if count > 0 {
                var piece: [UInt8] = []
                piece.reserveCapacity(count + 16)
                if isChunked { piece.append(contentsOf: "\(String(count, radix: 16))\r\n".utf8) }
                piece.append(contentsOf: UnsafeRawBufferPointer(rebasing: target[..<count]))
                if isChunked { piece.append(contentsOf: [13, 10]) }
                listener.sentBytes += count
                connection.send(piece)
            }
            if ended {
                if isChunked { connection.send(Array("0\r\n\r\n".utf8)) }
                return complete()
            }
            if count == 0 { return }
        }
    }

    private func refuse(_ status: Int, _ reason: String) {
        let response = listener.handler.refusal(status, reason)
        closesAfter = true
        isHead = false
        phase = .handling
        let writer = HTTPBodyWriter(limitBytes: 0) {}
        self.writer = writer
        input = []
        body = []
        answer(response, writer)
    }

    private func upgrade(_ upgrade: WireUpgrade, _ writer: HTTPBodyWriter) {
        guard writer === self.writer, case .handling = phase, let connection else { return }
        switch upgrade {
        case .refuse(let response):
            closesAfter = true
            answer(response, writer)
        case .accept(let headers, let begin):
            task = nil
            self.writer = nil
            connection.send(WireAnswer.head(HTTPResponse(status: 101, headers: headers), length: nil, isChunked: false, close: false))
            let handler = begin(connection)
            phase = .upgraded(handler)
            if !isReading {
                isReading = true
                connection.resumeReading()
            }
            let early = input
            input = []
            if !early.isEmpty { handler.received(connection, early) }
        }
    }

    // MARK: Ends

    func drained(_ connection: RawConnection) {
        switch phase {
        case .upgraded(let handler): handler.drained(connection)
        case .streaming:
            since = monotonicSeconds()
            pump()
        default: break
        }
    }

    func ended(_ connection: RawConnection) {
        switch phase {
        case .upgraded(let handler): handler.ended(connection)
        // A client that sends no more has most likely left.
        default: close()
        }
    }

    func closed(_ connection: RawConnection, error: String?) {
        if case .upgraded(let handler) = phase {
            handler.closed(connection, error: error)
            listener.forget(self)
        } else {
            close()
        }
    }

    func close() {
        task?.cancel()
        task = nil
        writer?.fail(.peerGone)
        writer = nil
        phase = .closing
        connection?.close()
        connection = nil
        listener.forget(self)
    }

    func tick(now: Double) {
        guard let connection else { return listener.forget(self) }
        if !connection.isOpen { return close() }
        let waiting = connection.bufferedBytes
        if waiting != unsent { since = now }
        unsent = waiting
        switch phase {
        case .upgraded: break
        case .handling: break
        case .streaming, .closing: if waiting > 0, now - since > listener.limits.stallSeconds { close() }
        case .head:
            if waiting > 0 {
                if now - since > listener.limits.stallSeconds { close() }
            } else if now - since > (input.isEmpty ? listener.limits.idleSeconds : listener.limits.requestSeconds) {
                close()
            }
        case .body: if now - since > listener.limits.requestSeconds { refuse(408, "the request took too long") }
        }
    }
}
