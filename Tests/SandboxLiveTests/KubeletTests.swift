// The kubelet with the real API server and real sandboxes: Pods in, nodes out.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Containers
import Essentials
import Glibc
import Kernel
import Kubelet
import Network
import OrderedCollections
import Testing

/// An API server and a kubelet over a state directory; `restart` is what a killed server's successor does.
struct Cluster {
    let server: APIServer
    let client: ClusterClient
    let kubelet: Kubelet
    let bench: Bench

    static func with(_ body: @escaping @Sendable (Cluster) async throws -> Void) async throws {
        try await Bench.with { bench in try await run(bench, body) }
    }

    static func run(_ bench: Bench, _ body: @escaping @Sendable (Cluster) async throws -> Void) async throws {
        let store = try ClusterStore(path: bench.state + "/cluster.db")
        let server = APIServer(store: store)
        let client = ClusterClient(transport: server)
        let agent = Host.agentProgram
        let kubelet = try Kubelet(
            settings: KubeletSettings(nodeName: "host", address: "192.0.2.2", agentProgram: agent), client: client,
            sandboxes: bench.sandboxes)
        server.nodes.register("host", kubelet)
        let cluster = Cluster(server: server, client: client, kubelet: kubelet, bench: bench)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await kubelet.run() }
            group.addTask { try await body(cluster) }
            do { try await group.next() } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }

    func makeNamespace(_ name: String) async throws {
        _ = try await client.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)]])
    }

    /// A pod with a script, and more members of its metadata, spec and container.
    func pod(
        _ name: String, namespace: String = "lab-a", _ script: String, annotations: JSON = [:], spec: JSON = [:], container: JSON = [:]
    ) async throws {
        var pod: JSON = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "spec": [
                "nodeName": "host", "hostUsers": false, "restartPolicy": "Always", "terminationGracePeriodSeconds": 0,
                "containers": [
                    [
                        "name": "node", "image": "test/node", "command": ["/bin/sh", "-c", .string(script)],
                        "resources": ["limits": ["memory": "128Mi", "cpu": "1", "ephemeral-storage": "256Mi"]],
                    ]
                ],
            ],
        ]
        pod["metadata"]?["annotations"] = annotations
        for (key, value) in spec.object ?? [:] { pod["spec"]?[key] = value }
        var first = pod["spec"]?["containers"]?[0] ?? .null
        for (key, value) in container.object ?? [:] { first[key] = value }
        pod["spec"]?["containers"] = [first]
        _ = try await client.create(.pods, pod)
    }

    /// Polls until the pod satisfies `condition`; a failure after 20 s.
    @discardableResult
    func wait(_ name: String, namespace: String = "lab-a", _ what: String, _ condition: @Sendable (JSON) -> Bool) async throws -> JSON {
        var last: JSON = .null
        for _ in 0..<2000 {
            last = (try? await client.get(.pods, namespace: namespace, name: name)) ?? .null
            if condition(last) { return last }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("\(name) never was \(what): \(last["status"]?.text ?? "gone")")
        throw KubeletProblem.noSuchPod(name)
    }
}

extension JSON {
    var isPodReady: Bool { self["status"]?["conditions"]?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" } ?? false }
    var podPhase: String { self["status"]?["phase"]?.string ?? "" }
    var container: JSON { self["status"]?["containerStatuses"]?[0] ?? .null }
}

extension SandboxLiveTests {
    @Suite struct KubeletTests {
        @Test func aPodComesUpIsSeenAndGoesCompletely() async throws {
            try await Cluster.with { cluster in
                try await cluster.makeNamespace("lab-a")
                try await cluster.pod(
                    "node1", "echo one; echo two >&2; exec sleep infinity", annotations: ["lectern.dev/address": "172.30.0.11"])
                let pod = try await cluster.wait("node1", "ready") { $0.isPodReady && $0.podPhase == "Running" }
                #expect(pod["status"]?["podIP"] == "172.30.0.11")
                #expect(pod.container["state"]?["running"]?["startedAt"]?.string != nil)
                var log = ""
                for _ in 0..<100 where !(log.contains("one\n") && log.contains("two\n")) {
                    try await Task.sleep(for: .milliseconds(10))
                    let answer = await cluster.server.send(
                        APIRequest(method: "GET", path: "/api/v1/namespaces/lab-a/pods/node1/log", user: .system))
                    if case .bytes(let bytes) = answer.body { log = String(decoding: bytes, as: UTF8.self) }
                }
                #expect(log.contains("one\n") && log.contains("two\n"))
                var reasons: [String] = []
                for _ in 0..<100 where !reasons.contains("Started") {
                    try await Task.sleep(for: .milliseconds(10))
                    reasons = try await cluster.client.list(.events, namespace: "lab-a").items.compactMap { $0["reason"]?.string }
                }
                #expect(reasons.contains("Created") && reasons.contains("Started"))
                let node = try await cluster.client.get(.nodes, name: "host")
                #expect(node["status"]?["conditions"]?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" } == true)
                #expect((cluster.kubelet.usage(namespace: "lab-a", pod: "node1")?.memoryBytes ?? 0) > 0)

                try await cluster.client.delete(.namespaces, name: "lab-a")
                try await cluster.client.delete(.pods, namespace: "lab-a", name: "node1")
                try await cluster.wait("node1", "gone") { $0.isNull }
                #expect(!Host.kernel.exists(cluster.bench.sandboxes.paths.group("lab-a")))
            }
        }

        @Test func aNamespaceLeavesNothingWhicheverOfItsPodsGoesLast() async throws {
            try await Cluster.with { cluster in
                for round in 0..<6 {
                    let namespace = "lab-\(round)"
                    try await cluster.makeNamespace(namespace)
                    for name in ["node1", "node2", "node3"] { try await cluster.pod(name, namespace: namespace, "exec sleep infinity") }
                    for name in ["node1", "node2", "node3"] {
                        try await cluster.wait(name, namespace: namespace, "ready") { $0.isPodReady }
                    }
                    // Half of the times the namespace goes first, half of the times it outlives its pods for a moment.
                    if round.isMultiple(of: 2) { try await cluster.client.delete(.namespaces, name: namespace) }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for name in ["node1", "node2", "node3"] {
                            group.addTask { try await cluster.client.delete(.pods, namespace: namespace, name: name) }
                        }
                        try await group.waitForAll()
                    }
                    for name in ["node1", "node2", "node3"] { try await cluster.wait(name, namespace: namespace, "gone") { $0.isNull } }
                    if !round.isMultiple(of: 2) { try await cluster.client.delete(.namespaces, name: namespace) }
                    for _ in 0..<500 where Host.kernel.exists(cluster.bench.sandboxes.paths.group(namespace)) {
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    #expect(!Host.kernel.exists(cluster.bench.sandboxes.paths.group(namespace)))
                }
            }
        }

        @Test func aContainerThatEndsIsStartedAgainWithItsFiles() async throws {
            try await Cluster.with { cluster in
                try await cluster.makeNamespace("lab-a")
                try await cluster.pod("node1", "if test -e /kept; then exec sleep infinity; fi; touch /kept; exit 3")
                let pod = try await cluster.wait("node1", "restarted") {
                    $0.container["restartCount"]?.int == 1 && $0.podPhase == "Running" && $0.container["state"]?["running"] != nil
                }
                #expect(pod.container["lastState"]?["terminated"]?["exitCode"]?.int == 3)
            }
        }

        @Test func anImageThatIsMissingIsSaid() async throws {
            try await Cluster.with { cluster in
                try await cluster.makeNamespace("lab-a")
                try await cluster.pod("node1", "true", container: ["image": "no/such"])
                let pod = try await cluster.wait("node1", "refused") { $0.container["state"]?["waiting"]?["reason"] == "ImageMissing" }
                #expect(pod.podPhase == "Pending")
                #expect(pod.container["state"]?["waiting"]?["message"]?.string?.contains("no/such") == true)
                try await cluster.client.delete(.pods, namespace: "lab-a", name: "node1")
                try await cluster.wait("node1", "gone") { $0.isNull }
            }
        }

        @Test func volumesShowWhatTheySay() async throws {
            try await Cluster.with { cluster in
                try await cluster.makeNamespace("lab-a")
                _ = try await cluster.client.create(
                    .configMaps,
                    [
                        "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "settings", "namespace": "lab-a"],
                        "data": ["key": "value-of-key"],
                    ])
                _ = try await cluster.client.create(
                    .secrets,
                    [
                        "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "word", "namespace": "lab-a"],
                        "data": ["password": "aHVudGVyMg=="],
                    ])
                try Host.kernel.makeDirectories(cluster.bench.state + "/shared")
                try Host.kernel.write(cluster.bench.state + "/shared/file", text: "from-the-host")
                try await cluster.pod(
                    "node1",
                    "cat /config/key /secret/password /host/file; ls -ln /host/file; touch /host/x || echo read-only; df -k /memory; exec sleep infinity",
                    spec: [
                        "volumes": [
                            ["name": "a", "configMap": ["name": "settings"]], ["name": "b", "secret": ["secretName": "word"]],
                            ["name": "c", "hostPath": ["path": .string(cluster.bench.state + "/shared")]],
                            ["name": "d", "emptyDir": ["medium": "Memory", "sizeLimit": "8Mi"]],
                        ]
                    ],
                    container: [
                        "volumeMounts": [
                            ["name": "a", "mountPath": "/config"], ["name": "b", "mountPath": "/secret"],
                            ["name": "c", "mountPath": "/host", "readOnly": true], ["name": "d", "mountPath": "/memory"],
                        ]
                    ])
                try await cluster.wait("node1", "ready") { $0.isPodReady }
                var log = ""
                for _ in 0..<100 where !log.contains("8192") {
                    try await Task.sleep(for: .milliseconds(10))
                    log = ""
                    for await chunk in try cluster.kubelet.logs(namespace: "lab-a", pod: "node1") {
                        log += String(decoding: chunk, as: UTF8.self)
                    }
                }
                #expect(log.contains("value-of-keyhunter2from-the-host"))
                #expect(log.contains(" 0 0 ") && log.contains("read-only") && log.contains("8192"))
            }
        }

        @Test func probesDecideWhoIsReady() async throws {
            try await Cluster.with { cluster in
                try await cluster.makeNamespace("lab-a")
                try await cluster.pod(
                    "node1", "sleep 0.5; exec python3 -c \"import socket,time;s=socket.create_server(('0.0.0.0',8000));time.sleep(1000)\"",
                    container: ["readinessProbe": ["tcpSocket": ["port": 8000], "periodSeconds": 1]])
                let early = try await cluster.wait("node1", "running") { $0.podPhase == "Running" }
                #expect(!early.isPodReady)
                try await cluster.wait("node1", "ready") { $0.isPodReady }
                try await cluster.pod(
                    "node2", "sleep 1; touch /ready; exec sleep infinity",
                    container: ["readinessProbe": ["exec": ["command": ["test", "-e", "/ready"]], "periodSeconds": 1]])
                try await cluster.wait("node2", "ready") { $0.isPodReady }
            }
        }

        @Test(.enabled(if: Host.agentProgram != nil, "needs the node-agent program")) func anAgentsNodeIsReadyWhenTheAgentAnswers()
            async throws
        {
            try await Cluster.with { cluster in
                try await cluster.makeNamespace("lab-a")
                for index in 1...2 {
                    try await cluster.pod(
                        "node\(index)", "",
                        annotations: ["lectern.dev/address": .string("172.30.0.1\(index)"), "lectern.dev/agent": "true"],
                        container: [
                            "command": ["/usr/lib/lectern/node-agent", "--listen-fd", "3"],
                            "securityContext": ["procMount": "Unmasked", "capabilities": ["add": ["ALL"]]],
                        ])
                }
                let start = monotonicSeconds()
                try await cluster.wait("node1", "ready") { $0.isPodReady }
                try await cluster.wait("node2", "ready") { $0.isPodReady }
                print("agents ready after \(monotonicSeconds() - start) s")
            }
        }
    }
}
