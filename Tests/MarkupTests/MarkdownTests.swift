// What the parser makes of Markdown.
import Testing

@testable import Markup

@Suite struct MarkdownTests {
    @Test func aTableKeepsItsAlignments() {
        let document = MarkdownNode.parse("| a | b |\n|:-:|--:|\n| 1 | 2 |\n")
        #expect(document.children.first?.kind == .table([.center, .right]))
    }
}
