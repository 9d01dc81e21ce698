// Runs a job's pods until enough have succeeded or too many have failed, and says so once.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct JobController: Controller {
    static let kind = OwnerKind(resource: .jobs, kind: "Job")

    private let context: ControllerContext
    private let jobs: Informer
    private let pods: Ownership
    private let events: EventWriter
    private let maker: PodMaker
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        jobs = context.informers.informer(.jobs)
        pods = Ownership(context, of: .pods, by: Self.kind, finalizer: JobFacts.finalizer)
        pods.dependents.addIndex("job") { pod in
            guard let owner = pod.controllerOwner, Self.kind.isOwner(owner) else { return [] }
            return [(pod.metaNamespace ?? "") + "/" + (owner["name"]?.string ?? "")]
        }
        events = context.events("job-controller")
        maker = PodMaker(context: context, events: events, kind: Self.kind)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 4, caches: [jobs, pods.dependents], events: events,
            feeds: [jobs.feed(queue), pods.feed(queue, owners: jobs, selector: DeploymentController.selector)]
        ) { try await sync($0) }
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        let job = jobs.item(key: key)
        try await releaseOrphans(key, of: job)
        guard let job, let selector = DeploymentController.selector(job), isOurs(job) else { return }
        do throws(ClusterProblem) {
            let owned = try await pods.claim(job, selector)
            if JobFacts.finishedCondition(job) != nil || job.isBeingDeleted {
                return try await release(owned.filter(JobFacts.isTracked), job)
            }
            try await advance(job, owned, key)
        } catch {
            if error.isNamespaceTerminating || error.isNotFound { return }
            throw error
        }
    }

    private func isOurs(_ job: JSON) -> Bool {
        let manager = job["spec"]?["managedBy"]?.string ?? ""
        return manager.isEmpty || manager == "kubernetes.io/job-controller"
    }

    private func advance(_ job: JSON, _ owned: [JSON], _ key: String) async throws(ClusterProblem) {
        let spec = JobSpec(job)
        let tally = JobTally(job, spec, pods: owned, isOver: false)
        var job = job
        let now = context.clock.now()
        if job.statusPart["startTime"] == nil, !spec.isSuspended { job[path: ["status", "startTime"]] = JSON(now.rfc3339) }
        let decision = JobDecision(job: job, spec: spec, tally: tally, pods: owned, now: now)
        let end = decision.end
        var problem: ClusterProblem?
        var work = JobDecision.Work()
        do throws(ClusterProblem) {
            if end != nil {
                try await maker.deleteAll(decision.active, of: job)
            } else {
                work = decision.work(kind: Self.kind)
                // What the job itself has too many of, or suspends, is no failure.
                try await release(work.delete.filter(JobFacts.isTracked), job)
                try await maker.deleteAll(work.delete, of: job)
                try await maker.slowStart(work.create, for: job)
            }
        } catch {
            problem = error
        }
        let current = pods.owned(by: job.metaUID)
        let after = JobDecision(job: job, spec: spec, tally: tally, pods: current, now: now)
        let status = self.status(after, end)
        let known = jobs.item(key: key) ?? job
        try await context.setStatus(.jobs, of: known, to: status.document)
        for event in status.events { events.record(event.type, event.reason, event.message, about: job) }
        try await release(tally.release, job)
        // What was just named is counted next.
        if !tally.release.isEmpty || !tally.isSettled { queue.add(key) }
        if let problem { throw problem }
        let waits = [work.wait, end == nil ? decision.secondsToDeadline : nil].compactMap { $0 }
        if let seconds = waits.min() { queue.add(key, afterMilliseconds: max(0, Int(seconds * 1000)) + 50) }
    }

    private struct Said {
        var document: JSON
        var events: [(type: String, reason: String, message: String)] = []
    }

    private func status(_ decision: JobDecision, _ end: JobDecision.End?) -> Said {
        let job = decision.job
        let now = decision.now
        var said = Said(document: job.statusPart)
        decision.tally.write(into: &said.document, decision.spec)
        let active = decision.active
        let terminating = decision.terminating.count
        said.document["active"] = active.isEmpty ? Optional<JSON>.none : JSON(active.count)
        said.document["ready"] = JSON(active.count(where: PodFacts.isReady))
        said.document["terminating"] = JSON(terminating)
        var conditions = Conditions(job.statusPart)
        if let end {
            let criterion = end.isSuccess ? "SuccessCriteriaMet" : "FailureTarget"
            conditions.set(criterion, "True", end.reason, end.message, at: now)
            if active.isEmpty, terminating == 0, decision.tally.isSettled {
                conditions.set(end.isSuccess ? "Complete" : "Failed", "True", end.reason, end.message, at: now)
                said.document["ready"] = 0
                if end.isSuccess {
                    said.document["completionTime"] = JSON(now.rfc3339)
                    said.events.append(("Normal", "Completed", "Job completed"))
                } else {
                    said.events.append(("Warning", end.reason, end.message))
                }
            }
        } else if decision.spec.isSuspended {
            if !(conditions.find("Suspended")?["status"] == "True") {
                conditions.set("Suspended", "True", "JobSuspended", "Job suspended", at: now)
                said.events.append(("Normal", "Suspended", "Job suspended"))
            }
            said.document["startTime"] = nil
        } else if conditions.find("Suspended")?["status"] == "True" {
            conditions.set("Suspended", "False", "JobResumed", "Job resumed", at: now)
            said.events.append(("Normal", "Resumed", "Job resumed"))
        }
        if let document = conditions.document { said.document["conditions"] = document }
        return said
    }

    /// Takes the finalizer off pods that are counted.
    private func release(_ counted: [JSON], _ job: JSON) async throws(ClusterProblem) {
        try await inParallel(counted) { (pod) throws(ClusterProblem) in
            do throws(ClusterProblem) {
                let patched = try await context.client.patch(
                    .pods, namespace: pod.metaNamespace, name: pod.metaName, .strategic,
                    ["metadata": ["uid": JSON(pod.metaUID), "$deleteFromPrimitiveList/finalizers": [JSON(JobFacts.finalizer)]]])
                pods.dependents.note(written: patched)
            } catch {
                if error.isNotFound { return pods.dependents.note(gone: pod) }
                // A successor of the same name.
                if !error.isConflict { throw error }
            }
        }
    }

    /// Pods of a job that is gone are not counted any more and must not stay because of that.
    private func releaseOrphans(_ key: String, of job: JSON?) async throws(ClusterProblem) {
        let left = pods.dependents.items(index: "job", value: key).filter {
            JobFacts.isTracked($0) && $0.controllerUID != job?.metaUID
        }
        if !left.isEmpty { try await release(left, .null) }
    }
}
