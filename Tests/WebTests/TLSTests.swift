// TLS on live sockets: certificates by name, client certificates, reload, HTTP/2, and splices behind TLS.
import Essentials
import Foundation
import Synchronization
import Testing

@testable import Web

/// A CA and certificates in a directory of their own, made with the openssl program.
struct Certificates {
    let directory: String

    init() async throws {
        directory = NSTemporaryDirectory() + "lectern-tls-\(Identifier.short())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try await openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca")
    }

    func remove() { try? FileManager.default.removeItem(atPath: directory) }
    func path(_ name: String) -> String { directory + "/" + name }
    func pair(_ name: String) -> CertificateFiles { CertificateFiles(certificate: path(name + ".pem"), key: path(name + ".key")) }

    func issue(_ name: String, subject: String, names: String = "DNS:localhost,IP:127.0.0.1") async throws {
        try await openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout \(name).key -out \(name).csr -subj \(subject)")
        try "subjectAltName=\(names)\n".write(toFile: path(name + ".ext"), atomically: true, encoding: .utf8)
        try await openssl(
            "x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out \(name).pem -extfile \(name).ext")
    }

    private func openssl(_ arguments: String) async throws {
        let result = try await run(["openssl"] + arguments.split(separator: " ").map(String.init), in: directory)
        #expect(result.status == 0, "\(result.output)")
    }
}

@Suite(.timeLimit(.minutes(1)), .serialized) struct TLSTests {
    private func withTLS(
        _ routes: Routes = Routes(), configure: (inout WebServerConfiguration, Certificates) async -> Void = { _, _ in },
        _ body: (UInt16, Certificates) async throws -> Void
    ) async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        try await certificates.issue("server", subject: "/CN=server")
        let files = certificates.pair("server")
        var configuration = WebServerConfiguration(tls: TLSFiles(certificate: files.certificate, key: files.key))
        await configure(&configuration, certificates)
        try await withServer(routes, configure: { $0 = configuration }) { port in try await body(port, certificates) }
    }

    private func client(_ certificates: Certificates, as name: String? = nil) -> HTTPClient {
        var options = HTTPClientOptions()
        options.trustedCA = certificates.path("ca.pem")
        options.certificate = name.map(certificates.pair)
        return HTTPClient(options: options)
    }

    @Test func speaksTLS() async throws {
        let large = [UInt8](repeating: 9, count: 3_000_000)
        let routes = Routes(answer: { request, body in
            if request.method == "POST" {
                return .text("\((try? await body.collect(limitBytes: 10 << 20))?.count ?? -1) \(request.isSecure)")
            }
            return HTTPResponse(body: .bytes(large))
        })
        try await withTLS(routes) { port, certificates in
            let response = try await client(certificates).request("GET", "https://localhost:\(port)/")
            #expect(try await response.body.collect(limitBytes: 10 << 20) == large)
            let posted = try await client(certificates).request("POST", "https://127.0.0.1:\(port)/", body: large)
            #expect(try await posted.body.collect(limitBytes: 100) == Array("3000000 true".utf8))
        }
    }

    @Test func clientRefusesAStranger() async throws {
        try await withTLS { port, certificates in
            await #expect(throws: WebProblem.self) { _ = try await HTTPClient().request("GET", "https://localhost:\(port)/") }
            try await certificates.issue("other", subject: "/CN=other", names: "DNS:elsewhere.example")
            var insecure = HTTPClientOptions()
            insecure.insecure = true
            #expect(try await HTTPClient(options: insecure).request("GET", "https://localhost:\(port)/").status == 200)
        }
    }

    @Test func tellsPlainClientsToUseTLS() async throws {
        try await withTLS { port, _ in
            let answer = try await Wire.exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(answer.contains("use https"))
        }
    }

    @Test func knowsTheClientByItsCertificate() async throws {
        let routes = Routes(answer: { request, _ in
            guard let who = request.clientCertificate else { return .text("nobody") }
            return .text("\(who.commonName) of \(who.organizations.joined(separator: "+")) \(who.der.count > 100)")
        })
        try await withTLS(routes, configure: { $0.tls?.clientCA = $1.path("ca.pem") }) { port, certificates in
            try await certificates.issue("admin", subject: "/O=system:masters/O=staff/CN=admin")
            let known = try await client(certificates, as: "admin").request("GET", "https://localhost:\(port)/")
            #expect(try await known.body.collect(limitBytes: 100) == Array("admin of system:masters+staff true".utf8))
            let unknown = try await client(certificates).request("GET", "https://localhost:\(port)/")
            #expect(try await unknown.body.collect(limitBytes: 100) == Array("nobody".utf8))
            let strangers = try await Certificates()
            defer { strangers.remove() }
            try await strangers.issue("admin", subject: "/O=system:masters/CN=admin")
            var options = HTTPClientOptions()
            options.trustedCA = certificates.path("ca.pem")
            options.certificate = strangers.pair("admin")
            await #expect(throws: WebProblem.self) {
                _ = try await HTTPClient(options: options).request("GET", "https://localhost:\(port)/")
            }
        }
    }

    @Test func choosesTheCertificateByName() async throws {
        try await withTLS(configure: { configuration, certificates in
            for (file, name) in [("one", "one.example"), ("wild", "*.two.example")] {
                try? await certificates.issue(file, subject: "/CN=\(file)", names: "DNS:\(name)")
                configuration.tls?.byName[name] = certificates.pair(file)
            }
        }) { port, certificates in
            for name in ["one.example", "x.two.example", "localhost"] {
                let result = try await curl(
                    "--cacert", certificates.path("ca.pem"), "--resolve", "\(name):\(port):127.0.0.1", "https://\(name):\(port)/")
                #expect(result.output == "hello\n")
            }
        }
    }

    @Test func reloadsItsCertificateWithoutARestart() async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        try await certificates.issue("server", subject: "/CN=first")
        let pair = certificates.pair("server")
        var configuration = WebServerConfiguration(tls: TLSFiles(certificate: pair.certificate, key: pair.key))
        configuration.port = 0
        let server = WebServer(configuration: configuration, handler: Routes())
        let port = try await server.start()
        func shown() async throws -> String {
            let result = try await curl("-v", "--cacert", certificates.path("ca.pem"), "https://localhost:\(port)/")
            return result.output.split(separator: "\n").first { $0.contains("subject: CN=") }.map(String.init) ?? result.output
        }
        #expect(try await shown().hasSuffix("CN=first"))
        try await certificates.issue("server", subject: "/CN=second")
        #expect(try await shown().hasSuffix("CN=first"))
        try await server.reloadCertificates()
        #expect(try await shown().hasSuffix("CN=second"))
        try "rubbish".write(toFile: pair.certificate, atomically: true, encoding: .utf8)
        await #expect { try await server.reloadCertificates() } throws: { ($0 as? WebProblem)?.reason == "BadCertificate" }
        #expect(try await shown().hasSuffix("CN=second"))
        await server.stop()
    }

    @Test func refusesToStartWithABadCertificate() async throws {
        let configuration = WebServerConfiguration(tls: TLSFiles(certificate: "/no/such.pem", key: "/no/such.key"))
        let server = WebServer(configuration: configuration, handler: Routes())
        await #expect { _ = try await server.start() } throws: { ($0 as? WebProblem)?.reason == "BadCertificate" }
    }

    @Test func speaksHTTP2OverTLS() async throws {
        let routes = Routes(answer: { request, body in
            let bytes = (try? await body.collect(limitBytes: 10 << 20)) ?? []
            return .text(
                "\(request.version.rawValue) \(request.method) \(request.target) \(request.authority.hasPrefix("localhost:")) \(bytes.count)\n"
            )
        })
        try await withTLS(routes, configure: { configuration, _ in configuration.offersHTTP2 = true }) { port, certificates in
            let base = ["--http2", "--cacert", certificates.path("ca.pem")]
            let got = try await curl(base[0], base[1], base[2], "https://localhost:\(port)/a?b=c")
            #expect(got.output == "HTTP/2 GET /a?b=c true 0\n")
            let file = certificates.path("upload")
            try Data(repeating: 5, count: 1_000_000).write(to: URL(fileURLWithPath: file))
            let posted = try await curl(base[0], base[1], base[2], "--data-binary", "@\(file)", "https://localhost:\(port)/p")
            #expect(posted.output == "HTTP/2 POST /p true 1000000\n")
            let empty = try await curl(base[0], base[1], base[2], "-X", "POST", "-H", "Content-Length: 0", "https://localhost:\(port)/e")
            #expect(empty.output == "HTTP/2 POST /e true 0\n")
            let unsized = try await curl(
                base[0], base[1], base[2], "-X", "POST", "https://localhost:\(port)/u")
            #expect(unsized.output.contains("needs a Content-Length"))
            let deleted = try await curl(base[0], base[1], base[2], "-X", "DELETE", "https://localhost:\(port)/d")
            #expect(deleted.output == "HTTP/2 DELETE /d true 0\n")
        }
    }

    @Test func sendsLargeAndStreamedBodiesOverHTTP2() async throws {
        let routes = Routes(answer: { request, _ in
            if request.path == "/bytes" { return HTTPResponse(body: .bytes([UInt8](repeating: 3, count: 5_000_000))) }
            return HTTPResponse(
                body: .stream(
                    HTTPBodyStream { writer in
                        for index in 0..<50 {
                            try await writer.write([UInt8](repeating: UInt8(index), count: 20_000))
                            if index % 10 == 0 { try await Task.sleep(nanoseconds: 1_000_000) }
                        }
                    }))
        })
        try await withTLS(routes, configure: { configuration, _ in configuration.offersHTTP2 = true }) { port, certificates in
            for (path, size) in [("/bytes", "5000000"), ("/stream", "1000000")] {
                let result = try await curl(
                    "--http2", "--cacert", certificates.path("ca.pem"), "-o", "/dev/null", "-w",
                    "%{http_version} %{http_code} %{size_download}",
                    "https://localhost:\(port)\(path)")
                #expect(result.output == "2 200 \(size)")
            }
        }
    }

    @Test func speaksHTTP2ByPriorKnowledge() async throws {
        try await withServer(configure: { $0.offersHTTP2 = true }) { port in
            let result = try await curl("--http2-prior-knowledge", "-w", "%{http_version}", "http://127.0.0.1:\(port)/")
            #expect(result.output == "hello\n2")
        }
    }

    @Test func splicesBehindTLS() async throws {
        try await withServer(
            Routes(answer: { request, body in
                .text(
                    "node got \(request.method) \((try? await body.collect(limitBytes: 10 << 20))?.count ?? -1) \(request.headers["cookie"] ?? "no cookie")\n"
                )
            })
        ) { nodePort in
            var options = SpliceOptions()
            options.dropCookies = ["key"]
            let opener = Opener.to(nodePort, options)
            try await withTLS(configure: { configuration, certificates in
                try? await certificates.issue("node", subject: "/CN=node", names: "DNS:node.example")
                configuration.tls?.byName["node.example"] = certificates.pair("node")
                configuration.frontDoor = Door(opener)
            }) { port, certificates in
                let file = certificates.path("upload")
                try Data(repeating: 5, count: 2_000_000).write(to: URL(fileURLWithPath: file))
                let result = try await curl(
                    "--cacert", certificates.path("ca.pem"), "--resolve", "node.example:\(port):127.0.0.1", "-b", "key=1", "--data-binary",
                    "@\(file)",
                    "https://node.example:\(port)/")
                #expect(result.output == "node got POST 2000000 no cookie\n")
                let own = try await client(certificates).request("GET", "https://localhost:\(port)/")
                #expect(own.status == 200)
            }
        }
    }

    @Test func splicesToANodeThatSpeaksTLS() async throws {
        try await withTLS(Routes(answer: { _, _ in HTTPResponse(body: .bytes([UInt8](repeating: 8, count: 4_000_000))) })) { nodePort, _ in
            var options = SpliceOptions()
            options.upstreamTLS = true
            let opener = Opener.to(nodePort, options)
            try await withServer(configure: { $0.frontDoor = Door(opener) }) { port in
                let result = try await curl(
                    "--resolve", "node.localhost:\(port):127.0.0.1", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
                    "http://node.localhost:\(port)/")
                #expect(result.output == "200 4000000")
            }
        }
    }

    @Test func findsTheServerNameInAnyPiecesOfAClientHello() throws {
        // A minimal ClientHello: version, random, no session, one suite, no compression, one server_name extension.
        let name = Array("node1.example".utf8)
        let entry: [UInt8] = [0, 0, UInt8(name.count)] + name
        let list: [UInt8] = [0, UInt8(entry.count)] + entry
        let extensions: [UInt8] = [0, 0, 0, UInt8(list.count)] + list
        let body: [UInt8] =
            [3, 3] + [UInt8](repeating: 7, count: 32) + [0, 0, 2, 0x13, 1, 1, 0] + [0, UInt8(extensions.count)] + extensions
        let message: [UInt8] = [1, 0, 0, UInt8(body.count)] + body
        let record: [UInt8] = [22, 3, 1, 0, UInt8(message.count)] + message
        #expect(ClientHello.serverName(record) == .name("node1.example"))
        for length in 0..<record.count { #expect(ClientHello.serverName(record.prefix(length)) == .incomplete) }
        let split: [UInt8] = [22, 3, 1, 0, 10] + message.prefix(10) + [22, 3, 1, 0, UInt8(message.count - 10)] + message.dropFirst(10)
        #expect(ClientHello.serverName(split) == .name("node1.example"))
        #expect(ClientHello.serverName([22, 3, 1, 0, 4, 2, 0, 0, 0] as [UInt8]) == .none)
        // Lengths that lie must not be believed.
        for index in 5..<record.count {
            var broken = record
            broken[index] = 255
            _ = ClientHello.serverName(broken)
        }
    }
}
