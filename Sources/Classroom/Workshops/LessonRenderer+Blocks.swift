// Blocks of a lesson: paragraphs, lists, tables, callouts, footnotes, and code, which is a command or a sample.
internal import Markup

extension LessonRenderer {
    mutating func blocks(_ nodes: [LessonNode], tight: Bool = false) {
        for node in nodes { block(node, isTopLevel: false, tight: tight) }
    }

    mutating func block(_ node: LessonNode, isTopLevel: Bool, tight: Bool = false) {
        guard case .markdown(let kind) = node.kind else { return quiz(node) }
        switch kind {
        case .paragraph: paragraph(node, tight: tight)
        case .heading(let level): heading(node, level: level, isTopLevel: isTopLevel)
        case .blockQuote: quote(node)
        case .thematicBreak:
            writer.void("hr")
            writer.newline()
        case .codeBlock(let info): code(node, info: info)
        case .htmlBlock: AuthorHTML.write(node.literal, to: &writer, references: references, line: node.line, isBlock: true)
        case .list(let start, let tight): list(node, start: start, tight: tight)
        case .table(let alignments): table(node, alignments)
        case .footnoteDefinition: blocks(node.children)
        case .document, .item, .tableRow, .tableCell: blocks(node.children)
        case .text, .softBreak, .lineBreak, .code, .htmlInline, .emphasis, .strong, .strikethrough, .link, .image, .footnoteReference:
            inlines([node])
        }
    }

    // MARK: Text

    private mutating func paragraph(_ node: LessonNode, tight: Bool) {
        if tight {
            inlines(node.children)
            return
        }
        if node.children.count == 1, case .markdown(.image(_, let title)) = node.children[0].kind, !title.isEmpty {
            writer.open("figure", attributes(of: node))
            inlines(node.children)
            writer.open("figcaption")
            writer.text(title)
            writer.close("figcaption")
            writer.close("figure")
        } else if let name = node.attributes.classes.first(where: { Self.callouts[$0] != nil }) {
            callout(name, title: nil) { $0.wrapped("p", node) }
        } else {
            wrapped("p", node)
        }
        writer.newline()
    }

    private mutating func wrapped(_ name: String, _ node: LessonNode) {
        writer.open(name, attributes(of: node))
        inlines(node.children)
        writer.close(name)
    }

    static let callouts = ["note": "Note", "tip": "Tip", "important": "Important", "warning": "Warning", "caution": "Caution"]

    // `> [!NOTE]`, with a title of its own after it, or `{:.note}` on a quote.
    private mutating func quote(_ node: LessonNode) {
        var children = node.children
        if let first = children.first, first.isParagraph, let text = first.children.first, text.isText, text.literal.hasPrefix("[!"),
            let end = text.literal.firstIndex(of: "]")
        {
            let name = text.literal[..<end].dropFirst(2).lowercased()
            if Self.callouts[name] != nil {
                let title = text.literal[text.literal.index(after: end)...].trimmed
                children[0].children.removeFirst()
                if children[0].children.first?.isBreak == true { children[0].children.removeFirst() }
                if children[0].children.isEmpty { children.removeFirst() }
                callout(name, title: title.isEmpty ? nil : title) { $0.blocks(children) }
                return
            }
            problem(node.line, "there is no callout `[!\(name.uppercased())]`", "Use NOTE, TIP, IMPORTANT, WARNING or CAUTION.")
        }
        if let name = node.attributes.classes.first(where: { Self.callouts[$0] != nil }) {
            callout(name, title: nil) { $0.blocks(children) }
            return
        }
        writer.open("blockquote", attributes(of: node))
        writer.newline()
        blocks(children)
        writer.close("blockquote")
        writer.newline()
    }

    private mutating func callout(_ name: String, title: String?, _ content: (inout LessonRenderer) -> Void) {
        writer.open("aside", [("class", "callout \(name)"), ("role", "note")])
        writer.open("p", [("class", "callout-title")])
        writer.text(title ?? Self.callouts[name] ?? name)
        writer.close("p")
        writer.newline()
        content(&self)
        writer.close("aside")
        writer.newline()
    }

    // MARK: Lists and tables

    private mutating func list(_ node: LessonNode, start: Int?, tight: Bool) {
        if node.attributes.values["toc"] != nil || node.attributes.has("toc") { return }  // the page has its own contents
        let hasTasks = node.children.contains { if case .markdown(.item(.some)) = $0.kind { true } else { false } }
        let name = start == nil ? "ul" : "ol"
        var attributes: [HTMLWriter.Attribute] = hasTasks ? [("class", "contains-task-list")] : self.attributes(of: node)
        if let start, start != 1 { attributes.append(("start", String(start))) }
        writer.open(name, attributes)
        writer.newline()
        for item in node.children {
            if case .markdown(.item(let checked?)) = item.kind {
                task(item, checked: checked, tight: tight)
            } else {
                writer.open("li", self.attributes(of: item))
                blocks(item.children, tight: tight)
                writer.close("li")
            }
            writer.newline()
        }
        writer.close(name)
        writer.newline()
    }

    private mutating func task(_ item: LessonNode, checked: Bool, tight: Bool) {
        taskCount += 1
        writer.open("li", [("class", "task-list-item")])
        writer.open("label")
        writer.void("input", [("type", "checkbox"), ("id", "t-\(taskCount)"), ("checked", checked ? "" : nil)])
        var rest = item.children
        if let first = rest.first, first.isParagraph {
            inlines(first.children)
            rest.removeFirst()
        }
        writer.close("label")
        blocks(rest, tight: tight)
        writer.close("li")
    }

    private mutating func table(_ node: LessonNode, _ alignments: [MarkdownNode.Alignment]) {
        writer.open("div", [("class", "table")])
        writer.open("table", attributes(of: node))
        writer.newline()
        var part: String?
        for row in node.children {
            guard case .markdown(.tableRow(let isHeader)) = row.kind else { continue }
            let wanted = isHeader ? "thead" : "tbody"
            if part != wanted {
                if let part { writer.close(part) }
                writer.open(wanted)
                part = wanted
            }
            writer.open("tr")
            for (index, cell) in row.children.enumerated() {
                let alignment = alignments.indices.contains(index) ? alignments[index] : .none
                let name = isHeader ? "th" : "td"
                writer.open(
                    name,
                    [
                        ("class", alignment == .center ? "center" : alignment == .right ? "right" : nil),
                        ("scope", isHeader ? "col" : nil),
                    ])
                inlines(cell.children)
                writer.close(name)
            }
            writer.close("tr")
            writer.newline()
        }
        if let part { writer.close(part) }
        writer.close("table")
        writer.close("div")
        writer.newline()
    }

    mutating func footnotes(_ nodes: [LessonNode]) {
        writer.closeAuthorElements()
        writer.open("section", [("class", "footnotes"), ("aria-label", "Footnotes")])
        writer.open("ol")
        writer.newline()
        for (index, node) in nodes.enumerated() {
            let number = index + 1
            writer.open("li", [("id", "fn-\(number)")])
            for (position, child) in node.children.enumerated() {
                let isLast = position == node.children.count - 1
                if isLast, child.isParagraph {
                    writer.open("p")
                    inlines(child.children)
                    backLinks(number)
                    writer.close("p")
                } else {
                    block(child, isTopLevel: false)
                    if isLast { backLinks(number) }
                }
            }
            writer.close("li")
            writer.newline()
        }
        writer.close("ol")
        writer.close("section")
        writer.newline()
    }

    private mutating func backLinks(_ number: Int) {
        for use in 1...max(footnoteUses[number] ?? 1, 1) {
            writer.text(" ")
            writer.open(
                "a",
                [
                    ("class", "footnote-back"), ("href", "#fnref-\(number)\(use > 1 ? "-\(use)" : "")"),
                    ("aria-label", "Back to the text"),
                ])
            writer.text("↩")
            writer.close("a")
        }
    }
}
