// The CNI plugin under all its names: attaches a pod to its node's network and takes it off again.
internal import Essentials
internal import Kernel

package struct CNIPlugin: Sendable {
    /// The names under which a network configuration may ask for it.
    package static let names = ["lectern-cni", "weave-net", "weave-ipam", "flannel", "bridge", "host-local", "portmap", "loopback"]

    private let kernel = LinuxKernel()
    private let name: String
    /// The node's own network namespace; nil: the caller's. Tests say which.
    private let node: String?

    package init(name: String, node: String? = nil) {
        self.name = name
        self.node = node
    }

    /// Does what is asked. The text goes to standard output, the number is the exit status.
    package func run(environment: [String: String], input: [UInt8]) -> (String, Int32) {
        var version = "1.1.0"
        do throws(CNIError) {
            if let said = (try? JSON(parsing: input))?["cniVersion"]?.string, CNIRequest.versions.contains(said) { version = said }
            let request = try CNIRequest(environment: environment, input: input)
            let answer = try answer(request)
            return (answer.map { $0.text + "\n" } ?? "", 0)
        } catch {
            return (error.document(version: version).text + "\n", 1)
        }
    }

    private func answer(_ request: CNIRequest) throws(CNIError) -> JSON? {
        if request.command == "VERSION" {
            return ["cniVersion": JSON("1.1.0"), "supportedVersions": JSON(CNIRequest.versions)]
        }
        let outcome: Result<JSON?, CNIError>
        do throws(KernelProblem) {
            outcome =
                switch name {
                case "loopback": .success(try loopback(request))
                case "host-local", "weave-ipam": try addresses(request)
                case "portmap": try portMap(request)
                default: try attach(request)
                }
        } catch { throw CNIError(error) }
        return try outcome.get()
    }
}

extension CNIPlugin {
    private func plan(_ request: CNIRequest) throws(CNIError) -> PodAttachment {
        try PodAttachment(plugin: name, request) {
            try? kernel.readText(request.configuration["subnetFile"]?.string ?? "/run/flannel/subnet.env")
        }
    }

    private func attach(_ request: CNIRequest) throws(KernelProblem) -> Result<JSON?, CNIError> {
        let plan: PodAttachment
        do throws(CNIError) { plan = try self.plan(request) } catch {
            // What was attached must go even when nothing can be attached any more.
            guard request.command == "DEL" else { return .failure(error) }
            try NetworkStack(in: node).removeLink(PodAttachment.cable(container: request.container, interface: request.interface))
            try AddressPool(network: request.network).release(request.container, interface: request.interface)
            return .success(nil)
        }
        let pool = AddressPool(network: plan.network, dataDirectory: plan.dataDirectory)
        let cable = PodCable(plan: plan, container: request.container, interface: request.interface, pod: request.namespace, node: node)
        switch request.command {
        case "ADD":
            guard kernel.exists(request.namespace) else {
                return .failure(CNIError(.unknownContainer, "failed to open netns \"\(request.namespace)\": no such file or directory"))
            }
            var found = try pool.reserve(request.container, interface: request.interface, from: plan.range, wanted: plan.wanted)
            if found == nil, plan.wanted == nil {
                try reclaim(pool)
                found = try pool.reserve(request.container, interface: request.interface, from: plan.range)
            }
            guard let address = found else {
                return .failure(
                    CNIError(.failed, "failed to allocate for range 0: no IP addresses available in range set: \(plan.range)"))
            }
            do throws(KernelProblem) {
                let result = try cable.plug(address)
                if plan.masquerades { try masquerade(plan) }
                return .success(result.document(version: request.version))
            } catch {
                try? cable.unplug()
                try? pool.release(request.container, interface: request.interface)
                throw error
            }
        case "DEL":
            try cable.unplug()
            try pool.release(request.container, interface: request.interface)
            return .success(nil)
        case "CHECK":
            guard let address = try pool.address(of: request.container, interface: request.interface) else {
                return .failure(CNIError(.unknownContainer, "host-local: Failed to find address added by container \(request.container)"))
            }
            if let lack = try cable.lack(address) { return .failure(CNIError(.failed, lack)) }
            return .success(nil)
        case "GC":
            let valid = Self.valid(request.configuration)
            for address in try kernel.list(pool.directory) where IPv4(address) != nil {
                let owner = try kernel.readText(pool.directory + "/" + address).split(whereSeparator: \.isNewline).map(String.init)
                guard owner.count == 2, !valid.contains(owner) else { continue }
                try NetworkStack(in: node).removeLink(PodAttachment.cable(container: owner[0], interface: owner[1]))
            }
            try pool.release(allBut: valid)
            return .success(nil)
        case "STATUS": return .success(nil)
        default: return .failure(CNIError(.badEnvironment, "unknown CNI_COMMAND: \(request.command)"))
        }
    }

    /// Gives back addresses whose containers have no cable: whoever had them is gone without a DEL, as after a node's crash.
    private func reclaim(_ pool: AddressPool) throws(KernelProblem) {
        func lost() throws(KernelProblem) -> Set<[String]> {
            let links = Set(try NetworkStack(in: node).links().map(\.name))
            return try pool.owners().filter { $0.count == 2 && !links.contains(PodAttachment.cable(container: $0[0], interface: $0[1])) }
        }
        let first = try lost()
        guard !first.isEmpty else { return }
        // Another ADD may be between its address and its cable.
        pauseThread(milliseconds: 1000)
        for owner in try lost().intersection(first) { try pool.release(owner[0], interface: owner[1]) }
    }

    static func valid(_ configuration: JSON) -> Set<[String]> {
        let list = (configuration["cni.dev/valid-attachments"] ?? configuration["cni.dev/attachments"])?.array ?? []
        return Set(list.map { [$0["containerID"]?.string ?? "", $0["ifname"]?.string ?? ""] })
    }

    private func addresses(_ request: CNIRequest) throws(KernelProblem) -> Result<JSON?, CNIError> {
        let plan: PodAttachment
        do throws(CNIError) { plan = try PodAttachment(plugin: "bridge", request) { nil } } catch { return .failure(error) }
        let pool = AddressPool(network: plan.network, dataDirectory: plan.dataDirectory)
        switch request.command {
        case "ADD":
            guard
                let address = try pool.reserve(request.container, interface: request.interface, from: plan.range, wanted: plan.wanted)
            else {
                return .failure(
                    CNIError(.failed, "failed to allocate for range 0: no IP addresses available in range set: \(plan.range)"))
            }
            let result = CNIResult(
                interfaces: [], address: address, prefixLength: plan.range.prefixLength, gateway: plan.range.gateway,
                routes: plan.routes.map { ($0.destination, $0.gateway) })
            return .success(result.document(version: request.version))
        case "DEL": try pool.release(request.container, interface: request.interface)
        case "CHECK":
            guard try pool.address(of: request.container, interface: request.interface) != nil else {
                return .failure(CNIError(.unknownContainer, "host-local: Failed to find address added by container \(request.container)"))
            }
        case "GC": try pool.release(allBut: Self.valid(request.configuration))
        default: break
        }
        return .success(nil)
    }

    private func loopback(_ request: CNIRequest) throws(KernelProblem) -> JSON? {
        guard request.command == "ADD" else { return nil }
        let stack = NetworkStack(in: request.namespace)
        if let link = try stack.link("lo"), !link.isUp { try stack.setUp(link.index) }
        let result = CNIResult(
            interfaces: [.init(name: "lo", hardware: "00:00:00:00:00:00", sandbox: request.namespace)], address: IPv4(0x7F00_0001),
            prefixLength: 8, gateway: nil, routes: [])
        return request.configuration["prevResult"] ?? result.document(version: request.version)
    }

    private func portMap(_ request: CNIRequest) throws(KernelProblem) -> Result<JSON?, CNIError> {
        let previous = request.configuration["prevResult"]
        let directory = request.configuration["dataDir"]?.string.flatMap { $0.hasPrefix("/") ? $0 : nil }
        let map = PortMap(directory: directory ?? PortMap.directory, node: node)
        switch request.command {
        case "ADD":
            let wanted = PortMap.mappings(request.configuration)
            guard !wanted.isEmpty else { return .success(previous) }
            let address =
                previous?["ips"]?.array?.lazy.compactMap { $0["address"]?.string }.compactMap { PodAttachment.addressAndNetwork($0)?.0 }
                .first ?? previous?["ip4"]?["ip"]?.string.flatMap { PodAttachment.addressAndNetwork($0)?.0 }
            guard let address else { return .failure(CNIError(.badConfiguration, "must be called as chained plugin")) }
            try map.add(request.container, wanted, to: address)
            return .success(previous)
        case "DEL": try map.remove([request.container])
        case "GC":
            let valid = Set(Self.valid(request.configuration).compactMap(\.first))
            try map.keep(only: valid)
        default: break
        }
        return .success(nil)
    }

    /// What leaves the network from this node goes out with the node's address.
    private func masquerade(_ plan: PodAttachment) throws(KernelProblem) {
        let name = "lectern-masq-\(plan.network)"
        let filter = PacketFilter(table: name, in: node)
        guard !filter.isThere() else { return }
        try filter.apply(
            FilterTable(
                name: name,
                chains: [
                    "postrouting": FilterChain(
                        base: .init("nat", .postrouting, priority: 100),
                        [.source(plan.subnet) + .destination(plan.subnet, isNot: true) + [.masquerade]])
                ]))
    }
}
