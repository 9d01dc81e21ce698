// Reads service units as systemd writes them: a file, its drop-ins, and the few settings that a service of a node has.

/// A service as its files describe it.
package struct UnitFile: Sendable, Equatable {
    package var name: String
    package var description = ""
    package var documentation: [String] = []
    /// Paths that must exist (or, with `!`, must not) before it is started.
    package var conditions: [String] = []
    package var environment: [String] = []
    package var environmentFiles: [String] = []
    package var command = ""
    package var restarts = Restarts.no
    package var restartSeconds = 0.1
    package var stopSeconds = 10.0
    package var wantedBy: [String] = []
    /// Where it was read from.
    package var path = ""
    package var dropIns: [String] = []

    package enum Restarts: String, Sendable { case no, always, onFailure = "on-failure" }

    package init(name: String) { self.name = name }

    /// Takes what a file says over what was said before. A list that is set to nothing begins anew.
    package mutating func read(_ text: String) {
        var section = ""
        for line in Self.lines(text) {
            if line.hasPrefix("[") {
                section = String(line.dropFirst().prefix { $0 != "]" })
                continue
            }
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].trimmed
            set(section, key, line[line.index(after: equals)...].trimmed)
        }
    }

    private mutating func set(_ section: String, _ key: String, _ value: String) {
        func list(_ old: [String], _ new: [String]) -> [String] { value.isEmpty ? [] : old + new }
        switch (section, key) {
        case ("Unit", "Description"): description = value
        case ("Unit", "Documentation"): documentation = list(documentation, [value])
        case ("Unit", "ConditionPathExists"): conditions = list(conditions, [value])
        case ("Service", "ExecStart"): command = value
        case ("Service", "Environment"): environment = list(environment, Self.words(value))
        case ("Service", "EnvironmentFile"): environmentFiles = list(environmentFiles, [value])
        case ("Service", "Restart"): restarts = Restarts(rawValue: value) ?? .no
        case ("Service", "RestartSec"): restartSeconds = Self.seconds(value) ?? restartSeconds
        case ("Service", "TimeoutStopSec"): stopSeconds = Self.seconds(value) ?? stopSeconds
        case ("Install", "WantedBy"): wantedBy = list(wantedBy, Self.words(value))
        default: break
        }
    }

    /// Lines without comments; one that ends in a backslash goes on.
    private static func lines(_ text: String) -> [String] {
        var result: [String] = []
        var open = ""
        for line in text.split(separator: "\n") {
            let trimmed = line.trimmed
            if trimmed.isEmpty || trimmed.hasPrefix("#") || trimmed.hasPrefix(";") { continue }
            if trimmed.hasSuffix("\\") {
                open += trimmed.dropLast() + " "
            } else {
                result.append(open + trimmed)
                open = ""
            }
        }
        return result
    }

    /// `5`, `500ms`, `1min 20s`.
    package static func seconds(_ text: String) -> Double? {
        var total = 0.0
        for part in text.split(separator: " ") {
            let digits = part.prefix { $0.isNumber || $0 == "." }
            guard let number = Double(digits) else { return nil }
            switch part.dropFirst(digits.count) {
            case "", "s", "sec": total += number
            case "ms": total += number / 1000
            case "min", "m": total += number * 60
            case "h": total += number * 3600
            default: return nil
            }
        }
        return total
    }

    /// Splits at blanks outside quotes; the quotes go.
    package static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in text {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let whole = word { words.append(whole) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words
    }

    /// `NAME=VALUE` lines of an environment file.
    package static func variables(_ text: String) -> [String] {
        lines(text).filter { $0.contains("=") }.map { line in
            let equals = line.firstIndex(of: "=") ?? line.endIndex
            return "\(line[..<equals].trimmed)=\(words(String(line[line.index(after: equals)...].trimmed)).joined(separator: " "))"
        }
    }

    /// The command's words: `$NAME` alone becomes as many words as its value has, `${NAME}` is put in where it stands.
    package static func arguments(_ command: String, environment: [String: String]) -> [String] {
        words(command).flatMap { word -> [String] in
            if word.hasPrefix("$"), word.dropFirst().allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }), word.count > 1 {
                return words(environment[String(word.dropFirst())] ?? "")
            }
            var text = ""
            var rest = word[...]
            while let start = rest.firstRange(of: "${"), let end = rest[start.upperBound...].firstIndex(of: "}") {
                text += rest[..<start.lowerBound] + (environment[String(rest[start.upperBound..<end])] ?? "")
                rest = rest[rest.index(after: end)...]
            }
            return [text + rest]
        }
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        let blanks: Set<Character> = [" ", "\t", "\r"]
        guard let start = firstIndex(where: { !blanks.contains($0) }), let end = lastIndex(where: { !blanks.contains($0) }) else {
            return ""
        }
        return String(self[start...end])
    }
}
