// Reads a workshop as a strict editor would and lists each fault with its file, its line and its repair.

/// The strict reading of a workshop, for `lectern lint`.
package enum Lint {
    /// Every fault of the workshop at `path` (a folder, a lone Markdown file, or a folder of
    /// workshops), sorted by file and line.
    /// - Parameter maximum: the platform's caps; what the workshop asks above them is a fault.
    /// - Parameter maximumNodes: the most nodes that the platform gives a lab.
    package static func lint(_ path: String, maximum: RequestedCaps = RequestedCaps(), maximumNodes: Int = 5) -> [LintProblem] {
        guard let folder = WorkshopFolder.at(path) else {
            return [
                LintProblem(
                    file: path, line: 0, message: "there is no workshop here", fix: "Name a folder with a `lesson.md`, or a Markdown file.",
                    severity: .error)
            ]
        }
        if folder.loneFile == nil, !folder.has("workshop.yaml"), !folder.has("lesson.md") {
            let folders = WorkshopFolder.list(folder.directory)
            if !folders.isEmpty {
                return folders.flatMap { folder in
                    let prefix = folder.loneFile == nil ? (folder.directory.split(separator: "/").last ?? "") + "/" : ""
                    return lint(folder, maximum, maximumNodes).map { problem in
                        var problem = problem
                        problem.file = prefix + problem.file
                        return problem
                    }
                }
            }
        }
        return lint(folder, maximum, maximumNodes)
    }

    private static func lint(_ folder: WorkshopFolder, _ maximum: RequestedCaps, _ maximumNodes: Int) -> [LintProblem] {
        let (workshop, settings) = WorkshopReader.read(folder)
        var problems = workshop.problems + caps(settings, maximum)
        if workshop.nodes > maximumNodes {
            problems.append(
                LintProblem(
                    file: settings.capsFile, line: settings.lines["nodes"] ?? settings.lines["terms"] ?? 0,
                    message: "the workshop asks for \(workshop.nodes) nodes, and this platform gives \(maximumNodes) at most",
                    fix: "Ask for fewer, or have the cap raised.", severity: .error))
        }
        return problems.sorted { ($0.file, $0.line, $0.message) < ($1.file, $1.line, $1.message) }
    }

    private static func caps(_ settings: WorkshopSettings, _ maximum: RequestedCaps) -> [LintProblem] {
        let asked = settings.caps
        func mebi(_ bytes: Int64) -> String { "\(bytes >> 20)Mi" }
        let pairs: [(key: String, asked: Int64?, maximum: Int64?, text: (Int64) -> String)] = [
            ("memory", asked.memoryBytesPerNode, maximum.memoryBytesPerNode, mebi),
            ("cpu", asked.cpuMillicoresPerNode, maximum.cpuMillicoresPerNode, { "\($0)m" }),
            ("disk", asked.diskBytesPerNode, maximum.diskBytesPerNode, mebi),
            ("pids", asked.pidsPerNode, maximum.pidsPerNode, { "\($0)" }),
            ("lifetime", asked.lifetimeMinutes.map(Int64.init), maximum.lifetimeMinutes.map(Int64.init), { "\($0) minutes" }),
        ]
        return pairs.compactMap { pair in
            guard let asked = pair.asked, let maximum = pair.maximum, asked > maximum else { return nil }
            return LintProblem(
                file: settings.capsFile, line: settings.lines["caps." + pair.key] ?? 0,
                message:
                    "the workshop asks for \(pair.text(asked)) of `\(pair.key)`, and this platform gives \(pair.text(maximum)) at most",
                fix: "Ask for less, or have the cap raised.", severity: .error)
        }
    }
}
