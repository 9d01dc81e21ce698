// The node's cluster as lines of JSON, for as long as one client looks: the feed's program and its output.
//
// While the client is slow the program's pipe is not read, so the program waits; nothing is kept here but one reading.
internal import Essentials
internal import Kernel

final class ClusterJob: Purpose, LoopSource {
    private static let readBytes = 64 << 10

    private let connection: Connection
    private unowned let loop: AgentLoop
    private let output: Int32
    private let key: UInt64
    private var pid: Int32?
    private var isReading = false
    private var isDone = false

    init(connection: Connection) throws {
        self.connection = connection
        loop = connection.loop
        guard loop.runningFeeds < AgentLimits.clusterFeeds else { throw AgentProblem.feedLimit }
        let null = try PTYFiles.openNull()
        let ends = try PTYFiles.pipe()
        defer { for end in [null, ends.writing] { PTYFiles.close(end) } }
        output = ends.reading
        key = loop.newKey()
        let command = ReaperCommand(arguments: loop.options.clusterView, environment: ShellIntegration.environment, workingDirectory: "/")
        do {
            pid = try loop.start(command, on: .separate(input: null, output: ends.writing, error: null)) { _ in self.pid = nil }
        } catch {
            PTYFiles.close(output)
            throw error
        }
        loop.runningFeeds += 1
        connection.answer(["ok": true])
        setReading(true)
    }

    /// A pipe that has hung up wakes the loop even when nobody wants to read it, so it is taken out meanwhile.
    private func setReading(_ reads: Bool) {
        guard reads != isReading else { return }
        isReading = reads
        if reads { loop.watch(output, key: key, .reading, self) } else { loop.unwatch(output, key: key) }
    }

    func ready(_ interest: PTYPoller.Interest) {
        switch PTYFiles.read(output, limitBytes: Self.readBytes) {
        case .nothing: return
        case .ended:
            end()
            connection.closeWhenSent()
        case .bytes(let bytes):
            connection.send(ExecJob.frame(0x00, bytes))
            if !isDone, connection.isBlocked { setReading(false) }
        }
    }

    func received(_ connection: Connection) { connection.incoming = [] }
    func drained(_ connection: Connection) { if !isDone { setReading(true) } }
    func closed(_ connection: Connection) { end() }

    private func end() {
        guard !isDone else { return }
        isDone = true
        setReading(false)
        PTYFiles.close(output)
        if let pid { ReaperProcesses.signal(group: pid, .kill) }
        loop.runningFeeds -= 1
    }
}
