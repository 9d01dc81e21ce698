// Makes a workshop from its folder: settings, pages in order, rendered, with all problems found on the way.
internal import Markup

struct WorkshopReader {
    private let folder: WorkshopFolder
    private var problems: [LintProblem] = []

    /// Reads the workshop; whatever is wrong ends up in its `problems`, and it never fails as a whole.
    static func read(_ folder: WorkshopFolder) -> (workshop: Workshop, settings: WorkshopSettings) {
        var reader = WorkshopReader(folder: folder)
        return reader.read()
    }

    private init(folder: WorkshopFolder) { self.folder = folder }

    private struct Page {
        var file: String
        var slug: String
        var source: LessonSource
        var settings: WorkshopSettings
    }

    private mutating func read() -> (Workshop, WorkshopSettings) {
        var settings = WorkshopSettings(yaml: "", file: "", firstLine: 1, isWorkshopFile: false)
        if folder.loneFile == nil, folder.has("workshop.yaml") {
            if let text = text(of: "workshop.yaml", limitBytes: WorkshopLimits.settingsBytes) {
                settings = WorkshopSettings(yaml: text, file: "workshop.yaml", firstLine: 1, isWorkshopFile: true)
            }
            problems += settings.problems
        }
        let pages = readPages(settings)
        if let first = pages.first { settings.fill(from: first.settings) }
        let nodes = settings.nodes ?? 1
        let context = LessonContext(
            workshop: folder.name, file: "", nodes: nodes, title: "", pages: pages.map { ($0.file, $0.slug) },
            files: Set(folder.files.lazy.filter { MediaType.served($0.name) != nil }.map(\.name)))
        var rendered: [LessonPage] = []
        var summary = ""
        for page in pages {
            let result = render(page, context, settings)
            if summary.isEmpty { summary = result.summary }
            rendered.append(result.page)
        }
        let references = LessonReferences(context: context, headings: [:])
        if let picture = settings.picture, references.file(at: picture) == nil {
            problems.append(
                LintProblem(
                    file: settings.pictureFile, line: settings.lines["picture"] ?? settings.lines["image"] ?? 0,
                    message: "there is no picture `\(picture)` beside the lesson",
                    fix: "Add it to the workshop's folder, or correct its name.", severity: .warning))
        }
        problems.sort { ($0.severity, $0.file, $0.line) < ($1.severity, $1.file, $1.line) }
        let isBroken = problems.contains { $0.severity == .error }
        let workshop = Workshop(
            name: folder.name, title: settings.title ?? rendered.first?.title ?? Self.words(folder.name),
            description: settings.description ?? summary,
            author: settings.author ?? "", date: settings.date ?? "", tags: settings.tags, difficulty: settings.difficulty,
            durationMinutes: settings.durationMinutes, nodes: nodes, nodeImage: settings.image, kubernetes: settings.kubernetes,
            picture: settings.picture.flatMap(references.picture), caps: settings.caps, pages: isBroken ? [] : rendered, problems: problems)
        return (workshop, settings)
    }

    // MARK: Pages

    private mutating func readPages(_ settings: WorkshopSettings) -> [Page] {
        var pages: [Page] = []
        for (file, line) in pageFiles(settings) {
            guard folder.has(file), MediaType.isMarkdown(file) else {
                problem(
                    "workshop.yaml", line, "the page `\(file)` is not there",
                    "Correct its name in `pages`, or add the file (its name ends in `.md`).")
                continue
            }
            guard let text = text(of: file, limitBytes: WorkshopLimits.pageBytes) else { continue }
            let slug = Self.slug(of: file)
            if let other = pages.first(where: { $0.slug == slug }) {
                problem(
                    file, 0, "it would have the same address as `\(other.file)`", "Give the files names that differ after their number.")
                continue
            }
            // The parser's work on unmatched brackets grows with the square of their number.
            guard text.utf8.lazy.filter({ $0 == UInt8(ascii: "[") }).count <= WorkshopLimits.bracketsPerPage else {
                problem(file, 0, "the page has more than \(WorkshopLimits.bracketsPerPage) opening brackets", "Make several pages of it.")
                continue
            }
            let source = LessonSource(text, file: file)
            let front = WorkshopSettings(
                yaml: source.frontMatter?.text ?? "", file: file, firstLine: source.frontMatter?.line ?? 1, isWorkshopFile: false)
            problems += front.problems
            pages.append(Page(file: file, slug: slug, source: source, settings: front))
        }
        return pages
    }

    private mutating func pageFiles(_ settings: WorkshopSettings) -> [(name: String, line: Int)] {
        if let lone = folder.loneFile { return [(lone, 0)] }
        if !settings.pages.isEmpty { return settings.pages }
        if folder.has("lesson.md") { return [("lesson.md", 0)] }
        let names = folder.files.map(\.name).filter { MediaType.isMarkdown($0) && !$0.contains("/") && $0.lowercased() != "readme.md" }
        if names.isEmpty { problem("", 0, "the workshop has no page", "Write a `lesson.md` into its folder.") }
        if names.count > WorkshopLimits.pages {
            problem("", 0, "the workshop has more than \(WorkshopLimits.pages) pages", "Join some of them, or make two workshops of it.")
        }
        return names.sorted().prefix(WorkshopLimits.pages).map { ($0, 0) }
    }

    private mutating func render(_ page: Page, _ context: LessonContext, _ settings: WorkshopSettings) -> (
        page: LessonPage, summary: String
    ) {
        var context = context
        context.file = page.file
        context.allFencesAreClickable = page.settings.clickableAll ?? settings.clickableAll ?? false
        context.title =
            page.settings.title ?? (context.pages.count == 1 ? settings.title : nil)
            ?? Self.words(page.slug == "lesson" ? folder.name : page.slug)
        var result = LessonRenderer.render(page.source, context, slug: page.slug)
        if result.page.html.utf8.count > WorkshopLimits.htmlBytes {
            problem(page.file, 0, "the page is too long to show", "Make several pages of it.")
            result.page.html = ""
        }
        problems += result.problems
        return (result.page, result.summary)
    }

    // MARK: Files

    private mutating func text(of file: String, limitBytes: Int) -> String? {
        guard let size = folder.files.first(where: { $0.name == file })?.sizeBytes, size <= limitBytes else {
            problem(file, 0, "the file is larger than \(limitBytes / 1024) KiB", "Make several pages of it.")
            return nil
        }
        guard let text = folder.text(of: file), text.utf8.count <= limitBytes else {
            problem(file, 0, "the file cannot be read as UTF-8 text", "Save it as UTF-8.")
            return nil
        }
        return text
    }

    private mutating func problem(_ file: String, _ line: Int, _ message: String, _ fix: String) {
        problems.append(LintProblem(file: file, line: line, message: message, fix: fix, severity: .error))
    }

    /// `02-first-steps.md` → `first-steps`.
    static func slug(of file: String) -> String {
        let name = file.split(separator: "/").last ?? ""
        let stem = name.lastIndex(of: ".").map { name[..<$0] } ?? name
        let unnumbered = stem.drop(while: \.isNumber)
        let slug = Slug.make(String(unnumbered.isEmpty ? stem : unnumbered))
        return slug.isEmpty ? "page" : slug
    }

    /// `linux-terminal` → `Linux terminal`.
    static func words(_ name: String) -> String {
        let text = name.split(separator: "-").joined(separator: " ")
        return text.prefix(1).uppercased() + text.dropFirst()
    }
}

extension WorkshopSettings {
    /// Takes what is not set here from a page's front matter.
    mutating func fill(from front: WorkshopSettings) {
        title = title ?? front.title
        description = description ?? front.description
        author = author ?? front.author
        date = date ?? front.date
        if tags.isEmpty { tags = front.tags }
        difficulty = difficulty ?? front.difficulty
        durationMinutes = durationMinutes ?? front.durationMinutes
        nodes = nodes ?? front.nodes
        image = image ?? front.image
        if picture == nil {
            picture = front.picture
            pictureFile = front.pictureFile
        }
        clickableAll = clickableAll ?? front.clickableAll
        if caps == RequestedCaps() {
            caps = front.caps
            capsFile = front.capsFile
        }
        lines.merge(front.lines) { own, _ in own }
    }
}
