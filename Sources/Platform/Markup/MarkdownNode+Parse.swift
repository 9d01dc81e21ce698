// The one place that calls cmark-gfm: source text in, a tree of Swift values out.
internal import CCmark

extension MarkdownNode {
    /// Nodes nested deeper than this are left out, so that a hostile document costs a bounded stack.
    package static let depthLimit = 100

    /// Reads a document. Any text is a document; what is no Markdown is a paragraph.
    package static func parse(_ source: String) -> MarkdownNode {
        _ = extensionsAreRegistered
        let options = CMARK_OPT_UNSAFE | CMARK_OPT_FOOTNOTES | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE
        guard let parser = cmark_parser_new(options) else { return MarkdownNode(.document) }
        defer { cmark_parser_free(parser) }
        for name in ["table", "strikethrough", "autolink", "tasklist"] {
            if let syntax = cmark_find_syntax_extension(name) { cmark_parser_attach_syntax_extension(parser, syntax) }
        }
        var source = source
        source.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { cmark_parser_feed(parser, $0.baseAddress, $0.count) }
        }
        guard let root = cmark_parser_finish(parser) else { return MarkdownNode(.document) }
        defer { cmark_node_free(root) }
        cmark_consolidate_text_nodes(root)
        var converter = Converter()
        return converter.convert(root, depth: 0)
    }

    // cmark keeps its extensions in a global list; a `static let` fills it once.
    private static let extensionsAreRegistered: Bool = {
        cmark_gfm_core_extensions_ensure_registered()
        return true
    }()
}

private struct Converter {
    // Inline nodes know no line of their own in cmark: the block's first line plus the breaks passed.
    private var line = 0

    mutating func convert(_ node: OpaquePointer, depth: Int) -> MarkdownNode {
        let kind = kind(of: node)
        let isInline = kind.map(Self.isInline) ?? false
        if !isInline { line = Int(cmark_node_get_start_line(node)) }
        var result = MarkdownNode(kind ?? .paragraph, literal: literal(of: node, kind), line: line)
        if depth < MarkdownNode.depthLimit {
            var next = cmark_node_first_child(node)
            while let child = next {
                result.children.append(convert(child, depth: depth + 1))
                next = cmark_node_next(child)
            }
        }
        if kind == .softBreak || kind == .lineBreak { line += 1 }
        result.endLine = isInline ? line : max(Int(cmark_node_get_end_line(node)), result.line)
        return result
    }

    private static func isInline(_ kind: MarkdownNode.Kind) -> Bool {
        switch kind {
        case .text, .softBreak, .lineBreak, .code, .htmlInline, .emphasis, .strong, .strikethrough, .link, .image,
            .footnoteReference:
            true
        default: false
        }
    }

    private func kind(of node: OpaquePointer) -> MarkdownNode.Kind? {
        switch cmark_node_get_type(node) {
        case CMARK_NODE_DOCUMENT: return .document
        case CMARK_NODE_BLOCK_QUOTE: return .blockQuote
        case CMARK_NODE_LIST:
            let ordered = cmark_node_get_list_type(node) == CMARK_ORDERED_LIST
            return .list(start: ordered ? Int(cmark_node_get_list_start(node)) : nil, tight: cmark_node_get_list_tight(node) != 0)
        case CMARK_NODE_ITEM:
            return .item(checked: typeName(of: node) == "tasklist" ? cmark_gfm_extensions_get_tasklist_item_checked(node) : nil)
        case CMARK_NODE_CODE_BLOCK: return .codeBlock(info: text(cmark_node_get_fence_info(node)))
        case CMARK_NODE_HTML_BLOCK: return .htmlBlock
        case CMARK_NODE_PARAGRAPH: return .paragraph
        case CMARK_NODE_HEADING: return .heading(level: Int(cmark_node_get_heading_level(node)))
        case CMARK_NODE_THEMATIC_BREAK: return .thematicBreak
        case CMARK_NODE_FOOTNOTE_DEFINITION: return .footnoteDefinition
        case CMARK_NODE_TEXT: return .text
        case CMARK_NODE_SOFTBREAK: return .softBreak
        case CMARK_NODE_LINEBREAK: return .lineBreak
        case CMARK_NODE_CODE: return .code
        case CMARK_NODE_HTML_INLINE: return .htmlInline
        case CMARK_NODE_EMPH: return .emphasis
        case CMARK_NODE_STRONG: return .strong
        case CMARK_NODE_LINK: return .link(url: text(cmark_node_get_url(node)), title: text(cmark_node_get_title(node)))
        case CMARK_NODE_IMAGE: return .image(url: text(cmark_node_get_url(node)), title: text(cmark_node_get_title(node)))
        case CMARK_NODE_FOOTNOTE_REFERENCE: return .footnoteReference(Int(text(cmark_node_get_literal(node))) ?? 0)
        default: return extensionKind(of: node)
        }
    }

    // The extensions' node types are mutable C globals; their names say the same.
    private func extensionKind(of node: OpaquePointer) -> MarkdownNode.Kind? {
        switch typeName(of: node) {
        case "table": return .table(alignments(of: node))
        case "table_header": return .tableRow(header: true)
        case "table_row": return .tableRow(header: false)
        case "table_cell": return .tableCell
        case "strikethrough": return .strikethrough
        default: return nil
        }
    }

    private func alignments(of table: OpaquePointer) -> [MarkdownNode.Alignment] {
        let count = Int(cmark_gfm_extensions_get_table_columns(table))
        guard let letters = cmark_gfm_extensions_get_table_alignments(table) else { return [] }
        return (0..<count).map { index in
            switch letters[index] {
            case UInt8(ascii: "l"): .left
            case UInt8(ascii: "c"): .center
            case UInt8(ascii: "r"): .right
            default: .none
            }
        }
    }

    private func literal(of node: OpaquePointer, _ kind: MarkdownNode.Kind?) -> String {
        switch kind {
        case .text, .code, .codeBlock, .htmlInline, .htmlBlock: text(cmark_node_get_literal(node))
        default: ""
        }
    }

    private func typeName(of node: OpaquePointer) -> String { text(cmark_node_get_type_string(node)) }

    private func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
}
