// One terminal of one page: a WebSocket on one side, the agent's stream on the other, frames passed on as they are.
//
// Both sides are read only while the other takes what it is given: above `pageBufferBytes` waiting for the browser the
// agent's stream is not read (the agent then stops at its own window), above `agentBufferBytes` waiting for the agent
// the WebSocket is not read. Until the agent has answered nothing is read from the page.
internal import Essentials
internal import Logging
internal import Web

@WebLoop final class TerminalRelay: WebSocketHandler, RawConnectionHandler {
    let lab: String
    let node: String
    private let hub: TerminalHub
    private let opening: TerminalOpening
    private var socket: WebSocket?
    private var connection: RawConnection?
    private var stream = AgentStream(frameLimitBytes: TerminalLimits.agentFrameBytes)
    private var connecting: Task<Void, Never>?
    private var isAnswered = false
    private var isPagePaused = false
    private var isAgentPaused = false
    private var lastActivity = -TerminalLimits.activitySeconds

    init(hub: TerminalHub, lab: String, node: String, opening: TerminalOpening) {
        self.hub = hub
        self.lab = lab
        self.node = node
        self.opening = opening
    }

    // MARK: The page

    func opened(_ socket: WebSocket) {
        self.socket = socket
        hub.add(self)
        pausePage(true)
        connecting = Task { @WebLoop [weak self, hub, lab, node] in
            do {
                let descriptor = try await hub.nodes.openAgent(lab: lab, node: node)
                guard !Task.isCancelled, let self else { return }
                try self.reached(descriptor)
                try await Task.sleep(for: .seconds(TerminalLimits.answerSeconds))
                if !self.isAnswered { self.lost(.agentSilent) }
            } catch is CancellationError {
                return
            } catch {
                self?.lost(error as? TerminalProblem ?? .agentUnreachable(String(describing: error)))
            }
        }
    }

    private func reached(_ descriptor: OwnedDescriptor) throws(WebProblem) {
        let connection = try RawConnection.adopt(descriptor, handler: self)
        self.connection = connection
        connection.send(opening.header.bytes + [0x0A])
    }

    func received(_ socket: WebSocket, text: String) { end(TerminalClose.badFrame, "A terminal's frames are binary.", level: "error") }

    func received(_ socket: WebSocket, binary: [UInt8]) {
        guard let frame = PageFrame(binary) else {
            return end(TerminalClose.badFrame, "A frame was not understood.", level: "error")
        }
        switch frame {
        case .acknowledge: break
        case .resize: guard opening.canWrite else { return }
        case .input:
            guard opening.canWrite else { return }
            noteActivity()
        }
        guard let connection else { return }
        hub.bytesToNodes += binary.count
        connection.send(framed(binary))
        if connection.isOpen, connection.bufferedBytes > TerminalLimits.agentBufferBytes { pausePage(true) }
    }

    func drained(_ socket: WebSocket) { pauseAgent(false) }

    func closed(_ socket: WebSocket, code: UInt16?) {
        self.socket = nil
        finish()
    }

    private func noteActivity() {
        let now = monotonicSeconds()
        guard now - lastActivity >= TerminalLimits.activitySeconds else { return }
        lastActivity = now
        hub.activity?(lab)
    }

    // MARK: The agent

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        do throws(TerminalProblem) {
            for part in try stream.take(bytes) {
                switch part {
                case .answer(let answer): try answered(answer)
                case .frame(let frame):
                    guard let socket else { return }
                    // Only what the protocol knows is passed on, whatever the node says.
                    guard let type = frame.first, type <= 0x02, type == 0x01 ? frame.count <= TerminalLimits.eventBytes : frame.count >= 9
                    else {
                        throw .agentMisbehaved("a frame of type \(frame.first ?? 0)")
                    }
                    hub.bytesToPages += frame.count
                    socket.send(binary: frame)
                }
            }
        } catch {
            return lost(error)
        }
        if let socket, socket.bufferedBytes > TerminalLimits.pageBufferBytes { pauseAgent(true) }
    }

    private func answered(_ answer: JSON) throws(TerminalProblem) {
        isAnswered = true
        connecting?.cancel()
        connecting = nil
        guard answer["ok"] == true else {
            throw .refused(
                reason: String((answer["reason"]?.string ?? "Refused").prefix(64)),
                message: String((answer["message"]?.string ?? "The node refused.").prefix(200)))
        }
        pausePage(false)
    }

    func drained(_ connection: RawConnection) { pausePage(false) }

    func closed(_ connection: RawConnection, error: String?) {
        self.connection = nil
        lost(.agentUnreachable(error ?? "the agent ended the stream"))
    }

    // MARK: Ends

    private func lost(_ problem: TerminalProblem) {
        guard socket != nil else { return finish() }
        hub.log.info("terminal lost", metadata: ["lab": "\(lab)", "node": "\(node)", "terminal": "\(opening.name)", "cause": "\(problem)"])
        if case .refused(let reason, let message) = problem {
            end(TerminalClose.code(forReason: reason), message, level: "error")
        } else {
            end(TerminalClose.tryAgain, problem.message, level: "warning")
        }
    }

    /// Says why, and closes both sides.
    func end(_ code: UInt16, _ message: String, level: String) {
        socket?.send(binary: TerminalFrame.notice(level, message).bytes)
        socket?.close(code: code, reason: message.shortened(toBytes: 120))
        finish()
    }

    private func finish() {
        connecting?.cancel()
        connecting = nil
        connection?.close()
        connection = nil
        hub.remove(self)
    }

    private func pausePage(_ pause: Bool) {
        guard pause != isPagePaused else { return }
        isPagePaused = pause
        if pause { socket?.pauseReading() } else { socket?.resumeReading() }
    }

    private func pauseAgent(_ pause: Bool) {
        guard pause != isAgentPaused else { return }
        isAgentPaused = pause
        if pause { connection?.pauseReading() } else { connection?.resumeReading() }
    }
}

extension String {
    /// Cut between characters so that it fits a WebSocket's close frame.
    fileprivate func shortened(toBytes limit: Int) -> String {
        var text = self
        while text.utf8.count > limit { text.removeLast() }
        return text
    }
}
