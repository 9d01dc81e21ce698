// A screen fed with everything equals one fed with the snapshot at the ring's start and the ring.
import Agent
import Essentials
import Kernel
import Screen
import Testing

@Suite struct ScreenHistoryTests {
    /// Runs output through a small ring and compares, at many places, with a screen that saw it all.
    private func check(
        _ chunks: [[UInt8]], ring capacity: Int = 96 << 10, columns: Int = 80, rows: Int = 24,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let ring = PTYRing(capacityBytes: capacity, startingAt: 777)
        var history = ScreenHistory(columns: columns, rows: rows)
        let whole = ScreenModel(columns: columns, rows: rows)
        for (number, chunk) in chunks.enumerated() {
            history.makeRoom(chunk.count, in: ring)
            ring.append(chunk)
            whole.feed(chunk)
            guard number % 7 == 0 || number == chunks.count - 1 else { continue }
            let late = ScreenModel(columns: columns, rows: rows)
            late.feed(history.snapshot())
            late.feed(ring.bytes(ring.start..<ring.end))
            #expect(late.text == whole.text, sourceLocation: sourceLocation)
            #expect(late.cursor == whole.cursor, sourceLocation: sourceLocation)
        }
        #expect(ring.start > 777, "the ring has wrapped", sourceLocation: sourceLocation)
    }

    private func lines(_ count: Int, _ make: (Int) -> String) -> [[UInt8]] {
        let text = Array((0..<count).map { make($0) + "\r\n" }.joined().utf8)
        return stride(from: 0, to: text.count, by: 4095).map { Array(text[$0..<min($0 + 4095, text.count)]) }
    }

    @Test func plainLines() { check(lines(12_000) { "line \($0)" }) }
    @Test func shortLines() { check(lines(60_000) { _ in "y" }) }
    @Test func colouredLines() { check(lines(8000) { "\u{1B}[3\($0 % 8)m\($0)\u{1B}[0m and \u{1B}[1mbold\u{1B}[0m" }) }
    @Test func manyBytesPerCharacter() { check(lines(6000) { "漢字かな \($0) é 👍" }) }
    @Test func linesLongerThanTheScreen() { check(lines(1000) { "\($0) " + String(repeating: "wrap ", count: 60) }) }
    @Test func noLineFeedsAtAll() { check([[UInt8]](repeating: [UInt8](repeating: 0x61, count: 4096), count: 60)) }
    @Test func alternateScreenRedraws() {
        check(
            (0..<300).map { round in
                Array("\u{1B}[?1049h\u{1B}[H\u{1B}[2J".utf8)
                    + (1...24).flatMap { Array("\u{1B}[\($0);1H\u{1B}[7mrow \($0) of \(round)\u{1B}[0m".utf8) }
                    + (round % 3 == 0 ? Array("\u{1B}[?1049l$ prompt \(round)\r\n".utf8) : [])
            })
    }
    @Test func titlesAndMarks() { check(lines(5000) { "\u{1B}]0;title \($0)\u{07}\u{1B}]133;A\u{07}$ \u{1B}]133;B\u{07}echo \($0)" }) }

    @Test func randomMixtures() {
        var random = SeededRandom(seed: 7)
        let pieces = [
            "plain text ", "\r\n", "\r\n", "\r\n", "é漢👍", "\u{1B}[31m", "\u{1B}[0m", "\u{1B}[5;5H", "\u{1B}[K", "\u{1B}[2J", "\t", "\u{08}",
            "\u{1B}]0;t\u{07}", "\u{1B}[1A", "\u{1B}[2L", "\u{1B}[3M", "\u{1B}[4;10r", "\u{1B}[r", "\u{1B}[?25l", "\u{1B}[?25h",
            "\u{1B}[1;44m",
        ]
        for _ in 0..<4 {
            check(
                (0..<400).map { _ in
                    (0..<Int.random(in: 1...200, using: &random)).flatMap { _ in Array(pieces.randomElement(using: &random)!.utf8) }
                }, ring: 72 << 10)
        }
    }

    @Test func theRingBeginsBetweenSequencesAndCharacters() {
        let ring = PTYRing(capacityBytes: 66 << 10)
        var history = ScreenHistory(columns: 80, rows: 24)
        for round in 0..<200 {
            let chunk = Array("\u{1B}[38;2;1;2;\(round)m漢\u{1B}]0;\(round)\u{07}".utf8)
            for _ in 0..<40 {
                history.makeRoom(chunk.count, in: ring)
                ring.append(chunk)
            }
            guard ring.start > 0 else { continue }
            #expect(ring[ring.start] & 0xC0 != 0x80)
            #expect([0x1B, 0xE6].contains(ring[ring.start]))
        }
    }

    @Test func aSequenceWithoutEndIsGivenUp() {
        let ring = PTYRing(capacityBytes: 128 << 10)
        var history = ScreenHistory(columns: 80, rows: 24)
        for round in 0..<40 {
            let chunk = (round == 0 ? Array("\u{1B}]0;".utf8) : []) + [UInt8](repeating: 0x61, count: 8192)
            history.makeRoom(chunk.count, in: ring)
            ring.append(chunk)
        }
        #expect(ring.start > 0)
        #expect(!history.snapshot().isEmpty)
    }

    @Test func sizesHoldFromTheirPlaceOn() {
        let ring = PTYRing(capacityBytes: 96 << 10)
        var history = ScreenHistory(columns: 80, rows: 24)
        let whole = ScreenModel(columns: 80, rows: 24)
        for round in 0..<60 {
            let (columns, rows) = (40 + round, 10 + round % 20)
            history.resize(columns: columns, rows: rows, at: ring.end)
            whole.resize(columns: columns, rows: rows)
            for chunk in lines(100, { "round \(round) line \($0) " + String(repeating: ".", count: 70) }) {
                history.makeRoom(chunk.count, in: ring)
                ring.append(chunk)
                whole.feed(chunk)
            }
        }
        let late = ScreenModel(columns: whole.columns, rows: whole.rows)
        late.feed(history.snapshot())
        late.feed(ring.bytes(ring.start..<ring.end))
        #expect(late.text == whole.text)
    }
}
