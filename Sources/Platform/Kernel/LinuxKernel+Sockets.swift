// The real kernel, part four: sockets inside a lab's network and unix sockets with paths of any length.
internal import CLinux
package import Essentials
internal import Glibc

extension LinuxKernel {
    package func connect(inNetworkNamespace path: String, address: String, port: UInt16) throws(KernelProblem) -> OwnedDescriptor {
        let subject = "\(address):\(port)"
        guard let target = IPv4(address) else { throw KernelProblem(call: "connect", subject: subject, code: EINVAL) }
        let descriptor = try Self.inside(path) { () throws(KernelProblem) -> OwnedDescriptor in
            let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), Int32(IPPROTO_TCP))
            guard number >= 0 else { throw Self.failed("socket", subject) }
            return OwnedDescriptor(number)
        }
        var one: Int32 = 1
        setsockopt(descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = target.value.bigEndian
        let result = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result < 0, errno != EINPROGRESS { throw Self.failed("connect", subject) }
        return descriptor
    }

    package func connect(unixSocket path: String) throws(KernelProblem) -> OwnedDescriptor {
        try Self.withUnixAddress(path) { (descriptor, name, length) throws(KernelProblem) in
            if Glibc.connect(descriptor, name, length) < 0 { throw Self.failed("connect", path) }
        }
    }

    package func isConnected(_ descriptor: OwnedDescriptor) -> Bool {
        var failure: Int32 = 0
        var size = socklen_t(4)
        return getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0
    }

    package func listen(unixSocket path: String, backlog: Int32) throws(KernelProblem) -> OwnedDescriptor {
        try remove(path)
        return try Self.withUnixAddress(path) { (descriptor, name, length) throws(KernelProblem) in
            if Glibc.bind(descriptor, name, length) < 0 { throw Self.failed("bind", path) }
            if Glibc.listen(descriptor, backlog) < 0 { throw Self.failed("listen", path) }
        }
    }

    // An address holds 107 bytes of path; longer ones go through a descriptor of their directory.
    private static func withUnixAddress(
        _ path: String, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) throws(KernelProblem) -> Void
    ) throws(KernelProblem) -> OwnedDescriptor {
        var short = path
        var directory: OwnedDescriptor?
        if path.utf8.count > 100, let slash = path.lastIndex(of: "/") {
            let opened = try open(String(path[..<slash]), 0x20_0000 /* O_PATH */ | O_DIRECTORY)
            short = "/proc/self/fd/\(opened.number)\(path[slash...])"
            directory = opened
        }
        defer { directory?.close() }
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard number >= 0 else { throw failed("socket", path) }
        let descriptor = OwnedDescriptor(number)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(short.utf8)
        guard bytes.count < 108 else { throw KernelProblem(call: "socket", subject: path, code: ENAMETOOLONG) }
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
        let outcome: KernelProblem? = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                do throws(KernelProblem) {
                    try body(descriptor.number, address, socklen_t(MemoryLayout<sockaddr_un>.size))
                    return nil
                } catch { return error }
            }
        }
        if let outcome { throw outcome }
        return descriptor
    }
}
