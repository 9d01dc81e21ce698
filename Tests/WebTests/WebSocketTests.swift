// WebSockets on live sockets: handshakes, messages of every shape, slow readers, and frames that break the rules.
import Essentials
import Synchronization
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct WebSocketTests {
    /// A server whose every path is a WebSocket with `log` as its handler.
    private func withSocket(
        _ log: SocketLog, subprotocol: String? = nil, limits: (inout WebLimits) -> Void = { _ in }, _ body: (UInt16) async throws -> Void
    ) async throws {
        let routes = Routes(socket: { request in
            request.path == "/no" ? .reject(.text("not here\n", status: 403)) : .accept(subprotocol: subprotocol, log)
        })
        try await withServer(routes, configure: { limits(&$0.limits) }, body)
    }

    @Test func echoesTextAndBinary() async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            let head = await client.head()
            #expect(head.hasPrefix("HTTP/1.1 101 "))
            #expect(head.lowercased().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
            await client.send(1, Array("grüße".utf8))
            #expect(await client.next()?.payload == Array("grüße".utf8))
            await client.send(2, [0, 255, 7])
            let answer = try #require(await client.next())
            #expect(answer.opcode == 2)
            #expect(answer.payload == [0, 255, 7])
            await client.wire.close()
            try await eventually { await log.closeCodes.count == 1 }
        }
    }

    @Test func carriesLargeMessagesBothWays() async throws {
        let log = SocketLog()
        let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
        try await withSocket(log, limits: { $0.messageBytes = 4 << 20 }) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.send(2, large)
            #expect(await client.next()?.payload == large)
            await client.wire.close()
        }
    }

    @Test func joinsFragmentsAroundAPing() async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.send(1, Array("one ".utf8), final: false)
            await client.send(9, Array("ping".utf8))
            await client.send(0, Array("two ".utf8), final: false)
            await client.send(0, Array("three".utf8))
            let first = try #require(await client.next())
            let second = try #require(await client.next())
            #expect([first.opcode, second.opcode].sorted() == [1, 10])
            #expect((first.opcode == 1 ? first : second).payload == Array("one two three".utf8))
            #expect((first.opcode == 10 ? first : second).payload == Array("ping".utf8))
            await client.wire.close()
        }
    }

    @Test func speaksTheChosenSubprotocol() async throws {
        let log = SocketLog()
        try await withSocket(log, subprotocol: "lectern.terminal.v1") { port in
            let client = try await SocketClient.open(port, protocols: "other, lectern.terminal.v1")
            #expect(await client.head().lowercased().contains("sec-websocket-protocol: lectern.terminal.v1"))
            let refused = try await SocketClient.open(port, protocols: "other")
            #expect(await refused.head().hasPrefix("HTTP/1.1 400 "))
            await client.wire.close()
            await refused.wire.close()
        }
    }

    @Test func answersARefusalWithItsResponse() async throws {
        try await withSocket(SocketLog()) { port in
            let client = try await SocketClient.open(port, "/no")
            await client.wire.waitForEnd()
            #expect(await client.wire.text.hasPrefix("HTTP/1.1 403 "))
            #expect(await client.wire.text.hasSuffix("not here\n"))
        }
    }

    @Test(arguments: [
        ("Sec-WebSocket-Version: 8", "426"), ("Sec-WebSocket-Version: 13", "400"),
    ])
    func refusesABrokenHandshake(_ field: String, _ status: String) async throws {
        try await withSocket(SocketLog()) { port in
            let answer = try await Wire.exchange(
                port,
                "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short\r\n\(field)\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        }
    }

    @Test func closesWithTheCodeGiven() async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            try await eventually { await log.socket != nil }
            await log.socket?.send(text: "last")
            await log.socket?.close(code: 4001, reason: "over")
            #expect(await client.next()?.payload == Array("last".utf8))
            let farewell = try #require(await client.next())
            #expect(farewell.opcode == 8)
            #expect(farewell.payload == [0x0F, 0xA1] + Array("over".utf8))
            await client.send(8, farewell.payload)
            try await eventually { await log.closeCodes == [4001] }
            await client.wire.close()
        }
    }

    @Test func tellsTheCodeOfAPeerThatCloses() async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.send(8, [0x03, 0xE9])
            #expect(await client.next()?.opcode == 8)
            await client.wire.close()
            try await eventually { await log.closeCodes == [1001] }
        }
    }

    @Test func refusesAMessageOverTheLimit() async throws {
        let log = SocketLog()
        try await withSocket(log, limits: { $0.messageBytes = 1000 }) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.send(2, [UInt8](repeating: 1, count: 1001))
            let farewell = try #require(await client.next())
            #expect(farewell.opcode == 8)
            #expect(farewell.payload.prefix(2) == [0x03, 0xF1])
            await client.wire.close()
            #expect(await log.binaries.isEmpty)
        }
    }

    @Test func refusesFragmentsOverTheLimit() async throws {
        let log = SocketLog()
        try await withSocket(log, limits: { $0.messageBytes = 1000 }) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.send(2, [UInt8](repeating: 1, count: 600), final: false)
            await client.send(0, [UInt8](repeating: 1, count: 600))
            #expect(await client.next()?.payload.prefix(2) == [0x03, 0xF1])
            await client.wire.close()
            #expect(await log.binaries.isEmpty)
        }
    }

    @Test func refusesTextThatIsNotUTF8() async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.send(1, [0xC3, 0x28])
            #expect(await client.next()?.payload.prefix(2) == [0x03, 0xEF])
            await client.wire.close()
        }
    }

    /// RFC 6455 5.2, 5.4, 5.5: reserved bits, reserved opcodes, stray continuation, long or fragmented control.
    @Test(arguments: [
        [0xC1, 0x81, 1, 2, 3, 4, 64],
        Frames.make(3, [65]),
        Frames.make(0, [65]),
        Frames.make(9, [UInt8](repeating: 0, count: 126)),
        Frames.make(9, [1], final: false),
        [0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4],
    ])
    func endsTheConnectionOnAMalformedFrame(_ frame: [UInt8]) async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.wire.send(frame)
            while let message = await client.next() { #expect(message.opcode == 8) }
            await client.wire.close()
            #expect(await log.texts.isEmpty)
            #expect(await log.binaries.isEmpty)
            try await eventually { await log.closeCodes.count == 1 }
        }
    }

    @Test func closesASocketWhoseReaderIsTooSlow() async throws {
        let log = SocketLog()
        try await withSocket(log, limits: { $0.socketBufferBytes = 1 << 20 }) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            await client.wire.pauseReading()
            try await eventually { await log.socket != nil }
            let piece = [UInt8](repeating: 7, count: 64 << 10)
            try await eventually { @WebLoop in
                log.socket?.send(binary: piece)
                return !log.closeCodes.isEmpty
            }
            #expect(await log.closeCodes == [1008])
            await client.wire.close()
        }
    }

    @Test func tellsWhenItsBufferHasDrained() async throws {
        let log = SocketLog()
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            try await eventually { await log.socket != nil }
            await log.socket?.send(binary: [UInt8](repeating: 7, count: 4 << 20))
            #expect(await client.next()?.payload.count == 4 << 20)
            try await eventually { await log.drains == 1 }
            #expect(await log.socket?.bufferedBytes == 0)
            await client.wire.close()
        }
    }

    @Test func stopsReadingWhilePaused() async throws {
        let log = SocketLog()
        try await withSocket(log, limits: { $0.messageBytes = 100 }) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            try await eventually { await log.socket != nil }
            await log.socket?.pauseReading()
            await client.send(1, Array("held".utf8))
            try await Task.sleep(nanoseconds: 100_000_000)
            #expect(await log.texts.isEmpty)
            await log.socket?.resumeReading()
            #expect(await client.next()?.payload == Array("held".utf8))
            await client.wire.close()
        }
    }

    @Test func pingsASilentPeerAndGivesUpOnOneThatDoesNotAnswer() async throws {
        let log = SocketLog()
        try await withSocket(
            log,
            limits: {
                $0.pingSeconds = 1
                $0.pongSeconds = 4
            }
        ) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            let ping = try #require(await client.next())
            #expect(ping.opcode == 9)
            await client.send(10, ping.payload)
            #expect(await client.next()?.opcode == 9)
            await client.wire.waitForEnd()
            try await eventually { await log.closeCodes.count == 1 }
            await client.wire.close()
        }
    }

    @Test func letsGoOfTheHandlerWhenTheSocketIsClosed() async throws {
        let watcher = Watcher()
        try await withServer(
            Routes(socket: { _ in
                let log = SocketLog()
                watcher.log = log
                return .accept(subprotocol: nil, log)
            })
        ) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            try await eventually { await watcher.log?.socket != nil }
            await client.wire.close()
            try await eventually { await watcher.log == nil }
        }
    }

    @WebLoop private final class Watcher {
        weak var log: SocketLog?
        nonisolated init() {}
    }

    @Test func sendsWhatIsQueuedBeforeItOpensUp() async throws {
        let log = SocketLog()
        await setGreeting(log)
        try await withSocket(log) { port in
            let client = try await SocketClient.open(port)
            _ = await client.head()
            #expect(await client.next()?.payload == Array("welcome".utf8))
            await client.wire.close()
        }
    }

    @WebLoop private func setGreeting(_ log: SocketLog) { log.onOpen = { $0.send(text: "welcome") } }
}
