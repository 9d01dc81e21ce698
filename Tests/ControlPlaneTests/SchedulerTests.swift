// Placing pods: the decision alone, and the whole way through the API.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Scheduler

@Suite struct SchedulerTests {
    static func node(_ name: String, cpu: String = "2", memory: String = "4Gi", pods: String = "110", spec: JSON = .emptyObject) -> JSON {
        [
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": JSON(name), "labels": ["kubernetes.io/hostname": JSON(name)]],
            "spec": spec,
            "status": [
                "allocatable": ["cpu": JSON(cpu), "memory": JSON(memory), "pods": JSON(pods)],
                "conditions": [["type": "Ready", "status": "True"]],
            ],
        ]
    }

    static func pod(_ name: String, cpu: String = "100m", memory: String = "64Mi") -> JSON {
        var pod = Harness.pod(name)
        pod["spec"]?["containers"] = [
            ["name": "main", "image": "alpine:3", "resources": ["requests": ["cpu": JSON(cpu), "memory": JSON(memory)]]]
        ]
        return pod
    }

    @Test func theEmptierNodeWins() {
        var placement = Placement()
        placement.set(node: Self.node("a"))
        placement.set(node: Self.node("b"))
        placement.assume(Self.pod("x", cpu: "1"), on: "a")
        #expect(placement.decide(Self.pod("y")) == .bind(node: "b"))
    }

    @Test func refusalsAreWordedAsUpstreamWordsThem() {
        var placement = Placement()
        #expect(placement.decide(Self.pod("x")) == .impossible(message: "no nodes available to schedule pods"))
        placement.set(node: Self.node("a", cpu: "1"))
        placement.set(node: Self.node("b", spec: ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]]))
        #expect(
            placement.decide(Self.pod("x", cpu: "3"))
                == .impossible(
                    message:
                        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
                ))
        placement.set(node: Self.node("a", pods: "0"))
        placement.remove(node: "b")
        #expect(
            placement.decide(Self.pod("x"))
                == .impossible(
                    message:
                        "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
                ))
    }

    @Test func tolerationsAndSelectorsCount() {
        var placement = Placement()
        placement.set(node: Self.node("a", spec: ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]]))
        var pod = Self.pod("x")
        pod["spec"]?["tolerations"] = [["key": "k", "operator": "Equal", "value": "v"]]
        #expect(placement.decide(pod) == .bind(node: "a"))
        pod["spec"]?["nodeSelector"] = ["kubernetes.io/hostname": "b"]
        if case .bind = placement.decide(pod) { Issue.record("the selector does not match") }
    }

    @Test func aPodThatGoesFreesItsPlace() {
        var placement = Placement()
        placement.set(node: Self.node("a", cpu: "1"))
        placement.assume(Self.pod("x", cpu: "1"), on: "a")
        if case .bind = placement.decide(Self.pod("y")) { Issue.record("the node is full") }
        var ended = Self.pod("x", cpu: "1")
        ended["spec"]?["nodeName"] = "a"
        ended["status"] = ["phase": "Succeeded"]
        placement.set(pod: ended)
        #expect(placement.decide(Self.pod("y")) == .bind(node: "a"))
    }

    @Test func podsAreBoundAndThoseThatWaitFollowWhenThereIsRoom() async throws {
        let harness = try await Harness()
        let client = harness.client
        let scheduler = PodScheduler(client: client, clock: harness.clock)
        _ = try await client.create(.nodes, Self.node("n1", cpu: "1"))
        _ = try await client.create(.pods, Self.pod("early", cpu: "600m"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await scheduler.run() }
            #expect(try await Self.wait(client, "early") { $0["spec"]?["nodeName"] == "n1" })
            _ = try await client.create(.pods, Self.pod("late", cpu: "600m"))
            #expect(try await Self.wait(client, "late") { $0["status"]?["conditions"]?[0]?["reason"] == "Unschedulable" })
            try await client.delete(.pods, namespace: "default", name: "early", options: DeleteOptions(gracePeriodSeconds: 0))
            #expect(try await Self.wait(client, "late") { $0["spec"]?["nodeName"] == "n1" })
            var events = client.watch(.events).makeAsyncIterator()
            var reasons: Set<String> = []
            while !reasons.isSuperset(of: ["Scheduled", "FailedScheduling"]), let event = try await events.next() {
                reasons.insert(event.object["reason"]?.string ?? "")
            }
            group.cancelAll()
        }
    }

    @Test func theImportantGetRoomAndItsPlaceIsKept() async throws {
        let harness = try await Harness()
        let client = harness.client
        let scheduler = PodScheduler(client: client, clock: harness.clock)
        _ = try await client.create(.nodes, Self.node("n1", cpu: "1"))
        func pod(_ name: String, _ cpu: String, _ priority: Int) -> JSON {
            var pod = Self.pod(name, cpu: cpu)
            pod["spec"]?["priority"] = JSON(priority)
            return pod
        }
        _ = try await client.create(.pods, pod("low", "800m", 1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await scheduler.run() }
            #expect(try await Self.wait(client, "low") { $0["spec"]?["nodeName"] == "n1" })
            _ = try await client.create(.pods, pod("high", "800m", 100))
            #expect(try await Self.wait(client, "high") { $0["status"]?["nominatedNodeName"] == "n1" })
            // The victim ends in its own time; until its node says so, nobody else gets the place.
            #expect(try await Self.wait(client, "low") { $0.isBeingDeleted })
            _ = try await client.create(.pods, pod("greedy", "300m", 1))
            #expect(try await Self.wait(client, "greedy") { $0["status"]?["conditions"]?[0]?["reason"] == "Unschedulable" })
            try await client.delete(.pods, namespace: "default", name: "low", options: DeleteOptions(gracePeriodSeconds: 0))
            #expect(try await Self.wait(client, "high") { $0["spec"]?["nodeName"] == "n1" })
            let greedy = try await client.get(.pods, namespace: "default", name: "greedy")
            #expect(greedy["spec"]?["nodeName"] == nil)
            var events = client.watch(.events).makeAsyncIterator()
            while let event = try await events.next() {
                if event.object["reason"] == "Preempted" {
                    #expect(event.object["message"]?.string?.hasSuffix(" on node n1") ?? false)
                    break
                }
            }
            group.cancelAll()
        }
    }

    @Test func gatedPodsWaitAndSayWhy() async throws {
        let harness = try await Harness()
        let client = harness.client
        let scheduler = PodScheduler(client: client, clock: harness.clock)
        _ = try await client.create(.nodes, Self.node("n1"))
        var gated = Self.pod("gated")
        gated["spec"]?["schedulingGates"] = [["name": "example.com/wait"]]
        _ = try await client.create(.pods, gated)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await scheduler.run() }
            #expect(try await Self.wait(client, "gated") { $0["status"]?["conditions"]?[0]?["reason"] == "SchedulingGated" })
            _ = try await client.patch(
                .pods, namespace: "default", name: "gated", .merge, ["spec": ["schedulingGates": []]])
            #expect(try await Self.wait(client, "gated") { $0["spec"]?["nodeName"] == "n1" })
            group.cancelAll()
        }
    }

    @Test func podsOfOtherSchedulersAreLeftAlone() async throws {
        let harness = try await Harness()
        let client = harness.client
        let scheduler = PodScheduler(client: client, clock: harness.clock)
        _ = try await client.create(.nodes, Self.node("n1"))
        var other = Self.pod("a-other")
        other["spec"]?["schedulerName"] = "mine"
        _ = try await client.create(.pods, other)
        _ = try await client.create(.pods, Self.pod("b-ours"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await scheduler.run() }
            #expect(try await Self.wait(client, "b-ours") { $0["spec"]?["nodeName"] == "n1" })
            let left = try await client.get(.pods, namespace: "default", name: "a-other")
            #expect(left["spec"]?["nodeName"] == nil)
            group.cancelAll()
        }
    }

    @Test func manyPodsAreBoundOnce() async throws {
        let harness = try await Harness()
        let client = harness.client
        let scheduler = PodScheduler(client: client, clock: harness.clock)
        for index in 0..<4 { _ = try await client.create(.nodes, Self.node("n\(index)", cpu: "16")) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await scheduler.run() }
            for index in 0..<300 { _ = try await client.create(.pods, Self.pod("p\(index)", cpu: "10m", memory: "1Mi")) }
            var bound: [String: Int] = [:]
            var seen: Set<String> = []
            for try await event in client.watch(.pods) where event.kind != .bookmark {
                guard let node = event.object["spec"]?["nodeName"]?.string, seen.insert(event.object.metaName).inserted else { continue }
                bound[node, default: 0] += 1
                if seen.count == 300 { break }
            }
            #expect(bound.values.reduce(0, +) == 300)
            #expect((bound.values.max() ?? 0) - (bound.values.min() ?? 0) <= 2)
            group.cancelAll()
        }
    }

    /// Follows the pod until it is as wanted.
    static func wait(_ client: ClusterClient, _ name: String, _ isWanted: @Sendable (JSON) -> Bool) async throws -> Bool {
        for try await event in client.watch(.pods, namespace: "default", options: ListOptions(fieldSelector: "metadata.name=\(name)")) {
            if event.kind != .bookmark, isWanted(event.object) { return true }
        }
        return false
    }
}
