// The certificates of the admin's Kubernetes API: made on first use, kept under the state folder, renewed in time.
internal import Crypto
internal import Essentials
internal import Glibc
internal import Web

enum CertificateProblem: Problem {
    case unreadable(String, String)

    var reason: String { "CertificatesUnusable" }
    var message: String {
        switch self {
        case .unreadable(let path, let why): "The file \(path) cannot be used: \(why). Remove the folder it is in to make new ones."
        }
    }
}

struct ClusterCertificates {
    /// A server certificate is made anew when it has less than this left.
    static let renewSeconds: Double = 30 * 86_400

    private let folder: String
    private let authority: CertificateAuthority

    init(folder: String) throws {
        self.folder = folder
        mkdir(folder, 0o700)
        if let certificate = Self.read(folder + "/ca.crt"), let key = Self.read(folder + "/ca.key") {
            authority = try CertificateAuthority(certificatePEM: certificate, keyPEM: key)
        } else {
            authority = try CertificateAuthority(commonName: "lectern")
            try Self.write(folder + "/ca.key", authority.identity.key.pem)
            try Self.write(folder + "/ca.crt", authority.certificate.pem)
        }
    }

    /// The files of a server that is asked for by `host`.
    func serverFiles(host: String, now: Timestamp = SystemClock().now()) throws -> TLSFiles {
        let (certificatePath, keyPath) = (folder + "/server.crt", folder + "/server.key")
        let names = Set(["localhost", "127.0.0.1", "::1", "kubernetes", host]).sorted()
        let known = Self.read(certificatePath).flatMap { try? Certificate(pem: $0) }
        let marker = names.joined(separator: "\n")
        if let known, known.isValid(under: authority.certificate), known.expiresAt.since(now) > Self.renewSeconds,
            Self.read(folder + "/server.names") == marker
        {
            return TLSFiles(certificate: certificatePath, key: keyPath, clientCA: folder + "/ca.crt")
        }
        let identity = try authority.issueServer(commonName: "lectern-kubernetes", names: names.filter { $0 != "0.0.0.0" && $0 != "::" })
        try Self.write(keyPath, identity.key.pem)
        try Self.write(certificatePath, identity.certificate.pem)
        try Self.write(folder + "/server.names", marker)
        return TLSFiles(certificate: certificatePath, key: keyPath, clientCA: folder + "/ca.crt")
    }

    /// A kubeconfig with a fresh client certificate of an admin.
    func kubeconfig(server: String) throws -> String {
        let identity = try authority.issueClient(commonName: "lectern-admin", organizations: ["system:masters"])
        return Kubeconfig.text(
            cluster: "lectern", server: server, authority: authority.certificate, user: "lectern-admin", identity: identity)
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// Written beside and renamed, so that no reader sees half a file; for root's eyes only.
    private static func write(_ path: String, _ text: String) throws {
        let descriptor = open(path + ".new", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0, let file = fdopen(descriptor, "w") else {
            throw CertificateProblem.unreadable(path, String(cString: strerror(errno)))
        }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten, rename(path + ".new", path) == 0 else {
            throw CertificateProblem.unreadable(path, String(cString: strerror(errno)))
        }
    }
}
