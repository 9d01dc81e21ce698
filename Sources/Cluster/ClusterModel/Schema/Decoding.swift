// Reads a document as a type: known fields of the right form stay, unknown ones are named and dropped.
package import Essentials
internal import OrderedCollections

/// What went by while a document was read.
package struct Decoding: Sendable {
    private let table: TypeTable
    /// Paths of members that the type does not have, as `fieldValidation` reports them.
    package private(set) var unknownFields: [String] = []
    /// More are not remembered.
    private static let unknownLimit = 100
    /// Types of whole objects that also stand within others, with their version and kind.
    private static let whole: Set<String> = ["PersistentVolumeClaim"]

    package init(table: TypeTable = .builtIn) { self.table = table }

    /// The document as `type` holds it. Empty lists, empty maps and nulls are left out, as upstream leaves them out.
    package mutating func decode(_ document: JSON, as type: String) throws(DecodingFailure) -> JSON {
        guard let shape = table[type] else { return document }
        return try object(document, shape, path: "", goPath: "")
    }

    private mutating func object(_ value: JSON, _ type: ObjectType, path: String, goPath: String) throws(DecodingFailure) -> JSON {
        guard case .object(let members) = value else {
            throw mismatch(value, owner: "", goPath: goPath, expected: "v1." + ObjectType.plainName(type.name))
        }
        var result: JSON.Object = [:]
        result.reserveCapacity(members.count)
        for (name, member) in members {
            guard let field = type.field(name) else {
                if path.isEmpty || Self.whole.contains(type.name), name == "apiVersion" || name == "kind" {
                    result[name] = member
                } else if unknownFields.count < Self.unknownLimit {
                    unknownFields.append(path.isEmpty ? name : path + "." + name)
                }
                continue
            }
            if member.isNull { continue }
            let below = path.isEmpty ? name : path + "." + name
            let goBelow = goPath.isEmpty ? name : goPath + "." + name
            let decoded = try self.value(member, field.type, owner: type.name, path: below, goPath: goBelow)
            if !field.staysWhenEmpty {
                if case .array(let elements) = decoded, elements.isEmpty { continue }
                if case .map = field.type, case .object(let entries) = decoded, entries.isEmpty { continue }
            }
            result[name] = decoded
        }
        return .object(result)
    }

    private mutating func value(
        _ value: JSON, _ type: FieldType, owner: String, path: String, goPath: String
    ) throws(DecodingFailure) -> JSON {
        switch type {
        case .any: return value
        case .string: if case .string = value { return value }
        case .bool: if case .bool = value { return value }
        case .int32: if let number = value.integer, Int32(exactly: number) != nil { return .integer(number) }
        case .int64: if let number = value.integer { return .integer(number) }
        case .double: if value.number != nil { return value }
        case .intOrString:
            if case .string = value { return value }
            if let number = value.integer, Int32(exactly: number) != nil { return .integer(number) }
        case .quantity: return try quantity(value)
        case .time, .microTime: return try time(value, owner: owner, goPath: goPath, isMicro: type == .microTime)
        case .bytes:
            if case .string(let text) = value {
                guard Base64Text.isValid(text) else { throw DecodingFailure("illegal base64 data at input byte 0") }
                return value
            }
        case .named(let name):
            guard let shape = table[name] else { return value }
            guard case .object = value else { throw mismatch(value, owner: owner, goPath: goPath, expected: goName(type)) }
            return try object(value, shape, path: path, goPath: goPath)
        case .list(let element):
            if case .array(let elements) = value {
                var result: [JSON] = []
                result.reserveCapacity(elements.count)
                for (index, member) in elements.enumerated() {
                    result.append(try self.value(member, element, owner: owner, path: "\(path)[\(index)]", goPath: goPath))
                }
                return .array(result)
            }
        case .map(let element):
            if case .object(let members) = value {
                var result: JSON.Object = [:]
                for (key, member) in members {
                    if member.isNull {
                        if element == .string { result[key] = "" }
                        continue
                    }
                    result[key] = try self.value(member, element, owner: owner, path: path + "." + key, goPath: goPath)
                }
                return .object(result)
            }
        }
        throw mismatch(value, owner: owner, goPath: goPath, expected: goName(type))
    }

    private func quantity(_ value: JSON) throws(DecodingFailure) -> JSON {
        let text: String? =
            switch value {
            case .string(let text): text
            case .integer(let number): String(number)
            case .number(let number): String(number)
            default: nil
            }
        guard let text, let quantity = Quantity(text) else {
            throw DecodingFailure("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
        }
        return .string(quantity.description)
    }

    private func time(_ value: JSON, owner: String, goPath: String, isMicro: Bool) throws(DecodingFailure) -> JSON {
        guard case .string(let text) = value else { throw mismatch(value, owner: owner, goPath: goPath, expected: "string") }
        guard let time = Timestamp(rfc3339: text) else {
            let layout = isMicro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00"
            throw DecodingFailure("parsing time \"\(text)\" as \"\(layout)\": cannot parse \"\(text)\" as \"2006\"")
        }
        return .string(isMicro ? time.rfc3339Micro : time.rfc3339)
    }

    /// Go's sentence for a value of the wrong type.
    private func mismatch(_ value: JSON, owner: String, goPath: String, expected: String) -> DecodingFailure {
        let found: String =
            switch value {
            case .null: "null"
            case .bool: "bool"
            case .integer(let number): expected.hasPrefix("int") ? "number \(number)" : "number"
            case .number(let number): expected.hasPrefix("int") ? "number \(number)" : "number"
            case .string: "string"
            case .array: "array"
            case .object: "object"
            }
        let place = owner.isEmpty ? "Go value" : "Go struct field \(ObjectType.plainName(owner)).\(goPath)"
        return DecodingFailure("json: cannot unmarshal \(found) into \(place) of type \(expected)")
    }

    private func goName(_ type: FieldType) -> String {
        switch type {
        case .string, .quantity, .time, .microTime, .intOrString: "string"
        case .bool: "bool"
        case .int32: "int32"
        case .int64: "int64"
        case .double: "float64"
        case .bytes: "[]uint8"
        case .any: "interface {}"
        case .named(let name): "v1." + ObjectType.plainName(name)
        case .list(let element): "[]" + goName(element)
        case .map(let element): "map[string]" + goName(element)
        }
    }
}

/// Why a document cannot be read as its kind.
package struct DecodingFailure: Error, Equatable, Sendable {
    package let message: String
    init(_ message: String) { self.message = message }
}

/// Base64 as Secrets hold it. (The hashes and keys of `Crypto` have their own; this room links no OpenSSL.)
package enum Base64Text {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func isValid(_ text: String) -> Bool { decodedCount(text) != nil }

    /// The number of bytes the text stands for.
    package static func decodedCount(_ text: String) -> Int? {
        var digits = 0
        var padding = 0
        for byte in text.utf8 {
            switch byte {
            case 0x0A, 0x0D: continue
            case UInt8(ascii: "="): padding += 1
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "+"), UInt8(ascii: "/"):
                guard padding == 0 else { return nil }
                digits += 1
            default: return nil
            }
        }
        return (digits + padding) % 4 == 0 && padding <= 2 ? digits * 3 / 4 : nil
    }

    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            let group = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
            for index in 0..<4 {
                text.append(index <= part.count ? alphabet[Int(group >> UInt32(18 - 6 * index)) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Without padding and with the alphabet for URLs, as `continue` tokens are.
    package static func encodeURL(_ bytes: [UInt8]) -> String {
        String(encode(bytes).prefix { $0 != "=" }.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }

    /// Reads both alphabets, with or without padding.
    package static func decode(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var group: UInt32 = 0
        var bits: UInt32 = 0
        for byte in text.utf8 where byte != UInt8(ascii: "=") {
            let plain = byte == UInt8(ascii: "-") ? UInt8(ascii: "+") : byte == UInt8(ascii: "_") ? UInt8(ascii: "/") : byte
            guard let value = alphabet.firstIndex(of: plain) else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: group >> bits))
            }
        }
        return result
    }
}
