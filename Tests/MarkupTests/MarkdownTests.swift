// What the parser makes of Markdown, and that code keeps its text when it is coloured.
import Testing

@testable import Markup

@Suite struct MarkdownTests {
    private func kinds(_ source: String) -> [MarkdownNode.Kind] { MarkdownNode.parse(source).children.map(\.kind) }

    @Test func blocksOfEveryKindAreTold() {
        #expect(
            kinds("# A\n\n> q\n\n---\n\n3. x\n\n- y\n\n```sh z\nc\n```\n") == [
                .heading(level: 1), .blockQuote, .thematicBreak, .list(start: 3, tight: true), .list(start: nil, tight: true),
                .codeBlock(info: "sh z"),
            ])
        #expect(kinds("| a | b |\n|:-:|--:|\n| 1 | 2 |\n") == [.table([.center, .right])])
        #expect(
            MarkdownNode.parse("- [x] a\n- [ ] b\n- c").children[0].children.map(\.kind) == [
                .item(checked: true), .item(checked: false), .item(checked: nil),
            ])
    }

    @Test func footnotesAreNumberedByTheirFirstUse() {
        let document = MarkdownNode.parse("a[^x] b[^y] c[^x]\n\n[^y]: Y\n[^x]: X\n[^z]: unused\n")
        #expect(
            document.children[0].children.map(\.kind).filter { if case .footnoteReference = $0 { true } else { false } } == [
                .footnoteReference(1), .footnoteReference(2), .footnoteReference(1),
            ])
        #expect(document.children.dropFirst().map(\.plainText) == ["X", "Y"])
    }

    @Test func linesAreCountedInTextToo() {
        let paragraph = MarkdownNode.parse("\n\na\nb [c](d)\n").children[0]
        #expect(paragraph.line == 3 && paragraph.endLine == 4)
        #expect(paragraph.children.last?.line == 4)
    }

    @Test func oneTildeIsAHomeDirectory() {
        #expect(MarkdownNode.parse("cd ~/a and ~/b, not ~~c~~").children[0].plainText == "cd ~/a and ~/b, not c")
    }

    @Test(arguments: [
        ">", "- ", "[", "*a ", "**a", "_a ", "`", "<", "![", "[^", "| ", "(", "&", "~~", "http://a ", "[a](", "#", "1. ", "\\", "w",
        "a@b.c ",
    ])
    func longRunsOfMarksCostBoundedWork(_ mark: String) {
        _ = MarkdownNode.parse(String(repeating: mark, count: 20_000 / mark.count))
        _ = MarkdownNode.parse(String(repeating: mark + "\n", count: 10_000 / mark.count))
    }

    @Test(arguments: ["sh", "yaml", "json", "python", "js", "dockerfile", "go", "sql", "unknown"])
    func colouredCodeIsTheSameText(_ language: String) {
        var random = SystemRandomNumberGenerator()
        let pieces = [
            "a", "$b", "${c", "}", "\"", "'", "`", "\\", "\n", " ", "# x", "//", "/*", "*/", "<<END", "END", "key:", "--opt", "12.5", "é",
            "=", "|",
        ]
        for _ in 0..<300 {
            let code = (0..<30).compactMap { _ in pieces.randomElement(using: &random) }.joined()
            #expect(SyntaxColours.runs(code, language: language).map(\.text).joined() == code)
        }
    }

    @Test func shellWordsAreTold() {
        let runs = SyntaxColours.runs("export A=\"b\" && ls -l $HOME # all", language: "sh")
        #expect(
            runs.compactMap { run in run.style.map { "\(run.text) \($0)" } } == [
                "export tok-keyword", "\"b\" tok-string", "ls tok-command", "-l tok-option", "$HOME tok-variable", "# all tok-comment",
            ])
    }

    @Test func hereDocumentsAreTextUpToTheirWord() {
        let runs = SyntaxColours.runs("cat > a <<'END' && ls\nls -l\nEND\npwd\n", language: "sh")
        #expect(
            runs.compactMap { run in run.style.map { "\(run.text) \($0)" } } == [
                "cat tok-command", "ls tok-command", "ls -l\nEND tok-string", "pwd tok-command",
            ])
    }

    @Test func textIsEscapedAndControlCharactersAreShown() {
        #expect(HTMLText.escaped("<a href=\"x\">'&\u{0}\u{1B}\u{202E}") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\u{FFFD}\u{FFFD}\u{FFFD}")
    }
}
