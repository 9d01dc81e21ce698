// The kernel's table of connections (ctnetlink): finding and forgetting flows whose destination was changed.
internal import CLinux
internal import Essentials
internal import Glibc

/// A connection as its first packet had it, and as answers come back.
package struct TrackedConnection: Sendable, Hashable {
    package var transport: UInt8
    package var source: IPv4
    package var destination: IPv4
    package var destinationPort: UInt16
    /// Who really answers: another than `destination` where that was changed.
    package var answerer: IPv4
    package var answererPort: UInt16
    /// As the kernel told it, to name the connection when it is to be forgotten.
    fileprivate var original: [UInt8]
}

package struct ConnectionTable: Sendable {
    private let networkNamespace: String?
    private static let subsystem: UInt16 = 1 << 8

    /// `networkNamespace`: a path that pins it; nil: the caller's own.
    package init(in networkNamespace: String? = nil) { self.networkNamespace = networkNamespace }

    /// The connections of one transport protocol.
    package func connections(transport: UInt8) throws(KernelProblem) -> [TrackedConnection] {
        var message = NetlinkMessage(type: Self.subsystem | 1 /* get */, flags: UInt16(NLM_F_DUMP), acknowledged: false)
        message.netfilterHeader(family: UInt8(AF_INET), resource: 0)
        var found: [TrackedConnection] = []
        try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in
            try NetlinkSocket(NETLINK_NETFILTER).ask(message, "read", "connections") { reply in
                let attributes = reply.attributes(from: 4)
                guard let original = attributes[1], let answer = attributes[2], let way = Self.tuple(original), way.transport == transport,
                    let back = Self.tuple(answer)
                else { return }
                found.append(
                    TrackedConnection(
                        transport: transport, source: way.source, destination: way.destination, destinationPort: way.destinationPort,
                        answerer: back.source, answererPort: back.sourcePort, original: Array(original)))
            }
        }
        return found
    }

    /// One that is gone is fine.
    package func forget(_ connections: [TrackedConnection]) throws(KernelProblem) {
        guard !connections.isEmpty else { return }
        try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in
            let socket = try NetlinkSocket(NETLINK_NETFILTER)
            for connection in connections {
                var message = NetlinkMessage(type: Self.subsystem | 2 /* delete */, flags: 0)
                message.netfilterHeader(family: UInt8(AF_INET), resource: 0)
                message.attribute(1 | Int32(NLA_F_NESTED), connection.original)
                do throws(KernelProblem) { try socket.request(message, "forget", "connection") } catch {
                    guard error.code == ENOENT else { throw error }
                }
            }
        }
    }

    private struct Tuple {
        var transport: UInt8
        var source: IPv4
        var destination: IPv4
        var sourcePort: UInt16
        var destinationPort: UInt16
    }

    private static func tuple(_ bytes: ArraySlice<UInt8>) -> Tuple? {
        let parts = NetlinkReply.attributes(bytes)
        guard let addresses = parts[1].map({ NetlinkReply.attributes($0) }), let ports = parts[2].map({ NetlinkReply.attributes($0) }),
            let source = addresses[1].flatMap({ IPv4(bytes: $0) }), let destination = addresses[2].flatMap({ IPv4(bytes: $0) }),
            let transport = ports[1]?.first
        else { return nil }
        func port(_ number: UInt16) -> UInt16 { ports[number].map { UInt16(bigEndian: NetlinkReply.load($0, 0)) } ?? 0 }
        return Tuple(transport: transport, source: source, destination: destination, sourcePort: port(2), destinationPort: port(3))
    }
}
