// `kube-controller-manager`: the controllers of a lab, while this process holds their lease.
internal import ClusterClient
internal import ClusterModel
internal import ClusterWire
internal import Controllers
internal import Crypto
internal import Essentials
internal import Glibc
internal import Kernel
internal import Logging
internal import Web

enum ControllerManagerComponent: Component {
    static let name = "kube-controller-manager"

    static func run(_ flags: Flags) async -> Int32 {
        Signals.endOnTerm()
        let selection = (flags.value("controllers") ?? "*").split(separator: ",").map(String.init)
        for word in ClusterControllers.unknown(selection) {
            Logger(label: name).info("this version has no such controller", metadata: ["controller": "\(word)"])
        }
        do {
            let configuration = try flags.value("kubeconfig").map { path in try ClusterConfiguration(kubeconfig: path) }
            let transport = try HTTPSTransport(configuration ?? ClusterConfiguration.inCluster())
            let client = ClusterClient(transport: transport, user: UserInfo(name: "system:kube-controller-manager"))
            let health = try await HealthServer.start(flags, defaultPort: 10257)
            await ServerWait.untilReady(client)
            var controllers = ClusterControllers(client: client, selection: selection)
            controllers.settings = try settings(flags)
            let chosen = controllers
            if flags.isOn("leader-elect", default: true) {
                let election = LeaderElection(client: client, name: name, host: Machine.hostName)
                try await election.acquire()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await election.hold() }
                    group.addTask { try await chosen.run() }
                    try await group.next()
                    group.cancelAll()
                }
            } else {
                try await chosen.run()
            }
            await health.stop()
        } catch {
            Flags.printError("\(name): \(error)\n")
        }
        return 1
    }
}

extension ControllerManagerComponent {
    /// What the flags say about the cluster; files that are missing are told of, and what needs them stays off.
    private static func settings(_ flags: Flags) throws -> ControllerSettings {
        let kernel = LinuxKernel()
        func text(_ flag: String) throws -> String? { try flags.value(flag).map { try kernel.readText($0) } }
        var settings = ControllerSettings()
        settings.rootCertificate = try text("root-ca-file")
        if let certificate = try text("cluster-signing-cert-file"), let key = try text("cluster-signing-key-file") {
            settings.signingAuthority = try CertificateAuthority(certificatePEM: certificate, keyPEM: key)
        }
        if let key = try text("service-account-private-key-file") { settings.tokenKey = try PrivateKey(pem: key) }
        if flags.isOn("allocate-node-cidrs") {
            settings.podNetwork = flags.value("cluster-cidr")
            settings.podNetworkBits = flags.value("node-cidr-mask-size").flatMap { Int($0) } ?? 24
        }
        settings.zoneFile = { name in
            for folder in zoneFolders {
                if let bytes = try? LinuxKernel().read(folder + name, limitBytes: 1 << 20) { return bytes }
            }
            return nil
        }
        return settings
    }

    /// Where time zones lie: in the container's image, or with our own programs.
    private static let zoneFolders = ["/usr/share/zoneinfo/", "/usr/lib/lectern/zoneinfo/"]
}

/// Waits for an API server that may start in the same moment as this process.
enum ServerWait {
    /// Pauses between attempts, in milliseconds; the last one holds from then on.
    private static let pausesMilliseconds = [20, 50, 50, 100, 100, 100, 100, 100, 200, 200, 200, 500, 500, 1_000]

    static func untilReady(_ client: ClusterClient) async {
        var attempt = 0
        while true {
            let answer = await client.transport.send(APIRequest(method: "GET", path: "/readyz", user: client.user))
            if answer.status < 400 || answer.status == 403 { return }
            try? await Task.sleep(for: .milliseconds(pausesMilliseconds[min(attempt, pausesMilliseconds.count - 1)]))
            attempt += 1
        }
    }
}

enum Machine {
    static var hostName: String {
        let text = (try? LinuxKernel().readText("/proc/sys/kernel/hostname")) ?? "localhost"
        return String(text.prefix { !$0.isWhitespace })
    }
}
