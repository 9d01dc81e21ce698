// A directory of workshops that a test writes, and that is gone after it.
import FoundationEssentials
import Testing

@testable import Workshops

/// A temporary directory, removed with the last reference to it.
final class Shelf {
    let path: String

    init(_ files: [String: String] = [:]) throws {
        path = FileManager.default.temporaryDirectory.path + "/workshops-test-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { try write(name, text) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws {
        let file = path + "/" + name
        if let slash = file.lastIndex(of: "/") {
            try FileManager.default.createDirectory(atPath: String(file[..<slash]), withIntermediateDirectories: true)
        }
        try Data(text.utf8).write(to: URL(filePath: file))
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path + "/" + name) }
}

/// Renders one page with no files beside it but those named.
func render(
    _ markdown: String, nodes: Int = 2, clickableAll: Bool = false, files: Set<String> = [],
    pages: [(String, String)] = [("lesson.md", "lesson")]
) -> (html: String, page: LessonPage, problems: [LintProblem]) {
    let context = LessonContext(
        workshop: "demo", file: "lesson.md", nodes: nodes, allFencesAreClickable: clickableAll, title: "Demo",
        pages: pages.map { (file: $0.0, slug: $0.1) }, files: files)
    let result = LessonRenderer.render(LessonSource(markdown, file: "lesson.md"), context, slug: "lesson")
    return (result.page.html, result.page, result.problems)
}

/// The HTML below the page's title.
func body(_ markdown: String, nodes: Int = 2, clickableAll: Bool = false, files: Set<String> = []) -> String {
    let html = render(markdown, nodes: nodes, clickableAll: clickableAll, files: files).html
    return String(html.dropFirst("<h1>Demo</h1>\n".count))
}
