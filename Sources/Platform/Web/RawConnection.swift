// A nonblocking stream socket on the loop: agents, nodes, and the connections of the HTTP client.
package import Essentials
internal import Glibc

/// What happens on one raw connection. Called on the loop.
@WebLoop
package protocol RawConnectionHandler: AnyObject {
    func received(_ connection: RawConnection, _ bytes: [UInt8])
    /// The other side will send no more; the connection may still be written to. Default: close, as `closed` would say.
    func ended(_ connection: RawConnection)
    /// The waiting bytes fell below the low-water mark after having been above it.
    func drained(_ connection: RawConnection)
    /// Called once, last, unless this side called `close()`; `error` is nil after an orderly end.
    func closed(_ connection: RawConnection, error: String?)
}

extension RawConnectionHandler {
    package func ended(_ connection: RawConnection) {
        connection.close()
        closed(connection, error: nil)
    }
    package func drained(_ connection: RawConnection) {}
    package func closed(_ connection: RawConnection, error: String?) {}
}

@WebLoop
package final class RawConnection: PollSource {
    /// Bytes taken in one read, and reads in one turn: what one connection may hold up the others for.
    private static let readBytes = 128 << 10
    private static let readsPerTurn = 4
    /// `drained` comes when fewer bytes than this wait.
    package static let lowWaterBytes = 128 << 10

    /// Bytes given to `send` that the system has not taken yet.
    package private(set) var bufferedBytes = 0
    package private(set) var isOpen = true

    private let stream: any ByteStream
    /// Let go of when the connection is closed, as handlers keep their connections.
    private var handler: (any RawConnectionHandler)?
    private var watch = Watch()
    private var queue: [[UInt8]] = []
    private var first = 0
    private var offset = 0
    private var readingPaused = false
    private var readEnded = false
    private var shutdownPending = false
    private var wasAboveLowWater = false
    private var continuing = false

    private init(_ stream: any ByteStream, _ handler: any RawConnectionHandler) {
        self.stream = stream
        self.handler = handler
    }

    /// Takes ownership of a connected or connecting stream socket.
    package static func adopt(_ descriptor: OwnedDescriptor, handler: any RawConnectionHandler) throws(WebProblem) -> RawConnection {
        let number = descriptor.take()
        guard number >= 0 else { throw .socket("the descriptor was taken before") }
        let flags = fcntl(number, F_GETFL)
        guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 else {
            Glibc.close(number)
            throw .socket(errnoText("fcntl"))
        }
        // Fails on unix sockets, which need no such thing.
        var one: Int32 = 1
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        return adopt(PlainStream(number), handler: handler)
    }

    static func adopt(_ stream: any ByteStream, handler: any RawConnectionHandler) -> RawConnection {
        let connection = RawConnection(stream, handler)
        connection.updateWatch()
        return connection
    }

    /// Sends now as far as the socket takes it; the rest waits. Watch `bufferedBytes`: nothing is refused.
    package func send(_ bytes: [UInt8]) {
        guard isOpen, !shutdownPending, !bytes.isEmpty else { return }
        queue.append(bytes)
        bufferedBytes += bytes.count
        if queue.count - first == 1, !flush() { return }
        if bufferedBytes > Self.lowWaterBytes { wasAboveLowWater = true }
        updateWatch()
    }

    package func pauseReading() {
        readingPaused = true
        updateWatch()
    }

    package func resumeReading() {
        guard readingPaused else { return }
        readingPaused = false
        if stream.hasHiddenBytes { readSoon() }
        updateWatch()
    }

    /// No more will be sent, once what waits has gone.
    package func shutdownWrite() {
        guard isOpen, !shutdownPending else { return }
        shutdownPending = true
        if bufferedBytes == 0 { stream.shutdownWrite() }
    }

    /// Closes now; what waits is dropped, and `closed` is not called.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        queue = []
        first = 0
        bufferedBytes = 0
        watch.end(stream.descriptor)
        stream.close()
        handler = nil
    }

    private func fail(_ error: String?) {
        guard isOpen else { return }
        let handler = handler
        close()
        handler?.closed(self, error: error)
    }

    private func updateWatch() {
        guard isOpen else { return }
        var mask: UInt32 = 0
        if !readingPaused, !readEnded { mask |= Poller.readable }
        if bufferedBytes > 0 { mask |= stream.writeNeedsReadable ? Poller.readable : Poller.writable }
        if stream.needsWritable, !readingPaused { mask |= Poller.writable }
        watch.set(stream.descriptor, mask, self)
    }

    func ready(_ events: UInt32) {
        if bufferedBytes > 0, !flush() { return }
        if !readingPaused, !readEnded { readSome() }
        guard isOpen else { return }
        if wasAboveLowWater, bufferedBytes < Self.lowWaterBytes {
            wasAboveLowWater = false
            handler?.drained(self)
        }
        updateWatch()
    }

    private func readSome() {
        let buffer = UnsafeMutableRawBufferPointer(start: LoopEngine.shared.scratch, count: Self.readBytes)
        for _ in 0..<Self.readsPerTurn {
            switch stream.read(into: buffer) {
            case .bytes(let count):
                handler?.received(self, Array(UnsafeRawBufferPointer(rebasing: buffer[..<count])))
                if !isOpen || readingPaused { return }
                if count < buffer.count, !stream.hasHiddenBytes { return }
            case .blocked: return
            case .ended:
                readEnded = true
                updateWatch()
                handler?.ended(self)
                return
            case .failed(let error): return fail(error)
            }
        }
        if stream.hasHiddenBytes { readSoon() }
    }

    private func readSoon() {
        guard !continuing else { return }
        continuing = true
        WebLoop.post {
            self.continuing = false
            if self.isOpen, !self.readingPaused, !self.readEnded { self.readSome() }
            self.updateWatch()
        }
    }

    /// False when the connection failed.
    private func flush() -> Bool {
        while first < queue.count {
            let result = queue[first].withUnsafeBytes { stream.write(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
            switch result {
            case .bytes(let count):
                bufferedBytes -= count
                offset += count
                if offset == queue[first].count {
                    queue[first] = []
                    first += 1
                    offset = 0
                }
            case .blocked:
                compact()
                return true
            case .ended, .failed:
                if case .failed(let error) = result { fail(error) } else { fail(nil) }
                return false
            }
        }
        compact()
        if shutdownPending { stream.shutdownWrite() }
        return true
    }

    private func compact() {
        guard first == queue.count || first > 64 else { return }
        queue.removeSubrange(..<first)
        first = 0
    }
}
