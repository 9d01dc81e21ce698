// Changes to network links as values; `LinuxKernel+Links.swift` speaks rtnetlink for them.

/// An IPv4 address as a number, most significant byte first.
package struct IPv4: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var value: UInt32
    package init(_ value: UInt32) { self.value = value }

    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.count <= 3, part.allSatisfy({ $0.isASCII && $0.isNumber }), let byte = UInt8(part) else { return nil }
            value = value << 8 | UInt32(byte)
        }
        self.value = value
    }

    package var bytes: [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
    package var description: String { bytes.map(String.init).joined(separator: ".") }
    package static func < (left: IPv4, right: IPv4) -> Bool { left.value < right.value }
}

/// A range of addresses such as 172.30.0.0/24.
package struct IPv4Block: Sendable, Hashable, CustomStringConvertible {
    package var base: IPv4
    package var prefixLength: UInt8
    package init(_ base: IPv4, _ prefixLength: UInt8) {
        self.prefixLength = min(prefixLength, 32)
        self.base = IPv4(base.value & Self.mask(self.prefixLength))
    }
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let base = IPv4(String(parts[0])), let length = UInt8(parts[1]), length <= 32 else { return nil }
        self.init(base, length)
    }
    package func contains(_ address: IPv4) -> Bool { address.value & Self.mask(prefixLength) == base.value }
    package var description: String { "\(base)/\(prefixLength)" }
    private static func mask(_ length: UInt8) -> UInt32 { length == 0 ? 0 : ~0 << (32 - UInt32(length)) }
}

/// An Ethernet address.
package struct HardwareAddress: Sendable, Hashable, CustomStringConvertible {
    package var bytes: [UInt8]
    package init(bytes: [UInt8]) {
        precondition(bytes.count == 6)
        self.bytes = bytes
    }
    /// The locally administered address that belongs to an IPv4 address, as CNI's bridge plugin makes it.
    package init(for address: IPv4) { bytes = [0x0A, 0x58] + address.bytes }
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

/// One step of a link configuration. Deleting what is not there is fine; making what is there is an error.
package enum LinkChange: Sendable, Hashable {
    case addBridge(name: String, hardware: HardwareAddress)
    /// A pair: `name` here, `peer` in the network namespace pinned at `peerNamespace` (nil: here too).
    case addPair(name: String, peer: String, peerNamespace: String?, peerHardware: HardwareAddress?)
    case delete(name: String)
    case setUp(name: String)
    case attach(name: String, toBridge: String)
    /// Frames are only taken from the hardware address in the port's static entry, and none is learned.
    case lockPort(name: String, to: HardwareAddress)
    case addAddress(name: String, address: IPv4, prefixLength: UInt8)
    case addDefaultRoute(via: IPv4)
    case addRoute(to: IPv4Block, via: IPv4)
    /// The addresses of `block` count as this machine's own in a routing table.
    case addLocal(block: IPv4Block, name: String, table: UInt8)
    /// Packets (of one IP protocol number, or all) look in `table` once all rules of smaller `priority` found nothing.
    case addRule(protocolNumber: UInt8?, table: UInt8, priority: UInt32)
    case deleteRule(priority: UInt32)
    /// A permanent neighbour entry, so that nobody else can claim the address.
    case addNeighbour(name: String, address: IPv4, hardware: HardwareAddress)
}
