// Starting, signalling and reaping processes for PID 1 of a node.
internal import CLinux
package import Essentials
internal import Glibc

/// What to start.
package struct ReaperCommand: Sendable {
    package var arguments: [String]
    package var environment: [String: String]
    package var workingDirectory: String

    package init(arguments: [String], environment: [String: String], workingDirectory: String = "/") {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
    }
}

/// How a process ended, as a shell would say it: 128 + the signal's number when a signal ended it.
package struct ReaperExit: Sendable, Equatable {
    package let pid: Int32
    package let status: Int
    /// As wait(2) has it.
    package let waitStatus: Int32
    package init(pid: Int32, status: Int, waitStatus: Int32 = 0) {
        self.pid = pid
        self.status = status
        self.waitStatus = waitStatus
    }
}

package enum ReaperSignal: Int32, Sendable { case hangUp = 1, kill = 9, terminate = 15 }

/// Calls on processes. Only for programs with one thread.
package enum ReaperProcesses {
    /// The streams of a new process.
    package enum Streams {
        /// The slave side of a PTY, which becomes the controlling terminal.
        case terminal(Int32)
        case separate(input: Int32, output: Int32, error: Int32)
    }

    /// Starts a process in a session (and so a process group) of its own; its group has the pid's number.
    package static func start(_ command: ReaperCommand, on streams: Streams) throws(PTYProblem) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = command.arguments.map { strdup($0) }
        var environment: [UnsafeMutablePointer<CChar>?] = command.environment.sorted { $0.key < $1.key }.map {
            strdup("\($0.key)=\($0.value)")
        }
        defer { for text in arguments + environment { free(text) } }
        arguments.append(nil)
        environment.append(nil)
        // `execvpe` looks in the PATH of the caller.
        if let path = command.environment["PATH"] { setenv("PATH", path, 1) }
        let pid: Int32
        switch streams {
        case .terminal(let slave):
            pid = lectern_terminal_spawn(command.arguments[0], arguments, environment, command.workingDirectory, slave, -1, -1, -1)
        case .separate(let input, let output, let error):
            pid = lectern_terminal_spawn(
                command.arguments[0], arguments, environment, command.workingDirectory, -1, input, output, error)
        }
        guard pid > 0 else { throw PTYProblem("\(command.arguments[0]) could not be started") }
        return pid
    }

    /// Collects one ended child, if there is one.
    package static func reap() -> ReaperExit? {
        var status: Int32 = 0
        let pid = waitpid(-1, &status, WNOHANG)
        guard pid > 0 else { return nil }
        let signal = status & 0x7F
        return ReaperExit(pid: pid, status: signal == 0 ? Int(status >> 8 & 0xFF) : 128 + Int(signal), waitStatus: status)
    }

    package static func signal(group: Int32, _ signal: ReaperSignal) { if group > 1 { _ = kill(-group, signal.rawValue) } }
    package static func signal(process: Int32, _ signal: ReaperSignal) { if process > 1 { _ = kill(process, signal.rawValue) } }

    package static func exists(_ process: Int32) -> Bool { kill(process, 0) == 0 || errno == EPERM }

    /// What containers mount below is seen by the others that share a directory with them, as on any machine.
    package static func shareMounts() { _ = mount(nil, "/", nil, UInt(MS_REC | MS_SHARED), nil) }

    /// Another program in the place of this one, with its environment; comes back only when that fails.
    package static func become(_ path: String, _ arguments: [String]) {
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        // What is ignored here would be ignored there.
        Glibc.signal(SIGPIPE, SIG_DFL)
        execv(path, words)
    }

    /// Standard input becomes these bytes, which must fit a pipe.
    package static func giveInput(_ bytes: [UInt8]) -> Bool {
        guard bytes.count <= 60 << 10, let ends = try? PTYFiles.pipe() else { return false }
        defer { PTYFiles.close(ends.reading) }
        let written = PTYFiles.write(ends.writing, bytes)
        PTYFiles.close(ends.writing)
        guard written == bytes.count, dup2(ends.reading, 0) == 0 else { return false }
        _ = fcntl(0, F_SETFL, fcntl(0, F_GETFL) & ~O_NONBLOCK)
        return true
    }

    /// The same stream under another number.
    package static func duplicate(_ descriptor: Int32) -> OwnedDescriptor? {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        return copy >= 0 ? OwnedDescriptor(copy) : nil
    }

    /// Orphans below this process become its children, as they do below PID 1.
    package static func adoptOrphans() { lectern_terminal_adopt_orphans() }

    /// The standard streams are always open, so that no later descriptor takes their numbers.
    package static func keepStandardStreams() {
        while true {
            let opened = open("/dev/null", O_RDWR)
            if opened < 0 { return }
            if opened > 2 {
                close(opened)
                return
            }
        }
    }

    package static var environment: [String: String] {
        var result: [String: String] = [:]
        var entry = Glibc.environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return result
    }

    package static var ownPID: Int32 { getpid() }

    package static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, 255)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

}

/// SIGCHLD, SIGTERM, SIGINT and SIGHUP as a readable descriptor.
package final class ReaperSignals {
    package let descriptor: Int32

    package init() throws(PTYProblem) {
        var mask = sigset_t()
        sigemptyset(&mask)
        for number in [SIGCHLD, SIGTERM, SIGINT, SIGHUP] { sigaddset(&mask, number) }
        sigprocmask(SIG_BLOCK, &mask, nil)
        _ = Glibc.signal(SIGPIPE, SIG_IGN)
        descriptor = signalfd(-1, &mask, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
        guard descriptor >= 0 else { throw PTYProblem("Signals could not be watched") }
    }

    deinit { close(descriptor) }

    package enum Kind: Sendable, Equatable {
        case child
        /// Asked to end, by a process of this PID namespace or by one outside of it.
        case end(fromInside: Bool)
    }

    /// The next signal that waits.
    package func next() -> Kind? {
        var info = signalfd_siginfo()
        let got = read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size)
        guard got == MemoryLayout<signalfd_siginfo>.size else { return nil }
        return info.ssi_signo == UInt32(SIGCHLD) ? .child : .end(fromInside: info.ssi_pid != 0)
    }
}
