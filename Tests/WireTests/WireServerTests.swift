// The lean server and the client with kept connections, as they are on a socket.
import APIFront
import ClusterClient
import ClusterModel
import ClusterWire
import Crypto
import Essentials
import Glibc
import Testing
import Web

@Suite struct WireServerTests {
    private struct Echo: WireHandler {
        func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
            switch request.path {
            case "/body": return HTTPResponse(headers: ["x-length": String(body.count)], body: .bytes(body))
            case "/endless":
                return HTTPResponse(
                    body: .stream(
                        HTTPBodyStream { writer in
                            while true { try await writer.write([UInt8](repeating: 65, count: 64 << 10)) }
                        }))
            case "/parts":
                return HTTPResponse(
                    body: .stream(HTTPBodyStream { writer in for part in ["a", "bc", "def"] { try await writer.write(part) } }))
            default: return .text("\(request.method) \(request.target) \(request.headers["x-test"] ?? "")")
            }
        }
    }

    private func start(_ change: (inout WireServerConfiguration) -> Void = { _ in }) async throws -> (WireServer, UInt16) {
        var configuration = WireServerConfiguration()
        change(&configuration)
        let server = WireServer(configuration: configuration, handler: Echo())
        return (server, try await server.start())
    }

    @Test func answersManyRequestsOnOneConnection() async throws {
        let (server, port) = try await start()
        let session = try HTTPSession(host: "127.0.0.1", port: port, tls: nil)
        for index in 0..<50 {
            let answer = try await session.send(HTTPSessionRequest(target: "/n/%2F\(index)?a=b%20c", headers: [("x-test", "v")]))
            #expect(answer.text == "GET /n/%2F\(index)?a=b%20c v")
        }
        #expect(await server.connectionCount == 1)
        await server.stop()
    }

    @Test func bodiesOfAllLengthsArrive() async throws {
        let (server, port) = try await start()
        let session = try HTTPSession(host: "127.0.0.1", port: port, tls: nil)
        for length in [0, 1, 1000, 65_536, 300_000, 3 << 20] {
            let body = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
            let answer = try await session.send(HTTPSessionRequest(method: "POST", target: "/body", body: body))
            #expect(answer.text.utf8.count >= 0 && answer.headers["x-length"] == String(length))
            guard case .bytes(let bytes) = answer.body else { continue }
            #expect(bytes == body)
        }
        await server.stop()
    }

    @Test func aBodyThatIsTooLargeIsRefused() async throws {
        let (server, port) = try await start { $0.limits.bodyBytes = 1000 }
        let session = try HTTPSession(host: "127.0.0.1", port: port, tls: nil)
        let answer = try await session.send(HTTPSessionRequest(method: "POST", target: "/body", body: [UInt8](repeating: 1, count: 1001)))
        #expect(answer.status == 413)
        await server.stop()
    }

    @Test func streamsComeInParts() async throws {
        let (server, port) = try await start()
        let session = try HTTPSession(host: "127.0.0.1", port: port, tls: nil)
        let answer = try await session.send(HTTPSessionRequest(target: "/parts", streams: true))
        guard case .stream(let stream) = answer.body else { return }
        var text: [UInt8] = []
        while let part = await stream.next() { text += part }
        #expect(text == Array("abcdef".utf8))
        await server.stop()
    }

    /// A client that does not read holds the writer, not memory.
    @Test func aReaderThatStopsHoldsTheWriter() async throws {
        let (server, port) = try await start()
        let session = try HTTPSession(host: "127.0.0.1", port: port, tls: nil)
        let answer = try await session.send(HTTPSessionRequest(target: "/endless", streams: true))
        guard case .stream(let stream) = answer.body else { return }
        for _ in 0..<4 { _ = await stream.next() }
        let before = residentKiB()
        try await Task.sleep(for: .milliseconds(500))
        #expect(residentKiB() - before < 256 << 10)
        stream.cancel()
        await server.stop()
    }

    /// What a broken head or body is answered with.
    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", "400"), ("GET /\r\n\r\n", "400"), ("\u{1}\u{2}\u{3}", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"), ("GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n", "413"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: " + String(repeating: "y", count: 70_000) + "\r\n\r\n", "431"),
        ("POST /body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "200"),
        ("GET / HTTP/1.0\r\n\r\n", "200"), ("\r\nGET / HTTP/1.1\nhost: a\n\n", "200"),
    ])
    func judgesHeads(head: String, status: String) async throws {
        let (server, port) = try await start()
        let answer = try await RawClient.exchange(port, head)
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer.prefix(80))")
        await server.stop()
    }

    @Test func pipelinedRequestsAreAnsweredInTurn() async throws {
        let (server, port) = try await start()
        let one = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n"
        let answer = try await RawClient.exchange(port, one + "GET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        let first = answer.firstRange(of: "GET /1")
        let second = answer.firstRange(of: "GET /2")
        #expect(first != nil && second != nil && first!.lowerBound < second!.lowerBound)
        await server.stop()
    }
}

/// Sends bytes and reads until the other side ends or is silent.
enum RawClient {
    static func exchange(_ port: UInt16, _ text: String) async throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw Failure() }
        let bytes = Array(text.utf8)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        // The answer may leave the connection open: then a while of silence after it is its end.
        var silence = 0
        while silence < (answer.isEmpty ? 1000 : 50) {
            let count = recv(descriptor, &part, part.count, Int32(MSG_DONTWAIT))
            if count == 0 { break }
            if count < 0 {
                silence += 1
                try await Task.sleep(for: .milliseconds(10))
            } else {
                silence = 0
                answer += part[..<count]
            }
        }
        return String(decoding: answer, as: UTF8.self)
    }

    struct Failure: Error {}
}

func residentKiB() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 256)
    guard fgets(&text, 256, file) != nil else { return 0 }
    let line = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4
}
