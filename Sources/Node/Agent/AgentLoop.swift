// The agent's one loop: descriptors, signals and timers, and who owns them.
internal import Essentials
internal import Kernel

/// Something with a descriptor in the loop.
protocol LoopSource: AnyObject {
    func ready(_ interest: PTYPoller.Interest)
}

/// How the agent was started.
package struct AgentOptions: Sendable {
    /// Where clients come from: an inherited listening socket, or the path of one to make.
    package enum Listener: Sendable { case descriptor(Int32), path(String) }

    package var listener: Listener
    /// PID 1 of its node; otherwise it only makes itself the parent of orphans below it.
    package var isInit: Bool
    /// Where the shell's start-up file is written.
    package var runDirectory: String
    /// Before the places of units; nil: no services, and no socket for `systemctl` in the run directory.
    package var systemRoot: String?
    /// What tells of the node's cluster, a line at a time.
    package var clusterView = ["/usr/lib/lectern/labkube", "cluster-view"]
    package init(listener: Listener, isInit: Bool = true, runDirectory: String = "/run/lectern", systemRoot: String? = nil) {
        self.listener = listener
        self.isInit = isInit
        self.runDirectory = runDirectory
        self.systemRoot = systemRoot
    }
}

package final class AgentLoop {
    private struct Timer {
        let id: UInt64
        let due: Double
        let action: () -> Void
    }

    let options: AgentOptions
    let started = monotonicSeconds()
    private let poller: PTYPoller
    private let signals: ReaperSignals
    private let listener: Int32
    /// Where the node's own programs ask about services.
    private var control: Int32?
    private(set) var services: Services?
    private lazy var orphans = Orphans(directory: options.runDirectory, loop: self)
    private var sources: [UInt64: any LoopSource] = [:]
    private var nextKey: UInt64 = 16
    private var timers: [Timer] = []
    private var isEnding = false
    private var isAccepting = true
    /// Who wants to know how a child ended.
    private var children: [Int32: (Int) -> Void] = [:]
    var terminals: [String: Terminal] = [:]
    var connections: [UInt64: Connection] = [:]
    var runningExecs = 0
    var runningFeeds = 0

    private static let signalKey: UInt64 = 1
    private static let listenerKey: UInt64 = 2
    private static let controlKey: UInt64 = 3

    package init(options: AgentOptions) throws {
        self.options = options
        ReaperProcesses.keepStandardStreams()
        switch options.listener {
        case .descriptor(let number):
            PTYFiles.setNonBlocking(number)
            PTYFiles.setCloseOnExec(number)
            listener = number
        case .path(let path): listener = try PTYFiles.listen(path: path)
        }
        poller = try PTYPoller()
        signals = try ReaperSignals()
        if !options.isInit { ReaperProcesses.adoptOrphans() }
        poller.add(signals.descriptor, key: Self.signalKey, .reading)
        poller.add(listener, key: Self.listenerKey, .reading)
    }

    /// Runs until SIGTERM, SIGINT or SIGHUP.
    package func run() {
        reap()
        if options.isInit { prepareNode() }
        if let root = options.systemRoot { openServices(root) }
        while !isEnding { turn() }
        end()
    }

    /// What PID 1 does once for its node.
    private func prepareNode() {
        ReaperProcesses.shareMounts()
        // The kubectl of old stands in front of the real one where the lab's workshop asks for it.
        if ReaperProcesses.environment["LECTERN_KUBERNETES"] == "classic", !ReaperFiles.exists("/usr/local/bin/kubectl") {
            _ = ReaperFiles.link("/usr/local/bin/kubectl", to: "/usr/lib/lectern/labkube")
        }
    }

    private func openServices(_ root: String) {
        services = Services(root: root, loop: self)
        ReaperFiles.makeDirectories(options.runDirectory)
        control = try? PTYFiles.listen(path: controlPath)
        if let control { poller.add(control, key: Self.controlKey, .reading) }
        services?.startEnabled()
    }

    private var controlPath: String { options.runDirectory + "/control.sock" }

    private func turn() {
        let wait = timers.lazy.map(\.due).min().map { min(max(0, $0 - monotonicSeconds()), 3600) }
        for event in poller.wait(seconds: wait) {
            switch event.key {
            case Self.signalKey: takeSignals()
            case Self.listenerKey: accept(listener)
            case Self.controlKey: if let control { accept(control) }
            default: sources[event.key]?.ready(event.interest)
            }
        }
        runTimers()
    }

    private func takeSignals() {
        while let signal = signals.next() {
            switch signal {
            case .child: reap()
            // `kill 1` within the node does nothing, as on any machine whose init does not want to end.
            case .end(let fromInside): isEnding = isEnding || !(options.isInit && fromInside)
            }
        }
    }

    private func reap() {
        while let exit = ReaperProcesses.reap() {
            orphans.lookFor(kubelet: exit.pid)
            if let ended = children.removeValue(forKey: exit.pid) { ended(exit.status) } else { orphans.ended(exit) }
        }
    }

    private func end() {
        for terminal in terminals.values { terminal.hangUp() }
        for connection in connections.values { connection.close() }
        if case .path(let path) = options.listener { ReaperFiles.remove(path) }
        services?.end()
        if control != nil { ReaperFiles.remove(controlPath) }
        // As PID 1 the kernel ends all others with it.
    }

    private func accept(_ listener: Int32) {
        while connections.count < AgentLimits.connections {
            guard let descriptor = PTYFiles.accept(listener) else { return }
            let connection = Connection(descriptor: descriptor, loop: self)
            connections[connection.key] = connection
        }
        // The rest waits in the socket's own queue until a place is free.
        setAccepting(false)
    }

    func forget(_ connection: Connection) {
        connections[connection.key] = nil
        if !isAccepting { setAccepting(true) }
    }

    private func setAccepting(_ accepts: Bool) {
        isAccepting = accepts
        poller.change(listener, key: Self.listenerKey, accepts ? .reading : [])
        if let control { poller.change(control, key: Self.controlKey, accepts ? .reading : []) }
    }

    // MARK: For those in the loop

    func newKey() -> UInt64 {
        nextKey += 1
        return nextKey
    }

    func watch(_ descriptor: Int32, key: UInt64, _ interest: PTYPoller.Interest, _ source: any LoopSource) {
        sources[key] = source
        poller.add(descriptor, key: key, interest)
    }

    func change(_ descriptor: Int32, key: UInt64, _ interest: PTYPoller.Interest) { poller.change(descriptor, key: key, interest) }

    func unwatch(_ descriptor: Int32, key: UInt64) {
        guard sources.removeValue(forKey: key) != nil else { return }
        poller.remove(descriptor)
    }

    @discardableResult
    func after(_ seconds: Double, _ action: @escaping () -> Void) -> UInt64 {
        let id = newKey()
        timers.append(Timer(id: id, due: monotonicSeconds() + seconds, action: action))
        return id
    }

    func cancel(timer id: UInt64) { timers.removeAll { $0.id == id } }

    private func runTimers() {
        guard !timers.isEmpty else { return }
        let now = monotonicSeconds()
        let due = timers.filter { $0.due <= now }
        timers.removeAll { $0.due <= now }
        for timer in due { timer.action() }
    }

    /// Starts a process and calls `ended` with its status once it was collected.
    func start(_ command: ReaperCommand, on streams: ReaperProcesses.Streams, ended: @escaping (Int) -> Void) throws(PTYProblem) -> Int32 {
        let pid = try ReaperProcesses.start(command, on: streams)
        children[pid] = ended
        return pid
    }
}
