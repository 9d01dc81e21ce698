// Bytes that only who has the key can read: AES-256-GCM, as `kubeadm init --upload-certs` keeps certificates.
internal import COpenSSL

package enum SealedBox {
    package static let keyBytes = 32
    private static let nonceBytes = 12
    private static let tagBytes = 16

    /// Nonce, ciphertext and tag, one after the other.
    package static func seal(_ plain: [UInt8], key: [UInt8]) throws(CryptoProblem) -> [UInt8] {
        let nonce = SecureRandom.bytes(nonceBytes)
        var output = [UInt8](repeating: 0, count: plain.count + 16)
        var tag = [UInt8](repeating: 0, count: tagBytes)
        var count: Int32 = 0
        guard key.count == keyBytes, let context = EVP_CIPHER_CTX_new() else { throw .openSSL("cipher") }
        defer { EVP_CIPHER_CTX_free(context) }
        guard EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nil, key, nonce) == 1,
            EVP_EncryptUpdate(context, &output, &count, plain, Int32(plain.count)) == 1
        else { throw .openSSL("cipher") }
        var rest: Int32 = 0
        var end = [UInt8](repeating: 0, count: 16)
        guard EVP_EncryptFinal_ex(context, &end, &rest) == 1,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), &tag) == 1
        else { throw .openSSL("cipher") }
        return nonce + output[..<Int(count)] + tag
    }

    /// `nil` where the key is another one or the bytes were changed.
    package static func open(_ sealed: [UInt8], key: [UInt8]) -> [UInt8]? {
        guard key.count == keyBytes, sealed.count >= nonceBytes + tagBytes, let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        let nonce = Array(sealed.prefix(nonceBytes))
        var tag = Array(sealed.suffix(tagBytes))
        let body = Array(sealed[nonceBytes..<sealed.count - tagBytes])
        var output = [UInt8](repeating: 0, count: body.count + 16)
        var count: Int32 = 0
        var rest: Int32 = 0
        var end = [UInt8](repeating: 0, count: 16)
        guard EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nil, key, nonce) == 1,
            EVP_DecryptUpdate(context, &output, &count, body, Int32(body.count)) == 1,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes), &tag) == 1,
            EVP_DecryptFinal_ex(context, &end, &rest) == 1
        else { return nil }
        return Array(output[..<Int(count)])
    }
}
