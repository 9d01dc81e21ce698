// The kubelet's own HTTPS server (port 10250) for the API server and metrics, and its health port on loopback.
//
// Anonymous requests are refused; a client certificate of the cluster's authority or a bearer token says who asks, and
// only the API server's own identity and administrators may ask, as may those whom the API allows `nodes/proxy` and the like.
internal import Essentials
internal import Crypto
internal import Kernel
internal import Logging
internal import Pods
internal import Web

struct KubeletServer: Sendable {
    private static let retrySeconds = 2.0

    let kubelet: NodeKubelet
    private let log = Logger(label: "kubelet")

    init(kubelet: NodeKubelet) { self.kubelet = kubelet }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.serveHealth() }
            group.addTask { await self.serve() }
        }
    }

    private func serveHealth() async {
        guard let port = kubelet.settings.healthPort else { return }
        let configuration = WireServerConfiguration(address: kubelet.settings.healthAddress, port: port)
        while !Task.isCancelled, !(await keep(WireServer(configuration: configuration, handler: HealthHandler()), "health")) {
            try? await Task.sleep(for: .seconds(Self.retrySeconds))
        }
    }

    private func serve() async {
        guard let port = kubelet.settings.port else { return }
        while !Task.isCancelled {
            do {
                let files = try ServingCertificate(settings: kubelet.settings).files()
                var configuration = WireServerConfiguration(address: kubelet.settings.address, port: port, tls: files)
                configuration.limits.idleSeconds = 300
                let handler = KubeletHandler(kubelet: kubelet)
                if await keep(WireServer(configuration: configuration, handler: handler), "https") { return }
            } catch {
                log.error("no serving certificate", metadata: ["cause": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(Self.retrySeconds))
        }
    }

    /// False where it cannot listen now; else it listens until cancelled.
    private func keep(_ server: WireServer, _ name: String) async -> Bool {
        do throws(WebProblem) { _ = try await server.start() } catch {
            log.error("cannot listen", metadata: ["server": "\(name)", "cause": "\(error)"])
            return false
        }
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(86400)) }
        await server.stop()
        return true
    }
}

/// The certificate that the server shows: the configured one, or one that it signs itself, as upstream does.
struct ServingCertificate: Sendable {
    let settings: KubeletSettings

    func files() throws -> TLSFiles {
        if let certificate = settings.servingCertificate, let key = settings.servingKey {
            return TLSFiles(certificate: certificate, key: key, clientCA: settings.clientCA)
        }
        let folder = settings.clientCertificateFolder
        let certificate = folder + "/kubelet.crt"
        let key = folder + "/kubelet.key"
        let kernel = LinuxKernel()
        if let text = try? kernel.readText(certificate), let known = try? Certificate(pem: text),
            known.expiresAt > SystemClock().now().adding(seconds: 86400), kernel.exists(key)
        {
            return TLSFiles(certificate: certificate, key: key, clientCA: settings.clientCA)
        }
        let stamp = SystemClock().now().seconds
        let authority = try CertificateAuthority(commonName: "\(settings.nodeName)-ca@\(stamp)")
        let identity = try authority.issueServer(
            commonName: "\(settings.nodeName)@\(stamp)", names: [settings.nodeName, settings.nodeAddress].filter { !$0.isEmpty })
        try kernel.makeDirectories(folder, mode: 0o755)
        try kernel.write(key, text: identity.key.pem, mode: 0o600)
        try kernel.write(certificate, text: identity.certificate.pem + authority.certificate.pem)
        return TLSFiles(certificate: certificate, key: key, clientCA: settings.clientCA)
    }
}

private struct HealthHandler: WireHandler {
    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        request.path == "/healthz" ? .text("ok") : .text("404 page not found\n", status: 404)
    }
}
