// `lectern lint`: the faults of workshops, with file, line and repair.
internal import ArgumentParser
internal import Labs
internal import Workshops

struct LintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "lint", abstract: "Check workshops: file, line and fix of each problem.")
    @Argument(help: "Folders or Markdown files, such as Workshops/linux-terminal.") var paths: [String]

    func run() throws {
        var errors = 0
        for path in paths {
            let problems = Lint.lint(path, maximumNodes: Cap.nodesPerLab.row.standard)
            errors += problems.count { $0.severity == .error }
            for problem in problems { print(problem) }
            if problems.isEmpty { print("\(path): right") }
        }
        if errors > 0 { throw ExitCode(1) }
    }
}
