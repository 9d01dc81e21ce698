// Values that go into statements, and rows that come out.

/// A value of one of SQLite's five storage classes. Literals and `nil` convert by themselves.
package enum DatabaseValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    package init(_ value: Int) { self = .integer(Int64(value)) }
    package init(_ value: Int64) { self = .integer(value) }
    package init(_ value: Bool) { self = .integer(value ? 1 : 0) }
    package init(_ value: Double) { self = .real(value) }
    package init(_ value: String) { self = .text(value) }
    package init(_ value: [UInt8]) { self = .blob(value) }
    package init(_ value: Int64?) { self = value.map(DatabaseValue.integer) ?? .null }
    package init(_ value: String?) { self = value.map(DatabaseValue.text) ?? .null }
    package init(_ value: [UInt8]?) { self = value.map(DatabaseValue.blob) ?? .null }
}

extension DatabaseValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByNilLiteral,
    ExpressibleByBooleanLiteral
{
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(floatLiteral value: Double) { self = .real(value) }
    package init(stringLiteral value: String) { self = .text(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .integer(value ? 1 : 0) }
}

/// One row of a result, by column number from 0. A value of another class reads as 0, "" or [].
package struct DatabaseRow: Sendable {
    package let values: [DatabaseValue]

    package subscript(column: Int) -> DatabaseValue { values[column] }
    package func isNull(_ column: Int) -> Bool { values[column] == .null }
    package func integer(_ column: Int) -> Int64 { if case .integer(let value) = values[column] { value } else { 0 } }
    package func int(_ column: Int) -> Int { Int(integer(column)) }
    package func bool(_ column: Int) -> Bool { integer(column) != 0 }
    package func text(_ column: Int) -> String { if case .text(let value) = values[column] { value } else { "" } }
    package func blob(_ column: Int) -> [UInt8] { if case .blob(let value) = values[column] { value } else { [] } }
    package func optionalText(_ column: Int) -> String? { if case .text(let value) = values[column] { value } else { nil } }
    package func optionalInteger(_ column: Int) -> Int64? { if case .integer(let value) = values[column] { value } else { nil } }

    package func real(_ column: Int) -> Double {
        switch values[column] {
        case .real(let value): value
        case .integer(let value): Double(value)
        default: 0
        }
    }
}
