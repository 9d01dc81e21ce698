// `kube-proxy`: services as packet rules.
internal import ClusterClient
internal import ClusterWire
internal import Essentials
internal import Glibc
internal import Kernel
internal import ServiceProxy
internal import Synchronization
internal import Web
internal import Yaml

enum ProxyComponent: Component {
    static let name = "kube-proxy"

    static func run(_ flags: Flags) async -> Int32 {
        EndOnSignal.arm()
        do {
            if flags.isOn("cleanup") {
                try ServiceProxyLoop.removeRules()
                return 0
            }
            var settings: JSON = .emptyObject
            if let path = flags.value("config") {
                settings = try YAML.document(LinuxKernel().read(path, limitBytes: 1 << 20))
                guard settings["kind"]?.string == "KubeProxyConfiguration" else {
                    return fail("\(path): no kind \"KubeProxyConfiguration\" is registered for its version")
                }
            }
            func given(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
            let kubeconfig = given(flags.value("kubeconfig")) ?? given(settings["clientConnection"]?["kubeconfig"]?.string)
            var configuration =
                if let kubeconfig { try ClusterConfiguration(kubeconfig: kubeconfig) } else { try ClusterConfiguration.inCluster() }
            if let master = given(flags.value("master")) { configuration.server = master }
            configuration.userAgent = "kube-proxy/v1.32.0"
            let node = given(flags.value("hostname-override")) ?? given(settings["hostnameOverride"]?.string) ?? LinuxKernel.hostname
            let networks = given(flags.value("cluster-cidr")) ?? given(settings["clusterCIDR"]?.string) ?? ""
            let network = networks.split(separator: ",").lazy.compactMap { IPv4Block(String($0)) }.first
            let mode = given(flags.value("proxy-mode")) ?? given(settings["mode"]?.string) ?? "nftables"
            if mode != "nftables" { Flags.printError("kube-proxy: mode \"\(mode)\" is done with nftables\n") }

            let checks = HealthCheckPorts()
            let client = try ClusterClient(transport: HTTPSTransport(configuration))
            let proxy = ServiceProxyLoop(client: client, node: node, clusterNetwork: network) { checks.wanted($0) }
            let health = ProxyHealth(proxy: proxy)
            for (address, fallback) in [
                (given(flags.value("healthz-bind-address")) ?? given(settings["healthzBindAddress"]?.string), "0.0.0.0:10256"),
                (given(flags.value("metrics-bind-address")) ?? given(settings["metricsBindAddress"]?.string), "127.0.0.1:10249"),
            ] {
                let text = address ?? fallback
                guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { continue }
                // "[::]" and "" stand for every address.
                let host = IPv4(String(text[..<colon])).map(String.init(describing:)) ?? "0.0.0.0"
                let server = WireServer(configuration: WireServerConfiguration(address: host, port: port), handler: health)
                do throws(WebProblem) { _ = try await server.start() } catch {
                    Flags.printError("kube-proxy: \(host):\(port): \(error)\n")
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await proxy.run() }
                group.addTask { try await checks.run(proxy) }
                try await group.next()
                group.cancelAll()
            }
            return 0
        } catch {
            return fail("\((error as? any Problem)?.description ?? "\(error)")")
        }
    }

    private static func fail(_ message: String) -> Int32 {
        Flags.printError("kube-proxy: \(message)\n")
        return 1
    }
}

private struct ProxyHealth: WireHandler {
    let proxy: ServiceProxyLoop

    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        switch request.path {
        case "/healthz", "/livez":
            let now = JSON(SystemClock().now().rfc3339Micro)
            let document: JSON = ["lastUpdated": now, "currentTime": now]
            return .text(document.text, status: proxy.isHealthy ? 200 : 503, type: "application/json")
        case "/proxyMode": return .text("nftables")
        case "/metrics":
            return .text("# TYPE kubeproxy_sync_proxy_rules_healthy gauge\nkubeproxy_sync_proxy_rules_healthy \(proxy.isHealthy ? 1 : 0)\n")
        default: return .text("404 page not found\n", status: 404)
        }
    }
}

/// The servers on `healthCheckNodePort`s.
private final class HealthCheckPorts: Sendable {
    private struct State {
        var wanted: [UInt16: ServiceProxyLoop.HealthCheck] = [:]
    }
    private let state = Mutex(State())
    private let (kicks, kick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    func wanted(_ checks: [UInt16: ServiceProxyLoop.HealthCheck]) {
        let isChanged = state.withLock { state in
            defer { state.wanted = checks }
            return state.wanted != checks
        }
        if isChanged { kick.yield() }
    }

    func check(_ port: UInt16) -> ServiceProxyLoop.HealthCheck? { state.withLock { $0.wanted[port] } }

    func run(_ proxy: ServiceProxyLoop) async throws {
        var servers: [UInt16: WireServer] = [:]
        for await _ in kicks {
            let wanted = Set(state.withLock { $0.wanted.keys })
            for (port, server) in servers where !wanted.contains(port) {
                await server.stop()
                servers[port] = nil
            }
            for port in wanted where servers[port] == nil {
                let server = WireServer(
                    configuration: WireServerConfiguration(address: "0.0.0.0", port: port),
                    handler: HealthCheckAnswer(port: port, ports: self, proxy: proxy))
                do throws(WebProblem) {
                    _ = try await server.start()
                    servers[port] = server
                } catch { Flags.printError("kube-proxy: health check port \(port): \(error)\n") }
            }
        }
    }
}

private struct HealthCheckAnswer: WireHandler {
    let port: UInt16
    let ports: HealthCheckPorts
    let proxy: ServiceProxyLoop

    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        guard let check = ports.check(port) else { return .text("", status: 404) }
        let document: JSON = [
            "service": ["namespace": JSON(check.namespace), "name": JSON(check.service)], "localEndpoints": JSON(check.localEndpoints),
            "serviceProxyHealthy": JSON(proxy.isHealthy),
        ]
        return .text(document.text, status: check.localEndpoints > 0 && proxy.isHealthy ? 200 : 503, type: "application/json")
    }
}
