// WebSocket frames (RFC 6455) on connections of the wire server: bytes in, messages out. Free of sockets.
internal import COpenSSL

package struct WebSocketCodec: Sendable {
    package enum Event: Sendable, Equatable {
        case text([UInt8])
        case binary([UInt8])
        case ping([UInt8])
        case close(UInt16?)
        case failed(String)
    }

    /// A longer message is refused.
    package static let messageLimitBytes = 8 << 20

    private enum Operation: UInt8 { case continuation = 0, text, binary, close = 8, ping, pong }

    private var buffer: [UInt8] = []
    private var message: [UInt8] = []
    private var messageIsText: Bool?
    private var hasEnded = false

    package init() {}

    package mutating func receive(_ bytes: [UInt8]) -> [Event] {
        guard !hasEnded else { return [] }
        buffer += bytes
        var events: [Event] = []
        var place = 0
        while let frame = frame(at: &place) {
            switch frame {
            case .failure(let why): events.append(fail(why.text))
            case .success(let (isFinal, operation, payload)): if let event = take(isFinal, operation, payload) { events.append(event) }
            }
            if hasEnded { break }
        }
        buffer.removeFirst(min(place, buffer.count))
        return events
    }

    private struct Fault: Error { let text: String }

    private func frame(at place: inout Int) -> Result<(Bool, Operation, [UInt8]), Fault>? {
        let start = place
        guard buffer.count - start >= 2 else { return nil }
        guard buffer[start] & 0x70 == 0, let operation = Operation(rawValue: buffer[start] & 0x0F) else {
            return .failure(Fault(text: "an unknown frame"))
        }
        guard buffer[start + 1] & 0x80 != 0 else { return .failure(Fault(text: "a client's frame is not masked")) }
        var length = Int(buffer[start + 1] & 0x7F)
        var head = start + 2
        let extra = length == 126 ? 2 : length == 127 ? 8 : 0
        guard buffer.count - head >= extra + 4 else { return nil }
        if extra > 0 {
            let value = buffer[head..<(head + extra)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard value <= UInt64(Self.messageLimitBytes) else { return .failure(Fault(text: "a message is too large")) }
            length = Int(value)
            head += extra
        }
        guard buffer.count - head >= 4 + length else { return nil }
        let mask = Array(buffer[head..<(head + 4)])
        head += 4
        var payload = Array(buffer[head..<(head + length)])
        for index in payload.indices { payload[index] ^= mask[index & 3] }
        place = head + length
        return .success((buffer[start] & 0x80 != 0, operation, payload))
    }

    private mutating func take(_ isFinal: Bool, _ operation: Operation, _ payload: [UInt8]) -> Event? {
        switch operation {
        case .ping: return .ping(payload)
        case .pong: return nil
        case .close:
            hasEnded = true
            return .close(payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil)
        case .text, .binary:
            guard messageIsText == nil else { return fail("a message begins within another") }
            if isFinal { return operation == .text ? .text(payload) : .binary(payload) }
            messageIsText = operation == .text
            message = payload
        case .continuation:
            guard let isText = messageIsText else { return fail("a continuation of nothing") }
            guard message.count + payload.count <= Self.messageLimitBytes else { return fail("a message is too large") }
            message += payload
            guard isFinal else { return nil }
            defer {
                message = []
                messageIsText = nil
            }
            return isText ? .text(message) : .binary(message)
        }
        return nil
    }

    private mutating func fail(_ why: String) -> Event {
        hasEnded = true
        return .failed(why)
    }

    package static func binary(_ bytes: [UInt8]) -> [UInt8] { frame(.binary, bytes) }
    package static func text(_ bytes: [UInt8]) -> [UInt8] { frame(.text, bytes) }
    package static func pong(_ bytes: [UInt8]) -> [UInt8] { frame(.pong, bytes) }
    package static func close(_ code: UInt16) -> [UInt8] { frame(.close, [UInt8(code >> 8), UInt8(code & 255)]) }

    private static func frame(_ operation: Operation, _ bytes: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = [0x80 | operation.rawValue]
        switch bytes.count {
        case ..<126: frame.append(UInt8(bytes.count))
        case ..<65536: frame += [126, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)]
        default: frame += [127] + (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (56 - 8 * $0)) }
        }
        return frame + bytes
    }

    /// What `Sec-WebSocket-Accept` must say to a client's key.
    package static func accept(_ key: String) -> String {
        let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        EVP_Digest(text, text.count, &digest, nil, EVP_sha1(), nil)
        var encoded = [UInt8](repeating: 0, count: 29)
        let count = EVP_EncodeBlock(&encoded, digest, 20)
        return String(decoding: encoded.prefix(Int(count)), as: UTF8.self)
    }
}
