// A WebSocket of the server, as its handler sees it.

/// What happens on one WebSocket. Called on the loop.
@WebLoop
package protocol WebSocketHandler: AnyObject {
    func opened(_ socket: WebSocket)
    func received(_ socket: WebSocket, text: String)
    func received(_ socket: WebSocket, binary: [UInt8])
    /// The waiting bytes fell below the low-water mark after having been above it.
    func drained(_ socket: WebSocket)
    /// Called once, last; `code` is what the other side or the loop gave, if any.
    func closed(_ socket: WebSocket, code: UInt16?)
}

extension WebSocketHandler {
    package func opened(_ socket: WebSocket) {}
    package func received(_ socket: WebSocket, text: String) {}
    package func received(_ socket: WebSocket, binary: [UInt8]) {}
    package func drained(_ socket: WebSocket) {}
    package func closed(_ socket: WebSocket, code: UInt16?) {}
}

@WebLoop
package final class WebSocket {
    /// Bytes given to `send` that the system has not taken yet.
    package private(set) var bufferedBytes = 0
    package private(set) var isOpen = true

    init() {}

    package func send(text: String) {}
    package func send(binary: [UInt8]) {}
    package func pauseReading() {}
    package func resumeReading() {}
    /// Starts the closing handshake; what was sent before goes out first.
    package func close(code: UInt16 = 1000, reason: String = "") {}
}
