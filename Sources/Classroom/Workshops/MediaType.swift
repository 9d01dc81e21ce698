// The kinds of files that may be served from beside a lesson.

enum MediaType {
    private static let pictures = [
        "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif",
        "svg": "image/svg+xml",
    ]

    // Text is served as plain text whatever it holds, so that no browser runs it as part of the site.
    private static let downloads = [
        "txt": "text/plain; charset=utf-8", "yaml": "text/plain; charset=utf-8", "yml": "text/plain; charset=utf-8",
        "json": "text/plain; charset=utf-8", "sh": "text/plain; charset=utf-8", "pdf": "application/pdf",
        "csv": "text/plain; charset=utf-8",
    ]

    /// The type of a picture, by its name.
    static func picture(of name: String) -> String? { pictures[ending(of: name)] }

    /// The type of a file that may be served; `nil` for all others.
    static func served(_ name: String) -> String? {
        name == "workshop.yaml" ? nil : pictures[ending(of: name)] ?? downloads[ending(of: name)]
    }

    static func isMarkdown(_ name: String) -> Bool { ["md", "markdown"].contains(ending(of: name)) }

    private static func ending(of name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }
}
