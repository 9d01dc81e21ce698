// What each thing that an author can write becomes in the page.
import Testing

@testable import Workshops

@Suite struct DialectTests {
    // MARK: Commands

    @Test func aFenceThatNamesATerminalIsACommandForIt() {
        let html = body("```.term2\nls\n```\n")
        #expect(
            html.hasPrefix(#"<lectern-block class="block command" id="b-1" data-term="2" data-run="true"><pre><code class="language-sh">"#))
        #expect(html.contains("ls</span></code></pre></lectern-block>"))
    }

    @Test(arguments: [
        "```bash .term1\nls\n```", "```{.term1}\nls\n```", "```{:.term1}\nls\n```", "```bash\nls\n```\n{:.term1}",
        "{:.term1}\n```bash\nls\n```",
    ])
    func theTerminalMayStandInTheInfoStringOrInAnAttributeList(_ markdown: String) {
        #expect(body(markdown).contains(#"data-term="1" data-run="true""#))
    }

    @Test func aTerminalWithoutANumberIsTheActiveOne() {
        let html = body("```.term\nls\n```\n")
        #expect(html.contains("<lectern-block") && !html.contains("data-term"))
    }

    @Test func aPlainFenceIsASample() {
        #expect(body("```bash\nls\n```\n").hasPrefix(#"<pre class="sample"><code class="language-bash">"#))
        #expect(body("    ls\n").hasPrefix(#"<pre class="sample"><code class="language-text">ls"#))
    }

    @Test(arguments: ["text", "sh", "bash", "console"])
    func clickableAllMakesCommandsOfShellFences(_ language: String) {
        #expect(body("```\(language)\nls\n```\n", clickableAll: true).contains("<lectern-block"))
        #expect(!body("```\(language)\nls\n```\n").contains("<lectern-block"))
    }

    @Test(arguments: ["yaml", "", "text output", "bash inert"])
    func clickableAllLeavesOtherFencesAlone(_ info: String) {
        #expect(!body("```\(info)\nls\n```\n", clickableAll: true).contains("<lectern-block"))
    }

    @Test func noRunLeavesEnterToTheLearner() {
        #expect(!body("```.term1 no-run\nls\n```\n").contains("data-run"))
    }

    @Test func commandsLoseTheirCommonIndentation() {
        #expect(body("```.term1\n  cd /tmp &&\n    ls\n\n```\n").contains(">cd</span> /tmp &amp;&amp;\n  <span"))
    }

    @Test func aConsoleTranscriptBecomesCommandsAndOutput() {
        let html = body("```console .term1\n$ echo a \\\n  b\na b\n$ pwd\n/root\n```\n")
        #expect(html.components("<lectern-block") == 3 && html.components(#"<pre class="sample">"#) == 3)
        #expect(html.contains("a \\\n  b</code>") && html.contains(">a b</code>") && !html.contains("$ "))
    }

    @Test func inlineCodeCanBeACommand() {
        #expect(body("Type `ls`{:.term1} now") == "<p>Type <lectern-inline data-term=\"1\"><code>ls</code></lectern-inline> now</p>\n")
    }

    // MARK: Links, pictures

    @Test func aPortLinkNamesNodePortProtocolAndPath() {
        let html = body(#"[open _it_](/a?b=c){:data-term=".term2"}{:data-port="30001"}{:data-protocol="https"}."#)
        #expect(
            html
                == "<p><a class=\"port-link\" data-node=\"2\" data-port=\"30001\" data-protocol=\"https\" data-path=\"/a?b=c\" href=\"#\">open <em>it</em></a>.</p>\n"
        )
    }

    @Test func portLinksInsideEmphasisAndListsWork() {
        #expect(
            body(#"* **[x](/){:data-term=".term1"}{:data-port="80"}**"#).contains(
                #"<strong><a class="port-link" data-node="1" data-port="80""#))
    }

    @Test func linksToOtherSitesOpenThere() {
        #expect(body("[a](https://e.org)").contains(#"<a href="https://e.org" target="_blank" rel="noopener noreferrer">a</a>"#))
        #expect(body("www.e.org").contains(#"<a href="http://www.e.org" target="_blank""#))
    }

    @Test func targetsHoldUnderscoresThatAreNoEmphasis() {
        let html = body("[a](/x){:target=\"_blank\"} and _b_ and [c](/y){:target=\"_blank\"}")
        #expect(
            html
                == "<p><a href=\"/x\" target=\"_blank\" rel=\"noopener\">a</a> and <em>b</em> and <a href=\"/y\" target=\"_blank\" rel=\"noopener\">c</a></p>\n"
        )
    }

    @Test func picturesBesideTheLessonAreServedFromTheWorkshop() {
        for address in [
            "images/a b.png", "/images/a b.png", "../images/a b.png", "{{site.baseurl}}/images/a b.png", "./images/a b.png?raw=true",
        ] {
            let html = body("![A cat](<\(address)>){:width=\"40\"}", files: ["images/a b.png"])
            #expect(html == "<p><img src=\"/w/demo/files/images/a%20b.png\" alt=\"A cat\" loading=\"lazy\" width=\"40\"></p>\n")
        }
    }

    @Test func aPictureWithATitleIsAFigure() {
        #expect(
            body("![A](a.png \"Of a cat\")", files: ["a.png"]).hasPrefix(
                "<figure><img src=\"/w/demo/files/a.png\" alt=\"A\" title=\"Of a cat\" loading=\"lazy\"><figcaption>Of a cat"))
    }

    @Test func linksLeadToPagesAndFilesOfTheWorkshop() {
        let pages = [("01-intro.md", "intro"), ("02-more.md", "more")]
        #expect(render("[a](02-more.md#Some_Part)", pages: pages).html.contains(#"href="/w/demo/more#s-some-part""#))
        #expect(render("[a](data.txt)", files: ["data.txt"]).html.contains(#"href="/w/demo/files/data.txt""#))
    }

    // MARK: Structure

    @Test func eachSecondLevelHeadingBeginsAStep() {
        let page = render("Intro\n\n## One\n\na\n\n### Deeper\n\n## Two\n\nb\n").page
        #expect(page.steps == [.init(id: "s-one", title: "One"), .init(id: "s-two", title: "Two")])
        #expect(page.headings.map(\.level) == [2, 3, 2])
        #expect(
            page.html.contains(
                "<section class=\"step\" data-step=\"s-one\">\n<h2 id=\"s-one\">One</h2>\n<p>a</p>\n<h3 id=\"s-deeper\">Deeper</h3>\n</section>"
            ))
    }

    @Test func theFirstHeadingIsThePagesTitle() {
        let page = render("# The *title*\n\nText").page
        #expect(page.title == "The title" && page.html.hasPrefix("<h1>The title</h1>\n<p>Text</p>"))
    }

    @Test func levelsAreShiftedSoThatStepsAreOfTheSecond() {
        #expect(render("# T\n\n# One\n\n## Sub\n").page.headings.map(\.level) == [2, 3])
        #expect(render("### One\n\n#### Sub\n").page.headings.map(\.level) == [2, 3])
    }

    @Test func headingIDsAreStableAndUnique() {
        let page = render("## Set up!\n## Set up?\n## 1. Run `it`\n## 2. Run {#custom}\n## ☃\n## Über uns\n").page
        #expect(page.headings.map(\.id) == ["s-set-up", "s-set-up-2", "s-1-run-it", "s-custom", "s-part", "s-über-uns"])
    }

    @Test func linksToHeadingsWorkInTheSpellingsOfGitHubAndJekyll() {
        let html = body("## 1. Set up\n[a](#1-set-up) [b](#set-up) [c](#Set_Up) <a name=\"Task_4\"></a>[d](#Task_4)")
        #expect(html.components("href=\"#s-1-set-up\"") == 4)
        #expect(html.contains("<a id=\"s-task-4\"></a><a href=\"#s-task-4\">d</a>"))
    }

    @Test func calloutsHaveAKindAndATitle() {
        #expect(
            body("> [!TIP]\n> Do *it*\n")
                == "<aside class=\"callout tip\" role=\"note\"><p class=\"callout-title\">Tip</p>\n<p>Do <em>it</em></p>\n</aside>\n")
        #expect(
            body("> [!WARNING] Mind\n>\n> it\n").contains("callout warning\" role=\"note\"><p class=\"callout-title\">Mind</p>\n<p>it</p>"))
        #expect(body("Mind it\n{:.caution}\n").contains("callout caution"))
    }

    @Test func tablesTasksAndFootnotesWork() {
        #expect(
            body("| a | b |\n|---|--:|\n| 1 | 2 |\n{:.wide}\n").hasPrefix(
                "<div class=\"table\"><table class=\"wide\">\n<thead><tr><th scope=\"col\">a</th><th class=\"right\" scope=\"col\">b</th></tr>\n</thead><tbody><tr><td>1</td><td class=\"right\">2</td></tr>\n</tbody></table></div>"
            ))
        #expect(
            body("- [x] a\n- [ ] b\n").contains(
                "<li class=\"task-list-item\"><label><input type=\"checkbox\" id=\"t-1\" checked=\"\">a</label></li>"))
        let html = body("a[^n] b[^n]\n\n## S\n\n[^n]: Note\n")
        #expect(html.contains("<sup class=\"footnote-ref\"><a href=\"#fn-1\" id=\"fnref-1-2\">1</a></sup>"))
        #expect(
            html.contains(
                "</section>\n<section class=\"footnotes\" aria-label=\"Footnotes\"><ol>\n<li id=\"fn-1\"><p>Note <a class=\"footnote-back\" href=\"#fnref-1\""
            ))
    }

    @Test func anAttributeListEndsAListAndATable() {
        let html = body("- a\n- b\n{:.small}\n- c\n")
        #expect(html == "<ul class=\"small\">\n<li>a</li>\n<li>b</li>\n</ul>\n<ul>\n<li>c</li>\n</ul>\n")
    }

    @Test func jekyllsTableOfContentsIsLeftOut() {
        #expect(body("* TOC\n{:toc}\n\nText").hasPrefix("<p>Text"))
    }

    // MARK: Quizzes

    @Test func aQuizMayBeMarkedAboveItsQuestion() {
        let html = body("{:.quiz}\nWhich *one*?\n- (x) A\n- ( ) B `c`\n\n{:.quiz}\nWhich?\n\n- [x] A\n- [ ] B\n\n  Because.\n- [x] C\n")
        #expect(
            html.contains(
                "<lectern-quiz id=\"q-1\" data-kind=\"single\">\n<p class=\"question\">Which <em>one</em>?</p>\n<ul>\n<li data-correct=\"true\"><label>A</label></li>\n<li data-correct=\"false\"><label>B <code>c</code></label></li>"
            ))
        #expect(html.contains("<lectern-quiz id=\"q-2\" data-kind=\"multiple\">"))
        #expect(html.contains("<li data-correct=\"false\"><label>B</label><div class=\"explanation\"><p>Because.</p>"))
    }

    @Test func aQuizMayBeMarkedBelowItsAnswers() {
        let html = body("Before\n\nWhich?\n- ( ) A\n- (x) B\n{:.quiz}\n\nAfter\n")
        #expect(html.contains("<p>Before</p>\n<lectern-quiz id=\"q-1\" data-kind=\"single\">\n<p class=\"question\">Which?</p>"))
        #expect(html.hasSuffix("</lectern-quiz>\n<p>After</p>\n"))
    }

    @Test func aQuestionMayHoldCode() {
        #expect(
            body("{:.quiz}\nWhat does it print?\n```sh\nls\n```\n- (x) A\n- ( ) B\n").contains(
                "<div class=\"question\"><p>What does it print?</p>\n<pre class=\"sample\">"))
    }

    // MARK: Liquid

    @Test func rawTextIsKeptAndItsTagsGo() {
        let html = body("```.term1\n{% raw %}\nkubectl get -o '{{ .x }}'\n{% endraw %}\n```\n\nA {% raw %}{{site.baseurl}}{% endraw %}.\n")
        #expect(html.contains("{{ .x }}") && !html.contains("raw"))
        #expect(
            html.contains("<p>A {{site.baseurl}}.</p>") && html.contains("<code class=\"language-sh\"><span class=\"tok-command\">kubectl"))
    }

    @Test func attributeListsInCodeAreCode() {
        #expect(body("`{:.term1}` and\n\n```\n{:.term1}\n  {:.a}\nx {:.b}\n```\n").contains("<code>{:.term1}</code>"))
        #expect(body("```\n{:.term1}\n  {:.a}\nx {:.b}\n```\n").contains(">{:.term1}\n  {:.a}\nx {:.b}\n</code>"))
    }

    @Test func bracesThatAreNoAttributeListStay() {
        #expect(body("a {:not > one} b {:") == "<p>a {:not &gt; one} b {:</p>\n")
    }

    @Test func highlightTagsAreFencesAndCommentsGo() {
        let html = body("{% highlight bash %}\nls\n{% endhighlight %}\n{% comment %} secret\nmore {% endcomment %}\nText\n")
        #expect(html.contains("language-bash") && !html.contains("secret") && !html.contains("more") && html.contains("Text"))
    }

    @Test func windowsLineEndsAndByteOrderMarksAreNoContent() {
        let source = LessonSource("\u{FEFF}---\r\ntitle: A\r\n---\r\nText\r\n", file: "a.md")
        #expect(source.frontMatter?.text == "title: A" && source.body == "\n\n\nText\n")
    }
}

extension String {
    /// In how many parts `separator` cuts it.
    func components(_ separator: String) -> Int { split(separator: separator, omittingEmptySubsequences: false).count }
}
