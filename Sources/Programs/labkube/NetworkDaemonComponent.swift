// `lectern-net`: the pod network's daemon, also as what the images of Weave Net and flannel start.
internal import ClusterClient
internal import ClusterWire
internal import Glibc
internal import Kernel
internal import PodNetwork
internal import Web

enum NetworkDaemonComponent: Component {
    static let name = "lectern-net"

    /// What images start it as.
    private static let callers = ["launch.sh": "weave", "init.sh": "weave-init", "weave-npc": "weave-npc", "flanneld": "flannel"]

    static func run(_ flags: Flags) async -> Int32 {
        EndOnSignal.arm()
        let role = flags.value("as") ?? callers[flags.name] ?? "lectern"
        do {
            let client = try ClusterClient(transport: HTTPSTransport(configuration(flags)))
            switch role {
            case "weave-npc":
                try await PolicyDaemon(client: client, nodeName: nodeName(flags)).run()
            case "weave-init":
                let options = try options(.weave, flags)
                _ = try await NetworkDaemon(client: client, options: options).prepare()
                return 0
            case "lectern", "weave", "flannel":
                let persona = NetworkPersona(rawValue: role) ?? .lectern
                var options = try options(persona, flags)
                // The init container has written what the kubelet reads, and this one does not see where.
                if persona == .weave, isOn("INIT_CONTAINER") { options.installation = nil }
                let daemon = NetworkDaemon(client: client, options: options)
                let nodeName = options.nodeName
                try await serveStatus(of: daemon, persona, flags)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await daemon.run() }
                    if persona == .lectern {
                        group.addTask { try await PolicyDaemon(client: client, nodeName: nodeName).run() }
                    }
                    try await group.next()
                    group.cancelAll()
                }
            default: Flags.fail("lectern-net: --as is one of lectern, weave, weave-init, weave-npc, flannel\n")
            }
            return 0
        } catch let problem as PodNetworkProblem {
            if case .noSubnet = problem, role == "flannel" {
                Flags.printError("Error registering network: failed to acquire lease: \(problem.message)\n")
            } else {
                Flags.printError("\(flags.name): \(problem)\n")
            }
            return 1
        } catch {
            Flags.printError("\(flags.name): \(error)\n")
            return 1
        }
    }

    private static func configuration(_ flags: Flags) throws -> ClusterConfiguration {
        var configuration =
            if let path = flags.value("kubeconfig") ?? flags.value("kubeconfig-file") { try ClusterConfiguration(kubeconfig: path) } else {
                try ClusterConfiguration.inCluster()
            }
        configuration.userAgent = "\(flags.name)/v1.32.0"
        return configuration
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    private static func isOn(_ name: String) -> Bool { environment(name) == "true" }

    private static func nodeName(_ flags: Flags) -> String? {
        flags.value("node-name") ?? environment("NODE_NAME") ?? environment("HOSTNAME")
    }

    private static func options(_ persona: NetworkPersona, _ flags: Flags) throws -> NetworkDaemonOptions {
        let root = flags.value("root") ?? ""
        var options = NetworkDaemonOptions(persona: persona, nodeName: nodeName(flags))
        options.installation = CNIInstallation(programs: root + "/opt/cni/bin", configurations: root + "/etc/cni/net.d")
        switch persona {
        case .lectern, .weave:
            let text = flags.value("ipalloc-range") ?? environment("IPALLOC_RANGE") ?? "10.32.0.0/12"
            guard let range = IPv4Block(text) else { throw PodNetworkProblem.badConfiguration("\"\(text)\" is no network") }
            options.range = range
            // As its manifest mounts the node's directories.
            if persona == .weave {
                options.installation = CNIInstallation(programs: root + "/host/opt/cni/bin", configurations: root + "/host/etc/cni/net.d")
            }
        case .flannel:
            let path = flags.value("net-config-path") ?? "/etc/kube-flannel/net-conf.json"
            options.network = try CNIInstallation.flannelNetwork(LinuxKernel().readText(root + path))
            options.masquerades = flags.isOn("ip-masq")
            options.subnetFile = root + (flags.value("subnet-file") ?? "/run/flannel/subnet.env")
        }
        return options
    }

    /// Weave's and our own manifest probe this; flannel's does not.
    private static func serveStatus(of daemon: NetworkDaemon, _ persona: NetworkPersona, _ flags: Flags) async throws {
        let port = flags.value("status-port").flatMap { UInt16($0) } ?? (persona == .flannel ? 0 : 6784)
        guard port > 0 else { return }
        let server = WireServer(
            configuration: WireServerConfiguration(address: "127.0.0.1", port: port), handler: NetworkStatus(daemon: daemon))
        _ = try await server.start()
    }
}

private struct NetworkStatus: WireHandler {
    let daemon: NetworkDaemon

    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        guard let plan = daemon.plan, daemon.isReady else { return .text("starting\n", status: 503) }
        let peers = (plan.neighbours + plan.distant).map { "\($0.name) \($0.address) \($0.subnet.map(String.init(describing:)) ?? "-")" }
        return .text(
            """
                    Version: 2.8.1
                    Service: router
                   Protocol: \(plan.distant.isEmpty ? "routes" : "routes, vxlan")
                       Name: \(plan.own.name)
                      Peers: \(peers.count + 1) \(peers.isEmpty ? "" : "(\(peers.joined(separator: "; ")))")

                    Service: ipam
                     Status: ready
                      Range: \(plan.podNetworks.map(String.init(describing:)).joined(separator: " "))
              DefaultSubnet: \(plan.subnet)

            """)
    }
}
