// A terminal's screen kept by libvterm, and the bytes that repaint it elsewhere.
//
// The only importer of libvterm. What libvterm does not show directly (modes, scroll region, pen) is asked of it with
// the queries that a program would send (DECRQM, DECRQSS), so the parser must stand between two sequences then.
internal import CVTerm
internal import Glibc

/// A screen of `columns` × `rows` that is fed with a terminal's output. Not thread-safe: it belongs to one loop.
package final class ScreenModel {
    package private(set) var columns: Int
    package private(set) var rows: Int
    let terminal: OpaquePointer
    let screen: OpaquePointer
    private let callbacks: UnsafeMutablePointer<VTermScreenCallbacks>
    private var isAlternate = false
    private var answers: [UInt8] = []
    private var collects = false

    package init(columns: Int, rows: Int) {
        self.columns = Self.clamp(columns)
        self.rows = Self.clamp(rows)
        terminal = vterm_new(Int32(self.rows), Int32(self.columns))
        screen = vterm_obtain_screen(terminal)
        callbacks = .allocate(capacity: 1)
        callbacks.initialize(to: VTermScreenCallbacks())
        callbacks.pointee.settermprop = { property, value, user in
            guard let user, let value, property == VTERM_PROP_ALTSCREEN else { return 1 }
            Unmanaged<ScreenModel>.fromOpaque(user).takeUnretainedValue().isAlternate = value.pointee.boolean != 0
            return 1
        }
        let user = Unmanaged.passUnretained(self).toOpaque()
        vterm_set_utf8(terminal, 1)
        vterm_output_set_callback(
            terminal,
            { bytes, count, user in
                guard let bytes, let user else { return }
                let model = Unmanaged<ScreenModel>.fromOpaque(user).takeUnretainedValue()
                if model.collects { bytes.withMemoryRebound(to: UInt8.self, capacity: count) { model.answers.append(contentsOf: UnsafeBufferPointer(start: $0, count: count)) } }
            }, user)
        vterm_screen_set_callbacks(screen, callbacks, user)
        vterm_screen_enable_altscreen(screen, 1)
        vterm_screen_set_damage_merge(screen, VTERM_DAMAGE_SCREEN)
        vterm_screen_reset(screen, 1)
    }

    deinit {
        vterm_free(terminal)
        callbacks.deallocate()
    }

    private static func clamp(_ size: Int) -> Int { min(max(size, 4), 1000) }

    package func feed(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = vterm_input_write(terminal, base.assumingMemoryBound(to: CChar.self), buffer.count)
        }
        vterm_screen_flush_damage(screen)
    }

    package func resize(columns: Int, rows: Int) {
        let (columns, rows) = (Self.clamp(columns), Self.clamp(rows))
        guard (columns, rows) != (self.columns, self.rows) else { return }
        (self.columns, self.rows) = (columns, rows)
        vterm_set_size(terminal, Int32(rows), Int32(columns))
    }

    /// Row and column from 0.
    package var cursor: (row: Int, column: Int) {
        var position = VTermPos()
        vterm_state_get_cursorpos(vterm_obtain_state(terminal), &position)
        return (Int(position.row), Int(position.col))
    }

    /// The text of each row without the blanks at its end.
    package var text: [String] {
        (0..<rows).map { row in
            var line = ""
            for column in 0..<columns {
                let cell = self.cell(row, column)
                guard cell.chars.0 != UInt32.max else { continue }
                let scalars = cell.scalars
                line.unicodeScalars.append(contentsOf: scalars.isEmpty ? [" "] : scalars)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    /// The bytes that make a terminal of the same size look and behave like this screen, whatever it showed before.
    /// To be asked for only where the bytes fed so far end between two sequences.
    package func snapshot() -> [UInt8] {
        var output = Array("\u{1B}c".utf8)
        guard isAlternate else { return output + paint() }
        // The primary screen lies hidden: show it for a moment, and repaint the alternate one afterwards, since
        // libvterm clears it when it comes back.
        let alternate = paint()
        var value = VTermValue(boolean: 0)
        let state = vterm_obtain_state(terminal)
        vterm_state_set_termprop(state, VTERM_PROP_ALTSCREEN, &value)
        feed(Array("\u{1B}[r\u{1B}8".utf8))
        output += paintCells() + position() + pen()
        value.boolean = 1
        vterm_state_set_termprop(state, VTERM_PROP_ALTSCREEN, &value)
        feed(alternate)
        return output + Array("\u{1B}[?1049h\u{1B}[H".utf8) + alternate
    }

    private func paint() -> [UInt8] {
        var output = paintCells()
        let region = answer(to: "\u{1B}P$qr\u{1B}\\")
        let bounds = region.split(separator: ";").compactMap { Int($0.filter(\.isNumber)) }
        var top = 0
        if bounds.count == 2, bounds != [1, rows] {
            output += Array("\u{1B}[\(bounds[0]);\(bounds[1])r".utf8)
            top = bounds[0] - 1
        }
        var origin = false
        for mode in Self.modes {
            let isSet = answer(to: "\u{1B}[?\(mode.number)$p").contains(";1$y")
            if mode.number == 6 { origin = isSet }
            if isSet != mode.usual { output += Array("\u{1B}[?\(mode.number)\(isSet ? "h" : "l")".utf8) }
        }
        let style = answer(to: "\u{1B}P$q q\u{1B}\\").filter(\.isNumber)
        if style != "1", !style.isEmpty { output += Array("\u{1B}[\(style) q".utf8) }
        return output + position(from: origin ? top : 0) + pen()
    }

    /// The DEC private modes that outlive a repaint, and how they stand after a reset. Cursor keys, origin, wrap,
    /// cursor shown, mouse reports and their encodings, focus reports, bracketed paste.
    private static let modes: [(number: Int, usual: Bool)] = [
        (1, false), (5, false), (6, false), (7, true), (25, true), (1000, false), (1002, false), (1003, false), (1004, false),
        (1005, false), (1006, false), (1015, false), (2004, false),
    ]

    private func position(from top: Int = 0) -> [UInt8] {
        let cursor = self.cursor
        return Array("\u{1B}[\(cursor.row - top + 1);\(cursor.column + 1)H".utf8)
    }

    private func pen() -> [UInt8] {
        var codes = answer(to: "\u{1B}P$qm\u{1B}\\")
        while let last = codes.last, !last.isNumber { codes.removeLast() }
        return Array("\u{1B}[0m".utf8) + (codes.isEmpty ? [] : Array("\u{1B}[\(codes)m".utf8))
    }

    /// What libvterm answers to a query, without the introducer of the answer.
    private func answer(to query: String) -> String {
        collects = true
        answers = []
        feed(Array(query.utf8))
        collects = false
        var text = String(decoding: answers, as: UTF8.self)
        if let mark = text.range(of: "$r") { text = String(text[mark.upperBound...]) }
        return text
    }
}

extension String {
    /// Where `part` stands first (the standard library has no such search without Foundation's).
    fileprivate func range(of part: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(part) { return start..<index(start, offsetBy: part.count) }
            start = index(after: start)
        }
        return nil
    }
}
