// A live API server on loopback with real certificates, and clients that speak to it.
import APIFront
import APIServer
import Access
import ClusterClient
import ClusterModel
import ClusterStore
import ClusterWire
import Crypto
import Essentials
import Glibc
import Testing
import Web

/// A folder that goes with the test.
final class TestFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/lectern-wire-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        guard let folder = opendir(path) else { return }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { unlink(path + "/" + name) }
        }
        closedir(folder)
        rmdir(path)
    }

    func write(_ name: String, _ text: String) -> String {
        let file = fopen(path + "/" + name, "we")!
        fputs(text, file)
        fclose(file)
        return path + "/" + name
    }
}

/// The server, its authority and its users.
final class LiveServer: Sendable {
    let folder = TestFolder()
    let authority: CertificateAuthority
    let store: ClusterStore
    let server: APIServer
    let access: Access
    let wire: WireServer
    let port: UInt16
    let clock: ManualClock
    private let tasks: [Task<Void, Never>]

    init(
        modes: [AccessSettings.Mode] = [.node, .roles],
        _ change: (inout AccessSettings, inout WireServerConfiguration) -> Void = { _, _ in }
    )
        async throws
    {
        authority = try CertificateAuthority(commonName: "kubernetes")
        let identity = try authority.issueServer(commonName: "kube-apiserver", names: ["127.0.0.1", "localhost"])
        let tls = TLSFiles(
            certificate: folder.write("server.crt", identity.certificate.pem), key: folder.write("server.key", identity.key.pem),
            clientCA: folder.write("ca.crt", authority.certificate.pem))
        store = try ClusterStore(path: folder.path + "/store.db")
        clock = ManualClock(SystemClock().now())
        var settings = AccessSettings()
        settings.modes = modes
        settings.signingKey = try PrivateKey().pem
        settings.audiences = ["https://kubernetes.default.svc.cluster.local"]
        var configuration = WireServerConfiguration(tls: tls)
        change(&settings, &configuration)
        let kubeletClient = try authority.issueClient(
            commonName: "kube-apiserver-kubelet-client", organizations: ["kubeadm:cluster-admins"])
        let kubeletFiles = (
            folder.write("kubelet-client.crt", kubeletClient.certificate.pem), folder.write("kubelet-client.key", kubeletClient.key.pem)
        )
        let review = RoleReview()
        var admission = AdmissionSettings()
        admission.review = review
        server = APIServer(store: store, schema: .cluster, tracksFields: true, admission: admission)
        let client = ClusterClient(transport: server)
        let access = try Access(client: client, settings: settings, clock: clock)
        self.access = access
        review.use(access)
        let kubelets = KubeletLinks(client: client, certificate: kubeletFiles.0, key: kubeletFiles.1)
        server.nodes.serveOthers(kubelets)
        let front = APIFront(
            server: server, access: access, schema: .cluster, audit: AuditLog(path: folder.path + "/audit.log"),
            upgrades: PodUpgrades(client: client, streams: PodStreams(kubelets: kubelets)),
            proxies: ProxyRelay(client: client, kubelets: kubelets))
        wire = WireServer(configuration: configuration, handler: front)
        port = try await wire.start()
        tasks = [Task { try? await access.run() }]
        let beginning = ClusterBeginning(client: client) { Schema.cluster.kind($0) != nil }
        try await beginning.namespaces()
        try await beginning.priorities()
        try await beginning.roles()
        await access.waitForSync()
    }

    func stop() async {
        for task in tasks { task.cancel() }
        await wire.stop()
    }

    /// Everything, inside the process.
    var inside: ClusterClient { ClusterClient(transport: server) }

    func configuration(_ identity: Identity? = nil, token: String? = nil) -> ClusterConfiguration {
        ClusterConfiguration(
            server: "https://127.0.0.1:\(port)", authority: .text(authority.certificate.pem),
            certificate: identity.map { .text($0.certificate.pem) }, key: identity.map { .text($0.key.pem) }, token: token.map { .text($0) }
        )
    }

    func client(_ name: String, _ groups: [String] = []) throws -> ClusterClient {
        ClusterClient(
            transport: try HTTPSTransport(configuration(try authority.issueClient(commonName: name, organizations: groups))))
    }

    func admin() throws -> ClusterClient { try client("admin", ["system:masters"]) }

    func client(token: String) throws -> ClusterClient { ClusterClient(transport: try HTTPSTransport(configuration(token: token))) }

    /// A plain HTTP session for requests of any shape.
    func session(_ identity: Identity? = nil) throws -> HTTPSession {
        try HTTPSession(
            host: "127.0.0.1", port: port,
            tls: TLSMaterial(
                authorities: authority.certificate.pem, certificate: identity?.certificate.pem, key: identity?.key.pem))
    }
}

/// The problem that a request ends with.
func problem(_ body: () async throws -> Void) async -> ClusterProblem? {
    do {
        try await body()
        return nil
    } catch {
        return error as? ClusterProblem
    }
}

extension HTTPSessionAnswer {
    var document: JSON {
        if case .bytes(let bytes) = body { return (try? JSON(parsing: bytes)) ?? .null }
        return .null
    }

    var text: String { if case .bytes(let bytes) = body { String(decoding: bytes, as: UTF8.self) } else { "" } }
}

extension LiveServer {
    /// Waits, some seconds at most, for something that follows soon.
    func eventually(_ condition: () async -> Bool) async throws {
        for _ in 0..<300 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it did not come about")
    }
}

extension TestFolder {
    func read(_ name: String) -> String {
        guard let file = fopen(path + "/" + name, "re") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
