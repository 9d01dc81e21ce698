// What containers print: read from their pipes, kept in a file of limited size, served to `kubectl logs`.
//
// A line in the file is `TIME STREAM TAG TEXT`, the form of the Container Runtime Interface: TAG is F for a whole line
// and P for a part of one. A file that is full becomes `.1` and a new one begins, so a container holds at most twice the
// limit. The pipe is open at both ends in the container itself: while no server reads it, a container that prints more
// than a pipe holds waits, and nothing is lost.
package import Essentials
package import Kernel
internal import Synchronization

package struct LogOptions: Sendable, Equatable {
    package var tailLines: Int?
    package var since: Timestamp?
    package var timestamps = false
    package var limitBytes: Int?
    package var follow = false
    package init(tailLines: Int? = nil, since: Timestamp? = nil, timestamps: Bool = false, limitBytes: Int? = nil, follow: Bool = false) {
        self.tailLines = tailLines
        self.since = since
        self.timestamps = timestamps
        self.limitBytes = limitBytes
        self.follow = follow
    }
}

package final class ContainerLog: Sendable {
    /// A file larger than this is set aside.
    package static let fileLimitBytes = 2 << 20
    /// A longer line is kept in parts.
    package static let lineLimitBytes = 16 << 10
    /// A reader that is further behind than this many chunks loses some.
    private static let followLimitChunks = 256

    /// What a pipe may bring in a second; a container that prints more waits. A thread and a disk are shared by all.
    package static let limitBytesPerSecond = 1 << 20

    /// Counts what came in a second.
    package struct Pace: Sendable {
        private var start = 0.0
        private var bytes = 0
        package init() {}

        /// Milliseconds to wait when it was too much.
        package mutating func note(_ count: Int, at now: Double) -> Int? {
            if now - start >= 1 {
                start = now
                bytes = 0
            }
            bytes += count
            guard bytes >= ContainerLog.limitBytesPerSecond else { return nil }
            return max(1, Int((start + 1 - now) * 1000))
        }
    }

    private struct State {
        var file: OwnedDescriptor?
        var size = 0
        var partial: [String: [UInt8]] = [:]
        var followers: [Int: (AsyncStream<[UInt8]>.Continuation, LogOptions)] = [:]
        var nextFollower = 0
        var watches: [UInt64] = []
    }

    private let path: String
    private let kernel: any Kernel
    private let clock: any WallClock
    private let state = Mutex(State())

    package init(path: String, kernel: any Kernel, clock: any WallClock) {
        self.path = path
        self.kernel = kernel
        self.clock = clock
    }

    /// Reads a pod's two pipes on the readiness thread until `close`.
    package func follow(_ pod: PodPaths, on readiness: Readiness) throws(KernelProblem) {
        for (pipe, stream) in [(pod.output, "stdout"), (pod.errors, "stderr")] {
            let descriptor = try kernel.openFIFO(pipe, blocking: false)
            let pace = Mutex(Pace())
            let watch = try readiness.watch(descriptor) { [weak self] in
                guard let self else { return .stop }
                guard let bytes = try? kernel.receive(from: descriptor, limitBytes: 65536) else { return .again }
                append(bytes, stream: stream)
                return pace.withLock { $0.note(bytes.count, at: monotonicSeconds()) }.map { .pause(milliseconds: $0) } ?? .again
            }
            state.withLock { $0.watches.append(watch) }
        }
    }

    package func close(_ readiness: Readiness?) {
        let (watches, followers) = state.withLock { state in
            defer {
                state.watches = []
                state.followers = [:]
                state.file = nil
            }
            return (state.watches, Array(state.followers.values))
        }
        for watch in watches { readiness?.cancel(watch) }
        for (follower, _) in followers { follower.finish() }
    }

    package func append(_ bytes: [UInt8], stream: String) {
        let now = clock.now()
        state.withLock { state in
            var rest = bytes[...]
            var output: [UInt8] = []
            while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = (state.partial.removeValue(forKey: stream) ?? []) + rest[..<newline]
                output += Self.entry(now, stream, "F", line)
                rest = rest[(newline + 1)...]
            }
            var open = (state.partial[stream] ?? []) + rest
            while open.count > Self.lineLimitBytes {
                output += Self.entry(now, stream, "P", Array(open.prefix(Self.lineLimitBytes)))
                open.removeFirst(Self.lineLimitBytes)
            }
            state.partial[stream] = open.isEmpty ? nil : open
            if !output.isEmpty { store(output, &state) }
        }
    }

    private func store(_ output: [UInt8], _ state: inout State) {
        if state.size > Self.fileLimitBytes {
            state.file = nil
            try? kernel.rename(path, to: path + ".1")
        }
        if state.file == nil {
            state.file = try? kernel.openForAppending(path)
            state.size = ((try? kernel.allocatedBytes(path)).map { Int(clamping: $0) }) ?? 0
        }
        // A full disk costs lines of a log, never a lab.
        if let file = state.file { try? kernel.send(output, to: file) }
        state.size += output.count
        // The end of a stream takes no lock, for it may come under its task's own: readers that went are noticed here.
        for (number, (follower, options)) in state.followers {
            if case .terminated = follower.yield(Self.render(output, options)) { state.followers[number] = nil }
        }
    }

    /// What was printed, as `options` wish; with `follow`, what comes as well until `close` or the reader's end.
    package func read(_ options: LogOptions) -> AsyncStream<[UInt8]> {
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingNewest(Self.followLimitChunks))
        state.withLock { state in
            let text = Self.select(stored(), options)
            if !text.isEmpty { continuation.yield(text) }
            guard options.follow else {
                continuation.finish()
                return
            }
            let number = state.nextFollower
            state.nextFollower += 1
            state.followers[number] = (continuation, options)
        }
        return stream
    }

    private func stored() -> [UInt8] {
        let limit = Self.fileLimitBytes * 2
        return ((try? kernel.read(path + ".1", limitBytes: limit)) ?? []) + ((try? kernel.read(path, limitBytes: limit)) ?? [])
    }

    static func entry(_ time: Timestamp, _ stream: String, _ tag: String, _ line: [UInt8]) -> [UInt8] {
        Array("\(time.rfc3339Micro) \(stream) \(tag) ".utf8) + line + [UInt8(ascii: "\n")]
    }

    /// Applies `since`, `tailLines` and `limitBytes` to a file's content.
    static func select(_ stored: [UInt8], _ options: LogOptions) -> [UInt8] {
        var lines = stored.split(separator: UInt8(ascii: "\n"))
        if let since = options.since {
            lines.removeAll { line in
                Timestamp(rfc3339: String(decoding: line.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)).map { $0 < since } ?? false
            }
        }
        if let tail = options.tailLines {
            // Parts of one line count as one.
            var wanted = tail
            var start = lines.count
            while start > 0 {
                if tag(lines[start - 1]) == UInt8(ascii: "F") {
                    if wanted == 0 { break }
                    wanted -= 1
                }
                start -= 1
            }
            lines.removeFirst(start)
        }
        var output: [UInt8] = []
        for line in lines { output += render(Array(line) + [UInt8(ascii: "\n")], options) }
        if let limit = options.limitBytes, output.count > limit { output.removeLast(output.count - limit) }
        return output
    }

    private static func tag(_ line: ArraySlice<UInt8>) -> UInt8 {
        let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        return parts.count > 2 ? parts[2].first ?? UInt8(ascii: "F") : UInt8(ascii: "F")
    }

    /// Turns stored lines back into what was printed.
    private static func render(_ stored: [UInt8], _ options: LogOptions) -> [UInt8] {
        var output: [UInt8] = []
        for line in stored.split(separator: UInt8(ascii: "\n")) {
            let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
            guard parts.count == 4 else { continue }
            if options.timestamps { output += parts[0] + [UInt8(ascii: " ")] }
            output += parts[3]
            if parts[2].first == UInt8(ascii: "F") { output.append(UInt8(ascii: "\n")) }
        }
        return output
    }
}
