// `lectern admin`: login links, the kubeconfig and backups, for who has a shell on the server.
internal import Accounts
internal import ArgumentParser
internal import Database
internal import Settings

struct AdminCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "What an admin does from a shell on the server.",
        subcommands: [LoginLink.self, Kubeconfig.self, Backup.self])

    struct LoginLink: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "login-link", abstract: "Print a link that signs in once, within a day, as an admin or instructor.")
        @OptionGroup var common: CommonOptions
        @Option(help: "admin or instructor") var role = "admin"

        func run() throws {
            guard let role = Role(rawValue: role), role.isStaff else { throw ValidationError("The role must be admin or instructor.") }
            let configuration = try common.load()
            let accounts = try Accounts(database: Database(path: configuration.databasePath, migrations: Accounts.migrations))
            print(configuration.baseURL + "/login/" + (try accounts.makeLoginLink(role: role, by: "shell")))
        }
    }

    struct Kubeconfig: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "kubeconfig", abstract: "Print a kubeconfig with which kubectl sees every lab.")
        @OptionGroup var common: CommonOptions

        func run() throws {
            let configuration = try common.load()
            print(try ClusterCertificates(folder: configuration.pkiPath).kubeconfig(server: "https://\(configuration.kubernetesListen)"))
        }
    }

    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy accounts, caps, progress and audit to a file, while the server runs.")
        @OptionGroup var common: CommonOptions
        @Argument(help: "The file to write.") var file: String

        func run() throws {
            let configuration = try common.load()
            try Database(path: configuration.databasePath, migrations: Accounts.migrations).backup(to: file)
            print("\(file): written")
        }
    }
}
