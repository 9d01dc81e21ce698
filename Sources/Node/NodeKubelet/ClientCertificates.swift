// How the kubelet says who it is: a kubeconfig with a certificate, which it first gets with a bootstrap token and later renews.
//
//     bootstrap kubeconfig → CertificateSigningRequest → approved and signed → pki/kubelet-client-DATE.pem (certificate and
//     key), pki/kubelet-client-current.pem → the newest; kubelet.conf names the link, so that renewal changes no other file.
package import ClusterClient
package import ClusterModel
package import ClusterWire
internal import Crypto
package import Essentials
internal import Kernel
internal import Logging
internal import Synchronization

package struct ClientCertificates: Sendable {
    static let signer = "kubernetes.io/kube-apiserver-client-kubelet"
    /// When this share of a certificate's life is over, a new one is asked for.
    static let share = 0.8
    /// An answer to a request is waited for so long, in seconds; then another request is made.
    static let waitSeconds = 900.0
    private static let retryMilliseconds = [50, 100, 200, 500, 1000, 2000, 5000]

    package let nodeName: String
    package let folder: String
    package let kubeconfig: String
    package let bootstrapKubeconfig: String?
    private let log = Logger(label: "kubelet")

    package init(nodeName: String, folder: String, kubeconfig: String, bootstrapKubeconfig: String?) {
        self.nodeName = nodeName
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.bootstrapKubeconfig = bootstrapKubeconfig
    }

    private var current: String { folder + "/kubelet-client-current.pem" }

    /// The way to the API server: the kubeconfig, made first where there is only a bootstrap one. `transport` makes connections.
    package func ensure(_ transport: @Sendable (ClusterConfiguration) throws -> any ClusterTransport) async throws -> ClusterConfiguration {
        if isUsable { return try ClusterConfiguration(kubeconfig: kubeconfig) }
        guard let bootstrapKubeconfig, LinuxKernel().exists(bootstrapKubeconfig) else {
            if LinuxKernel().exists(kubeconfig) { return try ClusterConfiguration(kubeconfig: kubeconfig) }
            throw KubeletProblem.noKubeconfig(bootstrapKubeconfig ?? kubeconfig)
        }
        log.notice("bootstrapping: asking for a client certificate", metadata: ["node": "\(nodeName)"])
        let bootstrap = try ClusterConfiguration(kubeconfig: bootstrapKubeconfig)
        let client = ClusterClient(transport: try transport(bootstrap), user: UserInfo(name: "system:bootstrap"))
        var attempt = 0
        while true {
            do {
                try store(try await request(client))
                break
            } catch {
                try Task.checkCancellation()
                if attempt == 0 || attempt % 10 == 9 { log.warning("no client certificate yet", metadata: ["cause": "\(error)"]) }
            }
            try await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(attempt, Self.retryMilliseconds.count - 1)]))
            attempt += 1
        }
        try write(kubeconfigOf: bootstrap)
        return try ClusterConfiguration(kubeconfig: kubeconfig)
    }

    // A kubeconfig whose certificate has run out is no better than none.
    private var isUsable: Bool {
        guard let configuration = try? ClusterConfiguration(kubeconfig: kubeconfig), let secret = configuration.certificate else {
            return false
        }
        let text: String?
        switch secret {
        case .text(let pem): text = pem
        case .file(let path): text = try? LinuxKernel().readText(path)
        }
        guard let text, let certificate = try? Certificate(pem: text) else { return false }
        return certificate.expiresAt > SystemClock().now()
    }

    private func request(_ client: ClusterClient) async throws -> (certificate: String, key: String) {
        let key = try PrivateKey()
        let request = try SigningRequest.make(key: key, commonName: "system:node:\(nodeName)", organizations: ["system:nodes"])
        let made = try await client.create(
            .certificateSigningRequests,
            [
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["generateName": "csr-"],
                "spec": [
                    "request": JSON(Base64.encode(Array(request.utf8))), "signerName": JSON(Self.signer),
                    "usages": ["digital signature", "client auth"],
                ],
            ])
        let certificate = try await signed(made.metaName, from: made, client)
        return (certificate, key.pem)
    }

    private func signed(_ name: String, from first: JSON, _ client: ClusterClient) async throws -> String {
        if let certificate = try Self.certificate(first) { return certificate }
        let end = monotonicSeconds() + Self.waitSeconds
        while monotonicSeconds() < end {
            do {
                let options = ListOptions(fieldSelector: "metadata.name=\(name)")
                for try await event in client.watch(.certificateSigningRequests, options: options, timeoutSeconds: 60) {
                    if let certificate = try Self.certificate(event.object) { return certificate }
                }
            } catch let problem as KubeletProblem { throw problem } catch { try Task.checkCancellation() }
            // Not every server lets everybody watch.
            if let certificate = try Self.certificate(try await client.get(.certificateSigningRequests, name: name)) { return certificate }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw KubeletProblem.noCertificate("timed out waiting for the certificate")
    }

    private static func certificate(_ request: JSON) throws(KubeletProblem) -> String? {
        for condition in request["status"]?["conditions"]?.array ?? [] {
            let type = condition["type"]?.string
            if type == "Denied" || type == "Failed" {
                throw .noCertificate("certificate signing request is \(type?.lowercased() ?? ""): \(condition["message"]?.string ?? "")")
            }
        }
        return request["status"]?["certificate"]?.string.flatMap(Base64.decode).map { String(decoding: $0, as: UTF8.self) }
    }

    private func store(_ pair: (certificate: String, key: String)) throws {
        let kernel = LinuxKernel()
        try kernel.makeDirectories(folder, mode: 0o755)
        let stamp = SystemClock().now().rfc3339.prefix(19).map { $0 == ":" || $0 == "T" ? "-" : $0 }
        let file = "\(folder)/kubelet-client-\(String(stamp))-\(Identifier.short(length: 4)).pem"
        try kernel.write(file, text: pair.certificate + (pair.certificate.hasSuffix("\n") ? "" : "\n") + pair.key, mode: 0o600)
        try? kernel.remove(current + ".new")
        try VolumeFiles.makeLink(file, at: current + ".new")
        try kernel.rename(current + ".new", to: current)
    }

    private func write(kubeconfigOf bootstrap: ClusterConfiguration) throws {
        var authority = ""
        switch bootstrap.authority {
        case .text(let pem): authority = "    certificate-authority-data: \(Base64.encode(Array(pem.utf8)))\n"
        case .file(let path): authority = "    certificate-authority: \(path)\n"
        case nil: break
        }
        let text = """
            apiVersion: v1
            clusters:
            - cluster:
            \(authority)    server: \(bootstrap.server)
              name: default-cluster
            contexts:
            - context:
                cluster: default-cluster
                namespace: default
                user: default-auth
              name: default-context
            current-context: default-context
            kind: Config
            preferences: {}
            users:
            - name: default-auth
              user:
                client-certificate: \(current)
                client-key: \(current)

            """
        let kernel = LinuxKernel()
        try kernel.write(kubeconfig + ".new", text: text, mode: 0o600)
        try kernel.rename(kubeconfig + ".new", to: kubeconfig)
        log.notice("client certificate is here", metadata: ["kubeconfig": "\(kubeconfig)"])
    }

    /// Asks for a new certificate when most of the present one's life is over; connections take it from then on.
    package func renewIfDue(_ client: ClusterClient, now: Timestamp = SystemClock().now()) async throws {
        guard let text = try? LinuxKernel().readText(current), let certificate = try? Certificate(pem: text),
            let begun = VolumeFiles.modifiedSeconds(current)
        else { return }
        let due = Double(begun) + Self.share * Double(certificate.expiresAt.seconds - begun)
        guard Double(now.seconds) >= due else { return }
        log.notice("renewing the client certificate")
        let old = VolumeFiles.readLink(current)
        try store(try await request(client))
        if let old { try? LinuxKernel().remove(old) }
    }
}

/// A cluster that is not there: every request fails. For a kubelet that runs manifests only.
package struct NoCluster: ClusterTransport {
    package init() {}
    package func send(_ request: APIRequest) async -> APIResponse {
        let problem = ClusterProblem.unavailable("this kubelet has no kubeconfig, so it runs static pods only")
        return APIResponse(status: problem.code, body: .object(problem.status))
    }
}
