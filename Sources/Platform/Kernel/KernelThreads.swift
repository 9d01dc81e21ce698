// A few threads that live in the platform's own mount namespace and do all work that mounts or starts programs.
//
// The namespace is pinned by a bind mount, so that it, and every lab mounted in it, outlives the process: the next one
// enters it again. Threads rather than a whole process live there, because entering a mount namespace only needs a
// thread whose file system context is its own (unshare(CLONE_FS)), and the rest of the server keeps the host's view.
internal import CLinux
internal import Essentials
internal import Glibc
internal import Synchronization

package final class KernelThreads: Sendable {
    /// Jobs that wait beyond this number are still taken: callers are bounded above by the number of labs.
    package let count: Int
    private let queue = JobQueue()
    private let firstThread: Int32

    /// Starts `count` threads in the mount namespace pinned at `pin`, which is made where it does not exist.
    /// With no `pin` the threads stay in the caller's namespace (for tests of code that does not mount).
    package init(count: Int = 4, pin: String?) throws(KernelProblem) {
        self.count = count
        if let pin { try Self.prepare(pin: pin) }
        var started: Int32 = 0
        for _ in 0..<count {
            let start = ThreadStart(queue: queue, pin: pin)
            var thread = pthread_t()
            let result = pthread_create(&thread, nil, threadBody, Unmanaged.passRetained(start).toOpaque())
            guard result == 0 else { throw KernelProblem(call: "pthread_create", subject: "kernel thread", code: result) }
            pthread_detach(thread)
            let (identifier, problem) = start.waitUntilStarted()
            if let problem { throw problem }
            if started == 0 { started = identifier }
        }
        firstThread = started
    }

    deinit { queue.close() }

    /// The prefix under which any thread of this process sees paths as these threads do.
    package var root: String { "/proc/self/task/\(firstThread)/root" }

    /// Runs `body` on one of the threads.
    package func run<Result: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        let outcome: Swift.Result<Result, Failure> = await withCheckedContinuation { continuation in
            queue.add {
                do throws(Failure) { continuation.resume(returning: .success(try body())) } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try outcome.get()
    }

    // Makes the namespace on a thread of its own and pins it from the caller's namespace.
    private static func prepare(pin: String) throws(KernelProblem) {
        let kernel = LinuxKernel()
        if let descriptor = try? LinuxKernel.open(pin, O_RDONLY), isNamespace(descriptor) { return }
        try kernel.write(pin, [], mode: 0o600, owner: nil)
        let start = ThreadStart(queue: JobQueue(), pin: nil, makesNamespace: true)
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, threadBody, Unmanaged.passRetained(start).toOpaque())
        guard result == 0 else { throw KernelProblem(call: "pthread_create", subject: "kernel thread", code: result) }
        pthread_detach(thread)
        let (identifier, problem) = start.waitUntilStarted()
        if let problem { throw problem }
        defer { start.queue.close() }
        try kernel.bind("/proc/self/task/\(identifier)/ns/mnt", at: pin)
    }

    /// Gives up the pinned namespace: what is still mounted in it goes once its last thread ends.
    package static func release(pin: String) throws(KernelProblem) {
        let kernel = LinuxKernel()
        try kernel.unmount(pin)
        try kernel.remove(pin)
    }

    private static func isNamespace(_ descriptor: OwnedDescriptor) -> Bool {
        var status = statfs()
        return fstatfs(descriptor.number, &status) == 0 && status.f_type == 0x6E73_6673  // NSFS_MAGIC
    }
}

/// What a new thread needs, and how it tells that it is ready.
private final class ThreadStart: Sendable {
    let queue: JobQueue
    let pin: String?
    let makesNamespace: Bool
    private let ready = Mutex<(Int32, KernelProblem?)?>(nil)

    init(queue: JobQueue, pin: String?, makesNamespace: Bool = false) {
        self.queue = queue
        self.pin = pin
        self.makesNamespace = makesNamespace
    }

    func started(_ problem: KernelProblem?) { ready.withLock { $0 = (Int32(cl_thread_id()), problem) } }

    // Starting is rare and takes microseconds, so waiting by sleeping is enough.
    func waitUntilStarted() -> (Int32, KernelProblem?) {
        while true {
            if let value = ready.withLock({ $0 }) { return value }
            usleep(50)
        }
    }

    func enter() throws(KernelProblem) {
        guard pin != nil || makesNamespace else { return }
        guard cl_unshare(CLONE_FS) == 0 else { throw LinuxKernel.failed("unshare", "file system context") }
        if let pin {
            let namespace = try LinuxKernel.open(pin, O_RDONLY)
            guard cl_setns(namespace.number, CLONE_NEWNS) == 0 else { throw LinuxKernel.failed("setns", pin) }
            return
        }
        guard cl_unshare(CLONE_NEWNS) == 0 else { throw LinuxKernel.failed("unshare", "mount namespace") }
        if Glibc.mount(nil, "/", nil, UInt(MS_REC) | UInt(MS_PRIVATE), nil) < 0 {
            throw LinuxKernel.failed("mount", "private /")
        }
    }
}

private func threadBody(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let start = Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue()
    do throws(KernelProblem) { try start.enter() } catch {
        start.started(error)
        return nil
    }
    start.started(nil)
    while let job = start.queue.next() { job() }
    return nil
}

/// A queue that threads wait on.
private final class JobQueue: @unchecked Sendable {
    // Guard: `mutex` for all three below.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [@Sendable () -> Void] = []
    private var head = 0
    private var closed = false

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func add(_ job: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        jobs.append(job)
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
    }

    func close() {
        pthread_mutex_lock(mutex)
        closed = true
        pthread_mutex_unlock(mutex)
        pthread_cond_broadcast(condition)
    }

    /// The next job; `nil` once closed and empty.
    func next() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while head == jobs.count {
            if closed { return nil }
            pthread_cond_wait(condition, mutex)
        }
        let job = jobs[head]
        head += 1
        if head > 64, head * 2 > jobs.count {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }
}
