// ReplicaSets and ReplicationControllers: how many pods, which go first, and whose they are.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct ReplicaSetTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func pod(_ name: String, node: String = "n1", phase: String = "Running", readyFor: Int64? = 100, cost: Int? = nil) -> JSON {
        var pod: JSON = [
            "metadata": ["name": JSON(name), "uid": JSON("uid-" + name), "creationTimestamp": JSON(now.adding(seconds: -1000).rfc3339)],
            "spec": ["nodeName": JSON(node)], "status": ["phase": JSON(phase)],
        ]
        if let readyFor {
            pod["status"]?["conditions"] = [
                ["type": "Ready", "status": "True", "lastTransitionTime": JSON(now.adding(seconds: -readyFor).rfc3339)]
            ]
        }
        if let cost { pod[path: ["metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost"]] = JSON(String(cost)) }
        return pod
    }

    @Test func podsThatAreWorthLeastGoFirst() {
        let pods = [
            pod("old"), pod("young", readyFor: 2), pod("cheap", cost: -5), pod("unready", readyFor: nil),
            pod("pending", phase: "Pending", readyFor: nil), pod("unplaced", node: "", phase: "Pending", readyFor: nil),
            pod("crowded1", node: "n2", readyFor: 100), pod("crowded2", node: "n2", readyFor: 100),
        ]
        let related = pods + [pod("other", node: "n2"), pod("another", node: "n2"), pod("third", node: "n2"), pod("fourth", node: "n2")]
        let order = PodRank.sorted(pods, related: related, at: now).map(\.metaName)
        #expect(order == ["unplaced", "pending", "unready", "cheap", "crowded1", "crowded2", "young", "old"])
    }

    @Test func asManyAreMadeAsAreMissing() {
        #expect(ReplicaDecision.step(desired: 3, pods: [pod("a")], related: [], at: now) == .create(2))
        #expect(ReplicaDecision.step(desired: 1, pods: [pod("a")], related: [], at: now) == .nothing)
        #expect(ReplicaDecision.step(desired: 1000, pods: [], related: [], at: now) == .create(500))
        let surplus = ReplicaDecision.step(desired: 1, pods: [pod("a"), pod("b", readyFor: nil)], related: [], at: now)
        #expect(surplus == .delete([pod("b", readyFor: nil)]))
    }

    @Test func aPodIsAvailableAfterItsTime() {
        let young = pod("a", readyFor: 9)
        #expect(!PodFacts.isAvailable(young, minReadySeconds: 10, at: now))
        #expect(PodFacts.isAvailable(young, minReadySeconds: 9, at: now))
        #expect(PodFacts.secondsUntilNextAvailable([young], minReadySeconds: 10, at: now) == 1)
    }

    private func set(_ name: String, replicas: Int) -> JSON {
        [
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": ["name": JSON(name), "namespace": "default"],
            "spec": [
                "replicas": JSON(replicas), "selector": ["matchLabels": ["app": JSON(name)]],
                "template": WorkloadHarness.template(["app": name]),
            ],
        ]
    }

    @Test func aSetMakesReplacesAndRemovesPods() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run {
            _ = try await cluster.client.create(.replicaSets, set("web", replicas: 5))
            let ready = try await cluster.wait(.replicaSets, "web") { $0.statusInt("availableReplicas") == 5 }
            #expect(ready.statusInt("replicas") == 5)
            #expect(ready.statusInt("fullyLabeledReplicas") == 5)
            #expect(ready["status"]?["observedGeneration"] == 1)
            let pods = try await cluster.client.list(.pods, namespace: "default").items
            #expect(pods.allSatisfy { $0.controllerUID == ready.metaUID && $0.metaName.hasPrefix("web-") })
            try await cluster.client.delete(.pods, namespace: "default", name: pods[0].metaName)
            try await cluster.waitForAll(.pods) { list in
                list.count == 5 && !list.contains { $0.metaName == pods[0].metaName } && list.allSatisfy(PodFacts.isReady)
            }
            _ = try await cluster.client.patch(.replicaSets, namespace: "default", name: "web", .merge, ["spec": ["replicas": 2]])
            try await cluster.waitForAll(.pods) { $0.count == 2 }
            try await cluster.wait(.replicaSets, "web") { $0.statusInt("replicas") == 2 && $0["status"]?["observedGeneration"] == 2 }
            try await cluster.waitForAll(.events) { events in
                events.contains { $0["reason"] == "SuccessfulCreate" && $0["message"]?.string?.hasPrefix("Created pod: web-") ?? false }
                    && events.contains { $0["reason"] == "SuccessfulDelete" }
            }
        }
    }

    @Test func orphansAreAdoptedAndStrangersReleased() async throws {
        let cluster = try await WorkloadHarness()
        _ = try await cluster.client.create(.pods, Harness.pod("orphan", labels: ["app": "web"]))
        try await cluster.run {
            _ = try await cluster.client.create(.replicaSets, set("web", replicas: 2))
            let first = try await cluster.waitForAll(.pods) { $0.count == 2 && $0.allSatisfy { $0.controllerUID != nil } }
            #expect(first.contains { $0.metaName == "orphan" })
            _ = try await cluster.client.patch(
                .pods, namespace: "default", name: "orphan", .merge, ["metadata": ["labels": ["app": "free"]]])
            let after = try await cluster.waitForAll(.pods) { $0.count == 3 && $0.contains { $0.controllerUID == nil } }
            #expect(after.first { $0.controllerUID == nil }?.metaName == "orphan")
        }
    }

    @Test func whatCannotBeMadeIsTold() async throws {
        let cluster = try await WorkloadHarness()
        _ = try await cluster.client.create(
            .resourceQuotas, ["metadata": ["name": "q", "namespace": "default"], "spec": ["hard": ["pods": "1"]]])
        try await cluster.run {
            _ = try await cluster.client.create(.replicaSets, set("web", replicas: 3))
            let failing = try await cluster.wait(.replicaSets, "web") { $0.hasCondition("ReplicaFailure") && $0.statusInt("replicas") == 1 }
            #expect(failing.condition("ReplicaFailure")?["reason"] == "FailedCreate")
            let events = try await cluster.waitForAll(.events) { $0.contains { $0["reason"] == "FailedCreate" } }
            let message = events.first { $0["reason"] == "FailedCreate" }?["message"]?.string ?? ""
            #expect(message.hasPrefix("Error creating: pods \"web-"))
            #expect(message.contains("exceeded quota"))
            try await cluster.client.delete(.resourceQuotas, namespace: "default", name: "q")
            let fine = try await cluster.wait(.replicaSets, "web") { $0.statusInt("availableReplicas") == 3 }
            #expect(fine.condition("ReplicaFailure") == nil)
        }
    }

    @Test func anotherControllerGoesOnWhereOneDied() async throws {
        let cluster = try await WorkloadHarness()
        // The pods stay as they are created: nobody tends them.
        try await cluster.run(fate: { _ in .pending }) {
            _ = try await cluster.client.create(.replicaSets, set("web", replicas: 40))
            try await cluster.waitForAll(.pods) { $0.count >= 7 }
        }
        try await cluster.run {
            try await cluster.wait(.replicaSets, "web") { $0.statusInt("availableReplicas") == 40 }
            #expect(try await cluster.client.list(.pods, namespace: "default").items.count == 40)
        }
    }

    @Test func replicationControllersWorkTheSame() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run {
            _ = try await cluster.client.create(
                .replicationControllers,
                [
                    "metadata": ["name": "rc", "namespace": "default"],
                    "spec": ["replicas": 2, "selector": ["app": "rc"], "template": WorkloadHarness.template(["app": "rc"])],
                ])
            let ready = try await cluster.wait(.replicationControllers, "rc") { $0.statusInt("readyReplicas") == 2 }
            let pods = try await cluster.client.list(.pods, namespace: "default").items
            #expect(pods.allSatisfy { $0.controllerOwner?["kind"] == "ReplicationController" && $0.controllerUID == ready.metaUID })
        }
    }
}
