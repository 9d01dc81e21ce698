// Services as packet rules: what kube-proxy does, by nf_tables and without starting a program.
//
// May touch: its own packet filter table, connections of UDP services, a few settings below /proc/sys/net. Callers: labkube.
package import ClusterClient
internal import ClusterModel
internal import Essentials
package import Kernel
internal import Logging
internal import Synchronization

package final class ServiceProxyLoop: Sendable {
    /// Changes that come within this time are made in one step.
    static let gatherMilliseconds = 4
    /// Waits between attempts when the kernel refused the rules, in seconds.
    static let retrySeconds = 2

    /// What a load balancer asks a node about a service that takes local endpoints only.
    package struct HealthCheck: Sendable, Hashable {
        package var namespace: String
        package var service: String
        package var localEndpoints: Int
    }

    private struct State {
        var changed: Set<String> = []
        var ports: [String: [ServicePort]] = [:]
        var isSynced = false
        /// Somebody else removed the table.
        var isLost = false
        var failedAt: Double?
    }

    private let services: Informer
    private let slices: Informer
    private let node: String
    private let clusterNetwork: IPv4Block?
    private let filter: PacketFilter
    private let connections: ConnectionTable
    private let stack: NetworkStack
    private let state = Mutex(State())
    private let healthChecks: @Sendable ([UInt16: HealthCheck]) -> Void
    private let log = Logger(label: "proxy")

    /// `healthChecks` is told the ports to answer on whenever they change. `networkNamespace`: nil for the caller's own.
    package init(
        client: ClusterClient, node: String, clusterNetwork: IPv4Block?, networkNamespace: String? = nil,
        healthChecks: @escaping @Sendable ([UInt16: HealthCheck]) -> Void = { _ in }
    ) {
        services = Informer(client: client, resource: .services, labelSelector: "!service.kubernetes.io/service-proxy-name")
        slices = Informer(
            client: client, resource: .endpointSlices,
            labelSelector: "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name")
        self.node = node
        self.clusterNetwork = clusterNetwork
        self.healthChecks = healthChecks
        filter = PacketFilter(table: ServiceTable.name, in: networkNamespace)
        connections = ConnectionTable(in: networkNamespace)
        stack = NetworkStack(in: networkNamespace)
        slices.addIndex("service") { slice in Self.service(of: slice).map { [$0] } ?? [] }
    }

    /// Whether the kernel has the rules that the API server asks for.
    package var isHealthy: Bool { state.withLock { $0.isSynced && $0.failedAt == nil } }

    /// Takes away what an earlier proxy left.
    package static func removeRules() throws(KernelProblem) { try PacketFilter(table: ServiceTable.name).remove() }

    /// Runs until cancelled. The rules stay, so that services go on while the proxy is replaced.
    package func run() async throws {
        do throws(KernelProblem) {
            // Answers to what the loopback asked of a pod come in by another link.
            try stack.configure([("net/ipv4/ip_forward", "1"), ("net/ipv4/conf/all/route_localnet", "1")])
        } catch {
            log.warning("node ports of 127.0.0.1 will not answer", metadata: ["cause": "\(error)"])
        }
        let (kicks, kick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = try Readiness.shared?.watchLoss(of: filter) {
            self.log.warning("somebody removed the rules; they are made again")
            self.state.withLock { $0.isLost = true }
            kick.yield()
        }
        defer { if let watch { Readiness.shared?.cancel(watch) } }
        let serviceChanges = services.changes()
        let sliceChanges = slices.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.services.run() }
            group.addTask { try await self.slices.run() }
            group.addTask {
                for await change in serviceChanges { self.note(change.object.objectKey, kick) }
            }
            group.addTask {
                for await change in sliceChanges {
                    if let service = Self.service(of: change.object) { self.note(service, kick) }
                }
            }
            group.addTask {
                await self.services.waitForSync()
                await self.slices.waitForSync()
                kick.yield()
                for await _ in kicks {
                    try await Task.sleep(for: .milliseconds(Self.gatherMilliseconds))
                    if self.synchronize() { continue }
                    try await Task.sleep(for: .seconds(Self.retrySeconds))
                    kick.yield()
                }
            }
            try await group.waitForAll()
        }
    }

    private static func service(of slice: JSON) -> String? {
        slice.metaLabels["kubernetes.io/service-name"].map { (slice.metaNamespace ?? "") + "/" + $0 }
    }

    private func note(_ service: String, _ kick: AsyncStream<Void>.Continuation) {
        state.withLock { _ = $0.changed.insert(service) }
        kick.yield()
    }

    /// Makes the rules as the services are now; false when the kernel refused.
    private func synchronize() -> Bool {
        let (changed, known, isFirst, isLost) = state.withLock { state in
            defer {
                state.changed = []
                state.isLost = false
            }
            return (state.changed, state.ports, !state.isSynced, state.isLost)
        }
        var ports = known
        if isFirst {
            ports = [:]
            for service in services.items() { ports[service.objectKey] = read(service) }
        } else {
            for key in changed {
                let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
                ports[key] = parts.count == 2 ? services.item(namespace: parts[0], name: parts[1]).map(read) : nil
            }
        }
        ports = ports.filter { !$0.value.isEmpty }
        if !isFirst, !isLost, ports == known { return true }
        let all = ports.values.flatMap(\.self)
        var table = ServiceTable(clusterNetwork: clusterNetwork)
        do throws(KernelProblem) {
            try filter.apply(table.build(all))
            let datagrams = all.filter { $0.transport == 17 }
            if isFirst || Set(datagrams) != Set(known.values.joined().filter { $0.transport == 17 }) { try forgetStale(datagrams) }
            if isFirst { log.notice("services have their rules", metadata: ["ports": "\(all.count)"]) }
            state.withLock { state in
                state.ports = ports
                state.isSynced = true
                state.failedAt = nil
            }
        } catch {
            log.error("rules not changed", metadata: ["cause": "\(error)"])
            state.withLock { state in
                state.changed.formUnion(changed)
                state.failedAt = monotonicSeconds()
            }
            return false
        }
        tellHealthChecks(all)
        return true
    }

    private func read(_ service: JSON) -> [ServicePort] {
        ServicePort.ports(of: service, slices: slices.items(index: "service", value: service.objectKey), node: node)
    }

    /// Datagrams have no end, so a flow would stick to an endpoint that is gone, or to none where there is one now.
    private func forgetStale(_ ports: [ServicePort]) throws(KernelProblem) {
        let stale = Self.stale(try connections.connections(transport: 17), ports)
        try connections.forget(stale)
        if !stale.isEmpty { log.info("flows to former endpoints forgotten", metadata: ["count": "\(stale.count)"]) }
    }

    static func stale(_ flows: [TrackedConnection], _ ports: [ServicePort]) -> [TrackedConnection] {
        var byAddress: [InternetEndpoint: Set<InternetEndpoint>] = [:]
        var byNodePort: [UInt16: Set<InternetEndpoint>] = [:]
        for port in ports {
            let endpoints = Set((port.endpoints + port.localEndpoints).map { InternetEndpoint($0.address, $0.port) })
            for address in port.clusterAddresses + port.externalAddresses + port.balancerAddresses {
                byAddress[InternetEndpoint(address, port.port)] = endpoints
            }
            if let nodePort = port.nodePort { byNodePort[nodePort] = endpoints }
        }
        return flows.filter { flow in
            let answerer = InternetEndpoint(flow.answerer, flow.answererPort)
            if let valid = byAddress[InternetEndpoint(flow.destination, flow.destinationPort)] { return !valid.contains(answerer) }
            // The port of some other machine may have the same number; what was not led elsewhere is nothing of ours.
            if let valid = byNodePort[flow.destinationPort], flow.answerer != flow.destination { return !valid.contains(answerer) }
            return false
        }
    }

    private func tellHealthChecks(_ ports: [ServicePort]) {
        var checks: [UInt16: HealthCheck] = [:]
        for port in ports {
            guard let number = port.healthCheckNodePort else { continue }
            let count = Set(port.localEndpoints.map(\.address)).count
            let known = checks[number]?.localEndpoints ?? 0
            checks[number] = HealthCheck(namespace: port.namespace, service: port.service, localEndpoints: max(count, known))
        }
        healthChecks(checks)
    }
}
