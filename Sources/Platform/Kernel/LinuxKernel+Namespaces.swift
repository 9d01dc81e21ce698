// The real kernel, part three: user and network namespaces, pinned as bind mounts on empty files.
//
// A process that makes a user namespace must be single-threaded, so a short-lived forked child makes it (process.h) while
// this side opens its /proc files, writes the id maps and binds the pin; then the child is killed and collected.
// Network namespaces are per thread: the calling thread enters one for a few microseconds and goes back.
internal import CLinux
internal import Essentials
internal import Glibc

extension LinuxKernel {
    package func makeUserNamespace(pin: String, first: UInt32, count: UInt32) throws(KernelProblem) {
        try Self.withNamespaceChild(joining: -1, user: first, flags: CLONE_NEWUSER, subject: pin) { (child) throws(KernelProblem) in
            try control("/proc/\(child)/uid_map", "0 \(first) \(count)\n")
            try control("/proc/\(child)/gid_map", "0 \(first) \(count)\n")
            try write(pin, [], mode: 0o600, owner: nil)
            try bind("/proc/\(child)/ns/user", at: pin)
        }
    }

    package func makeNetworkNamespace(pin: String, userNamespace: String?) throws(KernelProblem) {
        var owner: OwnedDescriptor?
        if let userNamespace { owner = try Self.open(userNamespace, O_RDONLY) }
        try Self.withNamespaceChild(joining: owner?.number ?? -1, user: 0, flags: CLONE_NEWNET, subject: pin) {
            (child) throws(KernelProblem) in
            try write(pin, [], mode: 0o600, owner: nil)
            try bind("/proc/\(child)/ns/net", at: pin)
        }
        try configure(links: [.setUp(name: "lo")], in: pin)
    }

    package func configure(sysctls: [(name: String, value: String)], in networkNamespace: String, optional: Bool) throws(KernelProblem) {
        try Self.inside(networkNamespace) { () throws(KernelProblem) in
            for (name, value) in sysctls {
                do throws(KernelProblem) {
                    try control("/proc/sys/" + String(name.map { $0 == "." ? "/" : $0 }), value)
                } catch {
                    guard optional, error.code == ENOENT else { throw error }
                }
            }
        }
    }

    private static func withNamespaceChild(
        joining owner: Int32, user: UInt32, flags: Int32, subject: String, _ body: (Int32) throws(KernelProblem) -> Void
    ) throws(KernelProblem) {
        var ends: [Int32] = [0, 0]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw failed("pipe", subject) }
        let readEnd = OwnedDescriptor(ends[0])
        let writeEnd = OwnedDescriptor(ends[1])
        let child = cl_namespace_child(owner, user, flags, writeEnd.number)
        guard child > 0 else { throw failed("fork", subject) }
        defer {
            _ = Glibc.kill(child, SIGKILL)
            while waitpid(child, nil, 0) < 0, errno == EINTR {}
        }
        writeEnd.close()
        var failure: Int32 = EIO
        let count = Glibc.read(readEnd.number, &failure, 4)
        guard count == 4, failure == 0 else { throw KernelProblem(call: "unshare", subject: subject, code: failure) }
        try body(child)
    }

    /// Runs `body` with the calling thread inside a pinned network namespace (nil: where it is). Never suspends.
    static func inside<Result>(_ networkNamespace: String?, _ body: () throws(KernelProblem) -> Result) throws(KernelProblem) -> Result {
        guard let networkNamespace else { return try body() }
        let target = try open(networkNamespace, O_RDONLY)
        let home = try open("/proc/thread-self/ns/net", O_RDONLY)
        guard cl_setns(target.number, CLONE_NEWNET) == 0 else { throw failed("setns", networkNamespace) }
        defer { precondition(cl_setns(home.number, CLONE_NEWNET) == 0, "a thread must leave the network namespace it entered") }
        return try body()
    }
}
