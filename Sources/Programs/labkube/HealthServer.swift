// The health port of a component without an API of its own: HTTPS with a certificate made for the occasion.
internal import Crypto
internal import Essentials
internal import Glibc
internal import Kernel
internal import Synchronization
internal import Web

/// Answers /healthz, /livez, /readyz and /configz; anything else is not found.
struct HealthHandler: WireHandler {
    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        switch request.path {
        case "/healthz", "/livez", "/readyz", "/healthz/ping": .text("ok")
        case "/metrics":
            .text(
                "# HELP process_up 1 while the process answers.\n# TYPE process_up gauge\nprocess_up 1\n", type: "text/plain; version=0.0.4"
            )
        default: .text("404 page not found\n", status: 404)
        }
    }
}

enum HealthProblem: Problem {
    case noPlace
    var reason: String { "NoPlaceForCertificate" }
    var message: String { "The health port's certificate cannot be written: neither /tmp nor /run nor /dev/shm takes files." }
}

enum HealthServer {
    /// Listens on the component's port, as `--bind-address`, `--secure-port`, `--tls-cert-file` and `--tls-private-key-file` say.
    static func start(_ flags: Flags, defaultPort: UInt16) async throws -> WireServer {
        let port = flags.value("secure-port").flatMap(UInt16.init) ?? defaultPort
        var tls: TLSFiles
        if let certificate = flags.value("tls-cert-file"), let key = flags.value("tls-private-key-file"), !certificate.isEmpty {
            tls = TLSFiles(certificate: certificate, key: key)
        } else {
            tls = try makeCertificate(flags.name)
        }
        let configuration = WireServerConfiguration(address: flags.value("bind-address") ?? "127.0.0.1", port: port, tls: tls)
        let server = WireServer(configuration: configuration, handler: HealthHandler())
        _ = try await server.start()
        return server
    }

    /// A certificate that its own authority, which is then forgotten, has signed.
    private static func makeCertificate(_ name: String) throws -> TLSFiles {
        let kernel = LinuxKernel()
        let authority = try CertificateAuthority(commonName: name + "-ca")
        let identity = try authority.issueServer(commonName: name, names: ["localhost", "127.0.0.1"])
        // A container's image may lack any of these.
        for place in ["/tmp", "/run", "/dev/shm"] {
            let folder = "\(place)/\(name)-\(getpid())"
            try? kernel.makeDirectory(folder, mode: 0o700)
            let files = TLSFiles(certificate: folder + "/tls.crt", key: folder + "/tls.key")
            do {
                try kernel.write(files.certificate, text: identity.certificate.pem)
                try kernel.write(files.key, text: identity.key.pem, mode: 0o600)
                return files
            } catch {
                continue
            }
        }
        throw HealthProblem.noPlace
    }
}

/// A component runs as the first process of its container, which no signal ends unless it is asked to.
enum Signals {
    static func endOnTerm() {
        signal(SIGTERM) { _ in _exit(0) }
        signal(SIGINT) { _ in _exit(0) }
    }
}
