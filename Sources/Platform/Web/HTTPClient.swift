// A small HTTP/1.1 client over the loop: for tests, image pulls and remote clusters.
internal import Essentials

package struct HTTPClient: Sendable {
    package var options: HTTPClientOptions

    package init(options: HTTPClientOptions = HTTPClientOptions()) { self.options = options }

    /// One exchange on a connection of its own. The body is streamed; redirects are not followed.
    package func request(
        _ method: String = "GET", _ url: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []
    ) async throws(WebProblem) -> HTTPClientResponse {
        throw .loopFailed("not built yet")
    }
}

package struct HTTPClientOptions: Sendable {
    /// Seconds to connect and to receive the head.
    package var timeoutSeconds = 30.0
    /// Largest response head in bytes.
    package var headBytes = 64 << 10
    /// PEM file of CAs to trust; nil: the system's.
    package var trustedCA: String?
    /// Accept any certificate.
    package var insecure = false
    /// PEM files of a client certificate and its key.
    package var certificate: CertificateFiles?
    /// Connect here (a path of a unix socket) instead of to the URL's host.
    package var unixSocket: String?

    package init() {}
}

package struct HTTPClientResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: RequestBody
}
