// A kernel that only remembers: files, mounts, namespaces, links and processes in memory, for tests without root.
//
// It knows enough of Linux to be wrong in the same places: a directory with something in it or mounted on it is not
// removed, a pin is a mount, a link goes with its namespace, a killed process leaves its control groups.
package import Essentials
internal import Glibc
internal import Synchronization

package final class ScriptedKernel: Kernel {
    package struct World: Sendable, Equatable {
        package var directories: Set<String> = ["/", "/proc", "/sys"]
        package var files: [String: [UInt8]] = [:]
        /// Mount points in order of mounting.
        package var mounts: [String] = []
        /// Loop devices by mount point.
        package var loops: [String: String] = [:]
        /// Links by the pin of their network namespace ("" is the host's).
        package var links: [String: Set<String>] = [:]
        package var freeDiskBytes: UInt64 = 1 << 39
        /// Control groups by process.
        package var processes: [Int32: [String]] = [:]
    }

    private struct State: Sendable {
        var world = World()
        var nextProcess: Int32 = 1000
        var commands: [[String]] = []
        var exits: [Int32: Int32] = [:]
    }
    private let state: Mutex<State>
    /// What a started program does; returns its exit code.
    private let program: @Sendable (ScriptedKernel, Command) -> Int32

    package init(program: @escaping @Sendable (ScriptedKernel, Command) -> Int32 = { _, _ in 0 }) {
        self.program = program
        state = Mutex(State())
    }

    package var world: World { state.withLock { $0.world } }
    package var commands: [[String]] { state.withLock { $0.commands } }
    package func change(_ body: @Sendable (inout World) -> Void) { state.withLock { body(&$0.world) } }

    /// A process that runs until it is signalled.
    package func startProcess(controlGroups: [String]) -> Int32 {
        state.withLock { state in
            state.nextProcess += 1
            state.world.processes[state.nextProcess] = controlGroups
            return state.nextProcess
        }
    }

    private func with<Result: Sendable>(
        _ call: String, _ subject: String, _ body: (inout World) -> (Result?, Int32)
    ) throws(KernelProblem) -> Result {
        let (result, code) = state.withLock { state in body(&state.world) }
        guard let result else { throw KernelProblem(call: call, subject: subject, code: code) }
        return result
    }

    private static func parent(_ path: String) -> String {
        let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return parent.isEmpty ? "/" : String(parent)
    }
}

extension ScriptedKernel {
    package func makeDirectory(_ path: String, mode: UInt32, owner: FileOwner?) throws(KernelProblem) {
        let _: Bool = try with("mkdir", path) { world in
            guard world.files[path] == nil else { return (nil, EEXIST) }
            guard world.directories.contains(Self.parent(path)) else { return (nil, ENOENT) }
            world.directories.insert(path)
            // The kernel fills a new control group with its files.
            if path.hasPrefix("/sys/fs/cgroup") {
                for file in [
                    "cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "cgroup.clone_children", "cpuset.cpus", "cpuset.mems",
                    "tasks", "memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "cpu.cfs_period_us",
                ] {
                    world.files[path + "/" + file] = []
                }
            }
            return (true, 0)
        }
    }

    package func write(_ path: String, _ bytes: [UInt8], mode: UInt32, owner: FileOwner?) throws(KernelProblem) {
        let _: Bool = try with("open", path) { world in
            guard world.directories.contains(Self.parent(path)) else { return (nil, ENOENT) }
            world.files[path] = bytes
            return (true, 0)
        }
    }

    package func control(_ path: String, _ value: String) throws(KernelProblem) {
        let _: Bool = try with("open", path) { world in
            guard world.files[path] != nil || path.hasPrefix("/proc/sys/") else { return (nil, ENOENT) }
            world.files[path] = Array(value.utf8)
            return (true, 0)
        }
    }

    package func read(_ path: String, limitBytes: Int) throws(KernelProblem) -> [UInt8] {
        try with("open", path) { world in
            if path.hasSuffix("/cgroup.procs") {
                let group = Self.parent(path)
                guard world.directories.contains(group) else { return (nil, ENOENT) }
                return (Array(world.processes.filter { $0.value.contains(group) }.keys.sorted().map { "\($0)\n" }.joined().utf8), 0)
            }
            return (world.files[path].map { Array($0.prefix(limitBytes)) }, ENOENT)
        }
    }

    package func list(_ path: String) throws(KernelProblem) -> [String] {
        state.withLock { state in
            let prefix = path == "/" ? "/" : path + "/"
            let all = state.world.directories.union(state.world.files.keys)
            return all.filter { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains("/") && $0.count > prefix.count }
                .map { String($0.dropFirst(prefix.count)) }.sorted()
        }
    }

    package func exists(_ path: String) -> Bool { state.withLock { $0.world.files[path] != nil || $0.world.directories.contains(path) } }
    package func isDirectory(_ path: String) -> Bool { state.withLock { $0.world.directories.contains(path) } }

    package func rename(_ from: String, to: String) throws(KernelProblem) {
        let _: Bool = try with("rename", from) { world in
            guard let bytes = world.files.removeValue(forKey: from) else { return (nil, ENOENT) }
            world.files[to] = bytes
            return (true, 0)
        }
    }

    package func remove(_ path: String) throws(KernelProblem) {
        let _: Bool = try with("remove", path) { world in
            if world.mounts.contains(path) { return (nil, EBUSY) }
            if world.files.removeValue(forKey: path) != nil { return (true, 0) }
            guard world.directories.contains(path) else { return (true, 0) }
            let inside = world.directories.union(world.files.keys).filter { $0.hasPrefix(path + "/") }
            if path.hasPrefix("/sys/fs/cgroup") {
                if world.processes.values.contains(where: { $0.contains(path) }) { return (nil, EBUSY) }
                if world.directories.contains(where: { $0.hasPrefix(path + "/") }) { return (nil, EBUSY) }
                for file in inside { world.files[file] = nil }
            } else if !inside.isEmpty {
                return (nil, ENOTEMPTY)
            }
            world.directories.remove(path)
            return (true, 0)
        }
    }

    package func removeTree(_ path: String) throws(KernelProblem) {
        let _: Bool = try with("removeTree", path) { world in
            guard !world.mounts.contains(where: { $0 == path || $0.hasPrefix(path + "/") }) else { return (nil, EBUSY) }
            world.directories = world.directories.filter { $0 != path && !$0.hasPrefix(path + "/") }
            world.files = world.files.filter { $0.key != path && !$0.key.hasPrefix(path + "/") }
            return (true, 0)
        }
    }

    package func changeOwner(_ path: String, _ owner: FileOwner) throws(KernelProblem) {
        guard exists(path) else { throw KernelProblem(call: "chown", subject: path, code: ENOENT) }
    }

    package func copySparse(_ from: String, to: String) throws(KernelProblem) {
        let bytes = try read(from, limitBytes: .max)
        try write(to, bytes, mode: 0o600, owner: nil)
    }

    package func usage(ofFileSystem path: String) throws(KernelProblem) -> FileSystemUsage {
        FileSystemUsage(totalBytes: 1 << 40, freeBytes: world.freeDiskBytes)
    }
    package func allocatedBytes(_ path: String) throws(KernelProblem) -> UInt64 { UInt64(try read(path, limitBytes: .max).count) }
    package func makeFIFO(_ path: String) throws(KernelProblem) { try write(path, [], mode: 0o600, owner: nil) }
    package func openFIFO(_ path: String, blocking: Bool) throws(KernelProblem) -> OwnedDescriptor {
        guard exists(path) else { throw KernelProblem(call: "open", subject: path, code: ENOENT) }
        return OwnedDescriptor(-1)
    }
    package func makePipe() throws(KernelProblem) -> (OwnedDescriptor, OwnedDescriptor) { (OwnedDescriptor(-1), OwnedDescriptor(-1)) }
    package func send(_ bytes: [UInt8], to descriptor: OwnedDescriptor) throws(KernelProblem) {}
    package func receive(from descriptor: OwnedDescriptor, limitBytes: Int) throws(KernelProblem) -> [UInt8]? { nil }
    package func openForAppending(_ path: String) throws(KernelProblem) -> OwnedDescriptor { OwnedDescriptor(-1) }
}

extension ScriptedKernel {
    private func addMount(_ call: String, _ target: String) throws(KernelProblem) {
        let _: Bool = try with(call, target) { world in
            guard world.directories.contains(target) || world.files[target] != nil else { return (nil, ENOENT) }
            world.mounts.append(target)
            return (true, 0)
        }
    }

    package func mount(_ source: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem) {
        try addMount("mount", target)
    }
    package func bindMapped(_ source: String, at target: String, userNamespace: String, readOnly: Bool) throws(KernelProblem) {
        guard exists(source) else { throw KernelProblem(call: "open_tree", subject: source, code: ENOENT) }
        guard world.mounts.contains(userNamespace) else { throw KernelProblem(call: "mount_setattr", subject: userNamespace, code: EINVAL) }
        try addMount("move_mount", target)
    }
    package func bind(_ source: String, at target: String) throws(KernelProblem) { try addMount("bind", target) }
    package func unmount(_ target: String) throws(KernelProblem) {
        state.withLock { state in
            guard let index = state.world.mounts.lastIndex(of: target) else { return }
            state.world.mounts.remove(at: index)
            state.world.loops[target] = nil
            state.world.links[target] = nil
        }
    }
    package func mounts(below path: String) throws(KernelProblem) -> [String] {
        world.mounts.filter { $0 == path || $0.hasPrefix(path + "/") }
    }
    package func mountLoop(_ image: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem) {
        guard exists(image) else { throw KernelProblem(call: "open", subject: image, code: ENOENT) }
        try addMount("mount", target)
        state.withLock { $0.world.loops[target] = image }
    }

    package func makeUserNamespace(pin: String, first: UInt32, count: UInt32) throws(KernelProblem) {
        try write(pin, [], mode: 0o600, owner: nil)
        try addMount("bind", pin)
    }
    package func makeNetworkNamespace(pin: String, userNamespace: String?) throws(KernelProblem) {
        try write(pin, [], mode: 0o600, owner: nil)
        try addMount("bind", pin)
        state.withLock { $0.world.links[pin] = ["lo"] }
    }
    package func configure(links: [LinkChange], in networkNamespace: String?) throws(KernelProblem) {
        let namespace = networkNamespace ?? ""
        if let networkNamespace, !world.mounts.contains(networkNamespace) {
            throw KernelProblem(call: "setns", subject: networkNamespace, code: EINVAL)
        }
        for change in links {
            let _: Bool = try with("netlink", namespace) { world in
                switch change {
                case .addBridge(let name, _):
                    return world.links[namespace, default: []].insert(name).inserted ? (true, 0) : (nil, EEXIST)
                case .addPair(let name, let peer, let peerNamespace, _):
                    world.links[peerNamespace ?? namespace, default: []].insert(peer)
                    return world.links[namespace, default: []].insert(name).inserted ? (true, 0) : (nil, EEXIST)
                case .delete(let name):
                    world.links[namespace]?.remove(name)
                    return (true, 0)
                case .setUp(let name), .attach(let name, _), .lockPort(let name, _), .addAddress(let name, _, _),
                    .addNeighbour(let name, _, _):
                    return world.links[namespace]?.contains(name) == true ? (true, 0) : (nil, ENODEV)
                default: return (true, 0)
                }
            }
        }
    }
    package func configure(sysctls: [(name: String, value: String)], in networkNamespace: String, optional: Bool) throws(KernelProblem) {}

    package func connect(inNetworkNamespace path: String, address: String, port: UInt16) throws(KernelProblem) -> OwnedDescriptor {
        throw KernelProblem(call: "connect", subject: address, code: ECONNREFUSED)
    }
    package func connect(unixSocket path: String) throws(KernelProblem) -> OwnedDescriptor {
        throw KernelProblem(call: "connect", subject: path, code: ECONNREFUSED)
    }
    package func isConnected(_ descriptor: OwnedDescriptor) -> Bool { false }
    package func listen(unixSocket path: String, backlog: Int32) throws(KernelProblem) -> OwnedDescriptor {
        try write(path, [], mode: 0o600, owner: nil)
        return OwnedDescriptor(-1)
    }

    package func spawn(_ command: Command) throws(KernelProblem) -> Int32 {
        for group in command.controlGroups where !exists(group + "/cgroup.procs") {
            throw KernelProblem(call: "open", subject: group, code: ENOENT)
        }
        state.withLock { $0.commands.append(command.arguments) }
        let code = program(self, command)
        return state.withLock { state in
            state.nextProcess += 1
            state.exits[state.nextProcess] = code
            return state.nextProcess
        }
    }
    package func wait(_ process: Int32) throws(KernelProblem) -> ProcessExit {
        guard let code = state.withLock({ $0.exits.removeValue(forKey: process) }) else {
            throw KernelProblem(call: "waitpid", subject: String(process), code: ECHILD)
        }
        return .exited(code)
    }
    package func processDescriptor(_ process: Int32) throws(KernelProblem) -> OwnedDescriptor {
        guard world.processes[process] != nil else { throw KernelProblem(call: "pidfd_open", subject: String(process), code: ESRCH) }
        return OwnedDescriptor(-1)
    }
    package func signal(_ process: Int32, _ signal: Int32) throws(KernelProblem) {
        if signal == 9 { state.withLock { _ = $0.world.processes.removeValue(forKey: process) } }
    }
    package func collectOrphans(named program: String) {}
    package func collect(_ process: Int32) -> ProcessExit? { world.processes[process] == nil ? .signalled(9) : nil }
}
