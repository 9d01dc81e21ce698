// Header fields in their order, looked up without regard to case.

package struct HTTPHeaders: Sendable, Sequence, Equatable, ExpressibleByDictionaryLiteral {
    package private(set) var fields: [HTTPField] = []

    package init() {}

    package init(_ pairs: [(String, String)]) {
        fields = pairs.map { HTTPField(name: $0.0, value: $0.1) }
    }

    package init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }

    /// The first value; setting replaces every value of that name, nil removes them.
    package subscript(name: String) -> String? {
        get { fields.first { $0.isNamed(name) }?.value }
        set {
            guard let newValue else {
                fields.removeAll { $0.isNamed(name) }
                return
            }
            if let index = fields.firstIndex(where: { $0.isNamed(name) }) {
                fields[index].value = newValue
                var position = -1
                fields.removeAll {
                    position += 1
                    return position > index && $0.isNamed(name)
                }
            } else {
                fields.append(HTTPField(name: name, value: newValue))
            }
        }
    }

    package func all(_ name: String) -> [String] { fields.filter { $0.isNamed(name) }.map(\.value) }

    package mutating func append(_ name: String, _ value: String) { fields.append(HTTPField(name: name, value: value)) }

    package var isEmpty: Bool { fields.isEmpty }
    package var count: Int { fields.count }

    package func makeIterator() -> AnyIterator<(name: String, value: String)> {
        var index = 0
        let fields = fields
        return AnyIterator {
            guard index < fields.count else { return nil }
            defer { index += 1 }
            return (fields[index].name, fields[index].value)
        }
    }

    /// The value of one cookie of the `Cookie` fields.
    package func cookie(_ name: String) -> String? {
        for field in all("cookie") {
            for part in field.split(separator: ";") {
                let pair = part.drop { $0 == " " }
                if let equals = pair.firstIndex(of: "="), pair[..<equals] == name {
                    return String(pair[pair.index(after: equals)...])
                }
            }
        }
        return nil
    }
}

package struct HTTPField: Sendable, Equatable {
    package let name: String
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    func isNamed(_ other: String) -> Bool { equalsIgnoringCase(name, other) }
}

/// ASCII case folding, as header names want it.
func equalsIgnoringCase(_ left: String, _ right: String) -> Bool {
    let a = left.utf8
    let b = right.utf8
    return a.count == b.count && zip(a, b).allSatisfy { lowered($0) == lowered($1) }
}

func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
