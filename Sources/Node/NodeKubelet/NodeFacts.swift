// What this node is and has: its limits rather than the machine's, read from control groups, /proc and /etc.
internal import ClusterModel
internal import Essentials
internal import Kernel

struct NodeFacts: Sendable {
    var milliCPU: Int64
    var memoryBytes: Int64
    var disk: FileSystemUsage
    var machineID: String
    var systemUUID: String
    var bootID: String
    var kernelVersion: String
    var systemName: String

    #if arch(arm64)
        static let architecture = "arm64"
    #else
        static let architecture = "amd64"
    #endif

    init(rootFolder: String, kernel: LinuxKernel = LinuxKernel()) {
        func text(_ path: String) -> String? { try? kernel.readText(path) }
        func line(_ path: String) -> String { String((text(path) ?? "").prefix { $0 != "\n" }) }
        var cpu = Int64(max(1, (text("/proc/cpuinfo") ?? "").split(separator: "\n").count { $0.hasPrefix("processor") })) * 1000
        var memory = Self.memory("MemTotal", text("/proc/meminfo") ?? "")
        let quota = (text("/sys/fs/cgroup/cpu.max") ?? "").split { $0 == " " || $0 == "\n" }.compactMap { Int64($0) }
        if quota.count == 2, quota[1] > 0 { cpu = min(cpu, quota[0] * 1000 / quota[1]) }
        if let old = Int64(line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")), old > 0,
            let period = Int64(line("/sys/fs/cgroup/cpu/cpu.cfs_period_us")), period > 0
        {
            cpu = min(cpu, old * 1000 / period)
        }
        if let limit = Self.memoryLimit(kernel), limit > 0 { memory = min(memory, limit) }
        milliCPU = max(1, cpu)
        memoryBytes = memory
        disk = (try? kernel.usage(ofFileSystem: rootFolder)) ?? FileSystemUsage(totalBytes: 0, freeBytes: 0)
        machineID = line("/etc/machine-id")
        systemUUID = machineID
        bootID = line("/proc/sys/kernel/random/boot_id")
        kernelVersion = line("/proc/sys/kernel/osrelease")
        let release = (text("/etc/os-release") ?? "").split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        systemName = release.map { $0.dropFirst(12).filter { $0 != "\"" } } ?? "Linux"
    }

    static func hostName() -> String {
        String(((try? LinuxKernel().readText("/proc/sys/kernel/hostname")) ?? "node").prefix { $0 != "\n" }).lowercased()
    }

    private static func memory(_ key: String, _ text: String) -> Int64 {
        for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
            return (Int64(line.dropFirst(key.count + 1).filter(\.isNumber)) ?? 0) << 10
        }
        return 0
    }

    private static func number(_ path: String, _ kernel: LinuxKernel) -> Int64? {
        (try? kernel.readText(path)).flatMap { Int64($0.prefix { $0 != "\n" }) }
    }

    private static func memoryLimit(_ kernel: LinuxKernel) -> Int64? {
        number("/sys/fs/cgroup/memory.max", kernel) ?? number("/sys/fs/cgroup/memory/memory.limit_in_bytes", kernel)
    }

    /// Bytes that may still be used before the node has none.
    static func availableMemory(total: Int64, kernel: LinuxKernel = LinuxKernel()) -> Int64 {
        let used = workingSet(kernel)
        guard let limit = memoryLimit(kernel), limit <= total, let used else {
            return memory("MemAvailable", (try? kernel.readText("/proc/meminfo")) ?? "")
        }
        return max(0, limit - used)
    }

    /// The node's memory but for what the kernel can give back at once.
    static func workingSet(_ kernel: LinuxKernel = LinuxKernel()) -> Int64? {
        for folder in ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"] {
            guard let usage = number(folder + "/memory.current", kernel) ?? number(folder + "/memory.usage_in_bytes", kernel) else {
                continue
            }
            let lines = ((try? kernel.readText(folder + "/memory.stat")) ?? "").split(separator: "\n")
            let idle = lines.first { $0.hasPrefix("inactive_file ") || $0.hasPrefix("total_inactive_file ") }
            return max(0, usage - (idle?.split(separator: " ").last.flatMap { Int64($0) } ?? 0))
        }
        return nil
    }

    /// Nanoseconds of processor time of everything in the node.
    static func processorNanoseconds(_ kernel: LinuxKernel = LinuxKernel()) -> Int64 {
        if let text = try? kernel.readText("/sys/fs/cgroup/cpu.stat"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("usage_usec ") }),
            let micro = line.split(separator: " ").last.flatMap({ Int64($0) })
        {
            return micro * 1000
        }
        return number("/sys/fs/cgroup/cpuacct/cpuacct.usage", kernel) ?? 0
    }

    func capacity(podLimit: Int) -> [String: Quantity] {
        [
            "cpu": milliCPU % 1000 == 0 ? Quantity(milliCPU / 1000) : Quantity(milli: milliCPU),
            "memory": Quantity((memoryBytes >> 10) << 10, format: .binary),
            "ephemeral-storage": Quantity((Int64(clamping: disk.totalBytes) >> 10) << 10, format: .binary),
            "pods": Quantity(Int64(podLimit)),
            "hugepages-1Gi": .zero, "hugepages-2Mi": .zero,
        ]
    }

    func allocatable(_ settings: KubeletSettings) -> [String: Quantity] {
        var result = capacity(podLimit: settings.podLimit)
        let reserved = settings.reservedMemory.flatMap(Quantity.init)?.value ?? 0
        result["memory"] = Quantity((max(0, memoryBytes - settings.evictionMemoryBytes - reserved) >> 10) << 10, format: .binary)
        if let cpu = settings.reservedCPU.flatMap(Quantity.init) { result["cpu"] = Quantity(milli: max(0, milliCPU - cpu.milliValue)) }
        result["ephemeral-storage"] = Quantity(Int64(Double(disk.totalBytes) * (1 - settings.evictionDiskPercent / 100)))
        return result
    }
}

extension [String: Quantity] {
    /// As a Node's status writes amounts: whole kibibytes, so that they compare and read alike.
    var document: JSON {
        var result: JSON = .emptyObject
        for (name, amount) in sorted(by: { $0.key < $1.key }) {
            let isBytes = name == "memory" || (name == "ephemeral-storage" && amount.format == .binary)
            result[name] = JSON(isBytes ? "\(amount.value >> 10)Ki" : amount.description)
        }
        return result
    }
}
