// A pod's cable: from `eth0` in the pod to the node, with the addresses and routes that make it work.
internal import Essentials
package import Kernel

package struct PodCable: Sendable {
    private let plan: PodAttachment
    private let interface: String
    /// The path of the pod's network namespace.
    private let pod: String
    private let node: String?
    private let name: String

    package init(plan: PodAttachment, container: String, interface: String, pod: String, node: String? = nil) {
        self.plan = plan
        self.interface = interface
        self.pod = pod
        self.node = node
        name = PodAttachment.cable(container: container, interface: interface)
    }

    package func plug(_ address: IPv4) throws(KernelProblem) -> CNIResult {
        let here = NetworkStack(in: node)
        let there = NetworkStack(in: pod)
        let gateway = plan.range.gateway
        let mtu = if let wanted = plan.mtu { wanted } else { try uplinkMTU(here) }
        let bridge = try prepareBridge(here, mtu: mtu)
        let inside = HardwareAddress(for: address)
        // The node's end has an address of its own kind; nobody but the pod ever asks for it.
        let outside = HardwareAddress(bytes: [0x0A, 0x59] + address.bytes)
        func make() throws(KernelProblem) {
            try here.addCable(name, hardware: outside, peer: interface, in: pod, peerHardware: inside, mtu: mtu)
        }
        do throws(KernelProblem) { try make() } catch {
            // Left by an attempt that was cut off.
            guard error.code == Errno.exists else { throw error }
            try here.removeLink(name)
            try make()
        }
        if let loopback = try there.link("lo"), !loopback.isUp { try there.setUp(loopback.index) }
        guard let link = try there.link(interface), let end = try here.link(name) else {
            throw KernelProblem(call: "find link", subject: interface, code: Errno.noDevice)
        }
        try there.setUp(link.index)
        try there.add(NetworkAddress(link: link.index, address: address, prefixLength: plan.range.prefixLength), isBare: true)
        try there.replace(NetworkRoute(to: IPv4Block(gateway, 32), link: link.index))
        // Neighbours too are behind the node.
        try there.replace(NetworkRoute(to: plan.subnet, via: gateway, link: link.index))
        for route in plan.routes where route.destination != plan.subnet {
            try there.replace(NetworkRoute(to: route.destination, via: route.gateway ?? gateway, link: link.index))
        }
        try here.replace(NetworkRoute(to: IPv4Block(address, 32), link: end.index))
        return CNIResult(
            interfaces: [
                .init(name: plan.bridge, hardware: bridge.description, sandbox: nil),
                .init(name: name, hardware: outside.description, sandbox: nil),
                .init(name: interface, hardware: inside.description, sandbox: pod),
            ], address: address, prefixLength: plan.range.prefixLength, gateway: gateway,
            routes: plan.routes.map { ($0.destination, $0.gateway ?? gateway) })
    }

    /// Works without the pod's namespace too; its routes and addresses go with the cable.
    package func unplug() throws(KernelProblem) { try NetworkStack(in: node).removeLink(name) }

    /// What is missing of a pod's network; nil when all is there.
    package func lack(_ address: IPv4) throws(KernelProblem) -> String? {
        let there = NetworkStack(in: pod)
        guard let link = try there.link(interface) else { return "interface \(interface) not found in the pod" }
        guard try there.addresses().contains(where: { $0.link == link.index && $0.address == address }) else {
            return "address \(address) is not on \(interface)"
        }
        guard let end = try NetworkStack(in: node).link(name) else { return "interface \(name) not found on the node" }
        guard try NetworkStack(in: node).routes().contains(where: { $0.destination == IPv4Block(address, 32) && $0.link == end.index })
        else { return "the node has no route to \(address)" }
        return nil
    }

    // The place of the gateway's address. What is in the network but belongs to no pod is unreachable at once.
    private func prepareBridge(_ here: NetworkStack, mtu: UInt32) throws(KernelProblem) -> HardwareAddress {
        let hardware = HardwareAddress(for: plan.range.gateway)
        if let bridge = try here.link(plan.bridge) {
            let isOurs = try here.addresses().contains { $0.link == bridge.index && $0.address == plan.range.gateway }
            if isOurs { return bridge.hardware ?? hardware }
        }
        try here.configure([("net/ipv4/ip_forward", "1")])
        try here.addBridge(plan.bridge, hardware: hardware, mtu: mtu)
        guard let bridge = try here.link(plan.bridge) else {
            throw KernelProblem(call: "find link", subject: plan.bridge, code: Errno.noDevice)
        }
        if !bridge.isUp { try here.setUp(bridge.index) }
        try here.add(
            NetworkAddress(link: bridge.index, address: plan.range.gateway, prefixLength: plan.range.prefixLength), isBare: true)
        try here.replace(NetworkRoute(to: plan.subnet, kind: .unreachable))
        return bridge.hardware ?? hardware
    }

    private func uplinkMTU(_ here: NetworkStack) throws(KernelProblem) -> UInt32 {
        let wayOut = try here.routes().first { $0.destination.prefixLength == 0 }?.link
        return try here.links().first { $0.index == wayOut }?.mtu ?? 1500
    }
}
