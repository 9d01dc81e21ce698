// What a container prints, in the file form of the Container Runtime Interface: `TIME STREAM TAG TEXT`, where TAG is F for a
// whole line and P for a part of one.
//
// One writer per running container. A file that is full is renamed with its time and a new one begins; readers that follow
// read the files at their own pace and are woken when there is more, so a slow reader costs no memory and misses nothing
// that is still on the disk.
internal import Essentials
internal import Kernel
internal import Synchronization

final class PodLog: Sendable {
    /// A file larger than this is set aside.
    static let fileLimitBytes: Int64 = 10 << 20
    /// Files of one container; the oldest goes when there are more.
    static let filesLimit = 3
    /// A longer line is kept in parts.
    static let lineLimitBytes = 16 << 10
    /// A chunk as large as this is one of many.
    static let floodBytes = 4096
    /// What a container's pipe may bring in a second; one that prints more waits, so that it cannot starve the others.
    static let limitBytesPerSecond = 8 << 20
    /// Chunks that a watcher may be behind before the container waits for it.
    static let watcherLimitChunks = 64

    private struct State {
        var file: OwnedDescriptor?
        var sizeBytes: Int64 = 0
        var partial: [UInt8: [UInt8]] = [:]
        /// Which of its files is written; grows by one with each that was set aside.
        var number = 0
        /// Files set aside in this process' time, by number.
        var aside: [Int: String] = [:]
        var generation: UInt64 = 0
        var isOver = false
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var watchers: [UInt64: AsyncStream<(channel: UInt8, bytes: [UInt8])>.Continuation] = [:]
        var nextIdentifier: UInt64 = 0
        var second = 0.0
        var secondBytes = 0
    }

    let path: String
    private let kernel: LinuxKernel
    private let clock: any WallClock
    private let state = Mutex(State())

    init(path: String, kernel: LinuxKernel, clock: any WallClock) {
        self.path = path
        self.kernel = kernel
        self.clock = clock
    }

    /// Takes output in; answers with milliseconds to wait before more is taken.
    func append(_ bytes: [UInt8], channel: UInt8) -> Int? {
        let now = clock.now()
        let mono = monotonicSeconds()
        return state.withLock { state in
            var output: [UInt8] = []
            output.reserveCapacity(bytes.count + 128)
            let prefix = Self.prefix(now, channel)
            var start = bytes.startIndex
            while let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                output += prefix
                output += Self.full
                if let begun = state.partial.removeValue(forKey: channel) { output += begun }
                output += bytes[start...newline]
                start = newline + 1
            }
            if start < bytes.endIndex {
                var open = (state.partial.removeValue(forKey: channel) ?? []) + bytes[start...]
                while open.count > Self.lineLimitBytes {
                    output += prefix + Self.part + open.prefix(Self.lineLimitBytes) + [UInt8(ascii: "\n")]
                    open.removeFirst(Self.lineLimitBytes)
                }
                // A prompt is no line yet, but nobody shall wait for it, and it shall outlive the kubelet. In a flood the rest is near.
                if bytes.count < Self.floodBytes, !open.isEmpty {
                    output += prefix + Self.part + open + [UInt8(ascii: "\n")]
                } else if !open.isEmpty {
                    state.partial[channel] = open
                }
            }
            if !output.isEmpty { store(output, &state) }
            var wait: Int?
            // The end of a stream takes no lock, for it may come under its task's own: readers that went are noticed here.
            for (identifier, watcher) in state.watchers {
                switch watcher.yield((channel, bytes)) {
                case .enqueued(let remaining): if remaining < Self.watcherLimitChunks / 2 { wait = 10 }
                case .terminated: state.watchers[identifier] = nil
                default: break
                }
            }
            if mono - state.second >= 1 {
                state.second = mono
                state.secondBytes = 0
            }
            state.secondBytes += bytes.count
            if state.secondBytes > Self.limitBytesPerSecond { wait = max(wait ?? 0, Int((state.second + 1 - mono) * 1000) + 1) }
            return wait
        }
    }

    /// Writes what was begun, and lets readers end.
    func finish() {
        let now = clock.now()
        let (waiters, watchers) = state.withLock { state in
            for (channel, open) in state.partial.sorted(by: { $0.key < $1.key }) {
                store(Self.prefix(now, channel) + Self.part + open + [UInt8(ascii: "\n")], &state)
            }
            state.partial = [:]
            state.isOver = true
            state.file = nil
            state.generation += 1
            defer {
                state.waiters = [:]
                state.watchers = [:]
            }
            return (Array(state.waiters.values), Array(state.watchers.values))
        }
        for waiter in waiters { waiter.resume() }
        for watcher in watchers { watcher.finish() }
    }

    private static let full = Array("F ".utf8)
    private static let part = Array("P ".utf8)

    static func prefix(_ time: Timestamp, _ channel: UInt8) -> [UInt8] {
        let nano = String(time.nanoseconds)
        let second = time.rfc3339.dropLast()
        return Array("\(second).\(String(repeating: "0", count: 9 - nano.count))\(nano)Z \(channel == 2 ? "stderr" : "stdout") ".utf8)
    }

    private func store(_ output: [UInt8], _ state: inout State) {
        if state.file == nil || state.sizeBytes > Self.fileLimitBytes { open(&state) }
        // A full disk costs lines of a log, never a container.
        if let file = state.file { try? kernel.send(output, to: file) }
        state.sizeBytes += Int64(output.count)
        state.generation += 1
        let waiters = state.waiters.values
        for waiter in waiters { waiter.resume() }
        state.waiters = [:]
    }

    private func open(_ state: inout State) {
        if state.file == nil { state.sizeBytes = kernel.facts(path)?.sizeBytes ?? 0 }
        if state.sizeBytes > Self.fileLimitBytes {
            let time = clock.now().rfc3339.filter { $0.isNumber || $0 == "T" }.map { $0 == "T" ? "-" : $0 }
            var aside = path + "." + String(time)
            while kernel.exists(aside) { aside += "a" }
            try? kernel.rename(path, to: aside)
            state.aside[state.number] = aside
            state.number += 1
            state.sizeBytes = 0
            for old in Self.files(of: path, kernel: kernel).dropLast(Self.filesLimit - 1) { try? kernel.remove(old) }
        }
        state.file = try? kernel.openForAppending(path)
    }

    /// A container's files, oldest first.
    static func files(of path: String, kernel: LinuxKernel) -> [String] {
        guard let slash = path.lastIndex(of: "/") else { return [] }
        let name = path[path.index(after: slash)...]
        let aside = ((try? kernel.list(String(path[..<slash]))) ?? []).filter { $0.hasPrefix(name + ".") }
        return aside.map { path[...slash] + $0 } + (kernel.exists(path) ? [path] : [])
    }

    // MARK: Readers

    struct Position: Sendable {
        var number: Int
        var generation: UInt64
        var isOver: Bool
    }

    var position: Position { state.withLock { Position(number: $0.number, generation: $0.generation, isOver: $0.isOver) } }

    /// The path of the file with that number now.
    func path(of number: Int) -> String? { state.withLock { $0.number == number ? path : $0.aside[number] } }

    /// Suspends until there is more than at `generation`, or the task is cancelled.
    func waitForMore(than generation: UInt64) async {
        let identifier = state.withLock { state in
            state.nextIdentifier += 1
            return state.nextIdentifier
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    if state.generation != generation || state.isOver || Task.isCancelled { return true }
                    state.waiters[identifier] = continuation
                    return false
                }
                if isThere { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: identifier) }?.resume()
        }
    }

    /// Everything printed from now on, as it comes; ends with the container.
    func watch() -> AsyncStream<(channel: UInt8, bytes: [UInt8])> {
        let (stream, continuation) = AsyncStream<(channel: UInt8, bytes: [UInt8])>.makeStream(
            bufferingPolicy: .bufferingOldest(Self.watcherLimitChunks))
        let isThere = state.withLock { state in
            if state.isOver { return false }
            state.nextIdentifier += 1
            state.watchers[state.nextIdentifier] = continuation
            return true
        }
        if !isThere { continuation.finish() }
        return stream
    }
}
