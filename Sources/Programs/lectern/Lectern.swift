// The server and its command line.
internal import ArgumentParser

@main struct Lectern: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lectern", abstract: "Workshops with live terminals on nodes of one's own.", version: Server.version,
        subcommands: [ServeCommand.self, LintCommand.self, ImagesCommand.self, ConfigCommand.self, AdminCommand.self])
}
