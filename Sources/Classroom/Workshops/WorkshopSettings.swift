// Reads `workshop.yaml` or front matter against the schema table, with a line for everything that is wrong.
internal import Yams

/// What an author set; `nil` for what was left out.
struct WorkshopSettings: Sendable {
    var title: String?
    var description: String?
    var author: String?
    var date: String?
    var tags: [String] = []
    var difficulty: Difficulty?
    var durationMinutes: Int?
    var nodes: Int?
    var image: String?
    var picture: String?
    /// The file that names the picture.
    var pictureFile = ""
    var clickableAll: Bool?
    var kubernetes: String?
    var pages: [(name: String, line: Int)] = []
    var caps = RequestedCaps()
    /// The file that names the caps.
    var capsFile = ""
    var problems: [LintProblem] = []
    /// Where a key was set.
    var lines: [String: Int] = [:]

    private var file: String
    private var firstLine: Int
    private var isWorkshopFile: Bool

    /// - Parameter firstLine: the line of the file on which `yaml` begins.
    init(yaml: String, file: String, firstLine: Int, isWorkshopFile: Bool) {
        self.file = file
        pictureFile = file
        capsFile = file
        self.firstLine = firstLine
        self.isWorkshopFile = isWorkshopFile
        let limit = isWorkshopFile ? WorkshopLimits.settingsBytes : LessonSource.frontMatterLimitBytes
        guard yaml.utf8.count <= limit else {
            fault(firstLine, "\(subject) is longer than \(limit / 1024) KiB", "Keep only the keys of the author's guide in it.")
            return
        }
        do {
            guard let node = try Yams.compose(yaml: yaml, .basic), node.scalar?.string != "" else {
                if isWorkshopFile { fault(firstLine, "\(subject) is empty", "Give it at least a `title`.") }
                return
            }
            guard let mapping = node.mapping else {
                fault(line(of: node), "\(subject) is no list of `key: value` lines", "Write one `key: value` on each line.")
                return
            }
            read(mapping)
        } catch let error as YamlError {
            let (line, what) = Self.explain(error)
            fault(
                firstLine + max(line, 1) - 1, "\(subject) is not YAML: \(what)",
                "Check quotes, colons and indentation on this line and the one before.")
        } catch {
            fault(firstLine, "\(subject) is not YAML", "Check quotes, colons and indentation.")
        }
    }

    private var subject: String { isWorkshopFile ? "workshop.yaml" : "the front matter" }

    private static func explain(_ error: YamlError) -> (line: Int, what: String) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            (mark.line, problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            (context.mark.line, "the key `\(duplicates.min() ?? "")` stands twice")
        default: (1, "it cannot be read")
        }
    }

    // MARK: Keys

    private mutating func read(_ mapping: Node.Mapping) {
        let keys = SettingKey.all.filter { !isWorkshopFile || $0.inWorkshopFile }
        for (keyNode, value) in mapping {
            let name = keyNode.scalar?.string ?? ""
            let line = line(of: keyNode)
            guard let key = keys.first(where: { $0.name == name }) else {
                unknown(name, line, among: keys.filter { $0.kind != .ignored }.map(\.name))
                continue
            }
            lines[name] = line
            if key.kind == .mapping { readCaps(value, line) } else { set(key, value, line) }
        }
    }

    private mutating func readCaps(_ node: Node, _ line: Int) {
        if node.isEmptyScalar { return }
        guard let mapping = node.mapping else {
            fault(line, "`caps` is no list of keys", "Write `memory: 1Gi` and others below it, indented.")
            return
        }
        for (keyNode, value) in mapping {
            let name = keyNode.scalar?.string ?? ""
            let line = self.line(of: keyNode)
            guard let key = SettingKey.caps.first(where: { $0.name == name }) else {
                unknown("caps." + name, line, among: SettingKey.caps.map { "caps." + $0.name })
                continue
            }
            lines["caps." + name] = line
            setCap(key, value, line)
        }
    }

    private mutating func unknown(_ name: String, _ line: Int, among names: [String]) {
        let nearest = SettingKey.nearest(to: name, among: names) ?? ""
        problems.append(
            LintProblem(
                file: file, line: line, message: "there is no key `\(name)`", fix: "Did you mean `\(nearest)`?",
                severity: isWorkshopFile ? .error : .warning))
    }

    private mutating func set(_ key: SettingKey, _ node: Node, _ line: Int) {
        if node.isEmptyScalar { return }
        switch key.kind {
        case .text(let limit):
            guard let text = node.scalar?.string.trimmed, text.utf8.count <= limit else {
                return bad(key, line, "a text of at most \(limit) bytes")
            }
            setText(key.name, text)
        case .words(let limit):
            let words = node.words
            guard let words, words.count <= limit, words.allSatisfy({ $0.utf8.count <= 60 }) else {
                return bad(key, line, "a list of at most \(limit) words")
            }
            setWords(key.name, words)
        case .integer(let range):
            let number = node.scalar.flatMap { Int($0.string.trimmed) }
            if key.name == "terms", let number { return nodes = nodes ?? min(max(number, range.lowerBound), range.upperBound) }
            guard let number, range.contains(number) else {
                return bad(key, line, "a number from \(range.lowerBound) to \(range.upperBound)")
            }
            nodes = number
        case .minutes(let range):
            guard let minutes = node.scalar.flatMap({ Amount.minutes($0.string) }), range.contains(minutes) else {
                return bad(key, line, "minutes from \(range.lowerBound) to \(range.upperBound), such as `10` or `1h 30m`")
            }
            durationMinutes = key.name == "duration" ? minutes : durationMinutes ?? minutes
        case .choice(let names):
            guard let name = node.scalar?.string.trimmed, names.contains(name) else {
                let meant = node.scalar.flatMap { SettingKey.nearest(to: $0.string, among: names) }
                return bad(
                    key, line, "one of \(names.map { "`\($0)`" }.joined(separator: ", "))" + (meant.map { "; did you mean `\($0)`?" } ?? "")
                )
            }
            switch key.name {
            case "difficulty": difficulty = Difficulty(rawValue: name)
            case "kubernetes": kubernetes = name
            default: clickableAll = name == "all"
            }
        case .files(let limit):
            let names = node.sequence?.map { (name: $0.scalar?.string.trimmed ?? "", line: self.line(of: $0)) }
            guard let names, !names.isEmpty, names.count <= limit, names.allSatisfy({ !$0.name.isEmpty }) else {
                return bad(key, line, "a list of at most \(limit) file names")
            }
            pages = names
        case .bytes, .millicores, .count, .mapping, .ignored: break
        }
    }

    private mutating func setText(_ name: String, _ text: String) {
        switch name {
        case "title": title = text
        case "description": description = text
        case "author": author = text
        case "date": date = String(text.prefix { $0 != "T" && $0 != " " })
        case "picture": picture = text
        case "image": if !isWorkshopFile, MediaType.picture(of: text) != nil { picture = picture ?? text } else { image = text }
        default: break
        }
    }

    private mutating func setWords(_ name: String, _ words: [String]) {
        for word in words {
            if name == "categories", let level = Difficulty(rawValue: word.lowercased()) {
                difficulty = difficulty ?? level
            } else if !tags.contains(word.lowercased()) {
                tags.append(word.lowercased())
            }
        }
    }

    private mutating func setCap(_ key: SettingKey, _ node: Node, _ line: Int) {
        let text = node.scalar?.string.trimmed ?? ""
        switch key.kind {
        case .bytes:
            guard let bytes = Amount.bytes(text), bytes >= 1 << 20 else {
                return bad(key, line, "an amount of at least `1Mi`, such as `512Mi` or `1Gi`")
            }
            if key.name == "memory" { caps.memoryBytesPerNode = bytes } else { caps.diskBytesPerNode = bytes }
        case .millicores:
            guard let amount = Amount.millicores(text), amount > 0 else { return bad(key, line, "an amount such as `1`, `1.5` or `500m`") }
            caps.cpuMillicoresPerNode = amount
        case .count:
            guard let count = Int64(text), (16...1_000_000).contains(count) else { return bad(key, line, "a number from 16 to 1000000") }
            caps.pidsPerNode = count
        case .minutes(let range):
            guard let minutes = Amount.minutes(text), range.contains(minutes) else {
                return bad(key, line, "minutes from \(range.lowerBound) to \(range.upperBound), such as `90` or `1h 30m`")
            }
            caps.lifetimeMinutes = minutes
        default: break
        }
    }

    // MARK: Faults

    private mutating func bad(_ key: SettingKey, _ line: Int, _ wanted: String) {
        fault(line, "`\(key.name)` has a value that it cannot have", "Give it \(wanted).")
    }

    private mutating func fault(_ line: Int, _ message: String, _ fix: String) {
        problems.append(LintProblem(file: file, line: line, message: message, fix: fix, severity: .error))
    }

    private func line(of node: Node) -> Int { firstLine + (node.mark?.line ?? 1) - 1 }
}

extension Node {
    fileprivate var isEmptyScalar: Bool { scalar.map { ["", "~", "null"].contains($0.string) } ?? false }

    fileprivate var words: [String]? {
        if let sequence {
            let words = sequence.compactMap { $0.scalar?.string.trimmed }
            return words.count == sequence.count ? words.filter { !$0.isEmpty } : nil
        }
        return scalar.map { $0.string.split { $0 == "," || $0.isWhitespace }.map(String.init) }
    }
}

/// Amounts as people and Kubernetes write them.
enum Amount {
    /// `10`, `10 minutes`, `10m`, `1h`, `1h 30m`, `1 hour`.
    static func minutes(_ text: String) -> Int? {
        var total = 0
        var rest = text.lowercased()[...]
        var isEmpty = true
        while true {
            rest = rest.drop { $0 == " " || $0 == "~" }
            if rest.isEmpty { return isEmpty ? nil : total }
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard digits.utf8.count <= 6, let number = Int(digits) else { return nil }
            rest = rest[digits.endIndex...].drop { $0 == " " }
            let unit = rest.prefix { $0.isLetter }
            rest = rest[unit.endIndex...]
            switch unit {
            case "", "m", "min", "mins", "minute", "minutes": total += number
            case "h", "hour", "hours": total += number * 60
            default: return nil
            }
            isEmpty = false
        }
    }

    static func bytes(_ text: String) -> Int64? {
        let units: [String: Int64] = [
            "": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 1000, "M": 1_000_000, "G": 1_000_000_000,
        ]
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), let unit = units[String(text[digits.endIndex...])] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : product
    }

    static func millicores(_ text: String) -> Int64? {
        if text.hasSuffix("m") { return Int64(text.dropLast()) }
        guard let cores = Double(text), cores >= 0, cores < 10_000 else { return nil }
        return Int64((cores * 1000).rounded())
    }
}
