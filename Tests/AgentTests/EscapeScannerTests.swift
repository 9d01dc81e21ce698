// What is found in a terminal's output, however it is cut.
import Agent
import Testing

@Suite struct EscapeScannerTests {
    private func scan(_ text: String) -> [EscapeScanner.Found] {
        var scanner = EscapeScanner()
        return scanner.scan(Array(text.utf8)).map(\.found)
    }

    @Test func shellMarksAndTitles() {
        let text =
            "\u{1B}]133;D;3\u{07}\u{1B}]133;A\u{07}$ \u{1B}]133;B\u{1B}\\ls\u{1B}]133;C;x=y\u{07}\u{1B}]0;a title\u{07}\u{1B}]2;two\u{1B}\\\u{1B}]7;file:///root\u{07}"
        #expect(
            scan(text) == [
                .commandEnd(3), .promptStart, .promptEnd, .commandStart, .title("a title"), .title("two"), .directory("file:///root"),
            ])
    }

    @Test func everyCutFindsTheSame() {
        let bytes = Array("a\u{1B}[1;31mred\u{1B}]133;C\u{07}\u{1B}(B\u{1B}P1$r0m\u{1B}\\é\u{1B}]0;t\u{1B}\\".utf8)
        for cut in 0...bytes.count {
            var scanner = EscapeScanner()
            let first = scanner.scan(Array(bytes[..<cut])).map { ($0.index, $0.found) }
            let second = scanner.scan(Array(bytes[cut...])).map { ($0.index + cut, $0.found) }
            let all = first + second
            #expect(all.map(\.1) == [.commandStart, .title("t")])
            #expect(all.map(\.0) == [bytes.firstIndex(of: 0x07)! + 1, bytes.count])
            #expect(scanner.isAtGround)
        }
    }

    @Test func hugeTitlesAreCut() {
        let found = scan("\u{1B}]0;" + String(repeating: "é", count: 100_000) + "\u{07}x")
        #expect(found == [.title(String(repeating: "é", count: 256))])
    }

    @Test func controlCharactersLeaveTitles() { #expect(scan("\u{1B}]0;a\u{01}b\u{85}c\u{07}") == [.title("abc")]) }
    @Test func unknownAndCancelledSequencesAreIgnored() {
        #expect(scan("\u{1B}]52;c;AAAA\u{07}\u{1B}]133;Z\u{07}\u{1B}]0;x\u{18}\u{1B}]133\u{07}") == [])
    }
    @Test func aStringWithoutEndKeepsLittle() {
        var scanner = EscapeScanner()
        for _ in 0..<100 { #expect(scanner.scan(Array("\u{1B}P".utf8) + [UInt8](repeating: 0x61, count: 10_000)).isEmpty) }
        #expect(!scanner.isAtGround)
    }
    @Test func statusThatIsNoNumberIsZero() {
        #expect(scan("\u{1B}]133;D\u{07}\u{1B}]133;D;99999999999999999999\u{07}") == [.commandEnd(0), .commandEnd(0)])
    }
}
