// The real kernel, part five: processes.
internal import CLinux
package import Essentials
internal import Glibc

extension LinuxKernel {
    package func spawn(_ command: Command) throws(KernelProblem) -> Int32 {
        precondition(command.descriptors.count <= 32)
        var groups: [OwnedDescriptor] = []
        for group in command.controlGroups { groups.append(try Self.openGroup(group)) }
        var network: OwnedDescriptor?
        if let path = command.networkNamespace { network = try Self.open(path, O_RDONLY) }
        let networkNumber = network?.number ?? -1
        let groupNumbers = groups.map(\.number)
        let numbers = command.descriptors.map { $0?.number ?? -1 }
        var arguments = command.arguments.map { strdup($0) } + [nil]
        var environment = command.environment.map { strdup($0) } + [nil]
        defer {
            for text in arguments + environment { free(text) }
            withExtendedLifetime((groups, network)) {}
            withExtendedLifetime(command) {}
        }
        var request = cl_spawn()
        let process = command.path.withCString { path in
            withOptionalCString(command.directory) { directory in
                numbers.withUnsafeBufferPointer { numbers in
                    groupNumbers.withUnsafeBufferPointer { groups in
                        arguments.withUnsafeMutableBufferPointer { arguments in
                            environment.withUnsafeMutableBufferPointer { environment in
                                request.path = path
                                request.directory = directory
                                request.arguments = UnsafePointer(arguments.baseAddress)
                                request.environment = UnsafePointer(environment.baseAddress)
                                request.descriptors = numbers.baseAddress
                                request.descriptor_count = Int32(numbers.count)
                                request.cgroups = groups.baseAddress
                                request.cgroup_count = Int32(groups.count)
                                request.new_session = command.startsSession ? 1 : 0
                                request.join_user = -1
                                request.join_network = networkNumber
                                request.new_processes = command.startsProcessNamespace ? 1 : 0
                                request.ignores_children = command.startsProcessNamespace ? 1 : 0
                                return cl_spawn_process(&request)
                            }
                        }
                    }
                }
            }
        }
        guard process > 0 else { throw KernelProblem(call: "exec", subject: command.path, code: request.error) }
        return process
    }

    // A process that moves itself with "0" through `tasks` takes no lock of the whole machine, which costs a grace period of
    // RCU, 10 ms, through `cgroup.procs`. Version 2 has no such file for processes.
    static func openGroup(_ group: String) throws(KernelProblem) -> OwnedDescriptor {
        do throws(KernelProblem) { return try open(group + "/tasks", O_WRONLY) } catch {
            guard error.code == ENOENT else { throw error }
            return try open(group + "/cgroup.procs", O_WRONLY)
        }
    }

    package func wait(_ process: Int32) throws(KernelProblem) -> ProcessExit {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            if errno != EINTR { throw Self.failed("waitpid", String(process)) }
        }
        return Self.exit(status)
    }

    // Orphans become children of the first thread; what this process starts belongs to the thread that did it.
    package func collectOrphans(named program: String) { collectOrphans(named: program, except: []) }

    /// Of any name, where none is given. Those in `kept` are waited for by others.
    package func collectOrphans(named program: String?, except kept: Set<Int32>) {
        let own = getpid()
        guard let children = try? read("/proc/self/task/\(own)/children", limitBytes: 1 << 20) else { return }
        for text in children.split(separator: UInt8(ascii: " ")) {
            guard let process = Int32(String(decoding: text, as: UTF8.self)), !kept.contains(process),
                let stat = try? read("/proc/\(process)/stat", limitBytes: 512),
                String(decoding: stat, as: UTF8.self).contains(program.map { " (\($0)) Z " } ?? ") Z ")
            else { continue }
            waitpid(process, nil, WNOHANG | 0x4000_0000 /* __WALL */)
        }
    }

    package func processDescriptor(_ process: Int32) throws(KernelProblem) -> OwnedDescriptor {
        let descriptor = pidfd_open(process, 0)
        guard descriptor >= 0 else { throw Self.failed("pidfd_open", String(process)) }
        return OwnedDescriptor(descriptor)
    }

    package func signal(_ process: Int32, _ signal: Int32) throws(KernelProblem) {
        if Glibc.kill(process, signal) < 0, errno != ESRCH { throw Self.failed("kill", String(process)) }
    }

    package func collect(_ process: Int32) -> ProcessExit? {
        var status: Int32 = 0
        let result = waitpid(process, &status, WNOHANG)
        if result == process { return Self.exit(status) }
        if result == 0 { return nil }
        return Glibc.kill(process, 0) == 0 ? nil : .unknown
    }

    static func exit(_ status: Int32) -> ProcessExit {
        cl_exited(status) != 0 ? .exited(cl_exit_status(status)) : .signalled(cl_term_signal(status))
    }

    /// Orphans of the processes started here come back to this process instead of PID 1, so that it learns how they ended;
    /// and writing to a pipe that nobody reads is an error, not the end.
    package static func prepareProcess() {
        adoptsOrphans(true)
        Glibc.signal(SIGPIPE, SIG_IGN)
    }

    package static func adoptsOrphans(_ isWanted: Bool) { _ = cl_prctl(PR_SET_CHILD_SUBREAPER, isWanted ? 1 : 0) }

    /// The highest number of open files that a child may be given.
    package static var openFilesLimit: UInt64 {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return UInt64(limit.rlim_max)
    }
}

private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return text.withCString(body)
}
