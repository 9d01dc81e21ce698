// Control groups of pods in the part of the tree that the node was given, versions 1 and 2:
//
//     ROOT/kubepods/[burstable|besteffort/]podUID/CONTAINER-ID
//
// Only the hierarchies of version 1 that limit or count something are used. Where there is none, containers run without.
internal import ClusterModel
internal import Containers
package import Essentials
internal import Kernel

/// What `resources` of a container or a pod come to.
package struct GroupLimits: Sendable, Hashable {
    package var cpuShares: Int64
    /// Microseconds in each 100 ms.
    package var cpuQuota: Int64?
    package var memoryBytes: Int64?

    /// From `requests` and `limits` as the API writes them.
    package init(_ resources: JSON) {
        func milli(_ kind: String, _ name: String) -> Int64? {
            guard let value = resources[kind]?[name] else { return nil }
            return Quantity(value.string ?? value.text)?.milliValue
        }
        let cpuLimit = milli("limits", "cpu")
        let request = milli("requests", "cpu") ?? cpuLimit ?? 0
        cpuShares = min(262_144, max(2, request * 1024 / 1000))
        cpuQuota = cpuLimit.flatMap { $0 > 0 ? max(1000, $0 * 100) : nil }
        memoryBytes = milli("limits", "memory").flatMap { $0 > 0 ? ($0 + 999) / 1000 : nil }
    }

    /// Files of a group and what goes into them, in order. `isRequired`: the container must not run without it.
    func settings(version: ControlGroupLayout.Version, controllers: [String]) -> [(file: String, value: String, isRequired: Bool)] {
        var settings: [(String, String, Bool)] = []
        switch version {
        case .none: break
        case .one:
            if controllers.contains("cpu") {
                settings.append(("cpu.shares", String(cpuShares), false))
                if let cpuQuota {
                    settings.append(("cpu.cfs_period_us", "100000", false))
                    settings.append(("cpu.cfs_quota_us", String(cpuQuota), false))
                }
            }
            if controllers.contains("memory"), let memoryBytes {
                settings.append(("memory.limit_in_bytes", String(memoryBytes), true))
                settings.append(("memory.memsw.limit_in_bytes", String(memoryBytes), false))
            }
        case .two:
            settings.append(("cpu.weight", String(1 + (cpuShares - 2) * 9999 / 262_142), false))
            if let cpuQuota { settings.append(("cpu.max", "\(cpuQuota) 100000", false)) }
            if let memoryBytes {
                settings.append(("memory.max", String(memoryBytes), true))
                settings.append(("memory.swap.max", "0", false))
                // One process too many ends all of the container, as with every kubelet on version 2.
                settings.append(("memory.oom.group", "1", false))
            }
        }
        return settings
    }
}

struct PodGroups: Sendable {
    let version: ControlGroupLayout.Version
    private let roots: [(controllers: [String], path: String)]
    private let top: String
    private let kernel: LinuxKernel

    init(top: String, layout: ControlGroupLayout, kernel: LinuxKernel) {
        self.top = top
        self.kernel = kernel
        let useful =
            layout.version == .two
            ? layout.roots : layout.roots.filter { !$0.controllers.allSatisfy { !["cpu", "cpuacct", "memory", "pids"].contains($0) } }
        roots = useful
        version = useful.isEmpty ? .none : layout.version
    }

    /// Makes the groups that all pods lie in. A tree that cannot be divided is an error.
    func prepare() throws(KernelProblem) {
        for root in roots {
            if version == .two { enable(root.path) }
            for group in [top, top + "/burstable", top + "/besteffort"] {
                try kernel.makeDirectory("\(root.path)/\(group)", mode: 0o755)
                if version == .two { enable("\(root.path)/\(group)") }
            }
        }
    }

    func podGroup(_ uid: String, qosClass: String) -> String {
        switch qosClass {
        case "Guaranteed": "\(top)/pod\(uid)"
        case "Burstable": "\(top)/burstable/pod\(uid)"
        default: "\(top)/besteffort/pod\(uid)"
        }
    }

    /// Pods that have a group, by uid.
    func pods() -> [String: String] {
        guard let root = counting else { return [:] }
        var found: [String: String] = [:]
        for parent in [top, top + "/burstable", top + "/besteffort"] {
            for name in (try? kernel.list("\(root)/\(parent)")) ?? []
            where name.hasPrefix("pod") && kernel.exists("\(root)/\(parent)/\(name)/cgroup.procs") {
                found[String(name.dropFirst(3))] = "\(parent)/\(name)"
            }
        }
        return found
    }

    func make(_ group: String, limits: GroupLimits, holdsGroups: Bool) throws(KernelProblem) {
        for root in roots {
            let path = "\(root.path)/\(group)"
            try kernel.makeDirectory(path, mode: 0o755)
            if version == .two, holdsGroups { enable(path) }
            for (file, value, isRequired) in limits.settings(version: version, controllers: root.controllers) {
                do throws(KernelProblem) { try kernel.control("\(path)/\(file)", value) } catch { if isRequired { throw error } }
            }
        }
    }

    /// Directories that a process must enter to be in the group.
    func directories(_ group: String) -> [String] { roots.map { "\($0.path)/\(group)" } }

    private var counting: String? { (roots.first { $0.controllers.contains("pids") } ?? roots.first)?.path }
    private func root(_ controller: String) -> String? {
        version == .two ? roots.first?.path : roots.first { $0.controllers.contains(controller) }?.path
    }

    /// Processes in the group or below it.
    func processes(_ group: String) -> [Int32] {
        guard let root = counting else { return [] }
        return processes(in: "\(root)/\(group)")
    }

    private func processes(in path: String) -> [Int32] {
        let text = (try? kernel.readText(path + "/cgroup.procs", limitBytes: 1 << 20)) ?? ""
        var found = text.split(separator: "\n").compactMap { Int32($0) }
        for child in subgroups(path) { found += processes(in: child) }
        return found
    }

    private func subgroups(_ path: String) -> [String] {
        ((try? kernel.list(path)) ?? []).filter { !$0.contains(".") || $0.hasPrefix("pod") }.map { "\(path)/\($0)" }
            .filter { kernel.exists($0 + "/cgroup.procs") }
    }

    /// Kills what is left in the group and removes it. `false` while something still dies.
    func remove(_ group: String) throws(KernelProblem) -> Bool {
        var isGone = true
        for root in roots where kernel.exists("\(root.path)/\(group)") {
            if try !removeTree("\(root.path)/\(group)") { isGone = false }
        }
        return isGone
    }

    private func removeTree(_ path: String) throws(KernelProblem) -> Bool {
        var isGone = true
        for child in subgroups(path) where try !removeTree(child) { isGone = false }
        guard isGone else { return false }
        do throws(KernelProblem) {
            try kernel.remove(path)
            return true
        } catch {
            guard error.code == Errno.busy else { throw error }
            for process in processes(in: path) { try? kernel.signal(process, 9) }
            return false
        }
    }

    /// Whether the kernel ended something in the group for want of memory.
    func sawOutOfMemory(_ group: String) -> Bool {
        guard let root = root("memory") else { return false }
        let path = "\(root)/\(group)/" + (version == .two ? "memory.events" : "memory.oom_control")
        return (field(path, "oom_kill") ?? 0) > 0
    }

    struct Usage: Sendable {
        var processorNanoseconds: Int64 = 0
        var memoryBytes: Int64 = 0
        var inactiveFileBytes: Int64 = 0
        var residentBytes: Int64 = 0
    }

    func usage(_ group: String) -> Usage? {
        guard let memory = root("memory"), kernel.exists("\(memory)/\(group)") else { return nil }
        var usage = Usage()
        let stat = "\(memory)/\(group)/memory.stat"
        if version == .two {
            usage.memoryBytes = number("\(memory)/\(group)/memory.current") ?? 0
            usage.inactiveFileBytes = field(stat, "inactive_file") ?? 0
            usage.residentBytes = field(stat, "anon") ?? 0
            usage.processorNanoseconds = (field("\(memory)/\(group)/cpu.stat", "usage_usec") ?? 0) * 1000
        } else {
            usage.memoryBytes = number("\(memory)/\(group)/memory.usage_in_bytes") ?? 0
            usage.inactiveFileBytes = field(stat, "total_inactive_file") ?? 0
            usage.residentBytes = field(stat, "total_rss") ?? 0
            if let cpu = root("cpuacct") { usage.processorNanoseconds = number("\(cpu)/\(group)/cpuacct.usage") ?? 0 }
        }
        return usage
    }

    private func number(_ path: String) -> Int64? {
        (try? kernel.readText(path, limitBytes: 64)).flatMap { Int64($0.split(separator: "\n").first ?? "") }
    }

    private func field(_ path: String, _ key: String) -> Int64? {
        for line in ((try? kernel.readText(path, limitBytes: 65536)) ?? "").split(separator: "\n") where line.hasPrefix(key + " ") {
            return Int64(line.dropFirst(key.utf8.count + 1))
        }
        return nil
    }

    private func enable(_ path: String) {
        guard let text = try? kernel.readText(path + "/cgroup.controllers", limitBytes: 4096) else { return }
        for controller in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) where ["cpu", "memory", "pids"].contains(controller) {
            try? kernel.control(path + "/cgroup.subtree_control", "+" + controller)
        }
    }

    /// Removes the groups that all pods lie in, for a state that is given up.
    func removeTop() {
        for root in roots {
            for group in [top + "/burstable", top + "/besteffort", top] { try? kernel.remove("\(root.path)/\(group)") }
        }
    }
}
