// `lectern images`: builds and lists the root file systems of nodes, with the script beside their recipes.
internal import ArgumentParser
internal import Foundation

struct ImagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "Build and list the images that nodes are made of.",
        subcommands: [Build.self, List.self], defaultSubcommand: List.self)

    struct Build: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Build what is missing or whose recipe has changed.")
        @OptionGroup var options: StateOption
        @Flag(help: "Build even what is ready.") var force = false
        @Argument(help: "Recipes by name; all of them without one.") var names: [String] = []

        func run() throws {
            try ImageBuilder.run(["--state", options.path] + (force ? ["--force"] : []) + names)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what is ready, old or absent.")
        @OptionGroup var options: StateOption

        func run() throws { try ImageBuilder.run(["--state", options.path, "--list"]) }
    }
}

/// `--state`, or `LECTERN_STATE`, or the default.
struct StateOption: ParsableArguments {
    @Option(name: .customLong("state"), help: "The folder of all data.") var given: String?

    var path: String { given ?? ProcessInfo.processInfo.environment["LECTERN_STATE"] ?? "/var/lib/lectern" }
}

private enum ImageBuilder {
    /// Runs the script in the foreground, with this program's own output.
    static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try ProgramFolder().imageBuilder)
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        if process.terminationStatus != 0 { throw ExitCode(process.terminationStatus) }
    }
}
