// Bodies that flow between the loop and a task: the request body as a sequence of chunks, and the writer of a response body.
//
// Both are a bounded queue under a mutex: the side that would overfill it waits (a task suspends; the loop stops reading),
// and the side that drains it tells the other.
internal import Synchronization

/// The body of a request: chunks as they come. Reading slowly slows the sender. For one consumer.
package final class RequestBody: AsyncSequence, Sendable {
    package typealias Element = [UInt8]

    private struct State {
        var chunks: [[UInt8]] = []
        var bytes = 0
        var ended = false
        var failure: WebProblem?
        var waiter: CheckedContinuation<Void, Never>?
        /// The producer was told to stop and wants to hear when there is room.
        var producerWaits = false
        var discards = false
    }

    private let state: Mutex<State>
    private let limitBytes: Int
    private let roomAgain: @Sendable () -> Void
    /// Bytes in all, where the head told.
    package let contentLength: Int?

    /// A body that is there already.
    package init(bytes: [UInt8] = []) {
        state = Mutex(State(chunks: bytes.isEmpty ? [] : [bytes], bytes: bytes.count, ended: true))
        limitBytes = bytes.count
        contentLength = bytes.count
        roomAgain = {}
    }

    init(contentLength: Int?, limitBytes: Int, roomAgain: @escaping @Sendable () -> Void) {
        state = Mutex(State())
        self.contentLength = contentLength
        self.limitBytes = limitBytes
        self.roomAgain = roomAgain
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let body: RequestBody

        /// The next chunk, nil at the end; throws `WebProblem`.
        package mutating func next() async throws(WebProblem) -> [UInt8]? { try await body.next() }

        package mutating func next(isolation actor: isolated (any Actor)?) async throws(WebProblem) -> [UInt8]? {
            try await body.next()
        }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: self) }

    /// The whole body; throws `.bodyTooLarge` as soon as it is known to exceed `limitBytes`.
    package func collect(limitBytes: Int) async throws(WebProblem) -> [UInt8] {
        if let contentLength, contentLength > limitBytes { throw .bodyTooLarge(limitBytes: limitBytes) }
        var result: [UInt8] = []
        while let chunk = try await next() {
            guard result.count + chunk.count <= limitBytes else { throw .bodyTooLarge(limitBytes: limitBytes) }
            if result.isEmpty { result = chunk } else { result += chunk }
        }
        return result
    }

    private enum Taken {
        case chunk([UInt8], roomAgain: Bool)
        case end
        case failed(WebProblem)
        case wait
    }

    private func take() -> Taken {
        state.withLock { state in
            if !state.chunks.isEmpty {
                let chunk = state.chunks.removeFirst()
                state.bytes -= chunk.count
                let tell = state.producerWaits && state.bytes <= limitBytes / 2
                if tell { state.producerWaits = false }
                return .chunk(chunk, roomAgain: tell)
            }
            if let failure = state.failure { return .failed(failure) }
            return state.ended ? .end : .wait
        }
    }

    private func next() async throws(WebProblem) -> [UInt8]? {
        while true {
            switch take() {
            case .chunk(let chunk, let tell):
                if tell { roomAgain() }
                return chunk
            case .end: return nil
            case .failed(let problem): throw problem
            case .wait:
                await withCheckedContinuation { continuation in
                    let resume = state.withLock { state in
                        if !state.chunks.isEmpty || state.ended || state.failure != nil { return true }
                        precondition(state.waiter == nil, "a body has one consumer")
                        state.waiter = continuation
                        return false
                    }
                    if resume { continuation.resume() }
                }
            }
        }
    }

    // The producer's side.

    /// True when the producer should stop until `roomAgain` is called.
    func append(_ chunk: [UInt8]) -> Bool {
        let (waiter, full) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool) in
            if state.discards || state.failure != nil { return (nil, false) }
            state.chunks.append(chunk)
            state.bytes += chunk.count
            state.producerWaits = state.bytes > limitBytes
            defer { state.waiter = nil }
            return (state.waiter, state.producerWaits)
        }
        waiter?.resume()
        return full
    }

    func end() { finish(nil) }
    func fail(_ problem: WebProblem) { finish(problem) }

    private func finish(_ problem: WebProblem?) {
        let waiter = state.withLock { state in
            if let problem, !state.ended { state.failure = state.failure ?? problem }
            if problem == nil { state.ended = true }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Nobody will read any more: what is there and what comes is dropped.
    func discard() {
        let tell = state.withLock { state in
            state.discards = true
            state.chunks = []
            state.bytes = 0
            defer { state.producerWaits = false }
            return state.producerWaits
        }
        if tell { roomAgain() }
    }
}

/// Writes a streamed response body. For one task at a time.
package final class HTTPBodyWriter: Sendable {
    private struct State {
        var chunks: [[UInt8]] = []
        var first = 0
        var offset = 0
        var bytes = 0
        var finished = false
        var gone: WebProblem?
        var waiter: CheckedContinuation<Void, Never>?
        /// The loop knows that there is something to send.
        var signalled = false
    }

    private let state = Mutex(State())
    private let limitBytes: Int
    private let signal: @Sendable () -> Void

    init(limitBytes: Int, signal: @escaping @Sendable () -> Void) {
        self.limitBytes = limitBytes
        self.signal = signal
    }

    /// Queues bytes; suspends while the client is behind, throws `WebProblem.peerGone` when it went away.
    package func write(_ bytes: [UInt8]) async throws(WebProblem) {
        if bytes.isEmpty { return }
        let (gone, tell) = state.withLock { state -> (WebProblem?, Bool) in
            if let gone = state.gone { return (gone, false) }
            state.chunks.append(bytes)
            state.bytes += bytes.count
            defer { state.signalled = true }
            return (nil, !state.signalled)
        }
        if let gone { throw gone }
        if tell { signal() }
        await withCheckedContinuation { continuation in
            let resume = state.withLock { state in
                if state.gone != nil || state.bytes <= limitBytes { return true }
                state.waiter = continuation
                return false
            }
            if resume { continuation.resume() }
        }
        if let gone = state.withLock({ $0.gone }) { throw gone }
    }

    package func write(_ text: String) async throws(WebProblem) { try await write(Array(text.utf8)) }

    // The loop's side.

    /// The writer's closure is done.
    func finish() {
        state.withLock { $0.finished = true }
        signal()
    }

    /// The client went away.
    func fail(_ problem: WebProblem) {
        let waiter = state.withLock { state in
            state.gone = problem
            state.chunks = []
            state.bytes = 0
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Copies up to `target.count` bytes out; `ended` when nothing will follow.
    func take(into target: UnsafeMutableRawBufferPointer) -> (count: Int, ended: Bool) {
        var waiter: CheckedContinuation<Void, Never>?
        let result = state.withLock { state in
            var count = 0
            while count < target.count, state.first < state.chunks.count {
                let piece = min(target.count - count, state.chunks[state.first].count - state.offset)
                state.chunks[state.first].withUnsafeBytes { source in
                    target.baseAddress!.advanced(by: count).copyMemory(from: source.baseAddress! + state.offset, byteCount: piece)
                }
                count += piece
                state.offset += piece
                if state.offset == state.chunks[state.first].count {
                    state.chunks[state.first] = []
                    state.first += 1
                    state.offset = 0
                }
            }
            if state.first == state.chunks.count {
                state.chunks.removeAll(keepingCapacity: true)
                state.first = 0
                state.signalled = false
            }
            state.bytes -= count
            if state.bytes <= limitBytes / 2 {
                waiter = state.waiter
                state.waiter = nil
            }
            return (count, state.finished && state.bytes == 0)
        }
        waiter?.resume()
        return result
    }
}
