// Workshops turns the folders and Markdown files of `Workshops/` into lessons: what a workshop is, its pages as HTML, its faults.
//
// The room reads files and nothing else: no network, no labs, no clock. Gateway asks `WorkshopLibrary` for what to show,
// Labs asks a `Workshop` for what it needs (nodes, image, caps), the command line asks `Lint` for what to repair.
// Markdown goes: file → `LessonSource` (front matter, Liquid, attribute lists) → cmark tree (`Markup`) → `LessonRenderer`
// → HTML as the lesson page expects it. All that an author wrote passes `HTMLWriter`, which lets no script through.
package import Essentials

/// How much a workshop expects its learners to know.
package enum Difficulty: String, Sendable, CaseIterable {
    case beginner, intermediate, advanced
}

/// What a workshop asks of the platform's caps. `nil` means the platform's default. Labs compares it with the maxima.
package struct RequestedCaps: Sendable, Equatable {
    package var memoryBytesPerNode: Int64?
    package var cpuMillicoresPerNode: Int64?
    package var diskBytesPerNode: Int64?
    package var pidsPerNode: Int64?
    package var lifetimeMinutes: Int?

    package init(
        memoryBytesPerNode: Int64? = nil, cpuMillicoresPerNode: Int64? = nil, diskBytesPerNode: Int64? = nil,
        pidsPerNode: Int64? = nil, lifetimeMinutes: Int? = nil
    ) {
        self.memoryBytesPerNode = memoryBytesPerNode
        self.cpuMillicoresPerNode = cpuMillicoresPerNode
        self.diskBytesPerNode = diskBytesPerNode
        self.pidsPerNode = pidsPerNode
        self.lifetimeMinutes = lifetimeMinutes
    }
}

/// One page of a lesson, rendered.
package struct LessonPage: Sendable, Equatable {
    package struct Heading: Sendable, Equatable {
        package var id: String
        /// 2 to 6; the page's title is its level 1.
        package var level: Int
        package var text: String
    }

    /// A part of the page that begins with a second-level heading: what progress is counted in.
    package struct Step: Sendable, Equatable {
        package var id: String
        package var title: String
    }

    /// The last part of `/w/NAME/SLUG`; the first page is also `/w/NAME`.
    package var slug: String
    package var title: String
    /// Well-formed and safe to put into the lesson page as it is.
    package var html: String
    package var headings: [Heading]
    package var steps: [Step]
}

/// A workshop as its files describe it now. A broken one has `problems` of severity `error` and no pages.
package struct Workshop: Sendable, Equatable {
    /// The folder's or the file's name; a DNS label.
    package var name: String
    package var title: String
    package var description: String
    package var author: String
    /// As the author wrote it, such as `2026-11-24`; empty where there is none.
    package var date: String
    package var tags: [String]
    package var difficulty: Difficulty?
    package var durationMinutes: Int?
    /// 1 to 5 sandboxed machines named `node1`, `node2`, ….
    package var nodes: Int
    /// The image of the nodes; `nil` means the platform's default, `lectern/node`.
    package var nodeImage: String?
    /// `classic` where the lesson needs the kubectl of 2017.
    package var kubernetes: String?
    /// The address of the picture in the catalogue, `/w/NAME/files/…`; `nil` where there is none.
    package var picture: String?
    package var caps: RequestedCaps
    package var pages: [LessonPage]
    /// What is wrong with it, worst first. `lectern lint` shows more.
    package var problems: [LintProblem]

    /// Whether a lab can be started for it.
    package var isBroken: Bool { problems.contains { $0.severity == .error } }

    /// The page named `slug`; the first one where `slug` is `nil`.
    package func page(_ slug: String?) -> LessonPage? {
        guard let slug else { return pages.first }
        return pages.first { $0.slug == slug }
    }
}

extension Workshop {
    /// The workshop as `GET /api/v1/workshops` lists it.
    package var listing: JSON {
        [
            "name": JSON(name), "title": JSON(title), "description": JSON(description), "duration": JSON(durationMinutes),
            "difficulty": JSON(difficulty?.rawValue), "tags": JSON(tags), "nodes": JSON(nodes), "author": JSON(author),
            "image": JSON(picture), "problems": JSON(problems.count { $0.severity == .error }),
        ]
    }

    /// The workshop as `GET /api/v1/workshops/NAME` gives it.
    package var detail: JSON {
        var result = listing
        result["pages"] = JSON(
            pages.map { page in
                [
                    "slug": JSON(page.slug), "title": JSON(page.title), "html": JSON(page.html),
                    "headings": JSON(page.headings.map { ["id": JSON($0.id), "level": JSON($0.level), "text": JSON($0.text)] }),
                    "steps": JSON(page.steps.map { ["id": JSON($0.id), "title": JSON($0.title)] }),
                ]
            })
        if isBroken { result["faults"] = JSON(problems.map { JSON($0.description) }) }
        return result
    }
}
