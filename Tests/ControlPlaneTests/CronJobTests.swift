// CronJobs: schedules, time zones, missed starts, policies and history.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct CronJobTests {
    private func time(_ text: String) -> Timestamp { Timestamp(rfc3339: text) ?? Timestamp(seconds: 0) }

    private func next(_ schedule: String, _ after: String, zone: TimeZoneRules = .utc) -> String? {
        CronTable(schedule)?.next(after: time(after), in: zone)?.rfc3339
    }

    @Test func schedulesAreDueWhenTheySay() {
        #expect(next("*/5 * * * *", "2026-01-01T00:03:10Z") == "2026-01-01T00:05:00Z")
        #expect(next("*/5 * * * *", "2026-01-01T00:05:00Z") == "2026-01-01T00:10:00Z")
        #expect(next("0 12 * * MON-FRI", "2026-11-27T13:00:00Z") == "2026-11-30T12:00:00Z")
        #expect(next("30 6 29 feb *", "2026-01-01T00:00:00Z") == "2028-02-29T06:30:00Z")
        #expect(next("0 0 13 * 5", "2026-11-01T00:00:00Z") == "2026-11-06T00:00:00Z", "either day")
        #expect(next("0 0 1-31/10 * *", "2026-11-02T00:00:00Z") == "2026-11-11T00:00:00Z")
        #expect(next("10/20 3 * * *", "2026-11-02T03:31:00Z") == "2026-11-02T03:50:00Z")
        #expect(next("@hourly", "2026-11-02T03:31:00Z") == "2026-11-02T04:00:00Z")
        #expect(next("@monthly", "2026-12-02T03:31:00Z") == "2027-01-01T00:00:00Z")
        #expect(next("@every 1h30m", "2026-11-02T03:31:00Z") == "2026-11-02T05:01:00Z")
        #expect(next("0 0 31 2 *", "2026-01-01T00:00:00Z") == nil, "never")
        #expect(CronTable("61 * * * *") == nil && CronTable("* * * *") == nil)
    }

    /// Berlin's rule alone, without listed transitions.
    private var berlin: TimeZoneRules? {
        var bytes = Array("TZif2".utf8) + Array(repeating: 0, count: 15)
        let counts: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]
        let types: [UInt8] = [0, 0, 14, 16, 0, 0] + Array("CET\0".utf8)
        bytes += counts + types
        bytes += Array("TZif2".utf8) + Array(repeating: 0, count: 15) + counts + types
        return TimeZoneRules(tzif: bytes + Array("\nCET-1CEST,M3.5.0,M10.5.0/3\n".utf8))
    }

    @Test func zonesPutTheirClocksForwardAndBack() throws {
        let berlin = try #require(berlin)
        #expect(berlin.offset(at: time("2026-01-15T00:00:00Z").seconds) == 3600)
        #expect(berlin.offset(at: time("2026-07-15T00:00:00Z").seconds) == 7200)
        #expect(berlin.offset(at: time("2026-03-29T00:59:59Z").seconds) == 3600)
        #expect(berlin.offset(at: time("2026-03-29T01:00:00Z").seconds) == 7200)
        #expect(berlin.offset(at: time("2026-10-25T00:59:59Z").seconds) == 7200)
        #expect(berlin.offset(at: time("2026-10-25T01:00:00Z").seconds) == 3600)
        #expect(next("0 9 * * *", "2026-03-28T12:00:00Z", zone: berlin) == "2026-03-29T07:00:00Z")
        #expect(next("0 9 * * *", "2026-10-24T12:00:00Z", zone: berlin) == "2026-10-25T08:00:00Z")
        #expect(TimeZoneRules(tzif: Array("TZif2 but cut off".utf8)) == nil)
    }

    private func due(_ schedule: String, last: String?, now: String, deadline: Int? = nil) -> (String?, Int) {
        var job: JSON = ["metadata": ["creationTimestamp": "2026-01-01T00:00:30Z"], "spec": ["schedule": JSON(schedule)]]
        if let last { job["status"] = ["lastScheduleTime": JSON(last)] }
        if let deadline { job["spec"]?["startingDeadlineSeconds"] = JSON(deadline) }
        guard let table = CronTable(schedule) else { return (nil, -1) }
        let due = CronDecision.due(job, table, .utc, at: time(now))
        return (due.time?.rfc3339, due.missed)
    }

    @Test func theLatestMissedStartIsMadeUpFor() {
        #expect(due("*/10 * * * *", last: nil, now: "2026-01-01T00:09:00Z") == (nil, 0))
        #expect(due("*/10 * * * *", last: nil, now: "2026-01-01T00:10:00Z") == ("2026-01-01T00:10:00Z", 1))
        #expect(due("*/10 * * * *", last: "2026-01-01T00:10:00Z", now: "2026-01-01T00:45:00Z") == ("2026-01-01T00:40:00Z", 3))
        #expect(due("*/10 * * * *", last: "2026-01-01T00:10:00Z", now: "2026-01-01T00:45:00Z", deadline: 60) == (nil, 0))
        let long = due("* * * * *", last: "2026-01-01T00:10:00Z", now: "2026-03-01T00:00:30Z")
        #expect(long.0 == "2026-03-01T00:00:00Z" && long.1 > 100)
    }

    @Test func historyKeepsTheNewest() {
        func job(_ name: String, _ condition: String, _ minute: Int) -> JSON {
            [
                "metadata": ["name": JSON(name)],
                "status": [
                    "startTime": JSON("2026-01-01T00:0\(minute):00Z"), "conditions": [["type": JSON(condition), "status": "True"]],
                ],
            ]
        }
        let jobs = [job("a", "Complete", 1), job("b", "Complete", 2), job("c", "Failed", 3), job("d", "Failed", 4)]
        #expect(CronDecision.surplus(["spec": ["successfulJobsHistoryLimit": 1]], jobs).map(\.metaName) == ["a", "c"])
    }

    @Test func momentsReadAsGoWritesThem() {
        #expect(CronDecision.longText(time("2026-11-02T03:31:07Z")) == "Mon, 02 Nov 2026 03:31:07 +0000")
    }

    private func cronJob(_ name: String, _ spec: JSON = .emptyObject) -> JSON {
        var spec = spec
        spec["schedule"] = "* * * * *"
        spec["jobTemplate"] = [
            "spec": ["template": ["spec": ["restartPolicy": "Never", "containers": [["name": "main", "image": "alpine:1"]]]]]
        ]
        return ["apiVersion": "batch/v1", "kind": "CronJob", "metadata": ["name": JSON(name), "namespace": "default"], "spec": spec]
    }

    /// As if the last start were two minutes ago.
    private func makeDue(_ client: ClusterClient, _ name: String) async throws {
        _ = try await client.modify(.cronJobs, namespace: "default", name: name, status: true) { object in
            object[path: ["status", "lastScheduleTime"]] = JSON(SystemClock().now().adding(seconds: -120).rfc3339)
            return true
        }
    }

    @Test func aDueScheduleStartsAJobOnce() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        _ = try await client.create(.cronJobs, cronJob("tick"))
        try await makeDue(client, "tick")
        try await cluster.run(fate: { _ in .succeeded }) {
            let jobs = try await cluster.waitForAll(.jobs) { $0.contains { $0.hasCondition("Complete") } }
            #expect(jobs[0].metaName.hasPrefix("tick-") && jobs[0].controllerOwner?["kind"] == "CronJob")
            #expect(jobs[0].metaAnnotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] != nil)
            let done = try await cluster.wait(.cronJobs, "tick") { $0["status"]?["lastSuccessfulTime"]?.string != nil }
            #expect(done["status"]?["active"]?.array?.isEmpty ?? true)
            try await cluster.waitForAll(.events) { events in
                events.contains { $0["message"]?.string == "Saw completed job: \(jobs[0].metaName), condition: Complete" }
            }
        }
    }

    @Test func whatForbidsOverlapWaits() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        let made = try await client.create(.cronJobs, cronJob("slow", ["concurrencyPolicy": "Forbid"]))
        let earlier = SystemClock().now().adding(seconds: -600)
        let running = try await client.create(.jobs, CronDecision.job(made, at: earlier, zoneOffset: 0, kind: CronJobController.kind))
        _ = try await client.modify(.cronJobs, namespace: "default", name: "slow", status: true) { object in
            object[path: ["status", "active"]] = [["kind": "Job", "name": JSON(running.metaName), "uid": JSON(running.metaUID)]]
            object[path: ["status", "lastScheduleTime"]] = JSON(earlier.rfc3339)
            return true
        }
        try await cluster.run {
            try await cluster.waitForAll(.events) { $0.contains { $0["reason"] == "JobAlreadyActive" } }
            #expect(try await client.list(.jobs, namespace: "default").items.count == 1)
        }
    }
}
