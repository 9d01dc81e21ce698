// One command run for a client: its output as frames, its end as JSON; its whole group ends at the time-out.
internal import Essentials
internal import Kernel

final class ExecJob: Purpose {
    /// After the command itself has ended, children that hold its output are waited for only this long.
    private static let lingerSeconds = 0.25

    private let connection: Connection
    private unowned let loop: AgentLoop
    private var pid: Int32 = -1
    private var status: Int?
    private var timedOut = false
    private var streams: [ExecStream] = []
    private var timeout: UInt64?
    private var isDone = false

    init(_ request: AgentRequest.ExecRequest, connection: Connection) throws {
        self.connection = connection
        loop = connection.loop
        guard loop.runningExecs < AgentLimits.execs else { throw AgentProblem.execLimit }
        let null = try PTYFiles.openNull()
        let output = try PTYFiles.pipe()
        let error = try PTYFiles.pipe()
        defer { for end in [null, output.writing, error.writing] { PTYFiles.close(end) } }
        let environment = ShellIntegration.environment.merging(request.environment) { $1 }
        let command = ReaperCommand(arguments: request.command, environment: environment, workingDirectory: request.workingDirectory)
        streams = [
            ExecStream(descriptor: output.reading, type: 0x00, job: self), ExecStream(descriptor: error.reading, type: 0x01, job: self),
        ]
        loop.runningExecs += 1
        connection.answer(["ok": true])
        // The job lives as long as its command, whatever becomes of the connection.
        pid = try loop.start(command, on: .separate(input: null, output: output.writing, error: error.writing)) { self.ended($0) }
        timeout = loop.after(Double(request.timeoutSeconds)) { [weak self] in
            self?.timedOut = true
            self?.kill()
        }
    }

    private func kill() { if status == nil { ReaperProcesses.signal(group: pid, .kill) } }

    fileprivate func output(_ bytes: [UInt8], type: UInt8) { if !isDone { connection.send(Self.frame(type, bytes)) } }

    fileprivate func streamEnded() {
        if status != nil, streams.allSatisfy(\.hasEnded) { finish() }
    }

    private func ended(_ status: Int) {
        self.status = status
        if streams.allSatisfy(\.hasEnded) { return finish() }
        loop.after(timedOut ? 0 : Self.lingerSeconds) { self.finish() }
    }

    private func finish() {
        guard !isDone else { return }
        for stream in streams { stream.drain() }
        let truncated = streams.contains(where: \.isTruncated)
        if connection.isOpen {
            let result: JSON = ["exitCode": JSON(status ?? 0), "timedOut": JSON(timedOut), "truncated": JSON(truncated)]
            connection.send(Self.frame(0x02, result.bytes))
        }
        release()
        connection.closeWhenSent()
    }

    private func release() {
        guard !isDone else { return }
        isDone = true
        for stream in streams { stream.close() }
        streams = []
        if let timeout { loop.cancel(timer: timeout) }
        loop.runningExecs -= 1
    }

    func received(_ connection: Connection) { connection.incoming = [] }
    func drained(_ connection: Connection) {}
    func closed(_ connection: Connection) {
        kill()
        release()
    }

    static func frame(_ type: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        let count = bytes.count + 1
        return (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + [type] + bytes
    }
}

/// Standard output or standard error of a command.
private final class ExecStream: LoopSource {
    private let descriptor: Int32
    private let type: UInt8
    private unowned let job: ExecJob
    private let loop: AgentLoop
    private let key: UInt64
    private var sent = 0
    private(set) var hasEnded = false
    private(set) var isTruncated = false

    init(descriptor: Int32, type: UInt8, job: ExecJob) {
        self.descriptor = descriptor
        self.type = type
        self.job = job
        loop = job.agent
        key = loop.newKey()
        loop.watch(descriptor, key: key, .reading, self)
    }

    func ready(_ interest: PTYPoller.Interest) { if read() == .ended { job.streamEnded() } }

    @discardableResult
    private func read() -> PTYFiles.Reading {
        guard !hasEnded else { return .ended }
        let reading = PTYFiles.read(descriptor, limitBytes: 64 << 10)
        switch reading {
        case .nothing: break
        case .ended: close()
        case .bytes(let bytes):
            let kept = Array(bytes.prefix(AgentLimits.execOutputBytes - sent))
            isTruncated = isTruncated || kept.count < bytes.count
            sent += kept.count
            if !kept.isEmpty { job.output(kept, type: type) }
        }
        return reading
    }

    /// Takes what is there now.
    func drain() {
        for _ in 0..<32 { guard case .bytes = read() else { return } }
    }

    func close() {
        guard !hasEnded else { return }
        hasEnded = true
        loop.unwatch(descriptor, key: key)
        PTYFiles.close(descriptor)
    }
}

extension ExecJob {
    fileprivate var agent: AgentLoop { loop }
}
