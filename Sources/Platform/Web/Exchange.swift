// One request and its response on libwebsockets: an HTTP/1.1 transaction or an HTTP/2 stream.
//
// LWS_CALLBACK_HTTP makes it and starts the handler's task; body callbacks feed `RequestBody`; the task's answer comes back
// as a closure on the loop, which asks for writability; every write happens in the writable callback.
internal import CLibwebsockets
internal import Glibc

@WebLoop
final class Exchange {
    let wsi: OpaquePointer
    let ticket: ConnectionTicket
    let request: HTTPRequest
    private let body: RequestBody
    private let writer: HTTPBodyWriter
    private var task: Task<Void, Never>?
    private var response: ResponseSender?
    private var bodyBytes = 0
    private var requestComplete: Bool
    private var chunks: ChunkDecoder?
    private var failedBody: HTTPResponse?
    private var readingPaused = false
    private var flows = true
    private var writePending = false
    private var owedCredit = 0
    private var awaitsFlush = false
    private var closed = false
    /// The connection cannot carry another request: its end is not known to libwebsockets.
    private var mustClose: Bool

    private init(wsi: OpaquePointer, ticket: ConnectionTicket, request: HTTPRequest, shape: RequestShape) {
        self.wsi = wsi
        self.ticket = ticket
        self.request = request
        mustClose = shape.mustClose
        requestComplete = shape.hasNoBody
        if shape.isChunked { chunks = ChunkDecoder() }
        let handle = WsiHandle(wsi)
        body = RequestBody(contentLength: shape.hasNoBody ? 0 : shape.contentLength, limitBytes: ticket.server.limits.readBufferBytes) {
            WebLoop.post { LoopEngine.shared.exchanges[handle.wsi]?.resumeReading() }
        }
        writer = HTTPBodyWriter(limitBytes: ticket.server.limits.writeBufferBytes) {
            WebLoop.post { LoopEngine.shared.exchanges[handle.wsi]?.wantWrite() }
        }
        if requestComplete { body.end() }
    }

    /// Answers `LWS_CALLBACK_HTTP`.
    static func begin(_ wsi: OpaquePointer, ticket: ConnectionTicket) -> Int32 {
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0)
        guard let request = RequestReader(wsi: wsi).read(ticket: ticket) else { return -1 }
        let shape = RequestShape(request, bodyLimitBytes: ticket.server.limits.bodyBytes)
        let exchange = Exchange(wsi: wsi, ticket: ticket, request: request, shape: shape)
        LoopEngine.shared.exchanges[wsi] = exchange
        ticket.began(exchange)
        if let refusal = shape.refusal {
            exchange.body.fail(.malformed("refused"))
            exchange.mustClose = exchange.mustClose || !shape.hasNoBody
            exchange.start(refusal)
        } else {
            if shape.expectsContinue { exchange.sendContinue() }
            exchange.runHandler()
            exchange.updateFlow()
        }
        return 0
    }

    private func runHandler() {
        let handle = WsiHandle(wsi)
        let handler = ticket.server.handler
        task = Task { [request, body, writer] in
            let response = await handler.respond(to: request, body: body)
            body.discard()
            let streams: HTTPBodyStream?
            if case .stream(let stream) = response.body, request.method != "HEAD", response.mayHaveBody {
                streams = stream
            } else {
                streams = nil
            }
            WebLoop.post { LoopEngine.shared.exchanges[handle.wsi]?.answer(response, from: writer) }
            guard let streams else { return }
            do {
                try await streams.write(writer)
                writer.finish()
            } catch {
                WebLoop.post { LoopEngine.shared.exchanges[handle.wsi]?.abort(writer) }
            }
        }
    }

    // A later exchange may have taken the same wsi; the writer tells which one is meant.
    private func answer(_ response: HTTPResponse, from writer: HTTPBodyWriter) {
        guard writer === self.writer else { return }
        start(response)
    }

    private func start(_ response: HTTPResponse) {
        guard self.response == nil, !closed else { return }
        self.response = ResponseSender(exchange: self, response: response, writer: writer)
        wantWrite()
    }

    /// The stream failed half-way: only cutting the connection tells the client.
    private func abort(_ writer: HTTPBodyWriter) {
        guard writer === self.writer, !closed else { return }
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC)
    }

    func wantWrite() {
        guard !closed, response != nil else { return }
        writePending = true
        updateFlow()
        lws_callback_on_writable(wsi)
    }

    func cancel(timedOut: Bool) {
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC)
    }

    /// True while the peer is what we wait for: its body, or its reading of ours.
    var waitsForPeer: Bool { !requestComplete && !readingPaused || (response?.isBlocked ?? false) }

    private func sendContinue() {
        let line = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
        let buffer = LoopEngine.shared.scratch
        for (index, byte) in line.enumerated() { buffer[index] = byte }
        _ = lws_write(wsi, buffer, line.count, LWS_WRITE_HTTP_HEADERS)
    }
}

// What libwebsockets calls.
extension Exchange {
    func receivedBody(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        ticket.heard()
        if request.version == .http2, !bytes.isEmpty { owedCredit += bytes.count }
        defer { if !readingPaused { payCredit() } }
        if requestComplete || failedBody != nil || bytes.isEmpty { return 0 }
        var piece: [UInt8]
        if chunks != nil {
            piece = []
            guard chunks!.decode(bytes, into: &piece) != nil else {
                return refuseBody(.text("The chunked body is malformed.\n", status: 400))
            }
        } else {
            piece = Array(bytes)
        }
        bodyBytes += piece.count
        let limit = ticket.server.limits.bodyBytes
        if bodyBytes > limit {
            body.fail(.bodyTooLarge(limitBytes: limit))
            return refuseBody(RequestShape.tooLarge(limit))
        }
        if !piece.isEmpty, body.append(piece) {
            readingPaused = true
            lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0)
            updateFlow()
        }
        if chunks?.isDone == true { return bodyEnded() }
        return 0
    }

    // libwebsockets opens an HTTP/2 stream's window once; what has been taken may be sent again.
    private func payCredit() {
        guard owedCredit > 0 else { return }
        _ = lws_wsi_tx_credit(wsi, CChar(LWSTXCR_PEER_TO_US), Int32(owedCredit))
        owedCredit = 0
    }

    private func refuseBody(_ response: HTTPResponse) -> Int32 {
        failedBody = response
        mustClose = true
        body.fail(.malformed("refused"))
        if self.response != nil { return -1 }
        start(response)
        return 0
    }

    func bodyEnded() -> Int32 {
        if !requestComplete {
            requestComplete = true
            body.end()
            lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0)
            updateFlow()
        }
        return 0
    }

    // In HTTP/1.1, libwebsockets neither reads nor stops polling while an answer is awaited, so that the loop would spin on a
    // pipelined request or on the end of the stream; and while reading is off, it does not write either. So reading is on
    // only while a body is wanted, or for the moment of a write that is known to be possible.
    private func updateFlow() {
        let wanted = request.version == .http2 || writePending || (!requestComplete && !readingPaused)
        guard wanted != flows else { return }
        flows = wanted
        lws_rx_flow_control(wsi, wanted ? 1 : 0)
    }

    /// The client sends no more; as it most likely left, the handler is told by cancellation, but may still answer.
    func peerEnded() {
        guard requestComplete else { return }
        task?.cancel()
    }

    private func resumeReading() {
        guard readingPaused, !closed else { return }
        readingPaused = false
        payCredit()
        updateFlow()
    }

    func writable() -> Int32 {
        guard let response else { return 0 }
        writePending = false
        if awaitsFlush { return completeStream() }
        switch response.write(closing: mustClose || !requestComplete) {
        case .waiting: updateFlow()
        case .more:
            if request.version == .http2 {
                writePending = true
                lws_callback_on_writable(wsi)
            } else if lws_send_pipe_choked(wsi) != 0 {
                updateFlow()
                ticket.awaitWritable()
            } else {
                wantWrite()
            }
        case .failed: return -1
        case .done(let close):
            if request.version == .http2 { return completeStream() }
            // libwebsockets gives the connection to the next request, or closes it where the answer is not zero.
            finished()
            if close || mustClose { return -1 }
            return lws_http_transaction_completed(wsi) != 0 ? -1 : 0
        }
        return 0
    }

    // A stream that is closed while the connection still holds a part of its last frame would leave that part behind.
    private func completeStream() -> Int32 {
        awaitsFlush = lws_partial_buffered(lws_get_network_wsi(wsi)) != 0
        if awaitsFlush {
            lws_callback_on_writable(wsi)
            return 0
        }
        finished()
        return -1
    }

    private func finished() {
        writePending = true
        updateFlow()
        closed = true
        LoopEngine.shared.exchanges[wsi] = nil
        body.fail(.peerGone)
        ticket.ended(self)
    }

    func connectionClosed() {
        guard !closed else { return }
        closed = true
        task?.cancel()
        body.fail(.peerGone)
        writer.fail(.peerGone)
        response?.close()
        ticket.ended(self)
    }
}

/// A wsi's address as a name that closures may carry; only the loop looks anything up by it.
struct WsiHandle: @unchecked Sendable {
    // Guard: the pointer is only a dictionary key, used on the loop.
    let wsi: OpaquePointer
    init(_ wsi: OpaquePointer) { self.wsi = wsi }
}

/// What the head says about the body, and whether it can be served at all.
struct RequestShape {
    var contentLength: Int?
    var isChunked = false
    var hasNoBody = false
    var mustClose = false
    var expectsContinue = false
    var refusal: HTTPResponse?

    init(_ request: HTTPRequest, bodyLimitBytes: Int) {
        let isHTTP2 = request.version == .http2
        let encoding = request.headers["transfer-encoding"]
        if let text = request.headers["content-length"] {
            contentLength = text.utf8.allSatisfy { $0 &- 48 < 10 } && text.utf8.count < 18 ? Int(text) : nil
            if contentLength == nil || encoding != nil { refuse(.text("The request's Content-Length is not valid.\n", status: 400)) }
        }
        if let encoding, !isHTTP2 {
            isChunked = equalsIgnoringCase(encoding, "chunked")
            mustClose = true
            if !isChunked { refuse(.text("Only the chunked transfer coding is understood.\n", status: 501)) }
        }
        if request.method == "CONNECT" || request.method == "TRACE" {
            refuse(.text("This method is not served.\n", status: 501))
        }
        let carriesBody = ["POST", "PUT", "PATCH"].contains(request.method)
        if isHTTP2 {
            hasNoBody = contentLength == 0 || (contentLength == nil && !carriesBody)
            // libwebsockets does not tell where such a body ends.
            if contentLength == nil, carriesBody {
                refuse(.text("An HTTP/2 request with a body needs a Content-Length here.\n", status: 411))
            }
        } else {
            hasNoBody = !isChunked && (contentLength ?? 0) == 0
            // libwebsockets would take the next request for the body of this one.
            if hasNoBody, contentLength == nil, carriesBody { mustClose = true }
        }
        if let contentLength, contentLength > bodyLimitBytes { refuse(Self.tooLarge(bodyLimitBytes)) }
        expectsContinue =
            !isHTTP2 && !hasNoBody && refusal == nil && request.headers["expect"].map { equalsIgnoringCase($0, "100-continue") } == true
    }

    private mutating func refuse(_ response: HTTPResponse) {
        if refusal == nil { refusal = response }
        mustClose = true
    }

    static func tooLarge(_ limit: Int) -> HTTPResponse {
        .text("The request body is larger than the \(limit) bytes allowed here.\n", status: 413)
    }
}
