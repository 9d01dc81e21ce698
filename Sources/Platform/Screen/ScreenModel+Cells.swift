// Paints the cells of a screen as text with SGR sequences.
internal import CVTerm

extension ScreenModel {
    func cell(_ row: Int, _ column: Int) -> VTermScreenCell {
        var cell = VTermScreenCell()
        _ = vterm_screen_get_cell(screen, VTermPos(row: Int32(row), col: Int32(column)), &cell)
        return cell
    }

    /// All rows that are not blank, each from its first column on, on a screen that is blank.
    func paintCells() -> [UInt8] {
        var output: [UInt8] = []
        let blank = CellLook(VTermScreenCell.blankLook)
        var look = blank
        for row in 0..<rows {
            let cells = (0..<columns).map { cell(row, $0) }
            guard let last = cells.lastIndex(where: { !$0.scalars.isEmpty || CellLook($0) != blank }) else { continue }
            output += Array("\u{1B}[\(row + 1);1H".utf8)
            for cell in cells[0...last] where cell.chars.0 != UInt32.max {
                let next = CellLook(cell)
                if next != look {
                    output += Array("\u{1B}[\(next.codes)m".utf8)
                    look = next
                }
                let scalars = cell.scalars
                if scalars.isEmpty { output.append(0x20) }
                for scalar in scalars { output += Array(UTF8.encode(scalar).unsafelyUnwrapped) }
            }
            if look != blank {
                output += Array("\u{1B}[0m".utf8)
                look = blank
            }
        }
        return output
    }
}

/// How a cell is drawn.
private struct CellLook: Equatable {
    let codes: String

    init(_ cell: VTermScreenCell) {
        var codes = "0"
        let attributes = cell.attrs
        if attributes.bold != 0 { codes += ";1" }
        if attributes.italic != 0 { codes += ";3" }
        switch attributes.underline {
        case 1: codes += ";4"
        case 2: codes += ";21"
        case 3: codes += ";4:3"
        default: break
        }
        if attributes.blink != 0 { codes += ";5" }
        if attributes.reverse != 0 { codes += ";7" }
        if attributes.strike != 0 { codes += ";9" }
        codes += Self.color(cell.fg, defaultFlag: 0x02, base: 30) + Self.color(cell.bg, defaultFlag: 0x04, base: 40)
        self.codes = codes
    }

    private static func color(_ color: VTermColor, defaultFlag: UInt8, base: Int) -> String {
        if color.type & defaultFlag != 0 { return "" }
        if color.type & 1 == 0 { return ";\(base + 8);2;\(color.rgb.red);\(color.rgb.green);\(color.rgb.blue)" }
        let index = Int(color.indexed.idx)
        if index < 8 { return ";\(base + index)" }
        return index < 16 ? ";\(base + 60 + index - 8)" : ";\(base + 8);5;\(index)"
    }
}

extension VTermScreenCell {
    /// A cell without text in the default colours.
    fileprivate static var blankLook: VTermScreenCell {
        var cell = VTermScreenCell()
        cell.fg.type = 0x02
        cell.bg.type = 0x04
        return cell
    }

    /// The character of the cell and the marks on it.
    var scalars: [Unicode.Scalar] {
        [chars.0, chars.1, chars.2, chars.3, chars.4, chars.5].prefix { $0 != 0 }.compactMap(Unicode.Scalar.init)
    }
}
