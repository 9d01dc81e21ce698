// An OpenAPI v2 document in the protobuf form that kubectl up to 1.28 asks for. Field numbers are those of gnostic's schema.
internal import Essentials
internal import OrderedCollections

enum OpenAPIProtobuf {
    static let contentType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

    /// Whether the client wants this form and says so first.
    static func isWanted(_ accept: String?) -> Bool {
        (accept ?? "").contains("proto-openapi.spec.v2@v1.0+protobuf") && !(accept ?? "").hasPrefix("application/json")
    }

    static func encode(_ document: JSON) -> [UInt8] {
        var message = Message()
        message.text(1, document["swagger"])
        message.inner(2) { info in
            info.text(1, document["info"]?["title"])
            info.text(2, document["info"]?["version"])
        }
        message.inner(8) { paths in
            for (name, item) in document["paths"]?.members ?? [] {
                paths.inner(2) { named in
                    named.text(1, JSON(name))
                    named.inner(2) { pathItem(item, into: &$0) }
                }
            }
        }
        message.inner(9) { schemas(document["definitions"], into: &$0) }
        return message.bytes
    }

    private static let methods = [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)]

    private static func pathItem(_ item: JSON, into message: inout Message) {
        for (method, number) in methods {
            guard let operation = item[method] else { continue }
            message.inner(number) { self.operation(operation, into: &$0) }
        }
        for parameter in item["parameters"]?.array ?? [] { message.inner(9) { self.parameter(parameter, into: &$0) } }
    }

    private static func operation(_ operation: JSON, into message: inout Message) {
        message.text(3, operation["description"])
        message.text(5, operation["operationId"])
        for type in operation["produces"]?.array ?? [] { message.text(6, type) }
        for type in operation["consumes"]?.array ?? [] { message.text(7, type) }
        for parameter in operation["parameters"]?.array ?? [] { message.inner(8) { self.parameter(parameter, into: &$0) } }
        message.inner(9) { responses in
            for (code, response) in operation["responses"]?.members ?? [] {
                responses.inner(1) { named in
                    named.text(1, JSON(code))
                    named.inner(2) { value in
                        value.inner(1) { body in
                            body.text(1, response["description"])
                            if let schema = response["schema"] { body.inner(2) { $0.inner(1) { self.schema(schema, into: &$0) } } }
                        }
                    }
                }
            }
        }
        extensions(of: operation, number: 13, into: &message)
    }

    /// A ParametersItem with a Parameter in it.
    private static func parameter(_ parameter: JSON, into message: inout Message) {
        message.inner(1) { outer in
            if parameter["in"] == "body" {
                outer.inner(1) { body in
                    body.text(1, parameter["description"])
                    body.text(2, parameter["name"])
                    body.text(3, "body")
                    if parameter["required"] == true { body.flag(4) }
                    if let schema = parameter["schema"] { body.inner(5) { self.schema(schema, into: &$0) } }
                }
                return
            }
            let isPath = parameter["in"] == "path"
            outer.inner(2) { other in
                other.inner(isPath ? 4 : 3) { part in
                    if parameter["required"] == true { part.flag(1) }
                    part.text(2, parameter["in"])
                    part.text(3, parameter["description"])
                    part.text(4, parameter["name"])
                    part.text(isPath ? 5 : 6, parameter["type"])
                }
            }
        }
    }

    private static func schemas(_ all: JSON?, into message: inout Message) {
        for (name, schema) in all?.members ?? [] {
            message.inner(1) { named in
                named.text(1, JSON(name))
                named.inner(2) { self.schema(schema, into: &$0) }
            }
        }
    }

    private static func schema(_ schema: JSON, into message: inout Message) {
        message.text(1, schema["$ref"])
        message.text(2, schema["format"])
        message.text(4, schema["description"])
        if let fallback = schema["default"] { message.inner(5) { $0.text(2, JSON(fallback.text)) } }
        for name in schema["required"]?.array ?? [] { message.text(19, name) }
        for value in schema["enum"]?.array ?? [] { message.inner(20) { $0.text(2, JSON(value.text)) } }
        if let rest = schema["additionalProperties"] {
            message.inner(21) { item in
                if rest == true { item.flag(2) } else { item.inner(1) { self.schema(rest, into: &$0) } }
            }
        }
        if let type = schema["type"] { message.inner(22) { $0.text(1, type) } }
        if let items = schema["items"] { message.inner(23) { $0.inner(1) { self.schema(items, into: &$0) } } }
        for part in schema["allOf"]?.array ?? [] { message.inner(24) { self.schema(part, into: &$0) } }
        if let properties = schema["properties"] { message.inner(25) { schemas(properties, into: &$0) } }
        extensions(of: schema, number: 31, into: &message)
    }

    private static func extensions(of value: JSON, number: Int, into message: inout Message) {
        for (name, extra) in value.members where name.hasPrefix("x-") {
            message.inner(number) { named in
                named.text(1, JSON(name))
                named.inner(2) { $0.text(2, JSON(extra.text + "\n")) }
            }
        }
    }

    /// Bytes of a message under construction.
    private struct Message {
        var bytes: [UInt8] = []

        mutating func text(_ number: Int, _ value: JSON?) {
            guard let text = value?.string, !text.isEmpty else { return }
            let content = Array(text.utf8)
            varint(number << 3 | 2)
            varint(content.count)
            bytes += content
        }

        mutating func flag(_ number: Int) {
            varint(number << 3)
            varint(1)
        }

        mutating func inner(_ number: Int, _ fill: (inout Message) -> Void) {
            var message = Message()
            fill(&message)
            varint(number << 3 | 2)
            varint(message.bytes.count)
            bytes += message.bytes
        }

        private mutating func varint(_ value: Int) {
            var rest = UInt64(value)
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
    }
}
