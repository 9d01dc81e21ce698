// What a cluster shall be: from flags and from kubeadm's configuration files (v1beta3, v1beta4).
package import Essentials
internal import Yaml

/// A bootstrap token to be made.
package struct TokenSettings: Sendable, Equatable {
    package var token: BootstrapToken
    package var seconds = KubeadmDefaults.tokenSeconds
    package var usages = ["signing", "authentication"]
    package var groups = ["system:bootstrappers:kubeadm:default-node-token"]
    package var description = ""
    package init(token: BootstrapToken) { self.token = token }
}

package struct ClusterSettings: Sendable, Equatable {
    package var nodeName: String
    package var advertiseAddress: String
    package var bindPort = KubeadmDefaults.bindPort
    /// Nil: upstream's taint, or none where a lab's node 1 takes pods.
    package var taints: [JSON]?
    package var kubeletArguments: [(String, String)] = []
    package var ignoredChecks: Set<String> = []
    package var tokens: [TokenSettings] = []
    package var certificateKey: String?
    package var skippedPhases: Set<String> = []
    // ClusterConfiguration
    package var clusterName = "kubernetes"
    package var version = KubeadmDefaults.version
    package var endpoint = ""
    package var podSubnet = ""
    package var serviceSubnet = KubeadmDefaults.serviceSubnet
    package var domain = KubeadmDefaults.domain
    package var repository = KubeadmDefaults.repository
    package var extraNames: [String] = []
    package var apiArguments: [(String, String)] = []
    package var controllerArguments: [(String, String)] = []
    package var schedulerArguments: [(String, String)] = []
    package var etcdArguments: [(String, String)] = []
    package var etcdDirectory = KubeadmDefaults.etcd
    package var kubelet: JSON = .emptyObject
    package var proxy: JSON = .emptyObject
    // JoinConfiguration
    package var discovery = DiscoverySettings()
    package var joinsControlPlane = false

    package init(nodeName: String, advertiseAddress: String) {
        self.nodeName = nodeName
        self.advertiseAddress = advertiseAddress
    }

    package static func == (left: Self, right: Self) -> Bool { String(reflecting: left) == String(reflecting: right) }

    /// `HOST:PORT` by which everybody reaches the API.
    package var server: String {
        guard endpoint.isEmpty else { return endpoint.contains(":") ? endpoint : "\(endpoint):\(bindPort)" }
        return "\(advertiseAddress):\(bindPort)"
    }
}

package struct DiscoverySettings: Sendable, Equatable {
    package var server = ""
    package var token = ""
    package var tlsToken = ""
    package var hashes: [String] = []
    package var skipsAuthority = false
    package var file = ""
    package init() {}
}

extension ClusterSettings {
    /// Takes the documents of a configuration file over what is set.
    package mutating func read(_ text: String) throws(KubeadmProblem) {
        let documents: [JSON]
        do throws(YAMLProblem) { documents = try YAML.documents(Array(text.utf8)) } catch {
            throw KubeadmProblem("error converting YAML to JSON: \(error.message)")
        }
        for document in documents where !document.isNull {
            let (version, kind) = (document["apiVersion"]?.string ?? "", document["kind"]?.string ?? "")
            guard !version.isEmpty, !kind.isEmpty else {
                throw KubeadmProblem(
                    "invalid configuration for GroupVersionKind \(version), Kind=\(kind): kind and apiVersion is mandatory information that must be specified"
                )
            }
            if version.hasPrefix("kubelet.config.k8s.io/") {
                kubelet = document
                continue
            }
            if version.hasPrefix("kubeproxy.config.k8s.io/") {
                proxy = document
                continue
            }
            guard version.hasPrefix("kubeadm.k8s.io/") else {
                throw KubeadmProblem("no kind \"\(kind)\" is registered for version \"\(version)\" in scheme \"pkg/runtime/scheme.go\"")
            }
            guard ["kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4"].contains(version) else {
                throw KubeadmProblem(
                    "your configuration file uses an old API spec: \"\(version)\" (kind: \"\(kind)\"). Please use kubeadm v1.22 instead and run 'kubeadm config migrate --old-config old.yaml --new-config new.yaml', which will write the new, similar spec using a newer API version."
                )
            }
            switch kind {
            case "InitConfiguration": try readInit(document)
            case "ClusterConfiguration": readCluster(document)
            case "JoinConfiguration": try readJoin(document)
            case "ResetConfiguration", "UpgradeConfiguration": break
            default:
                throw KubeadmProblem("no kind \"\(kind)\" is registered for version \"\(version)\" in scheme \"pkg/runtime/scheme.go\"")
            }
        }
    }

    private mutating func readInit(_ document: JSON) throws(KubeadmProblem) {
        readEndpoint(document["localAPIEndpoint"])
        readRegistration(document["nodeRegistration"])
        if let key = document["certificateKey"]?.string { certificateKey = key }
        skippedPhases.formUnion((document["skipPhases"]?.array ?? []).compactMap(\.string))
        if let list = document["bootstrapTokens"]?.array {
            tokens = []
            for entry in list {
                var settings = TokenSettings(token: try entry["token"]?.string.map(BootstrapToken.parse) ?? .random())
                if let text = entry["ttl"]?.string {
                    guard let seconds = KubeadmArguments.seconds(text) else {
                        throw KubeadmProblem("bootstrapTokens: ttl: invalid duration \"\(text)\"")
                    }
                    settings.seconds = seconds
                }
                if let usages = entry["usages"]?.array { settings.usages = usages.compactMap(\.string) }
                if let groups = entry["groups"]?.array { settings.groups = groups.compactMap(\.string) }
                settings.description = entry["description"]?.string ?? ""
                tokens.append(settings)
            }
        }
    }

    private mutating func readEndpoint(_ value: JSON?) {
        if let address = value?["advertiseAddress"]?.string, !address.isEmpty, address != "0.0.0.0" { advertiseAddress = address }
        if let port = value?["bindPort"]?.int { bindPort = port }
    }

    private mutating func readRegistration(_ value: JSON?) {
        guard let value else { return }
        if let name = value["name"]?.string { nodeName = name.lowercased() }
        if let list = value["taints"], !list.isNull { taints = list.array ?? [] }
        kubeletArguments += Self.arguments(value["kubeletExtraArgs"])
        ignoredChecks.formUnion((value["ignorePreflightErrors"]?.array ?? []).compactMap { $0.string?.lowercased() })
    }

    /// A map in v1beta3, a list of names and values in v1beta4.
    private static func arguments(_ value: JSON?) -> [(String, String)] {
        if let list = value?.array { return list.map { ($0["name"]?.string ?? "", $0["value"]?.string ?? "") } }
        return (value?.members ?? []).map { ($0.key, $0.value.string ?? $0.value.text) }
    }

    private mutating func readCluster(_ document: JSON) {
        func text(_ path: [String]) -> String? { document[path: path]?.string.flatMap { $0.isEmpty ? nil : $0 } }
        if let value = text(["clusterName"]) { clusterName = value }
        if let value = text(["kubernetesVersion"]) { version = value }
        if let value = text(["controlPlaneEndpoint"]) { endpoint = value }
        if let value = text(["networking", "podSubnet"]) { podSubnet = value }
        if let value = text(["networking", "serviceSubnet"]) { serviceSubnet = value }
        if let value = text(["networking", "dnsDomain"]) { domain = value }
        if let value = text(["imageRepository"]) { repository = value }
        if let value = text(["etcd", "local", "dataDir"]) { etcdDirectory = value }
        extraNames += (document[path: ["apiServer", "certSANs"]]?.array ?? []).compactMap(\.string)
        apiArguments += Self.arguments(document[path: ["apiServer", "extraArgs"]])
        controllerArguments += Self.arguments(document[path: ["controllerManager", "extraArgs"]])
        schedulerArguments += Self.arguments(document[path: ["scheduler", "extraArgs"]])
        etcdArguments += Self.arguments(document[path: ["etcd", "local", "extraArgs"]])
    }

    private mutating func readJoin(_ document: JSON) throws(KubeadmProblem) {
        readRegistration(document["nodeRegistration"])
        let value = document["discovery"] ?? .null
        if let token = value["bootstrapToken"] {
            discovery.server = token["apiServerEndpoint"]?.string ?? discovery.server
            discovery.token = token["token"]?.string ?? discovery.token
            discovery.hashes += (token["caCertHashes"]?.array ?? []).compactMap(\.string)
            discovery.skipsAuthority = token["unsafeSkipCAVerification"]?.bool ?? discovery.skipsAuthority
        }
        discovery.file = value[path: ["file", "kubeConfigPath"]]?.string ?? discovery.file
        discovery.tlsToken = value["tlsBootstrapToken"]?.string ?? discovery.tlsToken
        if let plane = document["controlPlane"] {
            joinsControlPlane = true
            readEndpoint(plane["localAPIEndpoint"])
            certificateKey = plane["certificateKey"]?.string ?? certificateKey
        }
    }

    /// The document that is stored as `kubeadm-config`.
    package var clusterConfiguration: JSON {
        func list(_ arguments: [(String, String)]) -> JSON { JSON(arguments.map { ["name": JSON($0.0), "value": JSON($0.1)] }) }
        func component(_ arguments: [(String, String)]) -> JSON { arguments.isEmpty ? .emptyObject : ["extraArgs": list(arguments)] }
        var etcd: JSON = ["local": ["dataDir": JSON(etcdDirectory)]]
        if !etcdArguments.isEmpty { etcd[path: ["local", "extraArgs"]] = list(etcdArguments) }
        var api = component(apiArguments)
        if !extraNames.isEmpty { api["certSANs"] = JSON(extraNames) }
        var networking: JSON = ["dnsDomain": JSON(domain)]
        if !podSubnet.isEmpty { networking["podSubnet"] = JSON(podSubnet) }
        networking["serviceSubnet"] = JSON(serviceSubnet)
        var document: JSON = [
            "apiServer": api, "apiVersion": "kubeadm.k8s.io/v1beta4", "caCertificateValidityPeriod": "87600h0m0s",
            "certificateValidityPeriod": "8760h0m0s", "certificatesDir": JSON(KubeadmDefaults.pki), "clusterName": JSON(clusterName),
        ]
        if !endpoint.isEmpty { document["controlPlaneEndpoint"] = JSON(endpoint) }
        document["controllerManager"] = component(controllerArguments)
        document["dns"] = .emptyObject
        document["encryptionAlgorithm"] = "ECDSA-P256"
        document["etcd"] = etcd
        document["imageRepository"] = JSON(repository)
        document["kind"] = "ClusterConfiguration"
        document["kubernetesVersion"] = JSON(version)
        document["networking"] = networking
        document["proxy"] = .emptyObject
        document["scheduler"] = component(schedulerArguments)
        return document
    }

    /// What the kubelet reads, with what a KubeletConfiguration document changed.
    package var kubeletConfiguration: JSON {
        var document: JSON = [
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "authentication": [
                "anonymous": ["enabled": false], "webhook": ["cacheTTL": "0s", "enabled": true],
                "x509": ["clientCAFile": JSON(KubeadmDefaults.pki + "/ca.crt")],
            ],
            "authorization": ["mode": "Webhook", "webhook": ["cacheAuthorizedTTL": "0s", "cacheUnauthorizedTTL": "0s"]],
            "cgroupDriver": "cgroupfs", "clusterDNS": [JSON(ServiceAddress.nth(10, of: serviceSubnet) ?? "10.96.0.10")],
            "clusterDomain": JSON(domain), "containerRuntimeEndpoint": "unix:///run/lectern/control.sock",
            "cpuManagerReconcilePeriod": "0s",
            "evictionPressureTransitionPeriod": "0s", "fileCheckFrequency": "0s", "healthzBindAddress": "127.0.0.1", "healthzPort": 10248,
            "httpCheckFrequency": "0s", "imageMaximumGCAge": "0s", "imageMinimumGCAge": "0s", "kind": "KubeletConfiguration",
            "memorySwap": .emptyObject, "nodeStatusReportFrequency": "0s", "nodeStatusUpdateFrequency": "0s", "rotateCertificates": true,
            "runtimeRequestTimeout": "0s", "shutdownGracePeriod": "0s", "shutdownGracePeriodCriticalPods": "0s",
            "staticPodPath": JSON(KubeadmDefaults.manifests), "streamingConnectionIdleTimeout": "0s", "syncFrequency": "0s",
            "volumeStatsAggPeriod": "0s",
        ]
        for (key, value) in kubelet.members where key != "apiVersion" && key != "kind" { document[key] = value }
        return document
    }

    /// Addresses and names by which the API server is called.
    package func serverNames(hostname: String) -> (names: [String], addresses: [String]) {
        var names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.\(domain)", nodeName]
        var addresses = [ServiceAddress.nth(1, of: serviceSubnet) ?? "10.96.0.1", advertiseAddress]
        let host = endpoint.split(separator: ":").first.map(String.init)
        for name in extraNames + [host].compactMap({ $0 }) {
            if ServiceAddress.isAddress(name) {
                if !addresses.contains(name) { addresses.append(name) }
            } else if !names.contains(name) {
                names.append(name)
            }
        }
        return (names.sorted(), addresses)
    }
}

/// Addresses counted within a block.
package enum ServiceAddress {
    package static func nth(_ index: UInt32, of block: String) -> String? {
        let parts = block.split(separator: "/")
        guard parts.count == 2, let length = UInt32(parts[1]), (1...32).contains(length), let base = value(String(parts[0])) else {
            return nil
        }
        let sum = (base & ~(length == 32 ? 0 : UInt32.max >> length)) + index
        return (0..<4).map { String(sum >> (24 - 8 * UInt32($0)) & 255) }.joined(separator: ".")
    }

    package static func isAddress(_ text: String) -> Bool { value(text) != nil || text.contains(":") }

    private static func value(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        guard parts.count == 4, parts.allSatisfy({ $0 != nil }) else { return nil }
        return parts.reduce(0) { $0 << 8 | UInt32($1 ?? 0) }
    }
}
