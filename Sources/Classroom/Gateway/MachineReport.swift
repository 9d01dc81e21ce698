// What the machine and the labs use, as metrics and the admin page show it.

package struct LabUsage: Sendable, Equatable {
    package var memoryBytes: Int64
    package var cpuSeconds: Double
    package var diskBytes: Int64

    package init(memoryBytes: Int64, cpuSeconds: Double, diskBytes: Int64) {
        self.memoryBytes = memoryBytes
        self.cpuSeconds = cpuSeconds
        self.diskBytes = diskBytes
    }
}

package struct MachineLoad: Sendable {
    package var load: [Double]
    package var memoryTotalBytes: Int64
    package var memoryUsedBytes: Int64
    package var cpuCount: Int
    package var cpuPercent: Double
    package var diskTotalBytes: Int64
    package var diskFreeBytes: Int64
    package var serverMemoryBytes: Int64

    package init(
        load: [Double], memoryTotalBytes: Int64, memoryUsedBytes: Int64, cpuCount: Int, cpuPercent: Double, diskTotalBytes: Int64,
        diskFreeBytes: Int64, serverMemoryBytes: Int64
    ) {
        self.load = load
        self.memoryTotalBytes = memoryTotalBytes
        self.memoryUsedBytes = memoryUsedBytes
        self.cpuCount = cpuCount
        self.cpuPercent = cpuPercent
        self.diskTotalBytes = diskTotalBytes
        self.diskFreeBytes = diskFreeBytes
        self.serverMemoryBytes = serverMemoryBytes
    }
}

package protocol MachineReport: Sendable {
    func usageByNamespace() async -> [String: LabUsage]
    func load() async -> MachineLoad
}
