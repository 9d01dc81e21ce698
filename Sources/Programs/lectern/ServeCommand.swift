// `lectern serve`: the one place where all rooms meet and run.
internal import ArgumentParser
internal import Logging
internal import Settings

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve", abstract: "Serve workshops and their labs.")
    @OptionGroup var common: CommonOptions
    @Option(help: "Address and port to listen on, such as 0.0.0.0:8080.") var listen: String?

    func run() async throws {
        var configuration = try common.load()
        if let listen {
            guard let address = ListenAddress(listen) else {
                throw ValidationError("“\(listen)” is no address to listen on. Write ADDRESS:PORT, such as 127.0.0.1:8080.")
            }
            configuration.listen = address
        }
        try configuration.check()
        let level = Logger.Level(rawValue: configuration.logLevel) ?? .info
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        try await Server(configuration: configuration).run()
    }
}
