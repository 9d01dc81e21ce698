// Reads a request out of libwebsockets' header table.
//
// libwebsockets decodes and normalises the path (`%2e%2e`, `/../` and `//` are gone) and splits the query at `&`; the
// target is put together again percent-encoded, so `%2F` in a path cannot be told from `/`.
internal import CLibwebsockets
internal import COpenSSL
internal import Glibc

@WebLoop
struct RequestReader {
    private static let methods = ["GET", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "CONNECT", "HEAD"]

    /// Token number and field name of every well-known field.
    private static let fields: [(lws_token_indexes, String)] = (0..<UInt32(WSI_TOKEN_COUNT.rawValue)).compactMap { number in
        let token = lws_token_indexes(rawValue: number)
        guard let text = lws_token_to_string(token) else { return nil }
        let name = String(cString: text)
        guard name.hasSuffix(":"), name.first != ":", name.utf8.dropLast().allSatisfy(isTokenByte) else { return nil }
        return (token, String(name.dropLast()))
    }

    /// Unknown fields that are asked for by name on every server.
    static let usualCustomFields = [
        "x-lectern-csrf", "x-requested-with", "x-forwarded-proto", "x-request-id", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest",
        "impersonate-user", "impersonate-group", "x-stream-protocol-version", "kubectl-command", "kubectl-session",
    ]

    let wsi: OpaquePointer

    func read(ticket: ConnectionTicket) -> HTTPRequest? {
        var path: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        let method = lws_http_get_uri_and_method(wsi, &path, &length)
        guard method >= 0, let path else { return nil }
        let name: String
        let pseudoMethod = value(WSI_TOKEN_HTTP_COLON_METHOD)
        if let pseudoMethod {
            name = pseudoMethod
        } else {
            guard method < Self.methods.count else { return nil }
            name = Self.methods[Int(method)]
        }
        var headers = HTTPHeaders()
        for (token, field) in Self.fields {
            if let value = value(token) { headers.append(field, value) }
        }
        for field in ticket.server.customFields {
            if let value = customValue(field) { headers.append(field, value) }
        }
        let authority = value(WSI_TOKEN_HTTP_COLON_AUTHORITY) ?? value(WSI_TOKEN_HOST) ?? ""
        let rawPath = UnsafeRawBufferPointer(start: path, count: Int(length))
        return HTTPRequest(
            method: name, target: percentEncoded(rawPath, keeping: isPathByte) + query(), headers: headers,
            authority: authority.lowercased(), isSecure: ticket.isSecure, remoteAddress: ticket.address,
            clientCertificate: ticket.isSecure ? certificate(ticket) : nil,
            version: pseudoMethod != nil ? .http2 : (value(WSI_TOKEN_HTTP)?.hasSuffix("1.0") == true ? .http10 : .http11))
    }

    func value(_ token: lws_token_indexes) -> String? {
        let length = Int(lws_hdr_total_length(wsi, token))
        guard length > 0 else { return nil }
        // Fragments are joined with commas, so leave room for those.
        return text(capacity: length + 64) { lws_hdr_copy(wsi, $0, $1, token) }
    }

    private func customValue(_ field: String) -> String? {
        let name = field + ":"
        let length = Int(lws_hdr_custom_length(wsi, name, Int32(name.utf8.count)))
        guard length >= 0 else { return nil }
        return text(capacity: length + 2) { lws_hdr_custom_copy(wsi, $0, $1, name, Int32(name.utf8.count)) }
    }

    private func text(capacity: Int, _ fill: (UnsafeMutablePointer<CChar>, Int32) -> Int32) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
            let count = fill(buffer.baseAddress!, Int32(capacity))
            guard count >= 0 else { return nil }
            return String(decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<Int(count)]), as: UTF8.self)
        }
    }

    private func query() -> String {
        var items: [String] = []
        let total = Int(lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS))
        guard total > 0 else { return "" }
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: total + 2) { buffer in
            while true {
                let count = lws_hdr_copy_fragment(wsi, buffer.baseAddress!, Int32(total + 2), WSI_TOKEN_HTTP_URI_ARGS, Int32(items.count))
                guard count >= 0 else { break }
                let piece = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<Int(count)])
                items.append(percentEncoded(piece, keeping: isQueryByte))
            }
        }
        return items.isEmpty ? "" : "?" + items.joined(separator: "&")
    }

    private func certificate(_ ticket: ConnectionTicket) -> ClientCertificate? {
        if let known = ticket.certificate { return known }
        guard let ssl = lws_get_ssl(lws_get_network_wsi(wsi)) else { return nil }
        let certificate = peerCertificate(ssl)
        ticket.certificate = .some(certificate)
        return certificate
    }
}

/// The other side's verified certificate.
func peerCertificate(_ ssl: OpaquePointer) -> ClientCertificate? {
    guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
    defer { X509_free(certificate) }
    guard SSL_get_verify_result(ssl) == X509_V_OK, let subject = X509_get_subject_name(certificate) else { return nil }
    func entries(_ nid: Int32) -> [String] {
        var result: [String] = []
        var index = X509_NAME_get_index_by_NID(subject, nid, -1)
        while index >= 0 {
            var utf8: UnsafeMutablePointer<UInt8>?
            let count = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)))
            if count >= 0, let utf8 {
                result.append(String(decoding: UnsafeBufferPointer(start: utf8, count: Int(count)), as: UTF8.self))
                CRYPTO_free(utf8, #file, #line)
            }
            index = X509_NAME_get_index_by_NID(subject, nid, index)
        }
        return result
    }
    var encoded: UnsafeMutablePointer<UInt8>?
    let length = i2d_X509(certificate, &encoded)
    var der: [UInt8] = []
    if length > 0, let encoded {
        der = Array(UnsafeBufferPointer(start: encoded, count: Int(length)))
        CRYPTO_free(encoded, #file, #line)
    }
    return ClientCertificate(commonName: entries(NID_commonName).first ?? "", organizations: entries(NID_organizationName), der: der)
}

private func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, 45, 46, 95, 126: true
    default: false
    }
}

/// Bytes that stand for themselves in a path, `/` included (RFC 3986 pchar).
private func isPathByte(_ byte: UInt8) -> Bool {
    isUnreserved(byte) || [33, 36, 38, 39, 40, 41, 42, 43, 44, 47, 58, 59, 61, 64].contains(byte)
}

private func isQueryByte(_ byte: UInt8) -> Bool {
    isUnreserved(byte) || [33, 36, 39, 40, 41, 42, 44, 47, 58, 59, 61, 63, 64].contains(byte)
}

private func percentEncoded(_ bytes: UnsafeRawBufferPointer, keeping: (UInt8) -> Bool) -> String {
    if bytes.allSatisfy(keeping) { return String(decoding: bytes, as: UTF8.self) }
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    for byte in bytes {
        if keeping(byte) { result.append(byte) } else { result += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    }
    return String(decoding: result, as: UTF8.self)
}
