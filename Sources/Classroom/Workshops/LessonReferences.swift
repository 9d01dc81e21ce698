// What the addresses in a lesson lead to: pages of the workshop, files beside it, parts of the page, other sites.
internal import Markup

/// What a page needs to know of the workshop around it.
struct LessonContext: Sendable {
    var workshop: String
    /// This page's file, relative to the workshop's folder.
    var file: String
    var nodes: Int
    /// `clickable: all`: fences of shell text can be clicked without naming a terminal.
    var allFencesAreClickable = false
    /// The page's title where the page does not begin with one.
    var title: String
    /// Page files and their slugs, in order.
    var pages: [(file: String, slug: String)]
    /// Files beside the lesson, relative to its folder.
    var files: Set<String>
}

struct LessonReferences: AuthorReferences {
    let context: LessonContext
    /// Ids of the page's headings, without their prefix, and other spellings that lead to them.
    let headings: [String: String]

    static let idPrefix = "s-"

    enum Target: Equatable {
        case external(String)
        case inside(String)
        case missingPage(String)
        case missingFile(String)
        case refused
    }

    func target(of address: String) -> Target {
        switch WebAddress(address) {
        case .external(let url): return .external(url)
        case .mail(let url): return .inside(url)
        case .fragment(let name): return .inside("#" + id(ofFragment: name))
        case .refused: return .refused
        case .absolute(let path):
            let bare = path.prefix { $0 != "?" && $0 != "#" }
            if let page = page(named: String(bare.drop { $0 == "/" })) { return .inside(pagePath(page) + fragment(of: path)) }
            if let file = file(at: path) { return .inside(filePath(file)) }
            return .inside(path)
        case .relative(let path):
            let bare = String(path.prefix { $0 != "?" && $0 != "#" })
            if let page = page(named: bare) { return .inside(pagePath(page) + fragment(of: path)) }
            if let file = file(at: path) { return .inside(filePath(file)) }
            guard WebAddress.pathSegments(bare) != nil else { return .refused }
            return bare.hasSuffix(".md") || !bare.contains(".") ? .missingPage(bare) : .missingFile(bare)
        }
    }

    func link(_ target: String) -> [HTMLWriter.Attribute]? {
        switch self.target(of: target) {
        case .external(let url): [("href", url), ("target", "_blank"), ("rel", "noopener noreferrer")]
        case .inside(let path): [("href", path)]
        case .missingPage, .missingFile, .refused: nil
        }
    }

    func picture(_ source: String) -> String? {
        switch WebAddress(source) {
        case .relative(let path), .absolute(let path): file(at: path).map(filePath)
        case .external, .mail, .fragment, .refused: nil
        }
    }

    func anchor(_ name: String) -> String? {
        let slug = Slug.make(name)
        return slug.isEmpty ? nil : Self.idPrefix + slug
    }

    /// The file that a path names, whether written from the lesson's folder, from the site's root (`/images/a.png`, as
    /// Jekyll's lessons do) or from a folder beside it (`../images/a.png`).
    func file(at path: String) -> String? {
        var bare = path.prefix { $0 != "?" && $0 != "#" }
        while bare.hasPrefix("/") || bare.hasPrefix("../") { bare = bare.dropFirst(bare.hasPrefix("/") ? 1 : 3) }
        guard let segments = WebAddress.pathSegments(String(bare)) else { return nil }
        let name = segments.joined(separator: "/")
        return context.files.contains(name) ? name : nil
    }

    private func filePath(_ file: String) -> String {
        "/w/\(context.workshop)/files/" + WebAddress.path(file.split(separator: "/").map(String.init))
    }

    private func page(named text: String) -> String? {
        let name = text.hasPrefix("./") ? String(text.dropFirst(2)) : text
        guard !name.isEmpty else { return nil }
        return context.pages.first { $0.file == name || $0.slug == name }?.slug
    }

    private func pagePath(_ slug: String) -> String { "/w/\(context.workshop)/\(slug)" }

    private func fragment(of path: String) -> String {
        guard let hash = path.firstIndex(of: "#") else { return "" }
        return "#" + Self.idPrefix + Slug.make(String(path[path.index(after: hash)...]))
    }

    private func id(ofFragment name: String) -> String {
        if name.hasPrefix("fn") { return name }
        let decoded = WebAddress.pathSegments(name)?.joined() ?? name
        let slug = Slug.make(decoded.hasPrefix(Self.idPrefix) ? String(decoded.dropFirst(Self.idPrefix.count)) : decoded)
        return Self.idPrefix + (headings[slug] ?? slug)
    }
}

/// Names of headings for addresses.
enum Slug {
    /// Lower case letters and digits, one `-` between words: `What's next?` → `whats-next`.
    static func make(_ text: String) -> String {
        var result = ""
        var gap = false
        for character in text.lowercased() {
            if character.isLetter || character.isNumber {
                if gap, !result.isEmpty { result.append("-") }
                gap = false
                result.append(character)
            } else if character.isWhitespace || "-_./:–—".contains(character) {
                gap = true
            }
            if result.utf8.count >= 80 { break }
        }
        return result
    }

    /// Ids for these headings, none twice, and the other spellings (Jekyll drops what stands before the first letter).
    static func assign(_ headings: [(text: String, wanted: String?)]) -> (ids: [String], aliases: [String: String]) {
        var used: Set<String> = []
        var ids: [String] = []
        var next: [String: Int] = [:]
        for heading in headings {
            var base = make(heading.wanted ?? heading.text)
            if base.isEmpty { base = "part" }
            var id = base
            while used.contains(id) {
                next[base, default: 1] += 1
                id = "\(base)-\(next[base, default: 2])"
            }
            used.insert(id)
            ids.append(id)
        }
        var aliases: [String: String] = [:]
        for id in ids {
            let withoutNumber = make(String(id.drop { !$0.isLetter }))
            if !withoutNumber.isEmpty, !used.contains(withoutNumber), aliases[withoutNumber] == nil { aliases[withoutNumber] = id }
        }
        return (ids, aliases)
    }
}
