// The garbage collector's graph, and the three ways to delete what owns others; namespaces that end.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct GarbageTests {
    private func object(_ uid: String, owners: [String] = [], finalizers: [String] = [], deleting: Bool = false) -> OwnerGraph.Node {
        var object: JSON = ["metadata": ["name": JSON(uid), "uid": JSON(uid), "finalizers": JSON(finalizers), "resourceVersion": "1"]]
        object["metadata"]?["ownerReferences"] = JSON(owners.map { ["uid": JSON($0), "blockOwnerDeletion": true] })
        if deleting { object["metadata"]?["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return OwnerGraph.Node(object, .configMaps)
    }

    @Test func dependentsAreLookedAtWhenTheirOwnerGoes() {
        var graph = OwnerGraph()
        #expect(graph.set(object("a")) == [])
        #expect(graph.set(object("b", owners: ["a"])) == [])
        #expect(graph.set(object("c", owners: ["nobody"])) == [.check("c")])
        #expect(graph.remove("a") == [.check("b")])
        #expect(graph.dependents(of: "a").map(\.uid) == ["b"])
    }

    @Test func aForegroundDeletionWaitsForThoseThatBlockIt() {
        var graph = OwnerGraph()
        _ = graph.set(object("a"))
        _ = graph.set(object("b", owners: ["a"]))
        #expect(graph.set(object("a", finalizers: ["foregroundDeletion"], deleting: true)) == [.finish("a")])
        #expect(graph.remove("b") == [.finish("a")])
        #expect(graph.set(object("x", owners: ["a"])) == [.check("x")], "its owner is on its way out")
    }

    @Test func verdicts() {
        func owner(_ uid: String) -> OwnerGraph.Owner { OwnerGraph.Owner(["uid": JSON(uid)]) }
        let node = object("n", owners: ["a", "b"])
        #expect(OwnerGraph.judge(node, [], hasDependents: false) == .nothing)
        #expect(OwnerGraph.judge(node, [(owner("a"), .solid), (owner("b"), .solid)], hasDependents: false) == .nothing)
        #expect(OwnerGraph.judge(node, [(owner("a"), .solid), (owner("b"), .dangling)], hasDependents: false) == .forget(["b"]))
        #expect(OwnerGraph.judge(node, [(owner("a"), .dangling)], hasDependents: false) == .delete(policy: "Background"))
        #expect(OwnerGraph.judge(node, [(owner("a"), .waiting)], hasDependents: true) == .delete(policy: "Foreground"))
        let orphanage = object("n", owners: ["a"], finalizers: ["orphan"])
        #expect(OwnerGraph.judge(orphanage, [(owner("a"), .dangling)], hasDependents: true) == .delete(policy: "Orphan"))
    }

    private func started(_ cluster: WorkloadHarness, _ body: @escaping @Sendable () async throws -> Void) async throws {
        try await cluster.run {
            _ = try await cluster.client.create(.deployments, WorkloadHarness.deployment("web", replicas: 3))
            try await cluster.wait(.deployments, "web") { isDone($0, 3) }
            try await body()
        }
    }

    @Test func aDeletedDeploymentTakesItsSetsAndPodsWithIt() async throws {
        let cluster = try await WorkloadHarness()
        try await started(cluster) {
            try await cluster.client.delete(
                .deployments, namespace: "default", name: "web", options: DeleteOptions(propagationPolicy: "Background"))
            try await cluster.waitForAll(.pods) { $0.isEmpty }
            #expect(try await cluster.client.list(.replicaSets, namespace: "default").items.isEmpty)
        }
    }

    @Test func inTheForegroundTheOwnerGoesLast() async throws {
        let cluster = try await WorkloadHarness()
        try await started(cluster) {
            let answer = try await cluster.client.delete(
                .deployments, namespace: "default", name: "web", options: DeleteOptions(propagationPolicy: "Foreground"))
            #expect(answer.metaFinalizers == ["foregroundDeletion"])
            try await cluster.waitForAll(.deployments) { $0.isEmpty }
            #expect(try await cluster.client.list(.replicaSets, namespace: "default").items.isEmpty)
            #expect(try await cluster.client.list(.pods, namespace: "default").items.isEmpty)
        }
    }

    @Test func orphansStay() async throws {
        let cluster = try await WorkloadHarness()
        try await started(cluster) {
            try await cluster.client.delete(
                .deployments, namespace: "default", name: "web", options: DeleteOptions(propagationPolicy: "Orphan"))
            try await cluster.waitForAll(.deployments) { $0.isEmpty }
            let sets = try await cluster.client.list(.replicaSets, namespace: "default").items
            #expect(sets.count == 1 && sets[0].owners.isEmpty)
            #expect(try await cluster.client.list(.pods, namespace: "default").items.count == 3)
        }
    }

    @Test func anyKindMayOwnAnyOther() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        let owner = try await client.create(.configMaps, ["metadata": ["name": "owner", "namespace": "default"]])
        let other = try await client.create(.configMaps, ["metadata": ["name": "other", "namespace": "default"]])
        func reference(_ owner: JSON) -> JSON {
            ["apiVersion": "v1", "kind": "ConfigMap", "name": JSON(owner.metaName), "uid": JSON(owner.metaUID)]
        }
        func secret(_ name: String, _ owners: [JSON]) async throws {
            _ = try await client.create(
                .secrets, ["metadata": ["name": JSON(name), "namespace": "default", "ownerReferences": JSON(owners)]])
        }
        try await secret("child", [reference(owner)])
        try await secret("shared", [reference(owner), reference(other)])
        var stranger = reference(owner)
        stranger["uid"] = "00000000-0000-0000-0000-000000000000"
        try await secret("lost", [stranger])
        try await cluster.run {
            try await cluster.waitForAll(.secrets) { !$0.contains { $0.metaName == "lost" } }
            try await client.delete(.configMaps, namespace: "default", name: "owner")
            let left = try await cluster.waitForAll(.secrets) { $0.count == 1 && $0[0].owners.count == 1 }
            #expect(left[0].metaName == "shared" && left[0].owners[0]["uid"]?.string == other.metaUID)
        }
    }

    @Test func aNamespaceGoesWithAllThatIsInIt() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(.namespaces, ["metadata": ["name": "shop"]])
            var deployment = WorkloadHarness.deployment("web", replicas: 2)
            deployment["metadata"]?["namespace"] = "shop"
            _ = try await client.create(.deployments, deployment)
            _ = try await client.create(.secrets, ["metadata": ["name": "s", "namespace": "shop", "finalizers": ["example.org/wait"]]])
            try await cluster.waitForAll(.pods, namespace: "shop") { $0.count == 2 && $0.allSatisfy(PodFacts.isReady) }
            try await client.delete(.namespaces, name: "shop")
            let waiting = try await cluster.wait(.namespaces, "shop", namespace: nil) { $0.hasCondition("NamespaceFinalizersRemaining") }
            let text = waiting.condition("NamespaceFinalizersRemaining")?["message"]?.string
            #expect(text == "Some content in the namespace has finalizers remaining: example.org/wait in 1 resource instances")
            _ = try await client.patch(.secrets, namespace: "shop", name: "s", .merge, ["metadata": ["finalizers": .null]])
            try await cluster.waitForAll(.namespaces, namespace: nil) { !$0.contains { $0.metaName == "shop" } }
            #expect(try await client.list(.pods, namespace: "shop").items.isEmpty)
        }
    }

    @Test func aCircleOfOwnersIsNoTrap() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        var made: [JSON] = []
        for name in ["a", "b", "c"] {
            made.append(try await client.create(.configMaps, ["metadata": ["name": JSON(name), "namespace": "default"]]))
        }
        for (index, object) in made.enumerated() {
            let owner = made[(index + 2) % 3]
            let reference: JSON = [
                "apiVersion": "v1", "kind": "ConfigMap", "name": JSON(owner.metaName), "uid": JSON(owner.metaUID),
                "blockOwnerDeletion": true,
            ]
            _ = try await client.patch(
                .configMaps, namespace: "default", name: object.metaName, .merge, ["metadata": ["ownerReferences": [reference]]])
        }
        try await cluster.run {
            try await client.delete(
                .configMaps, namespace: "default", name: "a", options: DeleteOptions(propagationPolicy: "Foreground"))
            try await cluster.waitForAll(.configMaps) { $0.isEmpty }
        }
    }
}
