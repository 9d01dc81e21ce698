// Requests, responses and what a handler is.

package struct HTTPRequest: Sendable {
    package var method: String
    /// Raw, as sent: path, and the query after `?`.
    package var target: String
    package var headers: HTTPHeaders
    /// `Host` or `:authority`, in lower case, with the port where one was sent.
    package var authority: String
    package var isSecure: Bool
    /// The numeric address of the other side, without port.
    package var remoteAddress: String
    package var clientCertificate: ClientCertificate?
    /// Why the certificate that the client showed counts for nothing; only from the wire server.
    package var certificateProblem: String?
    package var version: HTTPVersion

    package init(
        method: String, target: String, headers: HTTPHeaders = HTTPHeaders(), authority: String = "", isSecure: Bool = false,
        remoteAddress: String = "", clientCertificate: ClientCertificate? = nil, version: HTTPVersion = .http11
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.authority = authority
        self.isSecure = isSecure
        self.remoteAddress = remoteAddress
        self.clientCertificate = clientCertificate
        self.version = version
    }

    /// Raw (percent-encoded) path, before `?`.
    package var path: String { target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? "" }

    /// Raw query, after `?`; empty when there is none.
    package var rawQuery: String {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? String(parts[1]) : ""
    }

    /// Decoded pairs of the query, in order; `+` means a space.
    package var query: [(String, String)] {
        rawQuery.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (percentDecoded(parts[0], plusIsSpace: true), parts.count == 2 ? percentDecoded(parts[1], plusIsSpace: true) : "")
        }
    }

    package func queryValue(_ name: String) -> String? { query.first { $0.0 == name }?.1 }
}

package enum HTTPVersion: String, Sendable {
    case http10 = "HTTP/1.0"
    case http11 = "HTTP/1.1"
    case http2 = "HTTP/2"
}

/// Who the other side's TLS certificate, already verified against the client CA, says it is.
package struct ClientCertificate: Sendable, Equatable {
    package var commonName: String
    package var organizations: [String]
    package var der: [UInt8]

    package init(commonName: String, organizations: [String] = [], der: [UInt8] = []) {
        self.commonName = commonName
        self.organizations = organizations
        self.der = der
    }
}

package enum HTTPBody: Sendable {
    case none
    case bytes([UInt8])
    /// A regular file, sent in pieces; an unreadable file becomes 404.
    case file(path: String)
    case stream(HTTPBodyStream)
}

package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: HTTPBody

    package init(status: Int = 200, headers: HTTPHeaders = HTTPHeaders(), body: HTTPBody = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    package static func text(_ text: String, status: Int = 200, type: String = "text/plain; charset=utf-8") -> HTTPResponse {
        HTTPResponse(status: status, headers: ["content-type": type], body: .bytes(Array(text.utf8)))
    }
}

/// A body made while it is sent. The closure runs in a task that is cancelled when the client goes away.
package struct HTTPBodyStream: Sendable {
    /// Bytes in all, where known; else HTTP/1.1 sends chunks.
    package var contentLength: Int?
    package var write: @Sendable (HTTPBodyWriter) async throws -> Void

    package init(contentLength: Int? = nil, write: @escaping @Sendable (HTTPBodyWriter) async throws -> Void) {
        self.contentLength = contentLength
        self.write = write
    }
}

/// Answers requests. `respond` runs off the loop and may take its time; `webSocket` runs on the loop and must not.
package protocol HTTPHandler: Sendable {
    func respond(to request: HTTPRequest, body: RequestBody) async -> HTTPResponse
    @WebLoop func webSocket(for request: HTTPRequest) -> WebSocketDecision
}

extension HTTPHandler {
    @WebLoop package func webSocket(for request: HTTPRequest) -> WebSocketDecision {
        .reject(.text("There is no WebSocket at this address.\n", status: 404))
    }
}

package enum WebSocketDecision {
    /// `subprotocol` must be one the client offered; nil only where it offered none.
    case accept(subprotocol: String?, any WebSocketHandler)
    case reject(HTTPResponse)
}

/// Undoes percent-encoding; broken escapes stay as they are and invalid UTF-8 is replaced.
package func percentDecoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
    var result: [UInt8] = []
    let bytes = Array(text.utf8)
    var index = 0
    while index < bytes.count {
        if bytes[index] == 37, index + 2 < bytes.count, let high = hexDigit(bytes[index + 1]), let low = hexDigit(bytes[index + 2]) {
            result.append(high << 4 | low)
            index += 3
        } else {
            result.append(plusIsSpace && bytes[index] == 43 ? 32 : bytes[index])
            index += 1
        }
    }
    return String(decoding: result, as: UTF8.self)
}

func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
}
