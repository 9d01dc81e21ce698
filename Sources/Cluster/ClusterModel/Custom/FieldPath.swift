// The simple JSONPath of printer columns and scale paths: `.spec.a`, `.list[0]`, `.list[*].b`, `[?(@.type=="Ready")]`.
package import Essentials

package struct FieldPath: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case member(String)
        case index(Int)
        case all
        case filter(path: [String], value: String, isEqual: Bool)
    }

    let steps: [Step]

    /// `nil` where the text is none of the forms known here.
    package init?(_ text: String) {
        var steps: [Step] = []
        var rest = text[...]
        if rest.hasPrefix("{"), rest.hasSuffix("}") { rest = rest.dropFirst().dropLast() }
        if rest.hasPrefix("$") { rest = rest.dropFirst() }
        while let first = rest.first {
            if first == "." {
                rest = rest.dropFirst()
                var name = ""
                while let character = rest.first, character != ".", character != "[" {
                    rest = rest.dropFirst()
                    // `\.` is a dot that belongs to the name.
                    if character == "\\", let escaped = rest.popFirst() { name.append(escaped) } else { name.append(character) }
                }
                if name == "*" { steps.append(.all) } else if !name.isEmpty { steps.append(.member(name)) } else { return nil }
                continue
            }
            guard first == "[", let end = rest.firstIndex(of: "]") else { return nil }
            let inside = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
            guard let step = Self.bracket(inside) else { return nil }
            steps.append(step)
        }
        guard !steps.isEmpty else { return nil }
        self.steps = steps
    }

    private static func bracket(_ text: Substring) -> Step? {
        if text == "*" { return .all }
        if let index = Int(text) { return .index(index) }
        if let quoted = unquoted(text) { return .member(quoted) }
        guard text.hasPrefix("?("), text.hasSuffix(")") else { return nil }
        let inside = text.dropFirst(2).dropLast()
        for (mark, isEqual) in [("==", true), ("!=", false)] {
            guard let range = inside.firstRange(of: mark) else { continue }
            let left = inside[..<range.lowerBound].filter { $0 != " " }
            let right = inside[range.upperBound...].drop { $0 == " " }
            guard left.hasPrefix("@.") else { return nil }
            let path = left.dropFirst(2).split(separator: ".").map(String.init)
            return .filter(path: path, value: unquoted(right) ?? String(right), isEqual: isEqual)
        }
        return nil
    }

    private static func unquoted(_ text: Substring) -> String? {
        guard text.count >= 2, let first = text.first, first == "'" || first == "\"", text.last == first else { return nil }
        return String(text.dropFirst().dropLast())
    }

    /// The member names, where the path is nothing but those.
    package var names: [String]? {
        var names: [String] = []
        for step in steps {
            guard case .member(let name) = step else { return nil }
            names.append(name)
        }
        return names
    }

    package func values(in document: JSON) -> [JSON] {
        var found = [document]
        for step in steps {
            found = found.flatMap { value -> [JSON] in
                switch step {
                case .member(let name): return value[name].map { [$0] } ?? []
                case .index(let index):
                    guard let elements = value.array else { return [] }
                    let place = index < 0 ? elements.count + index : index
                    return elements.indices.contains(place) ? [elements[place]] : []
                case .all: return value.array ?? value.members.map(\.value)
                case .filter(let path, let wanted, let isEqual):
                    return (value.array ?? []).filter { element in
                        let its = element[path: path]
                        return ((its?.string ?? its?.text ?? "") == wanted) == isEqual
                    }
                }
            }
        }
        return found
    }
}
