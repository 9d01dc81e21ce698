// A job's spec as the controller needs it, and what its pods' ends mean to it.
internal import ClusterModel
internal import Essentials

struct JobSpec: Sendable {
    let parallelism: Int
    let completions: Int?
    let isIndexed: Bool
    let backOffLimit: Int
    /// Failures of one index; `nil`: only the job's own limit counts.
    let backOffLimitPerIndex: Int?
    let maxFailedIndexes: Int?
    let deadlineSeconds: Int?
    let isSuspended: Bool
    /// Only pods that have failed are replaced, not those that still end.
    let replacesFailedOnly: Bool
    let failureRules: [JSON]
    let successRules: [JSON]
    let restartsInPlace: Bool

    init(_ job: JSON) {
        let spec = job.spec
        isIndexed = spec["completionMode"]?.string == "Indexed"
        completions = spec["completions"]?.int
        parallelism = spec["parallelism"]?.int ?? 1
        backOffLimitPerIndex = isIndexed ? spec["backoffLimitPerIndex"]?.int : Optional<Int>.none
        backOffLimit = spec["backoffLimit"]?.int ?? (backOffLimitPerIndex == nil ? 6 : Int(Int32.max))
        maxFailedIndexes = spec["maxFailedIndexes"]?.int
        deadlineSeconds = spec["activeDeadlineSeconds"]?.int
        isSuspended = spec["suspend"]?.bool ?? false
        replacesFailedOnly = spec["podReplacementPolicy"]?.string == "Failed"
        failureRules = spec["podFailurePolicy"]?["rules"]?.array ?? []
        successRules = isIndexed ? spec["successPolicy"]?["rules"]?.array ?? [] : []
        restartsInPlace = spec["template"]?["spec"]?["restartPolicy"]?.string == "OnFailure"
    }
}

enum JobFacts {
    static let finalizer = "batch.kubernetes.io/job-tracking"
    static let indexKey = "batch.kubernetes.io/job-completion-index"
    static let failuresKey = "batch.kubernetes.io/job-index-failure-count"

    static func isTracked(_ pod: JSON) -> Bool { pod.metaFinalizers.contains(finalizer) }

    static func index(_ pod: JSON) -> Int? {
        pod["metadata"]?["annotations"]?[indexKey]?.string.flatMap { Int($0) }
    }

    static func indexFailures(_ pod: JSON) -> Int {
        pod["metadata"]?["annotations"]?[failuresKey]?.string.flatMap { Int($0) } ?? 0
    }

    static func hasFailed(_ pod: JSON, _ spec: JobSpec) -> Bool {
        let phase = PodFacts.phase(pod)
        if phase == "Failed" { return true }
        if spec.replacesFailedOnly { return pod.isBeingDeleted && phase == "Pending" }
        // A pod that is deleted may never get to say that it failed.
        return pod.isBeingDeleted && phase != "Succeeded"
    }

    static func finishedCondition(_ job: JSON) -> String? {
        ["Complete", "Failed"].first { job.hasCondition($0) }
    }

    /// When a pod ended: its last container's end, or as near as can be told.
    static func endTime(_ pod: JSON) -> Timestamp? {
        let ends = (pod["status"]?["containerStatuses"]?.array ?? []).compactMap { $0["state"]?["terminated"]?["finishedAt"]?.time }
        if let last = ends.max() { return last }
        if let deleted = pod["metadata"]?["deletionTimestamp"]?.time {
            return deleted.adding(seconds: -(pod["metadata"]?["deletionGracePeriodSeconds"]?.integer ?? 0))
        }
        return pod.condition("Ready")?["lastTransitionTime"]?.time ?? (pod.created.seconds > 0 ? pod.created : nil)
    }

    enum Reaction: Equatable {
        case count, ignore
        case failIndex
        case failJob(String)
    }

    /// What the job's failure policy says of a failed pod.
    static func reaction(_ pod: JSON, _ rules: [JSON]) -> Reaction {
        for (number, rule) in rules.enumerated() {
            guard let why = match(pod, rule, number) else { continue }
            switch rule["action"]?.string {
            case "FailJob": return .failJob(why)
            case "FailIndex": return .failIndex
            case "Ignore": return .ignore
            default: return .count
            }
        }
        return .count
    }

    private static func match(_ pod: JSON, _ rule: JSON, _ number: Int) -> String? {
        let action = rule["action"]?.string ?? ""
        if let codes = rule["onExitCodes"] {
            let values = (codes["values"]?.array ?? []).compactMap(\.int)
            let statuses = (pod["status"]?["containerStatuses"]?.array ?? []) + (pod["status"]?["initContainerStatuses"]?.array ?? [])
            for status in statuses {
                let name = status["name"]?.string ?? ""
                if let wanted = codes["containerName"]?.string, wanted != name { continue }
                guard let code = status["state"]?["terminated"]?["exitCode"]?.int, code != 0 else { continue }
                if values.contains(code) == (codes["operator"]?.string == "In") {
                    return
                        "Container \(name) for pod \(pod.objectKey) failed with exit code \(code) matching \(action) rule at index \(number)"
                }
            }
            return nil
        }
        for pattern in rule["onPodConditions"]?.array ?? [] {
            let type = pattern["type"]?.string ?? ""
            if pod.condition(type)?["status"]?.string == pattern["status"]?.string ?? "True" {
                return "Pod \(pod.objectKey) has condition \(type) matching \(action) rule at index \(number)"
            }
        }
        return nil
    }

    /// Seconds to wait before the next pod: doubled with every failure since the last success.
    static let backOffSeconds = (first: 10.0, last: 600.0)

    static func backOff(_ pods: [JSON], _ spec: JobSpec, at now: Timestamp) -> Double {
        var ends: [(time: Timestamp, failed: Bool)] = []
        for pod in pods {
            let succeeded = PodFacts.phase(pod) == "Succeeded"
            guard succeeded || hasFailed(pod, spec), let end = endTime(pod) else { continue }
            if !succeeded, reaction(pod, spec.failureRules) == .ignore { continue }
            ends.append((end, !succeeded))
        }
        ends.sort { $0.time > $1.time }
        let failures = ends.prefix { $0.failed }
        guard let last = failures.first else { return 0 }
        let delay = min(backOffSeconds.first * Double(1 << min(failures.count - 1, 10)), backOffSeconds.last)
        return max(0, last.time.adding(seconds: Int64(delay)).since(now))
    }

    /// The pod of a job, for an index where it has them.
    static func pod(_ job: JSON, index: Int?, failures: Int = 0, countsFailures: Bool = false, kind: OwnerKind) -> JSON {
        var pod = PodMaker.pod(from: job["spec"]?["template"] ?? .emptyObject, owner: job, kind: kind)
        pod[path: ["metadata", "finalizers"]] = JSON((pod.metaFinalizers) + [finalizer])
        guard let index else { return pod }
        pod[path: ["metadata", "generateName"]] = JSON("\(job.metaName)-\(index)-")
        pod[path: ["metadata", "annotations", indexKey]] = JSON(String(index))
        pod[path: ["metadata", "labels", indexKey]] = JSON(String(index))
        if countsFailures { pod[path: ["metadata", "annotations", failuresKey]] = JSON(String(failures)) }
        pod[path: ["spec", "hostname"]] = JSON("\(job.metaName)-\(index)")
        let variable: JSON = [
            "name": "JOB_COMPLETION_INDEX", "valueFrom": ["fieldRef": ["fieldPath": JSON("metadata.labels['\(indexKey)']")]],
        ]
        for list in ["initContainers", "containers"] {
            guard var containers = pod.spec[list]?.array else { continue }
            for number in containers.indices {
                let variables = containers[number]["env"]?.array ?? []
                if variables.contains(where: { $0["name"] == "JOB_COMPLETION_INDEX" }) { continue }
                containers[number]["env"] = JSON(variables + [variable])
            }
            pod[path: ["spec", list]] = JSON(containers)
        }
        return pod
    }
}
