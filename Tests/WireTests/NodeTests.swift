// What the API server asks of kubelets and others on a client's behalf: logs and proxied requests.
import ClusterClient
import ClusterModel
import ClusterWire
import Crypto
import Essentials
import Testing
import Web

@Suite struct NodeTests {
    /// A kubelet that tells what it was asked, and by whom.
    private struct FakeKubelet: WireHandler {
        func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
            guard request.clientCertificate?.commonName == "kube-apiserver-kubelet-client" else {
                return .text("Unauthorized", status: 401)
            }
            guard request.path.hasPrefix("/containerLogs/") else { return .text("\(request.method) \(request.target)") }
            if request.path.hasSuffix("/broken") {
                return .text("container \"broken\" is waiting to start: ContainerCreating", status: 400)
            }
            return HTTPResponse(
                body: .stream(
                    HTTPBodyStream { writer in
                        try await writer.write("line 1\n")
                        try await writer.write("asked \(request.target)\n")
                    }))
        }
    }

    private func withNode(_ body: (LiveServer, ClusterClient) async throws -> Void) async throws {
        let live = try await LiveServer()
        let identity = try live.authority.issueServer(commonName: "system:node:node1", names: ["127.0.0.1"])
        let tls = TLSFiles(
            certificate: live.folder.write("kubelet.crt", identity.certificate.pem),
            key: live.folder.write("kubelet.key", identity.key.pem),
            clientCA: live.folder.path + "/ca.crt")
        let kubelet = WireServer(configuration: WireServerConfiguration(tls: tls), handler: FakeKubelet())
        let port = try await kubelet.start()
        let inside = live.inside
        _ = try await inside.create(.nodes, ["metadata": ["name": "node1"]])
        try await inside.modify(.nodes, name: "node1", status: true) { node in
            node["status"] = [
                "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
                "daemonEndpoints": ["kubeletEndpoint": ["Port": JSON(Int(port))]],
            ]
            return true
        }
        _ = try await inside.create(.serviceAccounts, namespace: "default", ["metadata": ["name": "default"]])
        _ = try await inside.create(
            .pods, namespace: "default",
            [
                "metadata": ["name": "p", "labels": ["app": "p"]],
                "spec": ["nodeName": "node1", "containers": [["name": "main", "image": "a"], ["name": "broken", "image": "b"]]],
            ])
        try await body(live, inside)
        await kubelet.stop()
        await live.stop()
    }

    @Test func logsComeFromTheNode() async throws {
        try await withNode { live, _ in
            let session = try live.session(try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"]))
            let path = "/api/v1/namespaces/default/pods/p/log?container="
            let answer = try await session.send(HTTPSessionRequest(target: path + "main&tailLines=5&timestamps=true"))
            #expect(answer.text == "line 1\nasked /containerLogs/default/p/main?timestamps=true&tailLines=5\n")
            let followed = try await session.send(HTTPSessionRequest(target: path + "main&follow=true", streams: true))
            guard case .stream(let stream) = followed.body else { return }
            var bytes: [UInt8] = []
            while let part = await stream.next() { bytes += part }
            #expect(String(decoding: bytes, as: UTF8.self).contains("follow=true"))
            let broken = try await session.send(HTTPSessionRequest(target: path + "broken"))
            #expect(broken.status == 400 && broken.document["message"]?.string?.contains("ContainerCreating") == true)
        }
    }

    @Test func requestsArePassedOn() async throws {
        try await withNode { live, inside in
            let other = WireServer(configuration: WireServerConfiguration(), handler: PlainEcho())
            let port = Int(try await other.start())
            try await inside.modify(.pods, namespace: "default", name: "p", status: true) { pod in
                pod["status"] = ["podIP": "127.0.0.1", "phase": "Running"]
                return true
            }
            let session = try live.session(try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"]))
            func get(_ path: String, _ method: String = "GET", _ body: String = "") async throws -> HTTPSessionAnswer {
                try await session.send(HTTPSessionRequest(method: method, target: "/api/v1" + path, body: Array(body.utf8)))
            }
            #expect(try await get("/nodes/node1/proxy/healthz?x=1").text == "GET /healthz?x=1")
            #expect(try await get("/namespaces/default/pods/p:\(port)/proxy/a/b?c=d").text == "GET /a/b?c=d ")
            #expect(try await get("/namespaces/default/pods/http:p:\(port)/proxy/", "POST", "hello").text == "POST / hello")
            #expect(try await get("/namespaces/default/pods/p:1/proxy/").status == 503)
            _ = try await inside.create(.services, namespace: "default", ["metadata": ["name": "web"], "spec": ["ports": [["port": 80]]]])
            let none = try await get("/namespaces/default/services/web:80/proxy/")
            #expect(none.status == 503 && none.document["message"] == "no endpoints available for service \"web\"")
            await other.stop()
        }
    }

    private struct PlainEcho: WireHandler {
        func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
            .text("\(request.method) \(request.target) \(String(decoding: body, as: UTF8.self))")
        }
    }

    @Test func everyRequestIsInTheAuditLog() async throws {
        let live = try await LiveServer()
        let jane = try live.client("jane")
        _ = await problem { _ = try await jane.list(.secrets, namespace: "kube-system") }
        var lines: [JSON] = []
        for line in live.folder.read("audit.log").split(separator: "\n") { lines.append(try JSON(parsing: String(line))) }
        let entry = try #require(lines.first { $0["user"]?["username"] == "jane" })
        #expect(
            entry["verb"] == "list" && entry["objectRef"]?["resource"] == "secrets" && entry["objectRef"]?["namespace"] == "kube-system")
        #expect(entry["responseStatus"]?["code"]?.int == 403 && entry["level"] == "Metadata" && entry["sourceIPs"] == ["127.0.0.1"])
        await live.stop()
    }
}
