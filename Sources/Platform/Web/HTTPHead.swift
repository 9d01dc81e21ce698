// Parses the head of an HTTP/1.1 message from bytes (RFC 9112), strictly enough that no two readers see two messages.
//
// Used where libwebsockets does not parse: the front door's first head, the waiting side of splices, and the client.

/// The start line and fields of a message.
struct HTTPHead: Sendable, Equatable {
    /// `GET /path HTTP/1.1` or `HTTP/1.1 200 OK`, in three parts.
    var start: (String, String, String)
    var headers: HTTPHeaders
    /// Bytes of the head, with the empty line.
    var length: Int

    static func == (left: HTTPHead, right: HTTPHead) -> Bool {
        left.start == right.start && left.headers == right.headers && left.length == right.length
    }
}

enum HTTPHeadParse: Equatable {
    /// The empty line has not come yet.
    case incomplete
    case invalid(String)
    case complete(HTTPHead)
}

extension HTTPHead {
    static func parse(_ bytes: some RandomAccessCollection<UInt8>, isResponse: Bool = false) -> HTTPHeadParse {
        // One leading empty line is allowed before a request.
        var index = bytes.startIndex
        if bytes.first == 13 || bytes.first == 10 { index = bytes[index...].firstIndex { $0 != 13 && $0 != 10 } ?? bytes.endIndex }
        var lines: [[UInt8]] = []
        while true {
            guard let end = bytes[index...].firstIndex(of: 10) else { return incomplete(bytes, lines, isResponse) }
            var line = Array(bytes[index..<end])
            if line.last == 13 { line.removeLast() }
            index = bytes.index(after: end)
            if line.isEmpty { break }
            lines.append(line)
        }
        guard let first = lines.first else { return .incomplete }
        let start: (String, String, String)
        switch startLine(first, isResponse: isResponse) {
        case .success(let parts): start = parts
        case .failure(let fault): return .invalid(fault.text)
        }
        var headers = HTTPHeaders()
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: 58), colon > 0, line[..<colon].allSatisfy(isTokenByte) else {
                return .invalid("a field line has no valid name")
            }
            let value = trimmed(line[(colon + 1)...])
            guard value.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else { return .invalid("a field value has a control byte") }
            headers.append(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
        }
        return .complete(HTTPHead(start: start, headers: headers, length: bytes.distance(from: bytes.startIndex, to: index)))
    }

    // What cannot become a request line need not be waited for.
    private static func incomplete(_ bytes: some RandomAccessCollection<UInt8>, _ lines: [[UInt8]], _ isResponse: Bool) -> HTTPHeadParse {
        if lines.isEmpty, !isResponse, let space = bytes.firstIndex(of: 32) ?? (bytes.count > 32 ? bytes.endIndex : nil) {
            let method = bytes[..<space].drop { $0 == 13 || $0 == 10 }
            if method.isEmpty || method.count > 32 || !method.allSatisfy(isTokenByte) { return .invalid("this is not an HTTP request") }
        }
        return .incomplete
    }

    private struct Fault: Error { var text: String }

    private static func startLine(_ line: [UInt8], isResponse: Bool) -> Result<(String, String, String), Fault> {
        let parts = line.split(separator: 32, maxSplits: 2, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        if isResponse {
            guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), parts[1].count == 3, UInt16(parts[1]) != nil else {
                return .failure(Fault(text: "the status line is malformed"))
            }
            return .success((parts[0], parts[1], parts.count == 3 ? parts[2] : ""))
        }
        guard parts.count == 3, !parts[0].isEmpty, parts[0].utf8.allSatisfy(isTokenByte), !parts[1].isEmpty,
            parts[1].utf8.allSatisfy({ $0 > 32 && $0 != 127 }), parts[2] == "HTTP/1.1" || parts[2] == "HTTP/1.0"
        else { return .failure(Fault(text: "the request line is malformed")) }
        return .success((parts[0], parts[1], parts[2]))
    }
}

/// A byte of an RFC 9110 token.
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, 33, 35, 36, 37, 38, 39, 42, 43, 45, 46, 94, 95, 96, 124, 126: true
    default: false
    }
}

func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var slice = bytes
    while let first = slice.first, first == 32 || first == 9 { slice.removeFirst() }
    while let last = slice.last, last == 32 || last == 9 { slice.removeLast() }
    return slice
}

/// Takes chunked framing off a body (RFC 9112 section 7.1).
struct ChunkDecoder: Sendable {
    private enum State { case size, extensions, data, dataEnd, trailer, done }
    private var state = State.size
    private var remaining = 0
    private var digits = 0
    private var lineLength = 0
    /// Trailer and extension bytes accepted in all.
    private static let sideLimitBytes = 8 << 10
    private var sideBytes = 0

    var isDone: Bool { state == .done }

    /// Decodes `bytes` into `output`; returns how many were used, nil when the framing is broken. Stops at the end of the body.
    mutating func decode(_ bytes: some RandomAccessCollection<UInt8>, into output: inout [UInt8]) -> Int? {
        var index = bytes.startIndex
        while index < bytes.endIndex, state != .done {
            let byte = bytes[index]
            switch state {
            case .size:
                if let digit = hexDigit(byte) {
                    digits += 1
                    guard digits <= 15 else { return nil }
                    remaining = remaining << 4 | Int(digit)
                } else {
                    guard digits > 0, byte == 13 || byte == 10 || byte == 59 || byte == 32 else { return nil }
                    state = .extensions
                    continue
                }
            case .extensions:
                sideBytes += 1
                guard sideBytes <= Self.sideLimitBytes else { return nil }
                if byte == 10 {
                    state = remaining == 0 ? .trailer : .data
                    digits = 0
                    lineLength = 0
                    sideBytes -= 2
                }
            case .data:
                let count = min(remaining, bytes.distance(from: index, to: bytes.endIndex))
                let end = bytes.index(index, offsetBy: count)
                output.append(contentsOf: bytes[index..<end])
                remaining -= count
                if remaining == 0 { state = .dataEnd }
                index = end
                continue
            case .dataEnd:
                if byte == 10 { state = .size } else if byte != 13 { return nil }
            case .trailer:
                sideBytes += 1
                guard sideBytes <= Self.sideLimitBytes else { return nil }
                if byte == 10 {
                    if lineLength == 0 { state = .done }
                    lineLength = 0
                } else if byte != 13 {
                    lineLength += 1
                }
            case .done: break
            }
            index = bytes.index(after: index)
        }
        return bytes.distance(from: bytes.startIndex, to: index)
    }
}
