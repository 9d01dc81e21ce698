// A small HTTP/1.1 client over the loop: for tests, image pulls and remote clusters.
internal import CLibwebsockets
internal import Essentials
internal import Glibc

package struct HTTPClient: Sendable {
    package var options: HTTPClientOptions

    package init(options: HTTPClientOptions = HTTPClientOptions()) { self.options = options }

    /// One exchange on a connection of its own. The body is streamed; redirects are not followed.
    package func request(
        _ method: String = "GET", _ url: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []
    ) async throws(WebProblem) -> HTTPClientResponse {
        guard let target = HTTPClientTarget(url) else { throw .malformed("the URL \(url) is not http or https") }
        let socket = try await Dialer.connect(target, options)
        return try await ClientExchange.run(socket, target, options, method, headers, body)
    }
}

package struct HTTPClientOptions: Sendable {
    /// Seconds without progress before the exchange is given up: to connect, to receive the head, and between body pieces.
    package var timeoutSeconds = 30.0
    /// Largest response head in bytes.
    package var headBytes = 64 << 10
    /// Response body bytes waiting to be read: the connection is not read above this.
    package var readBufferBytes = 256 << 10
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

/// Where a URL leads.
struct HTTPClientTarget: Sendable, Equatable {
    var isSecure: Bool
    var host: String
    var port: UInt16
    var authority: String
    /// Path and query.
    var target: String

    init?(_ url: String) {
        let rest: Substring
        if url.hasPrefix("http://") {
            isSecure = false
            rest = url.dropFirst(7)
        } else if url.hasPrefix("https://") {
            isSecure = true
            rest = url.dropFirst(8)
        } else {
            return nil
        }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        authority = String(rest[..<end])
        var path = String(rest[end...].prefix { $0 != "#" })
        if path.first != "/" { path = "/" + path }
        target = path
        var portText: Substring?
        if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            let after = authority[authority.index(after: close)...]
            if after.first == ":" { portText = after.dropFirst() }
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = parts.first.map(String.init) ?? ""
            if parts.count == 2 { portText = parts[1] }
        }
        guard let port = portText.map({ UInt16($0) }) ?? (isSecure ? 443 : 80) else { return nil }
        self.port = port
        guard !host.isEmpty, authority.utf8.allSatisfy({ $0 > 32 && $0 < 127 }), target.utf8.allSatisfy({ $0 > 32 && $0 != 127 }) else {
            return nil
        }
    }
}

/// Resolves and connects.
enum Dialer {
    static func connect(_ target: HTTPClientTarget, _ options: HTTPClientOptions) async throws(WebProblem) -> OwnedDescriptor {
        if let path = options.unixSocket { return try unix(path) }
        if let storage = Listening.socketAddress(target.host, target.port) { return try tcp(storage, target.authority) }
        if target.host == "localhost" || target.host.hasSuffix(".localhost") {
            return try tcp(Listening.socketAddress("127.0.0.1", target.port)!, target.authority)
        }
        guard let address = await resolve(target.host), let storage = Listening.socketAddress(address, target.port) else {
            throw .cannotConnect(target.authority)
        }
        return try tcp(storage, target.authority)
    }

    /// Begins to connect; whether it comes about is seen by writing.
    static func tcp(_ address: sockaddr_storage, _ authority: String) throws(WebProblem) -> OwnedDescriptor {
        var address = address
        let descriptor = OwnedDescriptor(
            socket(Int32(address.ss_family), Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0))
        guard descriptor.number >= 0 else { throw .socket(errnoText("socket")) }
        let length = socklen_t(Int32(address.ss_family) == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
        let result = Listening.withSocketAddress(&address) { Glibc.connect(descriptor.number, $0, length) }
        guard result == 0 || errno == EINPROGRESS else { throw .cannotConnect(authority) }
        return descriptor
    }

    static func unix(_ path: String) throws(WebProblem) -> OwnedDescriptor {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .cannotConnect(path) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = OwnedDescriptor(socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0))
        guard descriptor.number >= 0 else { throw .socket(errnoText("socket")) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw .cannotConnect(path) }
        return descriptor
    }

    /// The system's resolver blocks, so it gets a thread of its own.
    static func resolve(_ host: String) async -> String? {
        await withCheckedContinuation { continuation in
            let request = Unmanaged.passRetained(Resolution(host, continuation))
            var thread = pthread_t()
            if pthread_create(&thread, nil, resolverMain, request.toOpaque()) == 0 {
                pthread_detach(thread)
            } else {
                request.release()
                continuation.resume(returning: nil)
            }
        }
    }
}

private final class Resolution: Sendable {
    let host: String
    let continuation: CheckedContinuation<String?, Never>
    init(_ host: String, _ continuation: CheckedContinuation<String?, Never>) {
        self.host = host
        self.continuation = continuation
    }
}

private func resolverMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let resolution = Unmanaged<Resolution>.fromOpaque(argument!).takeRetainedValue()
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    var address: String?
    if getaddrinfo(resolution.host, nil, &hints, &list) == 0, let first = list {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: first.pointee.ai_addr, count: Int(first.pointee.ai_addrlen)))
        }
        address = Listening.numericAddress(storage)
    }
    if let list { freeaddrinfo(list) }
    resolution.continuation.resume(returning: address)
    return nil
}
