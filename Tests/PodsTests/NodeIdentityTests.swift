// How a node gets its certificate, and who may ask its kubelet.
import ClusterClient
import ClusterModel
import ClusterWire
import Crypto
import Essentials
import Kernel
import NodeKubelet
import Pods
import Synchronization
import Testing
import Web

@Suite(.serialized) struct NodeIdentityTests {
    @Test func aBootstrapTokenBecomesACertificate() async throws {
        let harness = try await KubeletHarness()
        let kernel = LinuxKernel()
        defer { _ = try? kernel.removeTree(harness.folder) }
        let authority = try CertificateAuthority(commonName: "kubernetes")
        let pem = Base64.encode(Array(authority.certificate.pem.utf8))
        let bootstrap = harness.folder + "/bootstrap.conf"
        try kernel.write(
            bootstrap,
            text: """
                apiVersion: v1
                kind: Config
                current-context: c
                clusters: [{name: k, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: \(pem)}}]
                contexts: [{name: c, context: {cluster: k, user: u}}]
                users: [{name: u, user: {token: abcdef.0123456789abcdef}}]
                """)
        let certificates = ClientCertificates(
            nodeName: "node1", folder: harness.folder + "/pki", kubeconfig: harness.folder + "/kubelet.conf", bootstrapKubeconfig: bootstrap
        )
        // Who approves and signs.
        let signer = Task {
            while !Task.isCancelled {
                for request in try await harness.client.list(.certificateSigningRequests).items
                where request["status"]?["certificate"] == nil {
                    let identity = try authority.issueClient(commonName: "system:node:node1", organizations: ["system:nodes"])
                    var signed = request
                    signed["status"] = [
                        "conditions": [["type": "Approved", "status": "True"]],
                        "certificate": JSON(Base64.encode(Array(identity.certificate.pem.utf8))),
                    ]
                    _ = try await harness.client.updateStatus(.certificateSigningRequests, signed)
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        defer { signer.cancel() }
        let configuration = try await certificates.ensure { _ in harness.wire }
        #expect(configuration.server == "https://127.0.0.1:1")
        let request = try #require(try await harness.client.list(.certificateSigningRequests).items.first)
        #expect(request.metaName.hasPrefix("csr-"))
        #expect(request["spec"]?["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet")
        let current = try kernel.readText(harness.folder + "/pki/kubelet-client-current.pem")
        #expect(try Certificate(pem: current).commonName == "system:node:node1")
        _ = try PrivateKey(pem: current)
        // There is one now: nothing is asked for again.
        _ = try await certificates.ensure { _ in harness.wire }
        #expect(try await harness.client.list(.certificateSigningRequests).items.count == 1)
        // Near its end it is renewed.
        try await certificates.renewIfDue(harness.client)
        #expect(try await harness.client.list(.certificateSigningRequests).items.count == 1)
        try await certificates.renewIfDue(harness.client, now: SystemClock().now().adding(seconds: 300 * 86400))
        #expect(try await harness.client.list(.certificateSigningRequests).items.count == 2)
    }

    @Test func withoutAnyKubeconfigItSaysSo() async throws {
        let certificates = ClientCertificates(
            nodeName: "n", folder: "/nonexistent", kubeconfig: "/nonexistent/k", bootstrapKubeconfig: "/nonexistent/b")
        await #expect {
            _ = try await certificates.ensure { _ in NoCluster() }
        } throws: {
            ($0 as? KubeletProblem)?.message
                == "failed to run Kubelet: unable to load bootstrap kubeconfig: stat /nonexistent/b: no such file or directory"
        }
    }

    @Test func onlyTheClusterMayAsk() async throws {
        var harness = try await KubeletHarness()
        let kernel = LinuxKernel()
        let authority = try CertificateAuthority(commonName: "kubernetes")
        let ca = harness.folder + "/ca.crt"
        try kernel.write(ca, text: authority.certificate.pem)
        func pair(_ name: String, _ identity: Identity) throws -> CertificateFiles {
            let files = CertificateFiles(certificate: "\(harness.folder)/\(name).crt", key: "\(harness.folder)/\(name).key")
            try kernel.write(files.certificate, text: identity.certificate.pem)
            try kernel.write(files.key, text: identity.key.pem)
            return files
        }
        let server = try pair(
            "server", authority.issueClient(commonName: "kube-apiserver-kubelet-client", organizations: ["kubeadm:cluster-admins"]))
        let other = try pair("other", authority.issueClient(commonName: "someone"))
        let stranger = try pair(
            "stranger", CertificateAuthority(commonName: "other").issueClient(commonName: "kube-apiserver-kubelet-client"))
        let port = UInt16.random(in: 20000..<30000)
        harness.settings.port = port
        harness.settings.address = "127.0.0.1"
        harness.settings.clientCA = ca
        try await harness.run { [harness] _ in
            func get(_ path: String, _ files: CertificateFiles?) async throws -> (status: Int, text: String) {
                var options = HTTPClientOptions()
                options.insecure = true
                options.certificate = files
                let answer = try await HTTPClient(options: options).request("GET", "https://127.0.0.1:\(port)\(path)")
                return (answer.status, String(decoding: try await answer.body.collect(limitBytes: 1 << 20), as: UTF8.self))
            }
            try await harness.create(
                "web", spec: ["containers": [["name": "c", "image": "alpine", "imagePullPolicy": "IfNotPresent"]]])
            try await harness.eventually("web is ready") { await harness.isReady("web") }
            try await harness.eventually("it listens") { (try? await get("/healthz", server))?.status == 200 }
            #expect(try await get("/pods", nil).status == 401)
            #expect(try await get("/pods", stranger).status == 401)
            #expect(try await get("/pods", other).status == 403)
            let pods = try JSON(parsing: Array(try await get("/pods", server).text.utf8))
            #expect(pods["items"]?[0]?["metadata"]?["name"] == "web")
            #expect(pods["items"]?[0]?["status"]?["phase"] == "Running")
            #expect(try await get("/containerLogs/default/web/c", server).text == "log of c 0\n")
            #expect(try await get("/containerLogs/default/web/c?previous=true", server).status == 400)
            #expect(try await get("/containerLogs/default/none/c", server).status == 404)
            let summary = try JSON(parsing: Array(try await get("/stats/summary", server).text.utf8))
            #expect(summary["pods"]?[0]?["podRef"]?["name"] == "web")
            let metrics = try await get("/metrics/resource", server).text
            #expect(metrics.contains("container_memory_working_set_bytes{container=\"c\",namespace=\"default\",pod=\"web\"} 1048576"))
        }
    }
}
