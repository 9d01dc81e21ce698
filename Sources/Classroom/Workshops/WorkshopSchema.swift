// Every key of `workshop.yaml` and of a lesson's front matter: its type, default, range and meaning, in one table.
//
// Reading, refusing and the author's guide follow this table; to add a key, add a row here, its field to
// `WorkshopSettings`, and a case to `WorkshopSettings.set`.

/// A key that an author may set.
package struct SettingKey: Sendable {
    package enum Kind: Sendable, Equatable {
        case text(limitBytes: Int)
        /// A list of words, or one line of words with commas or spaces.
        case words(limit: Int)
        case integer(ClosedRange<Int>)
        /// A number of minutes, or a time such as `1h 30m`.
        case minutes(ClosedRange<Int>)
        case choice([String])
        /// An amount such as `512Mi` in bytes, `500m` in thousandths, or a plain count.
        case bytes, millicores, count
        /// The names of files in the workshop's folder.
        case files(limit: Int)
        case mapping
        /// Known from Jekyll's lessons and without effect here.
        case ignored
    }

    package var name: String
    package var kind: Kind
    package var defaultText: String
    package var doc: String
    /// Whether `workshop.yaml` may hold it; front matter may hold every key.
    package var inWorkshopFile = true

    package static let all: [SettingKey] =
        [
            .init(
                name: "title", kind: .text(limitBytes: 200), defaultText: "the first heading",
                doc: "What the catalogue and the page call it."),
            .init(
                name: "description", kind: .text(limitBytes: 1000), defaultText: "the first paragraph",
                doc: "One or two sentences for the catalogue."),
            .init(name: "author", kind: .text(limitBytes: 200), defaultText: "none", doc: "Who wrote it."),
            .init(name: "date", kind: .text(limitBytes: 40), defaultText: "none", doc: "When it was written, such as `2026-11-24`."),
            .init(name: "tags", kind: .words(limit: 20), defaultText: "none", doc: "Words that the catalogue can be filtered by."),
            .init(
                name: "difficulty", kind: .choice(Difficulty.allCases.map(\.rawValue)), defaultText: "none",
                doc: "What learners should know already."),
            .init(
                name: "duration", kind: .minutes(1...1440), defaultText: "none", doc: "How long it takes, in minutes (`10`) or as `1h 30m`."
            ),
            .init(name: "nodes", kind: .integer(1...5), defaultText: "1", doc: "How many machines each learner gets: `node1`, `node2`, …."),
            .init(
                name: "image", kind: .text(limitBytes: 255), defaultText: "lectern/node",
                doc: "The image of the nodes. In front matter, the name of a picture file stands for `picture`, as in Jekyll's lessons."),
            .init(
                name: "kubernetes", kind: .choice(["current", "classic"]), defaultText: "current",
                doc: "`classic`: `kubectl run` makes Deployments and more is as lessons of 2017 say; everything of today works, too."),
            .init(
                name: "picture", kind: .text(limitBytes: 255), defaultText: "none", doc: "A picture beside the lesson, for the catalogue."),
            .init(
                name: "clickable", kind: .choice(["named", "all"]), defaultText: "named",
                doc: "`named`: only blocks that name a terminal can be clicked. `all`: blocks marked `text`, `sh`, `bash` or `console` too."
            ),
            .init(
                name: "pages", kind: .files(limit: WorkshopLimits.pages), defaultText: "lesson.md, or all Markdown files by name",
                doc: "The pages in their order."),
            .init(
                name: "caps", kind: .mapping, defaultText: "the platform's defaults",
                doc: "What the workshop asks of the platform; see the next table."),
            .init(
                name: "terms", kind: .integer(1...5), defaultText: "1", doc: "The same as `nodes`, as Play with Docker's lessons write it.",
                inWorkshopFile: false),
            .init(
                name: "categories", kind: .words(limit: 20), defaultText: "none",
                doc: "`beginner`, `intermediate` or `advanced` sets `difficulty`; anything else is a tag.", inWorkshopFile: false),
            .init(
                name: "estimated_time_to_finish", kind: .minutes(1...1440), defaultText: "none", doc: "The same as `duration`.",
                inWorkshopFile: false),
        ]
        + ["layout", "permalink", "img", "toc", "slug", "published", "comments", "weight", "subtitle", "redirect_from", "excerpt"].map {
            .init(name: $0, kind: .ignored, defaultText: "none", doc: "Without effect here.", inWorkshopFile: false)
        }

    package static let caps: [SettingKey] = [
        .init(name: "memory", kind: .bytes, defaultText: "the platform's", doc: "Memory of each node, such as `1Gi`."),
        .init(
            name: "cpu", kind: .millicores, defaultText: "the platform's",
            doc: "Processor time of each node: `1` is one core, `500m` half of one."),
        .init(name: "disk", kind: .bytes, defaultText: "the platform's", doc: "Disk space of each node, such as `4Gi`."),
        .init(name: "pids", kind: .count, defaultText: "the platform's", doc: "Processes of each node."),
        .init(
            name: "lifetime", kind: .minutes(1...10080), defaultText: "the platform's", doc: "How long a lab lives, in minutes or as `2h`."),
    ]

    /// The name in `names` that `text` was probably meant to be.
    package static func nearest(to text: String, among names: [String]) -> String? {
        names.map { (name: $0, distance: distance(Array(text.lowercased().utf8.prefix(64)), Array($0.utf8))) }
            .min { $0.distance < $1.distance }.map(\.name)
    }

    // Levenshtein's distance.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (a == b ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[right.count]
    }
}

/// How much of an author's a workshop may hold; more is a fault with a line of its own.
package enum WorkshopLimits {
    package static let pages = 50
    package static let pageBytes = LessonSource.limitBytes
    package static let bracketsPerPage = 20_000
    package static let htmlBytes = 8 << 20
    package static let settingsBytes = 65_536
    /// Files beside a lesson that are looked at.
    package static let files = 2000
    package static let folderDepth = 4
    package static let workshops = 500
    package static let pictureBytes = 10 << 20
}
