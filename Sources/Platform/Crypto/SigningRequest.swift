// Certificate signing requests (PKCS #10), as a kubelet makes them.
internal import COpenSSL
internal import Glibc

package enum SigningRequest {
    /// PEM of a request for `commonName` and `organizations`, signed by `key`.
    package static func make(key: PrivateKey, commonName: String, organizations: [String]) throws(CryptoProblem) -> String {
        guard let request = X509_REQ_new() else { throw .openSSL("request") }
        defer { X509_REQ_free(request) }
        guard X509_REQ_set_version(request, 0) == 1, X509_REQ_set_pubkey(request, key.handle) == 1 else { throw .openSSL("request") }
        let subject = X509_REQ_get_subject_name(request)
        for (text, id) in organizations.map({ ($0, NID_organizationName) }) + [(commonName, NID_commonName)] {
            let bytes = Array(text.utf8)
            guard X509_NAME_add_entry_by_NID(subject, id, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1 else {
                throw .openSSL("name")
            }
        }
        guard X509_REQ_sign(request, key.handle, EVP_sha256()) > 0 else { throw .openSSL("signature") }
        return withOutput { PEM_write_bio_X509_REQ($0, request) }
    }
}
