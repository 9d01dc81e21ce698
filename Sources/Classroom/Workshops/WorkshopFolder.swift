// What lies on disk: the workshops of a directory, and the files of one of them.
internal import FoundationEssentials

/// A file that belongs to a workshop, as it was when looked at.
struct WorkshopFolderFile: Equatable, Sendable {
    /// Relative to the workshop's folder.
    var name: String
    var sizeBytes: Int
    var modified: Double
}

/// The files of one workshop. Symbolic links and hidden files are passed over, so nothing leads out of the folder.
struct WorkshopFolder: Equatable, Sendable {
    /// The workshop's name, made a DNS label.
    var name: String
    /// Where its files are; for a lone Markdown file the folder that holds it.
    var directory: String
    /// The one page of a lone Markdown file.
    var loneFile: String?
    var files: [WorkshopFolderFile]

    func has(_ file: String) -> Bool { files.contains { $0.name == file } }

    /// The workshops below `directory`, by name: folders with `workshop.yaml` or `lesson.md`, and lone Markdown files.
    static func list(_ directory: String) -> [WorkshopFolder] {
        var result: [String: WorkshopFolder] = [:]
        var lone: [String] = []
        for entry in entries(directory).prefix(WorkshopLimits.workshops) {
            let path = directory + "/" + entry
            switch Item(path) {
            case .folder:
                guard let name = label(entry), case .file = Item(path + "/workshop.yaml").orElse(path + "/lesson.md") else { continue }
                result[name] = WorkshopFolder(name: name, directory: path, files: files(path))
            case .file where MediaType.isMarkdown(entry) && !isReadme(entry): lone.append(entry)
            default: continue
            }
        }
        for entry in lone {
            guard let name = label(entry), result[name] == nil else { continue }
            result[name] = loneFolder(directory, entry, name)
        }
        return result.values.sorted { $0.name < $1.name }
    }

    /// The workshop at `path`, a folder or a lone Markdown file; `nil` where there is none.
    static func at(_ path: String) -> WorkshopFolder? {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        let entry = path.split(separator: "/").last.map(String.init) ?? path
        switch Item(path) {
        case .folder: return WorkshopFolder(name: label(entry) ?? "workshop", directory: path, files: files(path))
        case .file where MediaType.isMarkdown(entry):
            let directory = path.contains("/") ? String(path.dropLast(entry.count + 1)) : "."
            return loneFolder(directory.isEmpty ? "/" : directory, entry, label(entry) ?? "workshop")
        default: return nil
        }
    }

    /// The file's text; `nil` where it cannot be read as UTF-8.
    func text(of file: String) -> String? {
        guard let data = FileManager.default.contents(atPath: directory + "/" + file) else { return nil }
        return String(validating: data, as: UTF8.self)
    }

    /// The file's path, where it is still a plain file.
    func path(of file: String) -> String? {
        guard has(file), case .file = Item(directory + "/" + file) else { return nil }
        return directory + "/" + file
    }

    // MARK: Looking

    private enum Item {
        case folder
        case file(size: Int, modified: Double)
        case none

        init(_ path: String) {
            guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
                self = .none
                return
            }
            switch attributes[.type] as? FileAttributeType {
            case .typeDirectory: self = .folder
            case .typeRegular:
                let modified = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
                self = .file(size: Self.integer(attributes[.size]), modified: modified)
            default: self = .none
            }
        }

        // Foundation's dictionaries hold sizes as one or the other.
        private static func integer(_ value: Any?) -> Int {
            value as? Int ?? (value as? UInt64).flatMap(Int.init(exactly:)) ?? (value as? Int64).flatMap(Int.init(exactly:)) ?? 0
        }

        func orElse(_ path: String) -> Item { if case .none = self { Item(path) } else { self } }
    }

    private static func loneFolder(_ directory: String, _ entry: String, _ name: String) -> WorkshopFolder {
        // Only pictures count as beside it: other Markdown files are workshops of their own.
        let beside = files(directory, skippingWorkshops: true).filter { MediaType.picture(of: $0.name) != nil }
        var own: [WorkshopFolderFile] = []
        if case .file(let size, let modified) = Item(directory + "/" + entry) {
            own = [.init(name: entry, sizeBytes: size, modified: modified)]
        }
        return WorkshopFolder(name: name, directory: directory, loneFile: entry, files: own + beside)
    }

    private static func files(_ directory: String, skippingWorkshops: Bool = false) -> [WorkshopFolderFile] {
        var result: [WorkshopFolderFile] = []
        func walk(_ prefix: String, _ depth: Int) {
            for entry in entries(prefix.isEmpty ? directory : directory + "/" + prefix.dropLast()) {
                guard result.count < WorkshopLimits.files else { return }
                let name = prefix + entry
                let path = directory + "/" + name
                switch Item(path) {
                case .folder where depth < WorkshopLimits.folderDepth && !["repos", "mirrors", "node_modules"].contains(entry):
                    if skippingWorkshops, case .file = Item(path + "/workshop.yaml").orElse(path + "/lesson.md") { continue }
                    walk(name + "/", depth + 1)
                case .file(let size, let modified)
                where entry == "workshop.yaml" || MediaType.isMarkdown(entry) || MediaType.served(entry) != nil:
                    result.append(.init(name: name, sizeBytes: size, modified: modified))
                default: continue
                }
            }
        }
        walk("", 0)
        return result
    }

    private static func entries(_ directory: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { !$0.hasPrefix(".") }.sorted()
    }

    private static func isReadme(_ entry: String) -> Bool {
        ["readme.md", "contributing.md", "changelog.md", "license.md"].contains(entry.lowercased())
    }

    /// `2017-12-07-Kubernetes for Beginners.md` → `kubernetes-for-beginners`.
    static func label(_ entry: String) -> String? {
        var name = entry[...]
        if MediaType.isMarkdown(entry), let dot = name.lastIndex(of: ".") { name = name[..<dot] }
        let parts = name.split(separator: "-", maxSplits: 3, omittingEmptySubsequences: false)
        if parts.count == 4, zip(parts, [4, 2, 2]).allSatisfy({ part, length in part.count == length && part.allSatisfy(\.isNumber) }) {
            name = parts[3]
        }
        var result = ""
        for byte in name.lowercased().utf8 {
            let isPlain = byte &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10
            if isPlain {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else if !result.isEmpty, !result.hasSuffix("-") {
                result += "-"
            }
            if result.utf8.count == 63 { break }
        }
        while result.hasSuffix("-") { result.removeLast() }
        return result.isEmpty ? nil : result
    }
}
