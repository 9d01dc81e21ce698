// Quizzes: a question and answers marked `(x)`/`( )` for one right answer, `[x]`/`[ ]` for several.
internal import Markup

extension LessonRenderer {
    private struct Answer {
        var isRight: Bool
        /// `[ ]` rather than `( )`.
        var isBox: Bool
        var node: LessonNode
    }

    mutating func quiz(_ node: LessonNode) {
        guard let list = node.children.last, list.isList else { return blocks(node.children) }
        let answers = list.children.compactMap(answer)
        guard answers.count == list.children.count, answers.count >= 2 else {
            problem(
                list.line, "this quiz has an answer without a mark, or fewer than two answers",
                "Begin every answer with `(x)` or `( )`, or with `[x]` or `[ ]` where several are right.")
            return blocks(node.children)
        }
        let right = answers.count { $0.isRight }
        let isMultiple = answers.contains(where: \.isBox) || right > 1
        if right == 0 {
            problem(list.line, "no answer of this quiz is marked as right", "Mark it with `(x)`, or several with `[x]`.")
        } else if right > 1, !answers.contains(where: \.isBox) {
            problem(list.line, "\(right) answers are marked `(x)`, which means one", "Mark them `[x]` and `[ ]` where several are right.")
        }
        quizCount += 1
        writer.open("lectern-quiz", [("id", "q-\(quizCount)"), ("data-kind", isMultiple ? "multiple" : "single")])
        writer.newline()
        question(Array(node.children.dropLast()), list.line)
        writer.open("ul")
        writer.newline()
        for answer in answers { write(answer) }
        writer.close("ul")
        writer.close("lectern-quiz")
        writer.newline()
    }

    private mutating func question(_ nodes: [LessonNode], _ line: Int) {
        if nodes.isEmpty { problem(line, "this quiz asks nothing", "Write the question as a paragraph above the answers.") }
        if nodes.count == 1, nodes[0].isParagraph {
            writer.open("p", [("class", "question")])
            inlines(nodes[0].children)
            writer.close("p")
        } else {
            writer.open("div", [("class", "question")])
            for node in nodes {
                var plain = node
                plain.attributes = AttributeList()
                block(plain, isTopLevel: false)
            }
            writer.close("div")
        }
        writer.newline()
    }

    private mutating func write(_ answer: Answer) {
        writer.open("li", [("data-correct", answer.isRight ? "true" : "false")])
        var rest = answer.node.children
        writer.open("label")
        if let first = rest.first, first.isParagraph {
            inlines(first.children)
            rest.removeFirst()
        }
        writer.close("label")
        if !rest.isEmpty {
            writer.open("div", [("class", "explanation")])
            blocks(rest)
            writer.close("div")
        }
        writer.close("li")
        writer.newline()
    }

    private func answer(_ item: LessonNode) -> Answer? {
        if case .markdown(.item(let checked?)) = item.kind { return Answer(isRight: checked, isBox: true, node: item) }
        guard let first = item.children.first, first.isParagraph, let text = first.children.first, text.isText else { return nil }
        let marks: [(String, Bool, Bool)] = [
            ("(x)", true, false), ("(X)", true, false), ("( )", false, false), ("()", false, false), ("[x]", true, true),
            ("[X]", true, true), ("[ ]", false, true), ("[]", false, true),
        ]
        guard let (mark, isRight, isBox) = marks.first(where: { text.literal.hasPrefix($0.0) }) else { return nil }
        var node = item
        node.children[0].children[0].literal = String(text.literal.dropFirst(mark.count).drop { $0 == " " })
        return Answer(isRight: isRight, isBox: isBox, node: node)
    }
}
