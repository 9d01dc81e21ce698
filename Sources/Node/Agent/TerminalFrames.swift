// The frames of `lectern.terminal.v1` as the agent reads and writes them (docs/protocols.md); integers are big-endian.
package import Essentials

/// What a viewer sends.
package enum ClientFrame: Equatable {
    case input([UInt8])
    case resize(columns: Int, rows: Int)
    case acknowledge(UInt64)

    /// nil when the bytes are no frame.
    package init?(_ bytes: ArraySlice<UInt8>) {
        guard let type = bytes.first else { return nil }
        let rest = bytes.dropFirst()
        switch type {
        case 0x00: self = .input(Array(rest))
        case 0x01:
            guard rest.count == 4 else { return nil }
            let values = Array(rest)
            let (columns, rows) = (Int(values[0]) << 8 | Int(values[1]), Int(values[2]) << 8 | Int(values[3]))
            guard columns > 0, rows > 0 else { return nil }
            self = .resize(columns: columns, rows: rows)
        case 0x02:
            guard rest.count == 8 else { return nil }
            self = .acknowledge(rest.reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }
}

/// What the agent sends, with the length before it.
package enum ServerFrame {
    package static func event(_ event: JSON) -> [UInt8] {
        let text = event.bytes
        return length(text.count + 1) + [0x01] + text
    }

    package static func snapshot(_ offset: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        length(bytes.count + 9) + [0x02] + number(offset) + bytes
    }

    /// Everything of an output frame but its bytes.
    package static func outputHeader(_ range: Range<UInt64>) -> [UInt8] {
        length(range.count + 9) + [0x00] + number(range.lowerBound)
    }

    private static func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } }
    private static func number(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) } }
}

extension TerminalSession.Violation {
    package var message: String {
        switch self {
        case .acknowledgedTooMuch: "More output was acknowledged than was sent."
        case .inputBeyondWindow: "More input was sent than the terminal takes at once."
        case .malformed: "A frame was not understood."
        }
    }
}
