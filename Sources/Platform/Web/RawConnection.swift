// A nonblocking stream socket on the loop: agents and nodes.
package import Essentials

/// What happens on one raw connection. Called on the loop.
@WebLoop
package protocol RawConnectionHandler: AnyObject {
    func received(_ connection: RawConnection, _ bytes: [UInt8])
    /// The other side will send no more; the connection may still be written to. Default: close.
    func ended(_ connection: RawConnection)
    /// The waiting bytes fell below the low-water mark after having been above it.
    func drained(_ connection: RawConnection)
    /// Called once, last, unless this side called `close()`; `error` is nil after an orderly end.
    func closed(_ connection: RawConnection, error: String?)
}

extension RawConnectionHandler {
    package func ended(_ connection: RawConnection) { connection.close() }
    package func drained(_ connection: RawConnection) {}
    package func closed(_ connection: RawConnection, error: String?) {}
}

@WebLoop
package final class RawConnection {
    /// Bytes given to `send` that the system has not taken yet.
    package private(set) var bufferedBytes = 0
    package private(set) var isOpen = true

    private init() {}

    /// Takes ownership of a connected or connecting stream socket.
    package static func adopt(_ descriptor: OwnedDescriptor, handler: any RawConnectionHandler) throws(WebProblem) -> RawConnection {
        throw .loopFailed("not built yet")
    }

    /// Sends now as far as the socket takes it; the rest waits. Watch `bufferedBytes`: nothing is refused.
    package func send(_ bytes: [UInt8]) {}
    package func pauseReading() {}
    package func resumeReading() {}
    /// No more will be sent, once what waits has gone.
    package func shutdownWrite() {}
    /// Closes now; what waits is dropped, and `closed` is not called.
    package func close() {}
}
