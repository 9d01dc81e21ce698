// The types of Job and CronJob.

extension TypesText {
    static let batch = """
        %api.batch.v1
        @Job Runs pods until enough of them have succeeded.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec JobSpec | What runs, how often, and what happens when it fails.
        3 status JobStatus ={} | How far it is.

        @JobSpec What a job runs, how often, and what happens when it fails.
        1 parallelism int32 ptr min=0 | The most pods that run at once. 1 where empty.
        2 completions int32 ptr min=0 | How many pods must succeed. Empty means that one success ends the whole job.
        3 activeDeadlineSeconds int64 ptr min=0 | Seconds after which the job is ended and counts as failed.
        11 podFailurePolicy PodFailurePolicy | Which failures of pods count, and how.
        16 successPolicy SuccessPolicy | When an Indexed job counts as succeeded before all of it has.
        7 backoffLimit int32 ptr min=0 | Failed pods after which the job fails. 6 where empty.
        12 backoffLimitPerIndex int32 ptr min=0 | Failed pods after which an index of an Indexed job fails.
        13 maxFailedIndexes int32 ptr min=0 | Failed indexes after which the job fails.
        4 selector LabelSelector | The pods that belong to it. Set by the server unless manualSelector is true.
        5 manualSelector bool ptr | Keep the selector and labels as given.
        6 template PodTemplateSpec required | How its pods look. Their restart policy is Never or OnFailure.
        8 ttlSecondsAfterFinished int32 ptr min=0 | Seconds after its end until the job is deleted.
        9 completionMode string ptr enum=Indexed,NonIndexed | Indexed gives each pod a number of its own.
        10 suspend bool ptr | No pods run while this is true.
        14 podReplacementPolicy string ptr enum=Failed,TerminatingOrFailed | When a pod is replaced: as it begins to end, or when it has.
        15 managedBy string ptr | The controller that looks after the job, where it is not the usual one.

        @PodFailurePolicy Which failures of pods count, and how.
        1 rules []PodFailurePolicyRule required atomic | The rules; the first that fits decides.

        @PodFailurePolicyRule One rule about failures.
        1 action string required enum=Count,FailIndex,FailJob,Ignore | What a failure that fits does.
        2 onExitCodes PodFailurePolicyOnExitCodesRequirement | Fits by exit status.
        3 onPodConditions []PodFailurePolicyOnPodConditionsPattern atomic | Fits by conditions of the pod.

        @PodFailurePolicyOnExitCodesRequirement Exit statuses that fit.
        1 containerName string ptr | Only this container.
        2 operator string required enum=In,NotIn | Whether the status is in the list.
        3 values []int32 merge required | The statuses.

        @PodFailurePolicyOnPodConditionsPattern A condition that fits.
        1 type string required | The condition's type.
        2 status string =True | Its status.

        @SuccessPolicy When a job counts as succeeded early.
        1 rules []SuccessPolicyRule required atomic | The rules; one that holds is enough.

        @SuccessPolicyRule One rule for early success.
        1 succeededIndexes string ptr | Indexes that must have succeeded, such as 0,3-5.
        2 succeededCount int32 ptr | How many of them are enough.

        @JobStatus How far a job is.
        1 conditions []JobCondition key=type | Observations: Complete, Failed, Suspended and others.
        2 startTime time | When it began.
        3 completionTime time | When it succeeded.
        4 active int32 | Pods that wait or run.
        5 succeeded int32 | Pods that succeeded.
        6 failed int32 | Pods that failed.
        11 terminating int32 ptr | Pods that are ending.
        7 completedIndexes string | Indexes that succeeded, such as 0,3-5.
        10 failedIndexes string ptr | Indexes that failed.
        8 uncountedTerminatedPods UncountedTerminatedPods | Pods that have ended and are not counted yet.
        9 ready int32 ptr | Pods that are ready.

        @JobCondition One observation of a job.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastProbeTime time | When it was last looked at.
        4 lastTransitionTime time | When the status last changed.
        5 reason string | A word for programs.
        6 message string | A sentence for people.

        @UncountedTerminatedPods Pods that have ended and are not counted yet.
        1 succeeded []string merge | Those that succeeded.
        2 failed []string merge | Those that failed.

        @JobTemplateSpec What jobs made from a template look like.
        1 metadata ObjectMeta | Labels and annotations that each job gets.
        2 spec JobSpec | What each job runs.

        @CronJob Makes a job at times that a schedule names.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec CronJobSpec | What runs, and when.
        3 status CronJobStatus ={} | What ran last.

        @CronJobSpec What a cron job runs, and when.
        1 schedule string required | When, in five fields: minute, hour, day of the month, month, day of the week.
        8 timeZone string ptr | The time zone of the schedule. That of the controller manager where empty.
        2 startingDeadlineSeconds int64 ptr min=0 | Seconds by which a job may start late; later it counts as missed.
        3 concurrencyPolicy string =Allow enum=Allow,Forbid,Replace | What happens when the last job still runs.
        4 suspend bool ptr =false | No jobs are made while this is true.
        5 jobTemplate JobTemplateSpec required | How its jobs look.
        6 successfulJobsHistoryLimit int32 ptr =3 min=0 | Succeeded jobs that are kept.
        7 failedJobsHistoryLimit int32 ptr =1 min=0 | Failed jobs that are kept.

        @CronJobStatus What a cron job last did.
        1 active []ObjectReference atomic | Jobs that run now.
        4 lastScheduleTime time | When it last made a job.
        5 lastSuccessfulTime time | When a job of it last succeeded.
        """
}
