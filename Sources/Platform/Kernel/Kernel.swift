// The kernel as the rest of Lectern sees it: files, mounts, namespaces, links, sockets and processes, and nothing else.
//
// `LinuxKernel` does it, `ScriptedKernel` pretends to and can fail at the N-th call. All calls are synchronous and act for
// the calling thread: code that mounts runs on `KernelThreads`, whose threads live in the platform's own mount namespace.
package import Essentials

/// A system call that failed.
package struct KernelProblem: Problem, Equatable {
    package let call: String
    package let subject: String
    package let code: Int32

    package init(call: String, subject: String, code: Int32) {
        self.call = call
        self.subject = subject
        self.code = code
    }

    package var reason: String { code == Errno.noSpace ? "DiskFull" : "KernelRefused" }
    package var message: String {
        code == Errno.noSpace ? "The disk is full. Free some space and try again." : "The machine refused a step: \(Errno.text(code))."
    }
    package var cause: String? { "\(call)(\(subject)): \(Errno.text(code)) (\(code))" }
}

/// How a file is opened for a child process or read back.
package struct FileOwner: Sendable, Equatable {
    package var user: UInt32
    package var group: UInt32
    package init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }
}

package struct MountOptions: OptionSet, Sendable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }
    package static let readOnly = MountOptions(rawValue: 1)
    package static let noSetuid = MountOptions(rawValue: 2)
    package static let noDevices = MountOptions(rawValue: 4)
    package static let noExecution = MountOptions(rawValue: 8)
    package static let noAccessTime = MountOptions(rawValue: 1024)
}

/// A program to start.
package struct Command: Sendable {
    package var path: String
    /// With the program's own name first.
    package var arguments: [String]
    package var environment: [String]
    package var directory: String?
    /// The child's descriptor i is `descriptors[i]`; `nil` leaves it closed. At most 32; all others are closed.
    package var descriptors: [OwnedDescriptor?]
    /// Control groups (directories) that the child enters before it runs.
    package var controlGroups: [String]
    package var startsSession: Bool
    /// The pinned network namespace it runs in; nil: the caller's.
    package var networkNamespace: String?
    /// It is the first process of a process id namespace, and those that end there are collected by the kernel.
    package var startsProcessNamespace = false

    package init(
        path: String, arguments: [String], environment: [String] = [], directory: String? = nil,
        descriptors: [OwnedDescriptor?] = [], controlGroups: [String] = [], startsSession: Bool = false,
        networkNamespace: String? = nil
    ) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.descriptors = descriptors
        self.controlGroups = controlGroups
        self.startsSession = startsSession
        self.networkNamespace = networkNamespace
    }
}

/// How a process ended.
package enum ProcessExit: Sendable, Equatable {
    case exited(Int32)
    case signalled(Int32)
    /// It is gone, but it was no child of this process, so nobody told how.
    case unknown

    /// The status as shells count it.
    package var code: Int32 {
        switch self {
        case .exited(let code): code
        case .signalled(let signal): 128 + signal
        case .unknown: 255
        }
    }
}

package struct FileSystemUsage: Sendable, Equatable {
    package var totalBytes: UInt64
    package var freeBytes: UInt64
    package init(totalBytes: UInt64, freeBytes: UInt64) {
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
    }
}

/// The narrow waist: everything above decides, everything below does.
package protocol Kernel: Sendable {
    // Files. Missing parents are not made; an existing directory is fine.
    func makeDirectory(_ path: String, mode: UInt32, owner: FileOwner?) throws(KernelProblem)
    /// Replaces the file's content.
    func write(_ path: String, _ bytes: [UInt8], mode: UInt32, owner: FileOwner?) throws(KernelProblem)
    /// Writes one value into a file of /proc, /sys or a control group.
    func control(_ path: String, _ value: String) throws(KernelProblem)
    func read(_ path: String, limitBytes: Int) throws(KernelProblem) -> [UInt8]
    /// Names in a directory; empty where there is none.
    func list(_ path: String) throws(KernelProblem) -> [String]
    func exists(_ path: String) -> Bool
    func isDirectory(_ path: String) -> Bool
    func rename(_ from: String, to: String) throws(KernelProblem)
    /// Removes a file or an empty directory; a missing one is fine.
    func remove(_ path: String) throws(KernelProblem)
    /// Removes a directory and all in it, never crossing into another file system; a missing one is fine.
    func removeTree(_ path: String) throws(KernelProblem)
    func changeOwner(_ path: String, _ owner: FileOwner) throws(KernelProblem)
    /// Copies a file without its holes (shared extents where the file system can).
    func copySparse(_ from: String, to: String) throws(KernelProblem)
    func usage(ofFileSystem path: String) throws(KernelProblem) -> FileSystemUsage
    /// Bytes a file really takes.
    func allocatedBytes(_ path: String) throws(KernelProblem) -> UInt64
    func makeFIFO(_ path: String) throws(KernelProblem)
    /// Opens for reading and writing, so that neither end ever sees the other one gone.
    func openFIFO(_ path: String, blocking: Bool) throws(KernelProblem) -> OwnedDescriptor
    /// The read end first.
    func makePipe() throws(KernelProblem) -> (OwnedDescriptor, OwnedDescriptor)

    /// Writes all bytes, which must fit what the other side takes at once.
    func send(_ bytes: [UInt8], to descriptor: OwnedDescriptor) throws(KernelProblem)
    /// What is there, at most `limitBytes`; empty at the end, nil when a non-blocking descriptor has nothing now.
    func receive(from descriptor: OwnedDescriptor, limitBytes: Int) throws(KernelProblem) -> [UInt8]?
    /// Opens for appending; made where it does not exist, private to the host's root.
    func openForAppending(_ path: String) throws(KernelProblem) -> OwnedDescriptor

    // Mounts.
    func mount(_ source: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem)
    /// Binds `source` at `target` with its ids mapped through the user namespace pinned at `userNamespace`.
    func bindMapped(_ source: String, at target: String, userNamespace: String, readOnly: Bool) throws(KernelProblem)
    func bind(_ source: String, at target: String) throws(KernelProblem)
    /// Detaches what is mounted at `target`; nothing mounted is fine.
    func unmount(_ target: String) throws(KernelProblem)
    /// Mount points at or below `path` in the calling thread's namespace, outermost first.
    func mounts(below path: String) throws(KernelProblem) -> [String]
    /// Mounts the file system in the file `image` through a loop device that goes with the mount.
    func mountLoop(_ image: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem)

    // Namespaces, pinned as bind mounts on files.
    /// A user namespace made by the host user `first`, with ids 0..<count mapped to `first` and on.
    func makeUserNamespace(pin: String, first: UInt32, count: UInt32) throws(KernelProblem)
    /// A network namespace owned by the user namespace pinned at `userNamespace` (by the host's when nil), loopback up.
    func makeNetworkNamespace(pin: String, userNamespace: String?) throws(KernelProblem)
    /// Changes links, addresses and routes inside the network namespace pinned at `networkNamespace` (nil: the caller's).
    func configure(links: [LinkChange], in networkNamespace: String?) throws(KernelProblem)
    /// Writes values below /proc/sys/net inside a network namespace; those in `optional` may be missing.
    func configure(sysctls: [(name: String, value: String)], in networkNamespace: String, optional: Bool) throws(KernelProblem)

    // Sockets.
    /// A non-blocking TCP socket made inside a pinned network namespace, connected or connecting.
    func connect(inNetworkNamespace path: String, address: String, port: UInt16) throws(KernelProblem) -> OwnedDescriptor
    /// A non-blocking, connected stream socket.
    func connect(unixSocket path: String) throws(KernelProblem) -> OwnedDescriptor
    /// Whether a connection that was in the making is made.
    func isConnected(_ descriptor: OwnedDescriptor) -> Bool
    func listen(unixSocket path: String, backlog: Int32) throws(KernelProblem) -> OwnedDescriptor

    // Processes.
    func spawn(_ command: Command) throws(KernelProblem) -> Int32
    /// Waits for a child.
    func wait(_ process: Int32) throws(KernelProblem) -> ProcessExit
    /// Collects ended children named `program` that this process did not start itself: they came to it as orphans.
    func collectOrphans(named program: String)
    /// A descriptor that becomes readable when the process ends.
    func processDescriptor(_ process: Int32) throws(KernelProblem) -> OwnedDescriptor
    /// A process that is gone is fine.
    func signal(_ process: Int32, _ signal: Int32) throws(KernelProblem)
    /// Collects a child that ended; `.unknown` for a process that is not a child, `nil` while it runs.
    func collect(_ process: Int32) -> ProcessExit?
}

extension Kernel {
    package func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(KernelProblem) {
        try makeDirectory(path, mode: mode, owner: nil)
    }
    package func write(_ path: String, text: String, mode: UInt32 = 0o644, owner: FileOwner? = nil) throws(KernelProblem) {
        try write(path, Array(text.utf8), mode: mode, owner: owner)
    }
    package func readText(_ path: String, limitBytes: Int = 1 << 20) throws(KernelProblem) -> String {
        String(decoding: try read(path, limitBytes: limitBytes), as: UTF8.self)
    }
    /// Makes the directory and its missing parents.
    package func makeDirectories(_ path: String, mode: UInt32 = 0o755) throws(KernelProblem) {
        var current = ""
        for part in path.split(separator: "/") {
            current += "/" + part
            if !exists(current) { try makeDirectory(current, mode: mode, owner: nil) }
        }
    }
}
