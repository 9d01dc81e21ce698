// What the Web tests share: a server with routes, a raw client on the loop, a WebSocket client, and curl.
import Essentials
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Web

/// A handler made of closures.
struct Routes: HTTPHandler {
    var answer: @Sendable (HTTPRequest, RequestBody) async -> HTTPResponse = { _, _ in .text("hello\n") }
    var socket: (@WebLoop @Sendable (HTTPRequest) -> WebSocketDecision)?

    func respond(to request: HTTPRequest, body: RequestBody) async -> HTTPResponse { await answer(request, body) }

    @WebLoop func webSocket(for request: HTTPRequest) -> WebSocketDecision {
        socket?(request) ?? .reject(.text("no socket here\n", status: 404))
    }
}

/// Runs `body` against a live server and stops it.
func withServer<Result>(
    _ routes: Routes = Routes(), configure: (inout WebServerConfiguration) -> Void = { _ in },
    _ body: (UInt16) async throws -> Result
) async throws -> Result {
    var configuration = WebServerConfiguration()
    configure(&configuration)
    let server = WebServer(configuration: configuration, handler: routes)
    let port = try await server.start()
    do {
        let result = try await body(port)
        await server.stop()
        return result
    } catch {
        await server.stop()
        throw error
    }
}

/// A raw TCP client on the loop: what comes is collected, and can be waited for.
@WebLoop
final class Wire: RawConnectionHandler {
    private(set) var bytes: [UInt8] = []
    private(set) var isEnded = false
    private(set) var error: String?
    private var connection: RawConnection!
    private var waiters: [(condition: @WebLoop (Wire) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
    var keepsWriteOpen = true

    static func connect(_ port: UInt16) async throws -> Wire {
        let wire = Wire()
        let socket = try await Dialer.connect(HTTPClientTarget("http://127.0.0.1:\(port)/")!, HTTPClientOptions())
        wire.connection = try RawConnection.adopt(socket, handler: wire)
        return wire
    }

    func send(_ text: String) { connection.send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) { connection.send(bytes) }
    func shutdownWrite() { connection.shutdownWrite() }
    func pauseReading() { connection.pauseReading() }
    func resumeReading() { connection.resumeReading() }
    func close() { connection.close() }
    var unsentBytes: Int { connection.bufferedBytes }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    func forget(_ count: Int) { bytes.removeFirst(count) }
    func forgetAll() { bytes = [] }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        self.bytes += bytes
        wake()
    }

    func ended(_ connection: RawConnection) {
        isEnded = true
        wake()
    }

    func closed(_ connection: RawConnection, error: String?) {
        isEnded = true
        self.error = error
        wake()
    }

    private func wake() {
        let ready = waiters.filter { $0.condition(self) || isEnded }
        waiters.removeAll { $0.condition(self) || isEnded }
        for waiter in ready { waiter.continuation.resume() }
    }

    func wait(until condition: @escaping @WebLoop (Wire) -> Bool) async {
        if condition(self) || isEnded { return }
        await withCheckedContinuation { waiters.append((condition, $0)) }
    }

    func waitForEnd() async { await wait { $0.isEnded } }

    /// Waits for `text` to appear; false when the connection ended without it.
    func wait(for text: String) async -> Bool {
        await wait { $0.text.contains(text) }
        return self.text.contains(text)
    }

    /// Sends one request and returns all until the end of the connection.
    static func exchange(_ port: UInt16, _ request: String) async throws -> String {
        let wire = try await connect(port)
        wire.send(request)
        await wire.waitForEnd()
        wire.close()
        return wire.text
    }
}

/// Client frames of RFC 6455.
enum Frames {
    static func make(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true) -> [UInt8] {
        var frame: [UInt8] = [(final ? 0x80 : 0) | opcode]
        let mask: UInt8 = masked ? 0x80 : 0
        switch payload.count {
        case ..<126: frame.append(mask | UInt8(payload.count))
        case ..<65536: frame += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default: frame += [mask | 127] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        }
        guard masked else { return frame + payload }
        let key: [UInt8] = [1, 2, 3, 4]
        frame += key
        for (index, byte) in payload.enumerated() { frame.append(byte ^ key[index & 3]) }
        return frame
    }

    /// Takes one whole frame off the front.
    static func take(_ bytes: inout [UInt8]) -> (opcode: UInt8, final: Bool, payload: [UInt8])? {
        guard bytes.count >= 2 else { return nil }
        var length = Int(bytes[1] & 0x7F)
        var start = 2
        if length == 126 {
            guard bytes.count >= 4 else { return nil }
            length = Int(bytes[2]) << 8 | Int(bytes[3])
            start = 4
        } else if length == 127 {
            guard bytes.count >= 10 else { return nil }
            length = bytes[2..<10].reduce(0) { $0 << 8 | Int($1) }
            start = 10
        }
        guard bytes.count >= start + length else { return nil }
        let frame = (bytes[0] & 0x0F, bytes[0] & 0x80 != 0, Array(bytes[start..<start + length]))
        bytes.removeFirst(start + length)
        return frame
    }
}

/// A WebSocket client over `Wire`.
@WebLoop
struct SocketClient {
    let wire: Wire

    static func open(_ port: UInt16, _ path: String = "/", protocols: String? = nil, headers: String = "") async throws -> SocketClient {
        let wire = try await Wire.connect(port)
        let offer = protocols.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? ""
        wire.send(
            "GET \(path) HTTP/1.1\r\nHost: test.example:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(offer)\(headers)\r\n")
        _ = await wire.wait(for: "\r\n\r\n")
        return SocketClient(wire: wire)
    }

    /// The status and fields of the answer; the rest stays.
    func head() -> String {
        guard let end = wire.text.range(of: "\r\n\r\n") else { return wire.text }
        let head = String(wire.text[..<end.lowerBound])
        wire.forget(head.utf8.count + 4)
        return head
    }

    func send(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true) { wire.send(Frames.make(opcode, payload, final: final)) }

    /// The next whole message (fragments joined), or control frame; nil at the end of the connection.
    func next() async -> (opcode: UInt8, payload: [UInt8])? {
        var joined: (UInt8, [UInt8])?
        while true {
            var bytes = wire.bytes
            while let frame = Frames.take(&bytes) {
                wire.forget(wire.bytes.count - bytes.count)
                if frame.opcode >= 8 { return (frame.opcode, frame.payload) }
                let message = (joined?.0 ?? frame.opcode, (joined?.1 ?? []) + frame.payload)
                if frame.final { return message }
                joined = message
            }
            if wire.isEnded { return nil }
            let seen = wire.bytes.count
            await wire.wait { $0.bytes.count > seen }
        }
    }
}

/// Collects what a WebSocket handler is told, and can echo.
@WebLoop
final class SocketLog: WebSocketHandler {
    var socket: WebSocket?
    var texts: [String] = []
    var binaries: [[UInt8]] = []
    var closeCodes: [UInt16?] = []
    var drains = 0
    var echoes = true
    var onOpen: (WebSocket) -> Void = { _ in }

    nonisolated init() {}

    func opened(_ socket: WebSocket) {
        self.socket = socket
        onOpen(socket)
    }
    func received(_ socket: WebSocket, text: String) {
        texts.append(text)
        if echoes { socket.send(text: text) }
    }
    func received(_ socket: WebSocket, binary: [UInt8]) {
        binaries.append(binary)
        if echoes { socket.send(binary: binary) }
    }
    func drained(_ socket: WebSocket) { drains += 1 }
    func closed(_ socket: WebSocket, code: UInt16?) { closeCodes.append(code) }
}

/// Waits until something holds; the suite's time limit ends a wait that never does.
func eventually(_ condition: @escaping () async -> Bool) async throws {
    while !(await condition()) { try await Task.sleep(nanoseconds: 2_000_000) }
}

/// Runs curl, which is nobody's idea of our own client, and returns what it printed.
func curl(_ arguments: String...) async throws -> (status: Int32, output: String) {
    try await run(["curl", "-sS", "--max-time", "20"] + arguments)
}

/// Runs a program to its end on a thread of its own, as waiting would block the pool.
func run(_ command: [String], in directory: String? = nil) async throws -> (status: Int32, output: String) {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            let output = NSTemporaryDirectory() + "lectern-run-\(Identifier.short())"
            defer { unlink(output) }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
            let whole = directory.map { ["sh", "-c", "cd \"$0\" && exec \"$@\"", $0] + command } ?? command
            let strings = whole.map { strdup($0) } + [nil]
            defer { strings.forEach { free($0) } }
            var child = pid_t()
            let code = posix_spawnp(&child, whole[0], &actions, nil, strings, environ)
            guard code == 0 else { return continuation.resume(throwing: POSIXError(POSIXErrorCode(rawValue: code) ?? .ENOENT)) }
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            let text = (try? Data(contentsOf: URL(fileURLWithPath: output))) ?? Data()
            continuation.resume(returning: ((status >> 8) & 0xFF, String(decoding: text, as: UTF8.self)))
        }
    }
}
