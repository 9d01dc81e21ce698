// Watches a terminal's output for what concerns Lectern: shell marks (OSC 133), titles (OSC 0 and 2), directory (OSC 7).
//
// It follows ECMA-48's framing of sequences only as far as needed to know where each ends, keeps its state over any
// split of the bytes, and holds at most `AgentLimits.oscBytes` of a sequence.

package struct EscapeScanner: Sendable {
    package enum Found: Sendable, Equatable {
        case promptStart
        case promptEnd
        case commandStart
        /// With the exit status that the shell gave.
        case commandEnd(Int)
        case title(String)
        case directory(String)
    }

    private enum State: Sendable { case ground, escape, intermediate, control, osc, oscEscape, string, stringEscape }

    private var state = State.ground
    private var payload: [UInt8] = []

    package init() {}

    /// Between two sequences. (A character of several bytes may still be cut.)
    package var isAtGround: Bool { state == .ground }

    /// Goes through `bytes` and returns what was found, each with the index just behind its sequence.
    package mutating func scan(_ bytes: [UInt8]) -> [(index: Int, found: Found)] {
        var result: [(index: Int, found: Found)] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch state {
            case .ground:
                if byte == 0x1B { state = .escape }
            case .escape: afterEscape(byte)
            case .intermediate:
                if byte == 0x1B { state = .escape } else if byte >= 0x30 || byte == 0x18 || byte == 0x1A { state = .ground }
            case .control:
                if byte == 0x1B { state = .escape } else if byte >= 0x40 || byte == 0x18 || byte == 0x1A { state = .ground }
            case .osc:
                if byte == 0x07 {
                    state = .ground
                    if let found = finish() { result.append((index, found)) }
                } else if byte == 0x1B {
                    state = .oscEscape
                } else if byte == 0x18 || byte == 0x1A {
                    state = .ground
                } else if payload.count < AgentLimits.oscBytes {
                    payload.append(byte)
                }
            case .oscEscape:
                // ESC \ ends it; any other ESC begins the next sequence.
                if let found = finish() { result.append((index, found)) }
                if byte == 0x5C { state = .ground } else { afterEscape(byte) }
            case .string:
                if byte == 0x1B { state = .stringEscape } else if byte == 0x18 || byte == 0x1A { state = .ground }
            case .stringEscape:
                if byte == 0x5C { state = .ground } else { afterEscape(byte) }
            }
        }
        return result
    }

    private mutating func afterEscape(_ byte: UInt8) {
        switch byte {
        case 0x5B: state = .control
        case 0x5D:
            state = .osc
            payload.removeAll(keepingCapacity: true)
        case 0x50, 0x58, 0x5E, 0x5F: state = .string
        case 0x20...0x2F: state = .intermediate
        case 0x1B: state = .escape
        default: state = .ground
        }
    }

    private mutating func finish() -> Found? {
        defer { payload.removeAll(keepingCapacity: true) }
        let parts = payload.split(separator: 0x3B, maxSplits: 1, omittingEmptySubsequences: false)
        guard let number = parts.first, parts.count == 2 else { return nil }
        let rest = parts[1]
        switch Array(number) {
        case [0x30], [0x32]: return .title(Self.text(rest))
        case [0x37]: return .directory(Self.text(rest))
        case [0x31, 0x33, 0x33]:
            switch rest.first {
            case 0x41: return .promptStart
            case 0x42: return .promptEnd
            case 0x43: return .commandStart
            case 0x44:
                let digits = rest.dropFirst(2).prefix { (0x30...0x39).contains($0) }
                return .commandEnd(Int(String(decoding: digits, as: UTF8.self)) ?? 0)
            default: return nil
            }
        default: return nil
        }
    }

    /// Printable text, cut to a length that suits a tab.
    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        let scalars = String(decoding: bytes, as: UTF8.self).unicodeScalars.filter { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars.prefix(AgentLimits.titleCharacters))
        return String(view)
    }
}
