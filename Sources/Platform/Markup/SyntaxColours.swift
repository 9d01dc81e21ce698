// Splits code into coloured runs for the languages lessons use: comments, strings, numbers, keywords, names.
//
// One small scanner serves all languages; a `Language` says what their comments, strings and words look like. It colours,
// it does not parse: where it guesses wrong, text has an odd colour and is still the same text. To add a language, add
// it to `language(named:)`.

package enum SyntaxColours {
    /// A run of code and its class (`tok-comment`, …); plain text has none.
    package struct Run: Sendable, Equatable {
        package var text: String
        package var style: String?
    }

    struct Language {
        var lineComments: [String] = ["#"]
        var blockComment: (start: String, end: String)?
        var quotes: Set<UInt8> = [UInt8(ascii: "\""), UInt8(ascii: "'")]
        var keywords: Set<String> = []
        /// `$NAME`, `${…}` and `$(` stand out, and so does the first word of a command.
        var isShell = false
        /// A word before a colon is a key.
        var hasKeys = false
    }

    /// Code longer than this stays plain.
    package static let limitBytes = 65_536

    /// The code as runs, in order and complete.
    package static func runs(_ code: String, language name: String) -> [Run] {
        guard let language = language(named: name.lowercased()), code.utf8.count <= limitBytes else { return [Run(text: code)] }
        var scanner = Scanner(code: Array(code.utf8), language: language)
        return scanner.scan()
    }

    private static func words(_ text: String) -> Set<String> { Set(text.split(separator: " ").map(String.init)) }

    static func language(named name: String) -> Language? {
        switch name {
        case "sh", "bash", "shell", "console", "zsh", "term":
            Language(
                keywords: words("if then else elif fi for in do done while until case esac function return export local sudo"),
                isShell: true)
        case "yaml", "yml": Language(keywords: words("true false null yes no on off"), hasKeys: true)
        case "json": Language(lineComments: [], keywords: words("true false null"), hasKeys: true)
        case "python", "py":
            Language(
                keywords: words(
                    "def class return if elif else for while in import from as with try except finally raise pass lambda and or not is None True False yield async await global"
                ))
        case "ruby", "rb":
            Language(
                keywords: words("def class module end do if elsif else unless while return require yield begin rescue nil true false self"))
        case "javascript", "js", "typescript", "ts":
            Language(
                lineComments: ["//"], blockComment: ("/*", "*/"), quotes: quotesAndTicks,
                keywords: words(
                    "const let var function return if else for while of in new class import export from async await null undefined true false this throw try catch"
                ))
        case "go", "golang":
            Language(
                lineComments: ["//"], blockComment: ("/*", "*/"), quotes: quotesAndTicks,
                keywords: words(
                    "func package import return if else for range var const type struct interface go defer chan map nil true false switch case"
                ))
        case "swift":
            Language(
                lineComments: ["//"], blockComment: ("/*", "*/"),
                keywords: words(
                    "func let var struct class enum actor import return if else guard for in while switch case nil true false async await throws try self"
                ))
        case "c", "cpp", "c++", "rust", "rs", "java":
            Language(
                lineComments: ["//"], blockComment: ("/*", "*/"),
                keywords: words(
                    "int char void struct class return if else for while static const public private fn let mut impl use match enum true false null"
                ))
        case "dockerfile", "docker":
            Language(keywords: words("FROM RUN CMD COPY ADD ENV ARG EXPOSE WORKDIR ENTRYPOINT USER VOLUME LABEL HEALTHCHECK AS"))
        case "ini", "toml", "conf", "nginx", "properties", "makefile", "make": Language(lineComments: ["#", ";"])
        case "sql":
            Language(
                lineComments: ["--"],
                keywords: words(
                    "SELECT FROM WHERE INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE JOIN ON GROUP BY ORDER LIMIT AND OR NOT NULL"))
        default: nil
        }
    }

    private static let quotesAndTicks: Set<UInt8> = [UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`")]
}

private struct Scanner {
    let code: [UInt8]
    let language: SyntaxColours.Language
    private var runs: [SyntaxColours.Run] = []
    private var plainStart = 0
    private var index = 0
    private var commandMayStart = true
    /// The words that end the here documents begun on this line.
    private var hereDocuments: [String] = []

    init(code: [UInt8], language: SyntaxColours.Language) {
        self.code = code
        self.language = language
    }

    mutating func scan() -> [SyntaxColours.Run] {
        while index < code.count {
            let byte = code[index]
            if let end = commentEnd() {
                take(to: end, "tok-comment")
            } else if language.quotes.contains(byte) {
                takeString(byte)
            } else if language.isShell, byte == UInt8(ascii: "$") {
                takeVariable()
            } else if language.isShell, byte == UInt8(ascii: "\n"), !hereDocuments.isEmpty {
                index += 1
                takeHereDocument()
            } else if language.isShell, matches("<<", at: index), !matches("<<<", at: index) {
                beginHereDocument()
            } else if isWord(byte) {
                takeWord()
            } else {
                // A line that goes on after `\` starts no command.
                let goesOn = index > 0 && code[index - 1] == UInt8(ascii: "\\")
                if "|;&(".utf8.contains(byte) || (byte == UInt8(ascii: "\n") && !goesOn) { commandMayStart = true }
                index += 1
            }
        }
        flush()
        return runs
    }

    private func commentEnd() -> Int? {
        for mark in language.lineComments where matches(mark, at: index) {
            // A `#` inside a word, as in `$#` or `a#b`, is none.
            guard index == 0 || isSpace(code[index - 1]) || mark != "#" else { continue }
            return code[index...].firstIndex(of: UInt8(ascii: "\n")) ?? code.count
        }
        guard let block = language.blockComment, matches(block.start, at: index) else { return nil }
        var end = index + block.start.utf8.count
        while end < code.count, !matches(block.end, at: end) { end += 1 }
        return min(end + block.end.utf8.count, code.count)
    }

    private mutating func takeString(_ quote: UInt8) {
        var end = index + 1
        while end < code.count, code[end] != quote {
            // Outside shells, a quote that does not end on its line is an apostrophe.
            if code[end] == UInt8(ascii: "\n"), !language.isShell, quote != UInt8(ascii: "`") {
                index += 1
                return
            }
            end += code[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard end < code.count else {
            index += 1
            return
        }
        var after = end + 1
        while after < code.count, code[after] == UInt8(ascii: " ") { after += 1 }
        let isKey = language.hasKeys && after < code.count && code[after] == UInt8(ascii: ":")
        take(to: end + 1, isKey ? "tok-key" : "tok-string")
        commandMayStart = false
    }

    // `<<END`, `<<-END`, `<<'END'`.
    private mutating func beginHereDocument() {
        index += 2
        var end = index
        while end < code.count, "-'\"\\ ".utf8.contains(code[end]) { end += 1 }
        let start = end
        while end < code.count, isWord(code[end]) { end += 1 }
        guard end > start, hereDocuments.count < 8 else { return }
        hereDocuments.append(String(decoding: code[start..<end], as: UTF8.self))
        if end < code.count, code[end] == UInt8(ascii: "'") || code[end] == UInt8(ascii: "\"") { end += 1 }
        index = end
    }

    // At the first line of a here document's text.
    private mutating func takeHereDocument() {
        let word = hereDocuments.removeFirst()
        var end = index
        while end < code.count {
            let lineEnd = code[end...].firstIndex(of: UInt8(ascii: "\n")) ?? code.count
            let line = code[end..<lineEnd].drop { $0 == 0x09 }
            end = lineEnd
            if line.elementsEqual(word.utf8) { break }
            if end < code.count { end += 1 }
        }
        if end > index { take(to: end, "tok-string") }
        commandMayStart = true
    }

    private mutating func takeVariable() {
        var end = index + 1
        if end < code.count, code[end] == UInt8(ascii: "{") {
            while end < code.count, code[end] != UInt8(ascii: "}"), code[end] != UInt8(ascii: "\n") { end += 1 }
            end = min(end + 1, code.count)
        } else {
            while end < code.count, isWord(code[end]), code[end] != UInt8(ascii: "-"), code[end] != UInt8(ascii: ".") { end += 1 }
        }
        if end > index + 1 { take(to: end, "tok-variable") } else { index += 1 }
        commandMayStart = false
    }

    private mutating func takeWord() {
        var end = index
        while end < code.count, isWord(code[end]) { end += 1 }
        let word = String(decoding: code[index..<end], as: UTF8.self)
        let mayStart = commandMayStart
        commandMayStart = false
        if language.keywords.contains(word) {
            take(to: end, "tok-keyword")
            commandMayStart = language.isShell && ["then", "else", "do", "sudo"].contains(word)
        } else if language.hasKeys, end < code.count, code[end] == UInt8(ascii: ":"), end + 1 == code.count || isSpace(code[end + 1]) {
            take(to: end, "tok-key")
        } else if word.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: ".") }) {
            take(to: end, "tok-number")
        } else if language.isShell, mayStart {
            let assigns = end < code.count && code[end] == UInt8(ascii: "=")
            take(to: end, assigns ? "tok-variable" : "tok-command")
        } else if language.isShell, word.hasPrefix("-"), index == 0 || isSpace(code[index - 1]) {
            take(to: end, "tok-option")
        } else {
            index = end
        }
    }

    private mutating func take(to end: Int, _ style: String) {
        flush()
        runs.append(.init(text: String(decoding: code[index..<end], as: UTF8.self), style: style))
        index = end
        plainStart = end
    }

    private mutating func flush() {
        if plainStart < index { runs.append(.init(text: String(decoding: code[plainStart..<index], as: UTF8.self))) }
        plainStart = index
    }

    private func matches(_ text: String, at start: Int) -> Bool {
        start + text.utf8.count <= code.count && code[start..<start + text.utf8.count].elementsEqual(text.utf8)
    }

    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x09 }
    private func isWord(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || byte >= 0x80 || "_-./~".utf8.contains(byte)
    }
}
