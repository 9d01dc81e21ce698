// Decides whether a CronJob is due, and which of its jobs history keeps.
internal import ClusterModel
internal import Essentials

enum CronDecision {
    /// More missed starts than this are told as too many.
    static let limitMissed = 100

    struct Due: Equatable {
        /// The latest start that was missed, if any.
        var time: Timestamp?
        var missed = 0
    }

    /// The latest moment the schedule was due since the last start, or since the job was made, up to now.
    static func due(_ cronJob: JSON, _ table: CronTable, _ zone: TimeZoneRules, at now: Timestamp) -> Due {
        var earliest = cronJob.created
        if let last = cronJob.statusPart["lastScheduleTime"]?.time { earliest = last }
        if let deadline = cronJob.specInt("startingDeadlineSeconds") {
            earliest = max(earliest, now.adding(seconds: -Int64(deadline)))
        }
        guard earliest < now, let first = table.next(after: earliest, in: zone), first <= now else { return Due() }
        guard let second = table.next(after: first, in: zone), second <= now else { return Due(time: first, missed: 1) }
        // Long gaps are not walked through: near the end is near enough to walk the rest.
        let between = max(1, second.seconds - first.seconds)
        let estimate = Int((now.seconds - earliest.seconds) / between) + 1
        var time = second
        var missed = 2
        if estimate > limitMissed {
            let jump = now.adding(seconds: -max(between * 2, 86_400 * 2))
            if jump > second, let near = table.next(after: jump, in: zone), near <= now {
                time = near
                missed = estimate
            }
        }
        while let next = table.next(after: time, in: zone), next <= now {
            time = next
            missed += 1
        }
        return Due(time: time, missed: missed)
    }

    static func isFinished(_ job: JSON) -> Bool { JobFacts.finishedCondition(job) != nil }

    /// The oldest ended jobs beyond the limits.
    static func surplus(_ cronJob: JSON, _ jobs: [JSON]) -> [JSON] {
        func old(_ condition: String, _ limit: Int) -> [JSON] {
            let ended = jobs.filter { JobFacts.finishedCondition($0) == condition }.sorted { left, right in
                let (one, two) = (left.statusPart["startTime"]?.time, right.statusPart["startTime"]?.time)
                guard let one, let two, one != two else { return left.metaName < right.metaName }
                return one < two
            }
            return Array(ended.prefix(max(0, ended.count - limit)))
        }
        return old("Complete", cronJob.specInt("successfulJobsHistoryLimit") ?? 3)
            + old("Failed", cronJob.specInt("failedJobsHistoryLimit") ?? 1)
    }

    static func jobName(_ cronJob: JSON, _ time: Timestamp) -> String { "\(cronJob.metaName)-\(time.seconds / 60)" }

    static func job(_ cronJob: JSON, at time: Timestamp, zoneOffset: Int, kind: OwnerKind) -> JSON {
        let template = cronJob["spec"]?["jobTemplate"] ?? .emptyObject
        var annotations = template.metaAnnotations
        annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = text(time, zoneOffset)
        return [
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": [
                "name": JSON(jobName(cronJob, time)), "namespace": JSON(cronJob.metaNamespace), "labels": JSON(template.metaLabels),
                "annotations": JSON(annotations), "ownerReferences": [kind.controllerReference(to: cronJob)],
            ],
            "spec": template.spec,
        ]
    }

    /// RFC 3339 on the zone's own clock.
    private static func text(_ time: Timestamp, _ offset: Int) -> String {
        if offset == 0 { return time.rfc3339 }
        let local = time.adding(seconds: Int64(offset)).rfc3339.dropLast()
        let minutes = abs(offset) / 60
        func two(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
        return "\(local)\(offset < 0 ? "-" : "+")\(two(minutes / 60)):\(two(minutes % 60))"
    }

    /// A moment as Go's RFC1123Z has it: `Mon, 02 Jan 2006 15:04:05 +0000`.
    static func longText(_ time: Timestamp) -> String {
        let civil = CivilTime(local: time.seconds)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let date = (civil.day < 10 ? "0" : "") + "\(civil.day) \(months[civil.month - 1]) \(civil.year)"
        return "\(days[civil.weekday]), \(date) \(time.rfc3339.dropFirst(11).dropLast()) +0000"
    }
}
