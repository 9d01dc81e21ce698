// Deciding where a pod goes: each filter, each score, and who has to go for whom.
import ClusterModel
import Essentials
import Testing

@testable import Scheduler

@Suite struct PlacementTests {
    static func node(_ name: String, cpu: String = "2", labels: [String: String] = [:], spec: JSON = .emptyObject) -> JSON {
        var node = SchedulerTests.node(name, cpu: cpu, spec: spec)
        for (key, value) in labels { node["metadata"]?["labels"]?[key] = JSON(value) }
        return node
    }

    static func pod(
        _ name: String, labels: [String: String] = [:], cpu: String = "100m", spec: [String: JSON] = [:], priority: Int = 0
    ) -> JSON {
        var pod = SchedulerTests.pod(name, cpu: cpu)
        pod["metadata"]?["labels"] = JSON(labels)
        pod["metadata"]?["uid"] = JSON("uid-" + name)
        if priority != 0 { pod["spec"]?["priority"] = JSON(priority) }
        for (key, value) in spec { pod["spec"]?[key] = value }
        return pod
    }

    static func placement(_ nodes: JSON...) -> Placement {
        var placement = Placement()
        for node in nodes { placement.set(node: node) }
        return placement
    }

    private func message(_ decision: PlacementDecision) -> String {
        switch decision {
        case .bind(let node, _): "bound to \(node)"
        case .impossible(let message), .preempt(_, _, let message): message
        }
    }

    private func node(_ decision: PlacementDecision) -> String? { if case .bind(let node, _) = decision { node } else { nil } }

    private func term(_ app: String, key: String = "kubernetes.io/hostname") -> JSON {
        ["labelSelector": ["matchLabels": ["app": JSON(app)]], "topologyKey": JSON(key)]
    }

    private func required(_ kind: String, _ terms: JSON...) -> [String: JSON] {
        var affinity: JSON = .emptyObject
        affinity[kind] = ["requiredDuringSchedulingIgnoredDuringExecution": .array(terms)]
        return ["affinity": affinity]
    }

    @Test func portsOfTheNodeAreTakenOnce() {
        var placement = Self.placement(Self.node("a"))
        let containers: JSON = [["name": "c", "image": "x", "ports": [["containerPort": 80, "hostPort": 8080]]]]
        placement.assume(Self.pod("one", spec: ["containers": containers]), on: "a")
        #expect(
            message(placement.decide(Self.pod("two", spec: ["containers": containers])))
                == "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
        )
        let local: JSON = [
            ["name": "c", "image": "x", "ports": [["containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1", "protocol": "UDP"]]]
        ]
        #expect(node(placement.decide(Self.pod("three", spec: ["containers": local]))) == "a")
    }

    @Test func antiAffinityKeepsPodsApartBothWays() {
        var placement = Self.placement(Self.node("a"), Self.node("b"))
        let apart = required("podAntiAffinity", term("web"))
        placement.assume(Self.pod("one", labels: ["app": "web"], spec: apart), on: "a")
        #expect(node(placement.decide(Self.pod("two", labels: ["app": "web"], spec: apart))) == "b")
        // One without the rule is kept away by the other's.
        #expect(node(placement.decide(Self.pod("plain", labels: ["app": "web"]))) == "b")
        placement.assume(Self.pod("two", labels: ["app": "web"], spec: apart), on: "b")
        #expect(
            message(placement.decide(Self.pod("three", labels: ["app": "web"], spec: apart)))
                == "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
        )
        #expect(
            message(placement.decide(Self.pod("plain", labels: ["app": "web"]))).hasPrefix(
                "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."))
        #expect(node(placement.decide(Self.pod("other", labels: ["app": "db"]))) != nil)
    }

    @Test func affinityBringsPodsTogether() {
        var placement = Self.placement(Self.node("a"), Self.node("b"))
        let near = required("podAffinity", term("web"))
        #expect(
            message(placement.decide(Self.pod("near", spec: near)))
                == "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
        // The first of a group that wants its own kind may begin anywhere.
        #expect(node(placement.decide(Self.pod("first", labels: ["app": "web"], spec: near))) != nil)
        placement.assume(Self.pod("web", labels: ["app": "web"], cpu: "1"), on: "b")
        #expect(node(placement.decide(Self.pod("near", spec: near))) == "b")
        // Another namespace's pods do not count.
        var far = Self.pod("far", spec: near)
        far["metadata"]?["namespace"] = "elsewhere"
        #expect(node(placement.decide(far)) == nil)
    }

    @Test func preferredTermsOnlyTip() {
        var placement = Self.placement(Self.node("a"), Self.node("b", labels: ["disk": "ssd"]))
        let wanted: [String: JSON] = [
            "affinity": [
                "nodeAffinity": [
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        ["weight": 10, "preference": ["matchExpressions": [["key": "disk", "operator": "In", "values": ["ssd"]]]]]
                    ]
                ]
            ]
        ]
        #expect(node(placement.decide(Self.pod("x", spec: wanted))) == "b")
        placement.set(node: Self.node("b", labels: ["disk": "ssd"], spec: ["unschedulable": true]))
        #expect(node(placement.decide(Self.pod("x", spec: wanted))) == "a")
        let apart: [String: JSON] = [
            "affinity": [
                "podAntiAffinity": [
                    "preferredDuringSchedulingIgnoredDuringExecution": [["weight": 100, "podAffinityTerm": term("web")]]
                ]
            ]
        ]
        var other = Self.placement(Self.node("a"), Self.node("b"))
        other.assume(Self.pod("web", labels: ["app": "web"], cpu: "10m"), on: "a")
        other.assume(Self.pod("load", cpu: "500m"), on: "b")
        #expect(node(other.decide(Self.pod("x", spec: apart))) == "b")
    }

    @Test func spreadConstraintsHold() {
        let zones = ["a": "x", "b": "x", "c": "y"]
        var placement = Placement()
        for (name, zone) in zones { placement.set(node: Self.node(name, labels: ["zone": zone])) }
        placement.set(node: Self.node("d"))
        let rule: [String: JSON] = [
            "topologySpreadConstraints": [
                [
                    "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": ["matchLabels": ["app": "web"]],
                ]
            ]
        ]
        let web = ["app": "web"]
        placement.assume(Self.pod("one", labels: web, spec: rule), on: "a")
        #expect(node(placement.decide(Self.pod("two", labels: web, spec: rule))) == "c")
        placement.set(node: Self.node("c", labels: ["zone": "y"], spec: ["unschedulable": true]))
        #expect(
            message(placement.decide(Self.pod("two", labels: web, spec: rule))).hasPrefix(
                "0/4 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints."
            ))
    }

    @Test func podsOfOneControllerAreSpreadByThemselves() {
        var placement = Self.placement(Self.node("a", cpu: "64"), Self.node("b", cpu: "64"), Self.node("c", cpu: "64"))
        var counts: [String: Int] = [:]
        for index in 0..<9 {
            var pod = Self.pod("p\(index)", cpu: "1m")
            pod["metadata"]?["ownerReferences"] = [["kind": "ReplicaSet", "name": "r", "uid": "r-uid", "controller": true]]
            guard case .bind(let node, _) = placement.decide(pod) else { continue }
            counts[node, default: 0] += 1
            placement.assume(pod, on: node)
        }
        #expect(counts == ["a": 3, "b": 3, "c": 3])
    }

    @Test func aPodThatNamesItsNodeSaysSoWhenItIsFull() {
        var placement = Self.placement(Self.node("a", cpu: "1"), Self.node("b"))
        placement.assume(Self.pod("x", cpu: "1"), on: "a")
        let named: [String: JSON] = [
            "affinity": [
                "nodeAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        "nodeSelectorTerms": [["matchFields": [["key": "metadata.name", "operator": "In", "values": ["a"]]]]]
                    ]
                ]
            ]
        ]
        #expect(
            message(placement.decide(Self.pod("y", spec: named)))
                == "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
        )
    }

    @Test func sidecarsAndInitContainersCountAsTheyRun() {
        let spec: JSON = [
            "initContainers": [
                ["name": "side", "restartPolicy": "Always", "resources": ["requests": ["cpu": "100m"]]],
                ["name": "init", "resources": ["requests": ["cpu": "1"]]],
            ],
            "containers": [["name": "a", "resources": ["requests": ["cpu": "300m"]]], ["name": "b"]],
            "overhead": ["cpu": "10m"],
        ]
        let facts = PodFacts(["metadata": ["name": "x"], "spec": spec])
        #expect(facts.requests == ["cpu": 1_110, "pods": 1])
    }

    @Test func theLessImportantGoForTheMoreImportant() {
        var placement = Self.placement(Self.node("a", cpu: "1"), Self.node("b", cpu: "1"))
        placement.assume(Self.pod("low", cpu: "800m", priority: 10), on: "a")
        placement.assume(Self.pod("lower", cpu: "800m", priority: 5), on: "b")
        placement.assume(Self.pod("small", cpu: "100m", priority: 1), on: "b")
        let important = Self.pod("high", cpu: "500m", priority: 100)
        // The one with the smallest priority goes; who need not go stays.
        #expect(
            placement.decide(important)
                == .preempt(node: "b", victims: ["default/lower"], message: "0/2 nodes are available: 2 Insufficient cpu."))
        #expect(
            message(placement.decide(Self.pod("polite", cpu: "500m", spec: ["preemptionPolicy": "Never"], priority: 100)))
                == "0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.")
        // Its place is kept from those that are less important, and not from those that are more.
        placement.nominate(PodFacts(important), node: "b")
        placement.remove(pod: "default/lower")
        #expect(node(placement.decide(Self.pod("quick", cpu: "500m"))) == nil)
        #expect(node(placement.decide(important)) == "b")
        // Too large even for an empty node.
        #expect(
            message(placement.decide(Self.pod("huge", cpu: "3", priority: 100))).hasSuffix(
                "preemption: 0/2 nodes are available: 2 Insufficient cpu."))
    }

    @Test func budgetsAreKeptWherePossible() throws {
        var placement = Self.placement(Self.node("a", cpu: "1"), Self.node("b", cpu: "1"))
        placement.assume(Self.pod("guarded", labels: ["app": "db"], cpu: "800m", priority: 1), on: "a")
        placement.assume(Self.pod("plain", cpu: "800m", priority: 5), on: "b")
        let budget = BudgetFacts([
            "metadata": ["name": "db", "namespace": "default"], "spec": ["selector": ["matchLabels": ["app": "db"]]],
            "status": ["disruptionsAllowed": 0],
        ])
        let pod = PodFacts(Self.pod("high", cpu: "500m", priority: 100))
        let decision = placement.decide(pod, budgets: [try #require(budget)])
        guard case .preempt(let node, let victims, _) = decision else {
            Issue.record("\(decision)")
            return
        }
        #expect((node, victims) == ("b", ["default/plain"]))
        guard case .preempt(let free, _, _) = placement.decide(pod) else { return }
        #expect(free == "a")
    }

    @Test func claimsDecideAboutNodes() {
        let placement = Self.placement(Self.node("a"), Self.node("b"))
        let pod = PodFacts(
            Self.pod("x", spec: ["volumes": [["name": "data", "persistentVolumeClaim": ["claimName": "data"]]]]))
        #expect(pod.claims == ["data"])
        func claim(_ more: JSON = .emptyObject) -> JSON {
            var claim: JSON = [
                "metadata": ["name": "data", "namespace": "default", "uid": "u"],
                "spec": [
                    "storageClassName": "local", "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]],
                ],
            ]
            for (key, value) in more.members { claim[key] = value }
            return claim
        }
        func volume(_ name: String, node: String, size: String) -> JSON {
            [
                "metadata": ["name": JSON(name)],
                "spec": [
                    "storageClassName": "local", "accessModes": ["ReadWriteOnce"], "capacity": ["storage": JSON(size)],
                    "nodeAffinity": [
                        "required": [
                            "nodeSelectorTerms": [
                                [
                                    "matchExpressions": [
                                        ["key": "kubernetes.io/hostname", "operator": "In", "values": [JSON(node)]]
                                    ]
                                ]
                            ]
                        ]
                    ],
                ], "status": ["phase": "Available"],
            ]
        }
        func decide(_ claim: JSON?, _ volumes: [JSON], mode: String, provisioner: String = "kubernetes.io/no-provisioner")
            -> PlacementDecision
        {
            placement.decide(
                pod,
                claims: [
                    ClaimFacts(
                        "data", claim, volumes: volumes,
                        storageClass: ["provisioner": JSON(provisioner), "volumeBindingMode": JSON(mode)])
                ])
        }
        let unhelpful = "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        #expect(
            message(decide(nil, [], mode: "Immediate"))
                == "0/2 nodes are available: persistentvolumeclaim \"data\" not found. \(unhelpful)")
        #expect(
            message(decide(claim(), [], mode: "Immediate"))
                == "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. \(unhelpful)")
        let wait = "WaitForFirstConsumer"
        #expect(
            message(decide(claim(), [volume("small", node: "b", size: "1Mi")], mode: wait))
                == "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. \(unhelpful)")
        #expect(decide(claim(), [volume("v", node: "b", size: "2Gi")], mode: wait) == .bind(node: "b", volumes: ["data": "v"]))
        guard case .bind(_, let made) = decide(claim(), [], mode: wait, provisioner: "lectern.dev/local") else {
            Issue.record("a new volume can be made anywhere")
            return
        }
        #expect(made == ["data": nil])
        var bound = claim(["status": ["phase": "Bound"]])
        bound["spec"]?["volumeName"] = "v"
        #expect(decide(bound, [volume("v", node: "a", size: "2Gi")], mode: wait) == .bind(node: "a"))
        #expect(
            message(decide(bound, [volume("v", node: "gone", size: "2Gi")], mode: wait))
                == "0/2 nodes are available: 2 node(s) had volume node affinity conflict. \(unhelpful)")
    }

    @Test func aThousandPodsFindTheirPlaces() {
        var placement = Placement()
        for index in 0..<20 { placement.set(node: Self.node("n\(index)", cpu: "64")) }
        var counts: [String: Int] = [:]
        for index in 0..<1_000 {
            var pod = Self.pod("p\(index)", cpu: "10m")
            pod["metadata"]?["ownerReferences"] = [["kind": "ReplicaSet", "name": "r", "uid": "r-uid", "controller": true]]
            if case .bind(let node, _) = placement.decide(pod) {
                placement.assume(pod, on: node)
                counts[node, default: 0] += 1
            }
        }
        #expect(counts.values.reduce(0, +) == 1_000)
        #expect((counts.values.max() ?? 0) - (counts.values.min() ?? 0) <= 3)
    }
}

@Suite struct SchedulingQueueTests {
    private func pod(_ name: String, priority: Int = 0) -> PodFacts { PodFacts(PlacementTests.pod(name, priority: priority)) }

    @Test func theMostImportantComesFirstThenTheOldest() {
        var queue = SchedulingQueue()
        for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5)] { queue.set(pod(name, priority: priority), isChanged: false) }
        var order: [String] = []
        while let next = queue.take(now: 0) { order.append(next.name) }
        #expect(order == ["b", "d", "a", "c"])
    }

    @Test func whoFitsNowhereWaitsForAChangeAndItsPause() {
        var queue = SchedulingQueue()
        queue.set(pod("a"), isChanged: false)
        _ = queue.take(now: 0)
        queue.fail("default/a", now: 0)
        #expect(queue.take(now: 5) == nil)
        queue.wakeAll(now: 5)
        #expect(queue.take(now: 5)?.name == "a")
        // Again and again: the pause grows.
        queue.fail("default/a", now: 5)
        queue.wakeAll(now: 5)
        #expect(queue.take(now: 5) == nil)
        #expect(queue.nextMoment() == 5 + 2 * SchedulingQueue.firstPauseSeconds)
        #expect(queue.take(now: 5.5)?.name == "a")
        // A change while it was being decided counts.
        queue.wakeAll(now: 5.5)
        queue.fail("default/a", now: 5.5)
        #expect(queue.take(now: 30)?.name == "a")
        queue.fail("default/a", now: 30)
        #expect(queue.take(now: 30 + SchedulingQueue.forgottenSeconds)?.name == "a")
        queue.remove("default/a")
        #expect(queue.isEmpty)
    }

    @Test func aChangedPodIsTriedAtOnce() {
        var queue = SchedulingQueue()
        queue.set(pod("a"), isChanged: false)
        _ = queue.take(now: 0)
        queue.fail("default/a", now: 0)
        queue.set(pod("a", priority: 7), isChanged: true)
        #expect(queue.take(now: 0)?.priority == 7)
    }
}
