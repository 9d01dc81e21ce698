// One table of the packet filter in one network namespace: it knows what it wrote last and writes what changed.
internal import CLinux
internal import Essentials
internal import Glibc
internal import Synchronization

package final class PacketFilter: Sendable {
    /// A transaction larger than this is cut; the parts are each complete, but not one step any more. The kernel takes what
    /// the socket's send buffer holds, and in a user namespace nobody may raise that beyond the machine's limit.
    static let transactionLimitBytes = 180_000

    private let name: String
    fileprivate let networkNamespace: String?
    fileprivate let written = Mutex<FilterTable?>(nil)

    /// `networkNamespace`: a path that pins it; nil: the caller's own.
    package init(table name: String, in networkNamespace: String? = nil) {
        self.name = name
        self.networkNamespace = networkNamespace
    }

    /// Makes the kernel's table as `table` says. The first time, and after someone else changed it, the table is replaced as a
    /// whole, still in one step. True when anything was written.
    @discardableResult
    package func apply(_ table: FilterTable) throws(KernelProblem) -> Bool {
        let failure = written.withLock { (known) -> Result<Bool, KernelProblem> in
            if known == table { return .success(false) }
            do throws(KernelProblem) {
                if let old = known {
                    do throws(KernelProblem) {
                        try send(FilterTransaction(from: old, to: table))
                        known = table
                        return .success(true)
                    } catch {
                        known = nil
                    }
                }
                try send(FilterTransaction(replacing: name, with: table))
                known = table
                return .success(true)
            } catch {
                known = nil
                return .failure(error)
            }
        }
        return try failure.get()
    }

    /// Removes the table; none there is fine.
    package func remove() throws(KernelProblem) {
        let failure = written.withLock { (known) -> KernelProblem? in
            known = nil
            do throws(KernelProblem) { try send(FilterTransaction(replacing: name, with: nil)) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    /// Whether the kernel still has the table; false also asks the next `apply` to write all of it.
    package func isThere() -> Bool {
        written.withLock { known in
            let isThere = (try? LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in try Self.ask(name) }) ?? false
            if !isThere { known = nil }
            return isThere
        }
    }

    private static func ask(_ name: String) throws(KernelProblem) -> Bool {
        var message = FilterMessages.table(.getTable, name)
        message.add(flags: UInt16(NLM_F_ACK))
        do throws(KernelProblem) { try NetlinkSocket(NETLINK_NETFILTER).request(message, "get table", name) } catch {
            if error.code == ENOENT { return false }
            throw error
        }
        return true
    }

    private func send(_ transaction: FilterTransaction) throws(KernelProblem) {
        guard !transaction.isEmpty else { return }
        try LinuxKernel.inside(networkNamespace) { () throws(KernelProblem) in
            let socket = try NetlinkSocket(NETLINK_NETFILTER)
            socket.setSendBuffer(bytes: Int32(Self.transactionLimitBytes * 2))
            var part: [NetlinkMessage] = []
            var size = 0
            for unit in transaction.units {
                let bytes = unit.reduce(0) { $0 + $1.bytes.count }
                if size + bytes > Self.transactionLimitBytes, !part.isEmpty {
                    try socket.transaction(part, "filter", name)
                    part = []
                    size = 0
                }
                part += unit
                size += bytes
            }
            try socket.transaction(part, "filter", name)
        }
    }
}

extension Readiness {
    /// Calls `lost` when somebody has removed the table, as `nft flush ruleset` does, until the watch is cancelled. It costs
    /// nothing meanwhile.
    package func watchLoss(of filter: PacketFilter, _ lost: @escaping @Sendable () -> Void) throws(KernelProblem) -> UInt64 {
        let socket = try LinuxKernel.inside(filter.networkNamespace) { () throws(KernelProblem) in
            try NetlinkSocket(NETLINK_NETFILTER, groups: 1 << (7 - 1) /* NFNLGRP_NFTABLES */)
        }
        return try watch(socket.descriptor) { [weak filter] in
            guard let filter else { return .stop }
            var isSuspect = false
            while true {
                var bytes = [UInt8](repeating: 0, count: 16_384)
                let count = recv(socket.descriptor.number, &bytes, bytes.count, Int32(MSG_DONTWAIT))
                if count < 0 {
                    if errno == EINTR { continue }
                    // More happened than the socket holds.
                    if errno == ENOBUFS {
                        isSuspect = true
                        continue
                    }
                    break
                }
                let deletion = UInt16(10 << 8 | FilterMessages.Kind.deleteTable.rawValue)
                if NetlinkReply.messages(bytes[0..<count]).contains(where: { $0.type == deletion }) { isSuspect = true }
            }
            // What this program did itself has put another table in its place.
            if isSuspect, filter.written.withLock({ $0 != nil }), !filter.isThere() { lost() }
            return .again
        }
    }
}

extension NetlinkSocket {
    func setSendBuffer(bytes: Int32) {
        var value = bytes
        setsockopt(descriptor.number, SOL_SOCKET, SO_SNDBUF, &value, 4)
        setsockopt(descriptor.number, SOL_SOCKET, SO_RCVBUF, &value, 4)
    }

    /// Sends messages as one transaction of nf_tables.
    func transaction(_ messages: [NetlinkMessage], _ call: String, _ subject: String) throws(KernelProblem) {
        var bytes: [UInt8] = []
        var sequence: UInt32 = 1
        func add(_ message: NetlinkMessage) {
            var message = message
            message.number(sequence)
            sequence += 1
            bytes += message.finished
        }
        add(FilterMessages.batch(type: 0x10))
        for (index, message) in messages.enumerated() {
            var message = message
            if index == messages.count - 1 { message.add(flags: UInt16(NLM_F_ACK)) }
            add(message)
        }
        add(FilterMessages.batch(type: 0x11))
        guard Glibc.send(descriptor.number, bytes, bytes.count, 0) == bytes.count else { throw LinuxKernel.failed(call, subject) }
        // The kernel has worked it off when `send` returns, so all answers are here.
        var reply = [UInt8](repeating: 0, count: 65536)
        var problem: KernelProblem?
        var isAcknowledged = false
        while true {
            let count = recv(descriptor.number, &reply, reply.count, Int32(MSG_DONTWAIT))
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN { break }
                throw LinuxKernel.failed(call, subject)
            }
            for message in NetlinkReply.messages(reply[0..<count]) where message.type == UInt16(NLMSG_ERROR) {
                let code = message.errorCode
                if code == 0 {
                    isAcknowledged = true
                } else if problem == nil {
                    let number = Int(message.sequence) - 2
                    let type = messages.indices.contains(number) ? messages[number].bytes[4] : 0
                    problem = KernelProblem(call: call, subject: "\(subject), message \(number) of type \(type)", code: -code)
                }
            }
        }
        if let problem { throw problem }
        guard isAcknowledged else { throw KernelProblem(call: call, subject: subject, code: EIO) }
    }
}
