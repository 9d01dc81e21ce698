// Copies bytes between a client and a node, both ways, unchanged, with backpressure and half-close.
//
// Each direction reads into the loop's scratch buffer and writes straight from it; what the target does not take is kept,
// and the source is not read until it has gone. So a splice holds at most one read per direction.
internal import Essentials
internal import Glibc

@WebLoop
final class Splice: Arriving {
    private static let readBytes = 256 << 10
    /// Reads of one direction in one turn.
    private static let readsPerTurn = 4

    let address: String
    private let server: RunningServer
    private let near: End
    private let far: End
    private var lastActivity: Double
    private var isOver = false
    private var answered = false

    /// One end: the stream, what waits to be written to it, and whether it sends any more.
    private final class End: PollSource {
        let stream: any ByteStream
        var watch = Watch()
        var waiting: [UInt8] = []
        var offset = 0
        var ended = false
        var shutDown = false
        var continuing = false
        weak var splice: Splice?

        init(_ stream: any ByteStream) { self.stream = stream }

        func ready(_ events: UInt32) { splice?.ready(self) }
        var hasWaiting: Bool { offset < waiting.count }
    }

    init(server: RunningServer, near: any ByteStream, far: any ByteStream, address: String, toFar: [UInt8]) {
        self.server = server
        self.address = address
        self.near = End(near)
        self.far = End(far)
        self.far.waiting = toFar
        lastActivity = LoopEngine.shared.poller.coarseNow
        self.near.splice = self
        self.far.splice = self
    }

    func begin() { ready(near) }

    func tick(now: Double) {
        if now - lastActivity > Double(server.limits.spliceIdleSeconds) { abandon() }
    }

    func abandon() {
        guard !isOver else { return }
        isOver = true
        for end in [near, far] {
            end.watch.end(end.stream.descriptor)
            end.stream.close()
        }
        server.advance(self, to: nil)
    }

    private func ready(_ end: End) {
        guard !isOver else { return }
        pump(from: near, to: far)
        if !isOver { pump(from: far, to: near) }
        guard !isOver else { return }
        if near.ended, far.ended, !near.hasWaiting, !far.hasWaiting { return abandon() }
        updateWatches()
    }

    private func pump(from source: End, to target: End) {
        let scratch = UnsafeMutableRawBufferPointer(start: LoopEngine.shared.scratch, count: Self.readBytes)
        guard flush(target) else { return }
        var reads = 0
        while !target.hasWaiting, !source.ended, reads < Self.readsPerTurn {
            reads += 1
            switch source.stream.read(into: scratch) {
            case .bytes(let count):
                lastActivity = LoopEngine.shared.poller.coarseNow
                if source === far { answered = true }
                guard write(UnsafeRawBufferPointer(rebasing: scratch[..<count]), to: target) else { return }
                if count < Self.readBytes / 2, !source.stream.hasHiddenBytes { break }
            case .blocked: return
            case .ended:
                source.ended = true
                if !target.hasWaiting { shutDown(target) }
            case .failed:
                failed(source)
                return
            }
        }
        if reads == Self.readsPerTurn, source.stream.hasHiddenBytes { continueSoon(source) }
    }

    // Decrypted bytes left behind by the limit of a turn: epoll would not tell.
    private func continueSoon(_ source: End) {
        guard !source.continuing else { return }
        source.continuing = true
        WebLoop.post {
            source.continuing = false
            self.ready(source)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, to target: End) -> Bool {
        var offset = 0
        while offset < bytes.count {
            switch target.stream.write(UnsafeRawBufferPointer(rebasing: bytes[offset...])) {
            case .bytes(let count): offset += count
            case .blocked:
                target.waiting = Array(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
                target.offset = 0
                return true
            case .ended, .failed:
                failed(target)
                return false
            }
        }
        return true
    }

    private func flush(_ target: End) -> Bool {
        while target.hasWaiting {
            let result = target.waiting.withUnsafeBytes { target.stream.write(UnsafeRawBufferPointer(rebasing: $0[target.offset...])) }
            switch result {
            case .bytes(let count):
                target.offset += count
                lastActivity = LoopEngine.shared.poller.coarseNow
            case .blocked: return true
            case .ended, .failed:
                failed(target)
                return false
            }
        }
        target.waiting = []
        target.offset = 0
        if (target === far ? near : far).ended { shutDown(target) }
        return true
    }

    private func shutDown(_ end: End) {
        guard !end.shutDown else { return }
        end.shutDown = true
        end.stream.shutdownWrite()
    }

    /// A node that cannot be reached is worth an answer; anything later can only be cut.
    private func failed(_ end: End) {
        guard !isOver else { return }
        if end === far, !answered {
            isOver = true
            far.watch.end(far.stream.descriptor)
            far.stream.close()
            near.watch.end(near.stream.descriptor)
            let farewell = Farewell(server: server, stream: near.stream, address: address)
            server.advance(self, to: farewell)
            farewell.begin(HTTPResponse.text("The node closed the connection without an answer.\n", status: 502).encodedHTTP1(), alreadyRead: true)
        } else {
            abandon()
        }
    }

    private func updateWatches() {
        for (end, other) in [(near, far), (far, near)] {
            var mask: UInt32 = 0
            if !end.ended, !other.hasWaiting { mask |= end.stream.needsWritable ? Poller.writable : Poller.readable }
            if end.hasWaiting { mask |= end.stream.writeNeedsReadable ? Poller.readable : Poller.writable }
            end.watch.set(end.stream.descriptor, mask, end)
        }
    }
}
