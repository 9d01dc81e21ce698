// The real kernel, part seven: what a node's own container runtime needs: a pod's namespaces, processes inside
// containers, terminals of theirs, and files looked at from inside a root directory.
internal import CLinux
package import Essentials
internal import Glibc

/// Where the namespaces that a pod's containers share are pinned; `nil`: the node's own.
package struct PodNamespaces: Sendable, Equatable {
    package var network: String?
    package var interprocess: String?
    package var hostname: String?
    package init(network: String? = nil, interprocess: String? = nil, hostname: String? = nil) {
        self.network = network
        self.interprocess = interprocess
        self.hostname = hostname
    }
}

/// A process to start inside a running container.
package struct InsideCommand: Sendable {
    /// The container's first process.
    package var process: OwnedDescriptor
    /// Where the program may be, in order.
    package var paths: [String]
    package var arguments: [String]
    package var environment: [String]
    package var directory: String
    /// Standard streams; all three the same for a terminal.
    package var descriptors: [OwnedDescriptor]
    package var isTerminal: Bool
    package var controlGroups: [String]
    package var user: FileOwner
    package var groups: [UInt32]
    /// Bits by capability number.
    package var capabilities: UInt64
    package var gainsNoPrivileges: Bool

    package init(
        process: OwnedDescriptor, paths: [String], arguments: [String], environment: [String], directory: String,
        descriptors: [OwnedDescriptor], isTerminal: Bool, controlGroups: [String], user: FileOwner, groups: [UInt32],
        capabilities: UInt64, gainsNoPrivileges: Bool
    ) {
        precondition(descriptors.count == 3)
        self.process = process
        self.paths = paths
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.descriptors = descriptors
        self.isTerminal = isTerminal
        self.controlGroups = controlGroups
        self.user = user
        self.groups = groups
        self.capabilities = capabilities
        self.gainsNoPrivileges = gainsNoPrivileges
    }
}

/// What a file is, as far as its readers care.
package struct FileFacts: Sendable, Equatable {
    package var sizeBytes: Int64
    package var isDirectory: Bool
    package var isDevice: Bool
    package var modified: Timestamp
}

extension LinuxKernel {
    /// Makes a pod's namespaces and pins them on files. Values below /proc/sys are written inside; unknown ones are an error.
    package func makeNamespaces(_ pins: PodNamespaces, hostName: String, sysctls: [(name: String, value: String, isOptional: Bool)])
        throws(KernelProblem)
    {
        let wanted: [(String, Int32, String?)] = [
            ("net", CLONE_NEWNET, pins.network), ("ipc", CLONE_NEWIPC, pins.interprocess), ("uts", CLONE_NEWUTS, pins.hostname),
        ]
        var flags: Int32 = 0
        for (_, flag, pin) in wanted {
            guard let pin else { continue }
            flags |= flag
            try write(pin, [], mode: 0o600, owner: nil)
        }
        guard flags != 0 else { return }
        var homes: [(OwnedDescriptor, Int32)] = []
        for (name, flag, pin) in wanted where pin != nil { homes.append((try Self.open("/proc/thread-self/ns/\(name)", O_RDONLY), flag)) }
        guard cl_unshare(flags) == 0 else { throw Self.failed("unshare", pins.network ?? hostName) }
        defer {
            for (home, flag) in homes { precondition(cl_setns(home.number, flag) == 0, "a thread must leave the namespaces it made") }
        }
        if pins.hostname != nil, sethostname(hostName, hostName.utf8.count) < 0 { throw Self.failed("sethostname", hostName) }
        if pins.network != nil { try configure(links: [.setUp(name: "lo")], in: nil) }
        for (name, value, isOptional) in sysctls {
            do throws(KernelProblem) { try control("/proc/sys/" + String(name.map { $0 == "." ? "/" : $0 }), value) } catch {
                guard isOptional else { throw error }
            }
        }
        for (name, _, pin) in wanted { if let pin { try bind("/proc/thread-self/ns/\(name)", at: pin) } }
    }

    /// Starts a process inside a container as a child of this one. A program that cannot be started is a problem of the call `exec`.
    package func start(_ command: InsideCommand) throws(KernelProblem) -> Int32 {
        var groups: [OwnedDescriptor] = []
        for group in command.controlGroups { groups.append(try Self.openGroup(group)) }
        let (reader, writer) = try makePipe()
        var paths = command.paths.map { strdup($0) } + [nil]
        var arguments = command.arguments.map { strdup($0) } + [nil]
        var environment = command.environment.map { strdup($0) } + [nil]
        defer { for text in paths + arguments + environment { free(text) } }
        var inside = cl_inside()
        inside.process = command.process.number
        inside.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
        inside.descriptors = (command.descriptors[0].number, command.descriptors[1].number, command.descriptors[2].number)
        inside.terminal = command.isTerminal ? 1 : 0
        inside.user = command.user.user
        inside.group = command.user.group
        inside.bounding = command.capabilities
        inside.permitted = command.capabilities
        inside.no_new_privileges = command.gainsNoPrivileges ? 1 : 0
        inside.report = writer.number
        let helper = groups.map(\.number).withUnsafeBufferPointer { groups in
            command.groups.withUnsafeBufferPointer { supplementary in
                paths.withUnsafeMutableBufferPointer { paths in
                    arguments.withUnsafeMutableBufferPointer { arguments in
                        environment.withUnsafeMutableBufferPointer { environment in
                            command.directory.withCString { directory in
                                inside.paths = UnsafePointer(paths.baseAddress)
                                inside.arguments = UnsafePointer(arguments.baseAddress)
                                inside.environment = UnsafePointer(environment.baseAddress)
                                inside.directory = directory
                                inside.cgroups = groups.baseAddress
                                inside.cgroup_count = Int32(groups.count)
                                inside.groups = supplementary.baseAddress
                                inside.group_count = Int32(supplementary.count)
                                return cl_start_inside(&inside)
                            }
                        }
                    }
                }
            }
        }
        guard helper > 0 else { throw Self.failed("fork", command.arguments.first ?? "") }
        writer.close()
        withExtendedLifetime((groups, command)) {}
        _ = try wait(helper)
        var process: Int32?
        var problem: KernelProblem?
        while let line = Self.report(reader) {
            if line.step == 0 {
                process = line.value
            } else {
                let call = [1: "enter", 2: "chdir", 3: "exec"][line.step] ?? "enter"
                problem = KernelProblem(
                    call: call, subject: call == "chdir" ? command.directory : command.arguments.first ?? "", code: line.value)
            }
        }
        if let problem {
            if let process { _ = try? wait(process) }
            throw problem
        }
        guard let process else { throw KernelProblem(call: "enter", subject: command.arguments.first ?? "", code: EIO) }
        return process
    }

    private static func report(_ reader: OwnedDescriptor) -> cl_inside_report? {
        var line = cl_inside_report()
        while true {
            let count = Glibc.read(reader.number, &line, MemoryLayout<cl_inside_report>.size)
            if count < 0, errno == EINTR { continue }
            return count == MemoryLayout<cl_inside_report>.size ? line : nil
        }
    }

    /// How a child ended, without collecting it; `.unknown` for a process that is not a child, `nil` while it runs.
    package func peek(_ process: Int32) -> ProcessExit? {
        var status: Int32 = 0
        switch cl_peek_exit(process, &status) {
        case 1: return Self.exit(status)
        case 0: return nil
        default: return .unknown
        }
    }

    package static var ownProcess: Int32 { getpid() }

    /// How a status as wait(2) has it reads.
    package static func exit(status: Int32) -> ProcessExit { exit(status) }

    /// Signals exactly the process that the descriptor was opened for; one that is gone is fine.
    package func signal(_ process: OwnedDescriptor, _ signal: Int32) throws(KernelProblem) {
        if cl_pidfd_signal(process.number, signal) < 0, errno != ESRCH { throw Self.failed("pidfd_send_signal", String(signal)) }
    }

    // MARK: Terminals and descriptors that travel

    /// A PTY of the container whose first process this is, with the name it has there.
    package func openTerminal(inRootOf process: Int32, owner: UInt32) throws(KernelProblem) -> (
        master: OwnedDescriptor, slave: OwnedDescriptor
    ) {
        let root = try Self.open("/proc/\(process)/root", 0x20_0000 /* O_PATH */ | O_DIRECTORY)
        var slave: Int32 = -1
        let master = cl_open_terminal_in_root(root.number, &slave)
        guard master >= 0 else { throw Self.failed("open terminal", String(process)) }
        _ = fchown(slave, owner, gid_t.max)
        return (OwnedDescriptor(master), OwnedDescriptor(slave))
    }

    package func resize(_ terminal: OwnedDescriptor, columns: Int, rows: Int) {
        PTYFiles.resize(terminal.number, columns: columns, rows: rows)
    }

    /// Two connected stream sockets.
    package func makeSocketPair() throws(KernelProblem) -> (OwnedDescriptor, OwnedDescriptor) {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Self.failed("socketpair", "")
        }
        return (OwnedDescriptor(ends[0]), OwnedDescriptor(ends[1]))
    }

    /// The connection that waits at a listening socket; it does not block.
    package func accept(_ listener: OwnedDescriptor) throws(KernelProblem) -> OwnedDescriptor {
        guard let number = PTYFiles.accept(listener.number) else { throw Self.failed("accept", "") }
        return OwnedDescriptor(number)
    }

    package func send(descriptor: OwnedDescriptor, to socket: OwnedDescriptor) throws(KernelProblem) {
        guard cl_send_descriptor(socket.number, descriptor.number) == 0 else { throw Self.failed("sendmsg", "") }
    }

    /// With `keeps`, a copy stays in the socket for the next reader.
    package func receiveDescriptor(from socket: OwnedDescriptor, keeps: Bool = false) throws(KernelProblem) -> OwnedDescriptor {
        let number = cl_receive_descriptor(socket.number, keeps ? 1 : 0)
        guard number >= 0 else { throw Self.failed("recvmsg", "") }
        return OwnedDescriptor(number)
    }

    /// A copy of a descriptor that another process holds.
    package func copyDescriptor(_ number: Int32, of process: OwnedDescriptor) throws(KernelProblem) -> OwnedDescriptor {
        let copy = cl_pidfd_getfd(process.number, number)
        guard copy >= 0 else { throw Self.failed("pidfd_getfd", String(number)) }
        return OwnedDescriptor(copy)
    }

    package func setNonBlocking(_ descriptor: OwnedDescriptor) { PTYFiles.setNonBlocking(descriptor.number) }

    /// A second descriptor of the same open file.
    package func duplicate(_ descriptor: OwnedDescriptor) throws(KernelProblem) -> OwnedDescriptor {
        let number = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 3)
        guard number >= 0 else { throw Self.failed("dup", "") }
        return OwnedDescriptor(number)
    }

    // MARK: Files

    package func openForReading(_ path: String, blocking: Bool = false) throws(KernelProblem) -> OwnedDescriptor {
        try Self.open(path, O_RDONLY | (blocking ? 0 : O_NONBLOCK))
    }

    package func openForWriting(_ path: String) throws(KernelProblem) -> OwnedDescriptor {
        try Self.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    }

    /// At most `limitBytes` from `offset` on; empty at the end.
    package func read(_ descriptor: OwnedDescriptor, at offset: Int64, limitBytes: Int) throws(KernelProblem) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
            var result: Int
            repeat { result = pread(descriptor.number, buffer.baseAddress, limitBytes, off_t(offset)) } while result < 0 && errno == EINTR
            if result < 0 { failure = errno }
            count = max(0, result)
        }
        if failure != 0 { throw KernelProblem(call: "pread", subject: "descriptor", code: failure) }
        return bytes
    }

    package func facts(_ path: String) -> FileFacts? {
        var status = stat()
        return stat(path, &status) == 0 ? Self.facts(status) : nil
    }

    package func facts(_ descriptor: OwnedDescriptor) -> FileFacts? {
        var status = stat()
        return fstat(descriptor.number, &status) == 0 ? Self.facts(status) : nil
    }

    private static func facts(_ status: stat) -> FileFacts {
        FileFacts(
            sizeBytes: Int64(status.st_size), isDirectory: status.st_mode & S_IFMT == S_IFDIR,
            isDevice: status.st_mode & S_IFMT == S_IFCHR || status.st_mode & S_IFMT == S_IFBLK,
            modified: Timestamp(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int32(status.st_mtim.tv_nsec)))
    }

    /// Makes a symbolic link, in the place of one that is there.
    package func link(_ path: String, to target: String) throws(KernelProblem) {
        if symlink(target, path) == 0 { return }
        guard errno == EEXIST else { throw Self.failed("symlink", path) }
        try remove(path)
        if symlink(target, path) < 0 { throw Self.failed("symlink", path) }
    }

    package func linkTarget(_ path: String) -> String? { ReaperFiles.linkTarget(path) }

    /// Reads a file of a container's or image's root directory; neither links nor `..` lead out of it.
    package func read(_ path: String, inRoot root: String, limitBytes: Int) throws(KernelProblem) -> [UInt8] {
        let directory = try Self.open(root, 0x20_0000 /* O_PATH */ | O_DIRECTORY)
        let number = cl_open_in_root(directory.number, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0)
        guard number >= 0 else { throw Self.failed("openat2", path) }
        let file = OwnedDescriptor(number)
        guard let facts = facts(file), !facts.isDirectory, !facts.isDevice else {
            throw KernelProblem(call: "openat2", subject: path, code: EINVAL)
        }
        var bytes: [UInt8] = []
        while bytes.count < limitBytes {
            let chunk = try read(file, at: Int64(bytes.count), limitBytes: min(65536, limitBytes - bytes.count))
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }

    /// Whether what lies at `path` is on an overlay, which cannot hold the changes of another one.
    package func isOnOverlay(_ path: String) -> Bool {
        var status = statfs()
        return statfs(path, &status) == 0 && status.f_type == 0x794C_7630
    }

    /// Restrictions of the mount at `path`, as mount options: a copy of it inside a user namespace must keep them.
    package func mountRestrictions(_ path: String) -> [String] {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return [] }
        return [(1, "ro"), (2, "nosuid"), (4, "nodev"), (8, "noexec")].compactMap { status.f_flag & $0.0 != 0 ? $0.1 : nil }
    }

    /// Capabilities that this process can give to others, by number.
    package var boundingCapabilities: UInt64 {
        let text = (try? readText("/proc/self/status", limitBytes: 8192)) ?? ""
        for line in text.split(separator: "\n") where line.hasPrefix("CapBnd:") {
            return UInt64(line.dropFirst(7).filter { $0.isHexDigit }, radix: 16) ?? 0
        }
        return 0
    }
}
