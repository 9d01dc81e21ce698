// A container that runs: its process, what it prints, and its end, which is noted once.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods
internal import Synchronization

final class RunningContainer: Sendable {
    let podUID: String
    let record: ContainerRecord
    let process: Int32
    /// Names exactly this process, also when its number is given to another one.
    let handle: OwnedDescriptor
    let group: String?
    let log: PodLog
    let exit = Once<ContainerExit>()
    /// The writing end of its standard input, where it has one.
    let input: Mutex<OwnedDescriptor?>
    /// The terminal's other end, where it has one.
    let terminal: OwnedDescriptor?
    private let outputs: Mutex<[(descriptor: OwnedDescriptor, channel: UInt8)]>
    private let watches = Mutex<[UInt64]>([])

    init(
        podUID: String, record: ContainerRecord, process: Int32, handle: OwnedDescriptor, group: String?, log: PodLog,
        input: OwnedDescriptor?, terminal: OwnedDescriptor?, outputs: [(descriptor: OwnedDescriptor, channel: UInt8)]
    ) {
        self.podUID = podUID
        self.record = record
        self.process = process
        self.handle = handle
        self.group = group
        self.log = log
        self.input = Mutex(input)
        self.terminal = terminal
        self.outputs = Mutex(outputs)
    }

    /// Times that the note of a process' end is looked for, 5 ms apart, which the node's first process writes.
    static let waitsForExitLimit = 400
    let waited = Count()
    private static let chunkBytes = 65536

    /// Begins to read its output and to wait for its end. `ended` is asked again after some milliseconds while it says false.
    func watch(on readiness: Readiness, kernel: LinuxKernel, ended: @escaping @Sendable () -> Bool) throws(KernelProblem) {
        for (descriptor, channel) in outputs.withLock({ $0 }) {
            let watch = try readiness.watch(descriptor) { [log] in
                do throws(KernelProblem) {
                    guard let bytes = try kernel.receive(from: descriptor, limitBytes: Self.chunkBytes) else { return .again }
                    if bytes.isEmpty { return .stop }
                    return log.append(bytes, channel: channel).map { .pause(milliseconds: $0) } ?? .again
                } catch { return .stop }  // a terminal without a program
            }
            watches.withLock { $0.append(watch) }
        }
        let watch = try readiness.watch(handle) { ended() ? .stop : .pause(milliseconds: 5) }
        watches.withLock { $0.append(watch) }
    }

    /// Takes in what it printed last.
    func drain(_ kernel: LinuxKernel) {
        for (descriptor, channel) in outputs.withLock({ $0 }) {
            while let bytes = try? kernel.receive(from: descriptor, limitBytes: Self.chunkBytes), !bytes.isEmpty {
                _ = log.append(bytes, channel: channel)
            }
        }
    }

    /// Stops reading; the container does not notice.
    func release(_ readiness: Readiness) {
        for watch in watches.withLock({ watches in
            defer { watches = [] }
            return watches
        }) { readiness.cancel(watch) }
        outputs.withLock { $0 = [] }
        log.finish()
    }
}

final class Count: Sendable {
    private let value = Mutex(0)
    func add() -> Int {
        value.withLock { value in
            value += 1
            return value
        }
    }
}

/// A value that comes once and for which any number wait.
final class Once<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [CheckedContinuation<Value, Never>] = []
    }
    private let state = Mutex(State())

    var now: Value? { state.withLock { $0.value } }

    /// False when it has come before.
    @discardableResult
    func set(_ value: Value) -> Bool {
        let waiters: [CheckedContinuation<Value, Never>]? = state.withLock { state in
            guard state.value == nil else { return nil }
            state.value = value
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters ?? [] { waiter.resume(returning: value) }
        return waiters != nil
    }

    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state in
                if state.value == nil { state.waiters.append(continuation) }
                return state.value
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
