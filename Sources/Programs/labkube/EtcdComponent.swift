// `etcd`: the store of a lab, in a process of its own.
internal import ClusterStore
internal import Essentials
internal import Glibc
internal import StoreServer
internal import Web

enum EtcdComponent: Component {
    static let name = "etcd"

    static func run(_ flags: Flags) async -> Int32 {
        EndOnSignal.arm()
        let folder = (flags.value("data-dir") ?? "default.etcd") + "/member"
        guard makeFolders(folder) else {
            return fail("cannot make the folder \(folder): \(String(cString: strerror(errno)))")
        }
        guard let lock = await lock(folder + "/lock") else { return fail("\(folder) is used by another etcd") }
        defer { _ = Glibc.close(lock) }
        var configuration: StoreServerConfiguration
        do {
            configuration = StoreServerConfiguration(
                file: folder + "/store.db", clients: try addresses(flags.value("listen-client-urls") ?? "http://127.0.0.1:2379"))
            configuration.probes = try addresses(flags.value("listen-metrics-urls") ?? "")
        } catch {
            return fail("--listen-…-urls: \(error.text) is not http:// or https:// with an address in numbers and a port")
        }
        if let certificate = flags.value("cert-file"), let key = flags.value("key-file") {
            configuration.tls = StreamTLS(
                certificate: certificate, key: key, clientCA: flags.isOn("client-cert-auth") ? flags.value("trusted-ca-file") : nil)
        } else if (configuration.clients + configuration.probes).contains(where: \.isSecure) {
            return fail("https needs --cert-file and --key-file")
        }
        do {
            let server = try StoreServer(configuration) { problem in
                Flags.printError("etcd: \(problem)\n")
                _exit(1)
            }
            try await listen(server)
            try await server.run()
            return 0
        } catch {
            return fail((error as? any Problem)?.description ?? "\(error)")
        }
    }

    private static func fail(_ message: String) -> Int32 {
        Flags.printError("etcd: \(message)\n")
        return 1
    }

    private struct BadAddress: Error { var text: String }

    private static func addresses(_ list: String) throws(BadAddress) -> [StoreListen] {
        var found: [StoreListen] = []
        for text in list.split(separator: ",") {
            let parts = text.split(separator: "://", maxSplits: 1)
            guard parts.count == 2, parts[0] == "http" || parts[0] == "https", let colon = parts[1].lastIndex(of: ":"),
                let port = UInt16(parts[1][parts[1].index(after: colon)...])
            else { throw BadAddress(text: String(text)) }
            var host = String(parts[1][..<colon])
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            found.append(StoreListen(host: host == "localhost" ? "127.0.0.1" : host, port: port, isSecure: parts[0] == "https"))
        }
        return found
    }

    private static func makeFolders(_ path: String) -> Bool {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            if mkdir(made, 0o700) != 0, errno != EEXIST { return false }
        }
        return true
    }

    /// A killed predecessor may hold its lock and its ports for a moment: this many tries, this many milliseconds apart.
    private static let patienceTries = 100
    private static let patienceMilliseconds = 50

    private static func listen(_ server: StoreServer) async throws {
        var tries = 1
        while true {
            do throws(WebProblem) {
                _ = try await server.start()
                return
            } catch {
                await server.stop()
                guard case .cannotListen = error, tries < patienceTries else { throw error }
                tries += 1
                try await Task.sleep(for: .milliseconds(patienceMilliseconds))
            }
        }
    }

    /// The open lock file, or `nil` where another process has it.
    private static func lock(_ path: String) async -> Int32? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        for _ in 0..<patienceTries {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            try? await Task.sleep(for: .milliseconds(patienceMilliseconds))
        }
        _ = Glibc.close(descriptor)
        return nil
    }
}
