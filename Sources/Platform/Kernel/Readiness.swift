// One thread that waits for descriptors to become readable: ends of processes, logs of containers, answers of agents.
internal import CLinux
package import Essentials
internal import Glibc
internal import Synchronization

package final class Readiness: Sendable {
    private let poll: OwnedDescriptor
    private let watched = Mutex<[UInt64: Watch]>([:])
    private let next = Mutex<UInt64>(1)

    private struct Watch: Sendable {
        let descriptor: OwnedDescriptor
        let events: UInt32
        /// It is over before its handler runs, so that whoever the handler wakes may watch the descriptor again.
        let isOnce: Bool
        let handler: @Sendable () -> Next
    }

    /// What a handler wants after it ran.
    package enum Next: Sendable {
        case again
        case stop
        /// Not to be called for a while, whatever is there to read.
        case pause(milliseconds: Int)
    }

    /// One for all in a program that watches little; nil when the kernel gave none.
    package static let shared: Readiness? = try? Readiness()

    /// Starts the thread, which lives as long as the process.
    package init() throws(KernelProblem) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw LinuxKernel.failed("epoll_create", "") }
        poll = OwnedDescriptor(number)
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, readinessBody, Unmanaged.passRetained(self).toOpaque())
        guard result == 0 else { throw KernelProblem(call: "pthread_create", subject: "readiness", code: result) }
        pthread_detach(thread)
    }

    /// Calls `handler` on the thread whenever `descriptor` is readable or closed by the other side, until it wants to stop.
    /// It must not block. The descriptor is kept open meanwhile.
    @discardableResult
    package func watch(_ descriptor: OwnedDescriptor, writable: Bool = false, _ handler: @escaping @Sendable () -> Next)
        throws(KernelProblem) -> UInt64
    {
        try watch(descriptor, writable: writable, isOnce: false, handler)
    }

    private func watch(
        _ descriptor: OwnedDescriptor, writable: Bool, isOnce: Bool, _ handler: @escaping @Sendable () -> Next
    ) throws(KernelProblem) -> UInt64 {
        let events = writable ? EPOLLOUT.rawValue : EPOLLIN.rawValue | EPOLLRDHUP.rawValue
        let identifier = next.withLock { value in
            defer { value += 1 }
            return value
        }
        watched.withLock { $0[identifier] = Watch(descriptor: descriptor, events: events, isOnce: isOnce, handler: handler) }
        var event = epoll_event()
        event.events = events
        event.data.u64 = identifier
        guard epoll_ctl(poll.number, EPOLL_CTL_ADD, descriptor.number, &event) == 0 else {
            let problem = LinuxKernel.failed("epoll_ctl", "")
            watched.withLock { $0[identifier] = nil }
            throw problem
        }
        return identifier
    }

    /// Stops watching; the handler may still be running for the last time.
    package func cancel(_ identifier: UInt64) {
        guard let watch = watched.withLock({ $0.removeValue(forKey: identifier) }) else { return }
        epoll_ctl(poll.number, EPOLL_CTL_DEL, watch.descriptor.number, nil)
    }

    /// Suspends until the descriptor is readable (writable) or closed by the other side; false when the task was cancelled
    /// first or the descriptor cannot be watched.
    package func wait(for descriptor: OwnedDescriptor, writable: Bool = false) async -> Bool {
        let wait = OneWait()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                wait.begin(continuation)
                do throws(KernelProblem) {
                    let identifier = try watch(descriptor, writable: writable, isOnce: true) {
                        wait.finish(true)
                        return .stop
                    }
                    // Cancelled before the watch was there to be cancelled.
                    if !wait.watching(identifier) { cancel(identifier) }
                } catch { wait.finish(false) }
            }
        } onCancel: {
            if let identifier = wait.finish(false) { cancel(identifier) }
        }
    }

    /// Suspends until the process ends or the task is cancelled (nil).
    package func exit(of process: Int32, kernel: any Kernel) async -> ProcessExit? {
        guard let descriptor = try? kernel.processDescriptor(process) else { return kernel.collect(process) ?? .unknown }
        guard await wait(for: descriptor) else { return Task.isCancelled ? nil : .unknown }
        return kernel.collect(process) ?? .unknown
    }

    fileprivate func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        var paused: [(due: Double, identifier: UInt64)] = []
        while true {
            let now = monotonicSeconds()
            for entry in paused where entry.due <= now { listen(entry.identifier, isPaused: false) }
            paused.removeAll { $0.due <= now }
            let timeout = paused.map { Int32(($0.due - now) * 1000) + 1 }.min() ?? -1
            let count = epoll_wait(poll.number, &events, 64, timeout)
            if count < 0 {
                if errno == EINTR { continue }
                return
            }
            for event in events[0..<Int(count)] {
                let identifier = event.data.u64
                guard let watch = watched.withLock({ $0[identifier] }) else { continue }
                if watch.isOnce { cancel(identifier) }
                switch watch.handler() {
                case .again: break
                case .stop: cancel(identifier)
                case .pause(let milliseconds):
                    listen(identifier, isPaused: true)
                    paused.append((monotonicSeconds() + Double(milliseconds) / 1000, identifier))
                }
            }
        }
    }

    private func listen(_ identifier: UInt64, isPaused: Bool) {
        guard let watch = watched.withLock({ $0[identifier] }) else { return }
        var event = epoll_event()
        event.events = isPaused ? 0 : watch.events
        event.data.u64 = identifier
        epoll_ctl(poll.number, EPOLL_CTL_MOD, watch.descriptor.number, &event)
    }
}

/// One suspended reader: resumed exactly once, by its event or by its cancellation.
private final class OneWait: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Bool, Never>?
        var result: Bool?
        var watch: UInt64?
    }
    private let state = Mutex(State())

    func begin(_ continuation: CheckedContinuation<Bool, Never>) {
        let early = state.withLock { state in
            if state.result == nil { state.continuation = continuation }
            return state.result
        }
        if let early { continuation.resume(returning: early) }
    }

    /// False when it is over already.
    func watching(_ identifier: UInt64) -> Bool {
        state.withLock { state in
            state.watch = identifier
            return state.result == nil
        }
    }

    @discardableResult
    func finish(_ result: Bool) -> UInt64? {
        let (continuation, watch) = state.withLock { state in
            guard state.result == nil else { return (nil as CheckedContinuation<Bool, Never>?, nil as UInt64?) }
            state.result = result
            defer { state.continuation = nil }
            return (state.continuation, state.watch)
        }
        continuation?.resume(returning: result)
        return watch
    }
}

private func readinessBody(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<Readiness>.fromOpaque(argument!).takeRetainedValue().run()
    return nil
}

extension Kernel {
    /// Kills a process and waits, blocking the thread, until it is gone and collected.
    package func kill(_ process: Int32, andWaitSeconds seconds: Int) throws(KernelProblem) {
        let descriptor: OwnedDescriptor
        do throws(KernelProblem) { descriptor = try processDescriptor(process) } catch {
            if error.code == Errno.noProcess { return }
            throw error
        }
        try signal(process, 9)
        waitReadable(descriptor, milliseconds: Int32(seconds * 1000))
        _ = collect(process)
    }
}

/// Blocks the thread until the descriptor is readable or the time is over.
package func waitReadable(_ descriptor: OwnedDescriptor, milliseconds: Int32) {
    let number = descriptor.number
    // poll(2) ignores a descriptor that is none, and would wait for nothing.
    guard number >= 0 else { return }
    var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    _ = poll(&entry, 1, milliseconds)
}

/// Blocks the thread.
package func pauseThread(milliseconds: Int) { usleep(UInt32(milliseconds * 1000)) }
