// A nonblocking stream under a raw connection or a splice: a plain socket, or TLS over one.
internal import COpenSSL
internal import Essentials
internal import Glibc

enum StreamResult {
    case bytes(Int)
    /// Nothing now; epoll will tell.
    case blocked
    /// The other side sends no more.
    case ended
    case failed(String)
}

@WebLoop
protocol ByteStream: AnyObject {
    var descriptor: Int32 { get }
    func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamResult
    func write(_ bytes: UnsafeRawBufferPointer) -> StreamResult
    /// Bytes already decrypted that epoll knows nothing of.
    var hasHiddenBytes: Bool { get }
    /// A handshake step waits for the socket to become writable.
    var needsWritable: Bool { get }
    /// A write waits for bytes from the other side.
    var writeNeedsReadable: Bool { get }
    func shutdownWrite()
    func close()
}

func errnoText(_ call: String) -> String { "\(call): \(String(cString: strerror(errno)))" }

@WebLoop
final class PlainStream: ByteStream {
    private(set) var descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    var hasHiddenBytes: Bool { false }
    var needsWritable: Bool { false }
    var writeNeedsReadable: Bool { false }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamResult {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN || errno == ENOTCONN ? .blocked : .failed(errnoText("recv"))
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> StreamResult {
        while true {
            let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN || errno == ENOTCONN ? .blocked : .failed(errnoText("send"))
        }
    }

    func shutdownWrite() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }
}

@WebLoop
final class TLSStream: ByteStream {
    private(set) var descriptor: Int32
    private let ssl: OpaquePointer
    private let context: TLSContext
    private(set) var needsWritable = false
    private(set) var writeNeedsReadable = false
    private var closed = false

    /// `serverName` nil: the server's side.
    init?(_ descriptor: Int32, _ context: TLSContext, connectingTo serverName: String?, checksName: Bool = false) {
        guard let ssl = SSL_new(context.pointer), SSL_set_fd(ssl, descriptor) == 1 else { return nil }
        self.ssl = ssl
        self.context = context
        self.descriptor = descriptor
        // Partial writes, and a buffer that may move between two tries of one write.
        SSL_ctrl(
            ssl, SSL_CTRL_MODE, Int(SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS), nil)
        guard let serverName else {
            SSL_set_accept_state(ssl)
            return
        }
        SSL_set_connect_state(ssl)
        if Listening.socketAddress(serverName, 0) == nil {
            serverName.withCString { name in
                _ = SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), UnsafeMutableRawPointer(mutating: name))
            }
            if checksName { SSL_set1_host(ssl, serverName) }
        } else if checksName {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), serverName)
        }
    }

    var hasHiddenBytes: Bool { SSL_pending(ssl) > 0 }

    /// The certificate that the client showed, or what is wrong with it.
    func clientCertificate() -> (ClientCertificate?, problem: String?) {
        guard SSL_get0_peer_certificate(ssl) != nil else { return (nil, nil) }
        let verdict = SSL_get_verify_result(ssl)
        if verdict == Int(X509_V_OK) { return (peerCertificate(ssl), nil) }
        return (nil, String(cString: X509_verify_cert_error_string(verdict)))
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamResult {
        ERR_clear_error()
        let count = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
        if count > 0 {
            needsWritable = false
            return .bytes(Int(count))
        }
        return outcome(count, writing: false)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> StreamResult {
        ERR_clear_error()
        let count = SSL_write(ssl, bytes.baseAddress, Int32(bytes.count))
        if count > 0 {
            writeNeedsReadable = false
            return .bytes(Int(count))
        }
        return outcome(count, writing: true)
    }

    private func outcome(_ result: Int32, writing: Bool) -> StreamResult {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ:
            if writing { writeNeedsReadable = true } else { needsWritable = false }
            return .blocked
        case SSL_ERROR_WANT_WRITE:
            if writing { writeNeedsReadable = false } else { needsWritable = true }
            return .blocked
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL:
            // Ended without TLS' own farewell; framing above tells whether anything is missing.
            if ERR_peek_error() == 0, errno == 0 || result == 0 { return .ended }
            return .failed(errnoText("TLS"))
        default:
            let text = TLSContext.lastError()
            if text.contains("unexpected eof") { return .ended }
            return .failed(text)
        }
    }

    func shutdownWrite() {
        if SSL_is_init_finished(ssl) != 0 { SSL_shutdown(ssl) }
        _ = shutdown(descriptor, Int32(SHUT_WR))
    }

    func close() {
        guard !closed else { return }
        closed = true
        if SSL_is_init_finished(ssl) != 0 { SSL_shutdown(ssl) }
        SSL_free(ssl)
        Glibc.close(descriptor)
        descriptor = -1
    }
}

/// A descriptor's place in the epoll set. With no interest it is taken out, as a hang-up would be reported for ever.
@WebLoop
struct Watch {
    private var token: UInt64 = 0
    private var mask: UInt32 = 0

    init() {}

    mutating func set(_ descriptor: Int32, _ wanted: UInt32, _ source: any PollSource) {
        if wanted == mask { return }
        let poller = LoopEngine.shared.poller
        if wanted == 0 {
            poller.remove(descriptor, token: token)
        } else if mask == 0 {
            token = poller.add(descriptor, wanted, source)
        } else {
            poller.change(descriptor, token: token, wanted)
        }
        mask = wanted
    }

    mutating func end(_ descriptor: Int32) {
        if mask != 0 { LoopEngine.shared.poller.remove(descriptor, token: token) }
        mask = 0
    }
}
