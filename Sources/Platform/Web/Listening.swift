// Listening sockets and numeric addresses.
internal import CLibwebsockets
internal import Essentials
internal import Glibc

enum Listening {
    static func open(_ address: String, _ port: UInt16, backlog: Int32) throws(WebProblem) -> (OwnedDescriptor, UInt16) {
        func failure(_ call: String) -> WebProblem {
            .cannotListen(address: address, port: port, cause: "\(call): \(String(cString: strerror(errno)))")
        }
        guard var storage = socketAddress(address, port) else {
            throw .cannotListen(address: address, port: port, cause: "not a numeric address")
        }
        let descriptor = OwnedDescriptor(
            socket(Int32(storage.ss_family), Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0))
        guard descriptor.number >= 0 else { throw failure("socket") }
        var one: Int32 = 1
        setsockopt(descriptor.number, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let bound = withSocketAddress(&storage) { bind(descriptor.number, $0, length) }
        guard bound == 0 else { throw failure("bind") }
        guard listen(descriptor.number, backlog) == 0 else { throw failure("listen") }
        _ = withSocketAddress(&storage) { getsockname(descriptor.number, $0, &length) }
        return (descriptor, portNumber(storage))
    }

    static func withSocketAddress<Result>(_ storage: inout sockaddr_storage, _ body: (UnsafeMutablePointer<sockaddr>) -> Result) -> Result {
        withUnsafeMutablePointer(to: &storage) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
    }

    /// IPv4 or IPv6 in numbers.
    static func socketAddress(_ address: String, _ port: UInt16) -> sockaddr_storage? {
        var storage = sockaddr_storage()
        return withUnsafeMutablePointer(to: &storage) { pointer in
            let isIPv4 = pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                $0.pointee.sin_family = sa_family_t(AF_INET)
                $0.pointee.sin_port = port.bigEndian
                return inet_pton(AF_INET, address, &$0.pointee.sin_addr) == 1
            }
            if isIPv4 { return pointer.pointee }
            pointer.pointee = sockaddr_storage()
            let isIPv6 = pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                $0.pointee.sin6_family = sa_family_t(AF_INET6)
                $0.pointee.sin6_port = port.bigEndian
                return inet_pton(AF_INET6, address, &$0.pointee.sin6_addr) == 1
            }
            return isIPv6 ? pointer.pointee : nil
        }
    }

    static func portNumber(_ storage: sockaddr_storage) -> UInt16 {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt16(bigEndian: $0.pointee.sin_port) }
        }
    }

    /// `192.0.2.1`, `2001:db8::1`; an IPv4 address mapped into IPv6 is told as IPv4.
    static func numericAddress(_ storage: sockaddr_storage) -> String {
        withUnsafePointer(to: storage) { pointer in
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
                let text: UnsafePointer<CChar>?
                if Int32(storage.ss_family) == AF_INET {
                    text = pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                        var address = $0.pointee.sin_addr
                        return inet_ntop(AF_INET, &address, buffer.baseAddress, 64)
                    }
                } else {
                    text = pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                        var address = $0.pointee.sin6_addr
                        return inet_ntop(AF_INET6, &address, buffer.baseAddress, 64)
                    }
                }
                guard let text else { return "" }
                let name = String(cString: text)
                return name.hasPrefix("::ffff:") && name.contains(".") ? String(name.dropFirst(7)) : name
            }
        }
    }

    /// What connections are counted by: the IPv4 address, or the IPv6 /64.
    static func countingKey(_ address: String) -> String {
        guard address.contains(":"), var storage = socketAddress(address, 0) else { return address }
        return withSocketAddress(&storage) {
            $0.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { $0.prefix(8).map { String($0, radix: 16) }.joined(separator: ".") }
            }
        }
    }

    static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }
}
