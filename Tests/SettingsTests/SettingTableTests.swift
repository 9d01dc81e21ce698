// The table of keys: complete, within its own ranges, and the same in the documentation.
import Foundation
import Testing

@testable import Settings

@Suite struct SettingTableTests {
    @Test func everyKeyIsExplained() {
        for setting in Setting.table {
            #expect(setting.doc.hasSuffix("."), "\(setting.name) has no sentence")
            #expect(!setting.unit.isEmpty)
        }
        #expect(Set(Setting.table.map(\.name)).count == Setting.table.count)
    }

    @Test func everyDefaultIsARightValue() {
        let standard = Configuration()
        for setting in Setting.table where setting.absent.isEmpty {
            var copy = standard
            #expect(setting.apply(setting.text(in: standard), to: &copy, relativeTo: "/"), "\(setting.name)")
            #expect(copy == standard || setting.text(in: copy) == setting.text(in: standard), "\(setting.name)")
        }
    }

    @Test func explainNamesEveryKeyAndWhatDiffers() throws {
        var configuration = Configuration()
        try configuration.set("caps.idleMinutes", to: "7", origin: "test")
        let text = Configuration.explain(configuration)
        for setting in Setting.table { #expect(text.contains("\n\(setting.name)  (")) }
        #expect(text.contains("now 7"))
    }

    /// `LECTERN_WRITE_DOCS=1 swift test --filter SettingsTests` writes the table into the document.
    @Test func theDocumentationHasTheSameTable() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let document = root.appendingPathComponent("docs/operations.md")
        let text = try String(contentsOf: document, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- settings: begin -->\n"))
        let end = try #require(text.range(of: "<!-- settings: end -->"))
        let table = Configuration.markdownTable()
        if ProcessInfo.processInfo.environment["LECTERN_WRITE_DOCS"] == "1" {
            try (text[..<begin.upperBound] + table + text[end.lowerBound...]).write(to: document, atomically: true, encoding: .utf8)
        } else {
            #expect(text[begin.upperBound..<end.lowerBound] == table, "run LECTERN_WRITE_DOCS=1 swift test --filter SettingsTests")
        }
    }

    @Test func distancesCountSwapsAsOne() {
        #expect(NearestKey.distance("listen", "listen") == 0)
        #expect(NearestKey.distance("listne", "listen") == 1)
        #expect(NearestKey.distance("", "abc") == 3)
        #expect(NearestKey.distance("kitten", "sitting") == 3)
    }
}
