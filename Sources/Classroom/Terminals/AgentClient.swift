// Asks the agent of a node: run a command, tell the status, move a file, close a terminal.
package import Essentials
internal import Web

/// What a command printed and how it ended.
package struct ExecResult: Sendable, Equatable {
    package var exitCode: Int
    package var stdout: [UInt8]
    package var stderr: [UInt8]
    package var timedOut: Bool
    /// Output beyond 1 MiB per stream was dropped.
    package var truncated: Bool

    package init(exitCode: Int, stdout: [UInt8] = [], stderr: [UInt8] = [], timedOut: Bool = false, truncated: Bool = false) {
        self.exitCode = exitCode
        self.stdout = stdout
        self.stderr = stderr
        self.timedOut = timedOut
        self.truncated = truncated
    }
}

package struct AgentClient: Sendable {
    private let nodes: any NodeReach

    package init(nodes: any NodeReach) { self.nodes = nodes }

    /// Runs a command as root and waits for its end; at the time-out its whole group is killed.
    package func exec(
        lab: String, node: String, command: [String], timeoutSeconds: Int = 30, environment: [String: String] = [:],
        workingDirectory: String = "/root"
    ) async throws -> ExecResult {
        let header: JSON = [
            "open": "exec", "command": JSON(command), "timeoutSeconds": JSON(timeoutSeconds), "environment": JSON(environment),
            "workingDirectory": JSON(workingDirectory),
        ]
        let bytes = try await ask(
            lab, node, header, limitBytes: TerminalLimits.execOutputBytes, seconds: timeoutSeconds + TerminalLimits.graceSeconds)
        return try Self.execResult(bytes)
    }

    /// Reads what an agent sends for `exec`.
    package static func execResult(_ bytes: [UInt8]) throws(TerminalProblem) -> ExecResult {
        var stream = AgentStream(frameLimitBytes: TerminalLimits.execOutputBytes)
        var result = ExecResult(exitCode: 0)
        var isComplete = false
        for part in try stream.take(bytes) {
            switch part {
            case .answer(let answer): try check(answer)
            case .frame(let frame):
                let body = frame.dropFirst()
                switch frame[0] {
                case 0x00: result.stdout += body
                case 0x01: result.stderr += body
                case 0x02:
                    guard let end = try? JSON(parsing: Array(body)), let code = end["exitCode"]?.int else {
                        throw .agentMisbehaved("the end of a command is not understood")
                    }
                    result.exitCode = code
                    result.timedOut = end["timedOut"]?.bool ?? false
                    result.truncated = end["truncated"]?.bool ?? false
                    isComplete = true
                default: throw .agentMisbehaved("a frame of type \(frame[0])")
                }
            }
        }
        guard isComplete else { throw .agentUnreachable("the stream ended before the command") }
        return result
    }

    /// Hostname, terminals, listening ports, memory (docs/protocols.md).
    package func status(lab: String, node: String) async throws -> JSON {
        try await line(ask(lab, node, ["open": "status"], limitBytes: TerminalLimits.statusBytes)).answer
    }

    /// Puts a whole file in place, or nothing.
    package func writeFile(lab: String, node: String, path: String, contents: [UInt8], mode: Int = 0o644, makeParents: Bool = true)
        async throws
    {
        guard contents.count <= TerminalLimits.fileBytes else {
            throw TerminalProblem.invalidRequest("A file may have \(TerminalLimits.fileBytes) bytes.")
        }
        let header: JSON = [
            "open": "write-file", "path": JSON(path), "mode": JSON(mode), "size": JSON(contents.count), "parents": JSON(makeParents),
        ]
        _ = try await line(ask(lab, node, header, body: contents, limitBytes: TerminalLimits.answerBytes))
    }

    package func readFile(lab: String, node: String, path: String, limitBytes: Int = TerminalLimits.fileBytes) async throws -> [UInt8] {
        let header: JSON = ["open": "read-file", "path": JSON(path), "limitBytes": JSON(limitBytes)]
        let (answer, rest) = try await line(ask(lab, node, header, limitBytes: limitBytes + TerminalLimits.answerBytes))
        guard answer["size"]?.int == rest.count else { throw TerminalProblem.agentUnreachable("the file was cut short") }
        return rest
    }

    /// Ends a terminal and its shell.
    package func closeTerminal(lab: String, node: String, name: String) async throws {
        _ = try await line(ask(lab, node, ["open": "close-terminal", "name": JSON(name)], limitBytes: TerminalLimits.answerBytes))
    }

    // MARK: One question

    private func ask(
        _ lab: String, _ node: String, _ header: JSON, body: [UInt8] = [], limitBytes: Int, seconds: Int = TerminalLimits.answerSeconds
    ) async throws -> [UInt8] {
        let descriptor: OwnedDescriptor
        do {
            descriptor = try await nodes.openAgent(lab: lab, node: node)
        } catch let problem as any Problem {
            throw problem
        } catch {
            throw TerminalProblem.agentUnreachable(String(describing: error))
        }
        return try await AgentQuestion.ask(descriptor, header.bytes + [0x0A] + body, limitBytes: limitBytes, seconds: seconds)
    }

    private func line(_ bytes: [UInt8]) throws(TerminalProblem) -> (answer: JSON, rest: [UInt8]) {
        guard let end = bytes.firstIndex(of: 0x0A), let answer = try? JSON(parsing: Array(bytes[..<end])) else {
            throw .agentMisbehaved("the answer is not understood")
        }
        try Self.check(answer)
        return (answer, Array(bytes[(end + 1)...]))
    }

    private static func check(_ answer: JSON) throws(TerminalProblem) {
        guard answer["ok"] == true else {
            throw .refused(
                reason: String((answer["reason"]?.string ?? "Refused").prefix(64)),
                message: String((answer["message"]?.string ?? "The node refused.").prefix(200)))
        }
    }
}

/// Sends once, and collects until the agent ends the stream.
@WebLoop private final class AgentQuestion: RawConnectionHandler {
    private var bytes: [UInt8] = []
    private let limitBytes: Int
    private var connection: RawConnection?
    private var continuation: CheckedContinuation<[UInt8], any Error>?
    private var timer: Task<Void, Never>?

    private init(limitBytes: Int) { self.limitBytes = limitBytes }

    static func ask(_ descriptor: OwnedDescriptor, _ message: [UInt8], limitBytes: Int, seconds: Int) async throws -> [UInt8] {
        let question = AgentQuestion(limitBytes: limitBytes)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                question.begin(descriptor, message, seconds, continuation)
            }
        } onCancel: {
            WebLoop.post { question.finish(.failure(CancellationError())) }
        }
    }

    private func begin(
        _ descriptor: OwnedDescriptor, _ message: [UInt8], _ seconds: Int, _ continuation: CheckedContinuation<[UInt8], any Error>
    ) {
        self.continuation = continuation
        if Task.isCancelled { return finish(.failure(CancellationError())) }
        do {
            let connection = try RawConnection.adopt(descriptor, handler: self)
            self.connection = connection
            timer = Task { @WebLoop [weak self] in
                try? await Task.sleep(for: .seconds(seconds))
                if !Task.isCancelled { self?.finish(.failure(TerminalProblem.agentSilent)) }
            }
            connection.send(message)
        } catch {
            finish(.failure(TerminalProblem.agentUnreachable(error.description)))
        }
    }

    func received(_ connection: RawConnection, _ more: [UInt8]) {
        bytes += more
        if bytes.count > limitBytes { finish(.failure(TerminalProblem.agentMisbehaved("it sent more than \(limitBytes) bytes"))) }
    }

    func closed(_ connection: RawConnection, error: String?) {
        if let error, bytes.isEmpty {
            finish(.failure(TerminalProblem.agentUnreachable(error)))
        } else {
            finish(.success(bytes))
        }
    }

    private func finish(_ result: Result<[UInt8], any Error>) {
        timer?.cancel()
        timer = nil
        connection?.close()
        connection = nil
        let continuation = self.continuation
        self.continuation = nil
        continuation?.resume(with: result)
    }
}
