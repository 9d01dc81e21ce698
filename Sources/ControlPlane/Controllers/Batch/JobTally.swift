// Counts the ended pods of a job so that none is counted twice and none is lost, whatever dies in between.
//
// Each pod carries a finalizer until it is counted. Three writes, each of which may be repeated: the status names the pod as
// uncounted; the pod loses its finalizer; the status counts it and forgets its name. A pod that is named and has no finalizer
// any more, or is gone, is counted; one that is not named and has a finalizer is new. (Upstream: KEP 2307.)
internal import ClusterModel
internal import Essentials

struct JobTally {
    /// Pods named as uncounted at most; the rest waits for the next round.
    static let limitUncounted = 500

    private(set) var succeeded: Int
    private(set) var failed: Int
    private(set) var uncountedSucceeded: [String]
    private(set) var uncountedFailed: [String]
    private(set) var completed: IndexSet
    /// Ended pods that are in the status and may go.
    private(set) var release: [JSON] = []
    /// Why the failure policy ends the job.
    private(set) var failure: String?
    private(set) var failedIndexes: IndexSet

    /// `isOver`: the job has ended or is being deleted, so that no pod is waited for.
    init(_ job: JSON, _ spec: JobSpec, pods: [JSON], isOver: Bool) {
        let status = job.statusPart
        succeeded = status["succeeded"]?.int ?? 0
        failed = status["failed"]?.int ?? 0
        completed = IndexSet(text: status["completedIndexes"]?.string ?? "")
        failedIndexes = IndexSet(text: status["failedIndexes"]?.string ?? "")
        let names = status["uncountedTerminatedPods"] ?? .null
        uncountedSucceeded = (names["succeeded"]?.array ?? []).compactMap(\.string)
        uncountedFailed = (names["failed"]?.array ?? []).compactMap(\.string)
        let tracked = pods.filter(JobFacts.isTracked)
        let uids = Set(tracked.map(\.metaUID))
        succeeded += uncountedSucceeded.count { !uids.contains($0) }
        failed += uncountedFailed.count { !uids.contains($0) }
        uncountedSucceeded.removeAll { !uids.contains($0) }
        uncountedFailed.removeAll { !uids.contains($0) }
        for pod in tracked { note(pod, spec, isOver: isOver) }
        if spec.isIndexed { succeeded = completed.count }
    }

    private mutating func note(_ pod: JSON, _ spec: JobSpec, isOver: Bool) {
        let uid = pod.metaUID
        if PodFacts.phase(pod) == "Succeeded" {
            release.append(pod)
            if spec.isIndexed {
                if let index = JobFacts.index(pod), index < spec.completions ?? 0 { completed.insert(index) }
            } else if !uncountedSucceeded.contains(uid) {
                uncountedSucceeded.append(uid)
            }
        } else if JobFacts.hasFailed(pod, spec) {
            // One that is deleted counts at once; it may never get to say how it ended.
            release.append(pod)
            if uncountedFailed.contains(uid) { return }
            let reaction = JobFacts.reaction(pod, spec.failureRules)
            if case .failJob(let why) = reaction, PodFacts.phase(pod) == "Failed", failure == nil { failure = why }
            if reaction == .ignore { return }
            uncountedFailed.append(uid)
            guard let limit = spec.backOffLimitPerIndex, let index = JobFacts.index(pod) else { return }
            if reaction == .failIndex || JobFacts.indexFailures(pod) >= limit { failedIndexes.insert(index) }
        } else if isOver {
            release.append(pod)
        }
    }

    /// All ends so far, counted or named.
    var allSucceeded: Int { succeeded + uncountedSucceeded.count }
    var allFailed: Int { failed + uncountedFailed.count }
    var isSettled: Bool { uncountedSucceeded.isEmpty && uncountedFailed.isEmpty }

    func write(into status: inout JSON, _ spec: JobSpec) {
        status["succeeded"] = succeeded > 0 ? JSON(succeeded) : Optional<JSON>.none
        status["failed"] = failed > 0 ? JSON(failed) : Optional<JSON>.none
        var names: JSON = .emptyObject
        if !uncountedSucceeded.isEmpty { names["succeeded"] = JSON(uncountedSucceeded) }
        if !uncountedFailed.isEmpty { names["failed"] = JSON(uncountedFailed) }
        status["uncountedTerminatedPods"] = names
        if spec.isIndexed, completed.count > 0 { status["completedIndexes"] = JSON(completed.text) }
        if spec.backOffLimitPerIndex != nil { status["failedIndexes"] = JSON(failedIndexes.text) }
    }
}
