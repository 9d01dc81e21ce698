// A TCP listener on all of the host's addresses, as something a lab must not reach.
import Glibc
import Kernel

final class Listener: Sendable {
    let descriptor: Int32
    let port: UInt16

    init() throws {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        descriptor = number
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(number, address, size) == 0 && listen(number, 16) == 0 && getsockname(number, address, &size) == 0
            }
        }
        guard result else { throw KernelProblem(call: "listen", subject: "", code: errno) }
        port = UInt16(bigEndian: name.sin_port)
    }

    func close() { Glibc.close(descriptor) }
}

extension Host {
    /// The host's own IPv4 addresses.
    static func addresses() throws -> [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { throw KernelProblem(call: "getifaddrs", subject: "", code: errno) }
        defer { freeifaddrs(list) }
        var found: [String] = []
        var entry = list
        while let current = entry {
            if let address = current.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) {
                let value = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt32(bigEndian: $0.pointee.sin_addr.s_addr) }
                if value >> 24 != 127 { found.append(IPv4(value).description) }
            }
            entry = current.pointee.ifa_next
        }
        return found
    }
}

extension Host {
    /// The agent as nodes can run it: linked statically, so from LECTERN_TEST_AGENT or a release build beside the tests.
    static let agentProgram: String? = {
        if let path = getenv("LECTERN_TEST_AGENT").map({ String(cString: $0) }) { return path }
        let own = (try? Host.executable()) ?? ""
        guard let range = own.firstRange(of: "/.build/") else { return nil }
        let path = String(own[..<range.upperBound]) + "release/node-agent"
        return kernel.exists(path) ? path : nil
    }()

    private static func executable() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
