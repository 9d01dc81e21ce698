// Jobs: counting that no restart can upset, limits, indexes, suspension; and their expiry.
import ClusterClient
import ClusterModel
import Essentials
import Synchronization
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct JobTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func pod(_ uid: String, _ phase: String, tracked: Bool = true, index: Int? = nil, exit: Int? = nil, ago: Int64 = 0) -> JSON {
        var pod: JSON = ["metadata": ["name": JSON(uid), "namespace": "default", "uid": JSON(uid)], "status": ["phase": JSON(phase)]]
        if tracked { pod["metadata"]?["finalizers"] = [JSON(JobFacts.finalizer)] }
        if let index { pod[path: ["metadata", "annotations", JobFacts.indexKey]] = JSON(String(index)) }
        if let exit {
            let end = JSON(now.adding(seconds: -ago).rfc3339)
            pod["status"]?["containerStatuses"] = [
                ["name": "main", "state": ["terminated": ["exitCode": JSON(exit), "finishedAt": end]]]
            ]
        }
        return pod
    }

    @Test func indexesAreWrittenAsRanges() {
        #expect(IndexSet([0, 1, 2, 5, 7, 8]).text == "0-2,5,7,8")
        #expect(IndexSet(text: "0-2,5").indexes == [0, 1, 2, 5])
        #expect(IndexSet(text: "").text == "")
    }

    @Test func eachEndIsCountedOnce() {
        let job: JSON = ["spec": ["completions": 3], "status": ["succeeded": 1, "uncountedTerminatedPods": ["succeeded": ["a", "b"]]]]
        let spec = JobSpec(job)
        // `a` has lost its finalizer, `b` has it still, `c` is new, `d` was counted long ago.
        let tally = JobTally(
            job, spec,
            pods: [
                pod("a", "Succeeded", tracked: false), pod("b", "Succeeded"), pod("c", "Succeeded"), pod("d", "Succeeded", tracked: false),
            ],
            isOver: false)
        #expect(tally.succeeded == 2)
        #expect(tally.uncountedSucceeded == ["b", "c"])
        #expect(tally.release.map(\.metaUID) == ["b", "c"])
        #expect(tally.allSucceeded == 4)
    }

    @Test func theFailurePolicyDecidesWhatAFailureMeans() {
        let rules: [JSON] = [
            ["action": "Ignore", "onPodConditions": [["type": "DisruptionTarget", "status": "True"]]],
            ["action": "FailJob", "onExitCodes": ["operator": "In", "values": [42]]],
        ]
        var disrupted = pod("a", "Failed", exit: 1)
        disrupted["status"]?["conditions"] = [["type": "DisruptionTarget", "status": "True"]]
        #expect(JobFacts.reaction(disrupted, rules) == .ignore)
        #expect(JobFacts.reaction(pod("a", "Failed", exit: 1), rules) == .count)
        #expect(
            JobFacts.reaction(pod("a", "Failed", exit: 42), rules)
                == .failJob("Container main for pod default/a failed with exit code 42 matching FailJob rule at index 1"))
    }

    @Test func failuresAreFollowedByLongerAndLongerWaits() {
        let spec = JobSpec(["spec": .emptyObject])
        func wait(_ pods: [JSON]) -> Double { JobFacts.backOff(pods, spec, at: now) }
        #expect(wait([]) == 0)
        #expect(wait([pod("a", "Failed", exit: 1, ago: 4)]) == 6)
        #expect(wait([pod("a", "Failed", exit: 1, ago: 30), pod("b", "Failed", exit: 1, ago: 5)]) == 15)
        #expect(wait([pod("a", "Failed", exit: 1, ago: 30), pod("b", "Succeeded", exit: 0, ago: 5)]) == 0)
    }

    private func job(_ name: String, _ spec: JSON, restart: String = "Never") -> JSON {
        var spec = spec
        spec["template"] = ["spec": ["restartPolicy": JSON(restart), "containers": [["name": "main", "image": "alpine:1"]]]]
        return ["apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": JSON(name), "namespace": "default"], "spec": spec]
    }

    @Test func aJobEndsWhenEnoughHaveSucceeded() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run(fate: { _ in .succeeded }) {
            _ = try await cluster.client.create(.jobs, job("sum", ["completions": 5, "parallelism": 2]))
            let done = try await cluster.wait(.jobs, "sum") { $0.hasCondition("Complete") }
            #expect(done.statusInt("succeeded") == 5)
            #expect(done.hasCondition("SuccessCriteriaMet"))
            #expect(done.condition("Complete")?["reason"] == "CompletionsReached")
            #expect(done["status"]?["completionTime"]?.string != nil && done["status"]?["startTime"]?.string != nil)
            let pods = try await cluster.waitForAll(.pods) { $0.allSatisfy { !JobFacts.isTracked($0) } }
            #expect(pods.count == 5)
            try await cluster.waitForAll(.events) { $0.contains { $0["reason"] == "Completed" && $0["message"] == "Job completed" } }
        }
    }

    @Test func everyIndexHasItsPod() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run(fate: { _ in .succeeded }) {
            _ = try await cluster.client.create(
                .jobs, job("each", ["completions": 4, "parallelism": 3, "completionMode": "Indexed"]))
            let done = try await cluster.wait(.jobs, "each") { $0.hasCondition("Complete") }
            #expect(done["status"]?["completedIndexes"] == "0-3")
            let pods = try await cluster.client.list(.pods, namespace: "default").items
            #expect(Set(pods.compactMap(JobFacts.index)) == [0, 1, 2, 3])
            #expect(pods.count == 4)
            let first = pods.first { JobFacts.index($0) == 0 } ?? .null
            #expect(first.metaName.hasPrefix("each-0-") && first.spec["hostname"] == "each-0")
            #expect(first.spec["containers"]?[0]?["env"]?[0]?["name"] == "JOB_COMPLETION_INDEX")
        }
    }

    @Test func tooManyFailuresEndAJob() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run(fate: { _ in .failed }) {
            _ = try await cluster.client.create(.jobs, job("bad", ["backoffLimit": 0]))
            let failed = try await cluster.wait(.jobs, "bad") { $0.hasCondition("Failed") }
            #expect(failed.condition("Failed")?["reason"] == "BackoffLimitExceeded")
            #expect(failed.condition("Failed")?["message"] == "Job has reached the specified backoff limit")
            #expect(failed.statusInt("failed") == 1)
        }
    }

    @Test func aDeadlineEndsAJob() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run {
            _ = try await cluster.client.create(.jobs, job("slow", ["activeDeadlineSeconds": 1, "parallelism": 2]))
            let failed = try await cluster.wait(.jobs, "slow") { $0.hasCondition("Failed") }
            #expect(failed.condition("Failed")?["reason"] == "DeadlineExceeded")
            try await cluster.waitForAll(.pods) { $0.isEmpty }
        }
    }

    @Test func aSuspendedJobHasNoPods() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(.jobs, job("later", ["suspend": true, "parallelism": 2]))
            try await cluster.wait(.jobs, "later") { $0.hasCondition("Suspended") }
            _ = try await client.patch(.jobs, namespace: "default", name: "later", .merge, ["spec": ["suspend": false]])
            try await cluster.wait(.jobs, "later") { $0.statusInt("ready") == 2 && $0.condition("Suspended")?["status"] == "False" }
            _ = try await client.patch(.jobs, namespace: "default", name: "later", .merge, ["spec": ["suspend": true]])
            try await cluster.waitForAll(.pods) { $0.isEmpty }
            let suspended = try await cluster.wait(.jobs, "later") { $0.hasCondition("Suspended") && $0.statusInt("active") == 0 }
            #expect(suspended.statusInt("failed") == 0)
        }
    }

    @Test func countingSurvivesAnEndInTheMidst() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        _ = try await client.create(.jobs, job("sum", ["completions": 30, "parallelism": 10]))
        for _ in 0..<4 {
            try? await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try? await ClusterControllers(client: client).run() }
                group.addTask { try? await FakeNode(client: client, fate: { _ in .succeeded }).run() }
                // The controllers die whenever a few writes have come through.
                var writes = 0
                for try await event in client.watch(.jobs, namespace: "default") {
                    writes += 1
                    if writes == 7 || event.object.hasCondition("Complete") { break }
                }
                group.cancelAll()
            }
        }
        try await cluster.run(fate: { _ in .succeeded }) {
            let done = try await cluster.wait(.jobs, "sum") { $0.hasCondition("Complete") }
            #expect(done.statusInt("succeeded") == 30)
        }
    }

    @Test func anEndedJobGoesWhenItsTimeHasCome() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run(fate: { _ in .succeeded }) {
            _ = try await cluster.client.create(.jobs, job("brief", ["ttlSecondsAfterFinished": 0]))
            try await cluster.waitForAll(.events) { $0.contains { $0["reason"] == "Completed" } }
            try await cluster.waitForAll(.jobs) { $0.isEmpty }
            try await cluster.waitForAll(.pods) { $0.isEmpty }
        }
    }

    @Test func podsOfADeletedJobDoNotStay() async throws {
        let cluster = try await WorkloadHarness()
        try await cluster.run {
            _ = try await cluster.client.create(.jobs, job("gone", ["parallelism": 3]))
            try await cluster.waitForAll(.pods) { $0.count == 3 }
            try await cluster.client.delete(
                .jobs, namespace: "default", name: "gone", options: DeleteOptions(propagationPolicy: "Background"))
            try await cluster.waitForAll(.pods) { $0.isEmpty }
        }
    }

    @Test func aPodThatIsLetGoIsFree() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            let made = try await client.create(.jobs, job("own", ["parallelism": 1]))
            let first = try await cluster.waitForAll(.pods) { $0.count == 1 && JobFacts.isTracked($0[0]) }[0]
            _ = try await client.patch(.pods, namespace: "default", name: first.metaName, .merge, ["metadata": ["labels": .null]])
            let pods = try await cluster.waitForAll(.pods) { $0.count == 2 }
            let free = pods.first { $0.metaUID == first.metaUID } ?? .null
            #expect(free.controllerUID == nil && !JobFacts.isTracked(free))
            let labels = made["spec"]?["template"]?["metadata"]?["labels"] ?? .null
            try await client.delete(.pods, namespace: "default", name: pods.first { $0.metaUID != first.metaUID }?.metaName ?? "")
            _ = try await client.patch(.pods, namespace: "default", name: first.metaName, .merge, ["metadata": ["labels": labels]])
            try await cluster.waitForAll(.pods) { pods in
                pods.contains { $0.metaUID == first.metaUID && JobFacts.isTracked($0) && $0.controllerUID == made.metaUID }
            }
        }
    }
}
