// Splits an author's HTML fragment into tags and text, reading malformed input as browsers do (WHATWG HTML 13.2.5).
//
// Comments, declarations, processing instructions and CDATA end up as nothing; an unfinished tag at the end as nothing
// too. What a browser might read differently does not matter: only tokens are written out again, never the source.

struct HTMLTokenizer {
    enum Token: Equatable {
        case text(String)
        case start(name: String, attributes: [(name: String, value: String)], selfClosing: Bool)
        case end(name: String)

        static func == (left: Token, right: Token) -> Bool {
            switch (left, right) {
            case (.text(let a), .text(let b)): a == b
            case (.end(let a), .end(let b)): a == b
            case (.start(let a, let x, let p), .start(let b, let y, let q)):
                a == b && p == q && x.map(\.name) == y.map(\.name) && x.map(\.value) == y.map(\.value)
            default: false
            }
        }
    }

    /// More attributes than this on one tag are left out.
    static let attributeLimit = 64

    private let bytes: [UInt8]
    private var index = 0
    /// Lines passed since the fragment's begin.
    private(set) var lines = 0

    init(_ html: String) { bytes = Array(html.utf8) }

    mutating func next() -> Token? {
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "<") {
                if let token = markup() { return token }
                continue
            }
            let start = index
            while index < bytes.count, bytes[index] != UInt8(ascii: "<") { step() }
            return .text(string(start..<index))
        }
        return nil
    }

    /// Passes everything up to and including `</name …>`; all that is left where there is none.
    /// - Returns: whether the end tag was there.
    mutating func skipRawText(endingWith name: String) -> Bool {
        let wanted = Array("</\(name)".utf8)
        while index < bytes.count {
            if matches(wanted, at: index), index + wanted.count >= bytes.count || isTagNameEnd(bytes[index + wanted.count]) {
                while index < bytes.count, bytes[index] != UInt8(ascii: ">") { step() }
                step()
                return true
            }
            step()
        }
        return false
    }

    // MARK: Markup

    // At `<`. `nil` where what was passed yields no token.
    private mutating func markup() -> Token? {
        guard index + 1 < bytes.count else {
            step()
            return .text("<")
        }
        switch bytes[index + 1] {
        case UInt8(ascii: "!"):
            if matches(Array("<!--".utf8), at: index) { skipComment() } else { skip(past: ">") }
            return nil
        case UInt8(ascii: "?"):
            skip(past: ">")
            return nil
        case UInt8(ascii: "/"):
            guard index + 2 < bytes.count, isLetter(bytes[index + 2]) else {
                skip(past: ">")
                return nil
            }
            index += 2
            guard let tag = tag() else { return nil }
            return .end(name: tag.name)
        case let byte where isLetter(byte):
            index += 1
            guard let tag = tag() else { return nil }
            return .start(name: tag.name, attributes: tag.attributes, selfClosing: tag.selfClosing)
        default:
            step()
            return .text("<")
        }
    }

    // At the first letter of a tag's name. `nil` where the input ends inside the tag.
    private mutating func tag() -> (name: String, attributes: [(name: String, value: String)], selfClosing: Bool)? {
        let start = index
        while index < bytes.count, !isTagNameEnd(bytes[index]) { step() }
        let name = string(start..<index).lowercased()
        var attributes: [(name: String, value: String)] = []
        var selfClosing = false
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: ">") {
                step()
                return (name, attributes, selfClosing)
            }
            if isSpace(byte) || byte == UInt8(ascii: "/") {
                selfClosing = byte == UInt8(ascii: "/")
                step()
                continue
            }
            selfClosing = false
            let attribute = attribute()
            if attributes.count < Self.attributeLimit, !attributes.contains(where: { $0.name == attribute.name }) {
                attributes.append(attribute)
            }
        }
        return nil
    }

    private mutating func attribute() -> (name: String, value: String) {
        let start = index
        step()  // a name may begin with `=`
        while index < bytes.count, !isTagNameEnd(bytes[index]), bytes[index] != UInt8(ascii: "=") { step() }
        let name = string(start..<index).lowercased()
        var ahead = index
        while ahead < bytes.count, isSpace(bytes[ahead]) { ahead += 1 }
        guard ahead < bytes.count, bytes[ahead] == UInt8(ascii: "=") else { return (name, "") }
        while index <= ahead { step() }
        while index < bytes.count, isSpace(bytes[index]) { step() }
        guard index < bytes.count else { return (name, "") }
        let quote = bytes[index]
        if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            step()
            let first = index
            while index < bytes.count, bytes[index] != quote { step() }
            let value = string(first..<index)
            step()
            return (name, HTMLText.unescaped(value))
        }
        let first = index
        while index < bytes.count, !isSpace(bytes[index]), bytes[index] != UInt8(ascii: ">") { step() }
        return (name, HTMLText.unescaped(string(first..<index)))
    }

    private mutating func skipComment() {
        index += 4
        if index < bytes.count, bytes[index] == UInt8(ascii: ">") { return step() }
        if matches(Array("->".utf8), at: index) {
            index += 2
            return
        }
        while index < bytes.count {
            if matches(Array("-->".utf8), at: index) {
                index += 3
                return
            }
            if matches(Array("--!>".utf8), at: index) {
                index += 4
                return
            }
            step()
        }
    }

    private mutating func skip(past end: Unicode.Scalar) {
        while index < bytes.count, bytes[index] != UInt8(ascii: end) { step() }
        step()
    }

    // MARK: Bytes

    private mutating func step() {
        guard index < bytes.count else { return }
        if bytes[index] == UInt8(ascii: "\n") { lines += 1 }
        index += 1
    }

    private func string(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private func matches(_ wanted: [UInt8], at start: Int) -> Bool {
        guard start + wanted.count <= bytes.count else { return false }
        for (offset, byte) in wanted.enumerated() {
            let found = bytes[start + offset]
            guard found == byte || (isLetter(found) && found | 0x20 == byte | 0x20) else { return false }
        }
        return true
    }

    private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }
    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D && byte != 0x0B) }
    private func isTagNameEnd(_ byte: UInt8) -> Bool {
        isSpace(byte) || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ">")
    }
}
