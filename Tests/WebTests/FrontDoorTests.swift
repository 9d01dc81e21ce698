// The front door on live sockets: who is served, who is spliced, and what passes through a splice.
import Essentials
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Web

/// Sends hosts that begin with `node` to a port, everything else to the server.
@WebLoop
final class Door: FrontDoorRouting {
    let opener: any SpliceOpener
    nonisolated init(_ opener: any SpliceOpener) { self.opener = opener }
    func route(host: String, head: PeekedHead) -> FrontDoorRoute { host.hasPrefix("node") ? .splice(opener) : .serve }
}

struct Opener: SpliceOpener {
    var answer: @Sendable (HTTPRequest) async -> SpliceOpening
    func open(_ request: HTTPRequest) async -> SpliceOpening { await answer(request) }

    /// Always the same port of this machine.
    static func to(_ port: UInt16, _ options: SpliceOptions = SpliceOptions()) -> Opener {
        Opener { _ in
            let target = HTTPClientTarget("http://127.0.0.1:\(port)/")!
            guard let socket = try? await Dialer.connect(target, HTTPClientOptions()) else { return .respond(.text("no", status: 502)) }
            return .connected(socket, options)
        }
    }
}

/// A node's program: accepts on the loop and hands every connection to a closure's handler.
@WebLoop
final class Node: PollSource {
    private let listener: OwnedDescriptor
    nonisolated let port: UInt16
    private var token: UInt64 = 0
    private let makeHandler: () -> any RawConnectionHandler
    private(set) var connections: [RawConnection] = []

    init(_ makeHandler: @escaping () -> any RawConnectionHandler) throws {
        self.makeHandler = makeHandler
        (listener, port) = try Listening.open("127.0.0.1", 0, backlog: 128)
        token = LoopEngine.shared.poller.add(listener.number, Poller.readable, self)
    }

    func ready(_ events: UInt32) {
        let descriptor = accept(listener.number, nil, nil)
        guard descriptor >= 0, let connection = try? RawConnection.adopt(OwnedDescriptor(descriptor), handler: makeHandler()) else {
            return
        }
        connections.append(connection)
    }

    func stop() {
        LoopEngine.shared.poller.remove(listener.number, token: token)
        listener.close()
        for connection in connections { connection.close() }
    }
}

/// A node program that keeps what it gets and says what it is told to.
@WebLoop
final class NodeLog: RawConnectionHandler {
    var received: [UInt8] = []
    var hasEnded = false
    var connection: RawConnection?
    var echoes = false
    var greeting = ""
    nonisolated init() {}
    var text: String { String(decoding: received, as: UTF8.self) }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        if self.connection == nil, !greeting.isEmpty { connection.send(Array(greeting.utf8)) }
        self.connection = connection
        received += bytes
        if echoes { connection.send(bytes) }
    }
    func ended(_ connection: RawConnection) { hasEnded = true }
}

@Suite(.timeLimit(.minutes(1))) struct FrontDoorTests {
    private func withNode(_ log: NodeLog, _ body: (UInt16) async throws -> Void) async throws {
        let node = try await Node { log }
        do {
            try await body(node.port)
            await node.stop()
        } catch {
            await node.stop()
            throw error
        }
    }

    @Test func servesAndSplicesOnOnePort() async throws {
        try await withServer(Routes(answer: { _, _ in .text("from the node") })) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let own = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: lectern.localhost\r\nConnection: close\r\n\r\n")
                #expect(own.hasSuffix("hello\n"))
                let spliced = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: Node1.localhost:8080\r\nConnection: close\r\n\r\n")
                #expect(spliced.hasSuffix("from the node"))
            }
        }
    }

    @Test func keepsASpliceForAllRequestsOfItsConnection() async throws {
        try await withServer(Routes(answer: { request, _ in .text("[\(request.path)]") })) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("GET /1 HTTP/1.1\r\nHost: node\r\n\r\nGET /2 HTTP/1.1\r\nHost: other\r\n\r\n")
                #expect(await wire.wait(for: "[/2]"))
                await wire.send("GET /3 HTTP/1.1\r\nHost: lectern\r\n\r\n")
                #expect(await wire.wait(for: "[/3]"))
                await wire.close()
            }
        }
    }

    @Test func takesTheCapabilityOutOfTheFirstHead() async throws {
        let log = NodeLog()
        try await withNode(log) { nodePort in
            var options = SpliceOptions()
            options.dropCookies = ["lectern_port"]
            options.dropQuery = ["lectern_key"]
            options.setHeaders = [("X-Forwarded-Proto", "http")]
            let opener = Opener.to(nodePort, options)
            try await withServer(configure: { $0.frontDoor = Door(opener) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send(
                    "POST /a?b=1&lectern_key=secret&c HTTP/1.1\r\nHost: node\r\nCookie: x=1; lectern_port=secret; y=2\r\nX-Forwarded-Proto: lie\r\nContent-Length: 4\r\n\r\nbody"
                )
                try await eventually { await log.text.hasSuffix("body") }
                #expect(
                    await log.text
                        == "POST /a?b=1&c HTTP/1.1\r\nHost: node\r\nCookie: x=1; y=2\r\nContent-Length: 4\r\nX-Forwarded-Proto: http\r\n\r\nbody"
                )
                await wire.close()
            }
        }
    }

    @Test func passesRawBytesBothWaysAfterTheHead() async throws {
        let log = NodeLog()
        await setEcho(log)
        try await withNode(log) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("GET / HTTP/1.1\r\nHost: node\r\n\r\n")
                _ = await wire.wait(for: "\r\n\r\n")
                await wire.forgetAll()
                let noise = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 17 >> 4) }
                await wire.send(noise)
                await wire.wait { $0.bytes.count >= noise.count }
                #expect(await wire.bytes == noise)
                await wire.close()
            }
        }
    }

    @WebLoop private func setEcho(_ log: NodeLog) { log.echoes = true }

    @Test func passesTheHalfCloseOfEitherSide() async throws {
        let log = NodeLog()
        try await withNode(log) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("GET / HTTP/1.0\r\nHost: node\r\n\r\n")
                try await eventually { await log.connection != nil }
                await wire.shutdownWrite()
                try await eventually { await log.hasEnded }
                await log.connection?.send(Array("still here".utf8))
                #expect(await wire.wait(for: "still here"))
                await log.connection?.shutdownWrite()
                await wire.waitForEnd()
                await wire.close()
            }
        }
    }

    @Test func carriesAWebSocket() async throws {
        let socketLog = SocketLog()
        try await withServer(Routes(socket: { _ in .accept(subprotocol: "s", socketLog) })) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let client = try await SocketClient.open(port, protocols: "s", headers: "")
                await client.wire.close()
                let wire = try await Wire.connect(port)
                await wire.send(
                    "GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: s\r\n\r\n"
                )
                _ = await wire.wait(for: "\r\n\r\n")
                let through = SocketClient(wire: wire)
                #expect(await through.head().hasPrefix("HTTP/1.1 101 "))
                await through.send(1, Array("hi".utf8))
                #expect(await through.next()?.payload == Array("hi".utf8))
                await wire.close()
            }
        }
    }

    @Test func answersForANodeThatIsNotThere() async throws {
        let opener = Opener { request in
            .respond(
                HTTPResponse(
                    status: 503, headers: ["retry-after": "1", "content-type": "text/html"], body: .bytes(Array("<p>waiting".utf8))))
        }
        try await withServer(configure: { $0.frontDoor = Door(opener) }) { port in
            let answer = try await Wire.exchange(
                port, "POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 100_000))
            #expect(answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(answer.contains("retry-after: 1\r\n"))
            #expect(answer.hasSuffix("<p>waiting"))
        }
    }

    @Test func tellsWhenTheNodeRefuses() async throws {
        let (closed, port) = try Listening.open("127.0.0.1", 0, backlog: 1)
        closed.close()
        try await withServer(configure: { $0.frontDoor = Door(Opener.to(port)) }) { port in
            let answer = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: node\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 502 "))
        }
    }

    @Test func passesOnWhatANodeSaidBeforeItHungUp() async throws {
        let log = NodeLog()
        try await withNode(log) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 50000000\r\n\r\n")
                try await eventually { await log.connection != nil }
                await log.connection?.send(Array("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n".utf8))
                await log.connection?.shutdownWrite()
                #expect(await wire.wait(for: "413 Too Large"))
                await log.connection?.close()
                await wire.send([UInt8](repeating: 0, count: 1 << 20))
                await wire.waitForEnd()
                await wire.close()
            }
        }
    }

    @Test func carriesBulkThroughAPipe() async throws {
        let large = (0..<30_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 7) }
        try await withServer(
            Routes(answer: { request, _ in
                request.path == "/big" ? HTTPResponse(body: .bytes(large)) : .text("small \(request.path)")
            })
        ) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                for round in 0..<2 {
                    await wire.send("GET /\(round) HTTP/1.1\r\nHost: node\r\n\r\n")
                    #expect(await wire.wait(for: "small /\(round)"))
                    await wire.forgetAll()
                    await wire.send("GET /big HTTP/1.1\r\nHost: node\r\n\r\n")
                    await wire.wait { $0.bytes.count > large.count }
                    let bytes = await wire.bytes
                    #expect(bytes.suffix(large.count) == large[...])
                    await wire.forgetAll()
                }
                await wire.close()
            }
        }
    }

    @Test func holdsBackANodeWhoseClientIsSlow() async throws {
        let log = NodeLog()
        try await withNode(log) { nodePort in
            try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("GET / HTTP/1.1\r\nHost: node\r\n\r\n")
                await wire.pauseReading()
                try await eventually { await log.connection != nil }
                await log.connection?.send([UInt8](repeating: 1, count: 60 << 20))
                var last = -1
                while await log.connection?.bufferedBytes != last {
                    last = await log.connection?.bufferedBytes ?? 0
                    try await Task.sleep(nanoseconds: 100_000_000)
                }
                #expect(last > 30 << 20)
                await wire.resumeReading()
                await wire.wait { $0.bytes.count == 60 << 20 }
                await wire.close()
            }
        }
    }

    @Test func endsAnIdleSplice() async throws {
        let log = NodeLog()
        try await withNode(log) { nodePort in
            try await withServer(configure: {
                $0.frontDoor = Door(Opener.to(nodePort))
                $0.limits.spliceIdleSeconds = 1
            }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("GET / HTTP/1.1\r\nHost: node\r\n\r\n")
                await wire.waitForEnd()
                await wire.close()
            }
        }
    }

    @Test func closesBothSidesWhenTheServerStops() async throws {
        let log = NodeLog()
        try await withNode(log) { nodePort in
            let wire = try await withServer(configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                let wire = try await Wire.connect(port)
                await wire.send("GET / HTTP/1.1\r\nHost: node\r\n\r\n")
                try await eventually { await log.connection != nil }
                return wire
            }
            await wire.waitForEnd()
            try await eventually { await log.hasEnded }
            await wire.close()
        }
    }
}
