// The DNS server on real sockets: UDP and TCP, a server behind it, and one that is not there.
import ClusterDNS
import Essentials
import Kernel
import Synchronization
import Testing

extension LabNetworkLiveTests {
    /// A question and the answer that came, by UDP or TCP, in the namespace of the test.
    struct Asker {
        let port: UInt16

        static func query(_ name: String, _ type: UInt16 = 1, identifier: UInt16 = 7) -> [UInt8] {
            var bytes: [UInt8] = [UInt8(identifier >> 8), UInt8(identifier & 255), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
            for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
            return bytes + [0, UInt8(type >> 8), UInt8(type & 255), 0, 1]
        }

        func byDatagram(_ query: [UInt8], milliseconds: Int32 = 3000) throws -> [UInt8]? {
            let socket = try InternetSockets.connect(to: InternetEndpoint(IPv4("127.0.0.1")!, port), datagrams: true)
            _ = InternetSockets.write(query[...], to: socket)
            waitReadable(socket, milliseconds: milliseconds)
            return InternetSockets.receive(socket, limitBytes: 4096)?.0
        }

        func byConnection(_ query: [UInt8]) throws -> [UInt8]? {
            let socket = try InternetSockets.connect(to: InternetEndpoint(IPv4("127.0.0.1")!, port))
            let message = [0, UInt8(query.count)] + query
            // In two pieces, as a network may bring it; the first once the connection is made.
            for _ in 0..<1000 {
                if InternetSockets.write(message[..<5], to: socket) == 5 { break }
                pauseThread(milliseconds: 1)
            }
            pauseThread(milliseconds: 5)
            _ = InternetSockets.write(message[5...], to: socket)
            waitReadable(socket, milliseconds: 3000)
            return try LinuxKernel().receive(from: socket, limitBytes: 65536).flatMap { $0.count > 14 ? Array($0.dropFirst(2)) : nil }
        }
    }

    /// Answers every question with the same address, by UDP.
    final class FakeUpstream: Sendable {
        let port: UInt16
        let asked = Mutex<[String]>([])
        private let socket: OwnedDescriptor
        private let watch: UInt64

        init() throws {
            socket = try InternetSockets.datagrams(at: InternetEndpoint(IPv4("127.0.0.1")!, 0))
            port = InternetSockets.port(of: socket)
            let socket = socket
            let box = Box()
            watch = try Greeter.readiness.watch(socket) {
                while let (bytes, client) = InternetSockets.receive(socket, limitBytes: 4096) {
                    guard case .question(let question) = DNSQuestion.read(bytes) else { continue }
                    box.upstream?.asked.withLock { $0.append(question.name) }
                    let answer = DNSAnswer(
                        isAuthoritative: false, [DNSRecord(question.name, 60, .address(IPv4("192.0.2.53")!))])
                    InternetSockets.send(answer.bytes(to: question, limit: 512), to: client, from: socket)
                }
                return .again
            }
            box.set(self)
        }

        private final class Box: Sendable {
            private let held = Mutex<FakeUpstream?>(nil)
            var upstream: FakeUpstream? { held.withLock { $0 } }
            func set(_ upstream: FakeUpstream) { held.withLock { $0 = upstream } }
        }

        func stop() {
            Greeter.readiness.cancel(watch)
            socket.close()
        }
    }

    @Test func theServerAnswersForwardsAndGivesUp() async throws {
        let upstream = try FakeUpstream()
        let resolver = NameResolver()
        resolver.use(
            try Corefile(
                """
                .:53 {
                  errors
                  log
                  kubernetes cluster.local { ttl 30 }
                  forward . 127.0.0.1:\(upstream.port)
                  cache 30
                }
                dead.test:53 {
                  errors
                  forward . 127.0.0.1:1
                }
                """)
        ) { _ in nil }
        resolver.use(
            ServiceNames(
                services: [
                    ["metadata": ["name": "web", "namespace": "default"], "spec": ["clusterIP": "10.96.0.9"]],
                    [
                        "metadata": ["name": "docs", "namespace": "default"],
                        "spec": ["type": "ExternalName", "externalName": "docs.example.org"],
                    ],
                ]), serial: 1)
        let lines = LogLines()
        let server = DNSServer(resolver: resolver, at: InternetEndpoint(IPv4("127.0.0.1")!, 0), readiness: Greeter.readiness) {
            lines.add($0)
        }
        let asker = Asker(port: try server.start())
        try await beside([{ await server.run() }]) {
            let own = try #require(try asker.byDatagram(Asker.query("web.default.svc.cluster.local")))
            #expect(own[7] == 1 && own.suffix(4) == [10, 96, 0, 9])
            let whole = try #require(try asker.byConnection(Asker.query("web.default.svc.cluster.local", identifier: 9)))
            #expect(whole[1] == 9 && whole.suffix(4) == [10, 96, 0, 9])

            let other = try #require(try asker.byDatagram(Asker.query("example.org", identifier: 0x0102)))
            #expect(other[0] == 1 && other[1] == 2 && other[7] == 1 && other.suffix(4) == [192, 0, 2, 53])
            _ = try asker.byDatagram(Asker.query("example.org"))
            #expect(upstream.asked.withLock { $0 } == ["example.org"], "the second answer is a kept one")
            let alias = try #require(try asker.byDatagram(Asker.query("docs.default.svc.cluster.local")))
            #expect(alias[7] == 2 && alias.suffix(4) == [192, 0, 2, 53])

            let refused = try #require(try asker.byDatagram(Asker.query("a.dead.test"), milliseconds: 1500))
            #expect(refused[3] & 15 == DNSCode.serverFailure.rawValue)
            #expect(lines.all.contains { $0.hasPrefix("[ERROR] plugin/errors: 2 a.dead.test. A: ") })
            #expect(lines.all.contains { $0.contains("\"A IN web.default.svc.cluster.local. udp") && $0.contains("NOERROR qr,aa,rd") })

            for length in [0, 3, 12, 40] { _ = try asker.byDatagram([UInt8](repeating: 0xFF, count: length), milliseconds: 20) }
            #expect(try asker.byDatagram(Asker.query("web.default.svc.cluster.local")) != nil)
        }
        upstream.stop()
    }
}

final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}
