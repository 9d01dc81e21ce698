// The library: what counts as a workshop, broken ones beside sound ones, reloading, files that may be served.
import Essentials
import FoundationEssentials
import OrderedCollections
import Testing

@testable import Workshops

@Suite struct LibraryTests {
    @Test func foldersAndLoneFilesAreWorkshops() throws {
        let shelf = try Shelf([
            "linux/workshop.yaml": "title: Linux\nnodes: 2\n", "linux/lesson.md": "# L\n\nText.\n",
            "plain/lesson.md": "# Plain\n\nFirst words.\n",
            "2017-12-07-Old_Lesson.md": "---\nterms: 2\n---\n# Old\n", "README.md": "# no\n", "images/alpine/recipe.txt": "no",
            "linux/README.md": "no",
        ])
        let library = WorkshopLibrary(directory: shelf.path)
        #expect(library.all().map(\.name) == ["linux", "old-lesson", "plain"])
        #expect(library.all().map(\.title) == ["Linux", "Old", "Plain"])
        #expect(library.workshop(named: "linux")?.nodes == 2 && library.workshop(named: "old-lesson")?.nodes == 2)
        #expect(library.workshop(named: "plain")?.description == "First words.")
        #expect(library.workshop(named: "nope") == nil)
    }

    @Test func pagesStandInTheirOrder() throws {
        let shelf = try Shelf([
            "w/workshop.yaml": "title: W\n", "w/02-second.md": "# Second\n", "w/01-first.md": "# First\n",
            "x/workshop.yaml": "title: X\npages: [b.md, a.md]\n", "x/a.md": "---\ntitle: Page A\n---\nText\n", "x/b.md": "# B\n",
        ])
        let library = WorkshopLibrary(directory: shelf.path)
        #expect(library.workshop(named: "w")?.pages.map(\.slug) == ["first", "second"])
        #expect(library.workshop(named: "x")?.pages.map(\.title) == ["B", "Page A"])
        #expect(library.workshop(named: "x")?.page("a")?.title == "Page A" && library.workshop(named: "x")?.page(nil)?.slug == "b")
    }

    @Test func aBrokenWorkshopSaysSoAndTakesNoOtherWithIt() throws {
        let shelf = try Shelf([
            "bad/workshop.yaml": "title: Bad\nnodes: 9\n", "bad/lesson.md": "# Bad\n", "empty/workshop.yaml": "title: Empty\n",
            "front/lesson.md": "---\ntitle: \"x\n---\n# F\n", "good/lesson.md": "# Good\n",
            "missing/workshop.yaml": "title: M\npages: [a.md]\n",
        ])
        try Data([0xFF, 0xFE, 0x00]).write(to: URL(filePath: shelf.path + "/bytes.md"))
        let library = WorkshopLibrary(directory: shelf.path)
        #expect(library.all().filter(\.isBroken).map(\.name).sorted() == ["bad", "bytes", "empty", "front", "missing"])
        #expect(library.workshop(named: "bad")?.title == "Bad" && library.workshop(named: "bad")?.pages == [])
        #expect(
            library.workshop(named: "bad")?.problems.first?.description
                == "workshop.yaml:2: error: `nodes` has a value that it cannot have — Give it a number from 1 to 5.")
        #expect(library.workshop(named: "missing")?.problems.first?.line == 2)
        #expect(library.workshop(named: "good")?.isBroken == false)
        #expect(library.workshop(named: "bad")?.listing["problems"] == 1)
    }

    @Test func limitsAreFaultsAndNotCrashes() throws {
        let shelf = try Shelf([
            "long.md": String(repeating: "a", count: WorkshopLimits.pageBytes + 1), "many/workshop.yaml": "title: Many\n",
        ])
        for page in 0...WorkshopLimits.pages { try shelf.write("many/p\(page).md", "# P\(page)\n") }
        let library = WorkshopLibrary(directory: shelf.path)
        #expect(library.workshop(named: "long")?.problems.first?.message == "the file is larger than 1024 KiB")
        #expect(library.workshop(named: "many")?.problems.first?.message == "the workshop has more than 50 pages")
    }

    @Test func changesAreReadAgainAndTold() async throws {
        let shelf = try Shelf(["a/lesson.md": "# One\n", "b.md": "# B\n"])
        let library = WorkshopLibrary(directory: shelf.path)
        var changes = library.changes().makeAsyncIterator()
        try shelf.write("a/lesson.md", "# Another\n")
        library.refresh()
        #expect(await changes.next() == "a")
        #expect(library.workshop(named: "a")?.title == "Another")
        try shelf.remove("b.md")
        try shelf.write("c/lesson.md", "# C\n")
        library.refresh()
        #expect([await changes.next(), await changes.next()] == ["b", "c"])
        #expect(library.all().map(\.name) == ["a", "c"])
        try shelf.write("c/workshop.yaml", "nodes: x\n")
        library.refresh()
        #expect(await changes.next() == "c")
        #expect(library.workshop(named: "c")?.isBroken == true)
    }

    @Test func nothingChangedIsNothingTold() async throws {
        let shelf = try Shelf(["a/lesson.md": "# One\n"])
        let library = WorkshopLibrary(directory: shelf.path)
        let before = library.workshop(named: "a")
        var changes = library.changes().makeAsyncIterator()
        library.refresh()
        try shelf.write("z/lesson.md", "# Z\n")
        library.refresh()
        #expect(await changes.next() == "z")
        #expect(library.workshop(named: "a") == before)
    }

    @Test func watchingEndsWhenCancelled() async throws {
        let shelf = try Shelf()
        let library = WorkshopLibrary(directory: shelf.path)
        let task = Task { await library.watch() }
        task.cancel()
        await task.value
    }

    @Test func onlyHarmlessFilesOfTheWorkshopAreServed() throws {
        let shelf = try Shelf([
            "w/lesson.md": "# W\n", "w/images/a b.png": "x", "w/page.html": "x", "w/evil.js": "x", "w/.hidden.png": "x", "w/notes.txt": "x",
            "w/workshop.yaml": "title: W\n",
            "secret.png": "x", "other/lesson.md": "# O\n", "other/o.png": "x", "lone.md": "# Lone\n",
        ])
        try FileManager.default.createSymbolicLink(atPath: shelf.path + "/w/link.png", withDestinationPath: "/etc/passwd")
        try FileManager.default.createSymbolicLink(atPath: shelf.path + "/w/dir", withDestinationPath: shelf.path + "/other")
        let library = WorkshopLibrary(directory: shelf.path)
        #expect(
            library.file(workshop: "w", path: "images/a%20b.png")
                == WorkshopFile(path: shelf.path + "/w/images/a b.png", contentType: "image/png"))
        #expect(library.file(workshop: "w", path: "notes.txt")?.contentType == "text/plain; charset=utf-8")
        for path in [
            "page.html", "evil.js", ".hidden.png", "link.png", "dir/o.png", "../secret.png", "images/../../secret.png", "%2e%2e/secret.png",
            "/etc/passwd", "", "images", "lesson.md", "workshop.yaml",
            "nope.png",
        ] {
            #expect(library.file(workshop: "w", path: path) == nil, "\(path)")
        }
        #expect(library.file(workshop: "nope", path: "a.png") == nil)
        #expect(library.file(workshop: "lone", path: "secret.png") != nil && library.file(workshop: "lone", path: "other/o.png") == nil)
        try shelf.remove("w/images/a b.png")
        try FileManager.default.createSymbolicLink(atPath: shelf.path + "/w/images/a b.png", withDestinationPath: "/etc/passwd")
        #expect(library.file(workshop: "w", path: "images/a%20b.png") == nil)
    }

    @Test func theInterfaceGivesWhatTheContractNames() throws {
        let shelf = try Shelf(["w/lesson.md": "---\ntags: [a]\nauthor: Me\nduration: 5\n---\n# W\n\nIntro.\n\n## One\n\nText.\n"])
        let detail = try #require(WorkshopLibrary(directory: shelf.path).workshop(named: "w")).detail
        #expect(
            detail.object.map { Array($0.keys) } == [
                "name", "title", "description", "duration", "difficulty", "tags", "nodes", "author", "image", "problems", "pages",
            ])
        #expect(detail["duration"] == 5 && detail["difficulty"] == .null && detail["tags"] == ["a"] && detail["problems"] == 0)
        let page = detail["pages"]?[0]
        #expect(
            page?["slug"] == "lesson" && page?["steps"] == [["id": "s-one", "title": "One"]]
                && page?["headings"] == [["id": "s-one", "level": 2, "text": "One"]])
    }

    @Test func namesAreLabels() {
        #expect(
            ["2017-12-07-a-b.md", "A_b c.markdown", "über", "--", "x.md", "2024-notes"].map(WorkshopFolder.label) == [
                "a-b", "a-b-c", "ber", nil, "x", "2024-notes",
            ])
    }
}
