// The options that most commands share: which configuration, which state folder.
internal import ArgumentParser
internal import Foundation
internal import Settings

struct CommonOptions: ParsableArguments {
    @Option(help: "A lectern.yaml; “lectern config explain” shows its keys.") var config: String?
    @Option(help: "The folder of all data; also LECTERN_STATE.") var state: String?

    /// The configuration: the file, then the environment, then the options.
    func load() throws -> Configuration {
        var configuration = try config.map { try Configuration.load(path: $0) } ?? Configuration()
        if let state = state ?? (config == nil ? ProcessInfo.processInfo.environment["LECTERN_STATE"] : nil) { configuration.state = state }
        return configuration
    }
}

extension Configuration {
    var databasePath: String { state + "/lectern.db" }
    var clusterDatabasePath: String { state + "/cluster.db" }
    var pkiPath: String { state + "/pki" }

    /// What people type to get here.
    var baseURL: String {
        if let publicURL { return publicURL.hasSuffix("/") ? String(publicURL.dropLast()) : publicURL }
        let host = ["127.0.0.1", "0.0.0.0", "::", "::1"].contains(listen.host) ? "localhost" : listen.host
        return "\(tls.certificate == nil ? "http" : "https")://\(host.contains(":") ? "[\(host)]" : host):\(listen.port)"
    }
}
