// `workshop.yaml` and front matter: what they set, and what is refused with its line.
import Testing

@testable import Workshops

@Suite struct SettingsTests {
    private func settings(_ yaml: String, front: Bool = false) -> WorkshopSettings {
        WorkshopSettings(yaml: yaml, file: front ? "lesson.md" : "workshop.yaml", firstLine: front ? 2 : 1, isWorkshopFile: !front)
    }

    @Test func everyKeyIsRead() {
        let read = settings(
            """
            title: A title
            description: "Some: text"
            author: '@me'
            date: 2026-11-24
            tags: [Linux, shell]
            difficulty: intermediate
            duration: 1h 30m
            nodes: 3
            image: lectern/node
            picture: cover.svg
            clickable: all
            pages: [a.md, b.md]
            caps:
              memory: 1Gi
              cpu: 500m
              disk: 2Gi
              pids: 512
              lifetime: 2h
            """)
        #expect(read.problems == [])
        #expect(read.title == "A title" && read.description == "Some: text" && read.author == "@me" && read.date == "2026-11-24")
        #expect(read.tags == ["linux", "shell"] && read.difficulty == .intermediate && read.durationMinutes == 90 && read.nodes == 3)
        #expect(
            read.image == "lectern/node" && read.picture == "cover.svg" && read.clickableAll == true
                && read.pages.map(\.name) == ["a.md", "b.md"])
        #expect(
            read.caps
                == RequestedCaps(
                    memoryBytesPerNode: 1 << 30, cpuMillicoresPerNode: 500, diskBytesPerNode: 2 << 30, pidsPerNode: 512,
                    lifetimeMinutes: 120))
    }

    @Test func jekyllsFrontMatterIsUnderstood() {
        let read = settings(
            """
            layout: post
            title:  "A"
            date: '2017-12-07T00:00:00.000Z'
            author: "@someone"
            tags: [linux,operations]
            categories: beginner
            terms: "2"
            image: images/cover.png
            estimated_time_to_finish: "30 minutes"
            """, front: true)
        #expect(read.problems == [])
        #expect(read.nodes == 2 && read.difficulty == .beginner && read.picture == "images/cover.png" && read.image == nil)
        #expect(read.durationMinutes == 30 && read.date == "2017-12-07")
        #expect(settings("image: docker/labs:dind", front: true).image == "docker/labs:dind")
        #expect(settings("terms: 0", front: true).nodes == 1 && settings("terms: 6", front: true).nodes == 5)
    }

    @Test func anUnknownKeyIsRefusedWithItsLineAndTheNearestOne() {
        #expect(
            settings("title: A\nnodez: 2\n").problems == [
                LintProblem(
                    file: "workshop.yaml", line: 2, message: "there is no key `nodez`", fix: "Did you mean `nodes`?", severity: .error)
            ])
        #expect(
            settings("caps:\n  memroy: 1Gi\n").problems == [
                LintProblem(
                    file: "workshop.yaml", line: 2, message: "there is no key `caps.memroy`", fix: "Did you mean `caps.memory`?",
                    severity: .error)
            ])
        #expect(settings("titel: A", front: true).problems.map(\.severity) == [.warning])
        #expect(settings("terms: 2\n").problems.map(\.fix) == ["Did you mean `title`?"] || settings("terms: 2\n").problems.count == 1)
    }

    @Test(arguments: [
        "nodes: 0", "nodes: 6", "nodes: two", "nodes: [1]", "duration: soon", "duration: 0", "difficulty: hard", "clickable: yes",
        "tags: {a: b}", "author: [a]", "pages: []", "pages: lesson.md",
        "caps: 3", "caps: {memory: lots}", "caps: {memory: 99999999999999999Gi}", "caps: {cpu: -1}", "caps: {pids: 3}",
        "caps: {lifetime: 0}",
    ])
    func aBadValueIsRefusedWithItsLine(_ yaml: String) {
        let problems = settings("title: A\n" + yaml + "\n").problems
        #expect(problems.count == 1 && problems[0].line == 2 && problems[0].severity == .error && !problems[0].fix.isEmpty)
    }

    @Test(arguments: [
        ("title: \"open\nnext: a\n", 2...4), ("a: b: c\n", 2...2), ("title: a\n\tb: c\n", 3...3), ("title: a\ntitle: b\n", 2...3),
        ("- a\n- b\n", 2...2), ("just text", 2...2), ("a: [1, 2\nb: 3\n", 2...4),
    ])
    func frontMatterThatIsNotYAMLIsToldWithItsLine(_ yaml: String, _ lines: ClosedRange<Int>) {
        let problems = settings(yaml, front: true).problems
        #expect(problems.first?.severity == .error && lines.contains(problems.first?.line ?? 0), "\(problems)")
    }

    @Test func anEmptyWorkshopFileIsRefusedAndEmptyFrontMatterIsNot() {
        #expect(settings("\n# nothing\n").problems.count == 1)
        #expect(settings("", front: true).problems == [])
    }

    @Test func longSettingsAreRefusedUnread() {
        #expect(settings("title: " + String(repeating: "a", count: 100_000)).problems.count == 1)
    }

    @Test func yamlBombsCostNothing() {
        var yaml = "a0: &a0 [x, x]\n"
        for level in 1...30 { yaml += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        #expect(!settings(yaml, front: true).problems.isEmpty)
    }

    @Test func amountsAreReadAsPeopleWriteThem() {
        #expect(["10", "10m", "10 min", "1h", "1h30m", "1 hour 5 minutes", "~20"].map(Amount.minutes) == [10, 10, 10, 60, 90, 65, 20])
        #expect(["", "soon", "-5", "1d", "99999999"].allSatisfy { Amount.minutes($0) == nil })
        #expect(
            Amount.bytes("512Mi") == 512 << 20 && Amount.bytes("1G") == 1_000_000_000 && Amount.bytes("9Xi") == nil
                && Amount.millicores("1.5") == 1500)
    }
}
