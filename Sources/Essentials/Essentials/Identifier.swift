// Random names: short ids that are safe in host names and paths, long secrets, and UUIDs.

/// Makes random names from an injected source of bits.
package struct Identifier {
    /// Letters and digits that are hard to misread; all are valid in a DNS label.
    private static let alphabet = Array("bcdfghjkmnpqrstvwxz2456789".utf8)

    /// A name of `length` characters that begins with a letter, such as `k7w2mqxr`.
    package static func short(length: Int = 8, using random: inout some RandomNumberGenerator) -> String {
        var bytes: [UInt8] = []
        for index in 0..<length {
            bytes.append(alphabet[Int.random(in: 0..<(index == 0 ? 19 : alphabet.count), using: &random)])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    package static func short(length: Int = 8) -> String {
        var random = SystemRandomNumberGenerator()
        return short(length: length, using: &random)
    }

    /// 256 random bits as 64 hexadecimal digits: a token nobody guesses.
    package static func secret() -> String {
        var random = SystemRandomNumberGenerator()
        return (0..<4).map { _ in hex(random.next(), digits: 16) }.joined()
    }

    /// A version 4 UUID in lower case, as Kubernetes writes `metadata.uid`.
    package static func uuid(using random: inout some RandomNumberGenerator) -> String {
        let high = random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let text = Array((hex(high, digits: 16) + hex(low, digits: 16)).utf8)
        let parts = [text[0..<8], text[8..<12], text[12..<16], text[16..<20], text[20..<32]]
        return parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-")
    }

    package static func uuid() -> String {
        var random = SystemRandomNumberGenerator()
        return uuid(using: &random)
    }

    private static func hex(_ value: UInt64, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: digits - text.count) + text
    }
}

/// A source of random bits that repeats itself for the same seed (SplitMix64), for tests.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
