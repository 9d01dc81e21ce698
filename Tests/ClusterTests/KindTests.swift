// Every kind of a lab's cluster: read, completed, checked, shown, and read again from protobuf.
import ClusterModel
import Essentials
import Testing

@Suite struct KindTests {
    static let now = Timestamp(rfc3339: "2026-01-01T00:00:05Z") ?? Timestamp(seconds: 0)

    /// A new object as the server would store it, with what it found unknown or wrong.
    static func make(_ kind: Kind, _ document: JSON) throws -> (object: JSON, unknown: [String], causes: [FieldCause]) {
        var document = document
        for path in kind.conversion?.dropped ?? [] where document[path: path] != nil { document[path: path] = nil }
        var decoding = Decoding()
        var object = try decoding.decode(document, as: kind.type)
        let stored = Schema.cluster.stored(kind)
        object = kind.storable(object, as: stored)
        object["apiVersion"] = JSON(stored.apiVersion)
        object["kind"] = JSON(stored.name)
        object["metadata"]?["creationTimestamp"] = "2026-01-01T00:00:00Z"
        object["metadata"]?["uid"] = "u"
        Defaulting().apply(to: &object, as: stored.type)
        stored.applyDefaults(&object)
        stored.prepareCreate(&object)
        let causes = MetadataRules.check(object, of: stored) + FieldRules().check(object, as: stored.type) + stored.check(object, nil)
        return (object, decoding.unknownFields, causes)
    }

    @Test(arguments: KindManifest.all)
    func aTypicalDocumentIsTaken(manifest: KindManifest) throws {
        let kind = try #require(Schema.cluster.kind(manifest.resource))
        let made = try Self.make(kind, JSON(parsing: Array(manifest.document.utf8)))
        #expect(made.unknown.isEmpty)
        #expect(made.causes.isEmpty, "\(made.causes)")
        let cells = kind.cells(made.object, Self.now)
        #expect(cells.count == kind.columns.count)
        let row = zip(kind.columns, cells).filter { $0.0.priority == 0 }.map { $0.1.string ?? $0.1.text }
        #expect(row == manifest.row)
        // What is shown can be sent back, and means the same.
        let shown = kind.shown(made.object)
        #expect(shown["apiVersion"] == JSON(kind.apiVersion))
        var decoding = Decoding()
        let again = try decoding.decode(shown, as: kind.type)
        #expect(decoding.unknownFields.isEmpty, "\(decoding.unknownFields)")
        var back = kind.storable(again, as: Schema.cluster.stored(kind))
        Defaulting().apply(to: &back, as: Schema.cluster.stored(kind).type)
        var stored = made.object
        // An empty status says nothing, whether it is there or not.
        back["status"] = nil
        stored["status"] = nil
        #expect(back.isSame(as: stored), "\(back.text)\n\(stored.text)")
    }

    @Test func everyStoredKindHasADocumentHere() {
        let tried = Set(KindManifest.all.map(\.resource))
        for kind in Schema.cluster.kinds where kind.isStored { #expect(tried.contains(kind.resource), "\(kind.resource)") }
    }

    @Test func kindsAreWhole() {
        let table = TypeTable.builtIn
        var names: Set<String> = []
        for kind in Schema.cluster.kinds {
            #expect(table[kind.type] != nil, "\(kind.name)")
            #expect(names.insert(kind.apiVersion + "/" + kind.name).inserted, "\(kind.name)")
            #expect(!kind.verbs.isEmpty)
            let stored = Schema.cluster.stored(kind)
            if let conversion = kind.conversion {
                #expect(stored.resource == conversion.storage)
                #expect(stored.conversion == nil)
                #expect(stored.isNamespaced == kind.isNamespaced)
                #expect(stored.storePrefix == kind.storePrefix)
            }
        }
        for name in table.names { #expect(table[name]?.package.hasPrefix("io.k8s.") ?? false, "\(name)") }
    }

    @Test(arguments: KindManifest.all)
    func protobufSaysTheSame(manifest: KindManifest) throws {
        let kind = try #require(Schema.cluster.kind(manifest.resource))
        var decoding = Decoding()
        var document = try decoding.decode(JSON(parsing: Array(manifest.document.utf8)), as: kind.type)
        document["apiVersion"] = JSON(kind.apiVersion)
        document["kind"] = JSON(kind.name)
        let body = try #require(ProtobufWriter().body(document, as: kind.type))
        let read = try Protobuf().decode(body) { Schema.cluster.kind(apiVersion: $0, kind: $1)?.type }
        #expect(read.isSame(as: document), "\(read.text)\n\(document.text)")
    }
}

/// Writes documents as typed clients do, by the table's numbers.
struct ProtobufWriter {
    private let table = TypeTable.builtIn

    func body(_ document: JSON, as type: String) -> [UInt8]? {
        guard let shape = table[type] else { return nil }
        let meta =
            ProtobufTests.text(1, document["apiVersion"]?.string ?? "") + ProtobufTests.text(2, document["kind"]?.string ?? "")
        return Protobuf.magic + ProtobufTests.bytes(1, meta) + ProtobufTests.bytes(2, message(document, shape))
    }

    private func message(_ document: JSON, _ type: ObjectType) -> [UInt8] {
        var result: [UInt8] = []
        var embedded: [Int: [UInt8]] = [:]
        for field in type.fields where field.number > 0 {
            guard let value = document[field.name] else { continue }
            let bytes = self.field(field.number, value, field.type)
            if let outer = field.embeddedIn { embedded[outer, default: []] += bytes } else { result += bytes }
        }
        return embedded.sorted { $0.key < $1.key }.reduce(result) { $0 + ProtobufTests.bytes($1.key, $1.value) }
    }

    private func field(_ number: Int, _ value: JSON, _ type: FieldType) -> [UInt8] {
        switch type {
        case .list(let element): return (value.array ?? []).flatMap { field(number, $0, element) }
        case .map(let element):
            return value.members.flatMap { key, item -> [UInt8] in
                let content: [UInt8] =
                    if case .list(let inner) = element {
                        ProtobufTests.bytes(2, (item.array ?? []).flatMap { field(1, $0, inner) })
                    } else {
                        field(2, item, element)
                    }
                return ProtobufTests.bytes(number, ProtobufTests.text(1, key) + content)
            }
        case .string: return ProtobufTests.text(number, value.string ?? "")
        case .bool: return ProtobufTests.number(number, value.bool == true ? 1 : 0)
        case .int32, .int64: return ProtobufTests.number(number, UInt64(bitPattern: value.integer ?? 0))
        case .quantity: return ProtobufTests.bytes(number, ProtobufTests.text(1, value.string ?? ""))
        case .bytes: return ProtobufTests.bytes(number, Base64Text.decode(value.string ?? "") ?? [])
        case .intOrString:
            let isText = value.string != nil
            return ProtobufTests.bytes(
                number,
                ProtobufTests.number(1, isText ? 1 : 0) + ProtobufTests.number(2, UInt64(bitPattern: value.integer ?? 0))
                    + ProtobufTests.text(3, value.string ?? ""))
        case .time, .microTime:
            let time = value.string.flatMap(Timestamp.init(rfc3339:)) ?? Timestamp(seconds: 0)
            return ProtobufTests.bytes(number, ProtobufTests.number(1, UInt64(bitPattern: time.seconds)))
        case .any: return ProtobufTests.bytes(number, ProtobufTests.bytes(1, value.bytes))
        case .named(let name): return table[name].map { ProtobufTests.bytes(number, message(value, $0)) } ?? []
        case .double: return []
        }
    }
}
