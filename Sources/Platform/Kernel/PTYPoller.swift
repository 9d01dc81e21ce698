// Waits for many descriptors at once (epoll), for one loop on one thread.
internal import CLinux
internal import Glibc

/// A level-triggered epoll set whose entries are named by a number of the caller's.
package final class PTYPoller {
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let reading = Interest(rawValue: 0x001)
        package static let writing = Interest(rawValue: 0x004)
        /// Reported whether asked for or not.
        package static let failed = Interest(rawValue: 0x008)
        package static let hungUp = Interest(rawValue: 0x010)
    }

    package struct Ready: Sendable {
        package let key: UInt64
        package let interest: Interest
    }

    private static let batch = 64
    private let descriptor: Int32
    private var events = [epoll_event](repeating: epoll_event(), count: batch)

    package init() throws(PTYProblem) {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw PTYProblem("The event loop could not be made") }
    }

    deinit { close(descriptor) }

    package func add(_ watched: Int32, key: UInt64, _ interest: Interest) { control(EPOLL_CTL_ADD, watched, key, interest) }
    package func change(_ watched: Int32, key: UInt64, _ interest: Interest) { control(EPOLL_CTL_MOD, watched, key, interest) }
    package func remove(_ watched: Int32) { control(EPOLL_CTL_DEL, watched, 0, []) }

    private func control(_ operation: Int32, _ watched: Int32, _ key: UInt64, _ interest: Interest) {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = key
        epoll_ctl(descriptor, operation, watched, &event)
    }

    /// Waits until something is ready or the time is over; `nil` waits for ever.
    package func wait(seconds: Double?) -> [Ready] {
        let count: Int32
        if let seconds {
            var time = timespec(tv_sec: Int(seconds), tv_nsec: Int((seconds - seconds.rounded(.down)) * 1e9))
            count = epoll_pwait2(descriptor, &events, Int32(Self.batch), &time, nil)
        } else {
            count = epoll_wait(descriptor, &events, Int32(Self.batch), -1)
        }
        guard count > 0 else { return [] }
        return events[0..<Int(count)].map { Ready(key: $0.data.u64, interest: Interest(rawValue: $0.events)) }
    }
}
