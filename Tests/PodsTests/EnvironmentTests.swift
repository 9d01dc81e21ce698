// Environments, names and plans: what containers are told.
import ClusterModel
import Essentials
import Pods
import Testing

@Suite struct EnvironmentTests {
    private static let pod: JSON = [
        "metadata": [
            "name": "p", "namespace": "ns", "uid": "u", "labels": ["app": "web"], "annotations": ["note": "a \"b\""],
        ],
        "spec": ["serviceAccountName": "robot"],
    ]

    private func variables(_ container: JSON, _ objects: KeyedSnapshot = KeyedSnapshot(), services: [JSON] = []) throws -> [String: String]
    {
        let environment = PodEnvironment(
            pod: Self.pod, nodeName: "node1", hostAddress: "172.30.0.11", addresses: ["10.0.0.7"],
            allocatable: ["cpu": Quantity(4), "memory": Quantity(1 << 30)], services: services)
        return Dictionary(try environment.variables(of: container, objects), uniquingKeysWith: { $1 })
    }

    @Test(arguments: [
        ("$(A)", "x"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("a$", "a$"), ("$(A", "$(A"), ("$A", "$A"), ("-$(A)-$(A)-", "-x-x-"),
    ])
    func references(text: String, expanded: String) {
        #expect(PodEnvironment.expand(text, ["A": "x"]) == expanded)
    }

    @Test func valuesFieldsAndKeys() throws {
        var objects = KeyedSnapshot()
        objects.configMaps["m"] = ["k": Array("v".utf8), "bad key": []]
        objects.secrets["s"] = ["k": Array("secret".utf8)]
        let found = try variables(
            [
                "envFrom": [["configMapRef": ["name": "m"], "prefix": "P_"], ["secretRef": ["name": "none", "optional": true]]],
                "resources": ["limits": ["memory": "64Mi"], "requests": ["cpu": "250m"]],
                "env": [
                    ["name": "A", "value": "1"], ["name": "B", "value": "$(A)-$(LATER)"], ["name": "LATER", "value": "2"],
                    ["name": "IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]],
                    ["name": "APP", "valueFrom": ["fieldRef": ["fieldPath": "metadata.labels['app']"]]],
                    ["name": "NODE", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]],
                    ["name": "S", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]],
                    ["name": "NO", "valueFrom": ["configMapKeyRef": ["name": "m", "key": "none", "optional": true]]],
                    ["name": "MEM", "valueFrom": ["resourceFieldRef": ["resource": "limits.memory", "divisor": "1Mi"]]],
                    ["name": "REQ", "valueFrom": ["resourceFieldRef": ["resource": "requests.cpu", "divisor": "1m"]]],
                    ["name": "CPU", "valueFrom": ["resourceFieldRef": ["resource": "limits.cpu"]]],
                ],
            ], objects)
        #expect(found["P_k"] == "v")
        #expect(found["P_bad key"] == nil)
        #expect(found["B"] == "1-$(LATER)")
        #expect(found["IP"] == "10.0.0.7")
        #expect(found["APP"] == "web")
        #expect(found["NODE"] == "node1")
        #expect(found["S"] == "secret")
        #expect(found["NO"] == nil)
        #expect(found["MEM"] == "64")
        #expect(found["REQ"] == "250")
        #expect(found["CPU"] == "4")
    }

    private static let missing: [(JSON, String)] = [
        (["name": "x", "key": "k"], "configmap \"x\" not found"), (["name": "m", "key": "k"], "couldn't find key k in ConfigMap ns/m"),
    ]

    @Test(arguments: missing)
    func whatIsMissingIsNamed(reference: JSON, message: String) {
        var objects = KeyedSnapshot()
        objects.configMaps["m"] = [:]
        #expect {
            try variables(["env": [["name": "A", "valueFrom": ["configMapKeyRef": reference]]]], objects)
        } throws: {
            ($0 as? PodRuntimeProblem)?.message == message && ($0 as? PodRuntimeProblem)?.reason == "CreateContainerConfigError"
        }
    }

    @Test func servicesHaveVariables() throws {
        func service(_ name: String, _ namespace: String, _ address: String, _ port: Int) -> JSON {
            [
                "metadata": ["name": JSON(name), "namespace": JSON(namespace)],
                "spec": ["clusterIP": JSON(address), "ports": [["name": "http", "port": JSON(port), "protocol": "TCP"]]],
            ]
        }
        let found = try variables(
            .emptyObject,
            services: [
                service("kubernetes", "default", "10.96.0.1", 443), service("my-web", "ns", "10.96.0.5", 80),
                service("other", "elsewhere", "10.96.0.6", 80), service("headless", "ns", "None", 80),
            ])
        #expect(found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1")
        #expect(found["KUBERNETES_PORT"] == "tcp://10.96.0.1:443")
        #expect(found["MY_WEB_SERVICE_PORT_HTTP"] == "80")
        #expect(found["MY_WEB_PORT_80_TCP_ADDR"] == "10.96.0.5")
        #expect(found["OTHER_SERVICE_HOST"] == nil)
        #expect(found["HEADLESS_SERVICE_HOST"] == nil)
    }

    private static let resolverCases: [(JSON, String)] = [
        ([:], "search ns.svc.cluster.local svc.cluster.local cluster.local lab\nnameserver 10.96.0.10\noptions ndots:5\n"),
        (["dnsPolicy": "Default"], "search lab\nnameserver 8.8.8.8\n"),
        (["hostNetwork": true], "search lab\nnameserver 8.8.8.8\n"),
        (
            ["hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"],
            "search ns.svc.cluster.local svc.cluster.local cluster.local lab\nnameserver 10.96.0.10\noptions ndots:5\n"
        ),
        (
            ["dnsPolicy": "None", "dnsConfig": ["nameservers": ["1.2.3.4"], "options": [["name": "ndots", "value": "2"]]]],
            "nameserver 1.2.3.4\noptions ndots:2\n"
        ),
    ]

    @Test(arguments: resolverCases)
    func resolvers(spec: JSON, text: String) {
        var pod = Self.pod
        for (key, value) in spec.members { pod["spec"]?[key] = value }
        let settings = ResolverSettings(
            clusterServers: ["10.96.0.10"], clusterDomain: "cluster.local", nodeText: "nameserver 8.8.8.8\nsearch lab\n")
        #expect(PodNames.resolver(pod, settings) == text)
    }

    @Test func hostNames() {
        var pod = Self.pod
        #expect(PodNames.hostname(pod, nodeName: "node1", clusterDomain: "cluster.local").short == "p")
        pod["spec"]?["hostname"] = "web-0"
        pod["spec"]?["subdomain"] = "web"
        #expect(PodNames.hostname(pod, nodeName: "node1", clusterDomain: "cluster.local").full == "web-0.web.ns.svc.cluster.local")
        pod["spec"]?["setHostnameAsFQDN"] = true
        #expect(PodNames.hostname(pod, nodeName: "node1", clusterDomain: "cluster.local").short == "web-0.web.ns.svc.cluster.local")
        pod["spec"]?["hostNetwork"] = true
        #expect(PodNames.hostname(pod, nodeName: "node1", clusterDomain: "cluster.local").short == "node1")
    }

    @Test func requestsOfSidecarsAndInitContainers() {
        func container(_ cpu: String, _ extra: JSON = .emptyObject) -> JSON {
            var result: JSON = ["name": "x", "resources": ["requests": ["cpu": JSON(cpu)]]]
            for (key, value) in extra.members { result[key] = value }
            return result
        }
        let pod: JSON = [
            "spec": [
                "initContainers": [container("100m", ["restartPolicy": "Always"]), container("900m")],
                "containers": [container("200m"), container("300m")],
            ]
        ]
        #expect(PodResources.requests(pod)["cpu"] == Quantity(milli: 1000))
    }

    @Test func hostPortsThatAreTaken() {
        func pod(_ name: String, _ port: Int) -> JSON {
            [
                "metadata": ["name": JSON(name)],
                "spec": ["containers": [["name": "c", "ports": [["containerPort": 80, "hostPort": JSON(port)]]]]],
            ]
        }
        let allocatable = ["pods": Quantity(2)]
        func check(_ wanted: JSON, _ others: [JSON]) -> String? {
            PodAdmission.check(wanted, others: others, nodeName: "n", labels: [:], allocatable: allocatable)?.reason
        }
        #expect(check(pod("a", 8080), [pod("b", 8080)]) == "NodePorts")
        #expect(check(pod("a", 8081), [pod("b", 8080)]) == nil)
        #expect(check(pod("a", 8081), [pod("b", 8080), pod("c", 1)]) == "OutOfpods")
    }
}
