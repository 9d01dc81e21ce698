// `kubeadm join`: finds the cluster by a token and a pinned key, and lets the kubelet get its own certificate.
internal import ClusterClient
internal import ClusterModel
internal import ClusterWire
internal import Crypto
internal import Essentials
internal import Yaml

extension Kubeadm {
    static let joinFlags: Set<String> = [
        "apiserver-advertise-address", "apiserver-bind-port", "certificate-key", "discovery-file", "discovery-token",
        "discovery-token-ca-cert-hash", "ignore-preflight-errors", "node-name", "patches", "skip-phases", "tls-bootstrap-token", "token",
    ]
    static let joinSwitches: Set<String> = [
        "control-plane", "experimental-control-plane", "discovery-token-unsafe-skip-ca-verification", "dry-run",
    ]
    /// A cluster that just began may sign its cluster-info a little later.
    private static let signatureSeconds = 3.0
    /// How long a server that does not answer is asked again.
    private static let discoverySeconds = 30.0

    func join(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        var kubeadm = self
        kubeadm.isJoining = true
        try await kubeadm.joinCluster(arguments)
    }

    private func joinSettings(_ arguments: KubeadmArguments) throws(KubeadmProblem) -> ClusterSettings {
        var settings = try settings(arguments)
        if arguments.words.count > 1 {
            place.complain(
                "[preflight] WARNING: More than one API server endpoint supplied on command line \(arguments.words). Using the first one.\n"
            )
        }
        if let server = arguments.words.first { settings.discovery.server = server }
        if let token = arguments["token"] {
            settings.discovery.token = token
            settings.discovery.tlsToken = token
        }
        if let token = arguments["discovery-token"] { settings.discovery.token = token }
        if let token = arguments["tls-bootstrap-token"] { settings.discovery.tlsToken = token }
        if let file = arguments["discovery-file"] { settings.discovery.file = file }
        settings.discovery.hashes += arguments.list("discovery-token-ca-cert-hash")
        if arguments.isOn("discovery-token-unsafe-skip-ca-verification") { settings.discovery.skipsAuthority = true }
        if arguments.isOn("control-plane") || arguments.isOn("experimental-control-plane") { settings.joinsControlPlane = true }
        if settings.discovery.tlsToken.isEmpty { settings.discovery.tlsToken = settings.discovery.token }
        return settings
    }

    private func validate(_ discovery: DiscoverySettings) throws(KubeadmProblem) {
        guard discovery.file.isEmpty else { return }
        guard !discovery.token.isEmpty || !discovery.server.isEmpty else {
            throw KubeadmProblem("discovery: Invalid value: \"\": bootstrapToken or file must be set")
        }
        var faults: [String] = []
        if discovery.token.isEmpty {
            faults.append("discovery.bootstrapToken.token: Invalid value: \"\": the bootstrap token is invalid")
        } else if (try? BootstrapToken.parse(discovery.token)) == nil {
            faults.append("discovery.bootstrapToken.token: Invalid value: \"\(discovery.token)\": the bootstrap token is invalid")
        }
        if !discovery.skipsAuthority, discovery.hashes.isEmpty {
            faults.append(
                "discovery.bootstrapToken.caCertHashes: Invalid value: \"\": using token-based discovery without caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or pass --discovery-token-unsafe-skip-ca-verification flag to continue"
            )
        }
        for hash in discovery.hashes where !hash.hasPrefix("sha256:") || Hex.decode(String(hash.dropFirst(7)))?.count != 32 {
            faults.append(
                "discovery.bootstrapToken.caCertHashes: Invalid value: \"\(hash)\": invalid hash, expected \"format:hex\" of sha256")
        }
        if !discovery.server.contains(":") {
            faults.append(
                "discovery.bootstrapToken: Invalid value: \"\(discovery.server)\": address \(discovery.server): missing port in address")
        }
        guard faults.isEmpty else { throw KubeadmProblem(faults.count == 1 ? faults[0] : "[\(faults.joined(separator: ", "))]") }
    }

    /// The server and the authority that the discovery found and trusts.
    struct Found {
        var server: String
        var authority: String
    }

    private func joinCluster(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        var settings = try joinSettings(arguments)
        try validate(settings.discovery)
        try Preflight(place: place, settings: settings).run(.join(controlPlane: settings.joinsControlPlane))
        let found = try await discover(settings.discovery)
        let token = try BootstrapToken.parse(settings.discovery.tlsToken)
        let access = try ClusterAccess(
            ClusterConfiguration(server: found.server, authority: .text(found.authority), token: .text(token.description)))

        place.print("[preflight] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...\n")
        place.print("[preflight] Use 'kubeadm init phase upload-config --config your-config.yaml' to re-upload it.\n")
        let kubelet = try await readCluster(access, &settings)
        settings.endpoint = settings.endpoint.isEmpty ? String(found.server.dropFirst("https://".count)) : settings.endpoint
        try await checkName(settings.nodeName, access)
        if arguments.isOn("dry-run") { return }
        if settings.joinsControlPlane { try await prepareControlPlane(settings, access, found) }

        try place.write(KubeadmDefaults.kubernetes + "/bootstrap-kubelet.conf", Self.tokenKubeconfig(found, token))
        if !place.exists(KubeadmDefaults.pki + "/ca.crt") { try place.write(KubeadmDefaults.pki + "/ca.crt", found.authority, mode: 0o644) }
        try writeKubeletFiles(settings, configuration: kubelet)
        try place.makeDirectory(KubeadmDefaults.manifests)
        try await startKubelet()
        try await waitForKubelet()
        place.print("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap\n")
        try await waitForKubeletConfig()
        place.remove(KubeadmDefaults.kubernetes + "/bootstrap-kubelet.conf")
        if settings.joinsControlPlane {
            try await finishControlPlane(settings)
            return
        }
        await fetchRootAccess(access)
        place.print(
            """

            This node has joined the cluster:
            * Certificate signing request was sent to apiserver and a response was received.
            * The Kubelet was informed of the new secure connection details.

            Run 'kubectl get nodes' on the control-plane to see this node join the cluster.


            """)
    }

    // MARK: Discovery

    private func discover(_ discovery: DiscoverySettings) async throws(KubeadmProblem) -> Found {
        let prefix = "error execution phase preflight: couldn't validate the identity of the API Server: "
        if !discovery.file.isEmpty {
            return try Self.readPublic(try text(of: discovery.file), discovery.file)
        }
        let token = try BootstrapToken.parse(discovery.token)
        let server = "https://\(discovery.server)"
        var insecure = ClusterConfiguration(server: server)
        insecure.isInsecure = true
        let start = monotonicSeconds()
        while true {
            let waited = monotonicSeconds() - start
            do throws(KubeadmProblem) {
                let info = try await clusterInfo(try ClusterAccess(insecure), prefix)
                let found = try verify(info, token, discovery, prefix)
                // The second question is asked of the server that the pinned key vouches for.
                guard !discovery.hashes.isEmpty else { return found }
                let again = try await clusterInfo(
                    try ClusterAccess(ClusterConfiguration(server: server, authority: .text(found.authority))), prefix)
                guard again["data"]?["kubeconfig"] == info["data"]?["kubeconfig"] else {
                    throw KubeadmProblem(prefix + "the second kubeconfig from API Server is different from the first")
                }
                return found
            } catch {
                // A server that is there and says no will say it again.
                let limit = error.reason == "NoSignature" ? Self.signatureSeconds : error.reason == "NotThere" ? Self.discoverySeconds : 0
                guard waited < limit else { throw error }
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func clusterInfo(_ access: ClusterAccess, _ prefix: String) async throws(KubeadmProblem) -> JSON {
        do throws(ClusterProblem) {
            return try await access.client.get(.configMaps, namespace: "kube-public", name: "cluster-info")
        } catch {
            throw KubeadmProblem(
                prefix + "failed to request the cluster-info ConfigMap: \(error.message)",
                reason: error.code >= 500 || error.isNotFound ? "NotThere" : error.reason)
        }
    }

    /// A kubeconfig for discovery names a cluster and needs nothing else.
    static func readPublic(_ text: String, _ source: String) throws(KubeadmProblem) -> Found {
        guard let document = try? YAML.document(Array(text.utf8)), let cluster = document["clusters"]?[0]?["cluster"],
            let server = cluster["server"]?.string,
            let authority = cluster["certificate-authority-data"]?.string.flatMap(Base64.decode)
        else { throw KubeadmProblem("\(source) has no cluster with a server and certificate-authority-data") }
        return Found(server: server, authority: String(decoding: authority, as: UTF8.self))
    }

    func verify(_ info: JSON, _ token: BootstrapToken, _ discovery: DiscoverySettings, _ prefix: String) throws(KubeadmProblem) -> Found {
        guard let kubeconfig = info["data"]?["kubeconfig"]?.string, !kubeconfig.isEmpty else {
            throw KubeadmProblem(
                prefix
                    + "there is no kubeconfig key in the cluster-info ConfigMap. This API Server isn't set up for token bootstrapping, can't connect"
            )
        }
        guard let signature = info["data"]?["jws-kubeconfig-\(token.id)"]?.string else {
            throw KubeadmProblem(
                prefix + "could not find a JWS signature in the cluster-info ConfigMap for token ID \"\(token.id)\"", reason: "NoSignature")
        }
        guard token.verifies(signature, of: kubeconfig) else {
            throw KubeadmProblem(prefix + "failed to verify JWS signature of received cluster info object, can't trust this API Server")
        }
        let found = try Self.readPublic(kubeconfig, "the cluster-info ConfigMap")
        if !discovery.hashes.isEmpty {
            let hash = try Self.hash(found.authority)
            guard discovery.hashes.contains(where: { $0.lowercased() == hash }) else {
                throw KubeadmProblem(
                    prefix + "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys \"\(hash)\" are pinned",
                    reason: "WrongHash")
            }
        }
        return found
    }

    // MARK: Steps

    /// Takes over what the cluster is; answers with the kubelet's configuration.
    private func readCluster(_ access: ClusterAccess, _ settings: inout ClusterSettings) async throws(KubeadmProblem) -> String {
        let what = "error execution phase preflight: unable to fetch the kubeadm-config ConfigMap: failed to get config map"
        let configuration = try await access.read(.configMaps, "kube-system", "kubeadm-config", what)
        let kubelet = try await access.read(.configMaps, "kube-system", "kubelet-config", what)
        let own = settings
        try settings.read(configuration["data"]?["ClusterConfiguration"]?.string ?? "")
        settings.nodeName = own.nodeName
        settings.advertiseAddress = own.advertiseAddress
        settings.bindPort = own.bindPort
        return kubelet["data"]?["kubelet"]?.string ?? YAML.text(settings.kubeletConfiguration)
    }

    private func checkName(_ name: String, _ access: ClusterAccess) async throws(KubeadmProblem) {
        guard let node = try? await access.client.get(.nodes, name: name) else { return }
        let isReady = node["status"]?["conditions"]?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" } ?? false
        if isReady {
            throw KubeadmProblem(
                "error execution phase kubelet-start: a Node with name \"\(name)\" and status \"Ready\" already exists in the cluster. "
                    + "You must delete the existing Node or change the name of this new joining Node")
        }
    }

    static func tokenKubeconfig(_ found: Found, _ token: BootstrapToken) -> String {
        YAML.text([
            "apiVersion": "v1",
            "clusters": [
                [
                    "cluster": [
                        "certificate-authority-data": JSON(Base64.encode(Array(found.authority.utf8))), "server": JSON(found.server),
                    ], "name": "kubernetes",
                ]
            ],
            "contexts": [
                ["context": ["cluster": "kubernetes", "user": "tls-bootstrap-token-user"], "name": "tls-bootstrap-token-user@kubernetes"]
            ],
            "current-context": "tls-bootstrap-token-user@kubernetes", "kind": "Config", "preferences": .emptyObject,
            "users": [["name": "tls-bootstrap-token-user", "user": ["token": JSON(token.description)]]],
        ])
    }

    private func waitForKubeletConfig() async throws(KubeadmProblem) {
        let start = monotonicSeconds()
        while !place.exists(KubeadmDefaults.kubernetes + "/kubelet.conf") {
            guard monotonicSeconds() - start < waitSeconds else {
                throw KubeadmProblem(
                    "error execution phase kubelet-start: timed out waiting for the kubelet to perform the TLS Bootstrap; "
                        + "see 'journalctl -xeu kubelet'")
            }
            try? await Task.sleep(for: ClusterAccess.pause)
        }
    }

    /// In a lab, root of every node is the cluster's administrator; the token that let the node in lets it read this, too.
    private func fetchRootAccess(_ access: ClusterAccess) async {
        guard lab.givesRootAccess else { return }
        do throws(KubeadmProblem) {
            let secret = try await access.read(.secrets, "kube-system", ClusterObjects.adminSecret, "no kubeconfig for root")
            guard let bytes = secret["data"]?["admin.conf"]?.string.flatMap(Base64.decode) else { return }
            try place.write("/root/.kube/config", String(decoding: bytes, as: UTF8.self))
        } catch {
            // The node has joined all the same.
            place.complain("[kubelet-start] WARNING: kubectl does not work here yet: \(error.message)\n")
        }
    }

    // MARK: A further control plane

    private func prepareControlPlane(_ settings: ClusterSettings, _ access: ClusterAccess, _ found: Found) async throws(KubeadmProblem) {
        guard let key = settings.certificateKey.flatMap(Hex.decode), key.count == SealedBox.keyBytes else {
            throw KubeadmProblem(
                "error execution phase control-plane-prepare/download-certs: error downloading certs: decryption key must be given: "
                    + "--certificate-key")
        }
        place.print("[download-certs] Downloading the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace\n")
        let secret: JSON
        do throws(ClusterProblem) {
            secret = try await access.client.get(.secrets, namespace: "kube-system", name: ClusterObjects.certificatesSecret)
        } catch {
            throw .cluster(
                error,
                "error execution phase control-plane-prepare/download-certs: error downloading certs: error downloading the secret: "
                    + "Secret \"kubeadm-certs\" was not found in the \"kube-system\" Namespace. This Secret might have expired. Please, run "
                    + "`kubeadm init phase upload-certs --upload-certs` on a control plane to generate a new one")
        }
        for (name, path) in Self.sharedFiles {
            guard let sealed = secret["data"]?[name]?.string.flatMap(Base64.decode), let plain = SealedBox.open(sealed, key: key) else {
                throw KubeadmProblem(
                    "error execution phase control-plane-prepare/download-certs: error downloading certs: error decoding secret data with "
                        + "provided key: cipher: message authentication failed")
            }
            place.print("[download-certs] Saving the certificates to the folder: \"\(KubeadmDefaults.pki)\"\n", once: name == "ca.crt")
            let isPublic = path.hasSuffix(".crt") || path.hasSuffix(".pub")
            try place.write("\(KubeadmDefaults.pki)/\(path)", String(decoding: plain, as: UTF8.self), mode: isPublic ? 0o644 : 0o600)
        }
        let pki = PKI(settings: settings, place: place)
        try pki.make()
        try pki.makeKubeconfigs(isJoin: true)
        let admin = try ClusterAccess(kubeconfig: KubeadmDefaults.kubernetes + "/admin.conf", place: place)
        let store = try? await admin.client.list(.pods, namespace: "kube-system").items.first {
            $0["metadata"]?["labels"]?["component"] == "etcd"
        }
        guard let host = store?["status"]?["podIP"]?.string ?? store?["status"]?["hostIP"]?.string else {
            throw KubeadmProblem("error execution phase control-plane-join/etcd: the cluster's etcd was not found")
        }
        place.print("[etcd] This control plane uses the store of \(host): a lab's etcd has one member\n")
        try writeManifests(settings, etcd: false, etcdHost: host)
    }

    private func finishControlPlane(_ settings: ClusterSettings) async throws(KubeadmProblem) {
        let admin = try ClusterAccess(kubeconfig: KubeadmDefaults.kubernetes + "/admin.conf", place: place)
        try await markControlPlane(settings, admin)
        try giveRoot(try text(of: KubeadmDefaults.kubernetes + "/admin.conf"))
        place.print(
            """

            This node has joined the cluster and a new control plane instance was created:

            * Certificate signing request was sent to apiserver and approval was received.
            * The Kubelet was informed of the new secure connection details.
            * Control plane label and taint were applied to the new node.
            * The Kubernetes control plane instances scaled up.

            To start administering your cluster from this node, you need to run the following as a regular user:

            \tmkdir -p $HOME/.kube
            \tsudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
            \tsudo chown $(id -u):$(id -g) $HOME/.kube/config

            Run 'kubectl get nodes' to see this node join the cluster.


            """)
    }

    /// Key in the Secret → file below the PKI folder.
    static let sharedFiles = [
        ("ca.crt", "ca.crt"), ("ca.key", "ca.key"), ("sa.pub", "sa.pub"), ("sa.key", "sa.key"),
        ("front-proxy-ca.crt", "front-proxy-ca.crt"),
        ("front-proxy-ca.key", "front-proxy-ca.key"), ("etcd-ca.crt", "etcd/ca.crt"), ("etcd-ca.key", "etcd/ca.key"),
    ]

    /// The Secret `kubeadm-certs` with its roles.
    func certificateObjects(key: [UInt8]) throws(KubeadmProblem) -> [JSON] {
        var data: [String: String] = [:]
        for (name, path) in Self.sharedFiles {
            let plain = Array(try text(of: "\(KubeadmDefaults.pki)/\(path)").utf8)
            data[name] = Base64.encode(
                try lifting("error uploading certs") { () throws(CryptoProblem) in try SealedBox.seal(plain, key: key) })
        }
        return ClusterObjects.shared(ClusterObjects.certificatesSecret, role: "kubeadm:kubeadm-certs", data)
    }
}

extension KubeadmPlace {
    func print(_ text: String, once: Bool) { if once { print(text) } }
}
