// The real kernel, part six: links, addresses, routes and neighbours over rtnetlink, without starting a program.
internal import CLinux
internal import Essentials
internal import Glibc

extension LinuxKernel {
    package func configure(links: [LinkChange], in networkNamespace: String?) throws(KernelProblem) {
        var peers: [String: OwnedDescriptor] = [:]
        for case .addPair(_, _, let peer?, _) in links where peers[peer] == nil { peers[peer] = try Self.open(peer, O_RDONLY) }
        try Self.inside(networkNamespace) { () throws(KernelProblem) in
            let netlink = try NetlinkSocket()
            for change in links { try Self.apply(change, netlink, peers: peers) }
        }
    }

    private static func index(_ name: String) throws(KernelProblem) -> Int32 {
        let index = if_nametoindex(name)
        guard index != 0 else { throw KernelProblem(call: "if_nametoindex", subject: name, code: ENODEV) }
        return Int32(index)
    }

    private static func apply(_ change: LinkChange, _ netlink: NetlinkSocket, peers: [String: OwnedDescriptor]) throws(KernelProblem) {
        let create = UInt16(NLM_F_CREATE) | UInt16(NLM_F_EXCL)
        switch change {
        case .addBridge(let name, let hardware):
            var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: create)
            message.linkHeader()
            message.attribute(Int32(IFLA_IFNAME), text: name)
            message.attribute(Int32(IFLA_ADDRESS), hardware.bytes)
            message.attribute(Int32(IFLA_LINKINFO)) { info in
                info.attribute(Int32(IFLA_INFO_KIND), text: "bridge")
                info.attribute(Int32(IFLA_INFO_DATA)) { data in data.attribute(Int32(IFLA_BR_MCAST_SNOOPING), [0]) }
            }
            try netlink.request(message, "add bridge", name)

        case .addPair(let name, let peer, let peerNamespace, let hardware):
            var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: create)
            message.linkHeader()
            message.attribute(Int32(IFLA_IFNAME), text: name)
            message.attribute(Int32(IFLA_LINKINFO)) { info in
                info.attribute(Int32(IFLA_INFO_KIND), text: "veth")
                info.attribute(Int32(IFLA_INFO_DATA)) { data in
                    data.attribute(Int32(VETH_INFO_PEER)) { other in
                        other.linkHeader()
                        other.attribute(Int32(IFLA_IFNAME), text: peer)
                        if let hardware { other.attribute(Int32(IFLA_ADDRESS), hardware.bytes) }
                        if let peerNamespace, let descriptor = peers[peerNamespace] {
                            other.attribute(Int32(IFLA_NET_NS_FD), number: UInt32(descriptor.number))
                        }
                    }
                }
            }
            try netlink.request(message, "add pair", name)

        case .delete(let name):
            var message = NetlinkMessage(type: UInt16(RTM_DELLINK), flags: 0)
            message.linkHeader()
            message.attribute(Int32(IFLA_IFNAME), text: name)
            do throws(KernelProblem) { try netlink.request(message, "delete link", name) } catch {
                guard error.code == ENODEV else { throw error }
            }

        case .setUp(let name):
            var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: 0)
            message.linkHeader(index: try index(name), flags: UInt32(IFF_UP), change: UInt32(IFF_UP))
            try netlink.request(message, "set up", name)

        case .attach(let name, let bridge):
            var message = NetlinkMessage(type: UInt16(RTM_NEWLINK), flags: 0)
            message.linkHeader(index: try index(name))
            message.attribute(Int32(IFLA_MASTER), number: UInt32(try index(bridge)))
            try netlink.request(message, "attach to bridge", name)

        case .lockPort(let name, let hardware):
            let port = try index(name)
            // Only "set" reaches the bridge's own settings; "new" accepts and ignores them.
            var message = NetlinkMessage(type: UInt16(RTM_SETLINK), flags: 0)
            message.linkHeader(family: UInt8(AF_BRIDGE), index: port)
            message.attribute(Int32(IFLA_PROTINFO) | Int32(NLA_F_NESTED)) { info in
                info.attribute(Int32(IFLA_BRPORT_LEARNING), [0])
                info.attribute(Int32(IFLA_BRPORT_LOCKED), [1])
            }
            try netlink.request(message, "lock port", name)
            var entry = NetlinkMessage(type: UInt16(RTM_NEWNEIGH), flags: UInt16(NLM_F_CREATE) | UInt16(NLM_F_REPLACE))
            entry.neighbourHeader(
                family: UInt8(AF_BRIDGE), index: port, state: 0x40 /* NUD_NOARP: static */, flags: 0x04 /* NTF_MASTER */)
            entry.attribute(2 /* NDA_LLADDR */, hardware.bytes)
            try netlink.request(entry, "add forwarding entry", name)

        case .addAddress(let name, let address, let prefixLength):
            var message = NetlinkMessage(type: UInt16(RTM_NEWADDR), flags: create)
            message.append(UInt8(AF_INET))
            message.append(prefixLength)
            message.append(UInt8(0))
            message.append(UInt8(0))
            message.append(UInt32(try index(name)))
            message.attribute(Int32(IFA_LOCAL), address.bytes)
            message.attribute(Int32(IFA_ADDRESS), address.bytes)
            try netlink.request(message, "add address \(address)", name)

        case .addDefaultRoute(let via): try route(nil, via: via, netlink)
        case .addRoute(let block, let via): try route(block, via: via, netlink)

        case .addLocal(let block, let name, let table):
            var message = NetlinkMessage(type: UInt16(RTM_NEWROUTE), flags: create)
            message.routeHeader(
                prefixLength: block.prefixLength, table: table, scope: UInt8(RT_SCOPE_HOST.rawValue), type: UInt8(RTN_LOCAL))
            if block.prefixLength > 0 { message.attribute(Int32(RTA_DST.rawValue), block.base.bytes) }
            message.attribute(Int32(RTA_OIF.rawValue), number: UInt32(try index(name)))
            try netlink.request(message, "add local \(block)", "table \(table)")

        case .addRule(let protocolNumber, let table, let priority):
            var message = NetlinkMessage(type: UInt16(RTM_NEWRULE), flags: create)
            message.routeHeader(prefixLength: 0, table: table, scope: 0, type: 1 /* FR_ACT_TO_TBL */, origin: 0)
            message.attribute(6 /* FRA_PRIORITY */, number: priority)
            if let protocolNumber { message.attribute(22 /* FRA_IP_PROTO */, [protocolNumber]) }
            try netlink.request(message, "add rule", "table \(table)")

        case .deleteRule(let priority):
            var message = NetlinkMessage(type: UInt16(RTM_DELRULE), flags: 0)
            message.routeHeader(prefixLength: 0, table: 0, scope: 0, type: 1, origin: 0)
            message.attribute(6 /* FRA_PRIORITY */, number: priority)
            try netlink.request(message, "delete rule", "priority \(priority)")

        case .addNeighbour(let name, let address, let hardware):
            var entry = NetlinkMessage(type: UInt16(RTM_NEWNEIGH), flags: UInt16(NLM_F_CREATE) | UInt16(NLM_F_REPLACE))
            entry.neighbourHeader(family: UInt8(AF_INET), index: try index(name), state: 0x80 /* NUD_PERMANENT */, flags: 0)
            entry.attribute(1 /* NDA_DST */, address.bytes)
            entry.attribute(2 /* NDA_LLADDR */, hardware.bytes)
            try netlink.request(entry, "add neighbour \(address)", name)
        }
    }

    private static func route(_ block: IPv4Block?, via: IPv4, _ netlink: NetlinkSocket) throws(KernelProblem) {
        var message = NetlinkMessage(type: UInt16(RTM_NEWROUTE), flags: UInt16(NLM_F_CREATE) | UInt16(NLM_F_EXCL))
        message.routeHeader(
            prefixLength: block?.prefixLength ?? 0, table: UInt8(RT_TABLE_MAIN.rawValue), scope: UInt8(RT_SCOPE_UNIVERSE.rawValue),
            type: UInt8(RTN_UNICAST))
        if let block { message.attribute(Int32(RTA_DST.rawValue), block.base.bytes) }
        message.attribute(Int32(RTA_GATEWAY.rawValue), via.bytes)
        try netlink.request(message, "add route", block?.description ?? "default")
    }
}

extension NetlinkMessage {
    /// The `rtmsg` that begins route messages, and in the same form the `fib_rule_hdr` of rules.
    mutating func routeHeader(
        prefixLength: UInt8, table: UInt8, scope: UInt8, type: UInt8, origin: UInt8 = 3 /* RTPROT_BOOT */, flags: UInt32 = 0
    ) {
        append(UInt8(AF_INET))
        append(prefixLength)
        append(UInt8(0))
        append(UInt8(0))
        append(table)
        append(origin)
        append(scope)
        append(type)
        append(flags)
    }

    /// The `ndmsg` that begins neighbour messages.
    mutating func neighbourHeader(family: UInt8, index: Int32, state: UInt16, flags: UInt8) {
        append(family)
        append(UInt8(0))
        append(UInt16(0))
        append(index)
        append(state)
        append(flags)
        append(UInt8(0))
    }
}
