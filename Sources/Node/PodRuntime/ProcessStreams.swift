// The streams of a process that was started inside a container, and of a container that someone looks at.
//
// Output waits for its reader: a chunk that finds the queue full is kept and the pipe is left alone for some milliseconds,
// so a process that prints faster than its reader takes waits as it does at any pipe.
internal import Essentials
internal import Kernel
internal import Pods
internal import Synchronization

/// Output on its way to one reader.
final class OutputQueue: Sendable {
    static let limitChunks = 32
    static let chunkBytes = 32 << 10

    let stream: AsyncStream<(channel: UInt8, bytes: [UInt8])>
    private let input: AsyncStream<(channel: UInt8, bytes: [UInt8])>.Continuation
    private let kept = Mutex<[UInt8: [UInt8]]>([:])

    init() { (stream, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.limitChunks)) }

    enum Pumped { case nothing, taken, full, ended }

    /// Moves one chunk from the descriptor.
    func pump(_ descriptor: OwnedDescriptor, channel: UInt8, kernel: LinuxKernel) -> Pumped {
        if let waiting = kept.withLock({ $0[channel] }) {
            guard offer(waiting, channel) else { return .full }
            kept.withLock { $0[channel] = nil }
        }
        let bytes: [UInt8]
        do throws(KernelProblem) {
            guard let read = try kernel.receive(from: descriptor, limitBytes: Self.chunkBytes) else { return .nothing }
            bytes = read
        } catch { return .ended }  // a terminal whose program is gone
        if bytes.isEmpty { return .ended }
        if offer(bytes, channel) { return .taken }
        kept.withLock { $0[channel] = bytes }
        return .full
    }

    private func offer(_ bytes: [UInt8], _ channel: UInt8) -> Bool {
        if case .dropped = input.yield((channel, bytes)) { return false }
        return true
    }

    func finish() { input.finish() }
    func onEnd(_ body: @escaping @Sendable () -> Void) { input.onTermination = { _ in body() } }
}

/// Writes all bytes as the other side takes them; gives up when it is gone.
private func writeAll(_ bytes: [UInt8], to descriptor: OwnedDescriptor, _ readiness: Readiness) async {
    var index = 0
    while index < bytes.count, !Task.isCancelled {
        let count = PTYFiles.write(descriptor.number, bytes, from: index)
        if count < 0 { return }
        index += count
        if count == 0 { guard await readiness.wait(for: descriptor, writable: true) else { return } }
    }
}

final class ExecStreams: ContainerStreams {
    let output: AsyncStream<(channel: UInt8, bytes: [UInt8])>
    private let queue = OutputQueue()
    private let process: Int32
    private let handle: OwnedDescriptor
    private let input: Mutex<OwnedDescriptor?>
    private let terminal: OwnedDescriptor?
    private let outputs: [(descriptor: OwnedDescriptor, channel: UInt8)]
    private let watches = Mutex<[UInt64]>([])
    private let exit = Once<Int>()
    private let readiness: Readiness
    private let kernel: LinuxKernel

    init(
        process: Int32, handle: OwnedDescriptor, input: OwnedDescriptor?, terminal: OwnedDescriptor?,
        outputs: [(descriptor: OwnedDescriptor, channel: UInt8)], readiness: Readiness, kernel: LinuxKernel
    ) {
        self.process = process
        self.handle = handle
        self.input = Mutex(input)
        self.terminal = terminal
        self.outputs = outputs
        self.readiness = readiness
        self.kernel = kernel
        output = queue.stream
    }

    /// The process is collected whether anyone listens or not.
    func begin() throws(KernelProblem) {
        for (descriptor, channel) in outputs {
            let watch = try readiness.watch(descriptor) { [self] in
                switch queue.pump(descriptor, channel: channel, kernel: kernel) {
                case .nothing, .taken: .again
                case .full: .pause(milliseconds: 5)
                case .ended: .stop
                }
            }
            watches.withLock { $0.append(watch) }
        }
        try readiness.watch(handle) { [self] in end() ? .stop : .pause(milliseconds: 5) }
    }

    // What was printed last comes before the end does. False while the reader is behind.
    private func end() -> Bool {
        for (descriptor, channel) in outputs {
            drain: while true {
                switch queue.pump(descriptor, channel: channel, kernel: kernel) {
                case .taken: continue
                case .full: return false
                case .nothing, .ended: break drain
                }
            }
        }
        for watch in watches.withLock({ $0 }) { readiness.cancel(watch) }
        let code = kernel.collect(process)?.code ?? 255
        queue.finish()
        exit.set(Int(code))
        return true
    }

    func write(_ bytes: [UInt8]) async {
        guard let descriptor = input.withLock({ $0 }) else { return }
        await writeAll(bytes, to: descriptor, readiness)
    }
    func closeInput() async { if terminal == nil { input.withLock { $0 = nil } } }
    func resize(columns: Int, rows: Int) async { if let terminal { kernel.resize(terminal, columns: columns, rows: rows) } }
    func exitCode() async -> Int { await exit.value() }
    func close() async {
        input.withLock { $0 = nil }
        queue.finish()
        try? kernel.signal(handle, 9)
    }
}

final class AttachStreams: ContainerStreams {
    let output: AsyncStream<(channel: UInt8, bytes: [UInt8])>
    private let container: RunningContainer
    private let input: OwnedDescriptor?
    private let readiness: Readiness
    private let kernel: LinuxKernel

    init(_ container: RunningContainer, stdin: Bool, readiness: Readiness, kernel: LinuxKernel) {
        self.container = container
        self.readiness = readiness
        self.kernel = kernel
        output = container.log.watch()
        // A descriptor of its own: the other one may be watched for reading.
        input = stdin ? (container.terminal ?? container.input.withLock { $0 }).flatMap { try? kernel.duplicate($0) } : nil
    }

    func write(_ bytes: [UInt8]) async {
        guard let input, container.exit.now == nil else { return }
        await writeAll(bytes, to: input, readiness)
    }
    func closeInput() async {
        guard container.record.stdinOnce, container.terminal == nil else { return }
        input?.close()
        container.input.withLock { $0 = nil }
    }
    func resize(columns: Int, rows: Int) async {
        if let terminal = container.terminal { kernel.resize(terminal, columns: columns, rows: rows) }
    }
    func exitCode() async -> Int { await container.exit.value().exitCode }
    func close() async { input?.close() }
}
