// The sockets of the store's process: who may connect, what probes get, what nonsense gets.
@testable import ClusterStore
import Crypto
import Essentials
import Testing
import Web

@testable import StoreServer

@Suite(.timeLimit(.minutes(1))) struct StoreSocketTests {
    /// A server with TLS on port 0 and without on another, and the files of a client it knows and of one it does not.
    private struct Secured {
        let folder: StoreFolder
        let server: StoreServer
        let port: UInt16
        let probePort: UInt16
        let authority: String
        let friend: (certificate: String, key: String)
        let stranger: (certificate: String, key: String)

        init() async throws {
            let folder = StoreFolder()
            self.folder = folder
            let authority = try CertificateAuthority(commonName: "etcd-ca")
            let other = try CertificateAuthority(commonName: "other-ca")
            let authorityFile = folder.write("ca.crt", authority.certificate.pem)
            self.authority = authorityFile
            func files(_ name: String, _ identity: Identity) -> (certificate: String, key: String) {
                (folder.write(name + ".crt", identity.certificate.pem), folder.write(name + ".key", identity.key.pem))
            }
            let own = files("server", try authority.issueServer(commonName: "node1", names: ["localhost", "127.0.0.1"]))
            friend = files("client", try authority.issueClient(commonName: "kube-apiserver-etcd-client"))
            stranger = files("stranger", try other.issueClient(commonName: "kube-apiserver-etcd-client"))
            var configuration = StoreServerConfiguration(
                file: folder.file, clients: [StoreListen(host: "127.0.0.1", port: 0, isSecure: true)])
            configuration.probes = [StoreListen(host: "127.0.0.1", port: 0, isSecure: false)]
            configuration.tls = StreamTLS(certificate: own.certificate, key: own.key, clientCA: authorityFile)
            server = try StoreServer(configuration) { Issue.record("damaged: \($0)") }
            let ports = try await server.start()
            (port, probePort) = (ports[0], ports[1])
        }
    }

    private func follow(
        _ store: ClusterStore, _ body: @escaping @Sendable (ClusterStore) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await store.run() }
            try await body(store)
            group.cancelAll()
        }
    }

    @Test func onlyClientsOfTheAuthorityGetIn() async throws {
        let secured = try await Secured()
        let url = "https://127.0.0.1:\(secured.port)"
        try await follow(
            .remote(servers: [url], authority: secured.authority, certificate: secured.friend.certificate, key: secured.friend.key)
        ) { store in
            await store.waitUntilReady()
            let object = try await store.create("a/1", document(1))
            #expect(object.revision == 1)
        }
        let refused: [ClusterStore] = [
            .remote(servers: [url], authority: secured.authority, certificate: secured.stranger.certificate, key: secured.stranger.key),
            .remote(servers: [url], authority: secured.authority),
        ]
        for store in refused {
            try await follow(store) { store in
                try await Task.sleep(for: .milliseconds(300))
                #expect(throws: StoreProblem.unreachable) { try store.get("a/1") }
                #expect(throws: StoreProblem.unreachable) { try store.check() }
            }
        }
        await secured.server.stop()
    }

    @Test func probesAreAnswered() async throws {
        let secured = try await Secured()
        func get(_ url: String, _ options: HTTPClientOptions = HTTPClientOptions()) async throws -> (Int, String) {
            let response = try await HTTPClient(options: options).request("GET", url)
            return (response.status, String(decoding: try await response.body.collect(limitBytes: 1 << 20), as: UTF8.self))
        }
        var secure = HTTPClientOptions()
        secure.trustedCA = secured.authority
        secure.certificate = CertificateFiles(certificate: secured.friend.certificate, key: secured.friend.key)
        let plain = "http://127.0.0.1:\(secured.probePort)"
        #expect(try await get(plain + "/health?serializable=true") == (200, "{\"health\":\"true\",\"reason\":\"\"}"))
        #expect(try await get("https://127.0.0.1:\(secured.port)/health", secure) == (200, "{\"health\":\"true\",\"reason\":\"\"}"))
        #expect(try await get(plain + "/livez").1 == "ok\n")
        #expect(try await get(plain + "/nowhere").0 == 404)
        let metrics = try await get(plain + "/metrics").1
        #expect(metrics.contains("\netcd_server_has_leader 1\n"))
        #expect(metrics.contains("\netcd_disk_wal_fsync_duration_seconds_count 0\n"))
        await #expect(throws: (any Error).self) {
            var nobody = HTTPClientOptions()
            nobody.trustedCA = secured.authority
            _ = try await get("https://127.0.0.1:\(secured.port)/health", nobody)
        }
        await secured.server.stop()
    }

    @Test func nonsenseEndsTheConnectionOnly() async throws {
        let folder = StoreFolder()
        let running = try await RunningStore.start(folder)
        try await withRemote(port: running.port) { store in
            var hello: [UInt8] = []
            StoreFrame.hello(session: 1, since: 0, identity: "").encode(into: &hello)
            var early: [UInt8] = []
            let write = StoreWrite(id: 1, change: .create, expected: 0, key: "a/9", value: GappedValue(bytes: [1], gap: 0))
            StoreFrame.write(write).encode(into: &early)
            let greeting = StoreProtocol.greeting
            let nonsense: [[UInt8]] = [
                Array("nonsense".utf8) + Array(repeating: 0, count: 9_000), greeting + [255, 255, 255, 255], greeting + [0, 0, 0, 1, 77],
                greeting + early, greeting + hello + hello, greeting + [0, 0, 0, 3, 2, 0, 0],
                greeting + hello + [0, 0, 0, 25, 2] + Array(repeating: 0, count: 17) + [255, 255, 255, 255, 0, 1, 97],
            ]
            for bytes in nonsense {
                let listener = Listener()
                let connection = try await RawConnection.connect(host: "127.0.0.1", port: running.port, tls: nil, handler: listener)
                await connection.send(bytes)
                await listener.waitForEnd()
                await connection.close()
            }
            let object = try await store.create("a/1", document(1))
            #expect(object.revision == 1)
        }
        await running.server.stop()
    }
}

/// Waits for the end of a connection.
@WebLoop private final class Listener: RawConnectionHandler {
    private var isOver = false
    private var waiter: CheckedContinuation<Void, Never>?

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {}
    func closed(_ connection: RawConnection, error: String?) {
        isOver = true
        waiter?.resume()
        waiter = nil
    }
    func waitForEnd() async {
        await withCheckedContinuation { continuation in
            if isOver { continuation.resume() } else { waiter = continuation }
        }
    }
}
