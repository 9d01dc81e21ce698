// The server's public face: what it listens on, with which certificates, and for whom.
internal import Essentials

package struct WebServerConfiguration: Sendable {
    /// Numeric address to listen on.
    package var address: String
    /// 0 lets the system choose; `start()` returns the choice.
    package var port: UInt16
    package var tls: TLSFiles?
    package var limits = WebLimits()
    package var frontDoor: (any FrontDoorRouting)?
    /// WebSocket subprotocols any handler may choose.
    package var subprotocols: [String] = []
    /// Names of request fields beyond the well-known ones that handlers want to see (libwebsockets finds unknown fields only by name).
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

package struct WebServer: Sendable {
    private let configuration: WebServerConfiguration
    private let handler: any HTTPHandler

    package init(configuration: WebServerConfiguration, handler: any HTTPHandler) {
        self.configuration = configuration
        self.handler = handler
    }

    /// Listens; returns the port.
    package func start() async throws(WebProblem) -> UInt16 { throw .loopFailed("not built yet") }

    /// Stops listening and closes every connection.
    package func stop() async {}

    /// Reads the certificate files again; connections made from now on use them.
    package func reloadCertificates() async throws(WebProblem) {}
}
