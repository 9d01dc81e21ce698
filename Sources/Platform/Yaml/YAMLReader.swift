// YAML to JSON by libyaml, with the scalar rules of Kubernetes' own reader, for programs that do without Foundation.
//
// May touch: nothing but its input. Aliases are expanded, so what a text may grow to is limited by nodes, not by bytes.
internal import CLibyaml
package import Essentials
internal import OrderedCollections

package struct YAMLProblem: Problem, Equatable {
    package var line: Int
    package var detail: String
    package var reason: String { "InvalidYAML" }
    package var message: String { line > 0 ? "yaml: line \(line): \(detail)" : "yaml: \(detail)" }
    package var cause: String? { nil }
}

package enum YAML {
    /// Nodes that all documents of a text may have together, aliases expanded.
    package static let nodeLimit = 500_000
    package static let depthLimit = 200

    /// Each document of a text; empty ones are left out.
    package static func documents(_ text: [UInt8]) throws(YAMLProblem) -> [JSON] {
        var reader = YAMLReader()
        return try reader.read(text)
    }

    /// The only document of a text; `null` where there is none.
    package static func document(_ text: [UInt8]) throws(YAMLProblem) -> JSON {
        let all = try documents(text)
        guard all.count <= 1 else { throw YAMLProblem(line: 0, detail: "more than one document where one is expected") }
        return all.first ?? .null
    }
}

/// Builds values from libyaml's events.
private struct YAMLReader {
    private enum Frame {
        case sequence([JSON], anchor: String?)
        case mapping(JSON.Object, key: String?, merges: [JSON], anchor: String?)
    }

    private static let mergeKey = "\u{0}<<"

    private var stack: [Frame] = []
    private var anchors: [String: (value: JSON, nodes: Int)] = [:]
    private var documents: [JSON] = []
    private var nodes = 0

    mutating func read(_ text: [UInt8]) throws(YAMLProblem) -> [JSON] {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else { throw YAMLProblem(line: 0, detail: "out of memory") }
        defer { yaml_parser_delete(&parser) }
        let result: Result<Void, YAMLProblem> = text.withUnsafeBufferPointer { input in
            yaml_parser_set_input_string(&parser, input.baseAddress, input.count)
            do throws(YAMLProblem) {
                while try step(&parser) {}
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        return documents
    }

    private mutating func step(_ parser: inout yaml_parser_t) throws(YAMLProblem) -> Bool {
        var event = yaml_event_t()
        guard yaml_parser_parse(&parser, &event) == 1 else {
            let what = parser.problem.map { String(cString: $0) } ?? "could not be read"
            throw YAMLProblem(line: Int(parser.problem_mark.line) + 1, detail: what)
        }
        defer { yaml_event_delete(&event) }
        let line = Int(event.start_mark.line) + 1
        switch event.type {
        case YAML_STREAM_END_EVENT: return false
        case YAML_DOCUMENT_START_EVENT: anchors = [:]
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.plain_implicit != 0
            let value = YAMLScalar.value(text, isPlain: isPlain, tag: name(scalar.tag))
            try take(value, source: text, isPlain: isPlain, anchor: name(scalar.anchor), line: line)
        case YAML_ALIAS_EVENT:
            let alias = name(event.data.alias.anchor) ?? ""
            guard let known = anchors[alias] else { throw YAMLProblem(line: line, detail: "unknown anchor '\(alias)' referenced") }
            nodes += known.nodes
            try take(known.value, source: known.value.string ?? "", isPlain: false, anchor: nil, line: line)
        case YAML_SEQUENCE_START_EVENT: try push(.sequence([], anchor: name(event.data.sequence_start.anchor)), line: line)
        case YAML_MAPPING_START_EVENT:
            try push(.mapping([:], key: nil, merges: [], anchor: name(event.data.mapping_start.anchor)), line: line)
        case YAML_SEQUENCE_END_EVENT:
            guard case .sequence(let elements, let anchor)? = stack.popLast() else { return true }
            try take(.array(elements), source: nil, isPlain: false, anchor: anchor, line: line)
        case YAML_MAPPING_END_EVENT:
            guard case .mapping(var members, _, let merges, let anchor)? = stack.popLast() else { return true }
            for merged in merges {
                for (key, value) in merged.object ?? [:] where members[key] == nil { members[key] = value }
            }
            try take(.object(members), source: nil, isPlain: false, anchor: anchor, line: line)
        default: break
        }
        return true
    }

    private func name(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)) }
    }

    private mutating func push(_ frame: Frame, line: Int) throws(YAMLProblem) {
        guard stack.count < YAML.depthLimit else { throw YAMLProblem(line: line, detail: "nested more than \(YAML.depthLimit) deep") }
        stack.append(frame)
    }

    private mutating func take(_ value: JSON, source: String?, isPlain: Bool, anchor: String?, line: Int) throws(YAMLProblem) {
        nodes += 1
        guard nodes <= YAML.nodeLimit else { throw YAMLProblem(line: line, detail: "document contains excessive aliasing") }
        if let anchor { anchors[anchor] = (value, YAMLScalar.nodes(in: value)) }
        switch stack.popLast() {
        case nil: documents.append(contentsOf: value.isNull ? [] : [value])
        case .sequence(var elements, let anchor):
            elements.append(value)
            stack.append(.sequence(elements, anchor: anchor))
        case .mapping(var members, let key, var merges, let anchor):
            guard let key else {
                guard let source else { throw YAMLProblem(line: line, detail: "a key must be a scalar") }
                if members[source] != nil { throw YAMLProblem(line: line, detail: "key \"\(source)\" already set in map") }
                let next = isPlain && source == "<<" ? Self.mergeKey : source
                stack.append(.mapping(members, key: next, merges: merges, anchor: anchor))
                return
            }
            if key == Self.mergeKey {
                merges += value.array ?? [value]
            } else {
                members[key] = value
            }
            stack.append(.mapping(members, key: nil, merges: merges, anchor: anchor))
        }
    }
}

/// What an unquoted word means.
enum YAMLScalar {
    static func nodes(in value: JSON) -> Int {
        switch value {
        case .array(let elements): elements.reduce(1) { $0 + nodes(in: $1) }
        case .object(let members): members.values.reduce(1) { $0 + nodes(in: $1) }
        default: 1
        }
    }

    static func value(_ text: String, isPlain: Bool, tag: String?) -> JSON {
        if let tag, tag.hasSuffix(":str") || tag == "!" { return .string(text) }
        guard isPlain || tag?.hasPrefix("tag:yaml.org,2002:") == true else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y": return .bool(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N": return .bool(false)
        default: return number(text) ?? .string(text)
        }
    }

    private static func number(_ text: String) -> JSON? {
        guard let first = text.utf8.first, [0x2B, 0x2D, 0x2E].contains(first) || (0x30...0x39).contains(first) else { return nil }
        var digits = text.contains("_") ? text.filter { $0 != "_" } : text
        let sign = digits.hasPrefix("-") ? "-" : ""
        if digits.hasPrefix("-") || digits.hasPrefix("+") { digits.removeFirst() }
        guard let lead = digits.utf8.first, lead == 0x2E || (0x30...0x39).contains(lead) else { return nil }
        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] where digits.hasPrefix(prefix) {
            return Int64(sign + digits.dropFirst(2), radix: radix).map(JSON.integer)
        }
        if digits.count > 1, digits.hasPrefix("0"), let octal = Int64(sign + digits, radix: 8) { return .integer(octal) }
        if let whole = Int64(sign + digits) { return .integer(whole) }
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || [0x2E, 0x65, 0x45, 0x2B, 0x2D].contains($0) }),
            let value = Double(sign + (digits.hasPrefix(".") ? "0" + digits : digits)), value.isFinite
        else { return nil }
        return .number(value)
    }
}
