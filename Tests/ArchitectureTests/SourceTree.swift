// Reads the repository's own sources, so that the rules of its architecture can be checked as tests.
import Foundation

/// One Swift file of `Sources/` or `Tests/`.
struct SourceFile: Sendable {
    /// The path from the repository's root, such as `Sources/Platform/Web/WebLoop.swift`.
    let path: String
    let lines: [String]
    /// The lines without what stands after `//`, and without the text of string literals on one line.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        code = lines.map(Self.code)
    }

    private static func code(_ line: String) -> String {
        var result: [UInt8] = []
        var quoted = false
        var previous: UInt8 = 0
        for byte in line.utf8 {
            if byte == UInt8(ascii: "\""), previous != UInt8(ascii: "\\") { quoted.toggle() }
            if !quoted && byte == UInt8(ascii: "/") && previous == byte {
                result.removeLast()
                break
            }
            if !quoted || byte == UInt8(ascii: "\"") { result.append(byte) }
            previous = byte
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The lines of code that have `word` in them, with their numbers. Far quicker than asking each line for a pattern.
    func code(with word: String) -> [(number: Int, text: String)] {
        code.enumerated().filter { $0.element.contains(word) }.map { ($0.offset + 1, $0.element) }
    }

    /// `Platform` of `Sources/Platform/Web/WebLoop.swift`.
    var layer: String { component(1) }
    /// `Web` of `Sources/Platform/Web/WebLoop.swift`.
    var room: String { component(2) }

    private func component(_ index: Int) -> String {
        let parts = path.split(separator: "/")
        return parts.count > index + 1 ? String(parts[index]) : ""
    }

    /// The modules that the file imports, with the line of each.
    var imports: [(line: Int, module: String)] {
        code(with: "import ").compactMap { number, line in
            let pattern =
                /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:package|public|internal|private|fileprivate)\s+)?import\s+(?:(?:struct|class|enum|func|protocol|typealias|let|var)\s+)?(\w+)/
            return line.firstMatch(of: pattern).map { (number, String($0.output.1)) }
        }
    }
}

/// A target as Package.swift declares it.
struct DeclaredRoom: Sendable {
    let layer: String
    let name: String
    let uses: Set<String>
}

/// The whole repository, read once.
struct SourceTree: Sendable {
    static let shared = SourceTree()

    let root: URL
    let sources: [SourceFile]
    let tests: [SourceFile]
    let rooms: [DeclaredRoom]
    let cModules: Set<String>

    /// The layers from the top down. A layer may use itself and what comes after it.
    static let layers = ["Programs", "Classroom", "ControlPlane", "Node", "Cluster", "Platform", "Essentials"]

    private init() {
        root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        sources = Self.files(under: "Sources", of: root)
        tests = Self.files(under: "Tests", of: root)
        let package = (try? String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)) ?? ""
        rooms = package.matches(of: /room\(\s*"(\w+)",\s*"(\w+)"(?:,\s*uses:\s*\[([^\]]*)\])?/).map { match in
            let uses = match.output.3.map { String($0) } ?? ""
            return DeclaredRoom(
                layer: String(match.output.1), name: String(match.output.2),
                uses: Set(uses.matches(of: /"(\w+)"/).map { String($0.output.1) }))
        }
        cModules = Set(package.matches(of: /\bc\("(\w+)"/).map { String($0.output.1) })
    }

    func room(_ name: String) -> DeclaredRoom? { rooms.first { $0.name == name } }

    func text(_ path: String) -> String? {
        try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path) }

    /// README.md and the like, and all of docs/, by their paths.
    var documents: [String] {
        let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        let docs = FileManager.default.enumerator(atPath: root.appendingPathComponent("docs").path)
        return top + (docs?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
    }

    private static func files(under folder: String, of root: URL) -> [SourceFile] {
        let base = root.appendingPathComponent(folder)
        guard let walk = FileManager.default.enumerator(atPath: base.path) else { return [] }
        var found: [SourceFile] = []
        while let relative = walk.nextObject() as? String {
            guard relative.hasSuffix(".swift"),
                let text = try? String(contentsOf: base.appendingPathComponent(relative), encoding: .utf8)
            else { continue }
            found.append(SourceFile(path: "\(folder)/\(relative)", text: text))
        }
        return found.sorted { $0.path < $1.path }
    }
}

/// What a rule found, one place a line, so that a failure can be read and clicked.
struct Findings: CustomStringConvertible {
    private(set) var places: [String] = []
    var isEmpty: Bool { places.isEmpty }
    var description: String { "\n" + places.joined(separator: "\n") }

    mutating func add(_ file: SourceFile, line: Int, _ what: String) { places.append("\(file.path):\(line): \(what)") }
    mutating func add(_ place: String, _ what: String) { places.append("\(place): \(what)") }
}
