// Text of a lesson: emphasis, links, port links, pictures, code that can be clicked, footnote marks.
internal import Markup

extension LessonRenderer {
    mutating func inlines(_ nodes: [LessonNode]) {
        for node in nodes { inline(node) }
    }

    private mutating func inline(_ node: LessonNode) {
        guard case .markdown(let kind) = node.kind else { return }
        switch kind {
        case .text: writer.text(node.literal)
        case .softBreak: writer.newline()
        case .lineBreak:
            writer.void("br")
            writer.newline()
        case .code: inlineCode(node)
        case .htmlInline: AuthorHTML.write(node.literal, to: &writer, references: references, line: node.line, isBlock: false)
        case .emphasis: element("em", node)
        case .strong: element("strong", node)
        case .strikethrough: element("del", node)
        case .link(let url, let title):
            if node.attributes["data-port"] != nil { portLink(node, url) } else { link(node, url, title) }
        case .image(let url, let title): image(node, url, title)
        case .footnoteReference(let number): footnoteReference(number)
        default: blocks([node])
        }
    }

    private mutating func element(_ name: String, _ node: LessonNode) {
        writer.open(name, attributes(of: node))
        inlines(node.children)
        writer.close(name)
    }

    private mutating func inlineCode(_ node: LessonNode) {
        guard let terminal = node.attributes.terminal else {
            writer.open("code", attributes(of: node))
            writer.text(node.literal)
            writer.close("code")
            return
        }
        checkTerminal(terminal, node.line)
        writer.open(
            "lectern-inline",
            [("data-term", terminal > 0 ? String(terminal) : nil), ("data-run", node.attributes.has("run") ? "true" : nil)])
        writer.open("code")
        writer.text(node.literal)
        writer.close("code")
        writer.close("lectern-inline")
    }

    private mutating func footnoteReference(_ number: Int) {
        let use = (footnoteUses[number] ?? 0) + 1
        footnoteUses[number] = use
        writer.open("sup", [("class", "footnote-ref")])
        writer.open("a", [("href", "#fn-\(number)"), ("id", "fnref-\(number)\(use > 1 ? "-\(use)" : "")")])
        writer.text(String(number))
        writer.close("a")
        writer.close("sup")
    }

    // MARK: Links

    private mutating func link(_ node: LessonNode, _ url: String, _ title: String) {
        var attributes: [HTMLWriter.Attribute]
        switch references.target(of: url) {
        case .external(let address):
            if let host = address.split(separator: "/").dropFirst().first, host.hasPrefix("localhost") || host.hasPrefix("127.0.0.1") {
                problem(
                    node.line, "`\(url)` opens the learner's own machine, not a node",
                    "Write a port link: `[text](/){:data-term=\".term1\"}{:data-port=\"8000\"}`.")
            }
            attributes = references.link(address) ?? []
        case .inside(let path):
            attributes = [("href", path)]
            if node.attributes["target"] == "_blank" { attributes += [("target", "_blank"), ("rel", "noopener")] }
        case .missingPage(let name):
            problem(node.line, "`\(name)` is no page of this workshop", "Link to \(pageNames), or to a full address.")
            return inlines(node.children)
        case .missingFile(let name):
            problem(node.line, "there is no file `\(name)` beside the lesson", "Add it to the workshop's folder, or correct its name.")
            return inlines(node.children)
        case .refused:
            problem(node.line, "the address `\(url)` leads nowhere a lesson may lead", Self.addressFix)
            return inlines(node.children)
        }
        if !title.isEmpty { attributes.append(("title", title)) }
        writer.open("a", attributes + self.attributes(of: node))
        inlines(node.children)
        writer.close("a")
    }

    private var pageNames: String {
        let names = context.pages.prefix(5).map { "`\($0.file)`" }
        return names.isEmpty ? "a page of it" : names.joined(separator: ", ")
    }

    private mutating func portLink(_ node: LessonNode, _ url: String) {
        let port = node.attributes["data-port"].flatMap { Int($0) } ?? 0
        let nodeName = node.attributes["data-term"] ?? node.attributes["data-node"] ?? node.attributes["data-host"] ?? "1"
        let number = AttributeList.terminal(named: nodeName) ?? Int(nodeName.hasPrefix("node") ? String(nodeName.dropFirst(4)) : nodeName)
        let scheme = node.attributes["data-protocol"]?.lowercased() ?? "http"
        guard (1...65535).contains(port) else {
            problem(node.line, "`data-port` is no port number", "Write a number from 1 to 65535.")
            return inlines(node.children)
        }
        guard let number else {
            problem(node.line, "`data-term=\"\(nodeName)\"` names no terminal", "Write `.term1` to `.term\(context.nodes)`.")
            return inlines(node.children)
        }
        checkTerminal(number, node.line)
        if scheme != "http", scheme != "https" {
            problem(node.line, "`data-protocol=\"\(scheme)\"` is no protocol of a port link", "Write `http` or `https`.")
        }
        var path = "/"
        if case .absolute(let given) = WebAddress(url) { path = given }
        writer.open(
            "a",
            [
                ("class", "port-link"), ("data-node", String(max(number, 1))), ("data-port", String(port)),
                ("data-protocol", scheme == "https" ? "https" : "http"), ("data-path", path), ("href", "#"),
            ])
        inlines(node.children)
        writer.close("a")
    }

    // MARK: Pictures

    private mutating func image(_ node: LessonNode, _ url: String, _ title: String) {
        let alternative = node.plainText
        guard let source = references.picture(url) else {
            if case .external(let address) = WebAddress(url) {
                problem(
                    node.line, "the picture `\(url)` is on another site, which a lesson must not depend on",
                    "Put it beside the lesson. Until then the page shows a link to it.")
                writer.open("a", references.link(address) ?? [])
                writer.text(alternative.isEmpty ? "Picture" : alternative)
                writer.close("a")
                return
            }
            problem(node.line, "there is no picture `\(url)` beside the lesson", "Add it to the workshop's folder, or correct its name.")
            writer.open("em")
            writer.text(alternative)
            writer.close("em")
            return
        }
        if alternative.trimmed.isEmpty {
            problem(node.line, "the picture `\(url)` has no description", "Say what it shows: `![a terminal with two panes](…)`.")
        }
        writer.void(
            "img",
            [
                ("src", source), ("alt", alternative), ("title", title.isEmpty ? nil : title), ("loading", "lazy"),
                ("width", number(node.attributes["width"])), ("height", number(node.attributes["height"])),
            ] + classes(of: node))
    }

    private func number(_ text: String?) -> String? {
        guard var text else { return nil }
        if text.hasSuffix("px") { text = String(text.dropLast(2)) }
        return (1...5).contains(text.utf8.count) && text.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) ? text : nil
    }
}
