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
    package init(listener: Listener, isInit: Bool = true, runDirectory: String = "/run/lectern") {
        self.listener = listener
        self.isInit = isInit
        self.runDirectory = runDirectory
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

    private static let signalKey: UInt64 = 1
    private static let listenerKey: UInt64 = 2

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
        while !isEnding { turn() }
        end()
    }

    private func turn() {
        let wait = timers.lazy.map(\.due).min().map { min(max(0, $0 - monotonicSeconds()), 3600) }
        for event in poller.wait(seconds: wait) {
            switch event.key {
            case Self.signalKey: takeSignals()
            case Self.listenerKey: accept()
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
        while let exit = ReaperProcesses.reap() { children.removeValue(forKey: exit.pid)?(exit.status) }
    }

    private func end() {
        for terminal in terminals.values { terminal.hangUp() }
        for connection in connections.values { connection.close() }
        if case .path(let path) = options.listener { ReaperFiles.remove(path) }
        // As PID 1 the kernel ends all others with it.
    }

    private func accept() {
        while connections.count < AgentLimits.connections {
            guard let descriptor = PTYFiles.accept(listener) else { return }
            let connection = Connection(descriptor: descriptor, loop: self)
            connections[connection.key] = connection
        }
        // The rest waits in the socket's own queue until a place is free.
        isAccepting = false
        poller.change(listener, key: Self.listenerKey, [])
    }

    func forget(_ connection: Connection) {
        connections[connection.key] = nil
        guard !isAccepting else { return }
        isAccepting = true
        poller.change(listener, key: Self.listenerKey, .reading)
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
