// The state of a screen, and how characters and control bytes change it.

/// A screen of `columns` × `rows` that is fed with a terminal's output. Not thread-safe: it belongs to one loop.
package final class ScreenModel {
    package private(set) var columns: Int
    package private(set) var rows: Int
    var page: Page
    /// The primary screen while the alternate one shows.
    var hidden: Page?
    var cursorState = Cursor()
    /// First and last row of the scroll region.
    var top = 0
    var bottom: Int
    var tabs: [Bool]
    var wraps = true
    var inserts = false
    var appliesKeypad = false
    var cursorStyle = 0
    /// DEC private modes that only the viewer acts on, as they were set.
    var modes: [Int: Bool] = [:]
    private var parser = ScreenParser()

    package init(columns: Int, rows: Int) {
        self.columns = Self.clamp(columns)
        self.rows = Self.clamp(rows)
        page = Page(columns: self.columns, rows: self.rows)
        bottom = self.rows - 1
        tabs = Self.usualTabs(self.columns)
    }

    private static func clamp(_ size: Int) -> Int { min(max(size, 2), 1000) }
    static func usualTabs(_ columns: Int) -> [Bool] { (0..<columns).map { $0 % 8 == 0 } }

    func reset() {
        page = Page(columns: columns, rows: rows)
        hidden = nil
        cursorState = Cursor()
        (top, bottom) = (0, rows - 1)
        tabs = Self.usualTabs(columns)
        (wraps, inserts, appliesKeypad, cursorStyle) = (true, false, false, 0)
        modes = [:]
    }

    package func feed(_ bytes: [UInt8]) {
        var index = 0
        while index < bytes.count {
            if parser.state == .ground, bytes[index] >= 0x20, bytes[index] < 0x7F, !parser.isInsideCharacter {
                let start = index
                while index < bytes.count, bytes[index] >= 0x20, bytes[index] < 0x7F { index += 1 }
                put(ascii: bytes[start..<index])
                continue
            }
            take(bytes[index])
            index += 1
        }
    }

    private func take(_ byte: UInt8) {
        switch parser.state {
        case .ground:
            if byte >= 0x80 || byte >= 0x20 && byte != 0x7F {
                parser.decode(byte) { self.put($0) }
                return
            }
            if parser.dropPartialCharacter() { put(0xFFFD) }
            control(byte)
        case .escape:
            switch byte {
            case 0x5B:
                parser.begin()
                parser.state = .control
            case 0x5D, 0x50, 0x58, 0x5E, 0x5F: parser.state = .string
            case 0x20...0x2F:
                parser.begin()
                parser.intermediate = byte
                parser.state = .intermediate
            case 0x30...0x7E:
                parser.state = .ground
                escape(byte)
            default: control(byte)
            }
        case .intermediate:
            switch byte {
            case 0x20...0x2F: parser.intermediate = byte
            case 0x30...0x7E:
                parser.state = .ground
                designate(parser.intermediate, byte)
            default: control(byte)
            }
        case .control, .ignore:
            switch byte {
            case 0x30...0x39: parser.digit(byte)
            case 0x3B: parser.separator(isSub: false)
            case 0x3A: parser.separator(isSub: true)
            case 0x3C...0x3F: parser.prefix = byte
            case 0x20...0x2F: parser.intermediate = byte
            case 0x40...0x7E:
                let isIgnored = parser.state == .ignore
                parser.state = .ground
                if !isIgnored { sequence(byte, parser) }
            default: control(byte)
            }
        case .string:
            if byte == 0x1B { parser.state = .stringEscape } else if byte == 0x07 || byte == 0x18 || byte == 0x1A { parser.state = .ground }
        case .stringEscape:
            if byte == 0x5C {
                parser.state = .ground
            } else {
                parser.state = .escape
                take(byte)
            }
        }
    }

    private func control(_ byte: UInt8) {
        switch byte {
        case 0x08: cursorState.column = max(0, min(cursorState.column, columns) - 1)
        case 0x09: tab(1)
        case 0x0A, 0x0B, 0x0C: lineFeed()
        case 0x0D: cursorState.column = 0
        case 0x0E: cursorState.shifted = true
        case 0x0F: cursorState.shifted = false
        case 0x18, 0x1A: parser.state = .ground
        case 0x1B: parser.state = .escape
        default: break
        }
    }

    // MARK: Characters

    private var isDrawing: Bool { cursorState.shifted ? cursorState.drawing.1 : cursorState.drawing.0 }

    /// Plain ASCII at once, where nothing is in its way.
    private func put(ascii text: ArraySlice<UInt8>) {
        guard !inserts, !isDrawing else {
            for byte in text { put(UInt32(byte)) }
            return
        }
        var index = text.startIndex
        while index < text.endIndex {
            if cursorState.column >= columns {
                guard wraps else {
                    cursorState.column = columns - 1
                    write(UInt32(text[text.endIndex - 1]), width: 1)
                    return
                }
                cursorState.column = 0
                lineFeed()
            }
            let count = min(text.endIndex - index, columns - cursorState.column)
            let (row, column) = (cursorState.row, cursorState.column)
            clearHalves(row, column, count)
            for offset in 0..<count {
                page.lines[row][column + offset] = Cell(scalar: UInt32(text[index + offset]), look: cursorState.look)
            }
            cursorState.column += count
            index += count
        }
    }

    private func put(_ scalar: UInt32) {
        let width = CharacterWidth.of(scalar)
        if width == 0 { return mark(scalar) }
        if cursorState.column + width > columns {
            if wraps {
                cursorState.column = 0
                lineFeed()
            } else {
                cursorState.column = columns - width
            }
        }
        var drawn = scalar
        if isDrawing, (0x5F...0x7E).contains(scalar) { drawn = Self.drawing[Int(scalar) - 0x5F] }
        write(drawn, width: width)
    }

    private func write(_ scalar: UInt32, width: Int) {
        let (row, column) = (cursorState.row, cursorState.column)
        if inserts { insertBlanks(width) }
        clearHalves(row, column, width)
        page.lines[row][column] = Cell(scalar: scalar, width: UInt8(width), look: cursorState.look)
        if width == 2 { page.lines[row][column + 1] = Cell(width: 0, look: cursorState.look) }
        cursorState.column += width
    }

    /// Half a wide character that is written over leaves a blank.
    func clearHalves(_ row: Int, _ column: Int, _ count: Int) {
        if page.lines[row][column].width == 0, column > 0 {
            page.lines[row][column - 1] = Cell(look: page.lines[row][column - 1].look.erased)
        }
        let after = column + count
        if after < columns, page.lines[row][after].width == 0 { page.lines[row][after] = Cell(look: page.lines[row][after].look.erased) }
    }

    private func mark(_ scalar: UInt32) {
        var column = min(cursorState.column, columns) - 1
        guard column >= 0 else { return }
        if page.lines[cursorState.row][column].width == 0, column > 0 { column -= 1 }
        guard page.lines[cursorState.row][column].scalar != 0 else { return }
        if page.lines[cursorState.row][column].marks.0 == 0 {
            page.lines[cursorState.row][column].marks.0 = scalar
        } else if page.lines[cursorState.row][column].marks.1 == 0 {
            page.lines[cursorState.row][column].marks.1 = scalar
        }
    }

    /// The DEC line drawing set, from `_` on.
    private static let drawing: [UInt32] = [
        0x20, 0x25C6, 0x2592, 0x2409, 0x240C, 0x240D, 0x240A, 0xB0, 0xB1, 0x2424, 0x240B, 0x2518, 0x2510, 0x250C, 0x2514, 0x253C, 0x23BA,
        0x23BB, 0x2500, 0x23BC, 0x23BD, 0x251C, 0x2524, 0x2534, 0x252C, 0x2502, 0x2264, 0x2265, 0x3C0, 0x2260, 0xA3, 0xB7,
    ]

    // MARK: Size

    package func resize(columns newColumns: Int, rows newRows: Int) {
        let (newColumns, newRows) = (Self.clamp(newColumns), Self.clamp(newRows))
        guard (newColumns, newRows) != (columns, rows) else { return }
        // A screen that gets lower loses blank lines below the cursor first, then lines at its top.
        let excess = max(0, cursorState.row - (newRows - 1))
        page.resize(columns: newColumns, rows: newRows, dropping: excess)
        let hiddenExcess = max(0, (hidden?.saved.row ?? 0) - (newRows - 1))
        hidden?.resize(columns: newColumns, rows: newRows, dropping: hiddenExcess)
        cursorState.row = min(cursorState.row - excess, newRows - 1)
        cursorState.column = min(cursorState.column, newColumns - 1)
        if newColumns > tabs.count { tabs += (tabs.count..<newColumns).map { $0 % 8 == 0 } }
        (columns, rows) = (newColumns, newRows)
        (top, bottom) = (0, rows - 1)
    }

    /// Row and column from 0.
    package var cursor: (row: Int, column: Int) { (cursorState.row, min(cursorState.column, columns - 1)) }

    /// The text of each row without the blanks at its end.
    package var text: [String] {
        page.lines.map { line in
            var text = String.UnicodeScalarView()
            for cell in line where cell.width > 0 { text.append(contentsOf: cell.scalars) }
            var string = String(text)
            while string.last == " " { string.removeLast() }
            return string
        }
    }
}

extension Page {
    mutating func resize(columns: Int, rows: Int, dropping excess: Int) {
        lines.removeFirst(min(excess, lines.count))
        if lines.count > rows { lines.removeLast(lines.count - rows) }
        for row in lines.indices {
            let count = lines[row].count
            if count > columns {
                lines[row].removeLast(count - columns)
                if lines[row][columns - 1].width == 2 { lines[row][columns - 1] = Cell() }
            } else {
                lines[row] += Array(repeating: Cell(), count: columns - count)
            }
        }
        while lines.count < rows { lines.append(Array(repeating: Cell(), count: columns)) }
        saved.row = min(max(0, saved.row - excess), rows - 1)
        saved.column = min(saved.column, columns - 1)
    }
}

extension Cell {
    var scalars: [Unicode.Scalar] {
        guard scalar != 0 else { return [" "] }
        return [scalar, marks.0, marks.1].prefix { $0 != 0 }.compactMap(Unicode.Scalar.init)
    }
}
