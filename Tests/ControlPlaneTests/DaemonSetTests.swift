// DaemonSets: which nodes, which pods go when a template changes, and whole sets against an API server.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct DaemonSetTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func node(_ name: String, labels: [String: String] = [:], taints: [JSON] = []) -> JSON {
        ["metadata": ["name": JSON(name), "labels": JSON(labels)], "spec": ["taints": JSON(taints)]]
    }

    private func pod(
        _ name: String, on node: String, hash: String = "new", phase: String = "Running", ready: Bool = true, deleting: Bool = false
    ) -> JSON {
        var pod: JSON = [
            "metadata": ["name": JSON(name), "uid": JSON(name), "labels": ["controller-revision-hash": JSON(hash)]],
            "spec": ["nodeName": JSON(node)],
            "status": ["phase": JSON(phase), "conditions": [["type": "Ready", "status": ready ? "True" : "False"]]],
        ]
        if deleting { pod["metadata"]?["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return pod
    }

    private func decision(_ set: JSON, _ nodes: [JSON], _ pods: [JSON]) -> DaemonDecision {
        DaemonDecision(set: set, nodes: nodes, pods: pods, hash: "new", now: now)
    }

    @Test func taintsAndSelectorsDecideWhereDaemonsRun() {
        let notReady: JSON = ["key": "node.kubernetes.io/not-ready", "effect": "NoExecute"]
        let unschedulable: JSON = ["key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"]
        let own: JSON = ["key": "own", "value": "x", "effect": "NoSchedule"]
        let evil: JSON = ["key": "own", "value": "x", "effect": "NoExecute"]
        let set: JSON = ["spec": ["template": ["spec": ["nodeSelector": ["disk": "ssd"]]]]]
        func place(_ set: JSON, _ node: JSON) -> [Bool] {
            let (runs, stays) = decision(set, [node], []).place(on: node)
            return [runs, stays]
        }
        #expect(place(.emptyObject, node("a", taints: [notReady, unschedulable])) == [true, true])
        #expect(place(.emptyObject, node("a", taints: [own])) == [false, true])
        #expect(place(.emptyObject, node("a", taints: [evil])) == [false, false])
        #expect(place(set, node("a")) == [false, false])
        #expect(place(set, node("a", labels: ["disk": "ssd"])) == [true, true])
    }

    @Test func eachNodeGetsOnePod() {
        let work = decision(
            .emptyObject, [node("a"), node("b"), node("c"), node("d")],
            [
                pod("1", on: "b"), pod("2", on: "b"), pod("3", on: "c", deleting: true), pod("4", on: "d", phase: "Failed"),
            ]
        ).upkeep()
        #expect(work.create == ["a"])
        #expect(work.delete.map(\.metaName) == ["2", "4"])
        #expect(work.failed.map(\.metaName) == ["4"])
    }

    @Test func anUpdateTakesNoMoreThanItMay() {
        func set(_ unavailable: JSON, _ surge: JSON = 0) -> JSON {
            ["spec": ["updateStrategy": ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": unavailable, "maxSurge": surge]]]]
        }
        let nodes = ["a", "b", "c", "d"].map { node($0) }
        let old = ["a", "b", "c", "d"].map { pod("old-" + $0, on: $0, hash: "old") }
        #expect(decision(set(1), nodes, old).update().delete.map(\.metaName) == ["old-a"])
        #expect(decision(set("50%"), nodes, old).update().delete.count == 2)
        #expect(decision(set(1), nodes, Array(old.dropFirst())).update().delete.isEmpty, "one is missing already")
        var broken = old
        broken[3] = pod("old-d", on: "d", hash: "old", ready: false)
        #expect(decision(set(1), nodes, broken).update().delete.map(\.metaName) == ["old-d"])
        #expect(decision(set(0, 1), nodes, old).update() == DaemonDecision.Work(create: ["a"]))
        let surged = old + [pod("new-a", on: "a", ready: false)]
        #expect(decision(set(0, 1), nodes, surged).update() == DaemonDecision.Work())
        let done = old + [pod("new-a", on: "a")]
        let next = decision(set(0, 1), nodes, done).update()
        #expect(next.delete.map(\.metaName) == ["old-a"] && next.create == ["b"])
        #expect(decision(["spec": ["updateStrategy": ["type": "OnDelete"]]], nodes, old).update() == DaemonDecision.Work())
    }

    private func makeNodes(_ client: ClusterClient, _ names: [String]) async throws {
        for name in names {
            _ = try await client.create(.nodes, ["metadata": ["name": JSON(name)]])
            _ = try await client.patch(
                .nodes, name: name, .merge, ["status": ["conditions": [["type": "Ready", "status": "True"]]]], subresource: "status")
        }
    }

    private func daemonSet(image: String = "alpine:1") -> JSON {
        [
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": ["name": "net", "namespace": "default"],
            "spec": ["selector": ["matchLabels": ["app": "net"]], "template": WorkloadHarness.template(["app": "net"], image: image)],
        ]
    }

    @Test func aSetFollowsNodesAndTemplates() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await makeNodes(client, ["n1", "n2"])
        try await cluster.run {
            _ = try await client.create(.daemonSets, daemonSet())
            let ready = try await cluster.wait(.daemonSets, "net") { $0.statusInt("numberAvailable") == 2 }
            #expect(ready.statusInt("desiredNumberScheduled") == 2)
            let pods = try await client.list(.pods, namespace: "default").items
            #expect(Set(pods.map(PodFacts.node)) == ["n1", "n2"])
            #expect(pods.allSatisfy { $0.spec["tolerations"]?.array?.count ?? 0 >= 6 })
            try await makeNodes(client, ["n3"])
            try await cluster.wait(.daemonSets, "net") { $0.statusInt("numberAvailable") == 3 }
            _ = try await client.patch(
                .daemonSets, namespace: "default", name: "net", .merge,
                ["spec": ["template": ["spec": ["containers": [["name": "main", "image": "alpine:2"]]]]]])
            try await cluster.wait(.daemonSets, "net") {
                $0.statusInt("updatedNumberScheduled") == 3 && $0.statusInt("numberAvailable") == 3
                    && $0.statusInt("observedGeneration") == 2
            }
            let revisions = try await client.list(.controllerRevisions, namespace: "default").items
            #expect(revisions.compactMap { $0["revision"]?.int }.sorted() == [1, 2])
            #expect(revisions.allSatisfy { $0["data"]?["spec"]?["template"]?["$patch"] == "replace" })
            // As `kubectl rollout undo` does.
            _ = try await client.patch(
                .daemonSets, namespace: "default", name: "net", .merge,
                ["spec": ["template": ["spec": ["containers": [["name": "main", "image": "alpine:1"]]]]]])
            try await cluster.waitForAll(.controllerRevisions) { $0.compactMap { $0["revision"]?.int }.sorted() == [2, 3] }
            try await client.delete(.nodes, name: "n3")
            try await cluster.wait(.daemonSets, "net") { $0.statusInt("desiredNumberScheduled") == 2 }
        }
    }
}
