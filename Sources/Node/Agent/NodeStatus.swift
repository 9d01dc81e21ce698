// How the node is: its terminals, its memory, and the ports that something listens on.
internal import Essentials
internal import Kernel

enum NodeStatus {
    /// Processes whose descriptors are looked at to name who listens.
    private static let processesLimit = 512
    private static let portsLimit = 256

    static func report(_ loop: AgentLoop) -> JSON {
        var result: JSON = [
            "ok": true, "hostname": JSON(ReaperProcesses.hostName),
            "uptimeSeconds": JSON(Int(monotonicSeconds() - loop.started)),
            "terminals": JSON(loop.terminals.values.sorted { $0.name < $1.name }.map(\.status)),
            "listening": JSON(listening()), "connections": JSON(loop.connections.count),
        ]
        if let memory = memoryBytes() { result["memoryBytes"] = JSON(memory) }
        return result
    }

    private static func listening() -> [JSON] {
        var ports: [ListeningPort] = []
        for (file, protocolName) in [("tcp", "tcp"), ("tcp6", "tcp6")] {
            guard let bytes = try? ReaperFiles.read("/proc/self/net/\(file)", limitBytes: 4 << 20) else { continue }
            ports += ListeningPort.parse(String(decoding: bytes, as: UTF8.self), protocolName: protocolName)
        }
        ports = Array(ports.sorted { ($0.port, $0.protocolName) < ($1.port, $1.protocolName) }.prefix(portsLimit))
        let owners = ports.isEmpty ? [:] : self.owners(of: Set(ports.map(\.inode)))
        return ports.map { port in
            var entry: JSON = ["port": JSON(port.port), "protocol": JSON(port.protocolName), "address": JSON(port.address)]
            if let owner = owners[port.inode] { entry["process"] = JSON(owner) }
            return entry
        }
    }

    /// The names of the processes that hold these sockets.
    private static func owners(of inodes: Set<String>) -> [String: String] {
        var result: [String: String] = [:]
        for pid in ReaperFiles.names(in: "/proc").compactMap(Int32.init).sorted().prefix(processesLimit) {
            for descriptor in ReaperFiles.names(in: "/proc/\(pid)/fd") {
                guard let target = ReaperFiles.linkTarget("/proc/\(pid)/fd/\(descriptor)"), target.hasPrefix("socket:[") else { continue }
                let inode = String(target.dropFirst(8).dropLast())
                if inodes.contains(inode), result[inode] == nil { result[inode] = ReaperFiles.processName(pid) }
            }
            if result.count == inodes.count { break }
        }
        return result
    }

    private static func memoryBytes() -> Int? {
        for path in ["/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"] {
            if let bytes = try? ReaperFiles.read(path, limitBytes: 64) {
                return Int(String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self))
            }
        }
        return nil
    }
}

/// A listening socket, as a line of /proc/net/tcp or tcp6 tells it.
package struct ListeningPort: Equatable {
    package let port: Int
    package let protocolName: String
    package let address: String
    package let inode: String

    package init(port: Int, protocolName: String, address: String, inode: String) {
        (self.port, self.protocolName, self.address, self.inode) = (port, protocolName, address, inode)
    }

    package static func parse(_ table: String, protocolName: String) -> [ListeningPort] {
        table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == "0A" else { return nil }
            let local = fields[1].split(separator: ":")
            guard local.count == 2, let port = Int(local[1], radix: 16), let address = address(String(local[0])) else { return nil }
            return ListeningPort(port: port, protocolName: protocolName, address: address, inode: String(fields[9]))
        }
    }

    /// The kernel prints each 32-bit word in the machine's byte order.
    private static func address(_ hex: String) -> String? {
        let digits = Array(hex.utf8)
        guard digits.count == 8 || digits.count == 32 else { return nil }
        var bytes: [UInt8] = []
        for word in 0..<(digits.count / 8) {
            for index in (0..<4).reversed() {
                let start = word * 8 + index * 2
                guard let byte = UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16) else { return nil }
                bytes.append(byte)
            }
        }
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        if bytes.allSatisfy({ $0 == 0 }) { return "::" }
        if bytes.dropLast().allSatisfy({ $0 == 0 }), bytes.last == 1 { return "::1" }
        if bytes[0..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
            return "::ffff:" + bytes[12...].map(String.init).joined(separator: ".")
        }
        return stride(from: 0, to: 16, by: 2).map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
    }
}
