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

    /// A server's side of the wire server: certificates of clients are asked for and judged later, so that a bad one gets an
    /// answer in HTTP. No sessions are kept: clients keep their connections.
    init(server files: TLSFiles) throws(WebProblem) {
        pointer = SSL_CTX_new(TLS_server_method())
        _ = SSL_CTX_ctrl(pointer, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        _ = SSL_CTX_set_options(pointer, UInt64(1) << 14)
        SSL_CTX_set_num_tickets(pointer, 0)
        try Self.load(pointer, CertificateFiles(certificate: files.certificate, key: files.key))
        SSL_CTX_set_alpn_select_cb(pointer, chooseHTTP1, nil)
        guard let authority = files.clientCA else { return }
        try Self.acceptClients(pointer, authority)
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, judgeLater)
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

    /// A client's side from PEM texts; speaks HTTP/1.1. Sessions are not kept: connections live long here.
    init(client material: TLSMaterial) throws(WebProblem) {
        pointer = SSL_CTX_new(TLS_client_method())
        _ = SSL_CTX_ctrl(pointer, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        if material.insecure {
            SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        } else {
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
            if let authorities = material.authorities {
                let found = Self.certificates(authorities)
                defer { for certificate in found { X509_free(certificate) } }
                guard !found.isEmpty else { throw .badCertificate(file: "of the authority", cause: "no certificate in the text") }
                for certificate in found { X509_STORE_add_cert(SSL_CTX_get_cert_store(pointer), certificate) }
            } else {
                SSL_CTX_set_default_verify_paths(pointer)
            }
        }
        if let certificate = material.certificate {
            try Self.show(pointer, chain: certificate, key: material.key ?? certificate)
        }
        _ = SSL_CTX_set_alpn_protos(pointer, [8] + Array("http/1.1".utf8), 9)
        ERR_clear_error()
    }

    deinit { SSL_CTX_free(pointer) }

    private static func certificates(_ text: String) -> [OpaquePointer] {
        guard let memory = BIO_new(BIO_s_mem()) else { return [] }
        defer { BIO_free_all(memory) }
        BIO_puts(memory, text)
        var found: [OpaquePointer] = []
        while let certificate = PEM_read_bio_X509(memory, nil, nil, nil) { found.append(certificate) }
        ERR_clear_error()
        return found
    }

    private static func show(_ context: OpaquePointer, chain: String, key: String) throws(WebProblem) {
        let found = certificates(chain)
        defer { for certificate in found { X509_free(certificate) } }
        guard let leaf = found.first, SSL_CTX_use_certificate(context, leaf) == 1 else {
            throw .badCertificate(file: "of the client", cause: found.isEmpty ? "no certificate in the text" : lastError())
        }
        for certificate in found.dropFirst() {
            _ = SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(certificate))
        }
        guard let memory = BIO_new(BIO_s_mem()) else { throw .badCertificate(file: "of the client", cause: "out of memory") }
        defer { BIO_free_all(memory) }
        BIO_puts(memory, key)
        guard let secret = PEM_read_bio_PrivateKey(memory, nil, nil, nil) else {
            throw .badCertificate(file: "of the client", cause: "no private key in the text: \(lastError())")
        }
        defer { EVP_PKEY_free(secret) }
        guard SSL_CTX_use_PrivateKey(context, secret) == 1, SSL_CTX_check_private_key(context) == 1 else {
            throw .badCertificate(file: "of the client", cause: lastError())
        }
    }

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

/// Goes on whatever the client's certificate is; `SSL_get_verify_result` keeps what is wrong with it.
private func judgeLater(_: Int32, _: OpaquePointer?) -> Int32 { 1 }

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
