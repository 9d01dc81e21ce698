// kube-proxy and CoreDNS as kubeadm installs them: upstream's objects with upstream's names.
package import Essentials
internal import Yaml

package struct Addons: Sendable {
    package let settings: ClusterSettings
    package init(settings: ClusterSettings) { self.settings = settings }

    private static func account(_ name: String) -> JSON {
        ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": JSON(name), "namespace": "kube-system"]]
    }

    private static let corefileTail = """
            prometheus :9153
            forward . /etc/resolv.conf {
               max_concurrent 1000
            }
            cache 30 {
               disable success %DOMAIN%
               disable denial %DOMAIN%
            }
            loop
            reload
            loadbalance
        }

        """

    package var corefile: String {
        """
        .:53 {
            errors
            health {
               lameduck 5s
            }
            ready
            kubernetes \(settings.domain) in-addr.arpa ip6.arpa {
               pods insecure
               fallthrough in-addr.arpa ip6.arpa
               ttl 30
            }

        """ + Self.corefileTail.split(separator: "%DOMAIN%", omittingEmptySubsequences: false).joined(separator: settings.domain)
    }

    package var dns: [JSON] {
        let labels: JSON = ["k8s-app": "kube-dns"]
        func port(_ name: String, _ number: Int, _ proto: String) -> JSON {
            ["name": JSON(name), "port": JSON(number), "protocol": JSON(proto), "targetPort": JSON(number)]
        }
        func probe(_ path: String, _ port: Int) -> JSON { ["path": JSON(path), "port": JSON(port), "scheme": "HTTP"] }
        let container: JSON = [
            "name": "coredns", "image": JSON(Manifests(settings: settings).corednsImage), "imagePullPolicy": "IfNotPresent",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "resources": ["limits": ["memory": "170Mi"], "requests": ["cpu": "100m", "memory": "70Mi"]],
            "volumeMounts": [["name": "config-volume", "mountPath": "/etc/coredns", "readOnly": true]],
            "ports": [
                ["containerPort": 53, "name": "dns", "protocol": "UDP"], ["containerPort": 53, "name": "dns-tcp", "protocol": "TCP"],
                ["containerPort": 9153, "name": "metrics", "protocol": "TCP"],
            ],
            "livenessProbe": [
                "httpGet": probe("/health", 8080), "initialDelaySeconds": 60, "timeoutSeconds": 5, "successThreshold": 1,
                "failureThreshold": 5,
            ],
            "readinessProbe": ["httpGet": probe("/ready", 8181)],
            "securityContext": [
                "allowPrivilegeEscalation": false, "capabilities": ["add": ["NET_BIND_SERVICE"], "drop": ["ALL"]],
                "readOnlyRootFilesystem": true,
            ],
        ]
        return [
            Self.account("coredns"),
            ClusterObjects.clusterRole(
                "system:coredns",
                [
                    ClusterObjects.rule(["endpoints", "services", "pods", "namespaces"], ["list", "watch"]),
                    ClusterObjects.rule(["endpointslices"], ["list", "watch"], groups: ["discovery.k8s.io"]),
                    // Ours looks at its own node's addresses for names of nodes, too.
                    ClusterObjects.rule(["nodes"], ["get", "list", "watch"]),
                ]),
            ClusterObjects.binding("system:coredns", role: "system:coredns", [.account("coredns")]),
            ClusterObjects.configMap("coredns", ["Corefile": corefile]),
            [
                "apiVersion": "v1", "kind": "Service",
                "metadata": [
                    "name": "kube-dns", "namespace": "kube-system",
                    "annotations": ["prometheus.io/port": "9153", "prometheus.io/scrape": "true"],
                    "labels": ["k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"],
                ],
                "spec": [
                    "clusterIP": JSON(ServiceAddress.nth(10, of: settings.serviceSubnet) ?? "10.96.0.10"), "selector": labels,
                    "ports": [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")],
                ],
            ],
            [
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": ["name": "coredns", "namespace": "kube-system", "labels": labels],
                "spec": [
                    "replicas": 2, "selector": ["matchLabels": labels],
                    "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 1]],
                    "template": [
                        "metadata": ["labels": labels],
                        "spec": [
                            "priorityClassName": "system-cluster-critical", "serviceAccountName": "coredns",
                            "affinity": [
                                "podAntiAffinity": [
                                    "preferredDuringSchedulingIgnoredDuringExecution": [
                                        [
                                            "weight": 100,
                                            "podAffinityTerm": [
                                                "labelSelector": [
                                                    "matchExpressions": [["key": "k8s-app", "operator": "In", "values": ["kube-dns"]]]
                                                ],
                                                "topologyKey": "kubernetes.io/hostname",
                                            ],
                                        ]
                                    ]
                                ]
                            ],
                            "tolerations": [
                                ["key": "CriticalAddonsOnly", "operator": "Exists"],
                                ["key": JSON(KubeadmDefaults.taintKey), "effect": "NoSchedule"],
                            ],
                            "nodeSelector": ["kubernetes.io/os": "linux"], "containers": [container], "dnsPolicy": "Default",
                            "volumes": [
                                [
                                    "name": "config-volume",
                                    "configMap": ["name": "coredns", "items": [["key": "Corefile", "path": "Corefile"]]],
                                ]
                            ],
                        ],
                    ],
                ],
            ],
        ]
    }

    package var proxyConfiguration: JSON {
        var document: JSON = [
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "bindAddress": "0.0.0.0",
            "clientConnection": ["kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"], "clusterCIDR": JSON(settings.podSubnet),
            "healthzBindAddress": "0.0.0.0:10256", "kind": "KubeProxyConfiguration", "metricsBindAddress": "127.0.0.1:10249",
            "mode": "nftables",
        ]
        for (key, value) in settings.proxy.members where key != "apiVersion" && key != "kind" { document[key] = value }
        return document
    }

    package var proxy: [JSON] {
        let labels: JSON = ["k8s-app": "kube-proxy"]
        let kubeconfig: JSON = [
            "apiVersion": "v1", "kind": "Config",
            "clusters": [
                [
                    "cluster": [
                        "certificate-authority": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
                        "server": JSON("https://\(settings.server)"),
                    ], "name": "default",
                ]
            ],
            "contexts": [["context": ["cluster": "default", "namespace": "default", "user": "default"], "name": "default"]],
            "current-context": "default",
            "users": [["name": "default", "user": ["tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"]]],
        ]
        let bootstrappers: ClusterObjects.Subject = .group("system:bootstrappers:kubeadm:default-node-token")
        return [
            Self.account("kube-proxy"),
            ClusterObjects.binding("kubeadm:node-proxier", role: "system:node-proxier", [.account("kube-proxy")]),
            ClusterObjects.configMap(
                "kube-proxy", ["config.conf": YAML.text(proxyConfiguration), "kubeconfig.conf": YAML.text(kubeconfig)]),
            ClusterObjects.role(
                "kube-proxy", namespace: "kube-system", [ClusterObjects.rule(["configmaps"], ["get"], names: ["kube-proxy"])]),
            ClusterObjects.binding("kube-proxy", namespace: "kube-system", role: "kube-proxy", isClusterRole: false, [bootstrappers]),
            [
                "apiVersion": "apps/v1", "kind": "DaemonSet",
                "metadata": ["name": "kube-proxy", "namespace": "kube-system", "labels": labels],
                "spec": [
                    "selector": ["matchLabels": labels], "updateStrategy": ["type": "RollingUpdate"],
                    "template": [
                        "metadata": ["labels": labels],
                        "spec": [
                            "priorityClassName": "system-node-critical", "hostNetwork": true, "serviceAccountName": "kube-proxy",
                            "tolerations": [["operator": "Exists"]], "nodeSelector": ["kubernetes.io/os": "linux"],
                            "containers": [
                                [
                                    "name": "kube-proxy", "image": JSON("\(settings.repository)/kube-proxy:\(settings.version)"),
                                    "imagePullPolicy": "IfNotPresent",
                                    "command": [
                                        "/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf",
                                        "--hostname-override=$(NODE_NAME)",
                                    ],
                                    "env": [["name": "NODE_NAME", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]]],
                                    "securityContext": ["privileged": true],
                                    "volumeMounts": [
                                        ["mountPath": "/var/lib/kube-proxy", "name": "kube-proxy"],
                                        ["mountPath": "/run/xtables.lock", "name": "xtables-lock", "readOnly": false],
                                        ["mountPath": "/lib/modules", "name": "lib-modules", "readOnly": true],
                                    ],
                                ]
                            ],
                            "volumes": [
                                ["name": "kube-proxy", "configMap": ["name": "kube-proxy"]],
                                ["name": "xtables-lock", "hostPath": ["path": "/run/xtables.lock", "type": "FileOrCreate"]],
                                ["name": "lib-modules", "hostPath": ["path": "/lib/modules", "type": ""]],
                            ],
                        ],
                    ],
                ],
            ],
        ]
    }
}
