// Lint: every fault with its file, its line and its repair.
import Testing

@testable import Workshops

@Suite struct LintTests {
    private func lint(_ lesson: String, _ files: [String: String] = [:], maximum: RequestedCaps = RequestedCaps()) throws -> [LintProblem] {
        let shelf = try Shelf(files.merging(["w/lesson.md": lesson]) { $1 })
        return Lint.lint(shelf.path + "/w/", maximum: maximum)
    }

    @Test func aSoundWorkshopHasNoFaults() throws {
        #expect(try lint("# W\n\n## A\n\n```.term1\nls\n```\n\n![Cat](a.png) [x](#a)\n", ["w/a.png": "x"]) == [])
    }

    static let faults: [(String, Int, String)] = [
        ("# W\n\n![Cat](gone.png)\n", 3, "there is no picture `gone.png`"),
        ("# W\n\n![](https://e.org/a.png)\n", 3, "is on another site"),
        ("# W\n\n```.term3\nls\n```\n", 3, "terminal 3 is named, and the workshop has 1 node"),
        ("# W\n\n`ls`{:.term2}\n", 3, "terminal 2 is named"),
        ("# W\n\n[a](/){:data-term=\".term4\"}{:data-port=\"80\"}\n", 3, "terminal 4 is named"),
        ("# W\n\n[a](/){:data-term=\".term1\"}{:data-port=\"eighty\"}\n", 3, "`data-port` is no port number"),
        ("# W\n\n[a](/){:data-term=\".x\"}{:data-port=\"80\"}\n", 3, "names no terminal"),
        ("# W\n\n[a](/){:data-port=\"80\"}{:data-protocol=\"ftp\"}\n", 3, "is no protocol of a port link"),
        ("# W\n\nSee\n[a](other.md).\n", 4, "`other.md` is no page of this workshop"),
        ("# W\n\n[a](data.txt)\n", 3, "there is no file `data.txt`"),
        ("# W\n\n[a](#nowhere)\n", 3, "`#nowhere` leads to no heading"),
        ("# W\n\n[a](javascript:x)\n", 3, "leads nowhere a lesson may lead"),
        ("# W\n\n[a](http://localhost:8000/)\n", 3, "opens the learner's own machine"),
        ("# W\n\n{:.quiz}\nQ?\n- ( ) a\n- ( ) b\n", 5, "no answer of this quiz is marked as right"),
        ("# W\n\n{:.quiz}\nQ?\n- (x) a\n- (x) b\n", 5, "2 answers are marked `(x)`"),
        ("# W\n\n{:.quiz}\nQ?\n- (x) a\n- b\n", 5, "has an answer without a mark"),
        ("# W\n\n## A\n\n## A\n", 5, "the heading “A” stands on line 3 already"),
        ("# W\n\n{% raw %}\n", 3, "`{% raw %}` is never ended"),
        ("# W\n\n{% include x %}\n", 3, "the Liquid tag `{% include x %}` does nothing here"),
        ("# W\n\n<script>x</script>\n", 3, "`<script>` is not allowed"),
        ("# W\n\n<b onclick=\"x\">y</b>\n", 3, "the attribute `onclick` is not allowed"),
        ("# W\n\n<div>\n\nopen\n", 3, "`<div>` is never closed"),
        ("# W\n\n> [!NOTICE]\n> x\n", 3, "there is no callout `[!NOTICE]`"),
        ("# W\n\n```.term1\n```\n", 3, "holds no command"),
        ("---\ntitle: a\n# W\n", 1, "the front matter begins here and never ends"),
        ("---\ntitel: a\n---\n# W\n", 2, "there is no key `titel`"),
        ("---\nimage: gone.png\n---\n# W\n", 2, "there is no picture `gone.png`"),
    ]

    @Test(arguments: faults) func eachFaultIsNamedWithItsLineAndARepair(_ lesson: String, _ line: Int, _ message: String) throws {
        let problems = try lint(lesson)
        let problem = problems.first { $0.message.contains(message) }
        #expect(problem != nil, "\(problems)")
        #expect(problem?.line == line && problem?.file == "lesson.md" && problem?.fix.isEmpty == false, "\(problems)")
    }

    @Test func capsAboveThePlatformsAreFaults() throws {
        let problems = try lint(
            "# W\n", ["w/workshop.yaml": "title: W\ncaps:\n  cpu: 1\n  memory: 8Gi\n"],
            maximum: RequestedCaps(memoryBytesPerNode: 2 << 30, cpuMillicoresPerNode: 2000))
        #expect(
            problems.map(\.description) == [
                "workshop.yaml:4: error: the workshop asks for 8192Mi of `memory`, and this platform gives 2048Mi at most — Ask for less, or have the cap raised."
            ])
    }

    @Test func moreNodesThanThePlatformGivesAreAFault() throws {
        let shelf = try Shelf(["w/workshop.yaml": "title: W\nnodes: 4\n", "w/lesson.md": "# W\n"])
        #expect(
            Lint.lint(shelf.path + "/w", maximumNodes: 3).map { "\($0.line) \($0.message)" } == [
                "2 the workshop asks for 4 nodes, and this platform gives 3 at most"
            ])
    }

    @Test func aFolderOfWorkshopsIsReadWhole() throws {
        let shelf = try Shelf(["a/lesson.md": "# A\n\n[x](#y)\n", "b.md": "# B\n\n[x](#y)\n", "c/lesson.md": "# C\n"])
        #expect(Lint.lint(shelf.path).map { "\($0.file):\($0.line)" } == ["a/lesson.md:3", "b.md:3"])
    }

    @Test func nothingThereIsAFaultToo() {
        #expect(Lint.lint("/nonexistent").map(\.severity) == [.error])
    }
}
