// What the kernel answers over netlink: messages, and the attributes in them.
internal import CLinux

/// One message of an answer.
struct NetlinkReply {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    let body: ArraySlice<UInt8>

    /// Of an NLMSG_ERROR; 0 is an acknowledgement.
    var errorCode: Int32 { body.count >= 4 ? Self.load(body, 0) : -EIO }

    static func messages(_ bytes: ArraySlice<UInt8>) -> [NetlinkReply] {
        var rest = bytes
        var messages: [NetlinkReply] = []
        while rest.count >= 16 {
            let length = Int(load(rest, 0) as UInt32)
            guard length >= 16, length <= rest.count else { break }
            messages.append(
                NetlinkReply(
                    type: load(rest, 4), flags: load(rest, 6), sequence: load(rest, 8),
                    body: rest[(rest.startIndex + 16)..<(rest.startIndex + length)]))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// The attributes behind a fixed part of `offset` bytes; of several of one type the last counts.
    func attributes(from offset: Int) -> [UInt16: ArraySlice<UInt8>] { Self.attributes(body.dropFirst(offset)) }

    static func attributes(_ bytes: ArraySlice<UInt8>) -> [UInt16: ArraySlice<UInt8>] {
        var rest = bytes
        var found: [UInt16: ArraySlice<UInt8>] = [:]
        while rest.count >= 4 {
            let length = Int(load(rest, 0) as UInt16)
            guard length >= 4, length <= rest.count else { break }
            found[(load(rest, 2) as UInt16) & 0x3FFF] = rest[(rest.startIndex + 4)..<(rest.startIndex + length)]
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return found
    }

    static func load<Number: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> Number {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    }
}
