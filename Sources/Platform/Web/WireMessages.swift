// The text of HTTP/1.1 messages for the wire server: heads of requests from bytes, heads of answers to bytes.
internal import Essentials
internal import Glibc

struct WireHead {
    var method: String
    var target: String
    var isHTTP10: Bool
    var headers: HTTPHeaders
    /// Bytes of the head, with the empty line.
    var length: Int

    enum Outcome {
        case incomplete
        case tooLarge
        case invalid(String)
        case complete(WireHead)
    }

    /// Looks for a head at the start of `input`; `scanned` is where to go on looking for its end.
    static func parse(_ input: [UInt8], from scanned: inout Int, limit: Int) -> Outcome {
        var from = scanned
        let outcome = input.withUnsafeBufferPointer { parse($0, &from, limit) }
        scanned = from
        return outcome
    }

    private static func parse(_ input: UnsafeBufferPointer<UInt8>, _ scanned: inout Int, _ limit: Int) -> Outcome {
        var start = 0
        while start < input.count, start < 4, input[start] == 13 || input[start] == 10 { start += 1 }
        var end = -1
        var index = max(start, scanned - 3)
        while index < input.count {
            guard input[index] == 10 else {
                index += 1
                continue
            }
            if index + 1 < input.count, input[index + 1] == 10 {
                end = index + 2
                break
            }
            if index + 2 < input.count, input[index + 1] == 13, input[index + 2] == 10 {
                end = index + 3
                break
            }
            index += 1
        }
        guard end >= 0 else {
            scanned = input.count
            if input.count > limit { return .tooLarge }
            // What cannot become a request need not be waited for.
            if let first = input[start...].first, !isTokenByte(first) { return .invalid("this is not an HTTP request") }
            return .incomplete
        }
        guard end <= limit else { return .tooLarge }
        var position = start
        guard let line = nextLine(input, &position, end), let head = startLine(input, line) else {
            return .invalid("malformed HTTP request")
        }
        var headers = HTTPHeaders()
        while let line = nextLine(input, &position, end), !line.isEmpty {
            guard let field = field(input, line) else { return .invalid("malformed MIME header line") }
            headers.append(field.0, field.1)
        }
        return .complete(WireHead(method: head.0, target: head.1, isHTTP10: head.isHTTP10, headers: headers, length: end))
    }

    private static func nextLine(_ input: UnsafeBufferPointer<UInt8>, _ position: inout Int, _ end: Int) -> Range<Int>? {
        guard position < end else { return nil }
        let start = position
        var stop = start
        while stop < end, input[stop] != 10 { stop += 1 }
        position = stop + 1
        if stop > start, input[stop - 1] == 13 { stop -= 1 }
        return start..<stop
    }

    private static func text(_ input: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> String {
        String(decoding: UnsafeBufferPointer(rebasing: input[range]), as: UTF8.self)
    }

    private static func startLine(
        _ input: UnsafeBufferPointer<UInt8>, _ line: Range<Int>
    ) -> (String, String, isHTTP10: Bool)? {
        guard let first = input[line].firstIndex(of: 32), first > line.lowerBound, first - line.lowerBound <= 32,
            input[line.lowerBound..<first].allSatisfy(isTokenByte), let last = input[(first + 1)..<line.upperBound].lastIndex(of: 32),
            last > first + 1, input[(first + 1)..<last].allSatisfy({ $0 > 32 && $0 != 127 })
        else { return nil }
        let isHTTP10: Bool
        switch text(input, (last + 1)..<line.upperBound) {
        case "HTTP/1.1": isHTTP10 = false
        case "HTTP/1.0": isHTTP10 = true
        default: return nil
        }
        var target = text(input, (first + 1)..<last)
        if target.hasPrefix("http://") || target.hasPrefix("https://") {
            target = String(target.drop { $0 != ":" }.dropFirst(3).drop { $0 != "/" })
        }
        guard target.hasPrefix("/") || target == "*" else { return nil }
        return (text(input, line.lowerBound..<first), target, isHTTP10)
    }

    private static func field(_ input: UnsafeBufferPointer<UInt8>, _ line: Range<Int>) -> (String, String)? {
        guard let colon = input[line].firstIndex(of: 58), colon > line.lowerBound, input[line.lowerBound..<colon].allSatisfy(isTokenByte)
        else { return nil }
        var start = colon + 1
        var end = line.upperBound
        while start < end, input[start] == 32 || input[start] == 9 { start += 1 }
        while end > start, input[end - 1] == 32 || input[end - 1] == 9 { end -= 1 }
        guard input[start..<end].allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else { return nil }
        return (text(input, line.lowerBound..<colon), text(input, start..<end))
    }
}

/// What a head says about the body and the connection.
struct WireShape {
    var length = 0
    var isChunked = false
    var closesAfter = false
    var expectsContinue = false
    var fault: String?

    init(_ head: WireHead) {
        var hosts = 0
        var lengthText: String?
        var coding: String?
        closesAfter = head.isHTTP10
        for field in head.headers.fields {
            switch field.name.utf8.count {
            case 4 where field.isNamed("host"): hosts += 1
            case 6 where field.isNamed("expect"): expectsContinue = equalsIgnoringCase(field.value, "100-continue")
            case 10 where field.isNamed("connection"):
                for part in field.value.split(separator: ",") {
                    let word = String(part.drop { $0 == " " })
                    if equalsIgnoringCase(word, "close") { closesAfter = true }
                    if head.isHTTP10, equalsIgnoringCase(word, "keep-alive") { closesAfter = false }
                }
            case 14 where field.isNamed("content-length"):
                if let known = lengthText, known != field.value { fault = "400 Bad Request: two lengths" }
                lengthText = field.value
            case 17 where field.isNamed("transfer-encoding"):
                if coding != nil { fault = "400 Bad Request: two transfer codings" }
                coding = field.value
            default: break
            }
        }
        if hosts > 1 || (hosts == 0 && !head.isHTTP10) { fault = "400 Bad Request: missing required Host header" }
        if let coding {
            isChunked = equalsIgnoringCase(coding, "chunked")
            if !isChunked { fault = "400 Bad Request: unsupported transfer encoding" }
            if lengthText != nil { fault = "400 Bad Request: a length and a transfer coding" }
        }
        if let lengthText {
            guard !lengthText.isEmpty, lengthText.utf8.count < 18, lengthText.utf8.allSatisfy({ $0 &- 48 < 10 }),
                let value = Int(lengthText)
            else {
                fault = "400 Bad Request: bad Content-Length"
                return
            }
            length = value
        }
    }
}

enum WireAnswer {
    static func head(_ response: HTTPResponse, length: Int?, isChunked: Bool, close: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256 + (length ?? 0 <= 64 << 10 ? length ?? 0 : 0))
        bytes.append(contentsOf: "HTTP/1.1 \(response.status) \(phrase(response.status))\r\n".utf8)
        for field in response.headers.fields where isAllowed(field, isUpgrade: response.status == 101) {
            bytes.append(contentsOf: field.name.utf8)
            bytes.append(58)
            bytes.append(32)
            bytes.append(contentsOf: field.value.utf8)
            bytes.append(13)
            bytes.append(10)
        }
        if isChunked {
            bytes.append(contentsOf: "transfer-encoding: chunked\r\n".utf8)
        } else if let length, response.status >= 200, response.status != 204 {
            bytes.append(contentsOf: "content-length: \(length)\r\n".utf8)
        }
        if close { bytes.append(contentsOf: "connection: close\r\n".utf8) }
        bytes.append(13)
        bytes.append(10)
        return bytes
    }

    // Framing is ours to say; bytes that would end a field early are dropped with the field.
    private static func isAllowed(_ field: HTTPField, isUpgrade: Bool) -> Bool {
        switch field.name.utf8.count {
        case 10 where field.isNamed("connection"): if !isUpgrade { return false }
        case 14 where field.isNamed("content-length"): return false
        case 17 where field.isNamed("transfer-encoding"): return false
        default: break
        }
        return !field.name.isEmpty && field.name.utf8.allSatisfy(isTokenByte)
            && field.value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 101: "Switching Protocols"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 301: "Moved Permanently"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "Request Entity Too Large"
        case 415: "Unsupported Media Type"
        case 422: "Unprocessable Entity"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Status"
        }
    }
}
