// Reading a certificate signing request, and granting it.
internal import COpenSSL

extension SigningRequest {
    /// What a request asks for.
    package struct Wish: Sendable, Equatable {
        package var commonName: String
        package var organizations: [String]
        /// DNS names and addresses.
        package var names: [String]
    }

    /// `unreadable` where the text is no request, or not signed by its own key.
    package static func read(_ pem: String) throws(CryptoProblem) -> Wish {
        let request = try parse(pem)
        defer { X509_REQ_free(request) }
        guard let handle = X509_new() else { throw .openSSL("certificate") }
        let subject = Certificate(handle: handle)
        guard X509_set_subject_name(handle, X509_REQ_get_subject_name(request)) == 1 else { throw .openSSL("name") }
        return Wish(commonName: subject.commonName, organizations: subject.organizations, names: names(request))
    }

    private static func parse(_ pem: String) throws(CryptoProblem) -> OpaquePointer {
        guard let request = withInput(pem, { PEM_read_bio_X509_REQ($0, nil, nil, nil) }) else {
            ERR_clear_error()
            throw .unreadable(what: "certificate request")
        }
        guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1 else {
            ERR_clear_error()
            X509_REQ_free(request)
            throw .unreadable(what: "certificate request")
        }
        return request
    }

    private static func names(_ request: OpaquePointer) -> [String] {
        guard let extensions = X509_REQ_get_extensions(request) else { return [] }
        defer { cc_free_extensions(extensions) }
        guard let found = X509V3_get_d2i(extensions, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(found)
        defer { cc_free_names(names) }
        return (0..<cc_name_count(names)).compactMap { index in
            var buffer = [CChar](repeating: 0, count: 256)
            guard cc_name(names, index, &buffer, Int32(buffer.count)) > 0 else { return nil }
            return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// The certificate that `authority` grants, for the uses Kubernetes names (`client auth`, …), valid for `seconds`.
    package static func grant(
        _ pem: String, by authority: CertificateAuthority, usages: [String], seconds: Int
    ) throws(CryptoProblem) -> Certificate {
        let wish = try read(pem)
        let request = try parse(pem)
        defer { X509_REQ_free(request) }
        guard let key = X509_REQ_get_pubkey(request) else { throw .unreadable(what: "certificate request") }
        let basic = usages.compactMap { keyUsages[$0] }
        let extended = usages.compactMap { extendedUsages[$0] }
        var extensions: [(Int32, String)] = [(NID_basic_constraints, "critical,CA:FALSE")]
        if !basic.isEmpty { extensions.append((NID_key_usage, "critical," + basic.joined(separator: ","))) }
        if !extended.isEmpty { extensions.append((NID_ext_key_usage, extended.joined(separator: ","))) }
        extensions.append((NID_authority_key_identifier, "keyid"))
        let form = CertificateRequest(
            commonName: wish.commonName, organizations: wish.organizations, alternativeNames: wish.names, days: 0, seconds: seconds,
            extensions: extensions.map { (id: $0.0, value: $0.1) })
        return try form.sign(key: PrivateKey(handle: key), by: authority.identity)
    }

    private static let keyUsages = [
        "signing": "digitalSignature", "digital signature": "digitalSignature", "content commitment": "nonRepudiation",
        "key encipherment": "keyEncipherment", "key agreement": "keyAgreement", "data encipherment": "dataEncipherment",
    ]
    private static let extendedUsages = [
        "any": "anyExtendedKeyUsage", "server auth": "serverAuth", "client auth": "clientAuth", "code signing": "codeSigning",
        "email protection": "emailProtection", "s/mime": "emailProtection", "timestamping": "timeStamping", "ocsp signing": "OCSPSigning",
    ]
}
