// Keys that sign and check JSON web tokens: ES256 on P-256, RS256 with RSA.
internal import COpenSSL
internal import Glibc

/// A public key: of a certificate, of a private key, or by itself.
package final class PublicKey: @unchecked Sendable {
    // Guard: the key is not changed after init, and OpenSSL counts references atomically.
    let handle: OpaquePointer

    /// Bytes of each half of an ES256 signature.
    static let halfBytes = 32

    init(handle: OpaquePointer) { self.handle = handle }

    /// PEM of a public key, a certificate or a private key.
    package init(pem: String) throws(CryptoProblem) {
        var found = withInput(pem, { PEM_read_bio_PUBKEY($0, nil, nil, nil) })
        if found == nil { found = withInput(pem, { PEM_read_bio_PrivateKey($0, nil, nil, nil) }) }
        if found == nil, let certificate = withInput(pem, { PEM_read_bio_X509($0, nil, nil, nil) }) {
            found = X509_get_pubkey(certificate)
            X509_free(certificate)
        }
        ERR_clear_error()
        guard let found else { throw .unreadable(what: "public key") }
        handle = found
    }

    deinit { EVP_PKEY_free(handle) }

    package var algorithm: String { EVP_PKEY_get_base_id(handle) == EVP_PKEY_RSA ? "RS256" : "ES256" }

    /// The key in PKIX form.
    package var der: [UInt8] { derBytes { i2d_PUBKEY(handle, $0) } }

    package var pem: String { withOutput { PEM_write_bio_PUBKEY($0, handle) } }

    /// How tokens name the key.
    package var identifier: String { Base64.encodeURL(Hash.sha256(der)) }

    package func isValid(signature: [UInt8], of message: [UInt8]) -> Bool {
        var bytes = signature
        if algorithm == "ES256" {
            guard signature.count == 2 * Self.halfBytes, let der = ECDSA.der(signature) else { return false }
            bytes = der
        }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, handle) == 1 else { return false }
        return EVP_DigestVerify(context, bytes, bytes.count, message, message.count) == 1
    }

    /// The members of its JSON web key.
    package var webKey: [(String, String)] {
        var key = [("use", "sig"), ("kty", algorithm == "RS256" ? "RSA" : "EC"), ("kid", identifier), ("alg", algorithm)]
        if algorithm == "RS256" {
            key += [("n", number("n", bytes: nil)), ("e", number("e", bytes: nil))]
        } else {
            key += [
                ("crv", "P-256"), ("x", number("qx", bytes: Self.halfBytes)), ("y", number("qy", bytes: Self.halfBytes)),
            ]
        }
        return key
    }

    private func number(_ name: String, bytes: Int?) -> String {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(handle, name, &number) == 1, let number else { return "" }
        defer { BN_free(number) }
        let count = bytes ?? Int((BN_num_bits(number) + 7) / 8)
        var result = [UInt8](repeating: 0, count: count)
        BN_bn2binpad(number, &result, Int32(count))
        return Base64.encodeURL(result)
    }
}

extension PrivateKey {
    package var publicKey: PublicKey {
        EVP_PKEY_up_ref(handle)
        return PublicKey(handle: handle)
    }

    /// The signature that a JSON web token has.
    package func signature(of message: [UInt8]) throws(CryptoProblem) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw .openSSL("signature") }
        defer { EVP_MD_CTX_free(context) }
        var count = 0
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, handle) == 1,
            EVP_DigestSign(context, nil, &count, message, message.count) == 1
        else { throw .openSSL("signature") }
        var bytes = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &bytes, &count, message, message.count) == 1 else { throw .openSSL("signature") }
        bytes.removeLast(bytes.count - count)
        guard EVP_PKEY_get_base_id(handle) != EVP_PKEY_RSA else { return bytes }
        guard let raw = ECDSA.raw(bytes) else { throw .openSSL("signature") }
        return raw
    }
}

/// The two forms of an ECDSA signature: two numbers in DER, or side by side.
private enum ECDSA {
    static func raw(_ der: [UInt8]) -> [UInt8]? {
        let signature: OpaquePointer? = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_ECDSA_SIG(nil, &cursor, buffer.count)
        }
        guard let signature else { return nil }
        defer { ECDSA_SIG_free(signature) }
        let half = Int32(PublicKey.halfBytes)
        var r = [UInt8](repeating: 0, count: PublicKey.halfBytes)
        var s = r
        guard BN_bn2binpad(ECDSA_SIG_get0_r(signature), &r, half) == half, BN_bn2binpad(ECDSA_SIG_get0_s(signature), &s, half) == half
        else { return nil }
        return r + s
    }

    static func der(_ raw: [UInt8]) -> [UInt8]? {
        let half = PublicKey.halfBytes
        guard let signature = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(signature) }
        let r = BN_bin2bn(Array(raw[..<half]), Int32(half), nil)
        let s = BN_bin2bn(Array(raw[half...]), Int32(half), nil)
        guard ECDSA_SIG_set0(signature, r, s) == 1 else { return nil }
        let bytes = derBytes { i2d_ECDSA_SIG(signature, $0) }
        return bytes.isEmpty ? nil : bytes
    }
}

private func derBytes(_ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8] {
    let count = encode(nil)
    guard count > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(count))
    bytes.withUnsafeMutableBufferPointer { buffer in
        var cursor = buffer.baseAddress
        _ = encode(&cursor)
    }
    return bytes
}
