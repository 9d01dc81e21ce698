// The signals that ask a program to end, as something to wait for.
@preconcurrency internal import Dispatch
internal import Glibc

enum EndSignals {
    /// Returns at the first SIGTERM or SIGINT; from the call on they do not end the process by themselves.
    static func first() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(1))
        let sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(()) }
            source.activate()
            return source
        }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
