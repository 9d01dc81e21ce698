// The server's public face: what it listens on, with which certificates, and for whom.

package struct WebServerConfiguration: Sendable {
    /// Numeric address to listen on.
    package var address: String
    /// 0 lets the system choose; `start()` returns the choice.
    package var port: UInt16
    package var tls: TLSFiles?
    package var limits = WebLimits()
    package var frontDoor: (any FrontDoorRouting)?
    /// Offer HTTP/2 (with TLS by ALPN, without by prior knowledge). Off by default: in HTTP/2, libwebsockets shows only the
    /// well-known request fields, so `X-Lectern-CSRF` and the like are never seen.
    package var offersHTTP2 = false
    /// Names of request fields beyond the well-known ones and `RequestReader.usualCustomFields` that handlers want to see:
    /// libwebsockets finds unknown fields only by name.
    package var customHeaders: [String] = []

    package init(address: String = "127.0.0.1", port: UInt16 = 0, tls: TLSFiles? = nil) {
        self.address = address
        self.port = port
        self.tls = tls
    }
}

/// PEM files of a TLS server.
package struct TLSFiles: Sendable, Equatable {
    package var certificate: String
    package var key: String
    /// When set, clients may present certificates of this CA; `HTTPRequest.clientCertificate` tells.
    package var clientCA: String?
    /// Further certificates by server name; `*.example.org` matches one label.
    package var byName: [String: CertificateFiles]

    package init(certificate: String, key: String, clientCA: String? = nil, byName: [String: CertificateFiles] = [:]) {
        self.certificate = certificate
        self.key = key
        self.clientCA = clientCA
        self.byName = byName
    }
}

package struct CertificateFiles: Sendable, Equatable {
    package var certificate: String
    package var key: String
    package init(certificate: String, key: String) {
        self.certificate = certificate
        self.key = key
    }
}

/// A server on the loop.
package struct WebServer: Sendable {
    private let configuration: WebServerConfiguration
    private let handler: any HTTPHandler
    private let running: ServerBox

    package init(configuration: WebServerConfiguration, handler: any HTTPHandler) {
        self.configuration = configuration
        self.handler = handler
        running = ServerBox()
    }

    /// Listens; returns the port. Call once.
    package func start() async throws(WebProblem) -> UInt16 { try await running.start(configuration, handler) }

    /// Stops listening and closes every connection.
    package func stop() async {
        await running.stop()
        while await !running.isGone { try? await Task.sleep(nanoseconds: 1_000_000) }
    }

    /// Reads the certificate files again; connections made from now on use them. A bad file changes nothing.
    package func reloadCertificates() async throws(WebProblem) { try await running.reload() }
}

/// Where the running server lives, on the loop.
@WebLoop
private final class ServerBox {
    private var server: RunningServer?

    nonisolated init() {}

    func start(_ configuration: WebServerConfiguration, _ handler: any HTTPHandler) throws(WebProblem) -> UInt16 {
        precondition(server == nil, "a server starts once")
        let server = try RunningServer(configuration: configuration, handler: handler)
        self.server = server
        return server.port
    }

    func stop() { server?.stop() }
    var isGone: Bool { server?.isGone ?? true }
    func reload() throws(WebProblem) { try server?.reloadCertificates() }
}
