// Links, addresses and routes of one network namespace: what is there, and changes that may be made again without harm.
//
// `configure(links:)` builds a lab's network once; this is for programs that find a network and keep it as it should be.
internal import CLinux
internal import Essentials
internal import Glibc

package struct NetworkLink: Sendable, Hashable {
    package var index: Int32
    package var name: String
    package var hardware: HardwareAddress?
    package var mtu: UInt32
    package var isUp: Bool
    /// `veth`, `bridge`, …; empty for plain hardware and loopback.
    package var kind: String
    /// Of a cable: the other end's number in its own namespace.
    package var peerIndex: Int32?
}

package struct NetworkAddress: Sendable, Hashable {
    package var link: Int32
    package var address: IPv4
    package var prefixLength: UInt8

    package init(link: Int32, address: IPv4, prefixLength: UInt8) {
        self.link = link
        self.address = address
        self.prefixLength = prefixLength
    }
}

package struct NetworkRoute: Sendable, Hashable {
    package enum Kind: UInt8, Sendable {
        case unicast = 1
        case unreachable = 7
    }
    package var destination: IPv4Block
    package var gateway: IPv4?
    package var link: Int32?
    package var kind: Kind
    /// Who made it (`rtm_protocol`).
    package var origin: UInt8
    /// The gateway need not be in a network of the link (`onlink`).
    package var isOnLink: Bool

    package init(
        to destination: IPv4Block, via gateway: IPv4? = nil, link: Int32? = nil, kind: Kind = .unicast, origin: UInt8 = 3,
        isOnLink: Bool = false
    ) {
        self.destination = destination
        self.gateway = gateway
        self.link = link
        self.kind = kind
        self.origin = origin
        self.isOnLink = isOnLink
    }
}

package struct NetworkStack: Sendable {
    private let networkNamespace: String?

    /// `networkNamespace`: a path that pins it; nil: the caller's own.
    package init(in networkNamespace: String? = nil) { self.networkNamespace = networkNamespace }

    package func links() throws(KernelProblem) -> [NetworkLink] {
        var message = NetlinkMessage(type: UInt16(RTM_GETLINK), flags: UInt16(NLM_F_DUMP), acknowledged: false)
        message.linkHeader()
        var found: [NetworkLink] = []
        try dump(message, "links") { reply in if let link = Self.link(reply) { found.append(link) } }
        return found
    }

    /// The link of that name, nil where there is none.
    package func link(_ name: String) throws(KernelProblem) -> NetworkLink? {
        var message = NetlinkMessage(type: UInt16(RTM_GETLINK), flags: 0)
        message.linkHeader()
        message.attribute(Int32(IFLA_IFNAME), text: name)
        var found: NetworkLink?
        do throws(KernelProblem) { try dump(message, name) { reply in found = Self.link(reply) } } catch {
            if error.code == ENODEV { return nil }
            throw error
        }
        return found
    }

    package func addresses() throws(KernelProblem) -> [NetworkAddress] {
        var message = NetlinkMessage(type: UInt16(RTM_GETADDR), flags: UInt16(NLM_F_DUMP), acknowledged: false)
        message.addressHeader(prefixLength: 0, link: 0)
        var found: [NetworkAddress] = []
        try dump(message, "addresses") { reply in
            let attributes = reply.attributes(from: 8)
            guard let bytes = attributes[UInt16(IFA_LOCAL)] ?? attributes[UInt16(IFA_ADDRESS)], let address = IPv4(bytes: bytes) else {
                return
            }
            found.append(
                NetworkAddress(
                    link: NetlinkReply.load(reply.body, 4), address: address, prefixLength: reply.body[reply.body.startIndex + 1]))
        }
        return found
    }

    /// Routes of the main table.
    package func routes() throws(KernelProblem) -> [NetworkRoute] {
        var message = NetlinkMessage(type: UInt16(RTM_GETROUTE), flags: UInt16(NLM_F_DUMP), acknowledged: false)
        message.routeHeader(prefixLength: 0, table: 0, scope: 0, type: 0, origin: 0)
        var found: [NetworkRoute] = []
        try dump(message, "routes") { reply in
            let body = Array(reply.body.prefix(12))
            guard body.count == 12, body[0] == UInt8(AF_INET), body[4] == UInt8(RT_TABLE_MAIN.rawValue),
                let kind = NetworkRoute.Kind(rawValue: body[7])
            else { return }
            let attributes = reply.attributes(from: 12)
            let base = attributes[UInt16(RTA_DST.rawValue)].flatMap { IPv4(bytes: $0) } ?? IPv4(0)
            found.append(
                NetworkRoute(
                    to: IPv4Block(base, body[1]), via: attributes[UInt16(RTA_GATEWAY.rawValue)].flatMap { IPv4(bytes: $0) },
                    link: attributes[UInt16(RTA_OIF.rawValue)].map { NetlinkReply.load($0, 0) }, kind: kind, origin: body[5],
                    isOnLink: (NetlinkReply.load(reply.body, 8) as UInt32) & UInt32(RTNH_F_ONLINK) != 0))
        }
        return found
    }

    /// Adds the route, in the place of one to the same block.
    package func replace(_ route: NetworkRoute) throws(KernelProblem) { try change(route, UInt16(RTM_NEWROUTE), "set route") }

    /// A route that is not there is fine.
    package func remove(_ route: NetworkRoute) throws(KernelProblem) {
        do throws(KernelProblem) { try change(route, UInt16(RTM_DELROUTE), "delete route") } catch {
            guard error.code == ESRCH || error.code == ENODEV else { throw error }
        }
    }

    /// Puts the address on the link; fine where it is there already. `isBare`: without a route to its network.
    package func add(_ address: NetworkAddress, isBare: Bool = false) throws(KernelProblem) {
        var message = NetlinkMessage(type: UInt16(RTM_NEWADDR), flags: UInt16(NLM_F_CREATE) | UInt16(NLM_F_REPLACE))
        message.addressHeader(prefixLength: address.prefixLength, link: address.link)
        message.attribute(Int32(IFA_LOCAL), address.address.bytes)
        message.attribute(Int32(IFA_ADDRESS), address.address.bytes)
        if isBare { message.attribute(8 /* IFA_FLAGS */, number: 0x200 /* IFA_F_NOPREFIXROUTE */) }
        try request(message, "add address", "\(address.address)")
    }

    package func remove(_ address: NetworkAddress) throws(KernelProblem) {
        var message = NetlinkMessage(type: UInt16(RTM_DELADDR), flags: 0)
        message.addressHeader(prefixLength: address.prefixLength, link: address.link)
        message.attribute(Int32(IFA_LOCAL), address.address.bytes)
        do throws(KernelProblem) { try request(message, "delete address", "\(address.address)") } catch {
            guard error.code == EADDRNOTAVAIL || error.code == ENODEV else { throw error }
        }
    }

    package func setUp(_ link: Int32) throws(KernelProblem) {
        var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: 0)
        message.linkHeader(index: link, flags: UInt32(IFF_UP), change: UInt32(IFF_UP))
        try request(message, "set up", "link \(link)")
    }

    /// Deleting a link that is not there is fine.
    package func removeLink(_ name: String) throws(KernelProblem) {
        var message = NetlinkMessage(type: UInt16(RTM_DELLINK), flags: 0)
        message.linkHeader()
        message.attribute(Int32(IFLA_IFNAME), text: name)
        do throws(KernelProblem) { try request(message, "delete link", name) } catch { guard error.code == ENODEV else { throw error } }
    }

    /// A cable: `name` here and up, `peer` in the namespace at `peerNamespace` and still down.
    package func addCable(
        _ name: String, hardware: HardwareAddress, peer: String, in peerNamespace: String, peerHardware: HardwareAddress, mtu: UInt32
    ) throws(KernelProblem) {
        let target = try LinuxKernel.open(peerNamespace, O_RDONLY)
        var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: UInt16(NLM_F_CREATE) | UInt16(NLM_F_EXCL))
        message.linkHeader(flags: UInt32(IFF_UP), change: UInt32(IFF_UP))
        message.attribute(Int32(IFLA_IFNAME), text: name)
        message.attribute(Int32(IFLA_ADDRESS), hardware.bytes)
        message.attribute(Int32(IFLA_MTU), number: mtu)
        message.attribute(Int32(IFLA_LINKINFO)) { info in
            info.attribute(Int32(IFLA_INFO_KIND), text: "veth")
            info.attribute(Int32(IFLA_INFO_DATA)) { data in
                data.attribute(Int32(VETH_INFO_PEER)) { other in
                    other.linkHeader()
                    other.attribute(Int32(IFLA_IFNAME), text: peer)
                    other.attribute(Int32(IFLA_ADDRESS), peerHardware.bytes)
                    other.attribute(Int32(IFLA_MTU), number: mtu)
                    other.attribute(Int32(IFLA_NET_NS_FD), number: UInt32(target.number))
                }
            }
        }
        try request(message, "add cable", name)
    }

    /// A bridge that is up; fine where a link of that name is there already.
    package func addBridge(_ name: String, hardware: HardwareAddress, mtu: UInt32) throws(KernelProblem) {
        try addLink(name, hardware: hardware, mtu: mtu, kind: "bridge") { _ in }
    }

    /// A tunnel over UDP that learns nothing: who is where is told by `addTunnelEnd`.
    package func addTunnel(
        _ name: String, identifier: UInt32, port: UInt16, local: IPv4, hardware: HardwareAddress, mtu: UInt32
    ) throws(KernelProblem) {
        try addLink(name, hardware: hardware, mtu: mtu, kind: "vxlan") { data in
            data.attribute(Int32(IFLA_VXLAN_ID), number: identifier)
            data.attribute(Int32(IFLA_VXLAN_LOCAL), local.bytes)
            data.attribute(Int32(IFLA_VXLAN_LEARNING), [0])
            data.attribute(Int32(IFLA_VXLAN_PORT), [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)])
        }
    }

    /// Behind the tunnel, `gateway` has the address `hardware`, and frames for it go to the node `node`.
    package func addTunnelEnd(link: Int32, gateway: IPv4, hardware: HardwareAddress, node: IPv4) throws(KernelProblem) {
        let flags = UInt16(NLM_F_CREATE) | UInt16(NLM_F_REPLACE)
        var neighbour = NetlinkMessage(type: UInt16(RTM_NEWNEIGH), flags: flags)
        neighbour.neighbourHeader(family: UInt8(AF_INET), index: link, state: 0x80 /* NUD_PERMANENT */, flags: 0)
        neighbour.attribute(1 /* NDA_DST */, gateway.bytes)
        neighbour.attribute(2 /* NDA_LLADDR */, hardware.bytes)
        try request(neighbour, "add neighbour", "\(gateway)")
        var forwarding = NetlinkMessage(type: UInt16(RTM_NEWNEIGH), flags: flags)
        forwarding.neighbourHeader(
            family: UInt8(AF_BRIDGE), index: link, state: 0x80 | 0x40 /* permanent, static */, flags: 0x02 /* NTF_SELF */)
        forwarding.attribute(1, node.bytes)
        forwarding.attribute(2, hardware.bytes)
        try request(forwarding, "add forwarding entry", "\(node)")
    }

    /// Values below /proc/sys/net; those that are missing are passed over.
    package func configure(_ values: [(name: String, value: String)]) throws(KernelProblem) {
        try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in
            let kernel = LinuxKernel()
            for (name, value) in values {
                do throws(KernelProblem) {
                    if try kernel.readText("/proc/sys/" + name).hasPrefix(value + "\n") { continue }
                    try kernel.control("/proc/sys/" + name, value)
                } catch {
                    guard error.code == ENOENT else { throw error }
                }
            }
        }
    }
}

extension NetworkStack {
    private func addLink(
        _ name: String, hardware: HardwareAddress, mtu: UInt32, kind: String, _ body: (inout NetlinkMessage) -> Void
    ) throws(KernelProblem) {
        var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: UInt16(NLM_F_CREATE) | UInt16(NLM_F_EXCL))
        message.linkHeader(flags: UInt32(IFF_UP), change: UInt32(IFF_UP))
        message.attribute(Int32(IFLA_IFNAME), text: name)
        message.attribute(Int32(IFLA_ADDRESS), hardware.bytes)
        message.attribute(Int32(IFLA_MTU), number: mtu)
        message.attribute(Int32(IFLA_LINKINFO)) { info in
            info.attribute(Int32(IFLA_INFO_KIND), text: kind)
            info.attribute(Int32(IFLA_INFO_DATA), nested: body)
        }
        do throws(KernelProblem) { try request(message, "add \(kind)", name) } catch {
            guard error.code == EEXIST else { throw error }
        }
    }

    private func change(_ route: NetworkRoute, _ type: UInt16, _ call: String) throws(KernelProblem) {
        let flags = type == UInt16(RTM_NEWROUTE) ? UInt16(NLM_F_CREATE) | UInt16(NLM_F_REPLACE) : 0
        var message = NetlinkMessage(type: type, flags: flags)
        let scope = route.gateway == nil && route.kind == .unicast ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue
        message.routeHeader(
            prefixLength: route.destination.prefixLength, table: UInt8(RT_TABLE_MAIN.rawValue), scope: UInt8(scope),
            type: route.kind.rawValue, origin: route.origin, flags: route.isOnLink ? UInt32(RTNH_F_ONLINK) : 0)
        if route.destination.prefixLength > 0 { message.attribute(Int32(RTA_DST.rawValue), route.destination.base.bytes) }
        if let gateway = route.gateway { message.attribute(Int32(RTA_GATEWAY.rawValue), gateway.bytes) }
        if let link = route.link { message.attribute(Int32(RTA_OIF.rawValue), number: UInt32(bitPattern: link)) }
        try request(message, call, "\(route.destination)")
    }

    private func request(_ message: NetlinkMessage, _ call: String, _ subject: String) throws(KernelProblem) {
        try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in try NetlinkSocket().request(message, call, subject) }
    }

    private func dump(_ message: NetlinkMessage, _ subject: String, _ each: (NetlinkReply) -> Void) throws(KernelProblem) {
        try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in
            try NetlinkSocket().ask(message, "read", subject, each)
        }
    }

    private static func link(_ reply: NetlinkReply) -> NetworkLink? {
        guard reply.type == UInt16(RTM_NEWLINK), reply.body.count >= 16 else { return nil }
        let attributes = reply.attributes(from: 16)
        let name = attributes[UInt16(IFLA_IFNAME)].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } ?? ""
        let info = attributes[UInt16(IFLA_LINKINFO)].map { NetlinkReply.attributes($0) } ?? [:]
        let hardware = attributes[UInt16(IFLA_ADDRESS)].flatMap { $0.count == 6 ? HardwareAddress(bytes: Array($0)) : nil }
        return NetworkLink(
            index: NetlinkReply.load(reply.body, 4), name: name, hardware: hardware,
            mtu: attributes[UInt16(IFLA_MTU)].map { NetlinkReply.load($0, 0) } ?? 1500,
            isUp: (NetlinkReply.load(reply.body, 8) as UInt32) & UInt32(IFF_UP) != 0,
            kind: info[UInt16(IFLA_INFO_KIND)].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } ?? "",
            peerIndex: attributes[UInt16(IFLA_LINK)].map { NetlinkReply.load($0, 0) })
    }
}

extension IPv4 {
    init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count == 4 else { return nil }
        self.init(bytes.reduce(0) { $0 << 8 | UInt32($1) })
    }
}

extension NetlinkMessage {
    /// The `ifaddrmsg` that begins address messages.
    mutating func addressHeader(prefixLength: UInt8, link: Int32) {
        append(UInt8(AF_INET))
        append(prefixLength)
        append(UInt8(0))
        append(UInt8(0))
        append(UInt32(bitPattern: link))
    }
}
