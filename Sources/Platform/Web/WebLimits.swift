// Every limit of the server, with its unit, its default and what happens beyond it.

package struct WebLimits: Sendable, Equatable {
    /// Largest request head in bytes (request line and all fields), 16 KiB at most. Beyond: 431 for the first head of a
    /// connection, a closed connection for a later one that is also larger than 16 KiB.
    package var headBytes = 16 << 10
    /// Largest request body in bytes; a handler may set a lower one with `collect(limitBytes:)`. Beyond: 413.
    package var bodyBytes = 64 << 20
    /// Largest WebSocket message in bytes, over all its fragments. Beyond: close code 1009.
    package var messageBytes = 1 << 20
    /// Connections at once. Beyond: closed at once, unread.
    package var connections = 20_000
    /// Connections at once from one address (an IPv6 /64 counts as one; loopback is not counted). Beyond: closed at once.
    package var connectionsPerAddress = 512
    /// Seconds a kept-alive HTTP connection may wait for its next request.
    package var idleSeconds = 60
    /// Seconds from accepting a connection to having its whole first head, and to finish TLS.
    package var headSeconds = 10
    /// Seconds without a byte in either direction after which a splice is closed.
    package var spliceIdleSeconds = 600
    /// Seconds of silence after which a WebSocket is asked for a sign of life (a ping).
    package var pingSeconds = 30
    /// Seconds that the answer to a ping may take. Beyond: the WebSocket is closed.
    package var pongSeconds = 15
    /// Response bytes waiting per exchange: a writer suspends above this.
    package var writeBufferBytes = 128 << 10
    /// Request body bytes waiting per exchange: reading pauses above this.
    package var readBufferBytes = 64 << 10
    /// Bytes waiting to be sent on one WebSocket. Beyond: the socket is closed with 1008, as its reader is too slow.
    package var socketBufferBytes = 8 << 20
    /// `drained` is called when the waiting bytes of a WebSocket or raw connection fall below this.
    package var lowWaterBytes = 128 << 10

    package init() {}
}
