// What every file has: a purpose, and a size that a person can read; and every room a line in the documentation.
import Testing

@Suite struct FileTests {
    private let tree = SourceTree.shared

    @Test func everyFileOpensWithItsPurpose() {
        var findings = Findings()
        for file in tree.sources + tree.tests {
            let first = file.lines.first ?? ""
            let second = file.lines.dropFirst().first ?? ""
            let ends = first.hasSuffix(".") || first.hasSuffix(":") || second.hasPrefix("//")
            if !first.hasPrefix("// ") || first.count < 20 || !ends {
                findings.add(file, line: 1, "the first line is one sentence, as a comment, of what the file is for")
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test func noFileIsTooLongToRead() {
        let limitLines = 500
        var findings = Findings()
        for file in tree.sources + tree.tests where file.lines.count > limitLines + 1 {
            findings.add(file, line: limitLines, "\(file.lines.count) lines; split it before \(limitLines)")
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test func everyRoomIsExplained() {
        let index = tree.text("docs/index.md") ?? ""
        let missing = tree.rooms.map { "\($0.layer)/\($0.name)" }.filter { !index.contains("`\($0)`") }
        #expect(missing.isEmpty, "docs/index.md has a line for each room")
    }

    @Test func noRoomIsCalledByWhatItIsNot() {
        let names = tree.rooms.map(\.name).filter { $0.contains(/Utils|Helpers|Common|Misc|Manager$/) }
        #expect(names.isEmpty, "a room is named after its responsibility")
    }

    /// Documents link to each other with relative paths; a link to a file that is gone is found here.
    @Test(arguments: SourceTree.shared.documents)
    func linksInDocumentsLead(document: String) throws {
        // Samples of Markdown are not links of the document.
        let text = try #require(tree.text(document)).replacing(/(?s)```.*?```|~~~.*?~~~/, with: "").replacing(/``.*?``|`[^`\n]*`/, with: "")
        let folder = document.split(separator: "/").dropLast().joined(separator: "/")
        var findings = Findings()
        for match in text.matches(of: /\]\(([^)#:\s]+)(?:#[^)]*)?\)/) {
            let target = (folder.isEmpty ? "" : folder + "/") + String(match.output.1)
            if !tree.exists(target) {
                findings.add(document, "a link to \(match.output.1), which is not there")
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }
}
