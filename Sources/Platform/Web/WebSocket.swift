// A WebSocket of the server: its queue of messages to send, the message being received, and its keep-alive.
internal import CLibwebsockets
internal import Glibc

/// What happens on one WebSocket. Called on the loop.
@WebLoop
package protocol WebSocketHandler: AnyObject {
    func opened(_ socket: WebSocket)
    func received(_ socket: WebSocket, text: String)
    func received(_ socket: WebSocket, binary: [UInt8])
    /// The waiting bytes fell below the low-water mark after having been above it.
    func drained(_ socket: WebSocket)
    /// Called once, last; `code` is what the other side or the loop gave, if any.
    func closed(_ socket: WebSocket, code: UInt16?)
}

extension WebSocketHandler {
    package func opened(_ socket: WebSocket) {}
    package func received(_ socket: WebSocket, text: String) {}
    package func received(_ socket: WebSocket, binary: [UInt8]) {}
    package func drained(_ socket: WebSocket) {}
    package func closed(_ socket: WebSocket, code: UInt16?) {}
}

@WebLoop
package final class WebSocket {
    /// Payload of one frame; longer messages are sent in fragments, so that a ping need not wait for all of one.
    private static let fragmentBytes = 128 << 10
    /// Writes of one turn, so that one socket cannot hold up the others.
    private static let writesPerTurn = 4

    private struct Outgoing {
        var bytes: [UInt8]
        var isText: Bool
    }

    /// Bytes given to `send` that the system has not taken yet.
    package private(set) var bufferedBytes = 0
    package private(set) var isOpen = true

    private let wsi: OpaquePointer
    private let ticket: ConnectionTicket
    /// Let go of when the socket is closed, as handlers keep their sockets.
    private var handler: (any WebSocketHandler)?
    private var queue: [Outgoing] = []
    private var first = 0
    private var offset = 0
    private var incoming: [UInt8] = []
    private var wasAboveLowWater = false
    private var closing: (code: UInt16, reason: String)?
    private var closeCode: UInt16?
    private var lastHeard: Double
    private var pingDue = false
    /// When the ping went out that has not been answered yet.
    private var pingedAt: Double?
    private var readingPaused = false

    init(_ wsi: OpaquePointer, ticket: ConnectionTicket, handler: any WebSocketHandler) {
        self.wsi = wsi
        self.ticket = ticket
        self.handler = handler
        lastHeard = LoopEngine.shared.poller.coarseNow
        ticket.socketOpened(self)
    }

    package func send(text: String) { enqueue(Outgoing(bytes: Array(text.utf8), isText: true)) }
    package func send(binary: [UInt8]) { enqueue(Outgoing(bytes: binary, isText: false)) }

    private func enqueue(_ message: Outgoing) {
        guard isOpen, closing == nil else { return }
        queue.append(message)
        bufferedBytes += message.bytes.count
        if bufferedBytes > ticket.server.limits.socketBufferBytes {
            closeCode = 1008
            kill()
            return
        }
        if bufferedBytes > ticket.server.limits.lowWaterBytes { wasAboveLowWater = true }
        lws_callback_on_writable(wsi)
    }

    package func pauseReading() {
        guard isOpen, !readingPaused else { return }
        readingPaused = true
        lws_rx_flow_control(wsi, 0)
    }

    package func resumeReading() {
        guard isOpen, readingPaused else { return }
        readingPaused = false
        lws_rx_flow_control(wsi, 1)
    }

    /// Starts the closing handshake; what was sent before goes out first.
    package func close(code: UInt16 = 1000, reason: String = "") {
        guard isOpen, closing == nil else { return }
        closing = (code, reason)
        lws_callback_on_writable(wsi)
    }

    /// Ends the connection without ceremony.
    private func kill() {
        queue = []
        first = 0
        bufferedBytes = 0
        closing = closing ?? (1008, "")
        lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC)
    }
}

// What libwebsockets calls.
extension WebSocket {
    func established() { handler?.opened(self) }

    func heardFrom() {
        lastHeard = LoopEngine.shared.poller.coarseNow
        ticket.heard()
    }

    func received(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        heardFrom()
        guard isOpen, closing == nil else { return 0 }
        let limit = ticket.server.limits.messageBytes
        if incoming.count + bytes.count + Int(lws_remaining_packet_payload(wsi)) > limit {
            return refuse(1009, "A message may have \(limit) bytes.")
        }
        incoming.append(contentsOf: bytes)
        guard lws_is_final_fragment(wsi) != 0, lws_remaining_packet_payload(wsi) == 0 else { return 0 }
        let message = incoming
        incoming = []
        if lws_frame_is_binary(wsi) != 0 {
            handler?.received(self, binary: message)
        } else {
            guard let text = String(validating: message, as: UTF8.self) else { return refuse(1007, "Text must be UTF-8.") }
            handler?.received(self, text: text)
        }
        return 0
    }

    private func refuse(_ code: UInt16, _ reason: String) -> Int32 {
        closeCode = code
        closing = (code, reason)
        sayReason(code, reason)
        return -1
    }

    private func sayReason(_ code: UInt16, _ reason: String) {
        var bytes = Array(reason.utf8.prefix(120))
        lws_close_reason(wsi, lws_close_status(rawValue: UInt32(code)), &bytes, bytes.count)
    }

    func peerCloses(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count >= 2 { closeCode = UInt16(bytes[0]) << 8 | UInt16(bytes[1]) } else { closeCode = closeCode ?? 1005 }
    }

    func writable() -> Int32 {
        if pingDue {
            pingDue = false
            // libwebsockets does not report a pong without a payload.
            LoopEngine.shared.scratch[0] = 0x70
            if lws_write(wsi, LoopEngine.shared.scratch, 1, LWS_WRITE_PING) < 0 { return -1 }
            if first < queue.count || closing != nil { lws_callback_on_writable(wsi) }
            return 0
        }
        var writes = 0
        while first < queue.count {
            if writes == Self.writesPerTurn || (writes > 0 && lws_send_pipe_choked(wsi) != 0) {
                lws_callback_on_writable(wsi)
                break
            }
            guard writeFragment() else { return -1 }
            writes += 1
        }
        if first == queue.count, let closing {
            closeCode = closeCode ?? closing.code
            sayReason(closing.code, closing.reason)
            return -1
        }
        if wasAboveLowWater, bufferedBytes <= ticket.server.limits.lowWaterBytes {
            wasAboveLowWater = false
            handler?.drained(self)
        }
        return 0
    }

    private func writeFragment() -> Bool {
        let scratch = LoopEngine.shared.scratch
        let message = queue[first]
        let count = min(Self.fragmentBytes, message.bytes.count - offset)
        message.bytes.withUnsafeBufferPointer { if count > 0 { scratch.update(from: $0.baseAddress! + offset, count: count) } }
        let isLast = offset + count == message.bytes.count
        var mode = offset > 0 ? LWS_WRITE_CONTINUATION.rawValue : (message.isText ? LWS_WRITE_TEXT : LWS_WRITE_BINARY).rawValue
        if !isLast { mode |= LWS_WRITE_NO_FIN.rawValue }
        guard lws_write(wsi, scratch, count, lws_write_protocol(rawValue: mode)) >= 0 else { return false }
        bufferedBytes -= count
        ticket.heard()
        if isLast {
            queue[first] = Outgoing(bytes: [], isText: false)
            first += 1
            offset = 0
            if first == queue.count || first > 64 {
                queue.removeSubrange(..<first)
                first = 0
            }
        } else {
            offset += count
        }
        return true
    }

    func connectionClosed() {
        guard isOpen else { return }
        isOpen = false
        queue = []
        first = 0
        bufferedBytes = 0
        ticket.socketClosed()
        handler?.closed(self, code: closeCode)
        handler = nil
    }

    /// Keep-alive: asks a silent peer for a sign of life, and gives up on one that does not answer.
    func tick(now: Double) {
        let span = Double(ticket.server.limits.pingSeconds)
        if let asked = pingedAt {
            if lastHeard >= asked {
                pingedAt = nil
            } else if now - asked > Double(ticket.server.limits.pongSeconds), !readingPaused {
                kill()
            }
        } else if now - lastHeard > span {
            pingedAt = now
            pingDue = true
            lws_callback_on_writable(wsi)
        }
    }
}
