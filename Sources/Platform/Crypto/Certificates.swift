// A small certificate authority: EC P-256 keys, certificates for servers and clients, PEM.
internal import COpenSSL
package import Essentials
internal import Glibc

package enum CryptoProblem: Problem, Equatable {
    /// The text is no PEM of what was expected.
    case unreadable(what: String)
    /// A certificate with its authority's own name would count as signed by itself.
    case nameIsAuthoritys
    /// OpenSSL refused a step.
    case failed(step: String, detail: String)

    package var reason: String {
        switch self {
        case .unreadable: "CryptoUnreadable"
        case .nameIsAuthoritys: "CryptoNameIsAuthoritys"
        case .failed: "CryptoFailed"
        }
    }
    package var message: String {
        switch self {
        case .unreadable(let what): "The \(what) cannot be read. It must be PEM, as this program writes it."
        case .nameIsAuthoritys: "A certificate cannot have the name of its authority. Choose another common name."
        case .failed: "A key or certificate could not be made. The log has the details."
        }
    }
    package var cause: String? { if case .failed(let step, let detail) = self { "\(step): \(detail)" } else { nil } }

    static func openSSL(_ step: String) -> CryptoProblem {
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_get_error(), &text, text.count)
        ERR_clear_error()
        return .failed(step: step, detail: String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}

/// A private key on the curve P-256.
package final class PrivateKey: @unchecked Sendable {
    // Guard: the key is not changed after init, and OpenSSL counts references atomically.
    let handle: OpaquePointer

    package init() throws(CryptoProblem) {
        guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { throw .openSSL("key") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
            EVP_PKEY_keygen(context, &key) == 1, let key
        else { throw .openSSL("key") }
        handle = key
    }

    package init(pem: String) throws(CryptoProblem) {
        guard let key = withInput(pem, { PEM_read_bio_PrivateKey($0, nil, nil, nil) }) else {
            ERR_clear_error()
            throw .unreadable(what: "private key")
        }
        handle = key
    }

    /// Takes ownership of a key, which may be the public half only: enough to be named in a certificate.
    init(handle: OpaquePointer) { self.handle = handle }

    deinit { EVP_PKEY_free(handle) }

    /// PKCS #8.
    package var pem: String { withOutput { PEM_write_bio_PKCS8PrivateKey($0, handle, nil, nil, 0, nil, nil) } }
    /// The public half (SubjectPublicKeyInfo).
    package var publicPEM: String { withOutput { PEM_write_bio_PUBKEY($0, handle) } }
}

/// An X.509 certificate.
package final class Certificate: @unchecked Sendable {
    // Guard: the certificate is not changed after init, and OpenSSL counts references atomically.
    let handle: OpaquePointer

    init(handle: OpaquePointer) { self.handle = handle }

    package init(pem: String) throws(CryptoProblem) {
        guard let certificate = withInput(pem, { PEM_read_bio_X509($0, nil, nil, nil) }) else {
            ERR_clear_error()
            throw .unreadable(what: "certificate")
        }
        handle = certificate
    }

    deinit { X509_free(handle) }

    package var pem: String { withOutput { PEM_write_bio_X509($0, handle) } }

    package var der: [UInt8] {
        let count = i2d_X509(handle, nil)
        guard count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(count))
        bytes.withUnsafeMutableBufferPointer { buffer in
            var cursor = buffer.baseAddress
            _ = i2d_X509(handle, &cursor)
        }
        return bytes
    }

    package var commonName: String { names(NID_commonName).first ?? "" }
    package var organizations: [String] { names(NID_organizationName) }

    /// The first moment at which it is no longer valid.
    package var expiresAt: Timestamp {
        var time = tm()
        guard let end = X509_get0_notAfter(handle), ASN1_TIME_to_tm(end, &time) == 1 else { return Timestamp(seconds: 0) }
        return Timestamp(seconds: Int64(timegm(&time)))
    }

    /// `sha256:` and the digest of the public key, as `kubeadm join --discovery-token-ca-cert-hash` wants it.
    package var publicKeyHash: String {
        guard let key = X509_get_X509_PUBKEY(handle) else { return "" }
        let count = i2d_X509_PUBKEY(key, nil)
        guard count > 0 else { return "" }
        var bytes = [UInt8](repeating: 0, count: Int(count))
        bytes.withUnsafeMutableBufferPointer { buffer in
            var cursor = buffer.baseAddress
            _ = i2d_X509_PUBKEY(key, &cursor)
        }
        return "sha256:" + Hex.encode(Hash.sha256(bytes))
    }

    /// DNS names and addresses that it is for.
    package var alternativeNames: [String] {
        guard let found = X509_get_ext_d2i(handle, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(found)
        defer { cc_free_names(names) }
        return (0..<cc_name_count(names)).compactMap { index in
            var buffer = [CChar](repeating: 0, count: 256)
            guard cc_name(names, index, &buffer, Int32(buffer.count)) > 0 else { return nil }
            return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// Whether `authority` signed it and both are valid now.
    package func isValid(under authority: Certificate) -> Bool {
        guard let store = X509_STORE_new(), let context = X509_STORE_CTX_new() else { return false }
        defer {
            X509_STORE_CTX_free(context)
            X509_STORE_free(store)
        }
        guard X509_STORE_add_cert(store, authority.handle) == 1, X509_STORE_CTX_init(context, store, handle, nil) == 1 else { return false }
        let isValid = X509_verify_cert(context) == 1
        ERR_clear_error()
        return isValid
    }

    private func names(_ id: Int32) -> [String] {
        guard let subject = X509_get_subject_name(handle) else { return [] }
        var names: [String] = []
        var index = X509_NAME_get_index_by_NID(subject, id, -1)
        while index >= 0 {
            if let entry = X509_NAME_get_entry(subject, index), let data = X509_NAME_ENTRY_get_data(entry) {
                var text: UnsafeMutablePointer<UInt8>?
                let count = ASN1_STRING_to_UTF8(&text, data)
                if count >= 0, let text {
                    names.append(String(decoding: UnsafeBufferPointer(start: text, count: Int(count)), as: UTF8.self))
                    CRYPTO_free(text, "", 0)
                }
            }
            index = X509_NAME_get_index_by_NID(subject, id, index)
        }
        return names
    }
}

func withInput<Value>(_ text: String, _ body: (OpaquePointer?) -> Value?) -> Value? {
    guard let memory = BIO_new(BIO_s_mem()) else { return nil }
    defer { BIO_free_all(memory) }
    BIO_puts(memory, text)
    return body(memory)
}

func withOutput(_ body: (OpaquePointer?) -> Int32) -> String {
    guard let memory = BIO_new(BIO_s_mem()) else { return "" }
    defer { BIO_free_all(memory) }
    guard body(memory) == 1 else { return "" }
    var bytes = [UInt8](repeating: 0, count: Int(BIO_ctrl_pending(memory)))
    let count = BIO_read(memory, &bytes, Int32(bytes.count))
    return String(decoding: bytes.prefix(Int(max(0, count))), as: UTF8.self)
}
