// Deployments: the numbers of a rollout as tables, and whole rollouts against an API server.
import ClusterClient
import ClusterModel
import Essentials
import Synchronization
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct DeploymentTests {
    private func spec(_ replicas: Int, surge: JSON, unavailable: JSON) -> DeploymentSpec {
        DeploymentSpec([
            "spec": [
                "replicas": JSON(replicas),
                "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": surge, "maxUnavailable": unavailable]],
            ]
        ])
    }

    private func set(_ name: String, _ replicas: Int, available: Int, max: Int? = nil, age: Int64 = 0) -> JSON {
        var set: JSON = [
            "metadata": [
                "name": JSON(name), "uid": JSON(name), "creationTimestamp": JSON(Timestamp(seconds: 1_800_000_000 - age).rfc3339),
            ],
            "spec": ["replicas": JSON(replicas)], "status": ["replicas": JSON(replicas), "availableReplicas": JSON(available)],
        ]
        if let max { set[path: ["metadata", "annotations", RolloutNames.maxReplicas]] = JSON(String(max)) }
        return set
    }

    @Test func percentagesRoundUpForSurgeAndDownForUnavailable() {
        let cases: [(Int, JSON, JSON, Int, Int)] = [
            (10, "25%", "25%", 3, 2), (1, "25%", "25%", 1, 0), (3, 1, 0, 1, 0), (4, "0%", "10%", 0, 1), (4, 0, 0, 0, 1), (2, 0, 5, 0, 2),
            (0, "25%", "25%", 0, 0),
        ]
        for (replicas, surge, unavailable, maxSurge, maxUnavailable) in cases {
            let spec = spec(replicas, surge: surge, unavailable: unavailable)
            #expect(spec.maxSurge == maxSurge && spec.maxUnavailable == maxUnavailable, "\(replicas) \(surge) \(unavailable)")
        }
    }

    @Test func theNewSetGrowsAsFarAsTheSurgeAllows() {
        let spec = spec(10, surge: 3, unavailable: 2)
        #expect(DeploymentMath.newSetReplicas(spec, all: [set("old", 10, available: 10)], new: 0) == 3)
        #expect(DeploymentMath.newSetReplicas(spec, all: [set("old", 8, available: 8), set("new", 3, available: 0)], new: 3) == 5)
        #expect(DeploymentMath.newSetReplicas(spec, all: [set("old", 0, available: 0), set("new", 10, available: 0)], new: 10) == 10)
    }

    @Test func oldSetsShrinkWhileEnoughStaysAvailable() {
        let spec = spec(10, surge: 3, unavailable: 2)
        func sizes(_ new: JSON, _ old: [JSON]) -> [String: Int] {
            Dictionary(uniqueKeysWithValues: DeploymentMath.shrinkOld(spec, new: new, old: old).map { ($0.set.metaName, $0.replicas) })
        }
        #expect(sizes(set("new", 3, available: 0), [set("old", 10, available: 10)]) == ["old": 8])
        #expect(sizes(set("new", 5, available: 5), [set("old", 8, available: 8)]) == ["old": 3])
        #expect(sizes(set("new", 3, available: 0), [set("old", 8, available: 8)]) == [:])
        // What is broken anyway goes first.
        #expect(
            sizes(set("new", 0, available: 0), [set("sick", 4, available: 0, age: 1), set("well", 8, available: 8, age: 9)]) == ["sick": 0])
    }

    @Test func setsShareWhatADeploymentGainsOrLoses() {
        let spec = spec(20, surge: 4, unavailable: 2)
        let sets = [set("old", 8, available: 8, max: 12, age: 9), set("new", 4, available: 4, max: 12)]
        let shares = DeploymentMath.shares(spec, deploymentReplicas: 12, sets: sets)
        #expect(Dictionary(uniqueKeysWithValues: shares.map { ($0.set.metaName, $0.replicas) }) == ["old": 16, "new": 8])
    }

    @Test func templateHashesAreStableShortAndSafe() {
        let template = WorkloadHarness.template(["app": "web"])
        let hash = TemplateHash.text(of: template)
        #expect(hash == TemplateHash.text(of: ["spec": template["spec"] ?? .null, "metadata": template["metadata"] ?? .null]))
        #expect(hash != TemplateHash.text(of: template, collisions: 1))
        #expect((1...10).contains(hash.count) && hash.allSatisfy { "bcdfghjklmnpqrstvwxz2456789".contains($0) })
    }

    @Test func aDeploymentRollsOverAndBack() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(.deployments, WorkloadHarness.deployment("web", replicas: 4))
            let ready = try await cluster.wait(.deployments, "web") { isDone($0, 4) }
            #expect(ready.metaAnnotations["deployment.kubernetes.io/revision"] == "1")
            #expect(ready.condition("Available")?["reason"] == "MinimumReplicasAvailable")
            #expect(ready.condition("Progressing")?["reason"] == "NewReplicaSetAvailable")
            let first = try await client.list(.replicaSets, namespace: "default").items[0]
            #expect(ready.condition("Progressing")?["message"]?.string == "ReplicaSet \"\(first.metaName)\" has successfully progressed.")
            #expect(first["metadata"]?["labels"]?["pod-template-hash"]?.string.map { first.metaName == "web-" + $0 } ?? false)
            #expect(first.metaAnnotations["deployment.kubernetes.io/max-replicas"] == "5")

            try await setImage(client, "alpine:2")
            try await cluster.wait(.deployments, "web") { $0.generation == 2 && isDone($0, 4) }
            let sets = try await cluster.waitForAll(.replicaSets) { $0.contains { $0.statusInt("replicas") == 0 } }
            #expect(sets.count == 2)
            let old = sets.first { $0.metaUID == first.metaUID }
            #expect(old?.specInt("replicas") == 0)

            // What `kubectl rollout undo` does: the old template again.
            try await setImage(client, "alpine:1")
            let back = try await cluster.wait(.deployments, "web") { $0.generation == 3 && isDone($0, 4) }
            #expect(back.metaAnnotations["deployment.kubernetes.io/revision"] == "3")
            let again = try await client.get(.replicaSets, namespace: "default", name: first.metaName)
            #expect(again.specInt("replicas") == 4)
            #expect(again.metaAnnotations["deployment.kubernetes.io/revision"] == "3")
            #expect(again.metaAnnotations["deployment.kubernetes.io/revision-history"] == "1")
            let events = try await cluster.waitForAll(.events) { events in
                let messages = events.compactMap { $0["message"]?.string }
                return messages.contains("Scaled down replica set \(first.metaName) from 4 to 3")
                    && messages.contains("Scaled up replica set \(first.metaName) from 0 to 4")
            }
            #expect(events.contains { $0["reason"] == "ScalingReplicaSet" && $0["source"]?["component"] == "deployment-controller" })
        }
    }

    @Test func aRolloutThatCannotWorkKeepsTheOldPods() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run(fate: { pod in
            pod["spec"]?["containers"]?[0]?["image"] == "broken" ? .pending : .ready
        }) {
            var deployment = WorkloadHarness.deployment("web", replicas: 4)
            deployment["spec"]?["progressDeadlineSeconds"] = 1
            _ = try await client.create(.deployments, deployment)
            try await cluster.wait(.deployments, "web") { isDone($0, 4) }
            try await setImage(client, "broken")
            let stuck = try await cluster.wait(.deployments, "web") {
                $0.condition("Progressing")?["reason"] == "ProgressDeadlineExceeded"
            }
            #expect(stuck.condition("Progressing")?["status"] == "False")
            #expect(stuck.statusInt("availableReplicas") == 3)
            #expect(stuck.statusInt("updatedReplicas") == 2)
            #expect(stuck.statusInt("unavailableReplicas") == 2)
            #expect(stuck.hasCondition("Available"))
            try await setImage(client, "alpine:1")
            let well = try await cluster.wait(.deployments, "web") { $0.generation == 3 && isDone($0, 4) }
            #expect(well.hasCondition("Progressing"))
        }
    }

    @Test func aPausedDeploymentScalesButDoesNotRoll() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(.deployments, WorkloadHarness.deployment("web", replicas: 2))
            try await cluster.wait(.deployments, "web") { isDone($0, 2) }
            _ = try await client.patch(.deployments, namespace: "default", name: "web", .merge, ["spec": ["paused": true]])
            try await cluster.wait(.deployments, "web") { $0.condition("Progressing")?["reason"] == "DeploymentPaused" }
            try await setImage(client, "alpine:2")
            _ = try await client.patch(.deployments, namespace: "default", name: "web", .merge, ["spec": ["replicas": 5]])
            try await cluster.wait(.deployments, "web") { $0.statusInt("availableReplicas") == 5 && $0.statusInt("updatedReplicas") == 0 }
            #expect(try await client.list(.replicaSets, namespace: "default").items.count == 1)
            _ = try await client.patch(.deployments, namespace: "default", name: "web", .merge, ["spec": ["paused": false]])
            try await cluster.wait(.deployments, "web") { isDone($0, 5) && $0.statusInt("observedGeneration") == 5 }
            #expect(try await client.list(.replicaSets, namespace: "default").items.count == 2)
        }
    }

    @Test func recreateEndsAllBeforeItBegins() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        let seen = Seen()
        try await cluster.run {
            var deployment = WorkloadHarness.deployment("web", replicas: 3)
            deployment["spec"]?["strategy"] = ["type": "Recreate"]
            _ = try await client.create(.deployments, deployment)
            try await cluster.wait(.deployments, "web") { isDone($0, 3) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var images: [String: String] = [:]
                    for try await event in client.watch(.pods, namespace: "default") where event.kind != .bookmark {
                        let name = event.object.metaName
                        images[name] = event.kind == .deleted ? nil : event.object["spec"]?["containers"]?[0]?["image"]?.string
                        if Set(images.values).count > 1 { seen.isMixed.withLock { $0 = true } }
                    }
                }
                try await setImage(client, "alpine:2")
                try await cluster.wait(.deployments, "web") { $0.generation == 2 && isDone($0, 3) }
                group.cancelAll()
            }
        }
        #expect(!seen.isMixed.withLock { $0 })
    }

    @Test func historyKeepsAsManySetsAsItIsTold() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            var deployment = WorkloadHarness.deployment("web", replicas: 1)
            deployment["spec"]?["revisionHistoryLimit"] = 2
            _ = try await client.create(.deployments, deployment)
            for number in 2...6 {
                try await cluster.wait(.deployments, "web") { isDone($0, 1) && $0.statusInt("observedGeneration") == number - 1 }
                try await setImage(client, "alpine:\(number)")
            }
            let sets = try await cluster.waitForAll(.replicaSets) { sets in
                sets.count == 3
                    && sets.contains { $0.metaAnnotations[RolloutNames.revision] == "6" && $0.statusInt("availableReplicas") == 1 }
            }
            #expect(Set(sets.compactMap { $0.metaAnnotations[RolloutNames.revision] }) == ["4", "5", "6"])
        }
    }

    @Test func aForeignSetOfTheSameNameIsAvoided() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        var deployment = WorkloadHarness.deployment("web", replicas: 1)
        let made = try await client.create(.deployments, deployment)
        deployment["spec"] = made["spec"]
        var foreign = DeploymentController.newSet(made, DeploymentSpec(made), replicas: 0, revision: 1)
        foreign["metadata"]?["ownerReferences"] = nil
        foreign[path: ["metadata", "labels"]] = ["app": "other"]
        foreign[path: ["spec", "selector"]] = ["matchLabels": ["app": "other"]]
        foreign[path: ["spec", "template", "metadata", "labels"]] = ["app": "other"]
        _ = try await client.create(.replicaSets, foreign)
        try await cluster.run {
            let ready = try await cluster.wait(.deployments, "web") { isDone($0, 1) }
            #expect(ready["status"]?["collisionCount"] == 1)
        }
    }

    @Test func aRolloutGoesOnWhereItsControllersDied() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(.deployments, WorkloadHarness.deployment("web", replicas: 6))
            try await cluster.wait(.deployments, "web") { isDone($0, 6) }
        }
        try await setImage(client, "alpine:2")
        for _ in 0..<3 {
            try? await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try? await ClusterControllers(client: client).run() }
                group.addTask { try? await FakeNode(client: client).run() }
                var seen = 0
                for try await event in client.watch(.replicaSets, namespace: "default") where event.kind != .bookmark {
                    seen += 1
                    let pods = try await client.list(.pods, namespace: "default").items.filter(PodFacts.isActive)
                    #expect(pods.count <= 8, "no more than the surge allows")
                    let image = event.object["spec"]?["template"]?["spec"]?["containers"]?[0]?["image"]
                    if seen == 6 || (image == "alpine:2" && event.object.statusInt("availableReplicas") == 6) { break }
                }
                group.cancelAll()
            }
        }
        try await cluster.run {
            try await cluster.wait(.deployments, "web") { $0.generation == 2 && isDone($0, 6) }
            let pods = try await client.list(.pods, namespace: "default").items
            #expect(pods.filter(PodFacts.isActive).count == 6)
            #expect(try await client.list(.replicaSets, namespace: "default").items.count == 2)
        }
    }

    private func setImage(_ client: ClusterClient, _ image: String) async throws {
        _ = try await client.patch(
            .deployments, namespace: "default", name: "web", .merge,
            ["spec": ["template": ["spec": ["containers": [["name": "main", "image": JSON(image)]]]]]])
    }
}

private final class Seen: Sendable {
    let isMixed = Mutex(false)
}

/// Whether a deployment has all its pods, of the newest template.
func isDone(_ deployment: JSON, _ replicas: Int) -> Bool {
    let status = deployment["status"] ?? .null
    return ["replicas", "updatedReplicas", "availableReplicas", "readyReplicas"].allSatisfy { status[$0]?.int == replicas }
        && deployment.statusInt("observedGeneration") == deployment.generation
        && deployment.condition("Progressing")?["reason"] == "NewReplicaSetAvailable"
}
