// Our own epoll set, nested in the libwebsockets loop, and the tick that enforces time limits.
internal import CLibwebsockets
internal import Essentials
internal import Glibc

/// Something with a descriptor in the epoll set.
@WebLoop
protocol PollSource: AnyObject {
    /// `events` are epoll's bits. May close itself or others.
    func ready(_ events: UInt32)
}

/// Something that looks at the clock now and then.
@WebLoop
protocol TickSource: AnyObject {
    func tick(now: Double)
}

@WebLoop
final class Poller {
    nonisolated static let readable = UInt32(EPOLLIN.rawValue)
    nonisolated static let writable = UInt32(EPOLLOUT.rawValue)
    nonisolated static let hangup = UInt32(EPOLLHUP.rawValue)
    nonisolated static let failure = UInt32(EPOLLERR.rawValue)
    nonisolated static let peerEnded = UInt32(EPOLLRDHUP.rawValue)
    nonisolated static let edge = UInt32(EPOLLET.rawValue)

    /// Nanoseconds between ticks; limits in seconds are kept to this precision.
    private static let tickNanoseconds = 500_000_000
    /// Seconds between ticks while all tickers are slow ones: an idle process should sleep.
    private static let slowTickSeconds = 5
    private static let batch = 256
    private static let wakeToken = UInt64.max

    let descriptor: Int32
    private let timer: Int32
    private var sources: [UInt64: any PollSource] = [:]
    private var tickers: [ObjectIdentifier: any TickSource] = [:]
    private var slowTickers: [ObjectIdentifier: any TickSource] = [:]
    private var armed = 0
    private var nextToken: UInt64 = 1
    private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Poller.batch)
    /// Monotonic seconds, refreshed by the tick: cheap and good to half a second.
    private(set) var coarseNow = monotonicSeconds()

    init() {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        timer = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
        precondition(descriptor >= 0 && timer >= 0, "cannot create the epoll set")
        var event = epoll_event(events: Self.readable, data: epoll_data(u64: 0))
        _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, timer, &event)
    }

    /// Watches a descriptor; the token names the watch. The source is kept until `remove`.
    func add(_ fd: Int32, _ mask: UInt32, _ source: any PollSource) -> UInt64 {
        let token = nextToken
        nextToken += 1
        var event = epoll_event(events: mask, data: epoll_data(u64: token))
        if epoll_ctl(descriptor, EPOLL_CTL_ADD, fd, &event) == 0 { sources[token] = source }
        return token
    }

    func change(_ fd: Int32, token: UInt64, _ mask: UInt32) {
        var event = epoll_event(events: mask, data: epoll_data(u64: token))
        _ = epoll_ctl(descriptor, EPOLL_CTL_MOD, fd, &event)
    }

    func remove(_ fd: Int32, token: UInt64) {
        guard sources.removeValue(forKey: token) != nil else { return }
        var event = epoll_event()
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, fd, &event)
    }

    /// For a descriptor that is closed already: the kernel has forgotten it, and its number may be another's.
    func forget(token: UInt64) { sources[token] = nil }

    /// Calls `tick` twice a second from now on. The source is kept until `removeTicker`.
    func addTicker(_ source: any TickSource) {
        if tickers.isEmpty { coarseNow = monotonicSeconds() }
        tickers[ObjectIdentifier(source)] = source
        armTimer()
    }

    /// Calls `tick` every few seconds from now on. The source is kept until `removeTicker`.
    func addSlowTicker(_ source: any TickSource) {
        slowTickers[ObjectIdentifier(source)] = source
        armTimer()
    }

    func removeTicker(_ source: any TickSource) {
        let name = ObjectIdentifier(source)
        if tickers.removeValue(forKey: name) != nil || slowTickers.removeValue(forKey: name) != nil { armTimer() }
    }

    /// The wake descriptor is watched here while libwebsockets does not run.
    func watchWake(_ fd: Int32) {
        var event = epoll_event(events: Self.readable, data: epoll_data(u64: Self.wakeToken))
        _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, fd, &event)
    }

    func unwatchWake(_ fd: Int32) {
        var event = epoll_event()
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, fd, &event)
    }

    func dispatch(waiting: Bool) {
        let count = epoll_wait(descriptor, events, Int32(Self.batch), waiting ? -1 : 0)
        guard count > 0 else { return }
        var isWoken = false
        LoopExecutor.shared.dispatch {
            for index in 0..<Int(count) {
                let token = events[index].data.u64
                if token == 0 {
                    tick()
                } else if token == Self.wakeToken {
                    isWoken = true
                } else {
                    sources[token]?.ready(events[index].events)
                }
            }
        }
        if isWoken { LoopEngine.woken() }
    }

    private func tick() {
        var expirations: UInt64 = 0
        _ = Glibc.read(timer, &expirations, 8)
        coarseNow = monotonicSeconds()
        for ticker in Array(tickers.values) { ticker.tick(now: coarseNow) }
        guard !slowTickers.isEmpty, coarseNow >= slowDue else { return }
        slowDue = coarseNow + Double(Self.slowTickSeconds) - 0.1
        for ticker in Array(slowTickers.values) { ticker.tick(now: coarseNow) }
    }

    private var slowDue = 0.0

    private func armTimer() {
        let wanted = tickers.isEmpty ? (slowTickers.isEmpty ? 0 : 2) : 1
        guard wanted != armed else { return }
        armed = wanted
        var span = timespec(tv_sec: 0, tv_nsec: 0)
        if wanted == 1 { span.tv_nsec = Self.tickNanoseconds }
        if wanted == 2 { span.tv_sec = Self.slowTickSeconds }
        var setting = itimerspec(it_interval: span, it_value: span)
        timerfd_settime(timer, 0, &setting, nil)
    }
}
