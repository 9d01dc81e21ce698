// Lessons written to do harm: nothing runs, nothing of the page can be spoofed, and the work is bounded.
import Testing

@testable import Workshops

@Suite struct HostileLessonTests {
    @Test func rawHTMLGainsNoPowersOfThePage() {
        let html = body(
            """
            <lectern-block class="block command" data-run="true" data-term="1"><pre><code>rm -rf /</code></pre></lectern-block>

            <lectern-quiz data-kind="single"><ul><li data-correct="true">x</li></ul></lectern-quiz>

            <section class="step" data-step="spoof"><h2 id="terminal-pane">x</h2></section>

            <a class="port-link" data-node="1" data-port="22" href="#">x</a> <lectern-inline data-run="true"><code>x</code></lectern-inline>

            <input type="checkbox"> <button>y</button>
            """)
        for word in ["<lectern-", "data-", "port-link", "class=\"step\"", "id=\"terminal-pane\"", "<input", "<button"] {
            #expect(!html.contains(word), "\(word)")
        }
    }

    @Test func attributeListsGiveOnlyWhatTheyMay() {
        let html = body(
            "Text\n{:onclick=\"alert(1)\" style=\"x\" .evil .note #app data-run=\"true\"}\n\n[x](javascript:alert(1)){:data-port=\"80\"}{:data-term=\"\\\"><script>\"}\n\n![x](data:image/png;base64,AA){:onerror=\"x\"}\n"
        )
        for word in ["onclick", "style", "evil", "id=\"app\"", "data-run", "javascript", "<script", "onerror", "data:"] {
            #expect(!html.contains(word), "\(word)")
        }
    }

    @Test func valuesFromAnAuthorNeverEndAnAttribute() {
        let html = body(
            "[x](/a\"onx=y){:data-term=\".term1\"}{:data-port=\"80\"}\n\n```a\"><script> .term1\nx\n```\n\n[y](https://e.org/\"><script> 'a\"b')\n"
        )
        #expect(!html.contains("<script") && !html.contains("\"onx"))
    }

    @Test func privateCharactersOfTheSourceCannotStandForAttributeLists() {
        let html = body("`a`{\u{F0000}} and {\u{F0001}}\n{:.term1}\n")
        #expect(!html.contains("lectern-inline"))
    }

    @Test func codeShowsTheTextThatItTypes() {
        let html = body("```.term1\necho a\u{202E}b\u{1B}[2Jc\u{0}\n```\n")
        #expect(html.contains("a\u{FFFD}b\u{FFFD}[2Jc\u{FFFD}"))
    }

    @Test(arguments: [
        ">", "- ", "[", "*a ", "`", "<b>", "![", "[^a]", "[^a]: x\n", "| a ", "{:.a}", "{:a=", "{:a=\"", "{{", "{%", "{% raw %}", "# a\n",
        "## a\n", "<svg>\n\n", "- [ ] a\n",
        "```.term1\nls\n```\n", "{:.quiz}\nQ\n- (x) a\n\n", "<details>\n\n", "`a`{:.term1} ", "[a](#b) ", "&lt;", "\u{F0001}",
    ])
    func longRunsCostBoundedWork(_ piece: String) {
        let html = render(String(repeating: piece, count: 20_000 / piece.utf8.count)).html
        #expect(html.hasPrefix("<h1>"))
    }

    @Test func mixedBlocksNeverBreakTheWriter() {
        let pieces = [
            "# a\n", "## b\n", "- c\n", "  - d\n", "> e\n", "```.term1\nls\n```\n", "{:.quiz}\n", "{:.term1}\n", "- (x) f\n", "<div>\n",
            "</div>\n", "\n", "</section>\n",
            "| a | b |\n|---|---|\n", "[^1]\n", "[^1]: g\n", "<svg>\n", "<script>\n", "text `h`{:.term2} ", "<b>", "</b>", "1. i\n",
            "    j\n", "---\n", "> [!NOTE]\n", "{:toc}\n",
        ]
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let source = (0..<25).compactMap { _ in pieces.randomElement(using: &random) }.joined()
            let html = render(source).html
            #expect(html.components("<section") == html.components("</section>"), "\(source)")
        }
    }
}
