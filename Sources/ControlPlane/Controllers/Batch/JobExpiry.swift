// Deletes jobs some time after they have ended, where they say so (ttlSecondsAfterFinished).
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct JobExpiry: Controller {
    private let context: ControllerContext
    private let jobs: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        jobs = context.informers.informer(.jobs)
    }

    /// When the job is to go; `nil` where it has not ended or stays.
    static func expiry(_ job: JSON) -> Timestamp? {
        guard let seconds = job.specInt("ttlSecondsAfterFinished"), !job.isBeingDeleted, let type = JobFacts.finishedCondition(job),
            let ended = job.condition(type)?["lastTransitionTime"]?.time
        else { return nil }
        return ended.adding(seconds: Int64(seconds))
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 1, caches: [jobs],
            feeds: [
                {
                    for await change in jobs.changes() {
                        if case .deleted = change { continue }
                        if Self.expiry(change.object) != nil { queue.add(change.object.objectKey) }
                    }
                    try Task.checkCancellation()
                }
            ]
        ) { try await sync($0) }
    }

    private func sync(_ key: String) async throws(ClusterProblem) {
        guard let known = jobs.item(key: key), let expiry = Self.expiry(known) else { return }
        let left = expiry.since(context.clock.now())
        if left > 0 { return queue.add(key, afterMilliseconds: Int(left * 1000) + 10) }
        do throws(ClusterProblem) {
            // Its time may have been changed since.
            let job = try await context.client.get(.jobs, namespace: known.metaNamespace, name: known.metaName)
            guard job.metaUID == known.metaUID, let expiry = Self.expiry(job), expiry <= context.clock.now() else { return }
            try await context.delete(.jobs, job, policy: "Foreground")
        } catch {
            if !error.isNotFound { throw error }
        }
    }
}
