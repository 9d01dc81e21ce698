// Decides how a job goes on: is it over, how many pods are to run, and which.
internal import ClusterModel
internal import Essentials

struct JobDecision {
    /// An end that is decided: first its criterion is said, then, when no pod is left, the end itself.
    struct End: Equatable {
        var isSuccess: Bool
        var reason: String
        var message: String
    }

    let job: JSON
    let spec: JobSpec
    let tally: JobTally
    let pods: [JSON]
    let now: Timestamp

    var active: [JSON] { pods.filter(PodFacts.isActive) }
    var terminating: [JSON] { pods.filter { $0.isBeingDeleted && !PodUse.hasEnded($0) } }

    /// Whether and how the job is to end now.
    var end: End? {
        if let target = job.condition("FailureTarget"), target["status"] == "True" {
            return End(isSuccess: false, reason: target["reason"]?.string ?? "", message: target["message"]?.string ?? "")
        }
        if let met = job.condition("SuccessCriteriaMet"), met["status"] == "True" {
            return End(isSuccess: true, reason: met["reason"]?.string ?? "", message: met["message"]?.string ?? "")
        }
        if let why = tally.failure { return End(isSuccess: false, reason: "PodFailurePolicy", message: why) }
        if tally.allFailed > spec.backOffLimit || exceedsRestarts {
            return End(isSuccess: false, reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit")
        }
        if let left = secondsToDeadline, left <= 0 {
            return End(isSuccess: false, reason: "DeadlineExceeded", message: "Job was active longer than specified deadline")
        }
        if let most = spec.maxFailedIndexes, tally.failedIndexes.count > most {
            return End(
                isSuccess: false, reason: "MaxFailedIndexesExceeded",
                message: "Job has exceeded the specified maximal number of failed indexes")
        }
        return fulfilment
    }

    private var fulfilment: End? {
        if let rule = spec.successRules.firstIndex(where: isFulfilled) {
            return End(isSuccess: true, reason: "SuccessPolicy", message: "Matched rules at index \(rule)")
        }
        let reached = End(isSuccess: true, reason: "CompletionsReached", message: "Reached expected number of succeeded pods")
        guard let completions = spec.completions else {
            return tally.allSucceeded > 0 && active.isEmpty ? reached : nil
        }
        if spec.backOffLimitPerIndex != nil, tally.failedIndexes.count > 0,
            tally.failedIndexes.count + tally.completed.count >= completions, active.isEmpty
        {
            return End(isSuccess: false, reason: "FailedIndexes", message: "Job has failed indexes")
        }
        let count = spec.isIndexed ? tally.completed.count : tally.allSucceeded
        return count >= completions && active.isEmpty ? reached : nil
    }

    private func isFulfilled(_ rule: JSON) -> Bool {
        let wanted = rule["succeededIndexes"]?.string.map { IndexSet(text: $0).indexes }
        let got = wanted.map { tally.completed.indexes.intersection($0).count } ?? tally.completed.count
        return got >= rule["succeededCount"]?.int ?? wanted?.count ?? .max
    }

    /// Containers that restart in place count against the limit too.
    private var exceedsRestarts: Bool {
        guard spec.restartsInPlace else { return false }
        let restarts = pods.filter { ["Running", "Pending"].contains(PodFacts.phase($0)) }.reduce(0) { sum, pod in
            let statuses = (pod["status"]?["containerStatuses"]?.array ?? []) + (pod["status"]?["initContainerStatuses"]?.array ?? [])
            return sum + statuses.reduce(0) { $0 + ($1["restartCount"]?.int ?? 0) }
        }
        return spec.backOffLimit == 0 ? restarts > 0 : restarts >= spec.backOffLimit
    }

    var secondsToDeadline: Double? {
        guard let seconds = spec.deadlineSeconds, !spec.isSuspended, let start = job.statusPart["startTime"]?.time else { return nil }
        return start.adding(seconds: Int64(seconds)).since(now)
    }

    struct Work: Equatable {
        var create: [JSON] = []
        var delete: [JSON] = []
        /// Seconds until pods that are held back may be made.
        var wait: Double?
    }

    /// Pods to make and to delete while the job goes on.
    func work(kind: OwnerKind) -> Work {
        let active = active
        if spec.isSuspended { return Work(delete: active) }
        var work = Work()
        var wanted = spec.parallelism
        if let completions = spec.completions {
            let done = spec.isIndexed ? tally.completed.count + tally.failedIndexes.count : tally.allSucceeded
            wanted = min(wanted, max(0, completions - done))
        } else if tally.allSucceeded > 0 {
            wanted = min(wanted, active.count)
        }
        var kept = active
        if spec.isIndexed {
            // One pod an index, and none for what is done.
            var seen: Set<Int> = []
            kept = active.sorted(by: isOlder).filter { pod in
                guard let index = JobFacts.index(pod), index < spec.completions ?? 0, !tally.completed.contains(index),
                    !tally.failedIndexes.contains(index), seen.insert(index).inserted
                else {
                    work.delete.append(pod)
                    return false
                }
                return true
            }
        }
        if kept.count > wanted {
            work.delete += PodRank.sorted(kept, related: kept, at: now).prefix(kept.count - wanted)
            return work
        }
        let ending = spec.replacesFailedOnly ? terminating : []
        let missing = min(wanted - kept.count - ending.count, PodMaker.burstPods)
        guard missing > 0 else { return work }
        if spec.isIndexed, spec.backOffLimitPerIndex != nil { return makeIndexed(missing, kept + ending, kind, work) }
        let delay = JobFacts.backOff(pods, spec, at: now)
        if delay > 0 {
            work.wait = delay
            return work
        }
        if spec.isIndexed { return makeIndexed(missing, kept + ending, kind, work) }
        work.create = Array(repeating: JobFacts.pod(job, index: nil, kind: kind), count: missing)
        return work
    }

    private func makeIndexed(_ count: Int, _ taken: [JSON], _ kind: OwnerKind, _ start: Work) -> Work {
        var work = start
        let busy = Set(taken.compactMap(JobFacts.index))
        for index in 0..<(spec.completions ?? 0) where work.create.count < count {
            if busy.contains(index) || tally.completed.contains(index) || tally.failedIndexes.contains(index) { continue }
            guard spec.backOffLimitPerIndex != nil else {
                work.create.append(JobFacts.pod(job, index: index, kind: kind))
                continue
            }
            // Each index has failures and waits of its own.
            let mine = pods.filter { JobFacts.index($0) == index }
            let delay = JobFacts.backOff(mine, spec, at: now)
            if delay > 0 {
                work.wait = min(work.wait ?? delay, delay)
                continue
            }
            let failures =
                mine.filter { JobFacts.hasFailed($0, spec) && JobFacts.reaction($0, spec.failureRules) != .ignore }
                .map { JobFacts.indexFailures($0) + 1 }.max() ?? 0
            work.create.append(JobFacts.pod(job, index: index, failures: failures, countsFailures: true, kind: kind))
        }
        return work
    }
}
