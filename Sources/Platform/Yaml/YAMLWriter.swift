// JSON to YAML in the layout of Kubernetes' own tools: keys in their order, lists at their key's column, strings quoted
// only where they would be read as something else.
package import Essentials
internal import OrderedCollections

extension YAML {
    package static func text(_ value: JSON) -> String {
        var lines: [String] = []
        write(value, indent: "", into: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ value: JSON, indent: String, into lines: inout [String]) {
        switch value {
        case .object(let members) where !members.isEmpty:
            for (key, member) in members { write(member, after: indent + scalar(.string(key)) + ":", indent: indent, into: &lines) }
        case .array(let elements) where !elements.isEmpty:
            for element in elements {
                var inner: [String] = []
                write(element, indent: indent + "  ", into: &inner)
                let first = inner[0]
                inner[0] = indent + "- " + first.dropFirst(first.hasPrefix(indent + "  ") ? indent.count + 2 : 0)
                lines += inner
            }
        default: lines.append(indent + scalar(value))
        }
    }

    private static func write(_ value: JSON, after head: String, indent: String, into lines: inout [String]) {
        switch value {
        case .object(let members) where !members.isEmpty:
            lines.append(head)
            write(value, indent: indent + "  ", into: &lines)
        case .array(let elements) where !elements.isEmpty:
            lines.append(head)
            write(value, indent: indent, into: &lines)
        case .string(let text) where text.contains("\n") && isBlockText(text):
            var body = text.split(separator: "\n", omittingEmptySubsequences: false)
            let ends = text.hasSuffix("\n")
            if ends { body.removeLast() }
            lines.append(head + (ends ? " |" : " |-"))
            for line in body { lines.append(line.isEmpty ? "" : indent + "  " + line) }
        default: lines.append(head + " " + scalar(value))
        }
    }

    private static func isBlockText(_ text: String) -> Bool {
        !text.hasPrefix(" ") && !text.hasPrefix("\n") && !text.hasSuffix("\n\n") && !text.contains(" \n")
            && text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value != 0x7F) }
    }

    private static func scalar(_ value: JSON) -> String {
        switch value {
        case .null: return "null"
        case .object: return "{}"
        case .array: return "[]"
        case .string(let text): return string(text)
        default: return value.text
        }
    }

    private static func string(_ text: String) -> String {
        if text.isEmpty { return "\"\"" }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else { return JSON.string(text).text }
        if YAMLScalar.value(text, isPlain: true, tag: nil) != .string(text) { return "\"\(text)\"" }
        let leading: Set<Character> = [
            "-", "?", ":", ",", "[", "]", "{", "}", "#", "&", "*", "!", "|", ">", "'", "\"", "%", "@", "`", " ", "=",
        ]
        let isRisky =
            (leading.contains(text.first ?? " ") && !(text.first == "-" && text.count > 1 && text.dropFirst().first != " "))
            || text.hasSuffix(" ") || text.hasSuffix(":") || text.contains(": ") || text.contains(" #") || text.hasPrefix("---")
        return isRisky ? "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'" : text
    }
}
