// The wire between an API server and the store's process: `lectern-store/1`, frames on one TLS connection.
//
// The client sends the 16 bytes `LECTERN-STORE/1\n`, then frames; the server answers with frames. A frame is a u32 length of
// what follows, a u8 type, and the fields. Integers are big-endian, `text` is a u16 length and UTF-8, `bytes` go to the end.
//
//   client                                            server
//   01 hello    u64 session, i64 since, text identity  81 welcome   i64 compacted, i64 newest, u8 whole, text identity
//   02 write    u64 id, u8 change, i64 expected,       82 row       i64 id, i64 previous, i64 created, u8 deleted, text key, bytes
//               u32 gap, text key, bytes               83 current   i64 revision
//                                                      84 done      u64 id, i64 revision
//                                                      85 refused   u64 id, u8 why, text detail
//                                                      86 compacted i64 revision
//
// `hello` names a client that lives on over connections (`session`), and the newest row it has of the history `identity`
// (-1: it has nothing).
// If that history can be continued, `whole` is 0 and the rows after `since` follow; otherwise all rows there are. `current`
// ends them. From then on each commit is told in order: `row` for the writes of others, `done` for one's own, which the
// client has the bytes of. Answers come in the order of the writes.
//
// `write` is compare-and-set: 0 create (the key must have no object), 1 update, 2 delete (the newest row must be
// `expected`). The value's `metadata.resourceVersion` is known only when the row is; `gap` is the place in the bytes where
// the server puts the digits.
//
// A second `hello` of the same session ends the first connection, and nothing that came over it is done afterwards. So a
// client that was cut off reads the rows it missed, recognises its own among them, and may send the rest again.

package enum StoreProtocol {
    package static let greeting = Array("LECTERN-STORE/1\n".utf8)
    /// Bytes of the largest frame: an object, its key and numbers.
    package static let frameLimitBytes = ClusterStore.objectLimitBytes + 4_096
    /// Bytes of the longest key.
    package static let keyLimitBytes = 2_048

    package enum Refusal: UInt8, Sendable {
        case exists = 1
        case missing, changed, tooLarge, full, failed
    }
}

package struct StoreWrite: Sendable {
    package var id: UInt64
    package var change: RevisionChange
    package var expected: Int64
    package var key: String
    package var value: GappedValue
}

/// The bytes of an object without the digits of its revision.
package struct GappedValue: Sendable, Equatable {
    package var bytes: [UInt8]
    package var gap: Int

    package init(bytes: [UInt8], gap: Int) {
        self.bytes = bytes
        self.gap = gap
    }

    package func filled(_ revision: Int64) -> [UInt8] {
        let digits = String(revision).utf8
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + digits.count)
        result.append(contentsOf: bytes[..<gap])
        result.append(contentsOf: digits)
        result.append(contentsOf: bytes[gap...])
        return result
    }
}

package enum StoreFrame: Sendable {
    case hello(session: UInt64, since: Int64, identity: String)
    case write(StoreWrite)
    case welcome(compacted: Int64, newest: Int64, isWhole: Bool, identity: String)
    case row(RevisionRow)
    case current(revision: Int64)
    case done(id: UInt64, revision: Int64)
    case refused(id: UInt64, StoreProtocol.Refusal, detail: String)
    case compacted(revision: Int64)

    /// Appends the frame as it goes over the wire.
    package func encode(into output: inout [UInt8]) {
        let start = output.count
        output.append(contentsOf: [0, 0, 0, 0])
        switch self {
        case .hello(let session, let since, let identity):
            output.append(0x01)
            output.put(session)
            output.put(since)
            output.put(text: identity)
        case .write(let write):
            output.append(0x02)
            output.put(write.id)
            output.append(write.change.rawValue)
            output.put(write.expected)
            output.put(UInt32(write.value.gap))
            output.put(text: write.key)
            output.append(contentsOf: write.value.bytes)
        case .welcome(let compacted, let newest, let isWhole, let identity):
            output.append(0x81)
            output.put(compacted)
            output.put(newest)
            output.append(isWhole ? 1 : 0)
            output.put(text: identity)
        case .row(let row):
            output.append(0x82)
            output.put(row.id)
            output.put(row.previous)
            output.put(row.created)
            output.append(row.isDeleted ? 1 : 0)
            output.put(text: row.key)
            output.append(contentsOf: row.value)
        case .current(let revision):
            output.append(0x83)
            output.put(revision)
        case .done(let id, let revision):
            output.append(0x84)
            output.put(id)
            output.put(revision)
        case .refused(let id, let why, let detail):
            output.append(0x85)
            output.put(id)
            output.append(why.rawValue)
            output.put(text: String(detail.prefix(200)))
        case .compacted(let revision):
            output.append(0x86)
            output.put(revision)
        }
        let length = UInt32(output.count - start - 4)
        for index in 0..<4 { output[start + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32(index))) }
    }

    /// Reads what stands behind the length; `nil` where it is no frame.
    init?(_ bytes: ArraySlice<UInt8>) {
        var fields = FieldReader(bytes)
        switch fields.byte() {
        case 0x01: self = .hello(session: UInt64(bitPattern: fields.integer()), since: fields.integer(), identity: fields.text())
        case 0x02:
            let id = UInt64(bitPattern: fields.integer())
            let change = RevisionChange(rawValue: fields.byte())
            let expected = fields.integer()
            let gap = fields.short(4)
            let key = fields.text()
            let value = fields.rest()
            guard let change, gap <= value.count, !key.isEmpty, key.utf8.count <= StoreProtocol.keyLimitBytes else { return nil }
            self = .write(
                StoreWrite(id: id, change: change, expected: expected, key: key, value: GappedValue(bytes: value, gap: gap)))
        case 0x81:
            self = .welcome(
                compacted: fields.integer(), newest: fields.integer(), isWhole: fields.byte() != 0, identity: fields.text())
        case 0x82:
            let (id, previous, created) = (fields.integer(), fields.integer(), fields.integer())
            let isDeleted = fields.byte() != 0
            let key = fields.text()
            self = .row(RevisionRow(id: id, key: key, previous: previous, created: created, isDeleted: isDeleted, value: fields.rest()))
        case 0x83: self = .current(revision: fields.integer())
        case 0x84: self = .done(id: UInt64(bitPattern: fields.integer()), revision: fields.integer())
        case 0x85:
            let id = UInt64(bitPattern: fields.integer())
            guard let why = StoreProtocol.Refusal(rawValue: fields.byte()) else { return nil }
            self = .refused(id: id, why, detail: fields.text())
        case 0x86: self = .compacted(revision: fields.integer())
        default: return nil
        }
        if fields.isShort { return nil }
    }
}

/// Cuts a stream of bytes into frames.
package struct StoreFrameReader: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0

    package init() {}

    package mutating func add(_ bytes: some Collection<UInt8>) {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    package enum Step: Sendable {
        case frame(StoreFrame)
        case incomplete
        case broken
    }

    package mutating func next() -> Step {
        guard buffer.count - start >= 4 else { return .incomplete }
        let length = buffer[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        guard length <= StoreProtocol.frameLimitBytes else { return .broken }
        guard buffer.count - start - 4 >= length else { return .incomplete }
        let body = buffer[(start + 4)..<(start + 4 + length)]
        start += 4 + length
        guard let frame = StoreFrame(body) else { return .broken }
        if start == buffer.count {
            // A large frame's room is given back.
            buffer.removeAll(keepingCapacity: buffer.capacity <= 256 << 10)
            start = 0
        }
        return .frame(frame)
    }
}

/// Takes fields off the front; past the end they are 0 and `isShort` is set.
private struct FieldReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private(set) var isShort = false

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    mutating func byte() -> UInt8 { UInt8(short(1)) }
    mutating func integer() -> Int64 { Int64(bitPattern: number(8)) }
    mutating func short(_ count: Int) -> Int { Int(number(count)) }

    private mutating func number(_ count: Int) -> UInt64 {
        guard position + count <= bytes.endIndex else {
            isShort = true
            return 0
        }
        var value: UInt64 = 0
        for index in position..<position + count { value = value << 8 | UInt64(bytes[index]) }
        position += count
        return value
    }

    mutating func text() -> String {
        let count = short(2)
        guard position + count <= bytes.endIndex else {
            isShort = true
            return ""
        }
        defer { position += count }
        return String(decoding: bytes[position..<position + count], as: UTF8.self)
    }

    mutating func rest() -> [UInt8] {
        defer { position = bytes.endIndex }
        return Array(bytes[position...])
    }
}

extension [UInt8] {
    fileprivate mutating func put(_ value: UInt64) { put(value, bytes: 8) }
    fileprivate mutating func put(_ value: Int64) { put(UInt64(bitPattern: value), bytes: 8) }
    fileprivate mutating func put(_ value: UInt32) { put(UInt64(value), bytes: 4) }

    private mutating func put(_ value: UInt64, bytes: Int) {
        for index in (0..<bytes).reversed() { append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }

    fileprivate mutating func put(text: String) {
        let utf8 = text.utf8
        put(UInt64(utf8.count), bytes: 2)
        append(contentsOf: utf8)
    }
}
