// HTTP/1.1 on live sockets: requests and responses of every shape, limits, and peers that misbehave.
import Essentials
import Foundation
import Synchronization
import Testing

@testable import Web

@Suite(.timeLimit(.minutes(1))) struct ServerTests {
    @Test func answersARequest() async throws {
        try await withServer { port in
            let answer = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("content-length: 6\r\n"))
            #expect(answer.hasSuffix("\r\n\r\nhello\n"))
        }
    }

    @Test func showsTheRequestToTheHandler() async throws {
        let seen = Mutex<HTTPRequest?>(nil)
        let routes = Routes(answer: { request, _ in
            seen.withLock { $0 = request }
            return .text("")
        })
        try await withServer(routes, configure: { $0.customHeaders = ["X-Mine"] }) { port in
            _ = try await Wire.exchange(
                port,
                "GET /a%20b/c?x=1%262&y=%C3%A4&z=a+b&flag HTTP/1.1\r\nHost: Example.ORG:81\r\nX-Mine: yes\r\nX-Lectern-CSRF: token\r\nCookie: a=1; b=2\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            )
            let request = try #require(seen.withLock { $0 })
            #expect(request.method == "GET")
            #expect(request.path == "/a%20b/c")
            #expect(request.queryValue("x") == "1&2")
            #expect(request.queryValue("y") == "ä")
            #expect(request.queryValue("z") == "a b")
            #expect(request.queryValue("flag") == "")
            #expect(request.authority == "example.org:81")
            #expect(request.headers["x-mine"] == "yes")
            #expect(request.headers["X-Lectern-CSRF"] == "token")
            #expect(request.headers.cookie("b") == "2")
            #expect(request.headers["accept"] == "*/*")
            #expect(request.remoteAddress == "127.0.0.1")
            #expect(!request.isSecure)
            #expect(request.version == .http11)
        }
    }

    @Test(arguments: ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    func carriesABodyWithEveryMethod(_ method: String) async throws {
        let routes = Routes(answer: { request, body in
            let bytes = (try? await body.collect(limitBytes: 100)) ?? []
            return .text("\(request.method) \(String(decoding: bytes, as: UTF8.self))")
        })
        try await withServer(routes) { port in
            let answer = try await Wire.exchange(
                port, "\(method) / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
            #expect(answer.hasSuffix("\r\n\r\n\(method) body"))
        }
    }

    @Test func keepsTheConnectionForManyRequests() async throws {
        let routes = Routes(answer: { request, body in
            .text("\(request.path):\((try? await body.collect(limitBytes: 100))?.count ?? -1)\n")
        })
        try await withServer(routes) { port in
            let wire = try await Wire.connect(port)
            for index in 0..<20 {
                await wire.send("POST /\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                #expect(await wire.wait(for: "/\(index):3\n"))
            }
            await wire.close()
        }
    }

    @Test func answersPipelinedRequestsInOrder() async throws {
        let routes = Routes(answer: { request, _ in .text("[\(request.path)]") })
        try await withServer(routes) { port in
            let wire = try await Wire.connect(port)
            await wire.send((0..<5).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
            #expect(await wire.wait(for: "[/4]"))
            let text = await wire.text
            let found = text.split(separator: "[").dropFirst().map { $0.prefix(2) }
            #expect(found == ["/0", "/1", "/2", "/3", "/4"])
            await wire.close()
        }
    }

    @Test func headHasTheLengthButNoBody() async throws {
        try await withServer { port in
            let answer = try await Wire.exchange(port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("content-length: 6\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test func streamsWithChunks() async throws {
        let routes = Routes(answer: { _, _ in
            HTTPResponse(
                body: .stream(
                    HTTPBodyStream { writer in
                        for index in 0..<3 { try await writer.write("part \(index)\n") }
                    }))
        })
        try await withServer(routes) { port in
            let response = try await HTTPClient().request("GET", "http://127.0.0.1:\(port)/")
            #expect(response.headers["transfer-encoding"] == "chunked")
            let bytes = try await response.body.collect(limitBytes: 1000)
            #expect(String(decoding: bytes, as: UTF8.self) == "part 0\npart 1\npart 2\n")
        }
    }

    @Test func streamsToHTTP10UntilTheEnd() async throws {
        let routes = Routes(answer: { _, _ in HTTPResponse(body: .stream(HTTPBodyStream { try await $0.write("all") })) })
        try await withServer(routes) { port in
            let answer = try await Wire.exchange(port, "GET / HTTP/1.0\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nall"))
            #expect(!answer.contains("chunked"))
        }
    }

    @Test func cutsTheConnectionWhenAStreamFails() async throws {
        let routes = Routes(answer: { _, _ in
            HTTPResponse(
                body: .stream(
                    HTTPBodyStream { writer in
                        try await writer.write("some")
                        throw WebProblem.peerGone
                    }))
        })
        try await withServer(routes) { port in
            let answer = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(!answer.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func sendsALargeBodyWhole() async throws {
        let large = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try await withServer(Routes(answer: { _, _ in HTTPResponse(body: .bytes(large)) })) { port in
            let response = try await HTTPClient().request("GET", "http://127.0.0.1:\(port)/")
            #expect(try await response.body.collect(limitBytes: 30_000_000) == large)
        }
    }

    @Test func sendsAFile() async throws {
        let path = NSTemporaryDirectory() + "lectern-web-\(Identifier.short())"
        let content = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 >> 3) }
        try Data(content).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let routes = Routes(answer: { request, _ in HTTPResponse(body: .file(path: request.path == "/no" ? path + "-no" : path)) })
        try await withServer(routes) { port in
            let response = try await HTTPClient().request("GET", "http://127.0.0.1:\(port)/")
            #expect(response.headers["content-length"] == "500000")
            #expect(try await response.body.collect(limitBytes: 1_000_000) == content)
            #expect(try await HTTPClient().request("GET", "http://127.0.0.1:\(port)/no").status == 404)
        }
    }

    @Test func readsAChunkedRequest() async throws {
        let routes = Routes(answer: { _, body in
            .text(String(decoding: (try? await body.collect(limitBytes: 100)) ?? [], as: UTF8.self))
        })
        try await withServer(routes) { port in
            let answer = try await Wire.exchange(
                port,
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\nhello world"))
        }
    }

    @Test func answersAPostWithoutALength() async throws {
        try await withServer(Routes(answer: { _, body in .text("\((try? await body.collect(limitBytes: 9))?.count ?? -1)") })) { port in
            let answer = try await Wire.exchange(port, "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.hasSuffix("\r\n\r\n0"))
        }
    }

    @Test func asksForTheBodyThatWaitsForContinue() async throws {
        let routes = Routes(answer: { _, body in .text(String(decoding: (try? await body.collect(limitBytes: 100)) ?? [], as: UTF8.self)) })
        try await withServer(routes) { port in
            let wire = try await Wire.connect(port)
            await wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
            #expect(await wire.wait(for: "HTTP/1.1 100 Continue\r\n\r\n"))
            await wire.send("12345")
            await wire.waitForEnd()
            #expect(await wire.text.hasSuffix("\r\n\r\n12345"))
            await wire.close()
        }
    }

    @Test func slowsASenderDownToItsReader() async throws {
        // 40 MB into a handler that does not read: only what the buffers of the way hold may be taken.
        let gate = Gate()
        let routes = Routes(answer: { _, body in
            await gate.wait()
            var count = 0
            do { for try await chunk in body { count += chunk.count } } catch {}
            return .text("\(count)")
        })
        try await withServer(routes, configure: { $0.limits.bodyBytes = 100 << 20 }) { port in
            let wire = try await Wire.connect(port)
            let size = 40 << 20
            await wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\nConnection: close\r\n\r\n")
            await wire.send([UInt8](repeating: 65, count: size))
            // Wait until no more goes out.
            var last = -1
            while await wire.unsentBytes != last {
                last = await wire.unsentBytes
                try await Task.sleep(nanoseconds: 100_000_000)
            }
            #expect(last > 20 << 20)
            await gate.open()
            await wire.waitForEnd()
            #expect(await wire.text.hasSuffix("\r\n\r\n\(size)"))
            await wire.close()
        }
    }

    @Test func suspendsAWriterWhoseReaderIsSlow() async throws {
        let written = Mutex(0)
        let routes = Routes(answer: { _, _ in
            HTTPResponse(
                body: .stream(
                    HTTPBodyStream { writer in
                        while true {
                            try await writer.write([UInt8](repeating: 66, count: 64 << 10))
                            written.withLock { $0 += 64 << 10 }
                        }
                    }))
        })
        try await withServer(routes) { port in
            let wire = try await Wire.connect(port)
            await wire.pauseReading()
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            var last = -1
            while written.withLock({ $0 }) != last || last == 0 {
                last = written.withLock { $0 }
                try await Task.sleep(nanoseconds: 100_000_000)
            }
            #expect(last < 16 << 20)
            await wire.close()
        }
    }

    @Test func tellsAStreamThatItsClientLeft() async throws {
        let ended = Mutex<WebProblem?>(nil)
        let routes = Routes(answer: { _, _ in
            HTTPResponse(
                body: .stream(
                    HTTPBodyStream { writer in
                        do {
                            while true {
                                try await writer.write("tick\n")
                                try await Task.sleep(nanoseconds: 5_000_000)
                            }
                        } catch let problem as WebProblem {
                            ended.withLock { $0 = problem }
                        } catch {
                            ended.withLock { $0 = .peerGone }
                        }
                    }))
        })
        try await withServer(routes) { port in
            let wire = try await Wire.connect(port)
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = await wire.wait(for: "tick")
            await wire.close()
            try await eventually { ended.withLock { $0 } == .peerGone }
        }
    }

    @Test func cancelsAHandlerWhoseClientLeft() async throws {
        let cancelled = Mutex(false)
        let routes = Routes(answer: { _, _ in
            do { try await Task.sleep(nanoseconds: 60_000_000_000) } catch { cancelled.withLock { $0 = true } }
            return .text("late")
        })
        try await withServer(routes) { port in
            let wire = try await Wire.connect(port)
            await wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try await Task.sleep(nanoseconds: 50_000_000)
            await wire.close()
            try await eventually { cancelled.withLock { $0 } }
        }
    }
}

/// A door that opens once.
actor Gate {
    private var isOpen = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    func wait() async {
        if isOpen { return }
        await withCheckedContinuation { waiters.append($0) }
    }
    func open() {
        isOpen = true
        for waiter in waiters { waiter.resume() }
        waiters = []
    }
}
