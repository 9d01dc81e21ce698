// What this machine is and has, read from /proc and /etc.
internal import Essentials
package import Kernel

package struct Machine: Sendable {
    package let processors: Int
    package let memoryKiB: Int64
    package let availableMemoryKiB: Int64
    package let disk: FileSystemUsage
    package let machineID: String
    package let bootID: String
    package let kernelVersion: String
    package let systemName: String

    package init(kernel: any Kernel, state: String) {
        func text(_ path: String) -> String { (try? kernel.readText(path)) ?? "" }
        func line(_ path: String) -> String { String(text(path).prefix { $0 != "\n" }) }
        let memory = text("/proc/meminfo")
        func kibibytes(_ key: String) -> Int64 {
            for line in memory.split(separator: "\n") where line.hasPrefix(key + ":") {
                return Int64(line.dropFirst(key.count + 1).filter(\.isNumber)) ?? 0
            }
            return 0
        }
        processors = max(1, text("/proc/cpuinfo").split(separator: "\n").count { $0.hasPrefix("processor") })
        memoryKiB = kibibytes("MemTotal")
        availableMemoryKiB = kibibytes("MemAvailable")
        disk = (try? kernel.usage(ofFileSystem: state)) ?? FileSystemUsage(totalBytes: 0, freeBytes: 0)
        machineID = line("/etc/machine-id")
        bootID = line("/proc/sys/kernel/random/boot_id")
        kernelVersion = line("/proc/sys/kernel/osrelease")
        let release = text("/etc/os-release").split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        systemName = release.map { $0.dropFirst(12).filter { $0 != "\"" } } ?? "Linux"
    }

    package var isShortOfMemory: Bool { availableMemoryKiB < memoryKiB / 50 }

    #if arch(arm64)
        package static let architecture = "arm64"
    #else
        package static let architecture = "amd64"
    #endif

    /// The host's name.
    package static func hostName(kernel: any Kernel) -> String {
        let name = ((try? kernel.readText("/proc/sys/kernel/hostname")) ?? "lectern").prefix { $0 != "\n" }
        return name.lowercased()
    }
}
