// rtnetlink messages: a header, a fixed struct, and attributes padded to four bytes (RFC 3549, linux/rtnetlink.h).
internal import CLinux
internal import Essentials
internal import Glibc

/// Builds one message. Numbers are in the host's byte order except where a comment says otherwise.
struct NetlinkMessage {
    private(set) var bytes: [UInt8] = []

    init(type: UInt16, flags: UInt16, acknowledged: Bool = true) {
        append(UInt32(0))  // the length, filled in by `finished`
        append(type)
        append(flags | UInt16(NLM_F_REQUEST) | (acknowledged ? UInt16(NLM_F_ACK) : 0))
        append(UInt32(1))
        append(UInt32(0))
    }

    mutating func add(flags: UInt16) {
        let sum = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 6, as: UInt16.self) } | flags
        withUnsafeBytes(of: sum) { bytes.replaceSubrange(6..<8, with: $0) }
    }

    mutating func number(_ sequence: UInt32) { withUnsafeBytes(of: sequence) { bytes.replaceSubrange(8..<12, with: $0) } }

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
    }

    /// The `ifinfomsg` that begins link messages.
    mutating func linkHeader(family: UInt8 = 0, index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) {
        append(family)
        append(UInt8(0))
        append(UInt16(0))
        append(index)
        append(flags)
        append(change)
    }

    mutating func attribute(_ type: Int32, _ value: [UInt8]) {
        append(UInt16(4 + value.count))
        append(UInt16(type))
        bytes.append(contentsOf: value)
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    mutating func attribute(_ type: Int32, text: String) { attribute(type, Array(text.utf8) + [0]) }

    mutating func attribute(_ type: Int32, number: UInt32) {
        append(UInt16(8))
        append(UInt16(type))
        append(number)
    }

    mutating func attribute(_ type: Int32, nested body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(UInt16(type))
        body(&self)
        let length = UInt16(bytes.count - start)
        withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + 2, with: $0) }
    }

    var finished: [UInt8] {
        var result = bytes
        withUnsafeBytes(of: UInt32(bytes.count)) { result.replaceSubrange(0..<4, with: $0) }
        return result
    }
}

/// A netlink socket of the calling thread's network namespace.
struct NetlinkSocket {
    let descriptor: OwnedDescriptor

    /// `groups`: events to be told of, as bits.
    init(_ family: Int32 = NETLINK_ROUTE, groups: UInt32 = 0) throws(KernelProblem) {
        let number = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), family)
        guard number >= 0 else { throw LinuxKernel.failed("socket", "netlink") }
        descriptor = OwnedDescriptor(number)
        guard groups != 0 else { return }
        var name = sockaddr_nl()
        name.nl_family = sa_family_t(AF_NETLINK)
        name.nl_groups = groups
        let result = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, socklen_t(MemoryLayout<sockaddr_nl>.size)) }
        }
        guard result == 0 else { throw LinuxKernel.failed("bind", "netlink") }
    }

    /// Sends a request and waits for its acknowledgement.
    func request(_ message: NetlinkMessage, _ call: String, _ subject: String) throws(KernelProblem) {
        try ask(message, call, subject) { _ in }
    }

    /// Sends a request, hands on each message of its answer and returns at its end or acknowledgement.
    func ask(_ message: NetlinkMessage, _ call: String, _ subject: String, _ each: (NetlinkReply) -> Void) throws(KernelProblem) {
        let bytes = message.finished
        guard send(descriptor.number, bytes, bytes.count, 0) == bytes.count else { throw LinuxKernel.failed(call, subject) }
        var reply = [UInt8](repeating: 0, count: 32768)
        while true {
            let count = recv(descriptor.number, &reply, reply.count, 0)
            if count < 0 {
                if errno == EINTR { continue }
                throw LinuxKernel.failed(call, subject)
            }
            for message in NetlinkReply.messages(reply[0..<count]) {
                switch Int32(message.type) {
                case NLMSG_ERROR:
                    let code = message.errorCode
                    if code != 0 { throw KernelProblem(call: call, subject: subject, code: -code) }
                    return
                case NLMSG_DONE: return
                default: each(message)
                }
            }
        }
    }
}
