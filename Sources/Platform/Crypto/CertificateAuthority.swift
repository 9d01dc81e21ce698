// Issues certificates: its own, those of servers, and those by which clients say who they are.
internal import COpenSSL
internal import Glibc

/// A key and its certificate, as a server or client keeps them.
package struct Identity: Sendable {
    package let key: PrivateKey
    package let certificate: Certificate
    package init(key: PrivateKey, certificate: Certificate) {
        self.key = key
        self.certificate = certificate
    }
}

package struct CertificateAuthority: Sendable {
    package let identity: Identity
    package var certificate: Certificate { identity.certificate }

    /// Clocks may differ by this much: certificates are valid that long before they are made, in seconds.
    static let skewSeconds = 300
    package static let authorityDays = 3650
    package static let leafDays = 365

    /// A new authority that signs itself.
    package init(commonName: String) throws(CryptoProblem) {
        let key = try PrivateKey()
        let request = CertificateRequest(
            commonName: commonName, organizations: [], alternativeNames: [], days: Self.authorityDays,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
            ])
        identity = Identity(key: key, certificate: try request.sign(key: key, by: nil))
    }

    package init(certificatePEM: String, keyPEM: String) throws(CryptoProblem) {
        identity = Identity(key: try PrivateKey(pem: keyPEM), certificate: try Certificate(pem: certificatePEM))
    }

    /// For a TLS server. `names` are DNS names (also `*.x`) or IP addresses.
    package func issueServer(commonName: String, names: [String], days: Int = leafDays) throws(CryptoProblem) -> Identity {
        try issue(commonName, [], names: names, usage: "serverAuth", days: days)
    }

    /// For a client: `commonName` is the user's name, `organizations` are the groups.
    package func issueClient(commonName: String, organizations: [String] = [], days: Int = leafDays) throws(CryptoProblem) -> Identity {
        try issue(commonName, organizations, names: [], usage: "clientAuth", days: days)
    }

    /// For one that is both, as a member of etcd is.
    package func issuePeer(commonName: String, names: [String], days: Int = leafDays) throws(CryptoProblem) -> Identity {
        try issue(commonName, [], names: names, usage: "serverAuth,clientAuth", days: days)
    }

    /// A certificate for a key that stays.
    package func renew(
        key: PrivateKey, commonName: String, organizations: [String], names: [String], usage: String, days: Int = leafDays
    ) throws(CryptoProblem) -> Identity {
        try issue(commonName, organizations, names: names, usage: usage, days: days, key: key)
    }

    private func issue(
        _ commonName: String, _ organizations: [String], names: [String], usage: String, days: Int, key old: PrivateKey? = nil
    ) throws(CryptoProblem) -> Identity {
        guard commonName != certificate.commonName || !organizations.isEmpty else { throw .nameIsAuthoritys }
        let key = if let old { old } else { try PrivateKey() }
        let request = CertificateRequest(
            commonName: commonName, organizations: organizations, alternativeNames: names, days: days,
            extensions: [
                (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature,keyEncipherment"),
                (NID_ext_key_usage, usage), (NID_authority_key_identifier, "keyid"),
            ])
        return Identity(key: key, certificate: try request.sign(key: key, by: identity))
    }
}

struct CertificateRequest {
    var commonName: String
    var organizations: [String]
    var alternativeNames: [String]
    var days: Int
    /// Instead of `days`.
    var seconds = 0
    var extensions: [(id: Int32, value: String)]

    /// `issuer` is `nil` where the certificate signs itself.
    func sign(key: PrivateKey, by issuer: Identity?) throws(CryptoProblem) -> Certificate {
        guard let handle = X509_new() else { throw .openSSL("certificate") }
        let certificate = Certificate(handle: handle)
        guard X509_set_version(handle, 2) == 1, setSerial(handle),
            X509_gmtime_adj(X509_getm_notBefore(handle), -CertificateAuthority.skewSeconds) != nil,
            X509_time_adj_ex(X509_getm_notAfter(handle), Int32(days + seconds / 86400), seconds % 86400, nil) != nil,
            X509_set_pubkey(handle, key.handle) == 1
        else { throw .openSSL("certificate") }
        let subject = X509_get_subject_name(handle)
        for organization in organizations { try add(organization, NID_organizationName, to: subject) }
        try add(commonName, NID_commonName, to: subject)
        let issuerName = X509_get_subject_name(issuer?.certificate.handle ?? handle)
        guard X509_set_issuer_name(handle, issuerName) == 1 else { throw .openSSL("issuer") }
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer?.certificate.handle ?? handle, handle, nil, nil, 0)
        for (id, value) in extensions { try add(id, value, to: handle, &context) }
        if !alternativeNames.isEmpty { try add(NID_subject_alt_name, try alternativeNameText(), to: handle, &context) }
        guard X509_sign(handle, issuer?.key.handle ?? key.handle, EVP_sha256()) > 0 else { throw .openSSL("signature") }
        return certificate
    }

    private func alternativeNameText() throws(CryptoProblem) -> String {
        var parts: [String] = []
        for name in alternativeNames {
            // A comma would begin a new entry of OpenSSL's notation.
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ",") }) else {
                throw .unreadable(what: "host name")
            }
            var address = in6_addr()
            let isAddress = inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1
            parts.append((isAddress ? "IP:" : "DNS:") + name)
        }
        return parts.joined(separator: ",")
    }

    private func setSerial(_ handle: OpaquePointer) -> Bool {
        var bytes = SecureRandom.bytes(16)
        bytes[0] &= 0x7F
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
        defer { BN_free(number) }
        return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(handle)) != nil
    }

    private func add(_ text: String, _ id: Int32, to name: OpaquePointer?) throws(CryptoProblem) {
        let bytes = Array(text.utf8)
        guard X509_NAME_add_entry_by_NID(name, id, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1 else { throw .openSSL("name") }
    }

    private func add(_ id: Int32, _ value: String, to handle: OpaquePointer, _ context: inout X509V3_CTX) throws(CryptoProblem) {
        guard let part = X509V3_EXT_conf_nid(nil, &context, id, value) else { throw .openSSL("extension") }
        defer { X509_EXTENSION_free(part) }
        guard X509_add_ext(handle, part, -1) == 1 else { throw .openSSL("extension") }
    }
}
