// Amounts such as `500m`, `1Gi` or `2e3`, exact to a billionth, as `resource.Quantity` reads and writes them.

/// A resource amount. Kept as a whole number of nanos in 128 bits, so sums are exact.
package struct Quantity: Sendable, Hashable, Comparable, CustomStringConvertible {
    package enum Format: Sendable, Hashable { case decimal, binary, exponent }

    private(set) var nanos: Int128
    package let format: Format

    private static let one: Int128 = 1_000_000_000
    private static let binary: [(String, Int128)] = [
        ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50), ("Ei", 1 << 60),
    ]
    private static let decimal: [(String, Int)] = [
        ("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18),
    ]

    private init(nanos: Int128, format: Format) {
        self.nanos = nanos
        self.format = format
    }

    package init(_ value: Int64, format: Format = .decimal) { self.init(nanos: Int128(value) * Self.one, format: format) }
    package init(milli value: Int64) { self.init(nanos: Int128(value) * 1_000_000, format: .decimal) }
    package static let zero = Quantity(0)

    /// `nil` where the text is no quantity.
    package init?(_ text: String) {
        var rest = text.utf8[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        var digits: Int128 = 0
        var scale = 0
        var count = 0
        var sawPoint = false
        while let byte = rest.first {
            if byte == UInt8(ascii: "."), !sawPoint {
                sawPoint = true
            } else if byte &- 48 < 10 {
                count += 1
                // More digits than any amount needs: whole ones overflow, fractions are dropped.
                if digits < Int128.max / 1000 / Self.one {
                    digits = digits * 10 + Int128(byte - 48)
                    if sawPoint { scale -= 1 }
                } else if !sawPoint {
                    return nil
                }
            } else {
                break
            }
            rest = rest.dropFirst()
        }
        guard count > 0 else { return nil }
        let suffix = String(Substring(rest))
        var value: Int128
        if let (_, factor) = Self.binary.first(where: { $0.0 == suffix }) {
            let (product, overflow) = (digits * Self.one).multipliedReportingOverflow(by: factor)
            guard !overflow, let shifted = Self.scaled(product, scale) else { return nil }
            value = shifted
            format = .binary
        } else {
            let power: Int
            if let (_, known) = Self.decimal.first(where: { $0.0 == suffix }) {
                power = known
                format = .decimal
            } else if let first = suffix.first, first == "e" || first == "E", let exponent = Int(suffix.dropFirst()), abs(exponent) < 30 {
                power = exponent
                format = .exponent
            } else {
                return nil
            }
            guard let shifted = Self.scaled(digits * Self.one, scale + power) else { return nil }
            value = shifted
        }
        if isNegative { value = -value }
        nanos = value
    }

    /// `value` times ten to the `power`, rounded up away from zero as upstream does.
    private static func scaled(_ value: Int128, _ power: Int) -> Int128? {
        var value = value
        var power = power
        while power > 0 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product
            power -= 1
        }
        var lost = false
        while power < 0 {
            if value % 10 != 0 { lost = true }
            value /= 10
            power += 1
        }
        return lost ? value + 1 : value
    }

    /// The whole value, rounded up.
    package var value: Int64 { Int64(clamping: Self.roundUp(nanos, by: Self.one)) }
    /// Thousandths, rounded up.
    package var milliValue: Int64 { Int64(clamping: Self.roundUp(nanos, by: 1_000_000)) }
    package var isZero: Bool { nanos == 0 }
    package var isNegative: Bool { nanos < 0 }

    private static func roundUp(_ value: Int128, by unit: Int128) -> Int128 {
        let quotient = value / unit
        return value % unit > 0 ? quotient + 1 : quotient
    }

    package static func < (left: Quantity, right: Quantity) -> Bool { left.nanos < right.nanos }
    package static func == (left: Quantity, right: Quantity) -> Bool { left.nanos == right.nanos }
    package func hash(into hasher: inout Hasher) { hasher.combine(nanos) }
    package static func + (left: Quantity, right: Quantity) -> Quantity {
        Quantity(nanos: left.nanos + right.nanos, format: left.isZero ? right.format : left.format)
    }
    package static func - (left: Quantity, right: Quantity) -> Quantity {
        Quantity(nanos: left.nanos - right.nanos, format: left.isZero ? right.format : left.format)
    }

    /// The canonical text: no fraction, the largest suffix that keeps it exact.
    package var description: String {
        if nanos == 0 { return "0" }
        if format == .binary, nanos % Self.one == 0 {
            let whole = nanos / Self.one
            if abs(whole) >= 1024 {
                for (suffix, factor) in Self.binary.reversed() where whole % factor == 0 { return "\(whole / factor)\(suffix)" }
            }
            return "\(whole)"
        }
        var power = -9
        var value = nanos
        while power < 18, value % 1000 == 0 {
            value /= 1000
            power += 3
        }
        if format == .exponent { return power == 0 ? "\(value)" : "\(value)e\(power)" }
        return "\(value)\(Self.decimal.first { $0.1 == power }?.0 ?? "")"
    }
}
