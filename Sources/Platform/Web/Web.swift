// The room of every socket: one event loop thread on libwebsockets, an HTTP/1.1 and HTTP/2 server with WebSockets and
// TLS, raw stream connections, the front door that splices port links, and an HTTP client.
//
// It may touch the network and the files that TLS names; it knows nothing of labs or workshops. Programs, the Gateway,
// Terminals and Ports call it. Everything marked `@WebLoop` runs on the loop's thread: short, never blocking.
internal import Essentials

/// What goes wrong in Web.
package enum WebProblem: Problem, Equatable {
    /// A body is larger than its limit.
    case bodyTooLarge(limitBytes: Int)
    /// The other side went away before the exchange was complete.
    case peerGone
    /// A head, frame or response that breaks the protocol.
    case malformed(String)
    /// The address could not be listened on.
    case cannotListen(address: String, port: UInt16, cause: String)
    /// A certificate, key or CA file is unusable.
    case badCertificate(file: String, cause: String)
    /// A connection could not be made.
    case cannotConnect(String)
    /// The time given for an exchange is over.
    case timedOut(seconds: Double)
    /// libwebsockets could not start.
    case loopFailed(String)
    /// A system call failed on a socket.
    case socket(String)

    package var reason: String {
        switch self {
        case .bodyTooLarge: "BodyTooLarge"
        case .peerGone: "PeerGone"
        case .malformed: "MalformedMessage"
        case .cannotListen: "CannotListen"
        case .badCertificate: "BadCertificate"
        case .cannotConnect: "CannotConnect"
        case .timedOut: "TimedOut"
        case .loopFailed: "LoopFailed"
        case .socket: "SocketFailed"
        }
    }

    package var message: String {
        switch self {
        case .bodyTooLarge(let limit): "The body is larger than the \(limit) bytes allowed here. Send less."
        case .peerGone: "The other side closed the connection before the exchange was complete."
        case .malformed(let what): "The message breaks the protocol: \(what)."
        case .cannotListen(let address, let port, _):
            "Cannot listen on \(address) port \(port). Is another program using it? Choose another with --listen."
        case .badCertificate(let file, _):
            "The certificate file \(file) cannot be used. Check that it is PEM and that key and certificate belong together."
        case .cannotConnect(let target): "Cannot connect to \(target)."
        case .timedOut(let seconds): "No answer within \(seconds) seconds."
        case .loopFailed: "The network loop could not start."
        case .socket: "A socket operation failed."
        }
    }

    package var cause: String? {
        switch self {
        case .cannotListen(_, _, let cause), .badCertificate(_, let cause): cause
        case .loopFailed(let cause), .socket(let cause): cause
        default: nil
        }
    }
}
