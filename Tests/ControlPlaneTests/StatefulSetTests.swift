// StatefulSets: order, names, partitions and claims.
import ClusterClient
import ClusterModel
import Essentials
import Synchronization
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct StatefulSetTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func set(_ replicas: Int, _ more: JSON = .emptyObject, status: JSON = .emptyObject) -> JSON {
        var spec = more
        spec["replicas"] = JSON(replicas)
        return ["metadata": ["name": "web", "namespace": "default", "uid": "s"], "spec": spec, "status": status]
    }

    private func pod(_ ordinal: Int, revision: String = "new", ready: Bool = true, phase: String = "Running", deleting: Bool = false)
        -> JSON
    {
        var pod: JSON = [
            "metadata": [
                "name": JSON("web-\(ordinal)"), "uid": JSON("u\(ordinal)"),
                "labels": [
                    "controller-revision-hash": JSON(revision), "statefulset.kubernetes.io/pod-name": JSON("web-\(ordinal)"),
                    "apps.kubernetes.io/pod-index": JSON(String(ordinal)),
                ],
            ],
            "status": ["phase": JSON(phase), "conditions": [["type": "Ready", "status": ready ? "True" : "False"]]],
        ]
        if deleting { pod["metadata"]?["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return pod
    }

    private func steps(_ set: JSON, _ pods: [JSON], current: String = "new") -> [String] {
        StatefulDecision(set: set, pods: pods, current: current, newest: "new", now: now).steps().map { step in
            switch step {
            case .create(let ordinal, let revision): "create \(ordinal) \(revision)"
            case .recreate(let pod): "recreate \(pod.metaName)"
            case .repair(let pod, _): "repair \(pod.metaName)"
            case .condemn(let pod): "condemn \(pod.metaName)"
            case .update(let pod): "update \(pod.metaName)"
            }
        }
    }

    @Test func numbersComeInOrderAndGoInReverse() {
        #expect(steps(set(3), []) == ["create 0 new"])
        #expect(steps(set(3), [pod(0, ready: false)]) == [])
        #expect(steps(set(3), [pod(0)]) == ["create 1 new"])
        #expect(steps(set(3), [pod(0), pod(2)]) == ["create 1 new"])
        #expect(steps(set(1), [pod(0), pod(1), pod(2)]) == ["condemn web-2"])
        #expect(steps(set(1), [pod(0), pod(1), pod(2, deleting: true)]) == [])
        #expect(steps(set(1), [pod(0), pod(1, ready: false), pod(2)]) == ["condemn web-2"])
        #expect(steps(set(1), [pod(0), pod(1), pod(2, ready: false)]) == ["condemn web-2"], "the only sick one may go")
        #expect(steps(set(2), [pod(0, phase: "Failed")]) == ["recreate web-0"])
        #expect(steps(set(2, ["ordinals": ["start": 5]]), []) == ["create 5 new"])
    }

    @Test func inParallelAllComeAndGoAtOnce() {
        let parallel: JSON = ["podManagementPolicy": "Parallel"]
        #expect(steps(set(3, parallel), [pod(1, ready: false)]) == ["create 0 new", "create 2 new"])
        #expect(steps(set(0, parallel), [pod(0), pod(1)]) == ["condemn web-1", "condemn web-0"])
    }

    @Test func updatesGoDownToThePartition() {
        let old = [pod(0, revision: "old"), pod(1, revision: "old"), pod(2, revision: "old")]
        let partition: JSON = ["updateStrategy": ["type": "RollingUpdate", "rollingUpdate": ["partition": 2]]]
        #expect(steps(set(3), old, current: "old") == ["update web-2"])
        #expect(steps(set(3), [old[0], old[1], pod(2)], current: "old") == ["update web-1"])
        #expect(steps(set(3, partition), [old[0], old[1], pod(2)], current: "old") == [])
        #expect(steps(set(3, partition), [old[0], pod(2)], current: "old") == ["create 1 old"])
        #expect(steps(set(3), [old[0], old[1], pod(2, ready: false)], current: "old") == [])
        #expect(steps(set(3, ["updateStrategy": ["type": "OnDelete"]]), old, current: "old") == [])
    }

    @Test func onlyWholeNumbersAreOrdinals() {
        let set = set(1)
        func ordinal(_ name: String) -> Int? { StatefulPods.ordinal(["metadata": ["name": JSON(name)]], of: set) }
        #expect(ordinal("web-0") == 0 && ordinal("web-12") == 12)
        #expect(ordinal("web-01") == nil && ordinal("web-") == nil && ordinal("web-a") == nil && ordinal("other-1") == nil)
    }

    private func statefulSet(_ replicas: Int, image: String = "alpine:1") -> JSON {
        [
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": ["name": "db", "namespace": "default"],
            "spec": [
                "replicas": JSON(replicas), "serviceName": "db", "selector": ["matchLabels": ["app": "db"]],
                "template": WorkloadHarness.template(["app": "db"], image: image),
                "volumeClaimTemplates": [
                    [
                        "metadata": ["name": "data"],
                        "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
                    ]
                ],
                "persistentVolumeClaimRetentionPolicy": ["whenDeleted": "Retain", "whenScaled": "Delete"],
            ],
        ]
    }

    @Test func aSetGrowsUpdatesAndShrinks() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(.statefulSets, statefulSet(3))
            let ready = try await cluster.wait(.statefulSets, "db") { $0.statusInt("availableReplicas") == 3 }
            #expect(ready["status"]?["currentRevision"] == ready["status"]?["updateRevision"])
            let pods = try await client.list(.pods, namespace: "default").items
            #expect(Set(pods.map(\.metaName)) == ["db-0", "db-1", "db-2"])
            let second = pods.first { $0.metaName == "db-1" } ?? .null
            #expect(second.spec["hostname"] == "db-1" && second.spec["subdomain"] == "db")
            #expect(second.metaLabels["apps.kubernetes.io/pod-index"] == "1")
            #expect(second.spec["volumes"]?[0]?["persistentVolumeClaim"]?["claimName"] == "data-db-1")
            let order = pods.sorted { Int($0.metaResourceVersion) ?? 0 < Int($1.metaResourceVersion) ?? 0 }
            #expect(order.map(\.metaName) == ["db-0", "db-1", "db-2"])

            _ = try await client.patch(
                .statefulSets, namespace: "default", name: "db", .merge,
                ["spec": ["template": ["spec": ["containers": [["name": "main", "image": "alpine:2"]]]]]])
            let updated = try await cluster.wait(.statefulSets, "db") {
                $0.statusInt("observedGeneration") == 2 && $0.statusInt("updatedReplicas") == 3 && $0.statusInt("readyReplicas") == 3
                    && $0["status"]?["currentRevision"] == $0["status"]?["updateRevision"]
            }
            #expect(updated["status"]?["currentRevision"] != ready["status"]?["currentRevision"])

            _ = try await client.patch(.statefulSets, namespace: "default", name: "db", .merge, ["spec": ["replicas": 1]])
            try await cluster.wait(.statefulSets, "db") { $0.statusInt("replicas") == 1 }
            // Claims of numbers that are gone go with their pods.
            try await cluster.waitForAll(.persistentVolumeClaims) { $0.map(\.metaName) == ["data-db-0"] }
            try await cluster.waitForAll(.events) { events in
                events.contains { $0["message"] == "create Pod db-0 in StatefulSet db successful" }
                    && events.contains { $0["message"] == "create Claim data-db-0 Pod db-0 in StatefulSet db success" }
                    && events.contains { $0["message"] == "delete Pod db-2 in StatefulSet db successful" }
            }
        }
    }
}
