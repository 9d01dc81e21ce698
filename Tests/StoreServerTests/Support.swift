// What the tests of the store's process share: a folder, a running server, clients that follow it.
import ClusterStore
import Crypto
import Essentials
import Glibc
import Testing
import Web

@testable import StoreServer

/// A folder with a store file, gone at the end.
final class StoreFolder: Sendable {
    let path = "/tmp/lectern-etcd-\(Identifier.short(length: 12))"
    var file: String { path + "/store.db" }
    init() { mkdir(path, 0o700) }
    deinit {
        guard let folder = opendir(path) else { return }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { unlink(path + "/" + name) }
        }
        closedir(folder)
        rmdir(path)
    }

    func write(_ name: String, _ text: String) -> String {
        let file = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(file) }
        text.withCString { _ = Glibc.write(file, $0, strlen($0)) }
        return path + "/" + name
    }

    func configuration(port: UInt16 = 0) -> StoreServerConfiguration {
        StoreServerConfiguration(file: file, clients: [StoreListen(host: "127.0.0.1", port: port, isSecure: false)])
    }
}

/// A server on the folder's file, and its port.
struct RunningStore {
    let server: StoreServer
    let port: UInt16

    static func start(_ folder: StoreFolder, port: UInt16 = 0) async throws -> RunningStore {
        let server = try StoreServer(folder.configuration(port: port)) { Issue.record("damaged: \($0)") }
        return RunningStore(server: server, port: try await server.start()[0])
    }
}

/// Runs `body` with a store that follows the server at `port`.
func withRemote<Value: Sendable>(
    port: UInt16, isReady: Bool = true, _ body: @escaping @Sendable (ClusterStore) async throws -> Value
) async throws -> Value {
    let store = ClusterStore.remote(servers: ["http://127.0.0.1:\(port)"])
    return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask {
            try? await store.run()
            return nil
        }
        group.addTask {
            if isReady { await store.waitUntilReady() }
            return try await body(store)
        }
        while let value = try await group.next() {
            if let value {
                group.cancelAll()
                return value
            }
        }
        throw CancellationError()
    }
}

func document(_ value: Int, name: String = "x") -> JSON { ["metadata": ["name": JSON(name)], "value": JSON(value)] }

/// A port that nobody listens on now.
func freePort() async throws -> UInt16 {
    try await WebLoop.run {
        let listener = try StreamListener(address: "127.0.0.1", port: 0) { nil }
        defer { listener.close() }
        return listener.port
    }
}

extension WebLoop {
    static func run<Value: Sendable>(_ body: @WebLoop @Sendable () throws -> Value) async throws -> Value { try await body() }
}
