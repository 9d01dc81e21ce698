// A kubelet's whole way with pods: from the API and from manifests, through restarts, crashes and ends.
import ClusterClient
import ClusterModel
import Essentials
import Kernel
import NodeKubelet
import Pods
import Synchronization
import Testing

@Suite(.serialized) struct NodeKubeletTests {
    private static let one: JSON = ["containers": [["name": "c", "image": "alpine", "imagePullPolicy": "IfNotPresent"]]]

    @Test func registersItsNode() async throws {
        let harness = try await KubeletHarness()
        harness.runtime.state.withLock { $0.networkProblem = "Network plugin returns error: cni plugin not initialized" }
        try await harness.run { _ in
            try await harness.eventually("a node") {
                let node = (try? await harness.client.get(.nodes, name: "node1")) ?? .null
                return node["status"]?["conditions"]?.array?.contains { $0["type"] == "Ready" } ?? false
            }
            let node = try await harness.client.get(.nodes, name: "node1")
            let ready = node["status"]?["conditions"]?.array?.first { $0["type"] == "Ready" } ?? .null
            #expect(ready["status"] == "False")
            #expect(ready["reason"] == "KubeletNotReady")
            let network = "NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
            #expect(ready["message"] == JSON("container runtime network not ready: " + network))
            #expect(node.metaLabels["kubernetes.io/os"] == "linux")
            #expect(node["status"]?["nodeInfo"]?["kubeletVersion"] == "v1.32.0")
            #expect(node["status"]?["images"]?.array?.count == 2)
            // The network comes: the folder is seen without polling.
            harness.runtime.state.withLock { $0.networkProblem = nil }
            try LinuxKernel().makeDirectories(harness.folder + "/net.d")
            try LinuxKernel().write(harness.folder + "/net.d/10-net.conflist", text: "{}")
            try await harness.eventually("a ready node") {
                let node = (try? await harness.client.get(.nodes, name: "node1")) ?? .null
                return node["status"]?["conditions"]?.array?.first { $0["type"] == "Ready" }?["reason"] == "KubeletReady"
            }
            try await harness.eventually("a lease") {
                (try? await harness.client.get(.leases, namespace: "kube-node-lease", name: "node1")) != nil
            }
        }
    }

    @Test func runsAndRemovesAPod() async throws {
        let harness = try await KubeletHarness()
        try await harness.run { kubelet in
            try await harness.create("web", spec: Self.one)
            try await harness.eventually("web is ready") { await harness.isReady("web") }
            let status = await harness.pod("web")["status"] ?? .null
            #expect(status["phase"] == "Running")
            #expect(status["hostIP"] == "127.0.0.1")
            #expect(status["containerStatuses"]?[0]?["containerID"] == "lectern://id-c-0")
            #expect(status["qosClass"] == "BestEffort")
            try await harness.eventually("events") { await harness.events("web").count >= 3 }
            let messages = await harness.events("web").compactMap { $0["message"]?.string }
            #expect(messages.contains("Container image \"alpine\" already present on machine"))
            #expect(messages.contains("Created container: c"))
            #expect(messages.contains("Started container c"))
            let plan = try #require(harness.runtime.container("c")?.plan)
            #expect(plan.environment.isEmpty || plan.environment.contains { $0.0 == "KUBERNETES_SERVICE_HOST" })
            let uid = await harness.pod("web").metaUID
            let sandbox = harness.runtime.state.withLock { $0.sandboxes[uid] }
            #expect(sandbox?.hostname == "web")
            #expect(
                sandbox?.resolver.hasPrefix("search default.svc.cluster.local svc.cluster.local cluster.local") == true,
                "\(sandbox?.resolver ?? "")")
            try await harness.client.delete(.pods, namespace: "default", name: "web")
            try await harness.eventually("web is gone") { await harness.pod("web").isNull }
            #expect(harness.runtime.state.withLock { $0.signals.map(\.signal) } == [15])
            #expect(harness.runtime.state.withLock { $0.sandboxes.isEmpty })
            #expect(!LinuxKernel().exists(harness.settings.rootFolder + "/pods/" + uid))
            try await harness.eventually("no worker") { kubelet.podUID(namespace: "default", name: "web") == nil }
        }
    }

    @Test func tenPodsAtOnce() async throws {
        let harness = try await KubeletHarness()
        try await harness.run { _ in
            for number in 0..<10 { try await harness.create("p\(number)", spec: Self.one) }
            for number in 0..<10 { try await harness.eventually("all ready") { await harness.isReady("p\(number)") } }
            try await harness.client.deleteCollection(.pods, namespace: "default")
            try await harness.eventually("all gone") { try await harness.client.list(.pods, namespace: "default").items.isEmpty }
        }
    }

    @Test func crashesAndMissingThings() async throws {
        let harness = try await KubeletHarness()
        harness.runtime.state.withLock { $0.exitCodes["crash"] = 3 }
        harness.runtime.state.withLock { $0.messages["c"] = "last words" }
        try await harness.run { _ in
            try await harness.create("crash", spec: ["containers": [["name": "c", "image": "alpine:1", "command": ["crash"]]]])
            harness.runtime.add(image: "alpine:1")
            try await harness.create("absent", spec: ["containers": [["name": "a", "image": "nothere:1"]]])
            try await harness.create("never", spec: ["containers": [["name": "n", "image": "nothere:1", "imagePullPolicy": "Never"]]])
            try await harness.create("odd", spec: ["containers": [["name": "o", "image": "a!b"]]])
            try await harness.create(
                "unset",
                spec: [
                    "containers": [
                        [
                            "name": "u", "image": "busybox", "imagePullPolicy": "IfNotPresent",
                            "env": [["name": "A", "valueFrom": ["configMapKeyRef": ["name": "x", "key": "k"]]]],
                        ]
                    ]
                ])
            func waiting(_ pod: String) async -> JSON {
                await harness.pod(pod)["status"]?["containerStatuses"]?[0]?["state"]?["waiting"] ?? .null
            }
            try await harness.eventually("CrashLoopBackOff") { await waiting("crash")["reason"] == "CrashLoopBackOff" }
            let last = await harness.pod("crash")["status"]?["containerStatuses"]?[0]?["lastState"]?["terminated"] ?? .null
            #expect(last["exitCode"] == 3)
            #expect(last["message"] == "last words")
            try await harness.eventually("ImagePullBackOff") { await waiting("absent")["reason"] == "ImagePullBackOff" }
            try await harness.eventually("ErrImageNeverPull") { await waiting("never")["reason"] == "ErrImageNeverPull" }
            try await harness.eventually("InvalidImageName") { await waiting("odd")["reason"] == "InvalidImageName" }
            try await harness.eventually("CreateContainerConfigError") {
                await waiting("unset")["reason"] == "CreateContainerConfigError"
            }
            #expect(await waiting("unset")["message"] == "configmap \"x\" not found")
            _ = try await harness.client.create(.configMaps, namespace: "default", ["metadata": ["name": "x"], "data": ["k": "v"]])
            try await harness.eventually("it is found") { await harness.isReady("unset") }
            #expect(harness.runtime.container("u")?.plan.environment.contains { $0 == ("A", "v") } == true)
        }
    }

    @Test func aPodThatDoesNotFitIsRefused() async throws {
        let harness = try await KubeletHarness()
        try await harness.run { _ in
            try await harness.create(
                "big",
                spec: ["containers": [["name": "c", "image": "alpine", "resources": ["requests": ["cpu": "100000"]]]]])
            try await harness.create(
                "elsewhere", spec: ["nodeSelector": ["disk": "none"], "containers": [["name": "c", "image": "alpine"]]])
            try await harness.eventually("OutOfcpu") { await harness.pod("big")["status"]?["reason"] == "OutOfcpu" }
            #expect(await harness.pod("big")["status"]?["phase"] == "Failed")
            try await harness.eventually("NodeAffinity") { await harness.pod("elsewhere")["status"]?["reason"] == "NodeAffinity" }
            try await harness.client.delete(.pods, namespace: "default", name: "big")
            try await harness.eventually("big is gone") { await harness.pod("big").isNull }
        }
    }

    @Test func manifestsRunWithoutAnAPIServer() async throws {
        let harness = try await KubeletHarness()
        harness.wire.isDown.withLock { $0 = true }
        let file = harness.folder + "/manifests/etcd.yaml"
        let text = """
            apiVersion: v1
            kind: Pod
            metadata: {name: etcd, namespace: kube-system, labels: {tier: control-plane}}
            spec:
              hostNetwork: true
              containers: [{name: etcd, image: busybox, imagePullPolicy: IfNotPresent, command: [etcd]}]
            """
        try await harness.run { _ in
            try LinuxKernel().write(file, text: text)
            try await harness.eventually("etcd runs") { harness.runtime.container("etcd") != nil }
            harness.wire.isDown.withLock { $0 = false }
            try await harness.eventually("its mirror is ready") { await harness.isReady("etcd-node1", namespace: "kube-system") }
            let mirror = await harness.pod("etcd-node1", namespace: "kube-system")
            #expect(mirror.metaAnnotations["kubernetes.io/config.source"] == "file")
            #expect(mirror.metaAnnotations["kubernetes.io/config.mirror"] == mirror.metaAnnotations["kubernetes.io/config.hash"])
            #expect(mirror["metadata"]?["ownerReferences"]?[0]?["kind"] == "Node")
            // Killed, it comes back.
            harness.runtime.end("etcd", code: 137)
            try await harness.eventually("it is restarted") { harness.runtime.container("etcd")?.plan.attempt == 1 }
            try await harness.eventually("the mirror knows") {
                await harness.pod("etcd-node1", namespace: "kube-system")["status"]?["containerStatuses"]?[0]?["restartCount"] == 1
            }
            // Deleted, its mirror comes back, and the pod goes on.
            let before = harness.runtime.container("etcd")?.id
            try await harness.client.delete(.pods, namespace: "kube-system", name: "etcd-node1")
            try await harness.eventually("a new mirror") {
                let now = await harness.pod("etcd-node1", namespace: "kube-system")
                return !now.isNull && now.metaUID != mirror.metaUID
            }
            #expect(harness.runtime.container("etcd")?.id == before)
            try await harness.eventually("the new mirror is ready") { await harness.isReady("etcd-node1", namespace: "kube-system") }
            // Another manifest is another pod.
            try LinuxKernel().write(file, text: text + "\n    #\n  terminationGracePeriodSeconds: 5\n")
            try await harness.eventually("the new version runs") {
                harness.runtime.container("etcd")?.plan.attempt == 0 && harness.runtime.state.withLock { $0.signals.count } == 1
            }
            try LinuxKernel().remove(file)
            try await harness.eventually("all is gone") {
                let isGone = await harness.pod("etcd-node1", namespace: "kube-system").isNull
                return isGone && harness.runtime.container("etcd") == nil
            }
        }
    }

    @Test func aRestartKeepsPodsRunning() async throws {
        let harness = try await KubeletHarness()
        let pod = try await harness.create("web", spec: Self.one)
        _ = try await harness.client.patch(
            .pods, namespace: "default", name: "web", .merge,
            [
                "status": [
                    "phase": "Running", "startTime": "2026-11-24T10:00:00Z",
                    "containerStatuses": [
                        [
                            "name": "c", "ready": true, "started": true, "restartCount": 2, "image": "alpine", "imageID": "",
                            "containerID": "lectern://abc", "state": ["running": ["startedAt": "2026-11-24T10:00:00Z"]],
                        ]
                    ],
                ]
            ], subresource: "status")
        harness.runtime.state.withLock { state in
            let image = state.images["alpine"]!
            let started = SystemClock().now().adding(seconds: -60)
            state.adopted = [
                FoundSandbox(
                    namespace: "default", name: "web", uid: pod.metaUID, addresses: ["10.244.0.9"], createdAt: started,
                    containers: [FoundContainer(name: "c", attempt: 2, id: "abc", image: image, startedAt: started, exit: nil)]),
                FoundSandbox(namespace: "default", name: "old", uid: "gone", addresses: [], createdAt: started, containers: []),
            ]
        }
        try await harness.run { _ in
            try await harness.eventually("web is ready") { await harness.isReady("web") }
            #expect(harness.runtime.state.withLock { $0.containers.isEmpty }, "nothing was started")
            #expect(await harness.pod("web")["status"]?["podIP"] == "10.244.0.9")
            #expect(await harness.pod("web")["status"]?["containerStatuses"]?[0]?["restartCount"] == 2)
            try await harness.eventually("what nobody claims is removed") { harness.runtime.state.withLock { $0.removed == ["gone"] } }
        }
    }

    @Test func probesDecideWhoIsReady() async throws {
        let harness = try await KubeletHarness()
        harness.runtime.state.withLock { $0.answers["check"] = 1 }
        try await harness.run { _ in
            try await harness.create(
                "probed",
                spec: [
                    "containers": [
                        [
                            "name": "c", "image": "alpine", "imagePullPolicy": "IfNotPresent",
                            "readinessProbe": ["exec": ["command": ["check"]], "periodSeconds": 1, "failureThreshold": 1],
                        ]
                    ]
                ])
            try await harness.eventually("an event") {
                await harness.events("probed").contains { $0["message"] == "Readiness probe failed: said 1" }
            }
            #expect(await !harness.isReady("probed"))
            harness.runtime.state.withLock { $0.answers["check"] = 0 }
            try await harness.eventually("ready") { await harness.isReady("probed") }
        }
    }
}
