// Code: a command that a click types into a terminal, or a sample that is only read.
internal import Markup

/// What the words after a fence's backticks say.
struct FenceInfo: Equatable {
    var language: String?
    /// The terminal to type into: its number, or 0 for the active one; `nil` where no terminal is named.
    var terminal: Int?
    /// `no-run`: a click types the text and leaves Enter to the learner.
    var waitsForEnter = false
    /// `inert` or `output`: never a command, even under `clickable: all`.
    var isInert = false

    init(_ info: String, _ attributes: AttributeList) {
        var text = info[...]
        // `{:.term1}` or `{.term1}` in the info string.
        if let brace = text.firstIndex(of: "{") {
            let list = text[brace...].hasPrefix("{:") ? text[brace...] : "{:" + text[brace...].dropFirst()
            if let (parsed, _) = AttributeList.parse(prefixOf: list) { take(parsed) }
            text = text[..<brace]
        }
        for word in text.split(whereSeparator: \.isWhitespace).map(String.init) {
            if let number = AttributeList.terminal(named: word), word.hasPrefix(".") || terminal == nil {
                terminal = number
            } else if !flag(word.hasPrefix(".") ? String(word.dropFirst()) : word), language == nil {
                language = Self.languageName(word)
            }
        }
        take(attributes)
    }

    private mutating func take(_ list: AttributeList) {
        terminal = list.terminal ?? terminal
        for name in list.classes where AttributeList.terminal(named: name) == nil {
            if !flag(name), language == nil { language = Self.languageName(name.hasPrefix("language-") ? String(name.dropFirst(9)) : name) }
        }
    }

    private mutating func flag(_ word: String) -> Bool {
        switch word.lowercased() {
        case "no-run", "norun": waitsForEnter = true
        case "inert", "output", "sample": isInert = true
        default: return false
        }
        return true
    }

    private static func languageName(_ word: String) -> String? {
        let name = word.lowercased().prefix(20).filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "+" || $0 == "#" || $0 == "-") }
        return name.isEmpty ? nil : String(name)
    }
}

extension LessonRenderer {
    /// Fences that `clickable: all` makes commands.
    static let clickableLanguages: Set<String> = ["text", "sh", "bash", "console", "shell"]

    mutating func code(_ node: LessonNode, info: String) {
        let fence = FenceInfo(info, node.attributes)
        let isCommand =
            !fence.isInert
            && (fence.terminal != nil || (context.allFencesAreClickable && Self.clickableLanguages.contains(fence.language ?? "")))
        guard isCommand else {
            sample(node.literal, fence.language)
            return
        }
        if let number = fence.terminal { checkTerminal(number, node.line) }
        for part in fence.language == "console" ? Self.transcript(node.literal) : [(text: node.literal, isCommand: true)] {
            if part.isCommand { command(part.text, fence, node.line) } else { sample(part.text, nil) }
        }
    }

    mutating func checkTerminal(_ number: Int, _ line: Int) {
        guard number > context.nodes else { return }
        problem(
            line, "terminal \(number) is named, and the workshop has \(context.nodes) node\(context.nodes == 1 ? "" : "s")",
            "Name a terminal from 1 to \(context.nodes), or ask for more `nodes`.")
    }

    private mutating func command(_ text: String, _ fence: FenceInfo, _ line: Int) {
        let text = Self.dedented(text)
        guard !text.isEmpty else {
            problem(line, "this block can be clicked and holds no command", "Write a command into it, or remove it.")
            return
        }
        blockCount += 1
        writer.open(
            "lectern-block",
            [
                ("class", "block command"), ("id", "b-\(blockCount)"),
                ("data-term", fence.terminal.flatMap { $0 > 0 ? String($0) : nil }),
                ("data-run", fence.waitsForEnter ? nil : "true"),
            ])
        writer.open("pre")
        // Markdown's `text` fences are shell commands once they can be clicked.
        let language = fence.language.flatMap { $0 == "text" || $0 == "console" ? nil : $0 } ?? "sh"
        coloured(text, language)
        writer.close("pre")
        writer.close("lectern-block")
        writer.newline()
    }

    private mutating func sample(_ text: String, _ language: String?) {
        writer.open("pre", [("class", "sample")])
        coloured(text, language ?? "text")
        writer.close("pre")
        writer.newline()
    }

    private mutating func coloured(_ text: String, _ language: String) {
        writer.open("code", [("class", "language-\(language)")])
        for run in SyntaxColours.runs(text, language: language) {
            guard let style = run.style else {
                writer.text(run.text)
                continue
            }
            writer.open("span", [("class", style)])
            writer.text(run.text)
            writer.close("span")
        }
        writer.close("code")
    }

    /// The text without the indentation common to all its lines, and without blank lines at both ends.
    static func dedented(_ text: String) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        while let last = lines.last, last.allSatisfy(\.isWhitespace) { lines.removeLast() }
        while let first = lines.first, first.allSatisfy(\.isWhitespace) { lines.removeFirst() }
        let indent = lines.filter { !$0.allSatisfy(\.isWhitespace) }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        return lines.map { $0.dropFirst(min(indent, $0.prefix { $0 == " " }.count)) }.joined(separator: "\n")
    }

    /// A console transcript in parts: lines after a `$` prompt are commands (a `\` at the end goes on), others output.
    static func transcript(_ text: String) -> [(text: String, isCommand: Bool)] {
        let lines = dedented(text).split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.contains(where: { $0.hasPrefix("$ ") }) else { return [(text, true)] }
        var parts: [(lines: [Substring], isCommand: Bool)] = []
        var goesOn = false
        for line in lines {
            let isCommand = goesOn || line.hasPrefix("$ ")
            let shown = line.hasPrefix("$ ") && !goesOn ? line.dropFirst(2) : line
            goesOn = isCommand && line.hasSuffix("\\")
            if parts.last?.isCommand == isCommand { parts[parts.count - 1].lines.append(shown) } else { parts.append(([shown], isCommand)) }
        }
        return parts.map { ($0.lines.joined(separator: "\n"), $0.isCommand) }.filter { !$0.0.trimmed.isEmpty }
    }
}
