// A JSON value with ordered members: the one document type of the cluster's objects, the HTTP API and the protocols.
package import OrderedCollections

/// A JSON value (RFC 8259). Integers that fit `Int64` stay exact.
package enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object(OrderedDictionary<String, JSON>)
}

extension JSON {
    package typealias Object = OrderedDictionary<String, JSON>

    package static let emptyObject = JSON.object([:])

    package var isNull: Bool { if case .null = self { true } else { false } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: Object? { if case .object(let value) = self { value } else { nil } }

    package var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    package var int: Int? { integer.flatMap(Int.init(exactly:)) }

    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The member `key` of an object; `nil` where this is no object or has no such member. Setting `nil` removes it.
    /// Setting a member of anything but an object makes it an object first.
    package subscript(key: String) -> JSON? {
        get { if case .object(let members) = self { members[key] } else { nil } }
        set {
            var members: Object = [:]
            if case .object(let current) = self { members = current }
            self = .null  // keeps `members` uniquely referenced, so that the change is made in place
            members[key] = newValue
            self = .object(members)
        }
    }

    /// The element at `index` of an array, where there is one.
    package subscript(index: Int) -> JSON? {
        if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { nil }
    }

    /// The value at a path of member names. Setting makes the objects on the way.
    package subscript(path path: [String]) -> JSON? {
        get {
            var value = self
            for key in path {
                guard let next = value[key] else { return nil }
                value = next
            }
            return value
        }
        set { set(path[...], to: newValue) }
    }

    private mutating func set(_ path: ArraySlice<String>, to newValue: JSON?) {
        guard let first = path.first else {
            self = newValue ?? .null
            return
        }
        if path.count == 1 {
            self[first] = newValue
            return
        }
        var child = self[first] ?? .emptyObject
        child.set(path.dropFirst(), to: newValue)
        self[first] = child
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(Object(elements, uniquingKeysWith: { $1 }))
    }
}

extension JSON {
    package init(_ value: String) { self = .string(value) }
    package init(_ value: Bool) { self = .bool(value) }
    package init(_ value: Int) { self = .integer(Int64(value)) }
    package init(_ value: Int64) { self = .integer(value) }
    package init(_ value: Double) { self = .number(value) }
    package init(_ values: [String]) { self = .array(values.map(JSON.string)) }
    package init(_ values: [JSON]) { self = .array(values) }
    package init(_ value: String?) { self = value.map(JSON.string) ?? .null }
    package init(_ value: Int?) { self = value.map { .integer(Int64($0)) } ?? .null }
    /// An object of strings, such as labels or annotations, in the order of their keys.
    package init(_ members: [String: String]) {
        self = .object(Object(uniqueKeysWithValues: members.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }

    /// The members of an object in their order; none for any other value.
    package var members: [(key: String, value: JSON)] { object.map { $0.map { ($0.key, $0.value) } } ?? [] }

    /// The members whose values are strings.
    package var strings: [String: String] {
        guard let object else { return [:] }
        var result: [String: String] = [:]
        for (key, value) in object { if case .string(let text) = value { result[key] = text } }
        return result
    }
}
