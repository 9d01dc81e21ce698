// A kernel for tests that fails on demand: at the N-th call once, or from the N-th call on as a killed process does.
package import Essentials
internal import Synchronization

/// Passes every call on to another kernel, except those it refuses.
package final class FaultyKernel: Kernel {
    package enum Fault: Sendable {
        case none
        /// The call of this number, counted from 1, fails; those before and after it are made.
        case once(call: Int, code: Int32)
        /// No call from this number on is made: what a process that was killed there would have left.
        case death(call: Int)
    }

    private let base: any Kernel
    private let state: Mutex<(fault: Fault, calls: Int, refused: String)>

    package init(_ base: any Kernel, _ fault: Fault = .none) {
        self.base = base
        state = Mutex((fault, 0, ""))
    }

    /// Starts to count anew.
    package func arm(_ fault: Fault) { state.withLock { $0 = (fault, 0, "") } }
    /// Calls since the last `arm`.
    package var calls: Int { state.withLock { $0.calls } }
    /// The call that was refused first.
    package var refused: String { state.withLock { $0.refused } }

    private func step(_ call: String, _ subject: String) throws(KernelProblem) {
        let code: Int32? = state.withLock { state in
            state.calls += 1
            switch state.fault {
            case .once(let number, let code) where number == state.calls:
                state.refused = "\(call)(\(subject))"
                return code
            case .death(let number) where number <= state.calls:
                if state.refused.isEmpty { state.refused = "\(call)(\(subject))" }
                return Errno.inputOutput
            default: return nil
            }
        }
        if let code { throw KernelProblem(call: call, subject: subject, code: code) }
    }

    package func makeDirectory(_ path: String, mode: UInt32, owner: FileOwner?) throws(KernelProblem) {
        try step("makeDirectory", path)
        return try base.makeDirectory(path, mode: mode, owner: owner)
    }
    package func write(_ path: String, _ bytes: [UInt8], mode: UInt32, owner: FileOwner?) throws(KernelProblem) {
        try step("write", path)
        return try base.write(path, bytes, mode: mode, owner: owner)
    }
    package func control(_ path: String, _ value: String) throws(KernelProblem) {
        try step("control", path)
        return try base.control(path, value)
    }
    package func read(_ path: String, limitBytes: Int) throws(KernelProblem) -> [UInt8] {
        try step("read", path)
        return try base.read(path, limitBytes: limitBytes)
    }
    package func list(_ path: String) throws(KernelProblem) -> [String] {
        try step("list", path)
        return try base.list(path)
    }
    package func exists(_ path: String) -> Bool { base.exists(path) }
    package func isDirectory(_ path: String) -> Bool { base.isDirectory(path) }
    package func rename(_ from: String, to: String) throws(KernelProblem) {
        try step("rename", from)
        return try base.rename(from, to: to)
    }
    package func remove(_ path: String) throws(KernelProblem) {
        try step("remove", path)
        return try base.remove(path)
    }
    package func removeTree(_ path: String) throws(KernelProblem) {
        try step("removeTree", path)
        return try base.removeTree(path)
    }
    package func changeOwner(_ path: String, _ owner: FileOwner) throws(KernelProblem) {
        try step("changeOwner", path)
        return try base.changeOwner(path, owner)
    }
    package func copySparse(_ from: String, to: String) throws(KernelProblem) {
        try step("copySparse", from)
        return try base.copySparse(from, to: to)
    }
    package func usage(ofFileSystem path: String) throws(KernelProblem) -> FileSystemUsage {
        try step("usage", path)
        return try base.usage(ofFileSystem: path)
    }
    package func allocatedBytes(_ path: String) throws(KernelProblem) -> UInt64 {
        try step("allocatedBytes", path)
        return try base.allocatedBytes(path)
    }
    package func makeFIFO(_ path: String) throws(KernelProblem) {
        try step("makeFIFO", path)
        return try base.makeFIFO(path)
    }
    package func openFIFO(_ path: String, blocking: Bool) throws(KernelProblem) -> OwnedDescriptor {
        try step("openFIFO", path)
        return try base.openFIFO(path, blocking: blocking)
    }
    package func makePipe() throws(KernelProblem) -> (OwnedDescriptor, OwnedDescriptor) {
        try step("makePipe", "")
        return try base.makePipe()
    }
    package func send(_ bytes: [UInt8], to descriptor: OwnedDescriptor) throws(KernelProblem) {
        try step("send", "")
        return try base.send(bytes, to: descriptor)
    }
    package func receive(from descriptor: OwnedDescriptor, limitBytes: Int) throws(KernelProblem) -> [UInt8]? {
        try step("receive", "")
        return try base.receive(from: descriptor, limitBytes: limitBytes)
    }
    package func openForAppending(_ path: String) throws(KernelProblem) -> OwnedDescriptor {
        try step("openForAppending", path)
        return try base.openForAppending(path)
    }
    package func mount(_ source: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem) {
        try step("mount", source)
        return try base.mount(source, at: target, type: type, options: options, data: data)
    }
    package func bindMapped(_ source: String, at target: String, userNamespace: String, readOnly: Bool) throws(KernelProblem) {
        try step("bindMapped", source)
        return try base.bindMapped(source, at: target, userNamespace: userNamespace, readOnly: readOnly)
    }
    package func bind(_ source: String, at target: String) throws(KernelProblem) {
        try step("bind", source)
        return try base.bind(source, at: target)
    }
    package func unmount(_ target: String) throws(KernelProblem) {
        try step("unmount", target)
        return try base.unmount(target)
    }
    package func mounts(below path: String) throws(KernelProblem) -> [String] {
        try step("mounts", path)
        return try base.mounts(below: path)
    }
    package func mountLoop(_ image: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem) {
        try step("mountLoop", image)
        return try base.mountLoop(image, at: target, type: type, options: options, data: data)
    }
    package func makeUserNamespace(pin: String, first: UInt32, count: UInt32) throws(KernelProblem) {
        try step("makeUserNamespace", pin)
        return try base.makeUserNamespace(pin: pin, first: first, count: count)
    }
    package func makeNetworkNamespace(pin: String, userNamespace: String?) throws(KernelProblem) {
        try step("makeNetworkNamespace", pin)
        return try base.makeNetworkNamespace(pin: pin, userNamespace: userNamespace)
    }
    package func configure(links: [LinkChange], in networkNamespace: String?) throws(KernelProblem) {
        try step("configure", networkNamespace ?? "host")
        return try base.configure(links: links, in: networkNamespace)
    }
    package func configure(sysctls: [(name: String, value: String)], in networkNamespace: String, optional: Bool) throws(KernelProblem) {
        try step("configure", networkNamespace)
        return try base.configure(sysctls: sysctls, in: networkNamespace, optional: optional)
    }
    package func connect(inNetworkNamespace path: String, address: String, port: UInt16) throws(KernelProblem) -> OwnedDescriptor {
        try step("connect", path)
        return try base.connect(inNetworkNamespace: path, address: address, port: port)
    }
    package func connect(unixSocket path: String) throws(KernelProblem) -> OwnedDescriptor {
        try step("connect", path)
        return try base.connect(unixSocket: path)
    }
    package func isConnected(_ descriptor: OwnedDescriptor) -> Bool { base.isConnected(descriptor) }
    package func listen(unixSocket path: String, backlog: Int32) throws(KernelProblem) -> OwnedDescriptor {
        try step("listen", path)
        return try base.listen(unixSocket: path, backlog: backlog)
    }
    package func spawn(_ command: Command) throws(KernelProblem) -> Int32 {
        try step("spawn", command.path)
        return try base.spawn(command)
    }
    // Waiting for one's own child does not fail, and a child that nobody waited for would only be left by the test itself.
    package func wait(_ process: Int32) throws(KernelProblem) -> ProcessExit { try base.wait(process) }
    package func processDescriptor(_ process: Int32) throws(KernelProblem) -> OwnedDescriptor {
        try step("processDescriptor", String(process))
        return try base.processDescriptor(process)
    }
    package func signal(_ process: Int32, _ signal: Int32) throws(KernelProblem) {
        try step("signal", String(process))
        return try base.signal(process, signal)
    }
    package func collectOrphans(named program: String) { base.collectOrphans(named: program) }
    package func collect(_ process: Int32) -> ProcessExit? { base.collect(process) }
}
