// `kube-apiserver`: the API of a lab, over TLS, on the store of `--etcd-servers`.
internal import APIFront
internal import APIServer
internal import Access
internal import ClusterClient
internal import ClusterModel
internal import ClusterStore
internal import Crypto
internal import Essentials
internal import Glibc
internal import Logging
internal import Synchronization
internal import Web

enum APIServerComponent: Component {
    static let name = "kube-apiserver"

    static func run(_ flags: Flags) async -> Int32 {
        do {
            try await APIServerProcess(try APIServerOptions(flags)).run()
            return 0
        } catch let problem as any Problem {
            Flags.printError("kube-apiserver: \(problem.message)\(problem.cause.map { " (\($0))" } ?? "")\n")
            return 1
        } catch {
            Flags.printError("kube-apiserver: \(error)\n")
            return 1
        }
    }
}

enum APIServerProblem: Problem {
    case unreadable(String)
    case flag(String, String)

    var reason: String {
        switch self {
        case .unreadable: "FileUnreadable"
        case .flag: "FlagInvalid"
        }
    }
    var message: String {
        switch self {
        case .unreadable(let path): "open \(path): \(String(cString: strerror(errno)))"
        case .flag(let name, let why): "invalid argument for \"--\(name)\" flag: \(why)"
        }
    }
}

struct APIServerOptions: Sendable {
    var bindAddress: String
    var port: UInt16
    var advertiseAddress: String
    var tls: TLSFiles
    /// `file:PATH`, or the addresses of the store's process.
    var store: String
    var storeAuthority: String?
    var storeCertificate: String?
    var storeKey: String?
    var serviceRange: String
    var nodePorts: ClosedRange<Int>
    var access = AccessSettings()
    var auditPath: String?
    var auditPolicy: String?
    var kubeletCertificate: String?
    var kubeletKey: String?
    var kubeletAuthority: String?
    var graceSeconds: Double

    init(_ flags: Flags) throws {
        bindAddress = flags.value("bind-address") ?? "0.0.0.0"
        guard let port = UInt16(flags.value("secure-port") ?? "6443") else {
            throw APIServerProblem.flag("secure-port", "it must be a number from 1 to 65535")
        }
        self.port = port
        advertiseAddress = flags.value("advertise-address") ?? (["0.0.0.0", "::"].contains(bindAddress) ? "127.0.0.1" : bindAddress)
        let folder = flags.value("cert-dir") ?? "/var/run/kubernetes"
        tls = TLSFiles(
            certificate: flags.value("tls-cert-file") ?? folder + "/apiserver.crt",
            key: flags.value("tls-private-key-file") ?? folder + "/apiserver.key", clientCA: flags.value("client-ca-file"))
        guard let store = flags.value("etcd-servers"), !store.isEmpty else {
            throw APIServerProblem.flag("etcd-servers", "it is required: https://HOST:PORT, or file:PATH")
        }
        self.store = store
        storeAuthority = flags.value("etcd-cafile")
        storeCertificate = flags.value("etcd-certfile")
        storeKey = flags.value("etcd-keyfile")
        serviceRange = flags.value("service-cluster-ip-range") ?? "10.96.0.0/12"
        let ports = (flags.value("service-node-port-range") ?? "30000-32767").split(separator: "-").compactMap { Int($0) }
        guard ports.count == 2, ports[0] <= ports[1] else {
            throw APIServerProblem.flag("service-node-port-range", "it must be of the form LOW-HIGH")
        }
        nodePorts = ports[0]...ports[1]
        auditPath = flags.value("audit-log-path")
        auditPolicy = flags.value("audit-policy-file")
        kubeletCertificate = flags.value("kubelet-client-certificate")
        kubeletKey = flags.value("kubelet-client-key")
        kubeletAuthority = flags.value("kubelet-certificate-authority")
        graceSeconds = flags.value("shutdown-delay-duration").flatMap { Double($0.filter(\.isNumber)) } ?? 5
        try readAccess(flags)
    }

    private mutating func readAccess(_ flags: Flags) throws {
        if let modes = flags.value("authorization-mode") {
            access.modes = try modes.split(separator: ",").map { word in
                guard let mode = AccessSettings.Mode(rawValue: String(word)) else {
                    throw APIServerProblem.flag("authorization-mode", "authorization-mode \"\(word)\" is not supported")
                }
                return mode
            }
        }
        access.allowsAnonymous = flags.isOn("anonymous-auth", default: true)
        access.takesBootstrapTokens = flags.isOn("enable-bootstrap-token-auth")
        if let issuer = flags.all("service-account-issuer").first { access.issuer = issuer }
        access.audiences = flags.all("api-audiences").flatMap { $0.split(separator: ",").map(String.init) }
        access.signingKey = try flags.value("service-account-signing-key-file").map(Self.text)
        access.verifyingKeys = try flags.all("service-account-key-file").map(Self.text)
        if access.verifyingKeys.isEmpty, access.signingKey == nil, access.modes.contains(.roles) {
            Flags.printError("kube-apiserver: without --service-account-key-file no service account token is taken\n")
        }
        if let path = flags.value("token-auth-file") { access.fixedTokens = Self.tokens(try Self.text(path)) }
    }

    /// Lines of `token,user,uid,"group1,group2"`.
    private static func tokens(_ text: String) -> [String: UserInfo] {
        var tokens: [String: UserInfo] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ",", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
            guard fields.count >= 3 else { continue }
            let groups = fields.count > 3 ? fields[3].filter { $0 != "\"" }.split(separator: ",").map(String.init) : []
            tokens[fields[0]] = UserInfo(name: fields[1], groups: groups + ["system:authenticated"], uid: fields[2])
        }
        return tokens
    }

    static func text(_ path: String) throws -> String {
        guard let file = fopen(path, "re") else { throw APIServerProblem.unreadable(path) }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 256 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

/// The wiring of the server and its life.
struct APIServerProcess {
    private let options: APIServerOptions
    private let log = Logger(label: "apiserver")

    init(_ options: APIServerOptions) throws { self.options = options }

    func run() async throws {
        let store = try Self.store(options)
        let schema = Schema.cluster
        var admission = AdmissionSettings(serviceRange: options.serviceRange, nodePorts: options.nodePorts)
        admission.injectsServiceAccounts = schema.kind(.serviceAccounts) != nil
        let review = RoleReview()
        admission.review = review
        let server = APIServer(store: store, schema: schema, tracksFields: true, admission: admission)
        let client = ClusterClient(transport: server)
        let access = try Access(client: client, settings: options.access, servesRoles: schema.kind(.clusterRoles) != nil)
        review.use(access)
        let beginning = ClusterBeginning(client: client) { schema.kind($0) != nil }
        let isReady = Readiness()
        let health = HealthChecks([
            HealthChecks.Check("etcd") { (try? store.check()) != nil },
            HealthChecks.Check("poststarthook/rbac/bootstrap-roles", isForReadiness: true) { isReady.value },
            HealthChecks.Check("poststarthook/start-service-ip-repair-controllers", isForReadiness: true) { isReady.value },
        ])
        var audit: AuditLog?
        if let path = options.auditPath {
            let policy = try options.auditPolicy.map { try AuditPolicy(text: Array(try APIServerOptions.text($0).utf8)) }
            audit = AuditLog(path: path, policy: policy ?? AuditPolicy())
            if audit == nil { throw APIServerProblem.unreadable(path) }
        }
        let kubelets = KubeletLinks(
            client: client, certificate: options.kubeletCertificate, key: options.kubeletKey, authority: options.kubeletAuthority)
        server.nodes.serveOthers(kubelets)
        let front = APIFront(
            server: server, access: access, schema: schema, audit: audit,
            upgrades: PodUpgrades(client: client, streams: PodStreams(kubelets: kubelets)),
            proxies: ProxyRelay(client: client, kubelets: kubelets),
            metrics: ClusterMetrics(client: client, kubelets: kubelets), health: health)
        var configuration = WireServerConfiguration(address: options.bindAddress, port: options.port, tls: options.tls)
        configuration.limits.bodyBytes = APIFront.bodyLimitBytes
        let listener = WireServer(configuration: configuration, handler: front)
        let port = try await listener.start()
        log.info("Serving securely on \(options.bindAddress):\(port)")
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await store.run() }
            group.addTask {
                // The store may start in the same moment.
                await store.waitUntilReady()
                try await access.run()
            }
            group.addTask {
                await store.waitUntilReady()
                try await begin(beginning, access, isReady, port)
            }
            group.addTask {
                // Kinds that people define.
                await store.waitUntilReady()
                await server.followDefinitions()
            }
            group.addTask {
                await EndSignals.first()
                log.info("Received a signal, ending")
            }
            do { try await group.next() } catch { log.error("ending", metadata: ["cause": "\(error)"]) }
            await listener.stop(graceSeconds: options.graceSeconds)
            group.cancelAll()
        }
    }

    private static func store(_ options: APIServerOptions) throws -> ClusterStore {
        if options.store.hasPrefix("file:") { return try ClusterStore(path: String(options.store.dropFirst(5))) }
        return ClusterStore(
            remote: RemoteStoreConfiguration(
                servers: options.store.split(separator: ",").map(String.init), authority: options.storeAuthority,
                certificate: options.storeCertificate, key: options.storeKey))
    }

    private func begin(_ beginning: ClusterBeginning, _ access: Access, _ isReady: Readiness, _ port: UInt16) async throws {
        var attempts = 0
        while true {
            do {
                try await beginning.namespaces()
                try await beginning.priorities()
                try await beginning.roles()
                try await beginning.service(
                    clusterIP: ServiceRange.first(options.serviceRange), address: options.advertiseAddress, port: Int(port))
                break
            } catch {
                attempts += 1
                log.warning("the cluster's first objects are not written yet", metadata: ["cause": "\(error)"])
                try await Task.sleep(for: .milliseconds(min(5_000, 100 << min(attempts, 6))))
            }
        }
        await access.waitForSync()
        isReady.set()
        try await Task.sleep(for: .seconds(Int64.max >> 32))
    }
}

/// Set once.
final class Readiness: Sendable {
    private let isSet = Atomic<Bool>(false)
    var value: Bool { isSet.load(ordering: .acquiring) }
    func set() { isSet.store(true, ordering: .releasing) }
}

enum ServiceRange {
    /// The first address of `10.96.0.0/12`: 10.96.0.1.
    static func first(_ range: String) -> String {
        let base = range.prefix { $0 != "/" }
        let parts = base.split(separator: ".").compactMap { UInt32($0) }
        guard parts.count == 4 else { return base.hasSuffix("::") ? base + "1" : String(base) }
        let number = parts.reduce(0) { $0 << 8 | $1 } + 1
        return [24, 16, 8, 0].map { String(number >> UInt32($0) & 255) }.joined(separator: ".")
    }
}
