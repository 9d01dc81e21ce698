// OpenSSL contexts: what a TLS endpoint of ours shows and whom it trusts.
internal import COpenSSL
internal import Essentials
internal import Glibc

/// Owns an `SSL_CTX`.
final class TLSContext: @unchecked Sendable {
    // Guard: made anywhere, afterwards used on the loop only.
    let pointer: OpaquePointer

    /// Shows a certificate; speaks HTTP/1.1.
    init(serving files: CertificateFiles) throws(WebProblem) {
        pointer = SSL_CTX_new(TLS_server_method())
        try Self.load(pointer, files)
        SSL_CTX_set_alpn_select_cb(pointer, chooseHTTP1, nil)
    }

    /// Checks the other side's certificate against a CA file, the system's CAs, or not at all.
    init(trusting options: HTTPClientOptions) throws(WebProblem) {
        pointer = SSL_CTX_new(TLS_client_method())
        if options.insecure {
            SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        } else {
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
            if let file = options.trustedCA {
                guard SSL_CTX_load_verify_file(pointer, file) == 1 else { throw .badCertificate(file: file, cause: Self.lastError()) }
            } else {
                SSL_CTX_set_default_verify_paths(pointer)
            }
        }
        if let pair = options.certificate { try Self.load(pointer, pair) }
        _ = SSL_CTX_set_alpn_protos(pointer, [8] + Array("http/1.1".utf8), 9)
    }

    deinit { SSL_CTX_free(pointer) }

    static func load(_ context: OpaquePointer, _ files: CertificateFiles) throws(WebProblem) {
        ERR_clear_error()
        guard SSL_CTX_use_certificate_chain_file(context, files.certificate) == 1 else {
            throw .badCertificate(file: files.certificate, cause: lastError())
        }
        guard SSL_CTX_use_PrivateKey_file(context, files.key, SSL_FILETYPE_PEM) == 1, SSL_CTX_check_private_key(context) == 1 else {
            throw .badCertificate(file: files.key, cause: lastError())
        }
    }

    /// Asks clients for a certificate of `authority`; they may go without.
    static func acceptClients(_ context: OpaquePointer, _ authority: String) throws(WebProblem) {
        ERR_clear_error()
        guard let store = X509_STORE_new() else { throw .badCertificate(file: authority, cause: lastError()) }
        guard X509_STORE_load_file(store, authority) == 1, let names = SSL_load_client_CA_file(authority) else {
            X509_STORE_free(store)
            throw .badCertificate(file: authority, cause: lastError())
        }
        SSL_CTX_set_cert_store(context, store)
        SSL_CTX_set_client_CA_list(context, names)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        let name = Array("lectern".utf8)
        SSL_CTX_set_session_id_context(context, name, UInt32(name.count))
    }

    static func lastError() -> String {
        let code = ERR_get_error()
        if code == 0 { return "unknown" }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            ERR_error_string_n(code, buffer.baseAddress!, 256)
            return String(cString: buffer.baseAddress!)
        }
    }
}

/// Answers a client's ALPN offer with HTTP/1.1, whatever else it offers.
private func chooseHTTP1(
    _: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ length: UnsafeMutablePointer<UInt8>?,
    _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32, _: UnsafeMutableRawPointer?
) -> Int32 {
    let name = Array("http/1.1".utf8)
    guard let offered else { return SSL_TLSEXT_ERR_NOACK }
    var index = 0
    while index < Int(offeredLength) {
        let count = Int(offered[index])
        guard index + 1 + count <= Int(offeredLength) else { break }
        if count == name.count, name.indices.allSatisfy({ offered[index + 1 + $0] == name[$0] }) {
            chosen?.pointee = offered + index + 1
            length?.pointee = UInt8(count)
            return SSL_TLSEXT_ERR_OK
        }
        index += 1 + count
    }
    return SSL_TLSEXT_ERR_NOACK
}
