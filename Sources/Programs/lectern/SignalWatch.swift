// Signals as a stream.
@preconcurrency internal import Dispatch
internal import Glibc

/// Takes the given signals from their defaults and yields them.
final class SignalWatch: Sendable {
    /// Signals that wait; later ones are dropped, since one is enough to stop.
    static let bufferLimit = 8

    let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init(_ signals: [Int32]) {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingOldest(Self.bufferLimit))
        self.stream = stream
        sources = signals.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.activate()
            return source
        }
    }
}
