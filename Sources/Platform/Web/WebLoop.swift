// The loop as a Swift actor: jobs of `@WebLoop` code run on the one thread that owns libwebsockets.
internal import CLibwebsockets
internal import Glibc
internal import Synchronization

/// The global actor of every socket. Its jobs run on the loop's thread, in order, and must not block.
@globalActor
package actor WebLoop {
    package static let shared = WebLoop()

    package nonisolated var unownedExecutor: UnownedSerialExecutor { LoopExecutor.shared.asUnownedSerialExecutor() }

    /// Runs `body` soon on the loop, in the order of the calls; for code outside of it that must not wait.
    package nonisolated static func post(_ body: @escaping @WebLoop @Sendable () -> Void) {
        LoopExecutor.shared.enqueue(body)
    }

    /// Runs `body` here and now; traps unless this is the loop's thread.
    static func assumeIsolated<Result>(_ body: @WebLoop () throws -> Result) rethrows -> Result {
        precondition(LoopExecutor.shared.isLoopThread, "not on the loop's thread")
        return try withoutActuallyEscaping(body) { (body: @escaping @WebLoop () throws -> Result) in
            try unsafeBitCast(body, to: (() throws -> Result).self)()
        }
    }
}

/// Queues jobs for the loop's thread. Wakes the thread only when the queue was empty.
final class LoopExecutor: SerialExecutor {
    static let shared = LoopExecutor()

    private enum Work {
        case job(UnownedJob)
        /// A part of a task that prefers this thread.
        case task(UnownedJob)
        case closure(@WebLoop @Sendable () -> Void)
    }

    /// Rounds of work between two looks at the sockets.
    private static let roundLimit = 8

    private struct Queue {
        var work: [Work] = []
        /// The loop is working the queue off, and will see what is added.
        var isDraining = false
    }

    private let queue = Mutex(Queue())
    /// An eventfd that wakes the loop.
    let wakeDescriptor: Int32

    private init() {
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        var thread = pthread_t()
        guard wakeDescriptor >= 0, pthread_create(&thread, nil, loopThreadMain, nil) == 0 else {
            fatalError("cannot start the network loop: out of descriptors or threads")
        }
        pthread_detach(thread)
    }

    func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }
    func enqueue(_ closure: @escaping @WebLoop @Sendable () -> Void) { add(.closure(closure)) }

    func enqueue(task job: UnownedJob) { add(.task(job)) }

    private func add(_ work: Work) {
        // What the loop itself adds while it looks at sockets, it finds right after.
        let isSeen = isLoopThread && dispatching.isOn
        let wakes = queue.withLock { queue in
            queue.work.append(work)
            return queue.work.count == 1 && !queue.isDraining && !isSeen
        }
        if wakes { wake() }
    }

    /// Looks at sockets, then works off what that has added.
    func dispatch(_ body: () -> Void) {
        dispatching.isOn = true
        body()
        dispatching.isOn = false
        if queue.withLock({ !$0.work.isEmpty }) { drain() }
    }

    private let dispatching = LoopFlag()

    private func wake() { _ = eventfd_write(wakeDescriptor, 1) }

    var isLoopThread: Bool { onLoopThread }

    func isSameExclusiveExecutionContext(other: LoopExecutor) -> Bool { true }
    func checkIsolated() { precondition(isLoopThread, "not on the loop's thread") }

    /// Runs what is queued, on the loop; what is more than a few rounds waits for the next turn.
    func drain() {
        for _ in 0..<Self.roundLimit {
            let batch = queue.withLock { queue in
                let batch = queue.work
                queue.work = []
                queue.isDraining = !batch.isEmpty
                return batch
            }
            if batch.isEmpty { return }
            for work in batch {
                switch work {
                case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
                case .task(let job): job.runSynchronously(on: LoopTasks.shared.asUnownedTaskExecutor())
                case .closure(let closure): WebLoop.assumeIsolated(closure)
                }
            }
        }
        let more = queue.withLock { queue in
            queue.isDraining = false
            return !queue.work.isEmpty
        }
        if more { wake() }
    }
}

/// Runs tasks that are short between their waits on the loop's thread, so that none of their steps changes threads.
final class LoopTasks: TaskExecutor {
    static let shared = LoopTasks()
    func enqueue(_ job: consuming ExecutorJob) { LoopExecutor.shared.enqueue(task: UnownedJob(job)) }
}

/// A switch that only the loop's thread touches.
private final class LoopFlag: @unchecked Sendable {
    // Guard: read and set on the loop's thread alone.
    var isOn = false
}

/// True on the loop's thread only.
private var onLoopThread: Bool { pthread_equal(pthread_self(), loopThread.load()) != 0 }

private final class LoopThreadIdentity: Sendable {
    private let value = Atomic<UInt>(0)
    func load() -> pthread_t { pthread_t(value.load(ordering: .acquiring)) }
    func store(_ thread: pthread_t) { value.store(UInt(thread), ordering: .releasing) }
}
private let loopThread = LoopThreadIdentity()

/// The thread's body: a plain function, as a closure would inherit an isolation it must not have.
private func loopThreadMain(_: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    loopThread.store(pthread_self())
    pthread_setname_np(pthread_self(), "web-loop")
    let engine = WebLoop.assumeIsolated { LoopEngine.shared }
    WebLoop.assumeIsolated { engine.start() }
    while true { WebLoop.assumeIsolated { engine.run() } }
}
