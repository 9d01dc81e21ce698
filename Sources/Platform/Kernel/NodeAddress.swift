// The address by which others reach this machine: that of the way to anywhere, as the kernel would choose it.
internal import CLinux
internal import Glibc

package enum NodeAddress {
    /// Nothing is sent: connecting a datagram socket only asks for the route.
    package static var own: String? {
        let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard number >= 0 else { return nil }
        defer { close(number) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(53).bigEndian
        target.sin_addr.s_addr = in_addr_t(0x0808_0808)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var own = sockaddr_in()
        let isConnected = withUnsafeBytes(of: &target) {
            connect(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) == 0
        }
        let isKnown = withUnsafeMutableBytes(of: &own) {
            getsockname(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length) == 0
        }
        guard isConnected, isKnown else { return nil }
        let value = UInt32(bigEndian: own.sin_addr.s_addr)
        return (0..<4).map { String(value >> (24 - 8 * UInt32($0)) & 255) }.joined(separator: ".")
    }
}
