// Reads protobuf bodies as documents, by the numbers of the schema table. Typed clients such as `kubectl create` send them.
//
// A body is the magic `k8s\0` and a `runtime.Unknown`: typeMeta (1: apiVersion 1, kind 2), raw (2), encoding (3), type (4).
// Go writes non-pointer fields even when they are zero, so a zero counts as absent unless the table says `ptr`.
package import Essentials
internal import OrderedCollections

package struct Protobuf: Sendable {
    package static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]
    /// Deeper nesting is refused.
    static let depthLimit = 64

    private let table: TypeTable
    package init(table: TypeTable = .builtIn) { self.table = table }

    /// The document of a body; `kinds` gives the table's type for an apiVersion and kind.
    package func decode(_ body: [UInt8], type: (String, String) -> String?) throws(DecodingFailure) -> JSON {
        guard body.starts(with: Self.magic) else { throw DecodingFailure("the body does not begin with the protobuf magic") }
        var apiVersion = ""
        var kind = ""
        var raw: ArraySlice<UInt8> = []
        var reader = WireReader(body[Self.magic.count...])
        while let (number, value) = try reader.next() {
            switch (number, value) {
            case (1, .bytes(let meta)):
                var inner = WireReader(meta)
                while let (number, value) = try inner.next() {
                    guard case .bytes(let bytes) = value else { continue }
                    if number == 1 { apiVersion = try Self.text(bytes) }
                    if number == 2 { kind = try Self.text(bytes) }
                }
            case (2, .bytes(let bytes)): raw = bytes
            default: continue
            }
        }
        guard let name = type(apiVersion, kind), let shape = table[name] else {
            throw DecodingFailure("no kind \"\(kind)\" is registered for version \"\(apiVersion)\"")
        }
        var document = try message(raw, shape, depth: 0)
        document["apiVersion"] = JSON(apiVersion)
        document["kind"] = JSON(kind)
        return document
    }

    private func message(_ bytes: ArraySlice<UInt8>, _ type: ObjectType, depth: Int) throws(DecodingFailure) -> JSON {
        guard depth < Self.depthLimit else { throw DecodingFailure("the message is nested too deeply") }
        var members: JSON.Object = [:]
        try read(bytes, embeddedIn: nil, type, depth: depth, into: &members)
        return .object(members)
    }

    private func read(
        _ bytes: ArraySlice<UInt8>, embeddedIn outer: Int?, _ type: ObjectType, depth: Int, into members: inout JSON.Object
    ) throws(DecodingFailure) {
        var reader = WireReader(bytes)
        while let (number, value) = try reader.next() {
            if outer == nil, case .bytes(let inner) = value, type.fields.contains(where: { $0.embeddedIn == number }) {
                try read(inner, embeddedIn: number, type, depth: depth, into: &members)
                continue
            }
            guard let field = type.fields.first(where: { $0.number == number && $0.embeddedIn == outer }) else { continue }
            switch field.type {
            case .list(let element):
                var list = members[field.name]?.array ?? []
                if let item = try self.value(value, element, isPointer: true, depth: depth) { list.append(item) }
                members[field.name] = .array(list)
            case .map(let element):
                guard case .bytes(let entry) = value else { throw Self.broken }
                let (key, item) = try self.entry(entry, element, depth: depth)
                members[field.name, default: .emptyObject][key] = item
            default: members[field.name] = try self.value(value, field.type, isPointer: field.isPointer, depth: depth)
            }
        }
    }

    private func entry(_ bytes: ArraySlice<UInt8>, _ type: FieldType, depth: Int) throws(DecodingFailure) -> (String, JSON) {
        var key = ""
        var item: JSON?
        var reader = WireReader(bytes)
        while let (number, value) = try reader.next() {
            if number == 1, case .bytes(let text) = value { key = try Self.text(text) }
            if number == 2 { item = try self.value(value, type, isPointer: true, depth: depth) }
        }
        return (key, item ?? "")
    }

    private static let broken = DecodingFailure("proto: wrong wire type for a field")

    /// `nil` for a zero that means absence.
    private func value(_ value: WireReader.Value, _ type: FieldType, isPointer: Bool, depth: Int) throws(DecodingFailure) -> JSON? {
        switch (type, value) {
        case (.string, .bytes(let bytes)):
            let text = try Self.text(bytes)
            return text.isEmpty && !isPointer ? nil : .string(text)
        case (.bool, .varint(let number)): return number == 0 && !isPointer ? nil : .bool(number != 0)
        case (.int32, .varint(let number)), (.int64, .varint(let number)):
            return number == 0 && !isPointer ? nil : .integer(Int64(bitPattern: number))
        case (.double, .fixed64(let bits)): return .number(Double(bitPattern: bits))
        case (.bytes, .bytes(let bytes)): return .string(Base64Text.encode(Array(bytes)))
        case (.quantity, .bytes(let bytes)): return try strings(bytes)[1].map { .string($0) } ?? "0"
        case (.intOrString, .bytes(let bytes)): return try intOrString(bytes)
        case (.time, .bytes(let bytes)), (.microTime, .bytes(let bytes)): return try time(bytes, isMicro: type == .microTime)
        case (.any, .bytes(let bytes)):
            var reader = WireReader(bytes)
            while let (number, value) = try reader.next() {
                if number == 1, case .bytes(let raw) = value { return try? JSON(parsing: Array(raw)) }
            }
            return nil
        case (.named(let name), .bytes(let bytes)):
            guard let shape = table[name] else { return nil }
            return try message(bytes, shape, depth: depth + 1)
        case (.list(let element), .bytes(let bytes)):
            // A list within a map travels as a message of its own that has the elements as field 1.
            var items: [JSON] = []
            var reader = WireReader(bytes)
            while let (number, value) = try reader.next() {
                if number == 1, let item = try self.value(value, element, isPointer: true, depth: depth + 1) { items.append(item) }
            }
            return .array(items)
        default: throw Self.broken
        }
    }

    private func strings(_ bytes: ArraySlice<UInt8>) throws(DecodingFailure) -> [Int: String] {
        var result: [Int: String] = [:]
        var reader = WireReader(bytes)
        while let (number, value) = try reader.next() { if case .bytes(let text) = value { result[number] = try Self.text(text) } }
        return result
    }

    private func intOrString(_ bytes: ArraySlice<UInt8>) throws(DecodingFailure) -> JSON {
        var isText = false
        var number: Int64 = 0
        var text = ""
        var reader = WireReader(bytes)
        while let (field, value) = try reader.next() {
            switch (field, value) {
            case (1, .varint(let type)): isText = type == 1
            case (2, .varint(let bits)): number = Int64(bitPattern: bits)
            case (3, .bytes(let bytes)): text = try Self.text(bytes)
            default: continue
            }
        }
        return isText ? .string(text) : .integer(number)
    }

    private func time(_ bytes: ArraySlice<UInt8>, isMicro: Bool) throws(DecodingFailure) -> JSON? {
        if bytes.isEmpty { return nil }
        var time = Timestamp(seconds: 0)
        var reader = WireReader(bytes)
        while let (number, value) = try reader.next() {
            guard case .varint(let bits) = value else { continue }
            if number == 1 { time.seconds = Int64(bitPattern: bits) }
            if number == 2 { time.nanoseconds = Int32(truncatingIfNeeded: Int64(bitPattern: bits)) }
        }
        return .string(isMicro ? time.rfc3339Micro : time.rfc3339)
    }

    private static func text(_ bytes: ArraySlice<UInt8>) throws(DecodingFailure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw DecodingFailure("proto: a string is not UTF-8") }
        return text
    }
}

/// Fields of one message as they lie on the wire (protobuf encoding, proto2).
private struct WireReader {
    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case bytes(ArraySlice<UInt8>)
    }
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func next() throws(DecodingFailure) -> (number: Int, value: Value)? {
        if rest.isEmpty { return nil }
        let tag = try varint()
        guard tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw DecodingFailure("proto: illegal tag") }
        let number = Int(tag >> 3)
        switch tag & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try fixed(8)))
        case 2:
            let count = try varint()
            guard count <= UInt64(rest.count) else { throw DecodingFailure("unexpected EOF") }
            defer { rest = rest.dropFirst(Int(count)) }
            return (number, .bytes(rest.prefix(Int(count))))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        default: throw DecodingFailure("proto: illegal wireType \(tag & 7)")
        }
    }

    private mutating func varint() throws(DecodingFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = rest.popFirst() {
            guard shift < 64 else { throw DecodingFailure("proto: integer overflow") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw DecodingFailure("unexpected EOF")
    }

    private mutating func fixed(_ count: Int) throws(DecodingFailure) -> UInt64 {
        guard rest.count >= count else { throw DecodingFailure("unexpected EOF") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
