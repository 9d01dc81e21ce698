// `coredns`: names of services and pods.
internal import ClusterClient
internal import ClusterDNS
internal import ClusterWire
internal import Essentials
internal import Glibc
internal import Kernel
internal import Web

enum DNSComponent: Component {
    static let name = "coredns"

    static func run(_ flags: Flags) async -> Int32 {
        EndOnSignal.arm()
        let path = flags.value("conf") ?? "Corefile"
        do {
            let text = readFile(path) ?? ".:53 {\n whoami\n}\n"
            let corefile = try Corefile(text)
            let resolver = NameResolver()
            resolver.use(corefile, readFile: readFile)
            let override = (flags.value("dns.port") ?? flags.value("p")).flatMap { UInt16($0) }
            let servers = try DNSServer.started(resolver, ports: Set(corefile.blocks.map { override ?? $0.port })) {
                _ = Output.write($0 + "\n")
            }
            for block in corefile.blocks {
                for zone in block.zones { _ = Output.write("\(zone.isEmpty ? "." : zone + "."):\(override ?? block.port)\n") }
            }
            _ = Output.write("CoreDNS-1.11.3\nlinux/amd64, lectern\n")
            try await serveHealth(corefile, resolver, servers)
            let client = try corefile.blocks.lazy.compactMap(\.kubernetes).first.map { kubernetes in
                var configuration =
                    if let file = kubernetes.kubeconfig { try ClusterConfiguration(kubeconfig: file) } else {
                        try ClusterConfiguration.inCluster()
                    }
                configuration.userAgent = "coredns/v1.11.3"
                return ClusterClient(transport: try HTTPSTransport(configuration))
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for server in servers { group.addTask { await server.run() } }
                if let client { group.addTask { try await ClusterNamesLoop(client: client, resolver: resolver).run() } }
                if corefile.blocks.contains(where: \.reloads) { group.addTask { try await reload(path, text, resolver) } }
                try await group.next()
                group.cancelAll()
            }
            return 0
        } catch {
            Flags.printError("coredns: \((error as? any Problem).map { $0.cause ?? $0.message } ?? "\(error)")\n")
            return 1
        }
    }

    @Sendable private static func readFile(_ path: String) -> String? { try? LinuxKernel().readText(path) }

    /// Looks at the file as often as CoreDNS does; a file that cannot be used changes nothing.
    private static func reload(_ path: String, _ first: String, _ resolver: NameResolver) async throws {
        var known = first
        while true {
            try await Task.sleep(for: .seconds(30), tolerance: .seconds(15))
            guard let text = readFile(path), text != known else { continue }
            known = text
            do throws(CorefileProblem) {
                resolver.use(try Corefile(text), readFile: readFile)
                _ = Output.write("[INFO] Reloading complete\n")
            } catch {
                _ = Output.write("[ERROR] Restart failed: \(error.message)\n")
            }
        }
    }

    private static func serveHealth(_ corefile: Corefile, _ resolver: NameResolver, _ servers: [DNSServer]) async throws {
        let handler = DNSHealth(resolver: resolver, servers: servers)
        var taken: Set<UInt16> = []
        for (address, port) in corefile.blocks.flatMap({ [$0.health, $0.ready, $0.metrics].compactMap(\.self) }) where !taken.contains(port)
        {
            taken.insert(port)
            let server = WireServer(configuration: WireServerConfiguration(address: "\(address)", port: port), handler: handler)
            _ = try await server.start()
        }
    }
}

private struct DNSHealth: WireHandler {
    let resolver: NameResolver
    let servers: [DNSServer]

    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        switch request.path {
        case "/health": return .text("OK")
        case "/ready": return resolver.isReady ? .text("OK") : .text("kubernetes", status: 503)
        case "/metrics":
            let counts = servers.map(\.counts)
            return .text(
                """
                # TYPE coredns_dns_requests_total counter
                coredns_dns_requests_total \(counts.reduce(0) { $0 + $1.questions })
                # TYPE coredns_forward_requests_total counter
                coredns_forward_requests_total \(counts.reduce(0) { $0 + $1.forwarded })
                # TYPE coredns_forward_healthcheck_broken_total counter
                coredns_forward_healthcheck_broken_total \(counts.reduce(0) { $0 + $1.failures })

                """)
        default: return .text("404 page not found\n", status: 404)
        }
    }
}
