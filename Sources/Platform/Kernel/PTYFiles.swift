// Descriptors of the node agent: PTYs, sockets and pipes as plain numbers with whole-buffer reads and writes.
internal import CLinux
internal import Essentials
internal import Glibc

/// Why a call of the node agent failed.
package struct PTYProblem: Problem {
    package let reason: String
    package let message: String
    package let number: Int32

    init(_ what: String, _ number: Int32 = errno) {
        reason = "SystemCallFailed"
        message = "\(what): \(String(cString: strerror(number)))."
        self.number = number
    }
}

/// A PTY just made: both ends are the caller's to close.
package struct PTYPair {
    package let master: Int32
    package let slave: Int32

    package static func open(columns: Int, rows: Int) throws(PTYProblem) -> PTYPair {
        var slave: Int32 = -1
        let master = lectern_terminal_open(&slave, UInt16(clamping: columns), UInt16(clamping: rows))
        guard master >= 0 else { throw PTYProblem("A new terminal could not be opened") }
        return PTYPair(master: master, slave: slave)
    }
}

/// Calls on descriptors by number.
package enum PTYFiles {
    /// What a nonblocking read brought.
    package enum Reading: Equatable { case bytes([UInt8]), nothing, ended }

    package static func read(_ descriptor: Int32, limitBytes: Int) -> Reading {
        var failure: Int32 = 0
        var got = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
            repeat { got = Glibc.read(descriptor, buffer.baseAddress!, limitBytes) } while got < 0 && errno == EINTR
            failure = errno
            count = max(0, got)
        }
        if got > 0 { return .bytes(bytes) }
        return got < 0 && failure == EAGAIN ? .nothing : .ended
    }

    /// Writes what the descriptor takes of `bytes` from `index` on. 0: it is full. -1: it is gone.
    package static func write(_ descriptor: Int32, _ bytes: [UInt8], from index: Int = 0) -> Int {
        guard index < bytes.count else { return 0 }
        return bytes.withUnsafeBytes { buffer in
            while true {
                let written = Glibc.write(descriptor, buffer.baseAddress! + index, buffer.count - index)
                if written >= 0 { return written }
                if errno == EINTR { continue }
                return errno == EAGAIN ? 0 : -1
            }
        }
    }

    package static func close(_ descriptor: Int32) { if descriptor >= 0 { _ = Glibc.close(descriptor) } }

    package static func resize(_ master: Int32, columns: Int, rows: Int) {
        _ = lectern_terminal_resize(master, UInt16(clamping: columns), UInt16(clamping: rows))
    }

    /// The process group that holds the terminal.
    package static func foreground(_ master: Int32) -> Int32? {
        let group = lectern_terminal_foreground(master)
        return group > 0 ? group : nil
    }

    /// Listens on a unix socket at `path`, replacing a stale one.
    package static func listen(path: String) throws(PTYProblem) -> Int32 {
        unlink(path)
        let made = lectern_terminal_unix(path, 1)
        guard made >= 0 else { throw PTYProblem("The socket \(path) could not be opened") }
        return made
    }

    /// Connects to the unix socket at `path`; the descriptor blocks until it is adopted by a loop.
    package static func connect(path: String) throws(PTYProblem) -> Int32 {
        let made = lectern_terminal_unix(path, 0)
        guard made >= 0 else { throw PTYProblem("The socket \(path) does not answer") }
        return made
    }

    package static func accept(_ listener: Int32) -> Int32? {
        let made = lectern_terminal_accept(listener)
        return made >= 0 ? made : nil
    }

    /// Both ends of a pipe; the reading end does not block.
    package static func pipe() throws(PTYProblem) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard lectern_terminal_pipe(&ends) == 0 else { throw PTYProblem("A pipe could not be opened") }
        return (ends[0], ends[1])
    }

    package static func setNonBlocking(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    package static func setCloseOnExec(_ descriptor: Int32) { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }

    package static func openNull() throws(PTYProblem) -> Int32 {
        let made = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard made >= 0 else { throw PTYProblem("/dev/null could not be opened") }
        return made
    }
}
