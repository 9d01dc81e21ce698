// Kramdown's attribute lists: `{:.term1}`, `{:#id .class key="value"}`, which say how the element beside them behaves.

/// The attributes that an author gave an element.
struct AttributeList: Equatable, Sendable {
    var classes: [String] = []
    var id: String?
    var values: [String: String] = [:]

    /// Longer lists are left as text.
    static let limitBytes = 1024

    var isEmpty: Bool { classes.isEmpty && id == nil && values.isEmpty }

    func has(_ name: String) -> Bool { classes.contains(name) }

    subscript(name: String) -> String? { values[name] }

    mutating func merge(_ other: AttributeList) {
        classes += other.classes
        id = other.id ?? id
        values.merge(other.values) { $1 }
    }

    /// The terminal that `.term2` names; 0 for `.term`, the active one.
    var terminal: Int? {
        for name in classes { if let number = Self.terminal(named: name) { return number } }
        return nil
    }

    /// The number in `term2` or `.term2`; 0 in `term`.
    static func terminal(named text: String) -> Int? {
        var text = text[...]
        if text.hasPrefix(".") { text = text.dropFirst() }
        guard text.hasPrefix("term") else { return nil }
        let digits = text.dropFirst(4)
        if digits.isEmpty { return 0 }
        guard digits.utf8.count <= 3, digits.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else { return nil }
        return Int(digits)
    }

    /// Reads a list at the begin of `text`, from `{:` to its `}`. `nil` where the text is something else.
    static func parse(prefixOf text: Substring) -> (list: AttributeList, rest: Substring)? {
        guard text.hasPrefix("{:") else { return nil }
        var rest = text.dropFirst(2)
        var list = AttributeList()
        while true {
            rest = rest.drop { $0 == " " || $0 == "\t" }
            guard let first = rest.first, text.utf8.distance(from: text.startIndex, to: rest.startIndex) < limitBytes else { return nil }
            switch first {
            case "}": return (list, rest.dropFirst())
            case ".":
                guard let name = word(&rest, after: 1) else { return nil }
                list.classes.append(name)
            case "#":
                guard let name = word(&rest, after: 1) else { return nil }
                list.id = name
            default:
                guard let name = word(&rest, after: 0) else { return nil }
                if rest.first == "=" {
                    rest = rest.dropFirst()
                    guard let value = value(&rest) else { return nil }
                    list.values[name.lowercased()] = value
                } else {
                    list.values[name.lowercased()] = ""
                }
            }
        }
    }

    // A name of letters, digits, `-`, `_`, `:`, followed by what may follow one.
    private static func word(_ rest: inout Substring, after skipped: Int) -> String? {
        let begin = rest.dropFirst(skipped)
        let name = begin.prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" || $0 == ":" }
        guard !name.isEmpty, let next = begin[name.endIndex...].first, " \t}=.#".contains(next) else { return nil }
        rest = begin[name.endIndex...]
        return String(name)
    }

    private static func value(_ rest: inout Substring) -> String? {
        guard let quote = rest.first else { return nil }
        if quote == "\"" || quote == "'" || quote == "\u{201C}" {
            let closing: Character = quote == "\u{201C}" ? "\u{201D}" : quote
            let inner = rest.dropFirst().prefix(limitBytes)
            guard let end = inner.firstIndex(where: { $0 == closing || $0 == "\n" }), inner[end] == closing else { return nil }
            rest = rest[inner.index(after: end)...]
            return String(inner[..<end])
        }
        let bare = rest.prefix(limitBytes).prefix { $0 != " " && $0 != "\t" && $0 != "{" && $0 != "}" && $0 != "\n" }
        guard !bare.isEmpty else { return nil }
        rest = rest[bare.endIndex...]
        return String(bare)
    }
}
