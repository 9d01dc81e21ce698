// A terminal's screen kept in memory, and the bytes that repaint it elsewhere.
//
// The node agent feeds it with output that leaves a terminal's ring; whoever looks later gets `snapshot()` first. It
// understands what xterm does with text, cursor, erasing, scrolling, attributes, modes and the alternate screen, as far
// as that shows. It replaced libvterm, since that runs inside PID 1 of a node and random bytes must not end it
// (docs/decisions/own-screen.md). `ScreenModel` is the state and what sequences do to it, `ScreenParser` finds them.

/// One place of the screen.
struct Cell: Equatable {
    /// 0: nothing was written here.
    var scalar: UInt32 = 0
    /// Up to two marks on the character.
    var marks: (UInt32, UInt32) = (0, 0)
    /// 2 for a wide character, whose right half is the next cell with width 0.
    var width: UInt8 = 1
    var look = Look()

    static func == (left: Cell, right: Cell) -> Bool {
        left.scalar == right.scalar && left.marks == right.marks && left.width == right.width && left.look == right.look
    }
}

/// How a cell is drawn.
struct Look: Equatable {
    /// 0: the default. 1...256: an indexed colour plus one. With bit 24: RGB.
    var foreground: UInt32 = 0
    var background: UInt32 = 0
    var flags: UInt16 = 0

    static let bold: UInt16 = 1
    static let faint: UInt16 = 2
    static let italic: UInt16 = 4
    static let blink: UInt16 = 8
    static let reverse: UInt16 = 16
    static let hidden: UInt16 = 32
    static let strike: UInt16 = 64
    static let overline: UInt16 = 128
    /// Three bits: none, single, double, curly, dotted, dashed.
    static let underlineShift: UInt16 = 8
    static let underlineMask: UInt16 = 7 << 8

    /// Blank cells keep the colour they were erased with.
    var erased: Look { Look(background: background) }

    var codes: String {
        var codes = "0"
        for (flag, code) in [
            (Self.bold, ";1"), (Self.faint, ";2"), (Self.italic, ";3"), (Self.blink, ";5"), (Self.reverse, ";7"), (Self.hidden, ";8"),
            (Self.strike, ";9"), (Self.overline, ";53"),
        ] where flags & flag != 0 { codes += code }
        let underline = (flags & Self.underlineMask) >> Self.underlineShift
        if underline == 1 { codes += ";4" } else if underline > 1 { codes += ";4:\(underline)" }
        return codes + Self.code(foreground, 30) + Self.code(background, 40)
    }

    private static func code(_ color: UInt32, _ base: Int) -> String {
        if color == 0 { return "" }
        if color & 1 << 24 != 0 { return ";\(base + 8);2;\(color >> 16 & 255);\(color >> 8 & 255);\(color & 255)" }
        let index = Int(color) - 1
        if index < 8 { return ";\(base + index)" }
        return index < 16 ? ";\(base + 52 + index)" : ";\(base + 8);5;\(index)"
    }
}

/// The cursor with what DECSC saves beside its place.
struct Cursor: Equatable {
    var row = 0
    /// Equal to the number of columns when the next character will wrap.
    var column = 0
    var look = Look()
    var origin = false
    /// G0 and G1: whether each is the line drawing set.
    var drawing = (false, false)
    var shifted = false

    static func == (left: Cursor, right: Cursor) -> Bool {
        left.row == right.row && left.column == right.column && left.look == right.look && left.origin == right.origin
            && left.drawing == right.drawing && left.shifted == right.shifted
    }
}

/// A screen's lines with what belongs to them.
struct Page {
    var lines: [[Cell]]
    var saved = Cursor()

    init(columns: Int, rows: Int) { lines = Array(repeating: Array(repeating: Cell(), count: columns), count: rows) }
}
