// Builds the rooms from the configuration, runs them side by side, and stops them in order; labs go on without.
internal import APIFront
internal import APIServer
internal import Accounts
internal import ClusterClient
internal import ClusterModel
internal import ClusterStore
internal import Controllers
internal import Database
internal import Essentials
internal import Gateway
internal import Glibc
internal import Kubelet
internal import Labs
internal import Logging
internal import Ports
internal import Scheduler
internal import Settings
internal import Terminals
internal import Web
internal import Workshops

struct Server {
    static let version = "0.1.0"
    let configuration: Configuration
    private let log = Logger(label: "lectern")

    init(configuration: Configuration) { self.configuration = configuration }

    func run() async throws {
        let folder = try ProgramFolder()
        try Prerequisites.check(configuration, agent: folder.nodeAgent)
        let lock = try StateLock(folder: configuration.state)
        defer { lock.release() }
        let database = try Database(path: configuration.databasePath, migrations: Accounts.migrations)
        let accounts = try Accounts(database: database)
        let store = try ClusterStore(path: configuration.clusterDatabasePath, durability: .processDeath)
        let sandboxes = try await PodSandboxes.open(SandboxSettings(state: configuration.state, images: configuration.imagesPath))
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await serve(folder, accounts, database, store, sandboxes))
        } catch {
            outcome = .failure(error)
        }
        // With no lab left, nothing of this server stays on the machine.
        let client = ClusterClient(transport: APIServer(store: store))
        await sandboxes.close(forGood: (try? await client.list(.pods).items.isEmpty) ?? false)
        try outcome.get()
    }

    private func serve(
        _ folder: ProgramFolder, _ accounts: Accounts, _ database: Database, _ store: ClusterStore, _ sandboxes: PodSandboxes
    ) async throws {
        let api = APIServer(store: store)
        let client = ClusterClient(transport: api)
        let kubelet = try Kubelet(
            settings: KubeletSettings(
                nodeName: hostName(), address: "127.0.0.1", agentProgram: folder.nodeAgent, clusterProgram: folder.labkube),
            client: client, sandboxes: sandboxes)

        api.nodes.register(hostName(), kubelet)

        let library = WorkshopLibrary(directory: configuration.workshops ?? folder.workshops)
        let machine = MachineFigures(state: configuration.state) { await usage(of: kubelet) }
        let labs = LabService(
            client: client, history: StoredLabHistory(database: database), caps: try caps(accounts),
            configuration: LabServiceConfiguration(
                memoryTotalBytes: MachineFigures.memoryTotalBytes,
                spec: { (name) async throws(LabProblem) in try labSpec(name, in: library) },
                memoryUsedBytes: { await usage(of: kubelet).values.reduce(0) { $0 + $1.memoryBytes } }))
        let reach = try EmbeddedReach(sandboxes: sandboxes) { id in await labs.find(id).map { $0.state == .ended } ?? true }
        let pages = StaticFiles(directory: configuration.publicFiles ?? folder.publicFiles)
        let ports = await PortLinks(
            configuration: PortLinksConfiguration(
                domain: configuration.portsDomain, waitingPage: { pages.text("waiting.html") ?? "" },
                errorPage: { pages.text("port-error.html") ?? "" }),
            capability: PortCapability(key: accounts.portKey), reach: reach)
        let gateway = Gateway(
            services: GatewayServices(
                accounts: accounts, labs: labs, workshops: library, agents: AgentClient(nodes: reach),
                terminals: TerminalHub(nodes: reach), ports: ports, machine: machine, pages: pages,
                xterm: StaticFiles(directory: configuration.assetsPath + "/xterm"), portsDomain: configuration.portsDomain,
                publicOrigin: configuration.publicURL.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }, version: Self.version))

        let front = WebServer(configuration: webConfiguration(ports), handler: gateway)
        let health = HealthChecks([HealthChecks.Check("store", isForReadiness: true) { (try? store.check()) != nil }])
        let kubernetes = WireServer(
            configuration: try kubernetesConfiguration(), handler: APIFront(server: api, schema: .host, health: health))
        let signals = SignalWatch([SIGTERM, SIGINT, SIGHUP])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await store.run() }
            group.addTask { try await PodScheduler(client: client).run() }
            group.addTask { try await ControllerManager(client: client).run() }
            group.addTask { try await kubelet.run() }
            group.addTask { try await labs.run() }
            group.addTask { try await gateway.run() }
            group.addTask { await library.watch() }
            group.addTask {
                for await signal in signals.stream {
                    guard signal == SIGHUP else { return }
                    try? await front.reloadCertificates()
                }
            }
            defer { group.cancelAll() }
            // Who comes back to a lab after a restart finds it: the doors open when all labs are known again.
            await labs.waitUntilAdopted()
            await gateway.prepare()
            try await Self.listen { () async throws(WebProblem) in try await front.start() }
            do {
                try await Self.listen { () async throws(WebProblem) in try await kubernetes.start() }
                announce(accounts)
                _ = try await group.next()
            } catch {
                await front.stop()
                throw error
            }
            log.info("stopping; labs go on")
            group.cancelAll()
            await front.stop()
            await kubernetes.stop()
        }
    }

    /// Listens; a port that a killed predecessor's last child still holds is waited for.
    private static func listen(_ start: () async throws(WebProblem) -> UInt16) async throws {
        for _ in 0..<listenAttempts - 1 {
            do throws(WebProblem) {
                _ = try await start()
                return
            } catch {
                guard error.reason == "CannotListen" else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        _ = try await start()
    }

    /// Tries at a port that is in use, 200 ms apart.
    private static let listenAttempts = 8

    /// The caps: the configuration's, then what an admin changed in the page.
    private func caps(_ accounts: Accounts) throws -> Caps {
        var caps = configuration.caps
        for cap in Cap.allCases {
            guard let value = try accounts.setting("cap." + cap.rawValue).flatMap({ Int($0) }) else { continue }
            do { try caps.set(cap, to: value) } catch { log.warning("stored cap ignored", metadata: ["cap": "\(cap.rawValue)"]) }
        }
        return caps
    }

    private func webConfiguration(_ ports: PortLinks) -> WebServerConfiguration {
        var web = WebServerConfiguration(address: configuration.listen.host, port: UInt16(configuration.listen.port))
        if let certificate = configuration.tls.certificate, let key = configuration.tls.key {
            web.tls = TLSFiles(certificate: certificate, key: key)
        }
        web.limits = configuration.limits
        web.frontDoor = ports
        web.customHeaders = ["x-lectern-csrf"]
        return web
    }

    private func kubernetesConfiguration() throws -> WireServerConfiguration {
        let address = configuration.kubernetesListen
        let files = try ClusterCertificates(folder: configuration.pkiPath).serverFiles(host: address.host)
        return WireServerConfiguration(address: address.host, port: UInt16(address.port), tls: files)
    }

    private func announce(_ accounts: Accounts) {
        print("Lectern \(Self.version) is serving.")
        print("  Learners:  \(configuration.baseURL)")
        if let token = try? accounts.makeLoginLink(role: .admin, by: "start") {
            print("  Admin:     \(configuration.baseURL)/login/\(token)   (works once, within a day)")
        }
        print("  kubectl:   lectern admin kubeconfig > kc; kubectl --kubeconfig kc get pods -A")
        fflush(nil)
    }
}

private func hostName() -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    gethostname(&bytes, bytes.count - 1)
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
}

/// What a workshop asks of its labs.
private func labSpec(_ name: String, in library: WorkshopLibrary) throws(LabProblem) -> LabSpec {
    guard let workshop = library.workshop(named: name) else { throw .workshopNotFound(name: String(name.prefix(60))) }
    guard !workshop.isBroken else { throw .workshopBroken(name: name) }
    return LabSpec(
        workshop: name, nodes: workshop.nodes, image: workshop.nodeImage ?? "lectern/node", lifetimeMinutes: workshop.caps.lifetimeMinutes,
        memoryMiBPerNode: workshop.caps.memoryBytesPerNode.map { Int($0 >> 20) },
        cpuMillisPerNode: workshop.caps.cpuMillicoresPerNode.map { Int($0) }, pidsPerNode: workshop.caps.pidsPerNode.map { Int($0) },
        diskMiBPerNode: workshop.caps.diskBytesPerNode.map { Int($0 >> 20) }, kubernetes: workshop.kubernetes)
}

private func usage(of kubelet: Kubelet) async -> [String: LabUsage] {
    var result: [String: LabUsage] = [:]
    for (namespace, _, used) in kubelet.usages() {
        var sum = result[namespace] ?? LabUsage(memoryBytes: 0, cpuSeconds: 0, diskBytes: 0)
        sum.memoryBytes += used.memoryBytes
        sum.cpuSeconds += Double(used.processorNanoseconds) / 1e9
        sum.diskBytes += used.diskBytes
        result[namespace] = sum
    }
    return result
}
