// Merge patch (RFC 7396) and JSON patch (RFC 6902).
package import Essentials
internal import OrderedCollections

/// Why a patch cannot be applied; becomes 400 or 422.
package struct PatchFailure: Error, Equatable, Sendable {
    package let message: String
    /// Whether the patch is well formed but does not fit the object (422) or is no patch at all (400).
    package let isUnprocessable: Bool
    init(_ message: String, isUnprocessable: Bool = false) {
        self.message = message
        self.isUnprocessable = isUnprocessable
    }
}

package enum MergePatch {
    package static func apply(_ patch: JSON, to target: JSON) -> JSON {
        guard case .object(let changes) = patch else { return patch }
        var members = target.object ?? [:]
        for (key, change) in changes {
            if change.isNull {
                members.removeValue(forKey: key)
            } else {
                members[key] = apply(change, to: members[key] ?? .null)
            }
        }
        return .object(members)
    }
}

package enum JSONPatch {
    /// More operations are refused.
    static let operationLimit = 10_000

    package static func apply(_ patch: JSON, to target: JSON) throws(PatchFailure) -> JSON {
        guard case .array(let operations) = patch else {
            throw PatchFailure("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        }
        guard operations.count <= operationLimit else {
            throw PatchFailure("The allowed maximum operations in a JSON patch is \(operationLimit), got \(operations.count)")
        }
        var document = target
        for operation in operations { try apply(operation: operation, to: &document) }
        return document
    }

    private static func apply(operation: JSON, to document: inout JSON) throws(PatchFailure) {
        guard let op = operation["op"]?.string, let path = operation["path"]?.string else {
            throw PatchFailure("an operation of the JSON patch has no op or no path")
        }
        let pointer = try Pointer(path)
        switch op {
        case "add": try pointer.add(try value(of: operation), to: &document)
        case "remove": _ = try pointer.remove(from: &document)
        case "replace":
            guard pointer.get(document) != nil else {
                throw PatchFailure("replace operation does not apply: doc is missing key: \(path): missing value", isUnprocessable: true)
            }
            try pointer.replace(with: try value(of: operation), in: &document)
        case "test":
            guard (pointer.get(document) ?? .null).isSame(as: operation["value"] ?? .null) else {
                throw PatchFailure("testing value \(path) failed: test failed", isUnprocessable: true)
            }
        case "move", "copy":
            guard let from = operation["from"]?.string else { throw PatchFailure("a \(op) operation has no from") }
            let source = try Pointer(from)
            guard let moved = source.get(document) else {
                throw PatchFailure(
                    "\(op) operation does not apply: doc is missing from path: \(from): missing value", isUnprocessable: true)
            }
            if op == "move" { _ = try source.remove(from: &document) }
            try pointer.add(moved, to: &document)
        default: throw PatchFailure("Unexpected kind: \(op)")
        }
    }

    private static func value(of operation: JSON) throws(PatchFailure) -> JSON {
        guard let value = operation["value"] else { throw PatchFailure("an operation of the JSON patch has no value") }
        return value
    }
}

/// A JSON pointer (RFC 6901).
private struct Pointer {
    let path: String
    let tokens: [String]

    init(_ path: String) throws(PatchFailure) {
        self.path = path
        if path.isEmpty {
            tokens = []
            return
        }
        guard path.hasPrefix("/") else { throw PatchFailure("the JSON pointer \(path) does not begin with /") }
        tokens = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { token in
            guard token.utf8.contains(UInt8(ascii: "~")) else { return String(token) }
            var text = ""
            var isEscape = false
            for character in token {
                if isEscape {
                    text.append(character == "1" ? "/" : character == "0" ? "~" : character)
                    isEscape = false
                } else if character == "~" {
                    isEscape = true
                } else {
                    text.append(character)
                }
            }
            return text
        }
    }

    private func missing(_ what: String) -> PatchFailure {
        PatchFailure("\(what) operation does not apply: doc is missing path: \"\(path)\": missing value", isUnprocessable: true)
    }

    func get(_ document: JSON) -> JSON? {
        var value = document
        for token in tokens {
            let next: JSON? =
                switch value {
                case .object(let members): members[token]
                case .array(let elements): Int(token).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
                default: nil
                }
            guard let next else { return nil }
            value = next
        }
        return value
    }

    func add(_ value: JSON, to document: inout JSON) throws(PatchFailure) {
        try change(&document, tokens[...], what: "add") { (parent, token) throws(PatchFailure) in
            switch parent {
            case .object(var members):
                members[token] = value
                parent = .object(members)
            case .array(var elements):
                if token == "-" {
                    elements.append(value)
                } else {
                    guard let index = Int(token), (0...elements.count).contains(index) else {
                        throw PatchFailure(
                            "add operation does not apply: Unable to access invalid index: \(token): invalid index referenced",
                            isUnprocessable: true)
                    }
                    elements.insert(value, at: index)
                }
                parent = .array(elements)
            default: throw missing("add")
            }
        } whole: {
            $0 = value
        }
    }

    func replace(with value: JSON, in document: inout JSON) throws(PatchFailure) {
        try change(&document, tokens[...], what: "replace") { (parent, token) throws(PatchFailure) in
            switch parent {
            case .object(var members):
                members[token] = value
                parent = .object(members)
            case .array(var elements):
                guard let index = Int(token), elements.indices.contains(index) else { throw missing("replace") }
                elements[index] = value
                parent = .array(elements)
            default: throw missing("replace")
            }
        } whole: {
            $0 = value
        }
    }

    func remove(from document: inout JSON) throws(PatchFailure) -> JSON? {
        var removed: JSON?
        try change(&document, tokens[...], what: "remove") { (parent, token) throws(PatchFailure) in
            switch parent {
            case .object(var members):
                removed = members.removeValue(forKey: token)
                if removed == nil { throw missing("remove") }
                parent = .object(members)
            case .array(var elements):
                guard let index = Int(token), elements.indices.contains(index) else { throw missing("remove") }
                removed = elements.remove(at: index)
                parent = .array(elements)
            default: throw missing("remove")
            }
        } whole: {
            $0 = .null
        }
        return removed
    }

    private func change(
        _ value: inout JSON, _ rest: ArraySlice<String>, what: String, _ body: (inout JSON, String) throws(PatchFailure) -> Void,
        whole: (inout JSON) -> Void
    ) throws(PatchFailure) {
        guard let token = rest.first else {
            whole(&value)
            return
        }
        if rest.count == 1 { return try body(&value, token) }
        switch value {
        case .object(var members):
            guard var child = members[token] else { throw missing(what) }
            try change(&child, rest.dropFirst(), what: what, body, whole: whole)
            members[token] = child
            value = .object(members)
        case .array(var elements):
            guard let index = Int(token), elements.indices.contains(index) else { throw missing(what) }
            try change(&elements[index], rest.dropFirst(), what: what, body, whole: whole)
            value = .array(elements)
        default: throw missing(what)
        }
    }
}
