// Copies bytes between a client and a node, both ways, unchanged, with backpressure and half-close.
//
// Each direction reads into the loop's scratch buffer and writes straight from it; what the target does not take is kept,
// and the source is not read until it has gone. So a splice holds at most one read per direction. A plain source that fills
// whole reads gets a pipe, and its bytes no longer pass through this process until they stop coming in bulk.
internal import Essentials
internal import Glibc

@WebLoop
final class Splice: Arriving {
    private static let readBytes = 256 << 10
    /// A read of this size starts a pipe; one below the other ends its use.
    private static let bulkBytes = 64 << 10
    private static let quietBytes = 4 << 10
    /// Rounds through a pipe in one turn: a round may move a whole mebibyte.
    private static let pipeRoundsPerTurn = 2
    private static let everything = Poller.readable | Poller.writable
    private static let pipeIdleSeconds = 2.0
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
        /// It takes no more bytes, though some of its own may still be there.
        var isBroken = false
        /// Carries bulk data towards this end; while it is there, nothing is in `waiting`.
        var pipe: KernelPipe?
        weak var splice: Splice?

        init(_ stream: any ByteStream) { self.stream = stream }

        func ready(_ events: UInt32) { splice?.ready(self, events) }
        var hasWaiting: Bool { offset < waiting.count || (pipe?.bytes ?? 0) > 0 }

        func close() {
            watch.end(stream.descriptor)
            stream.close()
            pipe?.giveBack()
            pipe = nil
        }
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

    func begin() { ready(near, Self.everything) }

    func tick(now: Double) {
        if now - lastActivity > Double(server.limits.spliceIdleSeconds) { return abandon() }
        if now - lastActivity > Self.pipeIdleSeconds { for end in [near, far] { dropPipe(of: end) } }
    }

    func abandon() {
        guard !isOver else { return }
        isOver = true
        for end in [near, far] {
            end.close()
        }
        server.advance(self, to: nil)
    }

    private func ready(_ end: End, _ events: UInt32) {
        guard !isOver else { return }
        let other = end === near ? far : near
        // TLS reads to write and writes to read, so its events tell less.
        let isPlain = near.stream is PlainStream && far.stream is PlainStream
        let wanted = isPlain ? events : Self.everything
        if wanted & ~Poller.writable != 0 { pump(from: end, to: other) }
        if !isOver, wanted & Poller.writable != 0 { pump(from: other, to: end) }
        guard !isOver else { return }
        if near.ended, far.ended, !near.hasWaiting, !far.hasWaiting {
            if far.isBroken { sayGoodbye([]) } else { abandon() }
            return
        }
        updateWatches()
    }

    private func pump(from source: End, to target: End) {
        if let pipe = target.pipe { return pump(from: source, through: pipe, to: target) }
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
                if count >= Self.bulkBytes, !target.hasWaiting, source.stream is PlainStream, target.stream is PlainStream {
                    target.pipe = KernelPipe.take()
                    if let pipe = target.pipe { return pump(from: source, through: pipe, to: target) }
                }
                if count < Self.readBytes / 2, !source.stream.hasHiddenBytes { return }
            case .blocked:
                if source.isBroken { failed(source) }
                return
            case .ended:
                if source.isBroken, !answered { return failed(source) }
                source.ended = true
                if !target.hasWaiting { shutDown(target) }
            case .failed:
                if source.isBroken, answered { source.ended = true } else { return failed(source) }
                if !target.hasWaiting { shutDown(target) }
            }
        }
        if reads == Self.readsPerTurn, source.stream.hasHiddenBytes { continueSoon(source) }
    }

    private func pump(from source: End, through pipe: KernelPipe, to target: End) {
        for _ in 0..<Self.pipeRoundsPerTurn {
            var taken = 0
            if pipe.bytes == 0, !source.ended {
                switch pipe.fill(from: source.stream.descriptor) {
                case .bytes(let count):
                    taken = count
                    if source === far { answered = true }
                case .blocked: if source.isBroken { return failed(source) }
                case .ended:
                    if source.isBroken, !answered { return failed(source) }
                    source.ended = true
                case .failed: if source.isBroken, answered { source.ended = true } else { return failed(source) }
                }
            }
            while pipe.bytes > 0 {
                switch pipe.empty(into: target.stream.descriptor) {
                case .bytes: lastActivity = LoopEngine.shared.poller.coarseNow
                case .blocked: return
                case .ended, .failed: return cannotWrite(to: target)
                }
            }
            if source.ended || (taken > 0 && taken < Self.quietBytes) {
                dropPipe(of: target)
                if source.ended { shutDown(target) }
                return
            }
            if taken == 0 { return }
        }
    }

    // The bulk is over: the pipe is for others.
    private func dropPipe(of end: End) {
        guard let pipe = end.pipe, pipe.bytes == 0 else { return }
        pipe.giveBack()
        end.pipe = nil
    }

    // Decrypted bytes left behind by the limit of a turn: epoll would not tell.
    private func continueSoon(_ source: End) {
        guard !source.continuing else { return }
        source.continuing = true
        WebLoop.post {
            source.continuing = false
            self.ready(source, Self.everything)
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
                cannotWrite(to: target)
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
                cannotWrite(to: target)
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

    // A node may answer and close while the client still sends: what it said is passed on before the end.
    private func cannotWrite(to end: End) {
        guard end === far, !isOver, !far.isBroken else { return failed(end) }
        far.isBroken = true
        far.waiting = []
        far.offset = 0
        far.pipe = nil
        near.ended = true
        pump(from: far, to: near)
    }

    /// A node that cannot be reached is worth an answer; anything later can only be cut.
    private func failed(_ end: End) {
        guard !isOver else { return }
        if end === far, !answered {
            sayGoodbye(HTTPResponse.text("The node closed the connection without an answer.\n", status: 502).encodedHTTP1())
        } else {
            abandon()
        }
    }

    private func sayGoodbye(_ bytes: [UInt8]) {
        isOver = true
        far.close()
        near.pipe?.giveBack()
        near.pipe = nil
        near.watch.end(near.stream.descriptor)
        let farewell = Farewell(server: server, stream: near.stream, address: address)
        server.advance(self, to: farewell)
        farewell.begin(bytes)
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
