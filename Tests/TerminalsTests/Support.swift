// A server whose WebSockets are terminals, agents made of closures, and a WebSocket client on the loop.
import Essentials
import Foundation
import Glibc
import Synchronization
import Terminals
import Testing
import Web

/// Reaches agents that a closure plays; each gets the other end of its stream.
final class PlayedNodes: NodeReach {
    let play: @WebLoop @Sendable (PlayedAgent) -> Void
    let fails: Mutex<(any Error)?> = Mutex(nil)

    init(_ play: @escaping @WebLoop @Sendable (PlayedAgent) -> Void) { self.play = play }

    func openAgent(lab: String, node: String) async throws -> OwnedDescriptor {
        if let error = fails.withLock({ $0 }) { throw error }
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else { throw TerminalProblem.agentSilent }
        let theirs = OwnedDescriptor(ends[1])
        try await PlayedAgent.start(theirs, play)
        return OwnedDescriptor(ends[0])
    }

    func openPort(lab: String, node: String, port: UInt16) async throws -> OwnedDescriptor { throw TerminalProblem.agentSilent }
}

@WebLoop final class PlayedAgent: RawConnectionHandler {
    private var connection: RawConnection?
    private(set) var bytes: [UInt8] = []
    private(set) var isClosed = false
    var onBytes: ((PlayedAgent) -> Void)?
    private static var alive: [ObjectIdentifier: PlayedAgent] = [:]

    static func start(_ descriptor: OwnedDescriptor, _ play: @WebLoop (PlayedAgent) -> Void) throws {
        let agent = PlayedAgent()
        agent.connection = try RawConnection.adopt(descriptor, handler: agent)
        alive[ObjectIdentifier(agent)] = agent
        play(agent)
    }

    func send(_ bytes: [UInt8]) { connection?.send(bytes) }
    func send(_ text: String) { send(Array(text.utf8)) }
    func frame(_ frame: TerminalFrame) { send(framed(frame.bytes)) }
    var bufferedBytes: Int { connection?.bufferedBytes ?? 0 }
    func pauseReading() { connection?.pauseReading() }
    func close() {
        connection?.close()
        Self.alive[ObjectIdentifier(self)] = nil
    }

    /// The first line, once it is there.
    var header: JSON? { bytes.firstIndex(of: 0x0A).flatMap { try? JSON(parsing: Array(bytes[..<$0])) } }
    /// What came behind it.
    var body: [UInt8] { bytes.firstIndex(of: 0x0A).map { Array(bytes[($0 + 1)...]) } ?? [] }

    func received(_ connection: RawConnection, _ more: [UInt8]) {
        bytes += more
        onBytes?(self)
    }
    func closed(_ connection: RawConnection, error: String?) {
        isClosed = true
        Self.alive[ObjectIdentifier(self)] = nil
    }
}

struct TerminalServer: HTTPHandler {
    let hub: TerminalHub
    var canWrite = true

    func respond(to request: HTTPRequest, body: RequestBody) async -> HTTPResponse {
        HTTPResponse(status: 404, headers: HTTPHeaders([]), body: .none)
    }

    @WebLoop func webSocket(for request: HTTPRequest) -> WebSocketDecision {
        let name = request.path.split(separator: "/").last.map(String.init) ?? ""
        do {
            if name == "cluster" {
                let handler = try hub.clusterHandler(lab: "lab", node: "node1")
                return .accept(subprotocol: TerminalHub.clusterSubprotocol, handler)
            }
            let handler = try hub.handler(lab: "lab", node: "node1", name: name, query: request.query, canWrite: canWrite)
            return .accept(subprotocol: TerminalHub.subprotocol, handler)
        } catch {
            return .reject(HTTPResponse(status: 400, headers: HTTPHeaders([]), body: .none))
        }
    }

    static func with<Result>(_ nodes: any NodeReach, canWrite: Bool = true, _ body: (UInt16, TerminalHub) async throws -> Result)
        async throws -> Result
    {
        let hub = TerminalHub(nodes: nodes)
        let server = WebServer(configuration: WebServerConfiguration(), handler: TerminalServer(hub: hub, canWrite: canWrite))
        let port = try await server.start()
        do {
            let result = try await body(port, hub)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }
}

/// A page's WebSocket.
@WebLoop final class Page: RawConnectionHandler {
    private var connection: RawConnection?
    private var held: [UInt8] = []
    private var isUpgraded = false
    private(set) var status = ""
    private(set) var frames: [TerminalFrame] = []
    private(set) var texts: [String] = []
    private(set) var outputBytes = 0
    private(set) var closeCode: UInt16?
    private(set) var closeReason = ""
    private(set) var isEnded = false

    static func open(_ port: UInt16, _ target: String = "/1") throws -> Page {
        let page = Page()
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else { throw TerminalProblem.agentSilent }
        page.connection = try RawConnection.adopt(OwnedDescriptor(descriptor), handler: page)
        let head = [
            "GET \(target) HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol: \(target == "/cluster" ? TerminalHub.clusterSubprotocol : TerminalHub.subprotocol)", "", "",
        ]
        page.connection?.send(Array(head.joined(separator: "\r\n").utf8))
        return page
    }

    func send(_ payload: [UInt8], opcode: UInt8 = 2) {
        var bytes: [UInt8] = [0x80 | opcode]
        if payload.count < 126 {
            bytes.append(0x80 | UInt8(payload.count))
        } else if payload.count < 65536 {
            bytes += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        } else {
            bytes += [0xFF] + UInt64(payload.count).bigEndianBytes
        }
        connection?.send(bytes + [0, 0, 0, 0] + payload)
    }

    func send(_ frame: PageFrame) { send(frame.bytes) }
    func pauseReading() { connection?.pauseReading() }
    func resumeReading() { connection?.resumeReading() }
    var bufferedBytes: Int { connection?.bufferedBytes ?? 0 }
    func drop() {
        connection?.close()
        isEnded = true
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        held += bytes
        if !isUpgraded {
            guard let end = held.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
            status = String(decoding: held[..<end.lowerBound].prefix { $0 != 0x0D }, as: UTF8.self)
            held.removeFirst(end.upperBound)
            isUpgraded = true
        }
        while held.count >= 2 {
            var (length, start) = (Int(held[1] & 127), 2)
            if length == 126 {
                guard held.count >= 4 else { return }
                (length, start) = (Int(held[2]) << 8 | Int(held[3]), 4)
            } else if length == 127 {
                guard held.count >= 10 else { return }
                (length, start) = (Int(held[2..<10].bigEndian), 10)
            }
            guard held.count >= start + length else { return }
            let payload = Array(held[start..<start + length])
            let opcode = held[0] & 15
            held.removeFirst(start + length)
            if opcode == 8 {
                if payload.count >= 2 { closeCode = UInt16(payload[0]) << 8 | UInt16(payload[1]) }
                closeReason = String(decoding: payload.dropFirst(2), as: UTF8.self)
                isEnded = true
            } else if opcode == 1 {
                texts.append(String(decoding: payload, as: UTF8.self))
            } else if opcode == 2, let frame = TerminalFrame(payload) {
                if case .output(_, let bytes) = frame { outputBytes += bytes.count }
                frames.append(frame)
            }
        }
    }

    func closed(_ connection: RawConnection, error: String?) { isEnded = true }

    var notices: [String] {
        frames.compactMap { if case .event(let event) = $0, event["type"] == "notice" { event["message"]?.string } else { nil } }
    }
}

/// Waits until something is so, at most 20 seconds.
func eventually(_ what: Comment = "", sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async -> Bool) async throws {
    for _ in 0..<2000 {
        if await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record(what, sourceLocation: sourceLocation)
    throw CancellationError()
}
