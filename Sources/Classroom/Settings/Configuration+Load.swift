// Reads `lectern.yaml`: every key and value is checked, and every fault is told with its line.
internal import Foundation
internal import Labs
internal import Web
internal import Yams

extension Configuration {
    /// A configuration is small; a larger file is a mistake.
    static let fileLimitBytes = 1 << 20

    /// Reads the file at `path`. Relative paths in it start from its folder.
    package static func load(path: String) throws(ConfigurationProblem) -> Configuration {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let exists = FileManager.default.fileExists(atPath: path)
            throw .unreadable(path: path, why: exists ? "it may be a folder, or not readable by this user" : "there is no such file")
        }
        guard data.count <= fileLimitBytes else { throw .tooLarge(path: path, limitBytes: fileLimitBytes) }
        guard let text = String(data: data, encoding: .utf8) else {
            throw .notYAML(.file(path: path, line: 1), why: "it is not UTF-8 text")
        }
        return try parse(text, path: path)
    }

    /// Reads `text`, which is the content of `path`.
    package static func parse(_ text: String, path: String) throws(ConfigurationProblem) -> Configuration {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw yamlProblem(error, in: text, path: path)
        } catch {
            throw .notYAML(.file(path: path, line: 1), why: "\(error)")
        }
        var reader = SettingsReader(path: path)
        if let root { reader.read(root) }
        return try reader.finish()
    }

    /// Sets one key from text: an option of the command line, an environment variable.
    package mutating func set(_ name: String, to text: String, origin: String) throws(ConfigurationProblem) {
        let place = SettingOrigin.option(origin)
        guard let setting = Setting.table.first(where: { $0.name == name }) else {
            throw .unknownKey(place, key: name, nearest: NearestKey.find(name))
        }
        guard setting.apply(text, to: &self, relativeTo: FileManager.default.currentDirectoryPath) else {
            throw .invalidValue(place, key: name, value: SettingsReader.shown(text), expected: setting.expected)
        }
    }

    /// What can only be seen when all keys are known.
    package func check() throws(ConfigurationProblem) {
        if (tls.certificate == nil) != (tls.key == nil) {
            throw .inconsistent("tls.certificate and tls.key belong together; give both, or neither for plain HTTP")
        }
        if caps[.labLifetimeMinutes] > caps[.labLifetimeMaximumMinutes] {
            throw .inconsistent(
                "caps.labLifetimeMinutes is \(caps[.labLifetimeMinutes]), more than caps.labLifetimeMaximumMinutes, which is "
                    + "\(caps[.labLifetimeMaximumMinutes])")
        }
        if limits.lowWaterBytes >= limits.socketBufferBytes {
            throw .inconsistent("limits.lowWaterBytes must be smaller than limits.socketBufferBytes, or no sender would ever pause")
        }
        if listen == kubernetesListen && listen.port != 0 {
            throw .inconsistent("listen and kubernetes.listen are both \(listen); give one of them another port")
        }
    }

    private static func yamlProblem(_ error: YamlError, in text: String, path: String) -> ConfigurationProblem {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            .notYAML(.file(path: path, line: mark.line), why: problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            .givenTwice(
                .file(path: path, line: secondLine(of: duplicates.first ?? "", in: text) ?? context.mark.line),
                key: duplicates.sorted().joined(separator: ", "))
        default: .notYAML(.file(path: path, line: 1), why: "\(error)")
        }
    }
}

extension Configuration {
    /// The line on which a key stands for the second time: the parser names only the key.
    private static func secondLine(of key: String, in text: String) -> Int? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        return lines.filter { $0.element.drop { $0 == " " }.hasPrefix(key + ":") }.dropFirst().first.map { $0.offset + 1 }
    }
}

/// Walks a YAML document and collects what is right and what is wrong.
private struct SettingsReader {
    /// Problems told at once; more would only scroll away.
    static let problemLimit = 20

    let path: String
    let folder: String
    var configuration = Configuration()
    var problems: [ConfigurationProblem] = []

    init(path: String) {
        self.path = path
        let whole = URL(fileURLWithPath: path).standardizedFileURL
        folder = whole.deletingLastPathComponent().path
    }

    mutating func read(_ root: Node) {
        if case .scalar(let scalar) = root, scalar.string.isEmpty { return }
        guard let mapping = root.mapping else {
            problems.append(.notYAML(place(root), why: "it should be keys and values, such as `listen: 127.0.0.1:8080`"))
            return
        }
        read(mapping, prefix: "")
    }

    private mutating func read(_ mapping: Node.Mapping, prefix: String) {
        for (keyNode, value) in mapping {
            guard problems.count < Self.problemLimit else { return }
            let name = prefix + (keyNode.string ?? "")
            if let setting = Setting.table.first(where: { $0.name == name }) {
                read(value, of: setting)
            } else if Setting.table.contains(where: { $0.name.hasPrefix(name + ".") }) {
                if let inner = value.mapping {
                    read(inner, prefix: name + ".")
                } else if !Self.isNull(value) {
                    problems.append(
                        .invalidValue(place(value), key: name, value: Self.shown(value.string ?? "a list"), expected: "a group of keys"))
                }
            } else {
                problems.append(.unknownKey(place(keyNode), key: Self.shown(name), nearest: NearestKey.find(name)))
            }
        }
    }

    private mutating func read(_ value: Node, of setting: Setting) {
        guard case .scalar(let scalar) = value, !Self.isNull(value) else {
            let what = Self.isNull(value) ? "empty" : value.mapping == nil ? "a list" : "a group of keys"
            problems.append(.invalidValue(place(value), key: setting.name, value: what, expected: setting.expected))
            return
        }
        if !setting.apply(scalar.string, to: &configuration, relativeTo: folder) {
            problems.append(.invalidValue(place(value), key: setting.name, value: Self.shown(scalar.string), expected: setting.expected))
        }
    }

    consuming func finish() throws(ConfigurationProblem) -> Configuration {
        if problems.count == 1 { throw problems[0] }
        if !problems.isEmpty { throw .several(problems) }
        return configuration
    }

    private func place(_ node: Node) -> SettingOrigin { .file(path: path, line: node.mark?.line ?? 1) }

    private static func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .plain && ["", "~", "null"].contains(scalar.string)
    }

    /// A value as it can be shown on one line.
    static func shown(_ text: String) -> String {
        let plain = text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : String($0) }.joined()
        let short = plain.count > 60 ? plain.prefix(60) + "…" : plain
        return short.isEmpty ? "\"\"" : short
    }
}
