// Finds characters and sequences in a terminal's output (ECMA-48 as xterm reads it), over any split of the bytes.

struct ScreenParser {
    enum State { case ground, escape, intermediate, control, ignore, string, stringEscape }

    /// Parameters of one sequence; further ones are dropped.
    private static let parametersLimit = 32
    /// Larger numbers mean no more than this.
    private static let numberLimit = 9999

    var state = State.ground
    /// `?`, `>` and the like before the parameters, and the last intermediate byte; 0: none.
    var prefix: UInt8 = 0
    var intermediate: UInt8 = 0
    /// -1: left out. The flag tells whether a colon stood before it.
    var parameters: [(value: Int, isSub: Bool)] = []
    private var scalar: UInt32 = 0
    private var missing = 0
    private var least: UInt32 = 0

    mutating func begin() {
        prefix = 0
        intermediate = 0
        parameters.removeAll(keepingCapacity: true)
    }

    mutating func digit(_ byte: UInt8) {
        if parameters.isEmpty { parameters.append((-1, false)) }
        let last = parameters.count - 1
        parameters[last].value = min(Self.numberLimit, max(0, parameters[last].value) * 10 + Int(byte - 0x30))
    }

    mutating func separator(isSub: Bool) {
        if parameters.isEmpty { parameters.append((-1, false)) }
        if parameters.count < Self.parametersLimit { parameters.append((-1, isSub)) } else { state = .ignore }
    }

    /// The parameter at `index`, or `usual` where it was left out (or is 0, which means the same for counts).
    func number(_ index: Int, _ usual: Int = 1) -> Int {
        guard index < parameters.count, parameters[index].value > 0 else { return usual }
        return parameters[index].value
    }

    /// Adds a byte of UTF-8; the characters that are complete with it (an invalid start gives U+FFFD first).
    mutating func decode(_ byte: UInt8, _ found: (UInt32) -> Void) {
        if missing > 0 {
            if byte & 0xC0 == 0x80 {
                scalar = scalar << 6 | UInt32(byte & 0x3F)
                missing -= 1
                if missing == 0 { found(scalar < least || scalar > 0x10FFFF || (0xD800...0xDFFF).contains(scalar) ? 0xFFFD : scalar) }
                return
            }
            missing = 0
            found(0xFFFD)
        }
        switch byte {
        case 0x00...0x7F: found(UInt32(byte))
        case 0xC2...0xDF: (scalar, missing, least) = (UInt32(byte & 0x1F), 1, 0x80)
        case 0xE0...0xEF: (scalar, missing, least) = (UInt32(byte & 0x0F), 2, 0x800)
        case 0xF0...0xF4: (scalar, missing, least) = (UInt32(byte & 0x07), 3, 0x10000)
        default: found(0xFFFD)
        }
    }

    /// Whether a character of several bytes has begun.
    var isInsideCharacter: Bool { missing > 0 }

    mutating func dropPartialCharacter() -> Bool {
        defer { missing = 0 }
        return missing > 0
    }
}
