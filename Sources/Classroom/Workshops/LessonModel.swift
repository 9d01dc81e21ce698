// The lesson model: the Markdown tree with each attribute list on its element, and quizzes as nodes of their own.
internal import Markup

/// A node of a lesson.
struct LessonNode: Sendable {
    enum Kind: Sendable {
        case markdown(MarkdownNode.Kind)
        /// Children: what is asked, and last the list of answers.
        case quiz
    }

    var kind: Kind
    var literal: String
    var children: [LessonNode]
    var line: Int
    var endLine: Int
    var attributes = AttributeList()
    /// The attribute lists of a line of their own, which is no content.
    var ownLine: AttributeList?

    /// All text below this node; attribute lists are gone, breaks are spaces.
    var plainText: String {
        guard case .markdown(let kind) = kind else { return children.map(\.plainText).joined() }
        switch kind {
        case .text, .code: return literal
        case .softBreak, .lineBreak: return " "
        case .htmlInline, .htmlBlock, .footnoteReference: return ""
        default: return children.map(\.plainText).joined()
        }
    }

    var isList: Bool { if case .markdown(.list) = kind { true } else { false } }
    var isParagraph: Bool { if case .markdown(.paragraph) = kind { true } else { false } }
    var isText: Bool { if case .markdown(.text) = kind { true } else { false } }
    var isBreak: Bool { if case .markdown(.softBreak) = kind { true } else { false } }
    var headingLevel: Int? { if case .markdown(.heading(let level)) = kind { level } else { nil } }
}

/// Makes the model of a page.
struct LessonModel {
    let source: LessonSource

    static func read(_ source: LessonSource) -> LessonNode {
        LessonModel(source: source).node(MarkdownNode.parse(source.body))
    }

    // MARK: One node

    private func node(_ markdown: MarkdownNode) -> LessonNode {
        var kind = markdown.kind
        switch kind {
        case .codeBlock(let info): kind = .codeBlock(info: source.restore(info))
        case .link(let url, let title): kind = .link(url: source.restore(url), title: source.restore(title))
        case .image(let url, let title): kind = .image(url: source.restore(url), title: source.restore(title))
        default: break
        }
        var result = LessonNode(
            kind: .markdown(kind), literal: kind == .text ? markdown.literal : source.restore(markdown.literal),
            children: markdown.children.map(node), line: markdown.line, endLine: markdown.endLine)
        if kind == .htmlBlock || kind == .htmlInline { result.ownLine = source.lists(inComment: markdown.literal) }
        switch kind {
        case .document, .blockQuote, .item, .footnoteDefinition: attachToBlocks(&result.children)
        case .paragraph, .heading: attachInParagraph(&result)
        case .tableCell, .emphasis, .strong, .strikethrough, .link: attachToInlines(&result.children)
        default: break
        }
        return result
    }

    // MARK: Inline elements

    // `[text](/){:.a}{:.b}`: lists go to the element they touch.
    private func attachToInlines(_ nodes: inout [LessonNode]) {
        var result: [LessonNode] = []
        for var node in nodes {
            if node.isText {
                var text = node.literal[...]
                if let last = result.last, !last.isText, !last.isBreak, let list = source.takeLists(from: &text) {
                    result[result.count - 1].attributes.merge(list)
                }
                node.literal = source.restore(String(text))
                if node.literal.isEmpty { continue }
            }
            result.append(node)
        }
        nodes = result
    }

    // A line of its own at the begin or end of a paragraph is for the paragraph; `# Title {#id}` for the heading.
    private func attachInParagraph(_ node: inout LessonNode) {
        if let first = node.children.first, first.isText {
            var text = first.literal[...]
            if let list = source.takeLists(from: &text), text.allSatisfy({ $0 == " " }) {
                if node.children.count == 1 {
                    node.children = []
                    node.attributes.merge(list)
                } else if node.children[1].isBreak {
                    node.children.removeFirst(2)
                    node.attributes.merge(list)
                }
            }
        }
        if node.headingLevel != nil, let last = node.children.last, last.isText { takeHeadingLists(last, &node) }
        while node.children.count >= 2, let last = node.children.last, last.isText, node.children[node.children.count - 2].isBreak {
            var text = last.literal[...]
            guard let list = source.takeLists(from: &text), text.allSatisfy({ $0 == " " }) else { break }
            node.children.removeLast(2)
            node.attributes.merge(list)
        }
        // Indented too far to be a block of its own.
        while let last = node.children.last, let list = last.ownLine {
            node.children.removeLast()
            if node.children.last?.isBreak == true { node.children.removeLast() }
            node.attributes.merge(list)
        }
        attachToInlines(&node.children)
    }

    private func takeHeadingLists(_ last: LessonNode, _ node: inout LessonNode) {
        var text = last.literal
        if let brace = text.lastIndex(of: "{") {
            var tail = text[brace...]
            if let list = source.takeLists(from: &tail), tail.isEmpty {
                node.attributes.merge(list)
                text = String(text[..<brace]).trimmedRight
            } else if tail.hasPrefix("{#"), tail.hasSuffix("}"), !tail.contains(" ") {
                node.attributes.id = String(tail.dropFirst(2).dropLast())
                text = String(text[..<brace]).trimmedRight
            }
        }
        node.children[node.children.count - 1].literal = text
    }

    // MARK: Blocks

    private func attachToBlocks(_ nodes: inout [LessonNode]) {
        var result: [LessonNode] = []
        var forNext = AttributeList()
        for var node in nodes {
            if case .markdown(.htmlBlock) = node.kind, let list = node.ownLine { node.attributes = list }
            if node.ownLine != nil || (node.isParagraph && node.children.isEmpty), !node.attributes.isEmpty {
                let touchesPrevious = !result.isEmpty && !source.isBlank(line: node.line - 1)
                let touchesNext = !source.isBlank(line: node.endLine + 1)
                if touchesPrevious || (!touchesNext && !result.isEmpty) {
                    result[result.count - 1].attributes.merge(node.attributes)
                } else {
                    forNext.merge(node.attributes)
                }
                continue
            }
            if !forNext.isEmpty {
                node.attributes.merge(forNext)
                forNext = AttributeList()
            }
            result.append(node)
        }
        nodes = groupQuizzes(result)
    }

    // MARK: Quizzes

    // `{:.quiz}` on the question, or on the list of answers below it.
    private func groupQuizzes(_ nodes: [LessonNode]) -> [LessonNode] {
        guard nodes.contains(where: { $0.attributes.has("quiz") }) else { return nodes }
        var result: [LessonNode] = []
        var index = 0
        while index < nodes.count {
            let node = nodes[index]
            if node.attributes.has("quiz"), node.isList {
                var quiz = LessonNode(kind: .quiz, literal: "", children: [node], line: node.line, endLine: node.endLine)
                if let question = result.last, question.isParagraph {
                    quiz.children.insert(result.removeLast(), at: 0)
                    quiz.line = question.line
                }
                result.append(quiz)
            } else if node.attributes.has("quiz"), let end = nodes[index...].prefix(6).firstIndex(where: \.isList),
                nodes[index + 1..<end].allSatisfy({ $0.headingLevel == nil })
            {
                result.append(
                    LessonNode(kind: .quiz, literal: "", children: Array(nodes[index...end]), line: node.line, endLine: nodes[end].endLine))
                index = end
            } else {
                result.append(node)
            }
            index += 1
        }
        return result
    }
}
