// `kubeadm config`, `version` and `kubeconfig`: what can be told without changing anything.
internal import Crypto
internal import Essentials
internal import Yaml

extension Kubeadm {
    static let configFlags: Set<String> = [
        "component-configs", "kubernetes-version", "image-repository", "feature-gates", "output", "experimental-output", "old-config",
        "new-config", "validity-period", "client-name", "org", "token",
    ]
    static let kubeconfigFlags: Set<String> = ["client-name", "org", "token", "validity-period"]

    func config(_ arguments: KubeadmArguments) throws(KubeadmProblem) {
        let words = arguments.words
        switch (words.first, words.dropFirst().first) {
        case ("print", "init-defaults"):
            var documents = [initDefaults, defaults.clusterConfiguration]
            for name in arguments.list("component-configs") {
                switch name {
                case "KubeletConfiguration": documents.append(defaults.kubeletConfiguration)
                case "KubeProxyConfiguration": documents.append(Addons(settings: defaults).proxyConfiguration)
                default: throw KubeadmProblem("--component-configs needs to contain some of [KubeProxyConfiguration KubeletConfiguration]")
                }
            }
            place.print(documents.map(YAML.text).joined(separator: "---\n"))
        case ("print", "join-defaults"): place.print(YAML.text(joinDefaults))
        case ("print", "reset-defaults"):
            place.print(YAML.text(["apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ResetConfiguration"]))
        case ("images", "list"):
            let images = try imageSettings(arguments).images
            if arguments["output"] == "json" {
                let document: JSON = ["kind": "Images", "apiVersion": "output.kubeadm.k8s.io/v1alpha3", "images": JSON(images)]
                place.print(document.text + "\n")
            } else {
                place.print(images.map { $0 + "\n" }.joined())
            }
        case ("images", "pull"):
            for image in try imageSettings(arguments).images {
                guard Catalogue(place: place).has(image) else {
                    throw KubeadmProblem("failed to pull image \"\(image)\": \(image): not found")
                }
                place.print("[config/images] Pulled \(image)\n")
            }
        case ("validate", _):
            var settings = defaults
            try settings.read(try text(of: arguments["config"] ?? ""))
            place.print("ok\n")
        case ("migrate", _): throw KubeadmProblem("config migrate is not supported: v1beta3 and v1beta4 are both read")
        default: place.print(KubeadmHelp.config)
        }
    }

    private var defaults: ClusterSettings { ClusterSettings(nodeName: "node", advertiseAddress: "1.2.3.4") }

    private func imageSettings(_ arguments: KubeadmArguments) throws(KubeadmProblem) -> Manifests {
        Manifests(settings: try settings(arguments))
    }

    private var initDefaults: JSON {
        [
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "bootstrapTokens": [
                [
                    "groups": ["system:bootstrappers:kubeadm:default-node-token"], "token": "abcdef.0123456789abcdef", "ttl": "24h0m0s",
                    "usages": ["signing", "authentication"],
                ]
            ],
            "kind": "InitConfiguration", "localAPIEndpoint": ["advertiseAddress": "1.2.3.4", "bindPort": 6443],
            "nodeRegistration": [
                "criSocket": "unix:///run/lectern/control.sock", "imagePullPolicy": "IfNotPresent", "imagePullSerial": true, "name": "node",
                "taints": nil,
            ],
            "timeouts": Self.timeouts,
        ]
    }

    private static let timeouts: JSON = [
        "controlPlaneComponentHealthCheck": "4m0s", "discovery": "5m0s", "etcdAPICall": "2m0s", "kubeletHealthCheck": "4m0s",
        "kubernetesAPICall": "1m0s", "tlsBootstrap": "5m0s", "upgradeManifests": "5m0s",
    ]

    private var joinDefaults: JSON {
        [
            "apiVersion": "kubeadm.k8s.io/v1beta4", "caCertPath": "/etc/kubernetes/pki/ca.crt",
            "discovery": [
                "bootstrapToken": [
                    "apiServerEndpoint": "kube-apiserver:6443", "token": "abcdef.0123456789abcdef", "unsafeSkipCAVerification": true,
                ], "tlsBootstrapToken": "abcdef.0123456789abcdef",
            ],
            "kind": "JoinConfiguration",
            "nodeRegistration": [
                "criSocket": "unix:///run/lectern/control.sock", "imagePullPolicy": "IfNotPresent", "imagePullSerial": true,
                "name": JSON(place.hostname), "taints": nil,
            ],
            "timeouts": Self.timeouts,
        ]
    }

    func version(_ arguments: KubeadmArguments) throws(KubeadmProblem) {
        let information: JSON = [
            "major": "1", "minor": "32", "gitVersion": JSON(KubeadmDefaults.version),
            "gitCommit": "70d3cc986aa8221cd1dfb1121852688902d3bf53",
            "gitTreeState": "clean", "buildDate": "2024-12-11T18:04:20Z", "goVersion": "go1.23.3", "compiler": "gc",
            "platform": JSON(Self.platform),
        ]
        switch arguments["output"] {
        case nil:
            let fields = [
                ("Major", "major"), ("Minor", "minor"), ("GitVersion", "gitVersion"), ("GitCommit", "gitCommit"),
                ("GitTreeState", "gitTreeState"),
                ("BuildDate", "buildDate"), ("GoVersion", "goVersion"), ("Compiler", "compiler"), ("Platform", "platform"),
            ].map { "\($0.0):\"\(information[$0.1]?.string ?? "")\"" }
            place.print("kubeadm version: &version.Info{\(fields.joined(separator: ", "))}\n")
        case "short": place.print(KubeadmDefaults.version + "\n")
        case "json": place.print((["clientVersion": information] as JSON).text + "\n")
        case "yaml": place.print(YAML.text(["clientVersion": information]))
        case let other?: throw KubeadmProblem("invalid output format: \(other)")
        }
    }

    private static var platform: String {
        #if arch(arm64)
            "linux/arm64"
        #else
            "linux/amd64"
        #endif
    }

    func kubeconfig(_ arguments: KubeadmArguments) throws(KubeadmProblem) {
        guard arguments.words.first == "user" else { return place.print(KubeadmHelp.text("kubeconfig")) }
        guard let user = arguments["client-name"] else { throw KubeadmProblem("required flag(s) \"client-name\" not set", reason: "Usage") }
        var settings = try settings(arguments)
        if let found = place.text(KubeadmDefaults.kubernetes + "/admin.conf").flatMap({ try? Self.readPublic($0, "") }),
            settings.endpoint.isEmpty
        {
            settings.endpoint = String(found.server.drop { $0 != "/" }.drop { $0 == "/" })
        }
        let pki = PKI(settings: settings, place: place)
        place.print(
            try pki.kubeconfig(user: user, organizations: arguments.list("org"), server: settings.server, try pki.authority("ca")))
    }
}
