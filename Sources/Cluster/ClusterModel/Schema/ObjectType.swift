// The shape of documents: types with their fields, read from the compact notation of the `Types*.swift` files.
//
// Notation. `%PACKAGE` names the package of the types below it, without `io.k8s.`. `@Name text` begins a type; a name that several
// versions have is written with one, as in `networking.v1beta1.Ingress`. Each line below it is a field:
//     NUMBER NAME TYPE FLAGS | text
// NUMBER is the protobuf field number (0: none), or `2.19`: number 19 in a message that protobuf embeds as number 2. TYPE is string, bool, int32, int64, double, quantity, intstr (a number or a
// string), time, microtime, bytes (base64), any (free form), a type's name, `[]T` or `{}T` (a map from strings).
// FLAGS: `required`; `=VALUE` a default; `key=F` a list whose elements strategic merge tells apart by F; `keys=F,G` the same for
// server-side apply where it differs; `merge` a list of scalars that merges as a set; `atomic` replaced as a whole; `retain` a
// union of which a patch keeps only the members it names; `enum=A,B` the allowed values; `min=N`; `keep` stays even when empty;
// `ptr` a scalar whose zero is a value, not an absence.
package import Essentials
internal import Synchronization

package indirect enum FieldType: Sendable, Hashable {
    case string, bool, int32, int64, double, quantity, intOrString, time, microTime, bytes, any
    case named(String)
    case list(FieldType)
    case map(FieldType)
}

package struct Field: Sendable {
    package let number: Int
    /// The number of the embedding message, where protobuf has one that JSON has not.
    package var embeddedIn: Int?
    package let name: String
    package let type: FieldType
    package let doc: String
    package var isRequired = false
    package var fallback: JSON?
    /// The member by which strategic merge tells list elements apart.
    package var mergeKey: String?
    /// The members by which server-side apply tells list elements apart.
    package var mapKeys: [String] = []
    /// A list of scalars that merges as a set.
    package var isSet = false
    package var isAtomic = false
    package var retainsKeys = false
    package var allowed: [String] = []
    package var minimum: Int64?
    package var staysWhenEmpty = false
    /// A pointer in Go: zero is a value, not an absence.
    package var isPointer = false
}

package final class ObjectType: Sendable {
    package let name: String
    /// The package in upstream's names of types, such as `io.k8s.api.core.v1`.
    package let package: String
    package let doc: String
    package let fields: [Field]
    private let places: [String: Int]
    package let hasDefaults: Bool

    init(name: String, package: String = "", doc: String, fields: [Field]) {
        self.name = name
        self.package = package
        self.doc = doc
        self.fields = fields
        places = Dictionary(fields.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        hasDefaults = fields.contains { $0.fallback != nil }
    }

    package func field(_ name: String) -> Field? { places[name].map { fields[$0] } }

    /// The name without the version that tells it from others: `Ingress` for `networking.v1beta1.Ingress`.
    package static func plainName(_ name: String) -> String { name.split(separator: ".").last.map(String.init) ?? name }
    /// Upstream's name of the type. Custom ones have their whole name as it is.
    package var fullName: String { package.isEmpty ? name : package + "." + Self.plainName(name) }
}

/// All types by name. A type is parsed when it is first needed, so a server that never sees a kind pays nothing for it.
package final class TypeTable: Sendable {
    private struct Source {
        let package: String
        let body: Substring
    }
    private let sources: [Substring: Source]
    private let parsed = Mutex<[String: ObjectType]>([:])
    private let base: TypeTable?

    /// Every type of the built-in kinds.
    package static let builtIn = TypeTable(texts: [
        TypesText.meta, TypesText.references, TypesText.pod, TypesText.podParts, TypesText.podStatus, TypesText.cluster, TypesText.policy,
        TypesText.quota, TypesText.lease, TypesText.eviction, TypesText.workloadCore, TypesText.apps, TypesText.batch, TypesText.service,
        TypesText.discovery, TypesText.ingress, TypesText.oldIngress, TypesText.volume, TypesText.storage, TypesText.autoscaling,
        TypesText.autoscaling1, TypesText.disruption, TypesText.priority, TypesText.serviceAccount, TypesText.rbac,
        TypesText.certificates, TypesText.authentication, TypesText.authorization, TypesText.customResources, TypesText.webhooks,
        TypesText.apiServices, TypesText.others, TypesText.events, TypesText.runtimes, TypesText.metrics,
    ])

    package init(texts: [String]) {
        base = nil
        var sources: [Substring: Source] = [:]
        for text in texts {
            let bytes = text.utf8
            var package = ""
            var start: String.Index?
            func close(at end: String.Index) {
                guard let start else { return }
                let body = text[start..<end]
                let name = body[..<(body.utf8.firstIndex { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") } ?? end)]
                precondition(sources[name] == nil, "the type \(name) is declared twice")
                sources[name] = Source(package: package, body: body)
            }
            var line = bytes.startIndex
            while line < bytes.endIndex {
                let end = bytes[line...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
                if bytes[line] == UInt8(ascii: "@") {
                    close(at: line)
                    start = bytes.index(after: line)
                } else if bytes[line] == UInt8(ascii: "%") {
                    close(at: line)
                    start = nil
                    package = "io.k8s." + text[bytes.index(after: line)..<end]
                }
                line = end < bytes.endIndex ? bytes.index(after: end) : end
            }
            close(at: bytes.endIndex)
        }
        self.sources = sources
    }

    /// A table with further types, which go before those of `base` with the same name.
    package init(base: TypeTable, adding types: [ObjectType]) {
        sources = [:]
        self.base = base
        parsed.withLock { parsed in for type in types { parsed[type.name] = type } }
    }

    package var names: [String] { sources.keys.map(String.init).sorted() }

    package subscript(name: String) -> ObjectType? {
        if let base {
            if let type = parsed.withLock({ $0[name] }) { return type }
            return base[name]
        }
        return parsed.withLock { parsed in
            if let type = parsed[name] { return type }
            guard let source = sources[Substring(name)] else { return nil }
            let type = Self.parse(source)
            parsed[name] = type
            return type
        }
    }

    private static func parse(_ source: Source) -> ObjectType {
        let lines = source.body.split(separator: "\n", omittingEmptySubsequences: true)
        let head = lines[0].split(separator: " ", maxSplits: 1)
        return ObjectType(
            name: String(head[0]), package: source.package, doc: head.count > 1 ? String(head[1]) : "",
            fields: lines.dropFirst().map(parseField))
    }

    private static func parseField(_ line: Substring) -> Field {
        let halves = line.split(separator: "|", maxSplits: 1)
        let words = halves[0].split(separator: " ")
        let numbers = words.first?.split(separator: ".").compactMap { Int($0) } ?? []
        guard words.count >= 3, let number = numbers.last else { preconditionFailure("not a field: \(line)") }
        let doc = halves.count > 1 ? String(halves[1].drop { $0 == " " }) : ""
        var field = Field(number: number, name: String(words[1]), type: parseType(words[2]), doc: doc)
        if numbers.count == 2 { field.embeddedIn = numbers[0] }
        for flag in words.dropFirst(3) {
            let parts = flag.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? String(parts[1]) : ""
            switch parts[0] {
            case "required": field.isRequired = true
            case "": field.fallback = (try? JSON(parsing: value)) ?? .string(value)
            case "key":
                field.mergeKey = value
                if field.mapKeys.isEmpty { field.mapKeys = [value] }
            case "keys": field.mapKeys = value.split(separator: ",").map(String.init)
            case "merge": field.isSet = true
            case "atomic": field.isAtomic = true
            case "retain": field.retainsKeys = true
            case "enum": field.allowed = value.split(separator: ",").map(String.init)
            case "min": field.minimum = Int64(value)
            case "ptr": field.isPointer = true
            case "keep": field.staysWhenEmpty = true
            default: preconditionFailure("an unknown flag \(flag) in: \(line)")
            }
        }
        return field
    }

    private static func parseType(_ text: Substring) -> FieldType {
        if text.hasPrefix("[]") { return .list(parseType(text.dropFirst(2))) }
        if text.hasPrefix("{}") { return .map(parseType(text.dropFirst(2))) }
        switch text {
        case "string": return .string
        case "bool": return .bool
        case "int32": return .int32
        case "int64": return .int64
        case "double": return .double
        case "quantity": return .quantity
        case "intstr": return .intOrString
        case "time": return .time
        case "microtime": return .microTime
        case "bytes": return .bytes
        case "any": return .any
        default: return .named(String(text))
        }
    }
}
