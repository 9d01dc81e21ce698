// The machine's load from /proc, and the labs' use from the kubelet, for metrics and the admin page.
internal import Essentials
internal import Gateway
internal import Glibc
internal import Synchronization

/// Reads what the kernel tells of the machine. The processor's share is measured from one call to the next.
final class MachineFigures: MachineReport {
    private struct Ticks {
        var busy = 0.0
        var all = 0.0
    }

    private let state: String
    private let usage: @Sendable () async -> [String: LabUsage]
    private let last = Mutex(Ticks())

    init(state: String, usage: @escaping @Sendable () async -> [String: LabUsage]) {
        self.state = state
        self.usage = usage
    }

    static var memoryTotalBytes: Int64 { memory("MemTotal:") }

    func usageByNamespace() async -> [String: LabUsage] { await usage() }

    func load() async -> MachineLoad {
        let total = Self.memory("MemTotal:")
        let disk = Self.disk(state)
        return MachineLoad(
            load: Self.words("/proc/loadavg").prefix(3).compactMap(Double.init), memoryTotalBytes: total,
            memoryUsedBytes: total - Self.memory("MemAvailable:"), cpuCount: sysconf(Int32(_SC_NPROCESSORS_ONLN)), cpuPercent: cpuPercent(),
            diskTotalBytes: disk.total, diskFreeBytes: disk.free, serverMemoryBytes: Self.ownMemory())
    }

    private func cpuPercent() -> Double {
        let numbers = Self.words("/proc/stat").dropFirst().prefix(8).compactMap(Double.init)
        guard numbers.count == 8 else { return 0 }
        let all = numbers.reduce(0, +)
        let now = Ticks(busy: all - numbers[3] - numbers[4], all: all)
        return last.withLock { last in
            defer { last = now }
            let span = now.all - last.all
            return span > 0 ? ((now.busy - last.busy) / span * 1000).rounded() / 10 : 0
        }
    }

    private static func ownMemory() -> Int64 {
        lines("/proc/self/smaps_rollup").first { $0.hasPrefix("Pss:") }.flatMap(kibibytes) ?? 0
    }

    private static func memory(_ name: String) -> Int64 { lines("/proc/meminfo").first { $0.hasPrefix(name) }.flatMap(kibibytes) ?? 0 }

    private static func kibibytes(_ line: Substring) -> Int64? {
        line.split(separator: " ").dropFirst().first.flatMap { Int64($0) }.map { $0 << 10 }
    }

    private static func disk(_ path: String) -> (total: Int64, free: Int64) {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { return (0, 0) }
        let block = Int64(information.f_frsize)
        return (Int64(information.f_blocks) * block, Int64(information.f_bavail) * block)
    }

    private static func words(_ path: String) -> [Substring] { lines(path).first?.split(separator: " ") ?? [] }

    private static func lines(_ path: String) -> [Substring] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    }
}
