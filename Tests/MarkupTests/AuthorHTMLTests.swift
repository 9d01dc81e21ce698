// HTML that authors write: what is let through, and that nothing hostile is.
import Testing

@testable import Markup

struct TestReferences: AuthorReferences {
    func link(_ target: String) -> [HTMLWriter.Attribute]? {
        switch WebAddress(target) {
        case .external(let url): [("href", url), ("rel", "noopener")]
        case .mail(let url): [("href", url)]
        case .fragment(let name): [("href", "#" + name)]
        case .absolute(let path), .relative(let path): [("href", path)]
        case .refused: nil
        }
    }
    func picture(_ source: String) -> String? { if case .relative(let path) = WebAddress(source) { "/files/" + path } else { nil } }
    func anchor(_ name: String) -> String? { "s-" + name.filter { $0.isLetter || $0.isNumber } }
}

func sanitized(_ fragment: String) -> (html: String, remarks: [HTMLWriter.Remark]) {
    var writer = HTMLWriter()
    writer.open("article")
    AuthorHTML.write(fragment, to: &writer, references: TestReferences(), line: 1, isBlock: true)
    writer.closeAuthorElements()
    writer.text("after")
    writer.close("article")
    return (String(writer.finish().dropFirst("<article>".count).dropLast("after</article>".count)), writer.remarks)
}

@Suite struct AuthorHTMLTests {
    @Test func harmlessElementsPass() {
        #expect(sanitized("<b>a</b> &amp; <kbd>x</kbd><br/>&lt;").html == "<b>a</b> &amp; <kbd>x</kbd><br>&lt;")
        #expect(sanitized("<details open><summary>S</summary>T</details>").html == "<details open=\"\"><summary>S</summary>T</details>")
        #expect(sanitized("<img src='a.png' alt='x' width=\"40px\" onload=x>").html == "<img src=\"/files/a.png\" alt=\"x\" width=\"40\">")
        #expect(
            sanitized("<a name=top></a><A HREF=\"https://e.org\">x</A>").html
                == "<a id=\"s-top\"></a><a href=\"https://e.org\" rel=\"noopener\">x</a>")
        #expect(sanitized("<td colspan=2 class='note evil'>x</td>").html == "<td colspan=\"2\" class=\"note\">x</td>")
        #expect(sanitized("a < b and c > d & e").html == "a &lt; b and c &gt; d &amp; e")
    }

    @Test func dangerousElementsGoWithTheirContent() {
        #expect(sanitized("a<script>alert(1)</script>b").html == "ab")
        #expect(sanitized("a<STYLE>*{x:y}</STYLE >b").html == "ab")
        #expect(sanitized("a<svg><g onload=x><a href=x>t</a></g></svg>b").html == "ab")
        #expect(sanitized("a<iframe src=x>in</iframe>b<textarea></b><script></textarea>c").html == "abc")
        #expect(sanitized("a<script>never closed").html == "a")
        #expect(sanitized("a<svg><p>never closed").html == "a")
    }

    @Test func unknownElementsLoseTheirTagsAndKeepTheirText() {
        #expect(sanitized("<font color=red>a</font><form><button>b</button></form>").html == "ab")
        let spoof = "<lectern-block data-run=\"true\" data-term=\"1\"><pre><code>rm -rf /</code></pre></lectern-block>"
        #expect(sanitized(spoof).html == "<pre><code>rm -rf /</code></pre>")
        #expect(sanitized("<a class=\"port-link\" data-node=\"1\" data-port=\"22\">x</a>").html == "<a>x</a>")
    }

    @Test func remarksTellWhatWasLeftOut() {
        let kinds = sanitized("<script></script><b onclick=x>\n<a href='javascript:x'>").remarks
        #expect(kinds.map(\.what) == ["script", "onclick", "javascript:x", "a", "b"])
        #expect(kinds.map(\.line) == [1, 1, 2, 2, 1])
    }

    @Test func nothingClosesWhatThePlatformOpened() {
        var writer = HTMLWriter()
        writer.open("section")
        writer.open("p")
        AuthorHTML.write("</p></section><b>x", to: &writer, references: TestReferences(), line: 1, isBlock: false)
        writer.close("p")
        writer.close("section")
        #expect(writer.finish() == "<section><p><b>x</b></p></section>")
    }

    @Test func hiddenElementsEndWithTheParagraphThatHoldsThem() {
        var writer = HTMLWriter()
        writer.open("p")
        AuthorHTML.write("<svg>", to: &writer, references: TestReferences(), line: 1, isBlock: false)
        writer.text("hidden")
        writer.close("p")
        writer.text("shown")
        #expect(writer.finish() == "<p></p>shown")
    }

    @Test func endTagsMayBeLeftOutWhereHTMLLetsThem() {
        let (html, remarks) = sanitized("<ul><li>a<li>b</ul><p>c<p>d<div>e</div>")
        #expect(html == "<ul><li>a</li><li>b</li></ul><p>c</p><p>d</p><div>e</div>")
        #expect(remarks.isEmpty)
    }

    static let hostile = [
        "<script>alert(1)</script>", "<script src=//e.org/x.js></script>", "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "<img src=x onerror=alert(1)>", "<img src=x oNeRrOr=\"alert(1)\">", "<img/src=x/onerror=alert(1)>",
        "<img src='a.png'onerror=alert(1)>",
        "<img src=`x`onerror=alert(1)>", "<img src=\"a.png\" \"onerror=\"alert(1)\">", "<body onload=alert(1)>",
        "<div style=\"background:url(x)\">a</div>",
        "<a href=\"javascript:alert(1)\">x</a>", "<a href=\" \u{1}javascript:alert(1)\">x</a>", "<a href=\"java\tscript:alert(1)\">x</a>",
        "<a href=\"java&#10;script:alert(1)\">x</a>", "<a href=\"&#106;avascript&colon;alert(1)\">x</a>",
        "<a href=\"&#x6A;avascript&#58;alert(1)\">x</a>",
        "<a href=\"&#0000106avascript:alert(1)\">x</a>", "<a href=\"jav&Tab;ascript:alert(1)\">x</a>",
        "<a href=\"JaVaScRiPt:alert(1)\">x</a>",
        "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>", "<a href=\"vbscript:x\">x</a>", "<a href='file:///etc/passwd'>x</a>",
        "<img src=\"data:image/svg+xml;base64,PHN2Zz4=\">", "<img src=\"javascript:x\">", "<iframe src=\"javascript:alert(1)\"></iframe>",
        "<iframe srcdoc=\"<script>alert(1)</script>\">", "<object data=x></object>", "<embed src=x>", "<base href=\"//e.org/\">",
        "<meta http-equiv=refresh content=\"0;url=//e.org\">", "<link rel=stylesheet href=//e.org>",
        "<form action=//e.org><input name=x></form>",
        "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
        "<math><annotation-xml encoding=\"text/html\"><script>alert(1)</script></annotation-xml></math>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<textarea><p title=\"</textarea><img src=x onerror=alert(1)>\">",
        "<title><p title=\"</title><img src=x onerror=alert(1)>\">", "<template><script>alert(1)</script></template>",
        "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
        "<select><option><style></option></select></style><img src=x onerror=alert(1)>", "<plaintext><script>alert(1)</script>",
        "<!--><img src=x onerror=alert(1)>-->", "<!---><script>alert(1)</script>-->", "<!-- --!><script>alert(1)</script>",
        "<!-- unfinished",
        "<![CDATA[<script>alert(1)</script>]]>", "<?php <script>alert(1)</script> ?>", "<!DOCTYPE html><script>",
        "</p></div></section></article>",
        "<a <b>x", "<a href=\"", "<a href='x", "<", "</", "<!", "</ x>", "<a/=x>", "<a =\"x\">y</a>",
        "<a a='\"><script>alert(1)</script>'>x</a>",
        "<p title='\"><img src=x onerror=alert(1)>'>x", "<div><b><i></div></b></i>", "<table><tr><td><a href=x></table>y", "<p><p><p></p>",
        "<h1><h2></h1></h2>", "<li></ul><li>", "<details><summary></details></summary>", "<b \u{0} onclick=x>",
        "<img src=a.png alt=\"\u{0}\u{8}<x>\">",
        "<a href=\"https://e.org/\" target=_top rel=opener ping=//e.org download>x</a>",
        "<span id=lectern-app class=\"block command port-link step\">x</span>",
        "<lectern-inline data-run=true><code>x</code></lectern-inline>", "<input type=image src=x onerror=alert(1)>",
        "<video><source onerror=alert(1)></video>",
        "<audio src=x onerror=alert(1)>", "<button onclick=alert(1) formaction=javascript:alert(1)>x", "<marquee onstart=alert(1)>x",
        "<ruby><rt onclick=x>y",
        "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;", "&notanentity;&amp;&#xFFFFFFFFFF;&#0;",
        "<a href=\"//e.org\\@x\">x</a>", "<a href=\"\\\\e.org\">x</a>",
        "<bdo dir=\"rtl\" onx=y>x", "<img srcset=\"x 1x\" src=a.png sizes=y>", "<time datetime='\"><script>'>x</time>",
        "<ol start=\"1;evil\" type=\"x\"><li>",
    ]

    @Test(arguments: hostile) func hostileHTMLComesOutWellFormedAndHarmless(_ fragment: String) {
        let html = sanitized(fragment).html
        #expect(faults(in: html) == [], "\(html)")
        // Read once more, it stays what it is: nothing comes alive on a second parse.
        #expect(faults(in: sanitized(html).html) == [])
    }

    @Test func randomSoupComesOutWellFormed() {
        let pieces = [
            "<b>", "</b>", "<p>", "</p>", "<script>", "</script>", "<svg", ">", "<a href=\"", "javascript:", "\"", "'", "<!--", "-->",
            "<li>", "</ul>", "<table>",
            "onclick=", "x", " ", "/", "<", "&lt;", "&#", "=", "</article>", "<details>", "<style>", "</style>", "\n", "<img src=",
            "<math>", "<textarea>", "\u{0}",
        ]
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let soup = (0..<Int.random(in: 1...20, using: &random)).compactMap { _ in pieces.randomElement(using: &random) }.joined()
            #expect(faults(in: sanitized(soup).html) == [], "\(soup)")
        }
    }

    @Test func hugeFragmentsCostBoundedWork() {
        for piece in ["<b>", "<a href=x ", "<!--", "<svg>", "</b>", "<p title=\"", "&#", "<script>", "<li>", "<"] {
            let html = sanitized(String(repeating: piece, count: 20_000)).html
            #expect(faults(in: html) == [])
        }
    }
}

@Suite struct WebAddressTests {
    @Test func addressesAreReadAsBrowsersDo() {
        #expect(WebAddress("https://e.org/a") == .external("https://e.org/a"))
        #expect(WebAddress("//e.org") == .external("https://e.org") || WebAddress("//e.org") == .external("https:" + "//e.org"))
        #expect(WebAddress("#a") == .fragment("a") && WebAddress("/a") == .absolute("/a") && WebAddress("a/b?c:d") == .relative("a/b?c:d"))
        for text in [
            "javascript:x", "JAVASCRIPT:x", " \u{1}javascript:x", "java\nscript:x", "data:x", "x:y", "\\\\e.org", "/\\e.org", "a\u{1}b",
            ":x",
        ] {
            #expect(WebAddress(text) == .refused, "\(text)")
        }
    }

    @Test func pathsNeverLeaveTheirFolder() {
        #expect(WebAddress.pathSegments("a/./b/../c.png?x#y") == ["a", "c.png"])
        for path in [
            "../a", "a/../../b", "%2e%2e/a", "a/%2E%2E/%2e%2e/b", ".git/config", "a/.env", "a%2fb", "a%5cb", "a\\b", "a%00b", "", "..",
            "%zz", "a/%ff",
        ] {
            #expect(WebAddress.pathSegments(path) == nil, "\(path)")
        }
    }
}
