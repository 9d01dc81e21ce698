// Keeps a node's routes to the other nodes' pods as the Node objects say. What it made stays when it ends.
package import ClusterClient
internal import ClusterModel
package import Essentials
package import Kernel
internal import Logging
internal import Synchronization

/// As whom the daemon runs: the images of several networks have the same program in them.
package enum NetworkPersona: String, Sendable {
    case lectern
    case weave
    case flannel
}

package struct NetworkDaemonOptions: Sendable {
    package var persona: NetworkPersona
    /// Nil: found by this machine's name or addresses.
    package var nodeName: String?
    /// Where nodes without a pod network of their own get one from; nil: they get none.
    package var range: IPv4Block?
    package var masquerades = true
    /// Nil: somebody else writes what the kubelet reads.
    package var installation: CNIInstallation? = CNIInstallation()
    /// Flannel's: the network of all pods.
    package var network: IPv4Block?
    /// Flannel's: where its plugin looks.
    package var subnetFile = "/run/flannel/subnet.env"
    /// The node's own network namespace; nil: the caller's. Tests say which.
    package var networkNamespace: String?

    package init(persona: NetworkPersona, nodeName: String? = nil, range: IPv4Block? = nil) {
        self.persona = persona
        self.nodeName = nodeName
        self.range = range
    }
}

package final class NetworkDaemon: Sendable {
    /// Waits after the first, second, … failure to reach the API server, in milliseconds; the last one holds from then on.
    static let retryMilliseconds = [20, 50, 100, 200, 500, 1000]

    /// Attempts in which a node may yet get its address and subnet, which others write.
    static let patience = 20

    private struct State {
        var plan: NodePlan?
        var isReady = false
    }

    private let client: ClusterClient
    private let options: NetworkDaemonOptions
    private let stack: NetworkStack
    private let filter: PacketFilter
    private let state = Mutex(State())
    private let log = Logger(label: "network")

    package init(client: ClusterClient, options: NetworkDaemonOptions) {
        self.client = client
        self.options = options
        stack = NetworkStack(in: options.networkNamespace)
        filter = PacketFilter(table: NodePlan.table, in: options.networkNamespace)
    }

    package var isReady: Bool { state.withLock { $0.isReady } }
    package var plan: NodePlan? { state.withLock { $0.plan } }

    /// Finds this node's pod network and writes what the kubelet reads; returns what was decided. The whole work of an init
    /// container, and the first part of the daemon's.
    package func prepare() async throws -> NodePlan {
        var failures = 0
        while true {
            do {
                let nodes = try await client.list(.nodes).items
                let plan = try decide(nodes)
                try install(plan)
                return plan
            } catch let problem as PodNetworkProblem where failures >= Self.patience || !problem.mayPass {
                throw problem
            } catch let problem as KernelProblem {
                throw PodNetworkProblem.kernel(problem)
            } catch {
                try Task.checkCancellation()
                if failures == 0 { log.warning("the cluster does not tell this node's network yet", metadata: ["cause": "\(error)"]) }
                try await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(failures, Self.retryMilliseconds.count - 1)]))
                failures += 1
            }
        }
    }

    /// Runs until cancelled.
    package func run() async throws {
        let plan = try await prepare()
        try apply(plan)
        try await tellCondition(plan.own.name)
        state.withLock { $0.isReady = true }
        log.notice("pods of this node have \(plan.subnet)", metadata: ["node": "\(plan.own.name)"])
        let watch = try Readiness.shared?.watchLoss(of: filter) {
            if let plan = self.plan { _ = try? self.filter.apply(plan.masqueradeTable) }
        }
        defer { if let watch { Readiness.shared?.cancel(watch) } }
        let nodes = Informer(client: client, resource: .nodes)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let changes = nodes.changes()
            group.addTask { try await nodes.run() }
            group.addTask {
                await nodes.waitForSync()
                self.follow(nodes.items())
                for await _ in changes { self.follow(nodes.items()) }
            }
            try await group.waitForAll()
        }
    }

    private func follow(_ nodes: [JSON]) {
        do {
            let plan = try decide(nodes)
            guard plan != self.plan else { return }
            try install(plan)
            try apply(plan)
        } catch {
            log.error("routes not changed", metadata: ["cause": "\(error)"])
        }
    }

    /// This node by the name it was given, by the machine's name, or by an address of this machine.
    package func decide(_ nodes: [JSON]) throws -> NodePlan {
        let addresses = try stack.addresses()
        let names = Set(nodes.map(\.metaName))
        let wanted = options.nodeName ?? LinuxKernel.hostname
        let name =
            if names.contains(wanted) { wanted } else {
                nodes.first { node in
                    PeerNode(node, range: nil).map { peer in addresses.contains { $0.address == peer.address } } ?? false
                }?.metaName ?? wanted
            }
        let own = nodes.first { $0.metaName == name }.flatMap { PeerNode($0, range: nil) }
        let wire = addresses.first { $0.address == own?.address }.map { IPv4Block($0.address, $0.prefixLength) }
        var plan = try NodePlan(name: name, nodes: nodes, range: options.range, wire: wire ?? IPv4Block(own?.address ?? IPv4(0), 24))
        if let network = options.network { plan.podNetworks.append(network) }
        return plan
    }

    private func install(_ plan: NodePlan) throws {
        switch options.persona {
        case .lectern:
            try options.installation?.install(["lectern-cni", "portmap", "loopback"])
            try options.installation?.write(
                "10-lectern.conflist", CNIInstallation.list(name: "lectern", plugin: "lectern-cni", subnet: plan.subnet))
        case .weave:
            try options.installation?.install(["weave-net", "weave-ipam", "portmap", "loopback"])
            try options.installation?.write(
                "10-weave.conflist", CNIInstallation.list(name: "weave", plugin: "weave-net", subnet: plan.subnet))
        case .flannel:
            let network = options.network ?? plan.subnet
            let text = CNIInstallation.flannelEnvironment(
                network: network, subnet: plan.subnet, mtu: try mtu(plan), masquerades: options.masquerades)
            let kernel = LinuxKernel()
            if (try? kernel.readText(options.subnetFile)) != text {
                try kernel.makeDirectories(String(options.subnetFile.prefix(upTo: options.subnetFile.lastIndex(of: "/")!)))
                try kernel.replace(options.subnetFile, text: text)
            }
        }
    }

    private func mtu(_ plan: NodePlan) throws -> UInt32 {
        let link = try stack.addresses().first { $0.address == plan.own.address }?.link
        let mtu = try stack.links().first { $0.index == link }?.mtu ?? 1500
        return plan.distant.isEmpty ? mtu : mtu - 50
    }

    private func apply(_ plan: NodePlan) throws {
        try stack.configure([("net/ipv4/ip_forward", "1")])
        if options.masquerades { try filter.apply(plan.masqueradeTable) } else { try filter.remove() }
        var tunnelLink: Int32?
        if plan.distant.isEmpty {
            try stack.removeLink(NodePlan.tunnel)
        } else {
            let link = try prepareTunnel(plan)
            for node in plan.distant {
                guard let subnet = node.subnet else { continue }
                try stack.addTunnelEnd(
                    link: link, gateway: subnet.base, hardware: NodePlan.tunnelHardware(node.address), node: node.address)
            }
            tunnelLink = link
        }
        let wanted = plan.routes(tunnelLink: tunnelLink)
        for route in try stack.routes() where route.origin == NodePlan.origin {
            if !wanted.contains(where: { $0.destination == route.destination }) { try stack.remove(route) }
        }
        for route in wanted { try stack.replace(route) }
        state.withLock { $0.plan = plan }
        log.info("routes set", metadata: ["nodes": "\((plan.neighbours + plan.distant).map(\.name))"])
    }

    private func prepareTunnel(_ plan: NodePlan) throws -> Int32 {
        try stack.addTunnel(
            NodePlan.tunnel, identifier: 1, port: NodePlan.tunnelPort, local: plan.own.address,
            hardware: NodePlan.tunnelHardware(plan.own.address), mtu: try mtu(plan))
        guard let link = try stack.link(NodePlan.tunnel) else {
            throw KernelProblem(call: "find link", subject: NodePlan.tunnel, code: Errno.noDevice)
        }
        try stack.add(NetworkAddress(link: link.index, address: plan.subnet.base, prefixLength: 32))
        return link.index
    }

    private func tellCondition(_ node: String) async throws {
        let (reason, message) =
            switch options.persona {
            case .lectern: ("LecternNetIsUp", "Pods of this node reach those of the others")
            case .weave: ("WeaveIsUp", "Weave pod has set this")
            case .flannel: ("FlannelIsUp", "Flannel is running on this node")
            }
        let now = JSON(SystemClock().now().rfc3339)
        let condition: JSON = [
            "type": "NetworkUnavailable", "status": "False", "reason": JSON(reason), "message": JSON(message),
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        ]
        do throws(ClusterProblem) {
            _ = try await client.patch(
                .nodes, name: node, .strategic, ["status": ["conditions": [condition]]], subresource: "status")
        } catch {
            // The network works without it.
            log.warning("the node's condition is not set", metadata: ["cause": "\(error)"])
        }
    }
}
