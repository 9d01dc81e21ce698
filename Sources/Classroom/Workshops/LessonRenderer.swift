// Renders a page's model as the HTML that the lesson page expects, and notes what a learner would stumble over.
//
// The contract with Public/: `<h1>`, then the introduction, then a `<section class="step" data-step>` for each part.
// Commands are `<lectern-block>`, quizzes `<lectern-quiz>`, ports `<a class="port-link">`; docs/authors-guide.md shows
// what an author writes for each. Blocks are in `+Blocks`, text in `+Inlines`, quizzes in `+Quiz`.
internal import Markup

struct LessonRenderer {
    let source: LessonSource
    let context: LessonContext
    var references: LessonReferences
    var writer = HTMLWriter()
    var problems: [LintProblem] = []
    var headings: [LessonPage.Heading] = []
    var steps: [LessonPage.Step] = []
    /// Ids of all headings in order, and how many were written.
    var headingIDs: [String] = []
    var headingCount = 0
    /// Added to a heading's level, so that the parts of a page are of level 2.
    var levelShift = 0
    var blockCount = 0
    var quizCount = 0
    var taskCount = 0
    var footnoteUses: [Int: Int] = [:]
    var isInStep = false

    /// Further problems of a page are not listed.
    static let problemLimit = 200

    /// - Returns: `summary`, the text of the first paragraph.
    static func render(
        _ source: LessonSource, _ context: LessonContext, slug: String
    ) -> (page: LessonPage, summary: String, problems: [LintProblem]) {
        let document = LessonModel.read(source)
        var renderer = LessonRenderer(source: source, context: context)
        let page = renderer.page(document, slug: slug)
        let summary = document.children.first(where: \.isParagraph)?.plainText.trimmed ?? ""
        return (page, summary.count > 300 ? summary.prefix(299) + "…" : summary, renderer.problems)
    }

    private init(source: LessonSource, context: LessonContext) {
        self.source = source
        self.context = context
        references = LessonReferences(context: context, headings: [:])
        problems = source.problems
    }

    private mutating func page(_ document: LessonNode, slug: String) -> LessonPage {
        var blocks = document.children
        var title = context.title
        if let first = blocks.first, first.headingLevel == 1 {
            title = first.plainText.trimmed
            blocks.removeFirst()
        }
        collectHeadings(blocks)
        writer.open("h1")
        writer.text(title)
        writer.close("h1")
        writer.newline()
        var footnotes: [LessonNode] = []
        for block in blocks {
            if case .markdown(.footnoteDefinition) = block.kind { footnotes.append(block) } else { self.block(block, isTopLevel: true) }
        }
        endStep()
        if !footnotes.isEmpty { self.footnotes(footnotes) }
        let html = writer.finish()
        for remark in writer.remarks { note(remark) }
        checkFragments(document, html)
        return LessonPage(slug: slug, title: title, html: html, headings: headings, steps: steps)
    }

    // MARK: Headings

    private mutating func collectHeadings(_ blocks: [LessonNode]) {
        var found: [LessonNode] = []
        func walk(_ nodes: [LessonNode]) {
            for node in nodes {
                if node.headingLevel != nil { found.append(node) } else { walk(node.children) }
            }
        }
        walk(blocks)
        let highest = found.compactMap(\.headingLevel).min() ?? 2
        levelShift = 2 - highest
        let (ids, aliases) = Slug.assign(found.map { ($0.plainText, $0.attributes.id) })
        headingIDs = ids
        references = LessonReferences(context: context, headings: aliases.merging(ids.map { ($0, $0) }) { $1 })
        var seen: [String: Int] = [:]
        for heading in found {
            let text = heading.plainText.trimmed
            if let line = seen[text] {
                problem(
                    heading.line, "the heading “\(text)” stands on line \(line) already",
                    "Give each heading a text of its own, so that the contents can be told apart.")
            }
            seen[text] = heading.line
        }
    }

    mutating func heading(_ node: LessonNode, level: Int, isTopLevel: Bool) {
        let level = min(max(level + levelShift, 2), 6)
        let id = LessonReferences.idPrefix + (headingIDs.indices.contains(headingCount) ? headingIDs[headingCount] : "part")
        headingCount += 1
        let text = node.plainText.trimmed
        if level == 2, isTopLevel {
            endStep()
            writer.closeAuthorElements()
            writer.open("section", [("class", "step"), ("data-step", id)])
            writer.newline()
            isInStep = true
            steps.append(.init(id: id, title: text))
        }
        headings.append(.init(id: id, level: level, text: text))
        writer.open("h\(level)", [("id", id)] + classes(of: node))
        inlines(node.children)
        writer.close("h\(level)")
        writer.newline()
    }

    mutating func endStep() {
        guard isInStep else { return }
        writer.close("section")
        writer.newline()
        isInStep = false
    }

    // MARK: Problems

    mutating func problem(_ line: Int, _ message: String, _ fix: String) {
        guard problems.count < Self.problemLimit else { return }
        problems.append(LintProblem(file: context.file, line: line, message: message, fix: fix, severity: .warning))
    }

    private mutating func note(_ remark: HTMLWriter.Remark) {
        switch remark.kind {
        case .removedElement:
            problem(remark.line, "`<\(remark.what)>` is not allowed in a lesson and was left out", "Say it in Markdown.")
        case .removedAttribute:
            problem(remark.line, "the attribute `\(remark.what)` is not allowed in a lesson and was left out", "Remove it.")
        case .refusedAddress:
            problem(remark.line, "the address `\(remark.what)` leads nowhere a lesson may lead", Self.addressFix)
        case .unclosedElement:
            problem(remark.line, "`<\(remark.what)>` is never closed", "Put `</\(remark.what)>` where it ends.")
        }
    }

    static let addressFix = "Use an http or https address, a page of the workshop, or a file beside the lesson."

    private mutating func checkFragments(_ document: LessonNode, _ html: String) {
        var ids: Set<Substring> = []
        for part in html.split(separator: " id=\"").dropFirst() { ids.insert(part.prefix { $0 != "\"" }) }
        var wanted: [(String, Int)] = []
        func walk(_ node: LessonNode) {
            if case .markdown(.link(let url, _)) = node.kind, url.hasPrefix("#"), url.count > 1, node.attributes["data-port"] == nil {
                wanted.append((url, node.line))
            }
            for child in node.children { walk(child) }
        }
        walk(document)
        for (url, line) in wanted {
            guard case .inside(let target) = references.target(of: url), !ids.contains(target.dropFirst()) else { continue }
            problem(line, "`\(url)` leads to no heading of this page", "Write the heading's words in lower case with `-` between them.")
        }
    }

    // MARK: Attributes

    /// Classes that authors may use, from a node's attribute lists.
    func classes(of node: LessonNode) -> [HTMLWriter.Attribute] {
        let kept = node.attributes.classes.filter(AuthorHTML.classes.contains)
        return kept.isEmpty ? [] : [("class", kept.joined(separator: " "))]
    }

    /// `class` and `id`, from a node's attribute lists.
    func attributes(of node: LessonNode) -> [HTMLWriter.Attribute] {
        classes(of: node) + (node.attributes.id.flatMap(references.anchor).map { [("id", $0)] } ?? [])
    }
}
