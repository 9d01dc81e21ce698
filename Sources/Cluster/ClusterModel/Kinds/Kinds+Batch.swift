// The kinds Job and CronJob.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let job = Kind(
        resource: .jobs, name: "Job", singular: "job", categories: ["all"], hasStatus: true,
        columns: [
            Column("Name"), Column("Status", "Status of the job."), Column("Completions"),
            Column("Duration", "Time required to complete the job."), Column("Age"),
        ] + Cells.containerColumns + [Column("Selector", wide: true)],
        cells: { object, now in JobCells.cells(object, at: now) },
        selectable: ["status.successful"],
        applyDefaults: JobDefaults.apply,
        prepareCreate: JobDefaults.begin,
        check: { new, old in
            var causes = JobRules.check(spec: new["spec"] ?? .null, at: "spec")
            if let selector = new["spec"]?["selector"] {
                causes += SelectorRules.check(selector, at: "spec.selector")
                if !SelectorRules.matches(selector, new["spec"]?["template"]?["metadata"]?["labels"]) {
                    causes.append(SelectorRules.mismatch(new["spec"]?["template"], at: "spec.template"))
                }
            } else {
                causes.append(.required("spec.selector"))
            }
            return causes + JobRules.checkUnchanged(new, old)
        })

    package static let cronJob = Kind(
        resource: .cronJobs, name: "CronJob", singular: "cronjob", shortNames: ["cj"], categories: ["all"], hasStatus: true,
        columns: [
            Column("Name"), Column("Schedule"), Column("Timezone"), Column("Suspend", type: "boolean"), Column("Active", type: "integer"),
            Column("Last Schedule"), Column("Age"),
        ] + Cells.containerColumns + [Column("Selector", wide: true)],
        cells: { object, now in
            let spec = object["spec"]
            let last = object["status"]?["lastScheduleTime"]
            let job = spec?["jobTemplate"]?["spec"]
            let suspend = spec?["suspend"]?.bool.map { $0 ? "True" : "False" } ?? "<unset>"
            return [
                JSON(object.metaName), Cells.text(spec?["schedule"], or: ""), Cells.text(spec?["timeZone"]), JSON(suspend),
                JSON(Cells.count(object["status"]?["active"])), last?.string == nil ? "<none>" : JSON(Age.text(since: last, at: now)),
                Cells.age(object, now),
            ] + Cells.containers(job?["template"]) + [Cells.selector(job?["selector"])]
        },
        applyDefaults: { object in
            PodDefaults.complete(templateOf: &object, at: ["spec", "jobTemplate", "spec", "template"])
        },
        prepareCreate: WorkloadDefaults.clearStatus,
        check: { new, old in
            let spec = new["spec"] ?? .null
            let job = spec["jobTemplate"]?["spec"] ?? .null
            var causes: [FieldCause] = []
            if old == nil, new.metaName.utf8.count > 52 {
                causes.append(.invalid("metadata.name", text: new.metaName, "must be no more than 52 characters"))
            }
            if let schedule = spec["schedule"]?.string, !schedule.isEmpty {
                if schedule.contains("TZ=") {
                    causes.append(
                        .invalid(
                            "spec.schedule", text: schedule,
                            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
                } else if let why = CronSchedule.problem(schedule) {
                    causes.append(.invalid("spec.schedule", text: schedule, why))
                }
            }
            if let zone = spec["timeZone"]?.string {
                if zone.isEmpty {
                    causes.append(.invalid("spec.timeZone", "\"\"", "timeZone must be nil or non-empty string"))
                } else if zone == "Local" {
                    causes.append(
                        .invalid(
                            "spec.timeZone", text: zone,
                            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
                }
            }
            causes += JobRules.check(spec: job, at: "spec.jobTemplate.spec")
            if let selector = job["selector"] {
                causes.append(
                    .invalid("spec.jobTemplate.spec.selector", GoText.labelSelector(selector), "`selector` will be auto-generated"))
            }
            if job["manualSelector"] == true {
                causes.append(.unsupported("spec.jobTemplate.spec.manualSelector", "true", ["nil", "false"]))
            }
            return causes
        })
}

enum JobCells {
    static func cells(_ job: JSON, at now: Timestamp) -> [JSON] {
        let spec = job["spec"]
        let status = job["status"]
        let succeeded = status?["succeeded"]?.integer ?? 0
        let completions: String
        if let wanted = spec?["completions"]?.integer {
            completions = "\(succeeded)/\(wanted)"
        } else if let parallel = spec?["parallelism"]?.integer, parallel > 1 {
            completions = "\(succeeded)/1 of \(parallel)"
        } else {
            completions = "\(succeeded)/1"
        }
        var duration = ""
        if let start = status?["startTime"]?.string.flatMap(Timestamp.init(rfc3339:)) {
            let end = status?["completionTime"]?.string.flatMap(Timestamp.init(rfc3339:)) ?? now
            duration = Age.text(seconds: Int64(end.since(start).rounded(.down)))
        }
        return [
            JSON(job.metaName), JSON(state(job)), JSON(completions), JSON(duration), Cells.age(job, now),
        ] + Cells.containers(spec?["template"]) + [Cells.selector(spec?["selector"])]
    }

    private static func state(_ job: JSON) -> String {
        func holds(_ type: String) -> Bool {
            (job["status"]?["conditions"]?.array ?? []).contains { $0["type"]?.string == type && $0["status"] == "True" }
        }
        if holds("Complete") { return "Complete" }
        if holds("Failed") { return "Failed" }
        if job.isBeingDeleted { return "Terminating" }
        return ["Suspended", "FailureTarget", "SuccessCriteriaMet"].first(where: holds) ?? "Running"
    }
}

enum JobDefaults {
    /// A CronJob's template is not given these; each of its jobs is.
    @Sendable static func apply(_ job: inout JSON) {
        PodDefaults.complete(templateOf: &job)
        guard let spec = job["spec"] else { return }
        if spec["completions"] == nil, spec["parallelism"] == nil { job["spec"]?["completions"] = 1 }
        if spec["parallelism"] == nil { job["spec"]?["parallelism"] = 1 }
        if spec["backoffLimit"] == nil { job["spec"]?["backoffLimit"] = spec["backoffLimitPerIndex"] == nil ? 6 : 2_147_483_647 }
        if spec["completionMode"] == nil { job["spec"]?["completionMode"] = "NonIndexed" }
        if spec["suspend"] == nil { job["spec"]?["suspend"] = false }
        if spec["manualSelector"] == nil { job["spec"]?["manualSelector"] = false }
        if spec["podReplacementPolicy"] == nil {
            job["spec"]?["podReplacementPolicy"] = spec["podFailurePolicy"] == nil ? "TerminatingOrFailed" : "Failed"
        }
        if job.metaLabels.isEmpty, let labels = spec["template"]?["metadata"]?["labels"], !(labels.object ?? [:]).isEmpty {
            job[path: ["metadata", "labels"]] = labels
        }
    }

    /// Gives a new job its own selector, and its pods the labels for it.
    @Sendable static func begin(_ job: inout JSON) {
        WorkloadDefaults.clearStatus(&job)
        guard job["spec"]?["manualSelector"] != true, job["spec"]?["template"] != nil else { return }
        let uid = JSON(job.metaUID)
        let name = JSON(job.metaName)
        var labels = job["spec"]?["template"]?["metadata"]?["labels"] ?? .emptyObject
        for (key, value) in [
            ("controller-uid", uid), ("job-name", name), ("batch.kubernetes.io/controller-uid", uid),
            ("batch.kubernetes.io/job-name", name),
        ] {
            labels[key] = value
        }
        job[path: ["spec", "template", "metadata", "labels"]] = labels
        job[path: ["spec", "selector"]] = ["matchLabels": ["batch.kubernetes.io/controller-uid": uid]]
    }
}

enum JobRules {
    static func check(spec: JSON, at path: String) -> [FieldCause] {
        var causes = PodSpecRules.check(template: spec["template"], at: path + ".template")
        let policy = spec["template"]?["spec"]?["restartPolicy"]?.string ?? ""
        let place = path + ".template.spec.restartPolicy"
        if policy == "Always" {
            causes.append(
                FieldCause(
                    reason: "FieldValueRequired", field: place,
                    message: "Required value: valid values: \"OnFailure\", \"Never\""))
        }
        if spec["completionMode"] == "Indexed" {
            if spec["completions"] == nil {
                causes.append(.required(path + ".completions", "when completion mode is Indexed"))
            }
            if let parallel = spec["parallelism"]?.integer, parallel > 100_000 {
                causes.append(
                    .invalid(
                        path + ".parallelism", String(parallel),
                        "must be less than or equal to 100000 when completion mode is Indexed"))
            }
        } else if spec["backoffLimitPerIndex"] != nil {
            causes.append(
                .invalid(path + ".backoffLimitPerIndex", GoText.any(spec["backoffLimitPerIndex"]), "requires indexed completion mode"))
        }
        if spec["podFailurePolicy"] != nil, policy != "Never" {
            causes.append(
                .invalid(place, text: policy, "only \"Never\" is supported when podFailurePolicy is specified"))
        }
        return causes
    }

    /// What a job keeps for its life; a job that is suspended and never ran may still change where its pods go.
    static func checkUnchanged(_ new: JSON, _ old: JSON?) -> [FieldCause] {
        guard let old else { return [] }
        var causes = Unchanged.check(
            new, old, [["spec", "completionMode"], ["spec", "podFailurePolicy"], ["spec", "backoffLimitPerIndex"]])
        causes += SelectorRules.checkUnchanged(new, old)
        let was = old["spec"]?["completions"] ?? .null
        let now = new["spec"]?["completions"] ?? .null
        if was != now, new["spec"]?["completionMode"] != "Indexed" || now != (new["spec"]?["parallelism"] ?? .null) {
            causes.append(.invalid("spec.completions", GoText.any(now), "field is immutable"))
        }
        var template = new["spec"]?["template"] ?? .null
        if old["spec"]?["suspend"] == true, old["status"]?["startTime"] == nil {
            for part in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
                template["spec"]?[part] = old["spec"]?["template"]?["spec"]?[part]
            }
            for part in ["labels", "annotations"] { template["metadata"]?[part] = old["spec"]?["template"]?["metadata"]?[part] }
        }
        if !template.isSame(as: old["spec"]?["template"] ?? .null) {
            causes.append(.invalid("spec.template", GoText.any(new["spec"]?["template"]), "field is immutable"))
        }
        return causes
    }
}
