// Requests that nobody should send, and what they are answered with.
import ClusterClient
import ClusterModel
import ClusterWire
import Crypto
import Essentials
import Testing
import Web

@Suite struct HostileTests {
    private static func post(_ body: [UInt8], type: String = "application/json", _ path: String = "/api/v1/namespaces/default/configmaps")
        -> HTTPSessionRequest
    {
        HTTPSessionRequest(method: "POST", target: path, headers: [("content-type", type)], body: body)
    }

    @Test func brokenBodiesAreRefused() async throws {
        let live = try await LiveServer()
        let session = try live.session(try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"]))
        let deep = String(repeating: "[", count: 20_000)
        let cases: [(body: [UInt8], type: String, status: Int)] = [
            (Array("{".utf8), "application/json", 400), (Array("[]".utf8), "application/json", 400),
            (Array("null".utf8), "application/json", 400),
            (Array(deep.utf8), "application/json", 400), ([0xFF, 0xFE, 0x00], "application/json", 400),
            (Array("{\"metadata\":{\"name\":5}}".utf8), "application/json", 400),
            (Array("{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":1}}".utf8), "application/json", 400),
            (Array("a: [".utf8), "application/yaml", 400), (Array("\t- x".utf8), "application/yaml", 400),
            (Array("a: &a [*a]".utf8), "application/yaml", 400),
            (Array("k8s\u{0}".utf8) + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "application/vnd.kubernetes.protobuf", 400),
            (Array("k8s\u{0}".utf8), "application/vnd.kubernetes.protobuf", 400), (Array("x".utf8), "text/html", 415),
            (Array("{\"metadata\":{\"name\":\"A B\"}}".utf8), "application/json", 422),
            (Array("metadata: {name: from-yaml}\ndata: {k: v}\n".utf8), "application/yaml", 201),
        ]
        for (body, type, status) in cases {
            let answer = try await session.send(Self.post(body, type: type))
            #expect(
                answer.status == status,
                "\(type) \(String(decoding: body.prefix(40), as: UTF8.self)): \(answer.status) \(answer.text.prefix(200))")
            #expect(answer.document["kind"]?.string != nil)
        }
        // Aliases that multiply.
        var bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        for (name, before) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
            bomb += "\(name): &\(name) [" + Array(repeating: "*\(before)", count: 10).joined(separator: ",") + "]\n"
        }
        #expect(try await session.send(Self.post(Array(bomb.utf8), type: "application/yaml")).status == 400)
        await live.stop()
    }

    @Test func hugeBodiesAreRefused() async throws {
        let live = try await LiveServer()
        let session = try live.session(try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"]))
        let document: JSON = ["metadata": ["name": "big"], "data": ["k": JSON(String(repeating: "x", count: 2 << 20))]]
        let large = try await session.send(Self.post(document.bytes))
        #expect(large.status == 413 || large.status == 422, "\(large.status)")
        let huge = try await session.send(Self.post([UInt8](repeating: 32, count: (3 << 20) + 1)))
        #expect(huge.status == 413 && huge.document["reason"] == "RequestEntityTooLarge")
        #expect(huge.document["message"] == "Request entity too large: limit is 3145728")
        await live.stop()
    }

    @Test func strangePathsAreNotFoundOrRefused() async throws {
        let live = try await LiveServer()
        let session = try live.session(try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"]))
        for (path, status) in [
            ("/api/v1/namespaces/default/pods/..%2f..", 404), ("/api/v1/namespaces/default/pods/%00", 400), ("/apis/none/v1/things", 404),
            ("/api/v1/namespaces/default/nothings", 404), ("/api/v1/%zz", 400), ("/api/v1/pods?limit=x", 400),
            ("/api/v1/pods?fieldSelector=spec.nothing%3D1", 400), ("/api/v1/pods?labelSelector=a+in", 400),
            ("/api/v1/pods?watch=true&resourceVersion=abc", 400),
        ] {
            let answer = try await session.send(HTTPSessionRequest(target: path))
            #expect(
                answer.status == status || (status == 404 && answer.status == 400), "\(path): \(answer.status) \(answer.text.prefix(120))")
        }
        await live.stop()
    }

    /// Watchers that never read cost no more than a bounded part of what happens, and others hear of everything.
    @Test func watchersThatNeverReadAreHarmless() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        let identity = try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"])
        var sleepers: [SessionStream] = []
        for _ in 0..<10 {
            let answer = try await live.session(identity).send(
                HTTPSessionRequest(target: "/api/v1/namespaces/default/configmaps?watch=true", streams: true))
            if case .stream(let stream) = answer.body { sleepers.append(stream) }
        }
        let text = String(repeating: "x", count: 200_000)
        let before = residentKiB()
        for index in 0..<150 {
            _ = try await admin.create(
                .configMaps, namespace: "default", ["metadata": ["name": JSON("c\(index)")], "data": ["k": JSON(text)]])
        }
        #expect(sleepers.count == 10)
        // 150 × 200 KB = 30 MB for each of ten, were it kept for each.
        #expect(residentKiB() - before < 150 << 10, "\(residentKiB() - before) KiB")
        _ = try await admin.get(.configMaps, namespace: "default", name: "c149")
        await live.stop()
    }

    @Test func watchEventsArriveInOrder() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        let version = try await admin.list(.configMaps, namespace: "default").resourceVersion
        let watching = Task {
            var names: [String] = []
            for try await event in admin.watch(.configMaps, namespace: "default", options: ListOptions(resourceVersion: version)) {
                names.append("\(event.kind.rawValue) \(event.object.metaName)")
                if names.count == 21 { break }
            }
            return names
        }
        for index in 0..<20 { _ = try await admin.create(.configMaps, namespace: "default", ["metadata": ["name": JSON("c\(index)")]]) }
        try await admin.delete(.configMaps, namespace: "default", name: "c3")
        let names = try await watching.value
        #expect(names == (0..<20).map { "ADDED c\($0)" } + ["DELETED c3"])
        await live.stop()
    }

    @Test func aServerThatIsGoneIsSaidSo() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        _ = try await admin.list(.namespaces)
        await live.stop()
        let gone = await problem { _ = try await admin.list(.namespaces) }
        #expect(gone?.code == 503 && gone?.retryAfterSeconds != nil)
    }

    @Test func aServerOfAnotherAuthorityIsNotTrusted() async throws {
        let live = try await LiveServer()
        var configuration = live.configuration()
        configuration.authority = .text(try CertificateAuthority(commonName: "other").certificate.pem)
        let client = ClusterClient(transport: try HTTPSTransport(configuration))
        #expect(await problem { _ = try await client.list(.namespaces) }?.message.contains("certificate") == true)
        await live.stop()
    }
}
