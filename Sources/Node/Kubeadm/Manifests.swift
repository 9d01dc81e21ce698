// The static pods of a control plane, as upstream's kubeadm writes them.
package import Essentials
internal import Yaml

package struct Manifests: Sendable {
    package let settings: ClusterSettings
    package init(settings: ClusterSettings) { self.settings = settings }

    private static let pki = KubeadmDefaults.pki

    /// File name without `.yaml` → text.
    package var all: [(name: String, text: String)] {
        [("etcd", etcd), ("kube-apiserver", apiServer), ("kube-controller-manager", controllerManager), ("kube-scheduler", scheduler)].map {
            ($0.0, YAML.text($0.1))
        }
    }

    package var images: [String] {
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"].map {
            "\(settings.repository)/\($0):\(settings.version)"
        }
            + [
                corednsImage, "\(settings.repository)/pause:\(KubeadmDefaults.pauseTag)",
                "\(settings.repository)/etcd:\(KubeadmDefaults.etcdTag)",
            ]
    }

    package var corednsImage: String {
        settings.repository == KubeadmDefaults.repository
            ? "\(settings.repository)/coredns/coredns:\(KubeadmDefaults.corednsTag)"
            : "\(settings.repository)/coredns:\(KubeadmDefaults.corednsTag)"
    }

    package var etcd: JSON {
        let address = settings.advertiseAddress
        let arguments = [
            ("advertise-client-urls", "https://\(address):2379"), ("cert-file", "\(Self.pki)/etcd/server.crt"),
            ("client-cert-auth", "true"), ("data-dir", settings.etcdDirectory),
            ("experimental-initial-corrupt-check", "true"), ("experimental-watch-progress-notify-interval", "5s"),
            ("initial-advertise-peer-urls", "https://\(address):2380"), ("initial-cluster", "\(settings.nodeName)=https://\(address):2380"),
            ("key-file", "\(Self.pki)/etcd/server.key"), ("listen-client-urls", "https://127.0.0.1:2379,https://\(address):2379"),
            ("listen-metrics-urls", "http://127.0.0.1:2381"), ("listen-peer-urls", "https://\(address):2380"), ("name", settings.nodeName),
            ("peer-cert-file", "\(Self.pki)/etcd/peer.crt"), ("peer-client-cert-auth", "true"),
            ("peer-key-file", "\(Self.pki)/etcd/peer.key"), ("peer-trusted-ca-file", "\(Self.pki)/etcd/ca.crt"),
            ("snapshot-count", "10000"), ("trusted-ca-file", "\(Self.pki)/etcd/ca.crt"),
        ]
        return pod(
            "etcd", image: "\(settings.repository)/etcd:\(KubeadmDefaults.etcdTag)", command: "etcd",
            Self.merge(arguments, settings.etcdArguments), cpu: "100m", memory: "100Mi",
            annotation: ("kubeadm.kubernetes.io/etcd.advertise-client-urls", "https://\(address):2379"),
            liveness: Self.probe("/livez", 2381, "HTTP", host: "127.0.0.1", failures: 8),
            readiness: Self.probe("/readyz", 2381, "HTTP", host: "127.0.0.1", failures: 3, delay: 0),
            startup: Self.probe("/readyz", 2381, "HTTP", host: "127.0.0.1", failures: 240, period: 1, delay: 0),
            volumes: [
                ("etcd-data", settings.etcdDirectory, "DirectoryOrCreate", false),
                ("etcd-certs", "\(Self.pki)/etcd", "DirectoryOrCreate", false),
            ])
    }

    package var apiServer: JSON {
        let address = settings.advertiseAddress
        let arguments = [
            ("advertise-address", address), ("allow-privileged", "true"), ("authorization-mode", "Node,RBAC"),
            ("client-ca-file", "\(Self.pki)/ca.crt"), ("enable-admission-plugins", "NodeRestriction"),
            ("enable-bootstrap-token-auth", "true"), ("etcd-cafile", "\(Self.pki)/etcd/ca.crt"),
            ("etcd-certfile", "\(Self.pki)/apiserver-etcd-client.crt"), ("etcd-keyfile", "\(Self.pki)/apiserver-etcd-client.key"),
            ("etcd-servers", "https://\(etcdHost):2379"), ("kubelet-client-certificate", "\(Self.pki)/apiserver-kubelet-client.crt"),
            ("kubelet-client-key", "\(Self.pki)/apiserver-kubelet-client.key"),
            ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname"),
            ("proxy-client-cert-file", "\(Self.pki)/front-proxy-client.crt"),
            ("proxy-client-key-file", "\(Self.pki)/front-proxy-client.key"), ("requestheader-allowed-names", "front-proxy-client"),
            ("requestheader-client-ca-file", "\(Self.pki)/front-proxy-ca.crt"),
            ("requestheader-extra-headers-prefix", "X-Remote-Extra-"), ("requestheader-group-headers", "X-Remote-Group"),
            ("requestheader-username-headers", "X-Remote-User"), ("secure-port", String(settings.bindPort)),
            ("service-account-issuer", "https://kubernetes.default.svc.\(settings.domain)"),
            ("service-account-key-file", "\(Self.pki)/sa.pub"), ("service-account-signing-key-file", "\(Self.pki)/sa.key"),
            ("service-cluster-ip-range", settings.serviceSubnet), ("tls-cert-file", "\(Self.pki)/apiserver.crt"),
            ("tls-private-key-file", "\(Self.pki)/apiserver.key"),
        ]
        return pod(
            "kube-apiserver", image: "\(settings.repository)/kube-apiserver:\(settings.version)", command: "kube-apiserver",
            Self.merge(arguments, settings.apiArguments), cpu: "250m", memory: nil,
            annotation: ("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", "\(address):\(settings.bindPort)"),
            liveness: Self.probe("/livez", settings.bindPort, "HTTPS", host: address, failures: 8),
            readiness: Self.probe("/readyz", settings.bindPort, "HTTPS", host: address, failures: 3, delay: 0),
            startup: Self.probe("/livez", settings.bindPort, "HTTPS", host: address, failures: 240, period: 1, delay: 0),
            volumes: [
                ("ca-certs", "/etc/ssl/certs", "DirectoryOrCreate", true), ("k8s-certs", Self.pki, "DirectoryOrCreate", true),
            ])
    }

    /// A further control plane uses the first node's store.
    package var etcdHost = "127.0.0.1"

    package var controllerManager: JSON {
        let config = KubeadmDefaults.kubernetes + "/controller-manager.conf"
        var arguments = [
            ("authentication-kubeconfig", config), ("authorization-kubeconfig", config), ("bind-address", "127.0.0.1"),
            ("client-ca-file", "\(Self.pki)/ca.crt"), ("cluster-name", settings.clusterName),
            ("cluster-signing-cert-file", "\(Self.pki)/ca.crt"), ("cluster-signing-key-file", "\(Self.pki)/ca.key"),
            ("controllers", "*,bootstrapsigner,tokencleaner"), ("kubeconfig", config), ("leader-elect", "true"),
            ("requestheader-client-ca-file", "\(Self.pki)/front-proxy-ca.crt"), ("root-ca-file", "\(Self.pki)/ca.crt"),
            ("service-account-private-key-file", "\(Self.pki)/sa.key"), ("use-service-account-credentials", "true"),
        ]
        if !settings.podSubnet.isEmpty {
            arguments += [
                ("allocate-node-cidrs", "true"), ("cluster-cidr", settings.podSubnet), ("service-cluster-ip-range", settings.serviceSubnet),
            ]
        }
        arguments.sort { $0.0 < $1.0 }
        return pod(
            "kube-controller-manager", image: "\(settings.repository)/kube-controller-manager:\(settings.version)",
            command: "kube-controller-manager", Self.merge(arguments, settings.controllerArguments), cpu: "200m", memory: nil,
            liveness: Self.probe("/healthz", 10257, "HTTPS", host: "127.0.0.1", failures: 8),
            startup: Self.probe("/healthz", 10257, "HTTPS", host: "127.0.0.1", failures: 240, period: 1, delay: 0),
            volumes: [
                ("ca-certs", "/etc/ssl/certs", "DirectoryOrCreate", true), ("k8s-certs", Self.pki, "DirectoryOrCreate", true),
                ("kubeconfig", config, "FileOrCreate", true),
            ])
    }

    package var scheduler: JSON {
        let config = KubeadmDefaults.kubernetes + "/scheduler.conf"
        let arguments = [
            ("authentication-kubeconfig", config), ("authorization-kubeconfig", config), ("bind-address", "127.0.0.1"),
            ("kubeconfig", config),
            ("leader-elect", "true"),
        ]
        return pod(
            "kube-scheduler", image: "\(settings.repository)/kube-scheduler:\(settings.version)", command: "kube-scheduler",
            Self.merge(arguments, settings.schedulerArguments), cpu: "100m", memory: nil,
            liveness: Self.probe("/livez", 10259, "HTTPS", host: "127.0.0.1", failures: 8),
            readiness: Self.probe("/readyz", 10259, "HTTPS", host: "127.0.0.1", failures: 3, delay: 0),
            startup: Self.probe("/livez", 10259, "HTTPS", host: "127.0.0.1", failures: 240, period: 1, delay: 0),
            volumes: [("kubeconfig", config, "FileOrCreate", true)])
    }

    /// The user's arguments take the place of ours.
    private static func merge(_ arguments: [(String, String)], _ extra: [(String, String)]) -> [String] {
        var result = arguments.filter { argument in !extra.contains { $0.0 == argument.0 } } + extra
        result.sort { $0.0 < $1.0 }
        return result.map { "--\($0.0)=\($0.1)" }
    }

    private static func probe(
        _ path: String, _ port: Int, _ scheme: String, host: String, failures: Int, period: Int = 10, delay: Int = 10
    )
        -> JSON
    {
        var probe: JSON = [
            "failureThreshold": JSON(failures),
            "httpGet": ["host": JSON(host), "path": JSON(path), "port": JSON(port), "scheme": JSON(scheme)],
        ]
        // Upstream gives a start 10 s and then looks every 10 s, and every second whether a component is ready. Here a start
        // is over in one second, and an idle lab is not to be woken so often (docs/kubernetes.md).
        if delay > 0 { probe["initialDelaySeconds"] = JSON(delay) }
        probe["periodSeconds"] = JSON(period)
        probe["timeoutSeconds"] = 15
        return probe
    }

    private func pod(
        _ name: String, image: String, command: String, _ arguments: [String], cpu: String, memory: String?,
        annotation: (String, String)? = nil, liveness: JSON, readiness: JSON? = nil, startup: JSON,
        volumes: [(name: String, path: String, type: String, readOnly: Bool)]
    ) -> JSON {
        var metadata: JSON = .emptyObject
        if let annotation { metadata["annotations"] = JSON([annotation.0: annotation.1]) }
        metadata["labels"] = ["component": JSON(name), "tier": "control-plane"]
        metadata["name"] = JSON(name)
        metadata["namespace"] = "kube-system"
        var requests: JSON = ["cpu": JSON(cpu)]
        if let memory { requests["memory"] = JSON(memory) }
        var container: JSON = [
            "command": JSON([command] + arguments), "image": JSON(image), "imagePullPolicy": "IfNotPresent", "livenessProbe": liveness,
            "name": JSON(name),
        ]
        if let readiness { container["readinessProbe"] = readiness }
        container["resources"] = ["requests": requests]
        container["startupProbe"] = startup
        container["volumeMounts"] = JSON(
            volumes.map { volume in
                var mount: JSON = ["mountPath": JSON(volume.path), "name": JSON(volume.name)]
                if volume.readOnly { mount["readOnly"] = true }
                return mount
            })
        return [
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": [
                "containers": [container], "hostNetwork": true, "priority": 2_000_001_000, "priorityClassName": "system-node-critical",
                "securityContext": ["seccompProfile": ["type": "RuntimeDefault"]],
                "volumes": JSON(volumes.map { ["hostPath": ["path": JSON($0.path), "type": JSON($0.type)], "name": JSON($0.name)] }),
            ],
            "status": .emptyObject,
        ]
    }
}
