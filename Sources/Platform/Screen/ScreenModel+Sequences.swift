// What escape and control sequences do to the screen. To add one, find its final byte below; unknown ones do nothing.

extension ScreenModel {
    /// ESC and one byte.
    func escape(_ byte: UInt8) {
        switch byte {
        case 0x37: page.saved = cursorState
        case 0x38: restoreCursor()
        case 0x44: lineFeed()
        case 0x45:
            cursorState.column = 0
            lineFeed()
        case 0x48: if cursorState.column < columns { tabs[cursorState.column] = true }
        case 0x4D: reverseLineFeed()
        case 0x63: reset()
        case 0x3D: appliesKeypad = true
        case 0x3E: appliesKeypad = false
        default: break
        }
    }

    /// ESC, an intermediate byte and a final one: character sets, and the alignment test.
    func designate(_ intermediate: UInt8, _ byte: UInt8) {
        switch intermediate {
        case 0x28: cursorState.drawing.0 = byte == 0x30
        case 0x29: cursorState.drawing.1 = byte == 0x30
        case 0x23 where byte == 0x38:
            page.lines = Array(repeating: Array(repeating: Cell(scalar: 0x45), count: columns), count: rows)
            (top, bottom) = (0, rows - 1)
            (cursorState.row, cursorState.column) = (0, 0)
        default: break
        }
    }

    func sequence(_ byte: UInt8, _ parser: ScreenParser) {
        if parser.prefix == 0x3F, parser.intermediate == 0 {
            switch byte {
            case 0x68: for parameter in parser.parameters { setPrivate(parameter.value, true) }
            case 0x6C: for parameter in parser.parameters { setPrivate(parameter.value, false) }
            case 0x4A: eraseInDisplay(parser.number(0, 0))
            case 0x4B: eraseInLine(parser.number(0, 0))
            default: break
            }
            return
        }
        if parser.prefix != 0 { return }
        if parser.intermediate != 0 {
            if parser.intermediate == 0x20, byte == 0x71 { cursorStyle = min(parser.number(0, 0), 6) }
            if parser.intermediate == 0x21, byte == 0x70 { softReset() }
            return
        }
        let count = parser.number(0)
        switch byte {
        case 0x40: insertBlanks(min(count, columns))
        case 0x41: moveRow(-count)
        case 0x42, 0x65: moveRow(count)
        case 0x43, 0x61: cursorState.column = min(columns - 1, cursorState.column + count)
        case 0x44: cursorState.column = max(0, min(cursorState.column, columns - 1) - count)
        case 0x45:
            moveRow(count)
            cursorState.column = 0
        case 0x46:
            moveRow(-count)
            cursorState.column = 0
        case 0x47, 0x60: cursorState.column = min(columns, count) - 1
        case 0x48, 0x66: place(row: count - 1, column: parser.number(1) - 1)
        case 0x49: tab(min(count, columns))
        case 0x4A: eraseInDisplay(parser.number(0, 0))
        case 0x4B: eraseInLine(parser.number(0, 0))
        case 0x4C: insertLines(count)
        case 0x4D: deleteLines(count)
        case 0x50: deleteCharacters(min(count, columns))
        case 0x53: scrollUp(from: top, count)
        case 0x54: scrollDown(from: top, count)
        case 0x58: erase(cursorState.row, min(cursorState.column, columns - 1)..<min(columns, min(cursorState.column, columns - 1) + count))
        case 0x5A: backTab(min(count, columns))
        case 0x62: repeatLast(min(count, columns * rows))
        case 0x64: place(row: count - 1, column: min(cursorState.column, columns - 1))
        case 0x67:
            if parser.number(0, 0) == 0, cursorState.column < columns { tabs[cursorState.column] = false }
            if parser.number(0, 0) == 3 { tabs = Array(repeating: false, count: tabs.count) }
        case 0x68, 0x6C: if parser.parameters.contains(where: { $0.value == 4 }) { inserts = byte == 0x68 }
        case 0x6D: setLook(parser.parameters)
        case 0x72: setRegion(count, parser.number(1, rows))
        case 0x73: page.saved = cursorState
        case 0x75: restoreCursor()
        default: break
        }
    }

    // MARK: Modes

    private func setPrivate(_ mode: Int, _ on: Bool) {
        switch mode {
        case 6:
            cursorState.origin = on
            place(row: 0, column: 0)
        case 7: wraps = on
        case 47, 1047: showAlternate(on, clears: mode == 1047 && !on)
        case 1048: if on { page.saved = cursorState } else { restoreCursor() }
        case 1049:
            if on {
                if hidden == nil { page.saved = cursorState }
                showAlternate(true, clears: true)
            } else if hidden != nil {
                showAlternate(false, clears: false)
                restoreCursor()
            }
        case 1, 5, 9, 12, 25, 45, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 2004, 2026: modes[mode] = on
        default: break
        }
    }

    private func showAlternate(_ on: Bool, clears: Bool) {
        if on {
            guard hidden == nil else { return }
            hidden = page
            page = Page(columns: columns, rows: rows)
        } else if let primary = hidden {
            page = primary
            hidden = nil
        }
    }

    private func softReset() {
        (top, bottom) = (0, rows - 1)
        (wraps, inserts, appliesKeypad, cursorStyle) = (true, false, false, 0)
        cursorState.look = Look()
        cursorState.origin = false
        cursorState.drawing = (false, false)
        cursorState.shifted = false
        modes[25] = nil
        modes[1] = nil
        page.saved = Cursor()
    }

    private func setRegion(_ first: Int, _ last: Int) {
        let (first, last) = (max(1, first) - 1, min(rows, last) - 1)
        guard first < last else { return }
        (top, bottom) = (first, last)
        place(row: 0, column: 0)
    }

    // MARK: Cursor

    private func restoreCursor() {
        cursorState = page.saved
        cursorState.row = min(cursorState.row, rows - 1)
        cursorState.column = min(cursorState.column, columns)
    }

    private func place(row: Int, column: Int) {
        let (first, last) = cursorState.origin ? (top, bottom) : (0, rows - 1)
        cursorState.row = min(max(first + row, first), last)
        cursorState.column = min(max(column, 0), columns - 1)
    }

    /// Up and down stop at the region's edge when they begin within it.
    private func moveRow(_ count: Int) {
        let row = cursorState.row
        if count < 0 {
            cursorState.row = max(row >= top ? top : 0, row + count)
        } else {
            cursorState.row = min(row <= bottom ? bottom : rows - 1, row + count)
        }
        cursorState.column = min(cursorState.column, columns - 1)
    }

    func tab(_ count: Int) {
        for _ in 0..<count {
            var column = min(cursorState.column, columns - 1)
            repeat { column += 1 } while column < columns && !tabs[column]
            cursorState.column = min(column, columns - 1)
        }
    }

    private func backTab(_ count: Int) {
        for _ in 0..<count {
            var column = min(cursorState.column, columns - 1)
            while column > 0 {
                column -= 1
                if tabs[column] { break }
            }
            cursorState.column = column
        }
    }

    func lineFeed() {
        if cursorState.row == bottom { scrollUp(from: top, 1) } else if cursorState.row < rows - 1 { cursorState.row += 1 }
    }

    private func reverseLineFeed() {
        if cursorState.row == top { scrollDown(from: top, 1) } else if cursorState.row > 0 { cursorState.row -= 1 }
    }

    // MARK: Lines

    private var blankLine: [Cell] { Array(repeating: Cell(look: cursorState.look.erased), count: columns) }

    private func scrollUp(from first: Int, _ count: Int) {
        for _ in 0..<min(count, bottom - first + 1) {
            page.lines.remove(at: first)
            page.lines.insert(blankLine, at: bottom)
        }
    }

    private func scrollDown(from first: Int, _ count: Int) {
        for _ in 0..<min(count, bottom - first + 1) {
            page.lines.remove(at: bottom)
            page.lines.insert(blankLine, at: first)
        }
    }

    private func insertLines(_ count: Int) {
        guard (top...bottom).contains(cursorState.row) else { return }
        scrollDown(from: cursorState.row, count)
        cursorState.column = 0
    }

    private func deleteLines(_ count: Int) {
        guard (top...bottom).contains(cursorState.row) else { return }
        scrollUp(from: cursorState.row, count)
        cursorState.column = 0
    }

    func insertBlanks(_ count: Int) {
        let (row, column) = (cursorState.row, min(cursorState.column, columns - 1))
        clearHalves(row, column, 0)
        let count = min(count, columns - column)
        page.lines[row].removeLast(count)
        page.lines[row].insert(contentsOf: Array(repeating: Cell(look: cursorState.look.erased), count: count), at: column)
        mendEnd(row)
    }

    private func deleteCharacters(_ count: Int) {
        let (row, column) = (cursorState.row, min(cursorState.column, columns - 1))
        let count = min(count, columns - column)
        clearHalves(row, column, count)
        page.lines[row].removeSubrange(column..<column + count)
        page.lines[row] += Array(repeating: Cell(look: cursorState.look.erased), count: count)
    }

    /// A wide character whose right half fell off the line is gone.
    private func mendEnd(_ row: Int) {
        if page.lines[row][columns - 1].width == 2 { page.lines[row][columns - 1] = Cell(look: page.lines[row][columns - 1].look.erased) }
    }

    private func repeatLast(_ count: Int) {
        let column = min(cursorState.column, columns) - 1
        guard column >= 0 else { return }
        let scalar = page.lines[cursorState.row][column].scalar
        guard (0x20...0x7E).contains(scalar) else { return }
        feed(Array(repeating: UInt8(scalar), count: count))
    }

    // MARK: Erasing

    private func erase(_ row: Int, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        clearHalves(row, range.lowerBound, range.count)
        let blank = Cell(look: cursorState.look.erased)
        for column in range { page.lines[row][column] = blank }
    }

    private func eraseInLine(_ kind: Int) {
        let column = min(cursorState.column, columns - 1)
        switch kind {
        case 0: erase(cursorState.row, column..<columns)
        case 1: erase(cursorState.row, 0..<column + 1)
        case 2: erase(cursorState.row, 0..<columns)
        default: break
        }
    }

    private func eraseInDisplay(_ kind: Int) {
        let row = cursorState.row
        switch kind {
        case 0:
            eraseInLine(0)
            for line in row + 1..<max(rows, row + 1) { page.lines[line] = blankLine }
        case 1:
            eraseInLine(1)
            for line in 0..<row { page.lines[line] = blankLine }
        case 2: for line in 0..<rows { page.lines[line] = blankLine }
        default: break
        }
    }
}
