// A Markdown file made ready for the parser: front matter split off, Liquid resolved, attribute lists set aside.
//
// Nothing moves: every line keeps its number, so that faults can be told by line. An attribute list `{:…}` becomes `{X}`
// with X a private-use character that numbers it: braces are punctuation to Markdown, so emphasis beside it works, and
// no `_` or `"` of its own is read as markup. On a line of its own it becomes `<!--{X}-->`, a block that ends lists and
// tables as Kramdown's would. Where the list turns out to stand in code or HTML, `restore` brings it back.

struct LessonSource: Sendable {
    /// The YAML between the `---` lines, with its first line's number; `nil` where the file has none.
    var frontMatter: (text: String, line: Int)?
    /// The Markdown, with blank lines in place of the front matter.
    var body: String
    var lists: [AttributeList] = []
    var problems: [LintProblem] = []
    private var originals: [String] = []
    private var lines: [Substring] = []

    static let limitBytes = 1 << 20
    static let frontMatterLimitBytes = 16_384
    /// Attribute lists beyond this many stay text.
    static let listLimit = 10_000

    private static let firstMark: UInt32 = 0xF0000
    private static let droppedLine: Unicode.Scalar = "\u{F4FFF}"

    init(_ text: String, file: String) {
        var cleaned = String.UnicodeScalarView()
        var previous: Unicode.Scalar = "\n"
        for scalar in text.unicodeScalars where scalar != "\u{FEFF}" {
            if scalar == "\n", previous == "\r" {
                // counted at the carriage return
            } else if scalar == "\r" {
                cleaned.append("\n")
            } else {
                cleaned.append((Self.firstMark...Self.droppedLine.value).contains(scalar.value) ? "\u{FFFD}" : scalar)
            }
            previous = scalar
        }
        var lines = String(cleaned).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        body = ""
        splitFrontMatter(&lines, file)
        resolveLiquid(&lines, file)
        for index in lines.indices where lines[index].contains("{:") { lines[index] = setAside(lines[index]) }
        body = lines.joined(separator: "\n")
        self.lines = body.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The line `number` of the file, from 1.
    func line(_ number: Int) -> Substring { lines.indices.contains(number - 1) ? lines[number - 1] : "" }

    func isBlank(line number: Int) -> Bool { line(number).allSatisfy { $0 == " " || $0 == "\t" || $0 == ">" } }

    // MARK: Front matter

    private mutating func splitFrontMatter(_ lines: inout [String], _ file: String) {
        guard let first = lines.first, first.trimmedRight == "---" else { return }
        guard let end = lines.dropFirst().firstIndex(where: { $0.trimmedRight == "---" || $0.trimmedRight == "..." }) else {
            // A lone rule at the top is a rule; with keys below it, it is front matter that was not ended.
            if lines.count > 1, lines[1].contains(":"), !lines[1].hasPrefix(" ") {
                problems.append(
                    LintProblem(
                        file: file, line: 1, message: "the front matter begins here and never ends",
                        fix: "Put a line `---` after its last key.", severity: .error))
            }
            return
        }
        frontMatter = (lines[1..<end].joined(separator: "\n"), 2)
        for index in 0...end { lines[index] = "" }
    }

    // MARK: Liquid

    private mutating func resolveLiquid(_ lines: inout [String], _ file: String) {
        var rawLine: Int?
        var commentLine: Int?
        var fence: Substring?
        for index in lines.indices {
            let line = lines[index]
            let trimmed = line.drop { $0 == " " || $0 == ">" || $0 == "\t" }
            if let open = fence {
                if trimmed.hasPrefix(open), trimmed.drop(while: { $0 == open.first }).allSatisfy({ $0 == " " }) { fence = nil }
            } else if trimmed.hasPrefix("```") || trimmed.hasPrefix("~~~") {
                fence = trimmed.prefix { $0 == trimmed.first }
            }
            guard line.contains("{%") || line.contains("{{") || commentLine != nil else { continue }
            let (text, hadTag) = resolve(line, at: index + 1, &rawLine, &commentLine, file)
            // In code, a line that held nothing but tags goes altogether.
            let isEmptied = hadTag && fence != nil && text.allSatisfy { $0 == " " || $0 == "\t" }
            lines[index] = isEmptied ? text + String(Self.droppedLine) : text
        }
        for (line, name) in [(rawLine, "raw"), (commentLine, "comment")] {
            guard let line else { continue }
            problems.append(
                LintProblem(
                    file: file, line: line, message: "`{% \(name) %}` is never ended",
                    fix: "Put `{% end\(name) %}` after the text it is for.", severity: .warning))
        }
    }

    private mutating func resolve(
        _ line: String, at number: Int, _ rawLine: inout Int?, _ commentLine: inout Int?, _ file: String
    ) -> (String, hadTag: Bool) {
        var result = ""
        var rest = line[...]
        var hadTag = false
        // Without an end further on there is no tag; looking for one again and again would cost the square of the line.
        let lastEnd = [line.range(ofLast: "%}"), line.range(ofLast: "}}")].compactMap { $0?.lowerBound }.max() ?? line.startIndex
        while let brace = rest.firstIndex(of: "{") {
            if commentLine == nil { result += rest[..<brace] }
            rest = rest[brace...]
            let isTag = rest.hasPrefix("{%")
            guard isTag || rest.hasPrefix("{{"), brace < lastEnd, let end = rest.range(ofFirst: isTag ? "%}" : "}}") else {
                if commentLine == nil { result.append("{") }
                rest = rest.dropFirst()
                continue
            }
            let words = rest[rest.index(rest.startIndex, offsetBy: 2)..<end.lowerBound]
                .split { $0 == " " || $0 == "-" || $0 == "\t" }.map(String.init)
            let original = rest[..<end.upperBound]
            rest = rest[end.upperBound...]
            hadTag = hadTag || isTag
            if isTag, words == ["endraw"] {
                rawLine = nil
            } else if rawLine != nil {
                result += original
            } else if isTag, words == ["endcomment"] {
                commentLine = nil
            } else if commentLine != nil {
                continue
            } else if isTag, words == ["raw"] {
                rawLine = number
            } else if isTag, words == ["comment"] {
                commentLine = number
            } else if isTag, words.first == "highlight" {
                result += "```" + words.dropFirst().prefix(1).joined()
            } else if isTag, words == ["endhighlight"] {
                result += "```"
            } else if !isTag, words == ["site.baseurl"] || words == ["site.url"] {
                continue
            } else {
                if isTag {
                    problems.append(
                        LintProblem(
                            file: file, line: number, message: "the Liquid tag `\(original)` does nothing here",
                            fix: "Remove it, or put it between `{% raw %}` and `{% endraw %}` to show it.", severity: .warning))
                }
                result += original
            }
        }
        if commentLine == nil { result += rest }
        return (result, hadTag)
    }

    // MARK: Attribute lists

    private mutating func setAside(_ line: String) -> String {
        var result = ""
        var rest = line[...]
        while let brace = rest.firstIndex(of: "{") {
            result += rest[..<brace]
            rest = rest[brace...]
            if lists.count < Self.listLimit, let (list, after) = AttributeList.parse(prefixOf: rest) {
                originals.append(String(rest[..<after.startIndex]))
                result += "{"
                result.unicodeScalars.append(Unicode.Scalar(Self.firstMark + UInt32(lists.count)) ?? "?")
                result += "}"
                lists.append(list)
                rest = after
            } else {
                result.append("{")
                rest = rest.dropFirst()
            }
        }
        result += rest
        // Nothing but lists, and no code's indentation: a line of its own.
        let inner = result.drop { $0 == " " }
        var left = inner
        if takeLists(from: &left) != nil, left.allSatisfy({ $0 == " " }) {
            return result.prefix(result.count - inner.count) + "<!--\(inner.trimmedRight)-->"
        }
        return result
    }

    /// The attributes in a block that a line of its own became; `nil` where the HTML is an author's.
    func lists(inComment html: String) -> AttributeList? {
        let text = html.trimmed
        guard text.hasPrefix("<!--{"), text.hasSuffix("}-->") else { return nil }
        var inner = text.dropFirst(4).dropLast(3)
        guard let list = takeLists(from: &inner), inner.isEmpty else { return nil }
        return list
    }

    /// The text with attribute lists as they were written, and without the lines that Liquid emptied.
    func restore(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value >= Self.firstMark && $0.value <= Self.droppedLine.value }) else { return text }
        let kept = text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.unicodeScalars.contains(Self.droppedLine) }.joined(separator: "\n")
        let scalars = Array(kept.unicodeScalars)
        var result = String.UnicodeScalarView()
        var index = 0
        while index < scalars.count {
            let number = index + 2 < scalars.count ? Int(scalars[index + 1].value) - Int(Self.firstMark) : -1
            if scalars[index] == "<", scalars[index...].starts(with: "<!--{".unicodeScalars), isMark(scalars, index + 5) {
                index += 4  // the comment around a list of its own line
            } else if scalars[index] == "-", index >= 2, scalars[index...].starts(with: "-->".unicodeScalars), isMark(scalars, index - 2) {
                index += 3
            } else if scalars[index] == "{", originals.indices.contains(number), scalars[index + 2] == "}" {
                result.append(contentsOf: originals[number].unicodeScalars)
                index += 3
            } else {
                result.append(scalars[index])
                index += 1
            }
        }
        return String(result)
    }

    private func isMark(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
        scalars.indices.contains(index) && originals.indices.contains(Int(scalars[index].value) - Int(Self.firstMark))
    }

    /// Takes the attribute lists off the begin of `text`.
    func takeLists(from text: inout Substring) -> AttributeList? {
        guard var result = takeList(from: &text) else { return nil }
        while let list = takeList(from: &text) { result.merge(list) }
        return result
    }

    private func takeList(from text: inout Substring) -> AttributeList? {
        let scalars = text.unicodeScalars
        guard scalars.first == "{", let mark = scalars.dropFirst().first, scalars.dropFirst(2).first == "}",
            mark.value >= Self.firstMark, Int(mark.value - Self.firstMark) < lists.count
        else { return nil }
        text = Substring(scalars.dropFirst(3))
        return lists[Int(mark.value - Self.firstMark)]
    }
}

extension StringProtocol {
    var trimmedRight: String {
        var end = endIndex
        while end > startIndex, self[index(before: end)].isWhitespace { end = index(before: end) }
        return String(self[..<end])
    }

    var trimmed: String { String(drop(while: \.isWhitespace)).trimmedRight }

    /// Where the two characters `needle` stand first.
    func range(ofFirst needle: String) -> Range<Index>? {
        var start = startIndex
        while let found = self[start...].firstIndex(where: { $0 == needle.first }) {
            let next = index(after: found)
            if next < endIndex, self[next] == needle.last { return found..<index(after: next) }
            start = next
        }
        return nil
    }

    /// Where the two characters `needle` stand last.
    func range(ofLast needle: String) -> Range<Index>? {
        var end = endIndex
        while let found = self[..<end].lastIndex(where: { $0 == needle.first }) {
            let next = index(after: found)
            if next < endIndex, self[next] == needle.last { return found..<index(after: next) }
            end = found
        }
        return nil
    }
}
