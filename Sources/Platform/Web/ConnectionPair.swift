// Two connections joined: what one receives the other sends, with back-pressure, and each end's end.
package import Essentials

@WebLoop
package final class ConnectionPair {
    /// Bytes that may wait on one side before the other is not read from.
    private static let waitingLimitBytes = 256 << 10

    @WebLoop
    private final class End: RawConnectionHandler {
        unowned let pair: ConnectionPair
        let owner: ConnectionPair
        var connection: RawConnection?
        var isPaused = false
        var early: [[UInt8]] = []
        var hasEnded = false

        init(_ pair: ConnectionPair) {
            self.pair = pair
            owner = pair
        }

        func received(_ connection: RawConnection, _ bytes: [UInt8]) { pair.pass(bytes, from: self) }
        func ended(_ connection: RawConnection) { pair.finish(self) }
        func drained(_ connection: RawConnection) { pair.drained(self) }
        func closed(_ connection: RawConnection, error: String?) { pair.close() }
    }

    private var ends: [End] = []

    package init() { ends = [End(self), End(self)] }

    /// Handles the first connection; give it to whoever owns that one.
    package var first: any RawConnectionHandler { ends[0] }
    package var second: any RawConnectionHandler { ends[1] }

    package func set(first connection: RawConnection) { set(connection, 0) }
    package func set(second connection: RawConnection) { set(connection, 1) }

    /// Joins `connection` with a connected, or connecting, socket.
    package func join(_ connection: RawConnection, _ socket: OwnedDescriptor) {
        set(connection, 0)
        guard let other = try? RawConnection.adopt(socket, handler: ends[1]) else { return close() }
        set(other, 1)
    }

    private func set(_ connection: RawConnection, _ place: Int) {
        guard !ends.isEmpty else { return connection.close() }
        ends[place].connection = connection
        let other = ends[1 - place]
        for bytes in other.early { connection.send(bytes) }
        other.early = []
        if other.hasEnded { connection.shutdownWrite() }
        if other.isPaused {
            other.isPaused = false
            other.connection?.resumeReading()
        }
    }

    private func other(_ end: End) -> End? {
        guard ends.count == 2 else { return nil }
        return end === ends[0] ? ends[1] : ends[0]
    }

    private func pass(_ bytes: [UInt8], from end: End) {
        guard let other = other(end) else { return }
        if let connection = other.connection {
            connection.send(bytes)
            guard connection.isOpen, connection.bufferedBytes > Self.waitingLimitBytes, !end.isPaused else { return }
        } else {
            end.early.append(bytes)
        }
        end.isPaused = true
        end.connection?.pauseReading()
    }

    private func drained(_ end: End) {
        guard let other = other(end) else { return }
        if end.hasEnded, other.hasEnded { return finish(end) }
        guard other.isPaused else { return }
        other.isPaused = false
        other.connection?.resumeReading()
    }

    private func finish(_ end: End) {
        guard let other = other(end) else { return }
        end.hasEnded = true
        other.connection?.shutdownWrite()
        if other.hasEnded, (end.connection?.bufferedBytes ?? 0) == 0, (other.connection?.bufferedBytes ?? 0) == 0 { close() }
    }

    package func close() {
        let all = ends
        ends = []
        for end in all {
            end.connection?.close()
            end.connection = nil
        }
    }
}
