// The frames of `lectern.terminal.v1`, mirrored by Public/assets/protocol.js; Tests/Fixtures/terminal-frames.json is
// decoded on both sides. The first byte is the type; integers are big-endian.
package import Essentials

/// A frame that a page sends.
package enum PageFrame: Equatable, Sendable {
    case input([UInt8])
    case resize(columns: Int, rows: Int)
    case acknowledge(UInt64)

    /// nil where the bytes are no such frame or break a limit.
    package init?(_ bytes: [UInt8]) {
        switch bytes.first {
        case 0x00:
            guard bytes.count - 1 <= TerminalLimits.inputBytes else { return nil }
            self = .input(Array(bytes.dropFirst()))
        case 0x01:
            guard bytes.count == 5 else { return nil }
            let (columns, rows) = (Int(bytes[1]) << 8 | Int(bytes[2]), Int(bytes[3]) << 8 | Int(bytes[4]))
            guard TerminalLimits.sizes.contains(columns), TerminalLimits.sizes.contains(rows) else { return nil }
            self = .resize(columns: columns, rows: rows)
        case 0x02:
            guard bytes.count == 9 else { return nil }
            self = .acknowledge(bytes.dropFirst().bigEndian)
        default: return nil
        }
    }

    package var bytes: [UInt8] {
        switch self {
        case .input(let input): [0x00] + input
        case .resize(let columns, let rows):
            [
                0x01, UInt8(truncatingIfNeeded: columns >> 8), UInt8(truncatingIfNeeded: columns), UInt8(truncatingIfNeeded: rows >> 8),
                UInt8(truncatingIfNeeded: rows),
            ]
        case .acknowledge(let offset): [0x02] + offset.bigEndianBytes
        }
    }
}

/// A frame that a page receives.
package enum TerminalFrame: Equatable, Sendable {
    case output(offset: UInt64, [UInt8])
    case event(JSON)
    case snapshot(offset: UInt64, [UInt8])

    package init?(_ bytes: [UInt8]) {
        switch bytes.first {
        case 0x00, 0x02:
            guard bytes.count >= 9 else { return nil }
            let (offset, rest) = (bytes[1..<9].bigEndian, Array(bytes[9...]))
            self = bytes[0] == 0 ? .output(offset: offset, rest) : .snapshot(offset: offset, rest)
        case 0x01:
            guard let event = try? JSON(parsing: Array(bytes.dropFirst())), event["type"]?.string != nil else { return nil }
            self = .event(event)
        default: return nil
        }
    }

    package var bytes: [UInt8] {
        switch self {
        case .output(let offset, let rest): [0x00] + offset.bigEndianBytes + rest
        case .snapshot(let offset, let rest): [0x02] + offset.bigEndianBytes + rest
        case .event(let event): [0x01] + event.bytes
        }
    }

    /// Something for the person at the terminal.
    package static func notice(_ level: String, _ message: String) -> TerminalFrame {
        .event(["type": "notice", "level": JSON(level), "message": JSON(message)])
    }
}

extension Sequence<UInt8> {
    /// The bytes as one number.
    package var bigEndian: UInt64 { reduce(0) { $0 << 8 | UInt64($1) } }
}

extension UInt64 {
    package var bigEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * UInt64($0))) } }
}

/// A frame with its length before it, as it travels to the agent.
package func framed(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + 4)
    for shift in [24, 16, 8, 0] { result.append(UInt8(truncatingIfNeeded: bytes.count >> shift)) }
    result += bytes
    return result
}
