// Requests and WebSocket upgrades as libwebsockets announces them.
internal import CLibwebsockets
internal import Glibc

extension LoopEngine {
    func ticket(_ wsi: OpaquePointer) -> ConnectionTicket? {
        connections[wsi] ?? connections[lws_get_network_wsi(wsi)]
    }

    func beginExchange(_ wsi: OpaquePointer) -> Int32 {
        guard let ticket = ticket(wsi) else { return -1 }
        return Exchange.begin(wsi, ticket: ticket)
    }

    /// HTTP/1.1 asks to become something else. 0: go on, 1: answered here, -1: close.
    func confirmUpgrade(_ wsi: OpaquePointer, _ name: UnsafeMutableRawPointer?) -> Int32 {
        guard let ticket = ticket(wsi) else { return -1 }
        guard let name, equalsIgnoringCase(String(cString: name.assumingMemoryBound(to: CChar.self)), "websocket") else { return 0 }
        guard let request = RequestReader(wsi: wsi).read(ticket: ticket) else { return -1 }
        if let refusal = Self.faultOfUpgrade(request) { return answerNow(wsi, refusal) }
        switch ticket.server.handler.webSocket(for: request) {
        case .reject(let response): return answerNow(wsi, response)
        case .accept(let subprotocol, let handler):
            let offered = request.headers.all("sec-websocket-protocol").flatMap { $0.split(separator: ",") }
                .map { String(decoding: trimmed(ArraySlice($0.utf8)), as: UTF8.self) }
            guard subprotocol == nil ? offered.isEmpty : offered.contains(subprotocol!) else {
                return answerNow(wsi, .text("None of the offered WebSocket subprotocols is spoken here.\n", status: 400))
            }
            protocols.choose(subprotocol)
            sockets[wsi] = WebSocket(wsi, ticket: ticket, handler: handler)
            return 0
        }
    }

    private static func faultOfUpgrade(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.method == "GET", request.version == .http11 else {
            return .text("A WebSocket begins with GET and HTTP/1.1.\n", status: 400)
        }
        guard request.headers["sec-websocket-version"] == "13" else {
            var response = HTTPResponse.text("Only version 13 of the WebSocket protocol is spoken here.\n", status: 426)
            response.headers["sec-websocket-version"] = "13"
            return response
        }
        guard request.headers["sec-websocket-key"]?.utf8.count == 24 else {
            return .text("Sec-WebSocket-Key is missing or malformed.\n", status: 400)
        }
        return nil
    }

    /// The last look before the handshake is answered; only upgrades that were decided above pass.
    func filterUpgrade(_ wsi: OpaquePointer) -> Int32 { sockets[wsi] == nil ? -1 : 0 }

    private func answerNow(_ wsi: OpaquePointer, _ response: HTTPResponse) -> Int32 {
        // libwebsockets has not looked at the request's version yet, so the bytes are ours.
        let bytes = response.encodedHTTP1()
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.headroom + bytes.count)
        defer { buffer.deallocate() }
        bytes.withUnsafeBufferPointer { (buffer + Self.headroom).update(from: $0.baseAddress!, count: $0.count) }
        _ = lws_write(wsi, buffer + Self.headroom, bytes.count, LWS_WRITE_HTTP_HEADERS)
        return -1
    }
}
