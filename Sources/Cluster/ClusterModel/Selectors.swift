// Label and field selectors, in kubectl's text form and in the objects' structured form.
package import Essentials
internal import OrderedCollections

/// A conjunction of requirements on labels. Empty selects all.
package struct LabelSelector: Sendable, Equatable {
    package enum Operator: String, Sendable {
        case `in` = "In"
        case notIn = "NotIn"
        case exists = "Exists"
        case doesNotExist = "DoesNotExist"
        case greaterThan = "Gt"
        case lessThan = "Lt"
    }
    package struct Requirement: Sendable, Equatable {
        package var key: String
        package var `operator`: Operator
        package var values: [String] = []
        package init(key: String, operator: Operator, values: [String] = []) {
            self.key = key
            self.operator = `operator`
            self.values = values
        }
    }
    package var requirements: [Requirement]

    package init(requirements: [Requirement] = []) { self.requirements = requirements }
    package var isEmpty: Bool { requirements.isEmpty }

    package func matches(_ labels: [String: String]) -> Bool { requirements.allSatisfy { $0.matches(labels[$0.key]) } }
    package func matches(labelsOf object: JSON) -> Bool { isEmpty || matches(object.metaLabels) }
}

extension LabelSelector.Requirement {
    func matches(_ value: String?) -> Bool {
        switch self.operator {
        case .in: value.map(values.contains) ?? false
        case .notIn: value.map { !values.contains($0) } ?? true
        case .exists: value != nil
        case .doesNotExist: value == nil
        case .greaterThan: compare(value) { $0 > $1 }
        case .lessThan: compare(value) { $0 < $1 }
        }
    }

    private func compare(_ value: String?, _ order: (Int64, Int64) -> Bool) -> Bool {
        guard let value = value.flatMap({ Int64($0) }), let bound = values.first.flatMap({ Int64($0) }) else { return false }
        return order(value, bound)
    }
}

extension LabelSelector {
    /// Reads `{matchLabels, matchExpressions}`. A `nil` selector selects nothing; an empty one selects all.
    package init(structured selector: JSON) throws(ClusterProblem) {
        var requirements: [Requirement] = []
        for (key, value) in selector["matchLabels"]?.object ?? [:] {
            requirements.append(Requirement(key: key, operator: .in, values: [value.string ?? ""]))
        }
        for expression in selector["matchExpressions"]?.array ?? [] {
            let name = expression["operator"]?.string ?? ""
            guard let key = expression["key"]?.string, let op = Operator(rawValue: name) else {
                throw .badRequest("\"\(name)\" is not a valid label selector operator")
            }
            requirements.append(Requirement(key: key, operator: op, values: expression["values"]?.array?.compactMap(\.string) ?? []))
        }
        self.init(requirements: requirements)
    }

    /// Reads `a=b,c!=d,e in (f,g),h,!i`.
    package init(text: String) throws(ClusterProblem) {
        var scanner = SelectorScanner(text)
        var requirements: [Requirement] = []
        scanner.skipSpace()
        while !scanner.isAtEnd {
            requirements.append(try scanner.requirement())
            scanner.skipSpace()
            if scanner.isAtEnd { break }
            guard scanner.take(",") else { throw scanner.problem("found '\(scanner.rest)', expected: ',' or 'end of string'") }
            scanner.skipSpace()
            if scanner.isAtEnd { throw scanner.problem("found '', expected: identifier after ','") }
        }
        self.init(requirements: requirements)
    }
}

private struct SelectorScanner {
    private let text: String
    private var position: String.Index

    init(_ text: String) {
        self.text = text
        position = text.startIndex
    }

    var isAtEnd: Bool { position == text.endIndex }
    var rest: Substring { text[position...] }

    func problem(_ detail: String) -> ClusterProblem {
        .badRequest("unable to parse requirement: \(detail)")
    }

    mutating func skipSpace() { while !isAtEnd, text[position].isWhitespace { text.formIndex(after: &position) } }

    mutating func take(_ token: String) -> Bool {
        guard rest.hasPrefix(token) else { return false }
        position = text.index(position, offsetBy: token.count)
        return true
    }

    mutating func word() -> String {
        let start = position
        while !isAtEnd, !"=!,()<> \t\n".contains(text[position]) { text.formIndex(after: &position) }
        return String(text[start..<position])
    }

    mutating func requirement() throws(ClusterProblem) -> LabelSelector.Requirement {
        if take("!") {
            skipSpace()
            return LabelSelector.Requirement(key: try key(), operator: .doesNotExist)
        }
        let key = try key()
        skipSpace()
        if isAtEnd || rest.hasPrefix(",") { return LabelSelector.Requirement(key: key, operator: .exists) }
        if take("==") || take("=") { return LabelSelector.Requirement(key: key, operator: .in, values: [try value()]) }
        if take("!=") { return LabelSelector.Requirement(key: key, operator: .notIn, values: [try value()]) }
        if take(">") { return LabelSelector.Requirement(key: key, operator: .greaterThan, values: [try number()]) }
        if take("<") { return LabelSelector.Requirement(key: key, operator: .lessThan, values: [try number()]) }
        let name = word()
        guard name == "in" || name == "notin" else {
            throw problem("found '\(name.isEmpty ? String(rest) : name)', expected: in, notin, =, ==, !=, gt, lt")
        }
        skipSpace()
        guard take("(") else { throw problem("found '\(rest)', expected: '('") }
        var values: [String] = []
        repeat { values.append(try value()) } while take(",")
        guard take(")") else { throw problem("found '\(rest)', expected: ',' or ')'") }
        return LabelSelector.Requirement(key: key, operator: name == "in" ? .in : .notIn, values: values)
    }

    private mutating func key() throws(ClusterProblem) -> String {
        let key = word()
        if let why = NameRules.qualifiedName(key).first {
            throw problem("key: Invalid value: \"\(key)\": \(why)")
        }
        return key
    }

    private mutating func value() throws(ClusterProblem) -> String {
        skipSpace()
        let value = word()
        skipSpace()
        if let why = NameRules.labelValue(value).first { throw problem("values[0]: Invalid value: \"\(value)\": \(why)") }
        return value
    }

    private mutating func number() throws(ClusterProblem) -> String {
        let text = try value()
        guard Int64(text) != nil else {
            throw problem("values[0]: Invalid value: \"\(text)\": for 'Gt', 'Lt' operators, the value must be an integer")
        }
        return text
    }
}

/// A conjunction of `path=value` and `path!=value` on a kind's selectable fields.
package struct FieldSelector: Sendable, Equatable {
    package struct Term: Sendable, Equatable {
        package var path: String
        package var value: String
        package var isEqual: Bool
    }
    package var terms: [Term]
    package init(terms: [Term] = []) { self.terms = terms }
    package var isEmpty: Bool { terms.isEmpty }

    /// Reads `a=b,c!=d` (also `==`); `\,`, `\=` and `\\` stand for themselves.
    package init(text: String) throws(ClusterProblem) {
        terms = []
        var parts: [[Character]] = [[]]
        var isEscaped = false
        for character in text {
            if isEscaped {
                parts[parts.count - 1] += ["\\", character]
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                parts.append([])
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        for part in parts where !part.isEmpty {
            guard let equals = part.firstIndex(of: "=") else {
                throw .badRequest("invalid selector: '\(text)'; can't understand '\(String(part))'")
            }
            let isNot = equals > 0 && part[equals - 1] == "!"
            let path = String(part[..<(isNot ? equals - 1 : equals)])
            var value = part[(equals + 1)...]
            if !isNot, value.first == "=" { value = value.dropFirst() }
            terms.append(Term(path: path, value: Self.unescape(value), isEqual: !isNot))
        }
    }

    private static func unescape(_ text: ArraySlice<Character>) -> String {
        var result = ""
        var rest = text
        while let character = rest.popFirst() {
            if character == "\\", let next = rest.popFirst() { result.append(next) } else { result.append(character) }
        }
        return result
    }

    package func matches(_ object: JSON) -> Bool {
        terms.allSatisfy { term in
            let path = term.path.split(separator: ".").map(String.init)
            let value: String =
                switch object[path: path] {
                case .string(let text): text
                case .bool(let flag): flag ? "true" : "false"
                case .integer(let number): String(number)
                default: path == ["spec", "unschedulable"] || path == ["spec", "hostNetwork"] ? "false" : ""
                }
            return (value == term.value) == term.isEqual
        }
    }

    /// The value that `path` must have, where the selector says so.
    package func required(_ path: String) -> String? { terms.first { $0.path == path && $0.isEqual }?.value }
}
