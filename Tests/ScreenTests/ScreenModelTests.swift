// A screen repainted from its snapshot equals the one it was taken of.
import Screen
import Testing

@Suite struct ScreenModelTests {
    private func copy(of model: ScreenModel) -> ScreenModel {
        let other = ScreenModel(columns: model.columns, rows: model.rows)
        other.feed(Array("\u{1B}[31;44mold text\u{1B}[5;9r\u{1B}[?2004h\u{1B}[?25l".utf8))
        other.feed(model.snapshot())
        return other
    }

    private func check(_ text: String, columns: Int = 40, rows: Int = 8, sourceLocation: SourceLocation = #_sourceLocation) {
        let model = ScreenModel(columns: columns, rows: rows)
        model.feed(Array(text.utf8))
        let before = model.snapshot()
        #expect(model.snapshot() == before, "taking a snapshot changes nothing", sourceLocation: sourceLocation)
        let other = copy(of: model)
        #expect(other.text == model.text, sourceLocation: sourceLocation)
        #expect(other.cursor == model.cursor, sourceLocation: sourceLocation)
        #expect(other.snapshot() == before, sourceLocation: sourceLocation)
    }

    @Test func plainTextAndCursor() { check("one\r\ntwo\r\n  three") }
    @Test func coloursAndAttributes() {
        check("\u{1B}[1;3;4;31;42mA\u{1B}[0;7;9;95;106mB\u{1B}[0;38;5;200mC\u{1B}[48;2;1;2;3mD\u{1B}[21mE\u{1B}[4:3mF\u{1B}[0m plain")
    }
    @Test func penThatIsStillSet() { check("text \u{1B}[1;38;5;99m") }
    @Test func wideCharactersAndMarks() { check("漢字 e\u{301} 👍 ok") }
    @Test func colouredBlanksRemain() { check("\u{1B}[44m   \u{1B}[0m x\u{1B}[3;3H\u{1B}[41m\u{1B}[K") }
    @Test func fullLastColumn() { check(String(repeating: "x", count: 40 * 8), columns: 40, rows: 8) }
    @Test func scrollRegionAndModes() { check("\u{1B}[2;6r\u{1B}[?1h\u{1B}[?2004h\u{1B}[?1002h\u{1B}[?1006h\u{1B}[?7l\u{1B}[4;5Hhere") }
    @Test func originMode() { check("\u{1B}[3;6r\u{1B}[?6h\u{1B}[2;2Horigin") }
    @Test func hiddenCursorAndShape() { check("\u{1B}[?25l\u{1B}[4 qx") }
    @Test func scrolledText() { check((1...50).map { "line \($0)" }.joined(separator: "\r\n")) }

    @Test func lineDrawingInsertingAndTabs() {
        check("\u{1B}(0lqk\u{1B}(B plain \u{1B}[4habc\u{1B}[1;3HX")
        check("\u{1B}[3g\u{1B}[5G\u{1B}H\u{1B}[1Ga\tb\u{1B})0\u{0E}x")
    }
    @Test func savedCursor() {
        let model = ScreenModel(columns: 40, rows: 8)
        model.feed(Array("\u{1B}[3;7H\u{1B}[35m\u{1B}7\u{1B}[0m\u{1B}[Helse".utf8))
        let other = copy(of: model)
        for screen in [model, other] {
            screen.feed(Array("\u{1B}8X".utf8))
            #expect(screen.cursor == (2, 7))
        }
        #expect(other.snapshot() == model.snapshot())
    }
    @Test func aWrapThatIsDue() {
        let model = ScreenModel(columns: 10, rows: 4)
        model.feed(Array("0123456789".utf8))
        let other = copy(of: model)
        for screen in [model, other] {
            screen.feed(Array("ab".utf8))
            #expect(screen.text == ["0123456789", "ab", "", ""])
        }
    }

    /// What xterm shows for each.
    @Test(arguments: [
        ("abc\u{1B}[2D\u{1B}[PX", ["aX"]), ("abc\u{1B}[H\u{1B}[@X", ["Xabc"]), ("a\r\nb\r\nc\u{1B}[2;1H\u{1B}[M", ["a", "c"]),
        ("a\r\nb\u{1B}[1;1H\u{1B}[L", ["", "a", "b"]), ("abcdef\u{1B}[3G\u{1B}[K", ["ab"]), ("abcdef\u{1B}[3G\u{1B}[1K", ["   def"]),
        ("abcdef\u{1B}[2G\u{1B}[2X", ["a  def"]), ("a\tb", ["a       b"]), ("\u{1B}[2;3r\u{1B}[3;1Hx\ny\nz", ["", " y", "  z"]),
        ("漢\u{1B}[2Gx", [" x"]), ("漢\u{1B}[1Gx", ["x"]), ("\u{1B}[?7l0123456789AB", ["012345678B"]), ("ab\u{1B}[3b", ["abbbb"]),
        ("\u{1B}Mtop", ["top"]), ("a\u{1B}[?1049hb\u{1B}[?1049lc", ["ac"]), ("\u{C3}(", ["Ã("]), ("x\u{1B}[2Jy", [" y"]),
        ("\u{1B}#8", [String](repeating: "EEEEEEEEEE", count: 4)),
    ]) func effects(_ text: String, _ expected: [String]) {
        let model = ScreenModel(columns: 10, rows: 4)
        model.feed(Array(text.utf8))
        #expect(Array(model.text.prefix(expected.count)) == expected)
        #expect(model.text.dropFirst(expected.count).joined().isEmpty)
    }

    @Test func aSnapshotThatIsTooLargeLosesItsColours() {
        let model = ScreenModel(columns: 40, rows: 8)
        for index in 0..<319 { model.feed(Array("\u{1B}[38;2;\(index % 255);2;3mx".utf8)) }
        let full = model.snapshot()
        let small = model.snapshot(limitBytes: full.count - 1)
        #expect(small.count < full.count / 4)
        for (bytes, text) in [(full, model.text), (small, model.text), (model.snapshot(limitBytes: 10), [String](repeating: "", count: 8))]
        {
            let other = ScreenModel(columns: 40, rows: 8)
            other.feed(bytes)
            #expect(other.text == text)
            #expect(other.cursor == model.cursor)
        }
    }

    @Test func brokenUTF8ShowsAsReplacement() {
        let model = ScreenModel(columns: 10, rows: 4)
        model.feed([0xC3, 0x28, 0xFF, 0xE6, 0xBC, 0x0D, 0x0A, 0xED, 0xA0, 0x80, 0xC0, 0x80])
        #expect(model.text[0] == "\u{FFFD}(\u{FFFD}\u{FFFD}")
    }

    @Test func charactersMayBeCutAnywhere() {
        let bytes = Array("é漢👍e\u{301}\u{1B}[31mx\u{1B}]0;title\u{07}y\u{1B}P1$r\u{1B}\\z".utf8)
        let whole = ScreenModel(columns: 40, rows: 4)
        whole.feed(bytes)
        let cut = ScreenModel(columns: 40, rows: 4)
        for byte in bytes { cut.feed([byte]) }
        #expect(cut.snapshot() == whole.snapshot())
        #expect(whole.text[0] == "é漢👍e\u{301}xyz")
    }

    @Test func alternateScreenKeepsThePrimaryOne() {
        let model = ScreenModel(columns: 40, rows: 8)
        model.feed(Array("$ vim file\r\nprimary \u{1B}[32mgreen\u{1B}[0m".utf8))
        let primary = model.text
        model.feed(Array("\u{1B}[?1049h\u{1B}[H\u{1B}[7mstatus line\u{1B}[0m\u{1B}[5;10Halternate".utf8))
        let alternate = model.text
        let snapshot = model.snapshot()
        #expect(model.text == alternate)
        let other = copy(of: model)
        #expect(other.text == alternate)
        #expect(other.cursor == model.cursor)
        for screen in [model, other] {
            screen.feed(Array("\u{1B}[?1049l".utf8))
            #expect(screen.text == primary)
            #expect(screen.cursor == (1, 13))
        }
        #expect(!snapshot.isEmpty)
    }

    @Test func sizesAreClampedAndChange() {
        let model = ScreenModel(columns: 0, rows: 100_000)
        #expect(model.columns == 2)
        #expect(model.rows == 1000)
        model.resize(columns: 20, rows: 5)
        model.feed(Array("a\r\nb".utf8))
        #expect(model.text == ["a", "b", "", "", ""])
    }

    @Test func anyBytesAreSurvived() {
        var random = SystemRandomNumberGenerator()
        let model = ScreenModel(columns: 30, rows: 6)
        for _ in 0..<200 {
            model.feed((0..<500).map { _ in UInt8.random(in: 0...255, using: &random) })
            model.resize(columns: Int.random(in: 1...60, using: &random), rows: Int.random(in: 1...30, using: &random))
        }
        model.feed([0x18])
        _ = model.snapshot()
    }
}
