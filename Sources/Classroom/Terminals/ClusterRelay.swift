// A lab's cluster as it lives, for one page: lines of JSON from the agent of its first node, each a text message.
//
// It is open only while the page looks. Above `pageBufferBytes` waiting for the browser the agent is not read, and then
// the feed's program in the node waits too. The page is told the node first: `{"node":"node1","state":"opening"}`.
internal import Essentials
package import Web

extension TerminalHub {
    package nonisolated static let clusterSubprotocol = "lectern.cluster.v1"

    /// The relay for a WebSocket that may see this lab.
    package func clusterHandler(lab: String, node: String) throws(TerminalProblem) -> any WebSocketHandler {
        guard clusterRelays.count < TerminalLimits.clusterRelays else { throw .tooManyTerminals }
        return ClusterRelay(hub: self, lab: lab, node: node)
    }
}

@WebLoop final class ClusterRelay: WebSocketHandler, RawConnectionHandler {
    let lab: String
    let node: String
    private let hub: TerminalHub
    private var socket: WebSocket?
    private var connection: RawConnection?
    private var stream = AgentStream(frameLimitBytes: TerminalLimits.agentFrameBytes)
    /// The beginning of a line whose end has not come.
    private var line: [UInt8] = []
    private var connecting: Task<Void, Never>?
    private var isAnswered = false
    private var isPaused = false

    init(hub: TerminalHub, lab: String, node: String) {
        self.hub = hub
        self.lab = lab
        self.node = node
    }

    func opened(_ socket: WebSocket) {
        self.socket = socket
        hub.clusterRelays[ObjectIdentifier(self)] = self
        socket.send(text: (["node": JSON(node), "state": "opening"] as JSON).text)
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
        connection.send((["open": "cluster"] as JSON).bytes + [0x0A])
    }

    func received(_ socket: WebSocket, text: String) { end(TerminalClose.badFrame, "A page has nothing to say here.") }
    func received(_ socket: WebSocket, binary: [UInt8]) { end(TerminalClose.badFrame, "A page has nothing to say here.") }
    func drained(_ socket: WebSocket) { pause(false) }

    func closed(_ socket: WebSocket, code: UInt16?) {
        self.socket = nil
        finish()
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        do throws(TerminalProblem) {
            for part in try stream.take(bytes) {
                switch part {
                case .answer(let answer): try answered(answer)
                case .frame(let frame):
                    guard frame.first == 0x00 else { throw .agentMisbehaved("a frame of type \(frame.first ?? 0)") }
                    try take(frame.dropFirst())
                }
            }
        } catch {
            return lost(error)
        }
        if let socket, socket.bufferedBytes > TerminalLimits.pageBufferBytes { pause(true) }
    }

    private func answered(_ answer: JSON) throws(TerminalProblem) {
        isAnswered = true
        connecting?.cancel()
        connecting = nil
        guard answer["ok"] == true else {
            throw .refused(
                reason: String((answer["reason"]?.string ?? "Refused").prefix(64)),
                message: String((answer["message"]?.string ?? "The node refused.").prefix(100)))
        }
    }

    private func take(_ bytes: ArraySlice<UInt8>) throws(TerminalProblem) {
        var rest = bytes
        while let end = rest.firstIndex(of: 0x0A) {
            socket?.send(text: String(decoding: line + rest[rest.startIndex..<end], as: UTF8.self))
            line = []
            rest = rest[(end + 1)...]
        }
        line += rest
        guard line.count <= TerminalLimits.clusterLineBytes else { throw .agentMisbehaved("a line of \(line.count) bytes") }
    }

    func closed(_ connection: RawConnection, error: String?) {
        self.connection = nil
        lost(.agentUnreachable(error ?? "the agent ended the stream"))
    }

    private func lost(_ problem: TerminalProblem) {
        if case .refused(_, let message) = problem {
            end(TerminalClose.limit, message)
        } else {
            end(TerminalClose.tryAgain, problem.message)
        }
    }

    /// Closes both sides; `message` must fit a close frame.
    func end(_ code: UInt16, _ message: String) {
        socket?.close(code: code, reason: String(message.prefix(60)))
        finish()
    }

    private func finish() {
        connecting?.cancel()
        connecting = nil
        connection?.close()
        connection = nil
        line = []
        hub.clusterRelays[ObjectIdentifier(self)] = nil
    }

    private func pause(_ pause: Bool) {
        guard pause != isPaused else { return }
        isPaused = pause
        if pause { connection?.pauseReading() } else { connection?.resumeReading() }
    }
}
