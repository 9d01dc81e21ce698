// Builds and removes the networks of labs, one pinned namespace at a time.
internal import Essentials
package import Kernel

package struct LabNetworks: Sendable {
    private let kernel: any Kernel
    /// Distinguishes the links of several servers on one machine; at most 4 characters.
    private let instance: String

    package init(kernel: any Kernel, instance: String) {
        self.kernel = kernel
        self.instance = String(instance.prefix(4))
    }

    static let bridge = "br0"
    static let uplink = "up0"
    /// Addresses that lessons ping to see whether the internet is there. Without one, the router answers for them.
    private static let pingable = [IPv4(0x0808_0808), IPv4(0x0101_0101)]
    private static let ownTable: UInt8 = 100
    private static let localTable: UInt8 = 255

    /// Makes the router of a lab at `pin`. Undo with `destroyRouter`.
    package func createRouter(pin: String, slot: Int, egress: Egress) throws(NetworkProblem) {
        try lifting { () throws(KernelProblem) in
            try kernel.makeNetworkNamespace(pin: pin, userNamespace: nil)
            try kernel.configure(
                sysctls: [
                    ("net.ipv4.ip_forward", "1"),
                    ("net.ipv4.conf.all.rp_filter", "1"), ("net.ipv4.conf.default.rp_filter", "1"),
                    ("net.ipv4.conf.all.send_redirects", "0"), ("net.ipv4.conf.default.send_redirects", "0"),
                    ("net.ipv4.icmp_ratelimit", "0"),
                    ("net.ipv6.conf.all.disable_ipv6", "1"), ("net.ipv6.conf.default.disable_ipv6", "1"),
                    // The default of 1 sends bridged frames through the packet filter, where a drop of forwarding kills node–node traffic.
                    ("net.bridge.bridge-nf-call-iptables", "0"), ("net.bridge.bridge-nf-call-ip6tables", "0"),
                    ("net.bridge.bridge-nf-call-arptables", "0"),
                ], in: pin, optional: true)
            try kernel.configure(
                links: [
                    .addBridge(name: Self.bridge, hardware: HardwareAddress(for: LabAddresses.router)),
                    .addAddress(name: Self.bridge, address: LabAddresses.router, prefixLength: LabAddresses.network.prefixLength),
                    .setUp(name: Self.bridge),
                    // The router's own addresses first, then the main table, and behind it the kernel's local table with the whole
                    // internet in it. It must be that table: only from its addresses does the kernel send resets.
                    .addLocal(block: IPv4Block(IPv4(0x7F00_0000), 8), name: "lo", table: Self.ownTable),
                    .addLocal(block: IPv4Block(LabAddresses.router, 32), name: Self.bridge, table: Self.ownTable),
                    .deleteRule(priority: 0),
                    .addRule(protocolNumber: nil, table: Self.ownTable, priority: 1),
                    .addLocal(block: IPv4Block(IPv4(0), 0), name: "lo", table: Self.localTable),
                    .addRule(protocolNumber: 6, table: Self.localTable, priority: 33000),
                    .addRule(protocolNumber: 17, table: Self.localTable, priority: 33001),
                ] + (egress == .open ? [] : Self.pingable.map { .addLocal(block: IPv4Block($0, 32), name: "lo", table: Self.ownTable) }),
                in: pin)
        }
        if egress == .open { try openUplink(pin: pin, slot: slot) }
    }

    /// Makes the pod's network namespace at `pin` and the cable to the router.
    package func attach(pin: String, router: String, userNamespace: String, firstGroup: UInt32, address: IPv4) throws(NetworkProblem) {
        let hardware = HardwareAddress(for: address)
        let port = Self.port(address)
        try lifting { () throws(KernelProblem) in
            try kernel.makeNetworkNamespace(pin: pin, userNamespace: userNamespace)
            try kernel.configure(
                sysctls: [
                    ("net.ipv4.ip_forward", "1"), ("net.ipv4.ip_unprivileged_port_start", "0"),
                    // Group ids of the writer, so the lab's own as the host counts them.
                    ("net.ipv4.ping_group_range", "\(firstGroup) \(firstGroup + 65535)"),
                ], in: pin, optional: true)
            // What an earlier attempt left: the cable of a namespace goes some time after the namespace itself.
            try kernel.configure(
                links: [
                    .delete(name: port),
                    .addPair(name: port, peer: "eth0", peerNamespace: pin, peerHardware: hardware),
                    .attach(name: port, toBridge: Self.bridge),
                    .lockPort(name: port, to: hardware),
                    .setUp(name: port),
                    .addNeighbour(name: Self.bridge, address: address, hardware: hardware),
                ], in: router)
            try kernel.configure(
                links: [
                    .addAddress(name: "eth0", address: address, prefixLength: LabAddresses.network.prefixLength),
                    .setUp(name: "eth0"),
                    .addDefaultRoute(via: LabAddresses.router),
                ], in: pin)
        }
    }

    /// Removes a pod's cable; its namespace goes with its pin and its processes.
    package func detach(router: String, address: IPv4) throws(NetworkProblem) {
        guard kernel.exists(router) else { return }
        do throws(KernelProblem) { try kernel.configure(links: [.delete(name: Self.port(address))], in: router) } catch {
            // The pin may be a plain file of a half-made router.
            guard error.call == "setns" else { throw .kernel(error) }
        }
    }

    /// Removes what a lab has in the host's own network. The rest goes with the router's pin.
    package func destroyRouter(slot: Int) throws(NetworkProblem) {
        try lifting { () throws(KernelProblem) in try kernel.configure(links: [.delete(name: hostLink(slot))], in: nil) }
    }

    static func port(_ address: IPv4) -> String { "n\(address.value & 0xFF)" }
    private func hostLink(_ slot: Int) -> String { "lt\(instance)\(slot)" }
}

extension LabNetworks {
    /// 100.64.0.0/19 of the shared address space (RFC 6598): two addresses a lab.
    private static let uplinks = IPv4Block(IPv4(0x6440_0000), 19)
    private static let refused = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
    ]

    private func openUplink(pin: String, slot: Int) throws(NetworkProblem) {
        let host = IPv4(Self.uplinks.base.value + UInt32(slot) * 2)
        let router = IPv4(host.value + 1)
        try lifting { () throws(KernelProblem) in
            try kernel.control("/proc/sys/net/ipv4/ip_forward", "1")
            try kernel.configure(
                links: [
                    .delete(name: hostLink(slot)),
                    .addPair(name: hostLink(slot), peer: Self.uplink, peerNamespace: pin, peerHardware: nil),
                    .addAddress(name: hostLink(slot), address: host, prefixLength: 31),
                    .setUp(name: hostLink(slot)),
                ], in: nil)
            try kernel.configure(
                links: [
                    .addAddress(name: Self.uplink, address: router, prefixLength: 31), .setUp(name: Self.uplink),
                    .addDefaultRoute(via: host),
                ], in: pin)
        }
        try filter(
            """
            table ip lectern {
              chain forward { type filter hook forward priority 0; policy accept;
                oifname "\(Self.uplink)" ip saddr != \(LabAddresses.network) reject
                oifname "\(Self.uplink)" ip daddr { \(Self.refused.joined(separator: ", ")) } reject
                iifname "\(Self.uplink)" ct state != { established, related } reject
              }
              chain input { type filter hook input priority 0; policy accept;
                iifname "\(Self.uplink)" ct state != { established, related } reject
              }
              chain postrouting { type nat hook postrouting priority 100; oifname "\(Self.uplink)" masquerade; }
            }
            """, in: pin)
        // Made again by every open lab: `add` of what exists changes nothing, `flush` and the new rules are one transaction.
        try filter(
            """
            add table ip lectern_\(instance)
            flush table ip lectern_\(instance)
            table ip lectern_\(instance) {
              chain input { type filter hook input priority -10; policy accept; iifname "lt\(instance)*" reject; }
              chain forward { type filter hook forward priority -10; policy accept;
                iifname "lt\(instance)*" oifname "lt\(instance)*" reject
                iifname "lt\(instance)*" ip daddr { \(Self.refused.joined(separator: ", ")) } reject
                oifname "lt\(instance)*" ct state != { established, related } reject
              }
              chain postrouting { type nat hook postrouting priority 100; ip saddr \(Self.uplinks) masquerade; }
            }
            """, in: nil)
    }

    /// Removes the host's own rules, when the last server of this state directory goes for good.
    package func removeHostFilter() { try? filter("add table ip lectern_\(instance)\ndelete table ip lectern_\(instance)", in: nil) }

    private func filter(_ rules: String, in networkNamespace: String?) throws(NetworkProblem) {
        let exit = try lifting { () throws(KernelProblem) in
            let (input, writer) = try kernel.makePipe()
            let (output, outputWriter) = try kernel.makePipe()
            let process = try kernel.spawn(
                Command(
                    path: "/usr/sbin/nft", arguments: ["nft", "-f", "-"], environment: ["PATH=/usr/sbin:/usr/bin"],
                    descriptors: [input, outputWriter, outputWriter], networkNamespace: networkNamespace))
            try kernel.send(Array((rules + "\n").utf8), to: writer)
            writer.close()
            outputWriter.close()
            let exit = try kernel.wait(process)
            return (
                exit, exit == .exited(0) ? "" : String(decoding: try kernel.receive(from: output, limitBytes: 4096) ?? [], as: UTF8.self)
            )
        }
        guard exit.0 == .exited(0) else { throw .filterFailed(exit.1) }
    }
}

private func lifting<Result>(_ body: () throws(KernelProblem) -> Result) throws(NetworkProblem) -> Result {
    do throws(KernelProblem) { return try body() } catch { throw .kernel(error) }
}
