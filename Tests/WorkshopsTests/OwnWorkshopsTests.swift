// The workshops that come with Lectern: they lint clean, and use what the page can do.
import Foundation
import Testing

@testable import Workshops

@Suite struct OwnWorkshopsTests {
    private static let directory = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/Workshops"

    @Test(arguments: ["linux-terminal", "kubernetes-for-beginners"]) func ourWorkshopsLintClean(_ name: String) {
        #expect(Lint.lint(Self.directory + "/" + name).map(\.description) == [])
    }

    @Test func linuxTerminalUsesEveryFeatureOfThePage() throws {
        let workshop = try #require(WorkshopLibrary(directory: Self.directory).workshop(named: "linux-terminal"))
        let html = workshop.pages.map(\.html).joined()
        #expect(workshop.nodes == 1 && workshop.durationMinutes == 10 && workshop.picture == "/w/linux-terminal/files/images/pipe.svg")
        for part in [
            "<lectern-block class=\"block command\" id=\"b-1\" data-term=\"1\" data-run=\"true\">", "<lectern-inline",
            "data-kind=\"single\"", "data-kind=\"multiple\"", "class=\"port-link\" data-node=\"1\" data-port=\"8000\"",
            "<figure><img", "<table>", "task-list-item", "footnote-ref", "callout tip", "callout note", "callout warning", "<details>",
            "<pre class=\"sample\">", "-m</span> http.server",
        ] { #expect(html.contains(part), "\(part)") }
    }

    @Test func kubernetesForBeginnersSaysWhatIsNotLiveYet() throws {
        let workshop = try #require(WorkshopLibrary(directory: Self.directory).workshop(named: "kubernetes-for-beginners"))
        #expect(workshop.nodes == 2 && workshop.pages.count == 9)
        // The application's images and source come with the lab's own internet; pages before that are live.
        for page in workshop.pages.dropFirst(5) {
            for step in page.html.split(separator: "<section class=\"step\"").dropFirst()
            where step.contains("kubectl apply") && step.contains("<pre class=\"sample\"><code class=\"language-sh\"") {
                #expect(step.contains("ive in a coming version"), "\(page.slug)")
            }
            // A command that can be clicked works without the application.
            for block in page.html.split(separator: "<lectern-block").dropFirst() {
                let command = block.split(separator: "</lectern-block>")[0]
                guard command.contains(">kubectl</span>") else { continue }
                #expect(!command.contains("> run "))
                #expect(command.contains("--dry-run") || command.contains("--client"), "\(page.slug): \(command)")
            }
        }
    }
}

@Suite struct AuthorsGuideTests {
    private static let path = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/docs/authors-guide.md"

    @Test func theGuideListsEveryKeyAsTheSchemaHasIt() throws {
        let guide = String(decoding: try #require(FileManager.default.contents(atPath: Self.path)), as: UTF8.self)
        for key in SettingKey.all + SettingKey.caps {
            if key.kind == .ignored {
                #expect(guide.contains("`\(key.name)`"), "\(key.name)")
            } else {
                let row = guide.split(separator: "\n").first {
                    $0.hasPrefix("| `\(key.name)` |") && $0.hasSuffix("| \(key.defaultText) | \(key.doc) |")
                }
                #expect(row != nil, "the row of \(key.name)")
            }
        }
    }

    @Test func theGuidesExamplesDoWhatItSays() throws {
        let guide = String(decoding: try #require(FileManager.default.contents(atPath: Self.path)), as: UTF8.self)
        let files: Set<String> = ["images/pipe.svg", "images/logo.png", "files/example.yaml"]
        for fence in ["````markdown\n", "\n```markdown\n"] {
            let closing = fence.hasPrefix("````") ? "\n````" : "\n```"
            for part in guide.components(separatedBy: fence).dropFirst() {
                let example = part.components(separatedBy: closing)[0] + "\n"
                #expect(render(example, files: files).problems.map(\.description) == [], "\(example)")
            }
        }
    }
}
