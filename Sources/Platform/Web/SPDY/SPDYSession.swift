// SPDY/3.1 as Kubernetes' clients speak it for exec, attach and port-forward: many streams on one connection.
//
// Free of sockets: bytes in, events and bytes out. Flow control by windows is left out, as those clients leave it out; the
// connection's own back-pressure bounds what is under way.
internal import Compression

package enum SPDYEvent: Sendable, Equatable {
    /// The other side opened a stream; names of headers are in lower case.
    case opened(stream: UInt32, headers: [String: String], isFinished: Bool)
    case data(stream: UInt32, bytes: [UInt8], isFinished: Bool)
    case reset(stream: UInt32)
    /// No streams will be opened any more.
    case goAway
    /// The connection cannot go on.
    case failed(String)
}

/// The server's end of a connection. Not for use from two threads at once.
package final class SPDYSession {
    /// A larger frame is refused.
    package static let frameLimitBytes = 1 << 20
    static let headerLimitBytes = 64 << 10
    /// Streams open at once.
    package static let streamLimit = 1024

    private enum FrameType: Int { case open = 1, reply, reset, settings, ping = 6, goAway, headers, window }

    private var buffer: [UInt8] = []
    private var hasFailed = false
    private var open: Set<UInt32> = []
    private let inflater = ZlibInflater(dictionary: SPDYDictionary.bytes)
    private let deflater = ZlibDeflater(dictionary: SPDYDictionary.bytes)
    /// Bytes to send that nobody asked for: answers to pings.
    private var pending: [UInt8] = []

    package init() {}

    /// What the session itself has to say since the last call.
    package func takeOutput() -> [UInt8] {
        defer { pending = [] }
        return pending
    }

    package func receive(_ bytes: [UInt8]) -> [SPDYEvent] {
        guard !hasFailed else { return [] }
        buffer += bytes
        var events: [SPDYEvent] = []
        var start = 0
        while buffer.count - start >= 8 {
            let length = Int(buffer[start + 5]) << 16 | Int(buffer[start + 6]) << 8 | Int(buffer[start + 7])
            guard length <= Self.frameLimitBytes else {
                hasFailed = true
                events.append(.failed("a frame of \(length) bytes is too large"))
                break
            }
            guard buffer.count - start >= 8 + length else { break }
            let body = Array(buffer[(start + 8)..<(start + 8 + length)])
            let head = number(buffer, start)
            let flags = buffer[start + 4]
            start += 8 + length
            if head & 0x8000_0000 == 0 {
                guard open.contains(head) else { continue }
                let isFinished = flags & 1 != 0
                events.append(.data(stream: head, bytes: body, isFinished: isFinished))
                continue
            }
            if let event = control(type: Int(head & 0xFFFF), version: Int(head >> 16 & 0x7FFF), flags, body) { events.append(event) }
            if hasFailed { break }
        }
        buffer.removeFirst(min(start, buffer.count))
        return events
    }

    private func control(type: Int, version: Int, _ flags: UInt8, _ body: [UInt8]) -> SPDYEvent? {
        guard version == 3 else { return fail("version \(version) of SPDY is not spoken here") }
        switch FrameType(rawValue: type) {
        case .open:
            guard body.count >= 10 else { return fail("a frame is too short") }
            let stream = number(body, 0) & 0x7FFF_FFFF
            // The compression's history goes through all header blocks, so a refused one is read as well.
            guard let headers = headers(Array(body[10...])) else { return fail("a header block cannot be read") }
            guard !open.contains(stream), open.count < Self.streamLimit else {
                pending += Self.control(.reset, Self.bytes(stream) + Self.bytes(3))
                return nil
            }
            open.insert(stream)
            return .opened(stream: stream, headers: headers, isFinished: flags & 1 != 0)
        case .reset:
            guard body.count >= 8 else { return fail("a frame is too short") }
            let stream = number(body, 0) & 0x7FFF_FFFF
            return open.remove(stream) == nil ? nil : .reset(stream: stream)
        case .ping:
            guard body.count >= 4 else { return fail("a frame is too short") }
            pending += Self.control(.ping, Array(body[..<4]))
            return nil
        case .goAway: return .goAway
        case .headers:
            guard body.count >= 4, headers(Array(body[4...])) != nil else { return fail("a header block cannot be read") }
            return nil
        case .reply, .settings, .window, nil: return nil
        }
    }

    private func fail(_ why: String) -> SPDYEvent {
        hasFailed = true
        return .failed(why)
    }

    private func headers(_ block: [UInt8]) -> [String: String]? {
        guard let bytes = inflater.expand(block, limitBytes: Self.headerLimitBytes) else { return nil }
        var place = 0
        func next() -> Int? {
            guard place + 4 <= bytes.count else { return nil }
            defer { place += 4 }
            return Int(number(bytes, place))
        }
        func text() -> String? {
            guard let count = next(), place + count <= bytes.count else { return nil }
            defer { place += count }
            return String(decoding: bytes[place..<(place + count)], as: UTF8.self)
        }
        guard let count = next() else { return nil }
        var result: [String: String] = [:]
        for _ in 0..<min(count, 256) {
            guard let name = text(), let value = text() else { return nil }
            // Several values of one name are set apart by a zero; the first counts here.
            result[name.lowercased()] = value.split(separator: "\0", omittingEmptySubsequences: false).first.map(String.init) ?? value
        }
        return result
    }

    /// The frame that accepts a stream.
    package func reply(to stream: UInt32, headers: [(String, String)] = []) -> [UInt8] {
        var block = Self.bytes(UInt32(headers.count))
        for (name, value) in headers {
            block += Self.bytes(UInt32(name.utf8.count)) + Array(name.lowercased().utf8)
            block += Self.bytes(UInt32(value.utf8.count)) + Array(value.utf8)
        }
        return Self.control(.reply, Self.bytes(stream) + deflater.compress(block))
    }

    /// Frames that carry `bytes`; `isFinished` says that no more will come from this side.
    package func data(_ bytes: [UInt8], on stream: UInt32, isFinished: Bool = false) -> [UInt8] {
        var frames: [UInt8] = []
        var rest = bytes[...]
        repeat {
            let piece = rest.prefix(Self.pieceBytes)
            rest = rest.dropFirst(piece.count)
            frames += Self.bytes(stream & 0x7FFF_FFFF)
            frames.append(isFinished && rest.isEmpty ? 1 : 0)
            frames += Self.bytes(UInt32(piece.count)).dropFirst()
            frames += piece
        } while !rest.isEmpty
        return frames
    }

    /// Bytes in one frame of data.
    private static let pieceBytes = 64 << 10

    package func reset(_ stream: UInt32) -> [UInt8] {
        open.remove(stream)
        return Self.control(.reset, Self.bytes(stream) + Self.bytes(5))
    }

    /// Forgets a stream that both sides have finished.
    package func forget(_ stream: UInt32) { open.remove(stream) }

    private static func control(_ type: FrameType, _ body: [UInt8]) -> [UInt8] {
        bytes(0x8003_0000 | UInt32(type.rawValue)) + [0] + bytes(UInt32(body.count)).dropFirst() + body
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    private func number(_ bytes: [UInt8], _ place: Int) -> UInt32 {
        UInt32(bytes[place]) << 24 | UInt32(bytes[place + 1]) << 16 | UInt32(bytes[place + 2]) << 8 | UInt32(bytes[place + 3])
    }
}
