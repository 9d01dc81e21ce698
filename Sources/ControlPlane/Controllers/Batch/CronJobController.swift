// Starts a job whenever a CronJob's schedule is due, unless its policy or a deadline forbids it.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

final class CronJobController: Controller {
    static let kind = OwnerKind(resource: .cronJobs, kind: "CronJob")
    /// A timer never sleeps longer than this, in seconds, so that a clock that was set is noticed.
    static let longestSleepSeconds = 600.0

    private let context: ControllerContext
    private let cronJobs: Informer
    private let jobs: Ownership
    private let events: EventWriter
    private let queue = WorkQueue()
    private let zones = Mutex<[String: TimeZoneRules]>([:])

    init(_ context: ControllerContext) {
        self.context = context
        cronJobs = context.informers.informer(.cronJobs)
        jobs = Ownership(context, of: .jobs, by: Self.kind)
        events = context.events("cronjob-controller")
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 2, caches: [cronJobs, jobs.dependents], events: events,
            feeds: [cronJobs.feed(queue), jobs.feed(queue, owners: cronJobs) { _ in nil }]
        ) { try await self.sync($0) }
    }

    /// `nil` where there is no such zone.
    private func zone(_ name: String) -> TimeZoneRules? {
        if name.isEmpty || name == "UTC" || name == "Etc/UTC" { return .utc }
        if let known = zones.withLock({ $0[name] }) { return known }
        guard !name.contains(".."), !name.hasPrefix("/"), let bytes = context.settings.zoneFile(name),
            let rules = TimeZoneRules(tzif: bytes)
        else { return nil }
        zones.withLock { $0[name] = rules }
        return rules
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        guard let cronJob = cronJobs.item(key: key) else { return }
        do throws(ClusterProblem) {
            let owned = jobs.owned(by: cronJob.metaUID)
            let current = try await note(cronJob, owned)
            try await dropHistory(current, owned)
            if current.isBeingDeleted { return }
            try await start(current, owned, key)
        } catch {
            if !error.isNotFound, !error.isNamespaceTerminating { throw error }
        }
    }

    /// Writes into the status which jobs run, and tells of those that ended.
    private func note(_ cronJob: JSON, _ owned: [JSON]) async throws(ClusterProblem) -> JSON {
        var status = cronJob.statusPart
        var active = status["active"]?.array ?? []
        var latest = status["lastSuccessfulTime"]?.time
        for job in owned.sorted(by: isOlder) {
            let isKnown = active.contains { $0["uid"]?.string == job.metaUID }
            guard let end = JobFacts.finishedCondition(job) else {
                if !isKnown {
                    events.record(
                        "Warning", "UnexpectedJob", "Saw a job that the controller did not create or forgot: \(job.metaName)",
                        about: cronJob)
                }
                continue
            }
            if isKnown {
                active.removeAll { $0["uid"]?.string == job.metaUID }
                events.record("Normal", "SawCompletedJob", "Saw completed job: \(job.metaName), condition: \(end)", about: cronJob)
            }
            if end == "Complete", let time = job.statusPart["completionTime"]?.time, latest.map({ time > $0 }) ?? true { latest = time }
        }
        let there = Set(owned.map(\.metaUID))
        for entry in active where !there.contains(entry["uid"]?.string ?? "") {
            events.record("Normal", "MissingJob", "Active job went missing: \(entry["name"]?.string ?? "")", about: cronJob)
        }
        active.removeAll { !there.contains($0["uid"]?.string ?? "") }
        status["active"] = active.isEmpty ? Optional<JSON>.none : JSON(active)
        if let latest { status["lastSuccessfulTime"] = JSON(latest.rfc3339) }
        return try await context.setStatus(.cronJobs, of: cronJob, to: status)
    }

    private func dropHistory(_ cronJob: JSON, _ owned: [JSON]) async throws(ClusterProblem) {
        for job in CronDecision.surplus(cronJob, owned.filter { !$0.isBeingDeleted }) { try await delete(job, cronJob) }
    }

    private func delete(_ job: JSON, _ cronJob: JSON) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            guard try await context.delete(.jobs, job, policy: "Background") else { return }
            events.record("Normal", "SuccessfulDelete", "Deleted job \(job.metaName)", about: cronJob)
        } catch {
            events.record("Warning", "FailedDelete", "Deleted job: \(error.message)", about: cronJob)
            throw error
        }
    }

    private func start(_ cronJob: JSON, _ owned: [JSON], _ key: String) async throws(ClusterProblem) {
        let zoneName = cronJob["spec"]?["timeZone"]?.string ?? ""
        guard let zone = zone(zoneName) else {
            events.record("Warning", "UnknownTimeZone", "invalid timeZone: \"\(zoneName)\": unknown time zone \(zoneName)", about: cronJob)
            return
        }
        if cronJob["spec"]?["suspend"] == true { return }
        let text = cronJob["spec"]?["schedule"]?.string ?? ""
        guard let table = CronTable(text) else {
            let why = "unparseable schedule: \"\(text)\" : \(CronSchedule.problem(text) ?? "")"
            events.record("Warning", "UnparseableSchedule", why, about: cronJob)
            return
        }
        let now = context.clock.now()
        defer { sleep(key, table, zone) }
        let due = CronDecision.due(cronJob, table, zone, at: now)
        guard let time = due.time else { return }
        if due.missed > CronDecision.limitMissed {
            events.record(
                "Warning", "TooManyMissedTimes",
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew", about: cronJob)
        }
        if let deadline = cronJob.specInt("startingDeadlineSeconds"), time.adding(seconds: Int64(deadline)) < now {
            events.record(
                "Warning", "MissSchedule", "Missed scheduled time to start a job: \(CronDecision.longText(time))", about: cronJob)
            return
        }
        let name = CronDecision.jobName(cronJob, time)
        let active = cronJob.statusPart["active"]?.array ?? []
        if active.contains(where: { $0["name"]?.string == name }) || cronJob.statusPart["lastScheduleTime"]?.time == time { return }
        switch cronJob["spec"]?["concurrencyPolicy"]?.string {
        case "Forbid" where !active.isEmpty:
            events.record(
                "Normal", "JobAlreadyActive",
                "Not starting job because prior execution is running and concurrency policy is Forbid", about: cronJob)
            return
        case "Replace":
            for job in owned where active.contains(where: { $0["uid"]?.string == job.metaUID }) { try await delete(job, cronJob) }
        default: break
        }
        try await create(cronJob, at: time, offset: zone.offset(at: time.seconds))
    }

    private func create(_ cronJob: JSON, at time: Timestamp, offset: Int) async throws(ClusterProblem) {
        let wanted = CronDecision.job(cronJob, at: time, zoneOffset: offset, kind: Self.kind)
        let job: JSON
        do throws(ClusterProblem) {
            job = try await context.create(.jobs, wanted)
            events.record("Normal", "SuccessfulCreate", "Created job \(job.metaName)", about: cronJob)
        } catch {
            if error.isAlreadyExists {
                // Made before a restart that came before the status was written.
                job = try await context.client.get(.jobs, namespace: wanted.metaNamespace, name: wanted.metaName)
                guard job.controllerUID == cronJob.metaUID else { throw error }
            } else {
                if !error.isNamespaceTerminating {
                    events.record("Warning", "FailedCreate", "Error creating job: \(error.message)", about: cronJob)
                }
                throw error
            }
        }
        let current = cronJobs.item(key: cronJob.objectKey) ?? cronJob
        var status = current.statusPart
        let there = Set(jobs.owned(by: cronJob.metaUID).filter { !$0.isBeingDeleted }.map(\.metaUID))
        var active = (status["active"]?.array ?? []).filter { there.contains($0["uid"]?.string ?? "") }
        if !CronDecision.isFinished(job) {
            active.append([
                "kind": "Job", "namespace": JSON(job.metaNamespace), "name": JSON(job.metaName), "uid": JSON(job.metaUID),
                "apiVersion": "batch/v1", "resourceVersion": JSON(job.metaResourceVersion),
            ])
        }
        status["active"] = active.isEmpty ? Optional<JSON>.none : JSON(active)
        status["lastScheduleTime"] = JSON(time.rfc3339)
        try await context.setStatus(.cronJobs, of: current, to: status)
    }

    /// Comes back a moment after the schedule is due next.
    private func sleep(_ key: String, _ table: CronTable, _ zone: TimeZoneRules) {
        let now = context.clock.now()
        guard let next = table.next(after: now, in: zone) else { return }
        let seconds = min(next.since(now) + 0.05, Self.longestSleepSeconds)
        queue.add(key, afterMilliseconds: max(1, Int(seconds * 1000)))
    }
}
