// `kubeadm init`: a control plane on this node, phase by phase.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials
internal import Yaml

extension Kubeadm {
    static let initFlags: Set<String> = [
        "apiserver-advertise-address", "apiserver-bind-port", "apiserver-cert-extra-sans", "cert-dir", "certificate-key",
        "control-plane-endpoint", "feature-gates", "ignore-preflight-errors", "image-repository", "kubernetes-version", "node-name",
        "patches",
        "pod-network-cidr", "service-cidr", "service-dns-domain", "skip-phases", "token", "token-ttl",
    ]
    static let initSwitches: Set<String> = ["dry-run", "skip-certificate-key-print", "skip-token-print", "upload-certs"]

    static let phases = [
        "preflight", "certs", "kubeconfig", "etcd", "control-plane", "kubelet-start", "wait-control-plane", "upload-config", "upload-certs",
        "mark-control-plane", "bootstrap-token", "kubelet-finalize", "addon", "show-join-command",
    ]

    func settings(_ arguments: KubeadmArguments) throws(KubeadmProblem) -> ClusterSettings {
        var settings = ClusterSettings(nodeName: place.hostname.lowercased(), advertiseAddress: place.address)
        if let path = arguments["config"] {
            guard let text = place.text(path) else {
                throw KubeadmProblem("unable to read config from \"\(path)\": open \(path): no such file or directory")
            }
            try settings.read(text)
        }
        if let value = arguments["apiserver-advertise-address"] {
            guard ServiceAddress.isAddress(value) else {
                throw KubeadmProblem("couldn't use \"\(value)\" as \"apiserver-advertise-address\", must be ipv4 or ipv6 address")
            }
            settings.advertiseAddress = value
        }
        if let value = arguments["apiserver-bind-port"] {
            guard let port = Int(value), (1...65535).contains(port) else {
                throw KubeadmProblem("invalid argument \"\(value)\" for \"--apiserver-bind-port\" flag")
            }
            settings.bindPort = port
        }
        if let value = arguments["pod-network-cidr"] { settings.podSubnet = try Self.subnet(value, "podSubnet") }
        if let value = arguments["service-cidr"] { settings.serviceSubnet = try Self.subnet(value, "serviceSubnet") }
        if let value = arguments["service-dns-domain"] { settings.domain = value }
        if let value = arguments["control-plane-endpoint"] { settings.endpoint = value }
        if let value = arguments["image-repository"] { settings.repository = value }
        if let value = arguments["node-name"] { settings.nodeName = value }
        if let value = arguments["kubernetes-version"] { settings.version = value }
        if let value = arguments["certificate-key"] { settings.certificateKey = value }
        settings.extraNames += arguments.list("apiserver-cert-extra-sans")
        settings.ignoredChecks.formUnion(arguments.list("ignore-preflight-errors").map { $0.lowercased() })
        settings.skippedPhases.formUnion(arguments.list("skip-phases"))
        try checkVersion(&settings)
        return settings
    }

    private func checkVersion(_ settings: inout ClusterSettings) throws(KubeadmProblem) {
        let known = ["stable", "stable-1", "stable-1.32", "latest", "latest-1.32", "1.32.0", KubeadmDefaults.version]
        guard known.contains(settings.version) else {
            if settings.version.hasPrefix("v1.32.") || settings.version.hasPrefix("1.32.") {
                place.complain("[init] WARNING: this lab's images are \(KubeadmDefaults.version); \(settings.version) is not there\n")
                settings.version = KubeadmDefaults.version
                return
            }
            throw KubeadmProblem(
                "this version of kubeadm only supports deploying clusters with the control plane version \(KubeadmDefaults.version). "
                    + "Current version: \(settings.version)")
        }
        settings.version = KubeadmDefaults.version
    }

    private static func subnet(_ text: String, _ field: String) throws(KubeadmProblem) -> String {
        guard text.split(separator: ",").allSatisfy({ ServiceAddress.nth(0, of: String($0)) != nil || $0.contains(":") }) else {
            throw KubeadmProblem("networking.\(field): Invalid value: \"\(text)\": couldn't parse subnet")
        }
        return text
    }

    func initialize(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        var settings = try settings(arguments)
        if let text = arguments["token"] {
            settings.tokens = [TokenSettings(token: try BootstrapToken.parse(text))]
        } else if settings.tokens.isEmpty {
            settings.tokens = [TokenSettings(token: .random())]
        }
        if let text = arguments["token-ttl"] {
            guard let seconds = KubeadmArguments.seconds(text) else {
                throw KubeadmProblem(
                    "invalid argument \"\(text)\" for \"--token-ttl\" flag: time: invalid duration \"\(text)\"", reason: "Usage")
            }
            for index in settings.tokens.indices { settings.tokens[index].seconds = seconds }
        }
        if settings.certificateKey == nil { settings.certificateKey = Hex.encode(SecureRandom.bytes(SealedBox.keyBytes)) }
        let skipped = settings.skippedPhases
        func skips(_ phase: String) -> Bool { skipped.contains(phase) }
        place.print("[init] Using Kubernetes version: \(settings.version)\n")
        if !skips("preflight") {
            try Preflight(place: place, settings: settings).run(.initial)
            place.print("[preflight] Pulling images required for setting up a Kubernetes cluster\n")
            place.print("[preflight] This might take a minute or two, depending on the speed of your internet connection\n")
            place.print("[preflight] You can also perform this action beforehand using 'kubeadm config images pull'\n")
        }
        guard !arguments.isOn("dry-run") else {
            place.print("[dryrun] The certificates, kubeconfig files and static Pod manifests would be written now\n")
            return
        }
        let pki = PKI(settings: settings, place: place)
        if !skips("certs") { try pki.make() }
        if !skips("kubeconfig") { try pki.makeKubeconfigs() }
        // The kubelet takes a moment to start: it does so while the manifests are written.
        try writeManifests(settings, etcd: !skips("etcd"))
        if !skips("kubelet-start") {
            try writeKubeletFiles(settings)
            try await startKubelet()
        }
        place.print(
            "[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory \"\(KubeadmDefaults.manifests)\"\n"
        )
        try await waitForKubelet()
        let access = try ClusterAccess(kubeconfig: KubeadmDefaults.kubernetes + "/super-admin.conf", place: place)
        place.print("[api-check] Waiting for a healthy API server. This can take up to 4m0s\n")
        guard let seconds = await access.wait(for: "/readyz", seconds: waitSeconds) else { throw Self.noControlPlane }
        place.print("[api-check] The API server is healthy after \(Self.goSeconds(seconds))\n")
        try await furnish(settings, access, pki, arguments)
        try giveRoot(try text(of: KubeadmDefaults.kubernetes + "/admin.conf"))
        let join = try joinCommand(settings, token: settings.tokens[0].token)
        if !skips("show-join-command") {
            place.print(Self.success(join: join, certificateKey: arguments.isOn("upload-certs") ? settings.certificateKey : nil))
        }
    }

    static let noControlPlane = KubeadmProblem(
        """
        error execution phase wait-control-plane: could not initialize a Kubernetes cluster: the API server did not become healthy

        Unfortunately, an error has occurred, likely caused by a control plane component that crashed or exited when it was started.
        To troubleshoot, look at the logs of the containers below /var/log/pods and at 'journalctl -xeu kubelet'.
        """, reason: "ControlPlaneNotHealthy")

    func writeManifests(_ settings: ClusterSettings, etcd: Bool, etcdHost: String? = nil) throws(KubeadmProblem) {
        var manifests = Manifests(settings: settings)
        if let etcdHost { manifests.etcdHost = etcdHost }
        try place.makeDirectory(KubeadmDefaults.manifests, mode: 0o755)
        if etcd {
            try place.makeDirectory(settings.etcdDirectory, mode: 0o700)
            place.print("[etcd] Creating static Pod manifest for local etcd in \"\(KubeadmDefaults.manifests)\"\n")
        }
        var isFirst = true
        for (name, text) in manifests.all where name != "etcd" || etcd {
            if name != "etcd" {
                if isFirst { place.print("[control-plane] Using manifest folder \"\(KubeadmDefaults.manifests)\"\n") }
                isFirst = false
                place.print("[control-plane] Creating static Pod manifest for \"\(name)\"\n")
            }
            try place.write("\(KubeadmDefaults.manifests)/\(name).yaml", text)
        }
    }

    /// What the kubelet is started with.
    func writeKubeletFiles(_ settings: ClusterSettings, configuration: String? = nil) throws(KubeadmProblem) {
        var flags = [
            ("container-runtime-endpoint", "unix:///run/lectern/control.sock"),
            ("pod-infra-container-image", "\(settings.repository)/pause:\(KubeadmDefaults.pauseTag)"),
        ]
        if settings.nodeName != place.hostname { flags.append(("hostname-override", settings.nodeName)) }
        if let taints = taints(settings), !taints.isEmpty, !isJoining || settings.taints != nil {
            flags.append(
                (
                    "register-with-taints",
                    taints.map { "\($0["key"]?.string ?? "")=\($0["value"]?.string ?? ""):\($0["effect"]?.string ?? "")" }.joined(
                        separator: ",")
                ))
        }
        flags = flags.filter { flag in !settings.kubeletArguments.contains { $0.0 == flag.0 } } + settings.kubeletArguments
        place.print(
            "[kubelet-start] Writing kubelet environment file with flags to file \"\(KubeadmDefaults.kubelet)/kubeadm-flags.env\"\n")
        try place.write(
            KubeadmDefaults.kubelet + "/kubeadm-flags.env",
            "KUBELET_KUBEADM_ARGS=\"\(flags.map { "--\($0.0)=\($0.1)" }.joined(separator: " "))\"\n", mode: 0o644)
        place.print("[kubelet-start] Writing kubelet configuration to file \"\(KubeadmDefaults.kubelet)/config.yaml\"\n")
        try place.write(KubeadmDefaults.kubelet + "/config.yaml", configuration ?? YAML.text(settings.kubeletConfiguration), mode: 0o644)
    }

    /// The taints a control plane gets.
    func taints(_ settings: ClusterSettings) -> [JSON]? {
        if let taints = settings.taints { return taints }
        return lab.isSchedulable ? [] : [["effect": "NoSchedule", "key": JSON(KubeadmDefaults.taintKey)]]
    }

    /// Everything that is written into the new cluster. What does not depend on each other is written side by side, and
    /// told in upstream's order.
    private func furnish(_ settings: ClusterSettings, _ access: ClusterAccess, _ pki: PKI, _ arguments: KubeadmArguments)
        async throws(KubeadmProblem)
    {
        let objects = ClusterObjects(settings: settings)
        let authority = try text(of: KubeadmDefaults.pki + "/ca.crt")
        func skips(_ phase: String) -> Bool { settings.skippedPhases.contains(phase) }
        var all: [JSON] = [objects.adminBinding]
        if !skips("upload-config") { all += objects.configuration }
        if !skips("bootstrap-token") {
            all += settings.tokens.map { $0.secret(now: place.clock.now()) }
            all += ClusterObjects.bootstrapRules.flatMap(\.objects) + objects.clusterInfo(authority: authority)
        }
        let addons = Addons(settings: settings)
        if !skips("addon"), !skips("addon/coredns") { all += addons.dns }
        if !skips("addon"), !skips("addon/kube-proxy") { all += addons.proxy }
        if arguments.isOn("upload-certs") { all += try certificateObjects(key: try certificateKey(settings)) }
        if lab.givesRootAccess {
            all += ClusterObjects.shared(
                ClusterObjects.adminSecret, role: "lectern:admin-kubeconfig",
                annotations: ["lectern.dev/why": "root of a joined node gets this as ~/.kube/config (docs/kubernetes.md)"],
                ["admin.conf": Base64.encode(Array(try text(of: KubeadmDefaults.kubernetes + "/admin.conf").utf8))])
        }
        do throws(ClusterProblem) { try await access.putAll(all) } catch { throw .cluster(error, "error execution phase upload-config") }
        if !skips("upload-config") {
            place.print("[upload-config] Storing the configuration used in ConfigMap \"kubeadm-config\" in the \"kube-system\" Namespace\n")
            place.print(
                "[kubelet] Creating a ConfigMap \"kubelet-config\" in namespace kube-system with the configuration for the kubelets in the cluster\n"
            )
        }
        if arguments.isOn("upload-certs") {
            place.print("[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace\n")
            place.print("[upload-certs] Using certificate key:\n\(settings.certificateKey ?? "")\n")
        } else {
            place.print("[upload-certs] Skipping phase. Please see --upload-certs\n")
        }
        if !skips("mark-control-plane") { try await markControlPlane(settings, access) }
        if !skips("bootstrap-token") {
            place.print("[bootstrap-token] Using token: \(settings.tokens[0].token)\n")
            place.print("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles\n")
            for rule in ClusterObjects.bootstrapRules { place.print("[bootstrap-token] \(rule.sentence)\n") }
            place.print("[bootstrap-token] Creating the \"cluster-info\" ConfigMap in the \"kube-public\" namespace\n")
        }
        place.print(
            "[kubelet-finalize] Updating \"/etc/kubernetes/kubelet.conf\" to point to a rotatable kubelet client certificate and key\n")
        if !skips("addon"), !skips("addon/coredns") { place.print("[addons] Applied essential addon: CoreDNS\n") }
        if !skips("addon"), !skips("addon/kube-proxy") { place.print("[addons] Applied essential addon: kube-proxy\n") }
    }

    func certificateKey(_ settings: ClusterSettings) throws(KubeadmProblem) -> [UInt8] {
        guard let key = settings.certificateKey.flatMap(Hex.decode), key.count == SealedBox.keyBytes else {
            throw KubeadmProblem("the certificate key must be \(SealedBox.keyBytes) bytes as hexadecimal digits")
        }
        return key
    }

    /// Waits for the kubelet's Node and marks it.
    func markControlPlane(_ settings: ClusterSettings, _ access: ClusterAccess) async throws(KubeadmProblem) {
        let name = settings.nodeName
        place.print(
            "[mark-control-plane] Marking the node \(name) as control-plane by adding the labels: [node-role.kubernetes.io/control-plane "
                + "node.kubernetes.io/exclude-from-external-load-balancers]\n")
        let taints = taints(settings) ?? []
        if !taints.isEmpty {
            let texts = taints.map { "\($0["key"]?.string ?? ""):\($0["effect"]?.string ?? "")" }
            place.print(
                "[mark-control-plane] Marking the node \(name) as control-plane by adding the taints [\(texts.joined(separator: " "))]\n")
        }
        let start = monotonicSeconds()
        while true {
            do throws(ClusterProblem) {
                try await access.client.modify(.nodes, name: name) { node in
                    node[path: ["metadata", "labels", "node-role.kubernetes.io/control-plane"]] = ""
                    node[path: ["metadata", "labels", "node.kubernetes.io/exclude-from-external-load-balancers"]] = ""
                    if !taints.isEmpty {
                        let old = (node["spec"]?["taints"]?.array ?? []).filter { taint in !taints.contains { $0["key"] == taint["key"] } }
                        node[path: ["spec", "taints"]] = JSON(old + taints)
                    }
                    return true
                }
                return
            } catch {
                guard error.isNotFound, monotonicSeconds() - start < waitSeconds else {
                    throw .cluster(error, "error execution phase mark-control-plane: error applying control-plane label and taints")
                }
                try? await Task.sleep(for: ClusterAccess.pause)
            }
        }
    }

    /// The line that joins another node; on one line, so that it can be copied whole.
    func joinCommand(_ settings: ClusterSettings, token: BootstrapToken) throws(KubeadmProblem) -> String {
        let hash = try Self.hash(try text(of: KubeadmDefaults.pki + "/ca.crt"))
        return "kubeadm join \(settings.server) --token \(token) --discovery-token-ca-cert-hash \(hash)"
    }

    func text(of path: String) throws(KubeadmProblem) -> String {
        guard let text = place.text(path) else { throw KubeadmProblem("open \(path): no such file or directory") }
        return text
    }

    /// Root's own kubectl works at once, without the copying that upstream asks for.
    func giveRoot(_ kubeconfig: String) throws(KubeadmProblem) {
        guard lab.givesRootAccess else { return }
        try place.write("/root/.kube/config", kubeconfig)
    }

    static func success(join: String, certificateKey: String?) -> String {
        var text = """

            Your Kubernetes control-plane has initialized successfully!

            To start using your cluster, you need to run the following as a regular user:

              mkdir -p $HOME/.kube
              sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
              sudo chown $(id -u):$(id -g) $HOME/.kube/config

            Alternatively, if you are the root user, you can run:

              export KUBECONFIG=/etc/kubernetes/admin.conf

            You should now deploy a pod network to the cluster.
            Run "kubectl apply -f [podnetwork].yaml" with one of the options listed at:
              https://kubernetes.io/docs/concepts/cluster-administration/addons/


            """
        if let certificateKey {
            text += """
                You can now join any number of control-plane nodes running the following command on each as root:

                  \(join) --control-plane --certificate-key \(certificateKey)

                Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
                As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use
                "kubeadm init phase upload-certs --upload-certs" to reload certs afterward.


                """
        }
        return text + "Then you can join any number of worker nodes by running the following on each as root:\n\n\(join)\n"
    }
}
