// Writes a screen as the bytes that repaint it.
//
// Order matters: lines first (with the region, modes and character sets as after a reset), then the saved cursor, tabs
// and modes, then the region, and the cursor last, since setting region or origin mode moves it.

extension ScreenModel {
    /// The bytes that make a terminal of the same size look and behave like this screen, whatever it showed before.
    /// To be asked for only where the bytes fed so far end between two sequences.
    ///
    /// A screen that needs more than `limitBytes` comes without its colours, and if that does not help, blank.
    package func snapshot(limitBytes: Int = .max) -> [UInt8] {
        for detail in [Detail.full, .text] {
            let bytes = snapshot(detail)
            if bytes.count <= limitBytes { return bytes }
        }
        return snapshot(.blank)
    }

    private enum Detail { case full, text, blank }

    private func snapshot(_ detail: Detail) -> [UInt8] {
        var output = "\u{1B}c"
        if let hidden {
            output += paint(hidden, detail) + place(hidden.saved) + state(of: hidden.saved) + "\u{1B}[?1049h\u{1B}(B\u{1B})B\u{0F}\u{1B}[0m"
        }
        output += paint(page, detail)
        if page.saved != Cursor() { output += state(of: page.saved) + place(page.saved) + "\u{1B}7\u{1B}(B\u{1B})B\u{0F}\u{1B}[0m" }
        let usual = Self.usualTabs(columns)
        if tabs.prefix(columns) != usual[...] {
            output += "\u{1B}[3g"
            for column in 0..<columns where tabs[column] { output += "\u{1B}[\(column + 1)G\u{1B}H" }
        }
        for (mode, isSet) in modes.sorted(by: { $0.key < $1.key }) where isSet != (mode == 25) {
            output += "\u{1B}[?\(mode)\(isSet ? "h" : "l")"
        }
        if appliesKeypad { output += "\u{1B}=" }
        if cursorStyle > 0 { output += "\u{1B}[\(cursorStyle) q" }
        if (top, bottom) != (0, rows - 1) { output += "\u{1B}[\(top + 1);\(bottom + 1)r" }
        if cursorState.column >= columns {
            // The last column was just written: writing it once more makes the next character wrap again.
            let line = page.lines[cursorState.row]
            let start = line[columns - 1].width == 0 ? columns - 2 : columns - 1
            output += place(cursorState, column: start) + "\u{1B}[\(line[start].look.codes)m"
            for scalar in line[start].scalars { output.unicodeScalars.append(scalar) }
        } else {
            output += place(cursorState)
        }
        output += state(of: cursorState)
        if cursorState.origin {
            // Setting it moves the cursor, and places count from the region then.
            output += "\u{1B}[?6h\u{1B}[\(max(0, cursorState.row - top) + 1);\(min(cursorState.column, columns - 1) + 1)H"
        }
        if inserts { output += "\u{1B}[4h" }
        if !wraps { output += "\u{1B}[?7l" }
        return Array(output.utf8)
    }

    private func place(_ cursor: Cursor, column: Int? = nil) -> String {
        "\u{1B}[\(cursor.row + 1);\((column ?? min(cursor.column, columns - 1)) + 1)H"
    }

    /// Attributes and character sets. (Origin mode of a saved cursor is left out.)
    private func state(of cursor: Cursor) -> String {
        var output = "\u{1B}[\(cursor.look.codes)m"
        if cursor.drawing.0 { output += "\u{1B}(0" }
        if cursor.drawing.1 { output += "\u{1B})0" }
        if cursor.shifted { output += "\u{0E}" }
        return output
    }

    /// All lines that are not blank, each from its first column on, on a screen that is blank.
    private func paint(_ page: Page, _ detail: Detail) -> String {
        if detail == .blank { return "" }
        var output = ""
        var look = Look()
        for (row, line) in page.lines.enumerated() {
            guard let last = line.lastIndex(where: { $0 != Cell() }) else { continue }
            output += "\u{1B}[\(row + 1);1H"
            for cell in line[0...last] where cell.width > 0 {
                if cell.look != look, detail == .full {
                    look = cell.look
                    output += "\u{1B}[\(look.codes)m"
                }
                for scalar in cell.scalars { output.unicodeScalars.append(scalar) }
            }
        }
        return look == Look() ? output : output + "\u{1B}[0m"
    }
}
