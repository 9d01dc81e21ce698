// Limits on live sockets: heads, bodies, time, connections, and what is left behind afterwards.
import Essentials
import Foundation
import Synchronization
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1)), .serialized) struct LimitTests {
    @Test(arguments: [
        "GET /\r\n\r\n", "BLAH\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", "\u{1}\u{2}\u{3}nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
    ])
    func refusesAMalformedHead(_ head: String) async throws {
        try await withServer { port in
            let answer = try await Wire.exchange(port, head)
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(answer.contains("\r\n\r\nThe request"))
        }
    }

    @Test(arguments: [
        "Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: -1", "Content-Length: 1,2",
        "Content-Length: 99999999999999999999",
        "Content-Length: 0x10",
    ])
    func refusesABodyOfDoubtfulLength(_ fields: String) async throws {
        try await withServer { port in
            let answer = try await Wire.exchange(port, "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test func refusesAnUnknownTransferCoding() async throws {
        try await withServer { port in
            let answer = try await Wire.exchange(port, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 501 "))
        }
    }

    @Test func refusesAHeadOverTheLimit() async throws {
        try await withServer(configure: { $0.limits.headBytes = 4096 }) { port in
            let answer = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 5000))\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 431 "))
            #expect(answer.contains("4096 bytes"))
        }
    }

    @Test func endsAConnectionWhoseLaterHeadIsTooLarge() async throws {
        try await withServer { port in
            let wire = try await Wire.connect(port)
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(await wire.wait(for: "hello"))
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 100_000))\r\n\r\n")
            await wire.waitForEnd()
            await wire.close()
        }
    }

    @Test func refusesABodyThatAnnouncesTooMuch() async throws {
        try await withServer(configure: { $0.limits.bodyBytes = 1000 }) { port in
            let answer = try await Wire.exchange(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
            #expect(answer.contains("1000 bytes"))
        }
    }

    @Test func refusesABodyThatGrowsTooLarge() async throws {
        try await withServer(
            Routes(answer: { _, body in .text("\((try? await body.collect(limitBytes: 10_000))?.count ?? -1)") }),
            configure: { $0.limits.bodyBytes = 1000 }
        ) { port in
            let answer = try await Wire.exchange(
                port,
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n\(String(repeating: "x", count: 2048))\r\n0\r\n\r\n"
            )
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func givesUpOnASlowHead() async throws {
        try await withServer(configure: { $0.limits.headSeconds = 1 }) { port in
            let wire = try await Wire.connect(port)
            await wire.send("GET / HTTP/1.1\r\nHo")
            let sender = Task {
                while await !wire.isEnded {
                    await wire.send("x")
                    try await Task.sleep(nanoseconds: 50_000_000)
                }
            }
            await wire.waitForEnd()
            sender.cancel()
            #expect(await wire.text.hasPrefix("HTTP/1.1 408 "))
            await wire.close()
        }
    }

    @Test func closesAnIdleConnection() async throws {
        try await withServer(configure: { $0.limits.idleSeconds = 1 }) { port in
            let wire = try await Wire.connect(port)
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(await wire.wait(for: "hello"))
            await wire.waitForEnd()
            await wire.close()
        }
    }

    @Test func closesAConnectionWhoseNextHeadIsSlow() async throws {
        try await withServer(configure: { $0.limits.idleSeconds = 1 }) { port in
            let wire = try await Wire.connect(port)
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(await wire.wait(for: "hello"))
            await wire.send("GET / HT")
            let sender = Task {
                while await !wire.isEnded {
                    await wire.send("x")
                    try await Task.sleep(nanoseconds: 50_000_000)
                }
            }
            await wire.waitForEnd()
            sender.cancel()
            await wire.close()
        }
    }

    @Test func closesAConnectionWhoseBodyStalls() async throws {
        let failed = Mutex<WebProblem?>(nil)
        let routes = Routes(answer: { _, body in
            do { _ = try await body.collect(limitBytes: 100) } catch { failed.withLock { $0 = error as? WebProblem } }
            return .text("x")
        })
        try await withServer(routes, configure: { $0.limits.idleSeconds = 1 }) { port in
            let wire = try await Wire.connect(port)
            await wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12")
            await wire.waitForEnd()
            try await eventually { failed.withLock { $0 } == .peerGone }
            await wire.close()
        }
    }

    @Test func closesAConnectionThatDoesNotReadItsAnswer() async throws {
        let routes = Routes(answer: { _, _ in HTTPResponse(body: .bytes([UInt8](repeating: 1, count: 30 << 20))) })
        try await withServer(routes, configure: { $0.limits.idleSeconds = 1 }) { port in
            let wire = try await Wire.connect(port)
            await wire.pauseReading()
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await Task.sleep(nanoseconds: 2_500_000_000)
            await wire.resumeReading()
            await wire.waitForEnd()
            #expect(await wire.bytes.count < 30 << 20)
            await wire.close()
        }
    }

    @Test func countsConnections() async throws {
        try await withServer(configure: { $0.limits.connections = 3 }) { port in
            var wires: [Wire] = []
            for _ in 0..<3 {
                let wire = try await Wire.connect(port)
                await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(await wire.wait(for: "hello"))
                wires.append(wire)
            }
            let refused = try await Wire.connect(port)
            await refused.waitForEnd()
            await refused.close()
            await wires[0].close()
            try await eventually { (try? await Wire.exchange(port, "GET / HTTP/1.0\r\n\r\n"))?.hasSuffix("hello\n") == true }
            for wire in wires.dropFirst() { await wire.close() }
        }
    }

    @Test func servesManyConnectionsAtOnce() async throws {
        try await withServer { port in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<300 {
                    group.addTask {
                        try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").hasSuffix("hello\n")
                    }
                }
                for try await whole in group { #expect(whole) }
            }
        }
    }

    @Test func countsAnIPv6NetworkAsOneAddress() {
        #expect(Listening.countingKey("2001:db8:1:2::1") == Listening.countingKey("2001:db8:1:2:ffff::9"))
        #expect(Listening.countingKey("2001:db8:1:2::1") != Listening.countingKey("2001:db8:1:3::1"))
        #expect(Listening.countingKey("192.0.2.1") == "192.0.2.1")
    }

    @Test func leavesNoDescriptorBehind() async throws {
        func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        func round() async throws {
            let log = SocketLog()
            let routes = Routes(
                answer: { request, _ in
                    request.path == "/gone"
                        ? HTTPResponse(body: .stream(HTTPBodyStream { try await $0.write([UInt8](repeating: 1, count: 9 << 20)) }))
                        : .text("ok")
                }, socket: { _ in .accept(subprotocol: nil, log) })
            try await withServer(routes) { nodePort in
                try await withServer(routes, configure: { $0.frontDoor = Door(Opener.to(nodePort)) }) { port in
                    for host in ["own", "node"] {
                        _ = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                        _ = try await Wire.exchange(port, "rubbish\r\n\r\n")
                        let gone = try await Wire.connect(port)
                        await gone.send("GET /gone HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                        _ = await gone.wait(for: "HTTP/1.1 200")
                        await gone.close()
                        let half = try await Wire.connect(port)
                        await half.send("GET / HT")
                        await half.close()
                        let open = try await Wire.connect(port)
                        await open.send("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                        _ = await open.wait(for: "ok")
                        Task { await open.close() }
                    }
                    let client = try await SocketClient.open(port)
                    _ = await client.head()
                    await client.wire.close()
                }
            }
        }
        try await round()
        // Other suites open and close theirs meanwhile: it is enough that the count comes back once.
        let before = try descriptors()
        for _ in 0..<5 { try await round() }
        try await eventually { (try? descriptors()) ?? .max <= before + 2 }
    }

    @Test func theDocumentTellsEveryLimit() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/web.md"), encoding: .utf8)
        for (name, value) in Mirror(reflecting: WebLimits()).children {
            #expect(text.contains("| `\(name ?? "")` | \(value) |"), "docs/web.md does not tell \(name ?? "") as \(value)")
        }
    }

    @Test func refusesAPortInUse() async throws {
        try await withServer { port in
            let second = WebServer(configuration: WebServerConfiguration(port: port), handler: Routes())
            await #expect { _ = try await second.start() } throws: { ($0 as? WebProblem)?.reason == "CannotListen" }
        }
        let nowhere = WebServer(configuration: WebServerConfiguration(address: "not-an-address"), handler: Routes())
        await #expect { _ = try await nowhere.start() } throws: { ($0 as? WebProblem)?.reason == "CannotListen" }
    }
}
