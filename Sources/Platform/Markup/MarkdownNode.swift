// Markup reads Markdown with cmark-gfm and writes HTML in which nothing of an author's can run. No I/O, no state.
//
// `MarkdownNode.parse` gives the document as plain values; `HTMLWriter` is the only way to make HTML, and keeps it
// well-formed whatever it is told; `AuthorHTML` is the allow list for the HTML that authors write themselves.
// Workshops is the only caller.

/// A node of a Markdown document (CommonMark with GitHub's tables, strikethrough, task lists, links, footnotes).
package struct MarkdownNode: Sendable, Equatable {
    package enum Alignment: Sendable, Equatable { case none, left, center, right }

    package enum Kind: Sendable, Equatable {
        case document, paragraph, blockQuote, thematicBreak, htmlBlock
        case heading(level: Int)
        case codeBlock(info: String)
        /// `start` is the first number of an ordered list, `nil` for bullets.
        case list(start: Int?, tight: Bool)
        /// `checked` is `nil` unless the item began with `[ ]` or `[x]`.
        case item(checked: Bool?)
        case table([Alignment])
        case tableRow(header: Bool)
        case tableCell
        /// Definitions stand at the document's end, in the order of their first use.
        case footnoteDefinition
        case text, softBreak, lineBreak, code, htmlInline, emphasis, strong, strikethrough
        case link(url: String, title: String)
        case image(url: String, title: String)
        /// The number of the definition, from 1.
        case footnoteReference(Int)
    }

    package var kind: Kind
    /// The literal of text, code and HTML; empty for the others.
    package var literal: String
    package var children: [MarkdownNode]
    /// The first and last line in the source, from 1. An inline node has the line where it begins.
    package var line: Int
    package var endLine: Int

    package init(_ kind: Kind, literal: String = "", children: [MarkdownNode] = [], line: Int = 0, endLine: Int = 0) {
        self.kind = kind
        self.literal = literal
        self.children = children
        self.line = line
        self.endLine = endLine
    }

    /// All text below this node, without markup, a space for each line break.
    package var plainText: String {
        switch kind {
        case .text, .code: return literal
        case .softBreak, .lineBreak: return " "
        case .htmlInline, .htmlBlock, .footnoteReference: return ""
        default: return children.map(\.plainText).joined()
        }
    }
}
