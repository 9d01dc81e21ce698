// Control groups of version 1 and 2: one parent per lab, one child per container, delegated to the node's own root.
//
//     ROOT/lectern-INSTANCE/NAMESPACE/POD.CONTAINER
//
// in each version 1 hierarchy, or once in the version 2 tree. Delegation gives away the directory and the files that
// move processes, never a file that sets the container's own limits.
package import Kernel
internal import Essentials

/// How this machine's control groups are mounted.
package struct ControlGroupLayout: Sendable, Equatable {
    package enum Version: Sendable { case none, one, two }
    package var version: Version
    /// Mount points of the version 1 hierarchies by controller (or `name=systemd`), or the version 2 one as "".
    package var roots: [(controllers: [String], path: String)]
    /// An empty version 2 tree beside version 1. crun refuses such a machine, so the platform's mount namespace hides it.
    package var spare: String?

    package static func == (left: Self, right: Self) -> Bool {
        left.version == right.version && left.roots.map(\.path) == right.roots.map(\.path)
            && left.roots.map(\.controllers) == right.roots.map(\.controllers)
    }

    /// Reads a mountinfo table. A machine with version 1 controllers counts as version 1, whatever else is there.
    package init(mountTable: String) {
        var first: [(controllers: [String], path: String)] = []
        var second: String?
        for line in mountTable.split(separator: "\n") {
            let halves = line.components(around: " - ")
            guard halves.count == 2 else { continue }
            let left = halves[0].split(separator: " ")
            let right = halves[1].split(separator: " ")
            guard left.count > 4, right.count > 2 else { continue }
            let point = String(left[4])
            if right[0] == "cgroup2", second == nil || point == "/sys/fs/cgroup" { second = point }
            if right[0] == "cgroup" {
                let known: Set = [
                    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio", "hugetlb",
                    "perf_event", "rdma", "misc",
                ]
                let controllers = right[2].split(separator: ",").map(String.init).filter { known.contains($0) || $0.hasPrefix("name=") }
                if !first.contains(where: { $0.controllers == controllers }) { first.append((controllers, point)) }
            }
        }
        if first.contains(where: { $0.controllers.contains("memory") || $0.controllers.contains("pids") }) {
            version = .one
            roots = first
            spare = second
        } else if let second {
            version = .two
            roots = [([], second)]
        } else {
            version = .none
            roots = []
        }
    }

    func root(_ controller: String) -> String? {
        if version == .two { return roots.first?.path }
        return roots.first { $0.controllers.contains(controller) }?.path
    }
}

/// What a group used and uses.
package struct ControlGroupUsage: Sendable, Equatable {
    package var memoryBytes: Int64 = 0
    package var processorNanoseconds: Int64 = 0
    package var processes: Int64 = 0
    package init() {}
}

package struct ControlGroups: Sendable {
    package let layout: ControlGroupLayout
    /// The name of the top group of this state directory.
    private let top: String
    private let kernel: any Kernel

    package init(instance: String, kernel: any Kernel) throws(ContainersProblem) {
        let table = try lifting { () throws(KernelProblem) in try kernel.readText("/proc/self/mountinfo", limitBytes: 64 << 20) }
        layout = ControlGroupLayout(mountTable: table)
        top = "lectern-" + instance
        self.kernel = kernel
    }

    /// Makes the top group. Done once at start, by a thread of the platform's mount namespace.
    package func prepare() throws(ContainersProblem) {
        try lifting { () throws(KernelProblem) in
            if let spare = layout.spare, kernel.exists(spare + "/cgroup.procs") {
                try kernel.mount("tmpfs", at: spare, type: "tmpfs", options: .readOnly, data: "size=4k,mode=755")
            }
            for root in layout.roots {
                let group = "\(root.path)/\(top)"
                if layout.version == .two { enableControllers(in: root.path) }
                try kernel.makeDirectory(group, mode: 0o755)
                if layout.version == .two { enableControllers(in: group) }
                guard root.controllers.contains("cpuset") else { continue }
                // A version 1 cpuset is empty at first and refuses processes; children copy their parent from here on.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    try kernel.control("\(group)/\(file)", try kernel.readText("\(root.path)/\(file)"))
                }
                try kernel.control("\(group)/cgroup.clone_children", "1")
            }
        }
    }

    /// Makes a lab's group.
    package func makeGroup(_ namespace: String) throws(ContainersProblem) {
        try lifting { () throws(KernelProblem) in
            for root in layout.roots {
                let group = "\(root.path)/\(top)/\(namespace)"
                try kernel.makeDirectory(group, mode: 0o755)
                if layout.version == .two { enableControllers(in: group) }
            }
        }
    }

    /// Makes a container's group with its limits, and lets `owner` divide it further.
    package func makeContainer(_ namespace: String, _ name: String, limits: ContainerLimits, owner: FileOwner) throws(ContainersProblem) {
        try lifting { () throws(KernelProblem) in
            for root in layout.roots {
                let group = "\(root.path)/\(top)/\(namespace)/\(name)"
                try kernel.makeDirectory(group, mode: 0o755)
                for (file, value) in Self.settings(limits, version: layout.version, controllers: root.controllers) {
                    do throws(KernelProblem) { try kernel.control("\(group)/\(file)", value) } catch {
                        // Swap accounting and version 2 controllers are missing on some machines; the first limit is not optional.
                        guard error.code == Errno.noEntry || error.code == Errno.access, file != "memory.limit_in_bytes", file != "pids.max"
                        else { throw error }
                    }
                }
                try kernel.changeOwner(group, owner)
                let delegated =
                    layout.version == .two ? ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] : ["cgroup.procs", "tasks"]
                for file in delegated { try kernel.changeOwner("\(group)/\(file)", owner) }
            }
        }
    }

    /// Moves a container's processes into a leaf of its group and lets the group divide its controllers. Version 2 allows
    /// controllers only in groups without processes of their own, so a node could run no containers otherwise.
    package func makeDivisible(_ namespace: String, _ name: String, owner: FileOwner) throws(ContainersProblem) {
        guard layout.version == .two, let root = layout.roots.first?.path else { return }
        let group = "\(root)/\(top)/\(namespace)/\(name)"
        let leaf = group + "/init"
        try lifting { () throws(KernelProblem) in
            try kernel.makeDirectory(leaf, mode: 0o755, owner: owner)
            for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] { try kernel.changeOwner("\(leaf)/\(file)", owner) }
            // A process that forks meanwhile leaves a child behind; another round takes it along.
            for _ in 0..<20 {
                let left = try kernel.readText(group + "/cgroup.procs").split(separator: "\n")
                if left.isEmpty { break }
                for process in left { try? kernel.control(leaf + "/cgroup.procs", String(process)) }
            }
            enableControllers(in: group)
        }
    }

    /// Containers of a pod that have a group here. Names of pods may hold dots, names of containers may not.
    package func containers(_ namespace: String, pod: String) -> [String] {
        guard let root = layout.root("pids") ?? layout.roots.first?.path else { return [] }
        return subgroups(of: "\(root)/\(top)/\(namespace)").compactMap { group in
            let name = group[(group.lastIndex(of: "/") ?? group.startIndex)...].dropFirst()
            guard let dot = name.lastIndex(of: "."), name[..<dot] == pod else { return nil }
            return String(name[name.index(after: dot)...])
        }
    }

    /// Directories a process must enter to be in the container's group.
    package func directories(_ namespace: String, _ name: String) -> [String] {
        layout.roots.map { "\($0.path)/\(top)/\(namespace)/\(name)" }
    }

    /// Processes in the container's group or below it.
    package func processes(_ namespace: String, _ name: String? = nil) -> [Int32] {
        guard let root = layout.root("pids") ?? layout.roots.first?.path else { return [] }
        return processes(in: "\(root)/\(top)/\(namespace)" + (name.map { "/" + $0 } ?? ""))
    }

    private func processes(in group: String) -> [Int32] {
        var found: [Int32] = []
        if let text = try? kernel.readText(group + "/cgroup.procs", limitBytes: 1 << 20) {
            found = text.split(separator: "\n").compactMap { Int32($0) }
        }
        for child in subgroups(of: group) { found += processes(in: child) }
        return found
    }

    private func subgroups(of group: String) -> [String] {
        ((try? kernel.list(group)) ?? []).map { "\(group)/\($0)" }.filter { kernel.exists($0 + "/cgroup.procs") }
    }

    /// Kills what is left in a lab's (or one container's) group and removes it. `false` while something still dies.
    package func remove(_ namespace: String, _ name: String? = nil) throws(ContainersProblem) -> Bool {
        try lifting { () throws(KernelProblem) in
            var gone = true
            for root in layout.roots {
                let group = "\(root.path)/\(top)/\(namespace)" + (name.map { "/" + $0 } ?? "")
                if !kernel.exists(group) { continue }
                if try !removeTree(group) { gone = false }
            }
            return gone
        }
    }

    private func removeTree(_ group: String) throws(KernelProblem) -> Bool {
        var gone = true
        for child in subgroups(of: group) where try !removeTree(child) { gone = false }
        guard gone else { return false }
        do throws(KernelProblem) {
            try kernel.remove(group)
            return true
        } catch {
            guard error.code == Errno.busy else { throw error }
            for process in processes(in: group) { try kernel.signal(process, 9) }
            return false
        }
    }

    /// Namespaces that have a group here.
    package func namespaces() -> [String] {
        guard let root = layout.root("pids") ?? layout.roots.first?.path else { return [] }
        let group = "\(root)/\(top)"
        return ((try? kernel.list(group)) ?? []).filter { kernel.exists("\(group)/\($0)/cgroup.procs") }
    }

    /// Removes the top group, for a state directory that is given up.
    package func removeTop() {
        for root in layout.roots { try? kernel.remove("\(root.path)/\(top)") }
    }

    package func usage(_ namespace: String, _ name: String) -> ControlGroupUsage {
        var usage = ControlGroupUsage()
        func number(_ controller: String, _ file: String) -> Int64? {
            guard let root = layout.root(controller),
                let text = try? kernel.readText("\(root)/\(top)/\(namespace)/\(name)/\(file)", limitBytes: 4096)
            else { return nil }
            return Int64(text.split(separator: "\n").first ?? "")
        }
        func field(_ controller: String, _ file: String, _ key: String) -> Int64? {
            guard let root = layout.root(controller),
                let text = try? kernel.readText("\(root)/\(top)/\(namespace)/\(name)/\(file)", limitBytes: 65536)
            else { return nil }
            for line in text.split(separator: "\n") where line.hasPrefix(key + " ") { return Int64(line.dropFirst(key.count + 1)) }
            return nil
        }
        // Pages of files that nobody uses now can be taken back at any time, so they do not count (as kubectl top sees it).
        if layout.version == .two {
            usage.memoryBytes = max(0, (number("memory", "memory.current") ?? 0) - (field("memory", "memory.stat", "inactive_file") ?? 0))
            usage.processorNanoseconds = (field("cpu", "cpu.stat", "usage_usec") ?? 0) * 1000
        } else {
            usage.memoryBytes = max(
                0, (number("memory", "memory.usage_in_bytes") ?? 0) - (field("memory", "memory.stat", "total_inactive_file") ?? 0))
            usage.processorNanoseconds = number("cpuacct", "cpuacct.usage") ?? 0
        }
        usage.processes = number("pids", "pids.current") ?? 0
        return usage
    }

    private func enableControllers(in group: String) {
        guard let text = try? kernel.readText(group + "/cgroup.controllers") else { return }
        for controller in text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        where ["cpu", "cpuset", "memory", "pids", "io"].contains(controller) {
            try? kernel.control(group + "/cgroup.subtree_control", "+" + controller)
        }
    }

    static func settings(_ limits: ContainerLimits, version: ControlGroupLayout.Version, controllers: [String]) -> [(String, String)] {
        let period: Int64 = 100_000
        let quota = limits.milliCPU.map { max(1000, $0 * period / 1000) }
        var settings: [(String, String)] = []
        switch version {
        case .none: break
        case .one:
            if controllers.contains("memory"), let bytes = limits.memoryBytes {
                settings.append(("memory.limit_in_bytes", String(bytes)))
                settings.append(("memory.memsw.limit_in_bytes", String(bytes)))
            }
            if controllers.contains("pids"), let count = limits.processes { settings.append(("pids.max", String(count))) }
            if controllers.contains("cpu"), let quota {
                settings.append(("cpu.cfs_period_us", String(period)))
                settings.append(("cpu.cfs_quota_us", String(quota)))
            }
        case .two:
            if let bytes = limits.memoryBytes {
                settings.append(("memory.max", String(bytes)))
                settings.append(("memory.swap.max", "0"))
            }
            if let count = limits.processes { settings.append(("pids.max", String(count))) }
            if let quota { settings.append(("cpu.max", "\(quota) \(period)")) }
        }
        return settings
    }
}

extension Substring {
    fileprivate func components(around separator: String) -> [Substring] {
        guard let range = firstRange(of: separator) else { return [self] }
        return [self[..<range.lowerBound], self[range.upperBound...]]
    }
}
