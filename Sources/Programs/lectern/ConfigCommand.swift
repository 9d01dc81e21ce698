// `lectern config`: explains every key of lectern.yaml, and checks a file without starting anything.
internal import ArgumentParser
internal import Settings

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Explain and check the configuration.", subcommands: [Explain.self, Check.self],
        defaultSubcommand: Explain.self)

    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show every key with its unit, default, range and meaning.")
        @Option(help: "A lectern.yaml; what differs from the default is shown.") var config: String?

        func run() throws {
            print(Configuration.explain(try config.map { try Configuration.load(path: $0) }), terminator: "")
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Check a file.")
        @Argument(help: "The file.") var file: String

        func run() throws {
            do throws(ConfigurationProblem) {
                try Configuration.load(path: file).check()
            } catch {
                throw ValidationError(error.message)
            }
            print("\(file): right")
        }
    }
}
