// Plain IPv4 sockets for small servers: datagrams and listening, non-blocking, in any network namespace.
internal import CLinux
package import Essentials
internal import Glibc

package struct InternetEndpoint: Sendable, Hashable, CustomStringConvertible {
    package var address: IPv4
    package var port: UInt16

    package init(_ address: IPv4, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    package var description: String { "\(address):\(port)" }

    fileprivate var name: sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = address.value.bigEndian
        return name
    }
}

package enum InternetSockets {
    /// A socket for datagrams, bound to an address of this machine; port 0 picks one.
    package static func datagrams(at endpoint: InternetEndpoint, in networkNamespace: String? = nil) throws(KernelProblem)
        -> OwnedDescriptor
    {
        try bound(SOCK_DGRAM.rawValue, endpoint, networkNamespace)
    }

    /// A socket that accepts connections.
    package static func listener(
        at endpoint: InternetEndpoint, backlog: Int32 = 128, in networkNamespace: String? = nil
    ) throws(KernelProblem) -> OwnedDescriptor {
        let descriptor = try bound(SOCK_STREAM.rawValue, endpoint, networkNamespace)
        guard listen(descriptor.number, backlog) == 0 else { throw LinuxKernel.failed("listen", "\(endpoint)") }
        return descriptor
    }

    /// The next connection and its other end; nil when there is none now.
    package static func accept(_ listener: OwnedDescriptor) -> (OwnedDescriptor, InternetEndpoint)? {
        var name = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let number = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.accept(listener.number, $0, &size) }
        }
        guard number >= 0 else { return nil }
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        _ = fcntl(number, F_SETFL, O_RDWR | O_NONBLOCK)
        return (OwnedDescriptor(number), endpoint(name))
    }

    /// A connection that is being made; wait until it is writable. `datagrams`: a socket that only knows the one other side,
    /// and is told when nobody listens there.
    package static func connect(to endpoint: InternetEndpoint, datagrams: Bool = false) throws(KernelProblem) -> OwnedDescriptor {
        let type = datagrams ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue
        let number = socket(AF_INET, Int32(type | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard number >= 0 else { throw LinuxKernel.failed("socket", "\(endpoint)") }
        let descriptor = OwnedDescriptor(number)
        var name = endpoint.name
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result < 0, errno != EINPROGRESS { throw LinuxKernel.failed("connect", "\(endpoint)") }
        return descriptor
    }

    /// The next datagram and its sender; nil when there is none now. Errors that an earlier send caused are passed over.
    package static func receive(_ descriptor: OwnedDescriptor, limitBytes: Int) -> ([UInt8], InternetEndpoint)? {
        for _ in 0..<16 {
            var name = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            var isAgain = false
            var isOver = false
            let bytes = [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
                let result = withUnsafeMutablePointer(to: &name) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(descriptor.number, buffer.baseAddress, limitBytes, 0, $0, &size)
                    }
                }
                if result < 0 { if errno == EAGAIN || errno == EBADF { isOver = true } else { isAgain = true } }
                count = max(0, result)
            }
            if isOver { return nil }
            if !isAgain { return (bytes, endpoint(name)) }
        }
        return nil
    }

    /// Sends a datagram; false when the kernel would not take it.
    @discardableResult
    package static func send(_ bytes: [UInt8], to endpoint: InternetEndpoint, from descriptor: OwnedDescriptor) -> Bool {
        var name = endpoint.name
        return withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor.number, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    == bytes.count
            }
        }
    }

    /// What of `bytes` a connection takes now; -1 when it is broken.
    package static func write(_ bytes: ArraySlice<UInt8>, to descriptor: OwnedDescriptor) -> Int {
        let count = bytes.withUnsafeBytes { Glibc.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count < 0 { return errno == EAGAIN ? 0 : -1 }
        return count
    }

    /// The port a socket is bound to.
    package static func port(of descriptor: OwnedDescriptor) -> UInt16 {
        var name = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor.number, $0, &size) }
        }
        return UInt16(bigEndian: name.sin_port)
    }

    private static func bound(_ type: __socket_type.RawValue, _ endpoint: InternetEndpoint, _ networkNamespace: String?)
        throws(KernelProblem)
        -> OwnedDescriptor
    {
        let descriptor = try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) -> OwnedDescriptor in
            let number = socket(AF_INET, Int32(type | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
            guard number >= 0 else { throw LinuxKernel.failed("socket", "\(endpoint)") }
            return OwnedDescriptor(number)
        }
        var one: Int32 = 1
        if type == SOCK_STREAM.rawValue { setsockopt(descriptor.number, SOL_SOCKET, SO_REUSEADDR, &one, 4) }
        var name = endpoint.name
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw LinuxKernel.failed("bind", "\(endpoint)") }
        return descriptor
    }

    private static func endpoint(_ name: sockaddr_in) -> InternetEndpoint {
        InternetEndpoint(IPv4(UInt32(bigEndian: name.sin_addr.s_addr)), UInt16(bigEndian: name.sin_port))
    }
}
