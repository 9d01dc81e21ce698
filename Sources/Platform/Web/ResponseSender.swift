// Sends one response: the head, then the body piece by piece, one libwebsockets write per writable callback.
internal import CLibwebsockets
internal import Glibc

extension HTTPResponse {
    /// 1xx, 204 and 304 never have a body.
    var mayHaveBody: Bool { status >= 200 && status != 204 && status != 304 }
}

@WebLoop
final class ResponseSender {
    enum Step {
        /// More is there to be written.
        case more
        /// Nothing to write until the stream's writer says so.
        case waiting
        case done(close: Bool)
        case failed
    }

    private enum Source {
        case none
        case bytes([UInt8], offset: Int)
        case file(OpenFile)
        case stream
    }

    /// HTTP/2 payload of one write; peers accept frames of 16 KiB at least.
    private static let frameBytes = 16_000
    private static let pieceBytes = 128 << 10

    private unowned let exchange: Exchange
    private let wsi: OpaquePointer
    private var response: HTTPResponse
    private let writer: HTTPBodyWriter
    private var source: Source
    private var contentLength: Int?
    private var headSent = false
    private var isChunked = false
    private var sent = 0
    private let isHTTP2: Bool
    /// The last writable callback had something to write, so the next is due when the peer has read.
    private(set) var isBlocked = true

    init(exchange: Exchange, response: HTTPResponse, writer: HTTPBodyWriter) {
        self.exchange = exchange
        self.response = response
        self.writer = writer
        wsi = exchange.wsi
        isHTTP2 = exchange.request.version == .http2
        source = .none
        choose()
    }

    // Finds the source of the body and its length.
    private func choose() {
        switch response.body {
        case .none: contentLength = 0
        case .bytes(let bytes):
            contentLength = bytes.count
            source = .bytes(bytes, offset: 0)
        case .file(let path):
            if let file = OpenFile(path) {
                contentLength = file.size
                source = .file(file)
            } else {
                response = .text("There is no such file.\n", status: 404)
                return choose()
            }
        case .stream(let stream):
            contentLength = stream.contentLength
            source = .stream
        }
        if exchange.request.method == "HEAD" || !response.mayHaveBody { source = .none }
        if case .bytes(let bytes, _) = source, bytes.isEmpty { source = .none }
    }

    func close() { source = .none }

    func write(closing: Bool) -> Step {
        exchange.ticket.heard()
        if !headSent { return sendHead(closing: closing) }
        let scratch = LoopEngine.shared.scratch
        var room = Self.pieceBytes
        if isHTTP2 {
            room = min(Self.frameBytes, Int(lws_get_peer_write_allowance(wsi)))
            if room <= 0 {
                isBlocked = true
                return .more
            }
        }
        // Chunk framing goes around the piece: up to 10 bytes in front, 7 behind.
        let lead = isChunked ? 10 : 0
        let target = UnsafeMutableRawBufferPointer(start: scratch + lead, count: room)
        var (count, ended) = fill(target)
        if count == 0, !ended {
            isBlocked = false
            return .waiting
        }
        guard count >= 0 else { return .failed }
        if let contentLength, !isChunked {
            sent += count
            // A stream that tells one length and writes another can only be cut.
            if sent > contentLength || (ended && sent < contentLength) { return .failed }
            if sent == contentLength { ended = true }
        }
        var start = scratch + lead
        if isChunked {
            if count > 0 {
                let size = Array(String(count, radix: 16).utf8) + [13, 10]
                start -= size.count
                for (index, byte) in size.enumerated() { start[index] = byte }
                scratch[lead + count] = 13
                scratch[lead + count + 1] = 10
                count += size.count + 2
            }
            if ended {
                for (index, byte) in [48, 13, 10, 13, 10].enumerated() { start[count + index] = UInt8(byte) }
                count += 5
            }
        }
        guard lws_write(wsi, start, count, ended ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) >= 0 else { return .failed }
        isBlocked = true
        return ended ? .done(close: closeAfter) : .more
    }

    private var closeAfter = false

    private func fill(_ target: UnsafeMutableRawBufferPointer) -> (Int, ended: Bool) {
        switch source {
        case .none: return (0, true)
        case .bytes(let bytes, let offset):
            let count = min(target.count, bytes.count - offset)
            bytes.withUnsafeBytes { target.baseAddress!.copyMemory(from: $0.baseAddress! + offset, byteCount: count) }
            source = .bytes(bytes, offset: offset + count)
            return (count, offset + count == bytes.count)
        case .file(let file):
            let count = file.read(into: target)
            return (count, count == 0 || file.remaining == 0)
        case .stream:
            return writer.take(into: target)
        }
    }

    private func sendHead(closing: Bool) -> Step {
        headSent = true
        let bodyless: Bool
        if case .none = source { bodyless = true } else { bodyless = false }
        if contentLength == nil, !bodyless, !isHTTP2 {
            if exchange.request.version == .http11 { isChunked = true } else { closeAfter = true }
        }
        closeAfter =
            closeAfter || closing || exchange.request.version == .http10
            || response.headers["connection"].map { equalsIgnoringCase($0, "close") } == true
        let capacity = response.headers.fields.reduce(512) { $0 + $1.name.utf8.count + $1.value.utf8.count + 16 }
        // A short body of known length goes out with the head, in one packet.
        var tail: [UInt8] = []
        if !isHTTP2, case .bytes(let bytes, _) = source, bytes.count <= 32 << 10 { tail = bytes }
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: LoopEngine.headroom + capacity + tail.count)
        defer { buffer.deallocate() }
        let start = buffer + LoopEngine.headroom
        guard
            let length = ResponseHead(wsi: wsi, isHTTP2: isHTTP2).encode(
                response, contentLength: contentLength, isChunked: isChunked, close: closeAfter, into: start, capacity)
        else { return .failed }
        isBlocked = true
        if !tail.isEmpty {
            tail.withUnsafeBufferPointer { (start + length).update(from: $0.baseAddress!, count: $0.count) }
            guard lws_write(wsi, start, length + tail.count, LWS_WRITE_HTTP_HEADERS) >= 0 else { return .failed }
            return .done(close: closeAfter)
        }
        var mode = LWS_WRITE_HTTP_HEADERS.rawValue
        if isHTTP2, bodyless { mode |= LWS_WRITE_H2_STREAM_END.rawValue }
        guard lws_write(wsi, start, length, lws_write_protocol(rawValue: mode)) >= 0 else { return .failed }
        return bodyless ? .done(close: closeAfter) : .more
    }
}

/// Encodes a response head with libwebsockets, which knows HTTP/2's form of it.
@WebLoop
struct ResponseHead {
    let wsi: OpaquePointer
    let isHTTP2: Bool

    private func add(
        _ name: String, _ value: String, _ position: inout UnsafeMutablePointer<UInt8>?, _ end: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        let name = Array(((isHTTP2 ? name.lowercased() : name) + ":").utf8) + [0]
        let value = Array(value.utf8)
        return lws_add_http_header_by_name(wsi, name, value, Int32(value.count), &position, end) == 0
    }

    /// Returns the length, nil when it does not fit.
    func encode(
        _ response: HTTPResponse, contentLength: Int?, isChunked: Bool, close: Bool, into start: UnsafeMutablePointer<UInt8>,
        _ capacity: Int
    ) -> Int? {
        // In a release build the compiler takes the pointers as sent to another isolation; they never leave this call.
        nonisolated(unsafe) var position: UnsafeMutablePointer<UInt8>? = start
        nonisolated(unsafe) let end = start + capacity
        guard lws_add_http_header_status(wsi, UInt32(response.status), &position, end) == 0 else { return nil }
        for field in response.headers.fields where isAllowed(field) {
            guard add(field.name, field.value, &position, end) else { return nil }
        }
        if isChunked {
            guard add("transfer-encoding", "chunked", &position, end) else { return nil }
        } else if let contentLength, response.status >= 200, response.status != 204 {
            guard add("content-length", String(contentLength), &position, end) else { return nil }
        }
        if close, !isHTTP2, !add("connection", "close", &position, end) { return nil }
        guard lws_finalize_http_header(wsi, &position, end) == 0, let position else { return nil }
        return position - start
    }

    // Framing is ours to say; bytes that would end a field early are dropped with the field.
    private func isAllowed(_ field: HTTPField) -> Bool {
        for name in ["content-length", "transfer-encoding", "connection"] where field.isNamed(name) { return false }
        return !field.name.isEmpty && field.name.utf8.allSatisfy(isTokenByte)
            && field.value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }
}

/// A regular file being sent.
final class OpenFile {
    private let descriptor: Int32
    let size: Int
    private var offset = 0

    init?(_ path: String) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            if descriptor >= 0 { close(descriptor) }
            return nil
        }
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    var remaining: Int { size - offset }

    /// Bytes read, 0 at an early end, -1 on error.
    func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = pread(descriptor, target.baseAddress!, min(target.count, remaining), off_t(offset))
        if count > 0 { offset += count }
        return count
    }
}
