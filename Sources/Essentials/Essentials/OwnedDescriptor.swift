// A file descriptor with one owner: closed when the owner goes, unless someone took it.
internal import Glibc
internal import Synchronization

/// Owns an open descriptor and closes it on deinit. Hand it on with `take()`.
package final class OwnedDescriptor: Sendable {
    private let held: Mutex<Int32>

    /// Takes ownership of `descriptor`; a negative number means "none".
    package init(_ descriptor: Int32) { held = Mutex(descriptor) }

    deinit { close() }

    /// The number, for calls that do not keep it; -1 after `take()` or `close()`.
    package var number: Int32 { held.withLock { $0 } }

    /// Gives the descriptor away: the caller closes it from now on. -1 when it was taken before.
    package func take() -> Int32 {
        held.withLock { value in
            defer { value = -1 }
            return value
        }
    }

    /// Closes it now; a second call does nothing.
    package func close() {
        let descriptor = take()
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
    }
}
