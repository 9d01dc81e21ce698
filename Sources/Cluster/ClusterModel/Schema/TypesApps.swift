// The types of the workloads: apps/v1, and ReplicationController and PodTemplate of the core group.

extension TypesText {
    static let workloadCore = """
        %api.core.v1
        @PodTemplateSpec What pods made from a template look like.
        1 metadata ObjectMeta | Labels and annotations that each pod gets.
        2 spec PodSpec | What each pod should run.

        @PodTemplate A stored template for pods.
        1 metadata ObjectMeta | Name, labels and the like.
        2 template PodTemplateSpec | The template.

        @ReplicationController Keeps a number of equal pods running; the ancestor of ReplicaSet.
        1 metadata ObjectMeta | Name, labels and the like. Without labels it gets those of its template.
        2 spec ReplicationControllerSpec | Which pods, and how many.
        3 status ReplicationControllerStatus ={} | What was last seen.

        @ReplicationControllerSpec Which pods a controller keeps, and how many.
        1 replicas int32 ptr =1 min=0 | The number of pods that should run.
        4 minReadySeconds int32 min=0 | Seconds a pod must be ready before it counts as available.
        2 selector {}string atomic | The labels of its pods; those of the template where empty.
        3 template PodTemplateSpec required | How new pods look.

        @ReplicationControllerStatus What a controller last saw of its pods.
        1 replicas int32 required =0 | Pods there are.
        2 fullyLabeledReplicas int32 | Pods that have all labels of the template.
        4 readyReplicas int32 | Pods that are ready.
        5 availableReplicas int32 | Pods that have been ready long enough.
        3 observedGeneration int64 | The generation that this status is about.
        6 conditions []ReplicationControllerCondition key=type | Observations of its state.

        @ReplicationControllerCondition One observation of a controller.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.
        """

    static let apps = """
        %api.apps.v1
        @Deployment Runs equal pods and replaces them step by step when their template changes.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec DeploymentSpec | Which pods, how many, and how they are replaced.
        3 status DeploymentStatus ={} | What was last seen of the rollout.

        @DeploymentSpec Which pods a deployment runs, how many, and how they are replaced.
        1 replicas int32 ptr =1 min=0 | The number of pods that should run.
        2 selector LabelSelector | The pods that belong to it. It must match the template's labels and cannot change.
        3 template PodTemplateSpec required | How new pods look. A change starts a rollout.
        4 strategy DeploymentStrategy ={} retain | How old pods are replaced by new ones.
        5 minReadySeconds int32 min=0 | Seconds a new pod must be ready before it counts as available.
        6 revisionHistoryLimit int32 ptr =10 min=0 | Old ReplicaSets kept for going back.
        7 paused bool | Changes of the template wait until this is false again.
        9 progressDeadlineSeconds int32 ptr =600 min=0 | Seconds without progress after which the rollout counts as failed.

        @DeploymentStrategy How old pods are replaced by new ones.
        1 type string =RollingUpdate enum=Recreate,RollingUpdate | Recreate ends all old pods first; RollingUpdate goes step by step.
        2 rollingUpdate RollingUpdateDeployment | The steps of a RollingUpdate.

        @RollingUpdateDeployment The steps of a rolling update.
        1 maxUnavailable intstr | The most pods, as a number or percentage, that may be missing during the update. 25% where empty.
        2 maxSurge intstr | The most pods, as a number or percentage, that may be there on top of the wanted ones. 25% where empty.

        @DeploymentStatus What was last seen of a deployment.
        1 observedGeneration int64 | The generation that this status is about.
        2 replicas int32 | Pods of all revisions.
        3 updatedReplicas int32 | Pods of the newest template.
        7 readyReplicas int32 | Pods that are ready.
        4 availableReplicas int32 | Pods that have been ready long enough.
        5 unavailableReplicas int32 | Pods still missing for full strength.
        9 terminatingReplicas int32 ptr | Pods that are ending.
        6 conditions []DeploymentCondition key=type | Observations: Available, Progressing, ReplicaFailure.
        8 collisionCount int32 ptr | Counts hashes that were taken already when a ReplicaSet was named.

        @DeploymentCondition One observation of a deployment.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        6 lastUpdateTime time | When it was last confirmed.
        7 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.

        @ReplicaSet Keeps a number of equal pods running. Usually made and scaled by a Deployment.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec ReplicaSetSpec | Which pods, and how many.
        3 status ReplicaSetStatus ={} | What was last seen.

        @ReplicaSetSpec Which pods a set keeps, and how many.
        1 replicas int32 ptr =1 min=0 | The number of pods that should run.
        4 minReadySeconds int32 min=0 | Seconds a new pod must be ready before it counts as available.
        2 selector LabelSelector | The pods that belong to it. It must match the template's labels and cannot change.
        3 template PodTemplateSpec ={} | How new pods look.

        @ReplicaSetStatus What a set last saw of its pods.
        1 replicas int32 required =0 | Pods there are.
        2 fullyLabeledReplicas int32 | Pods that have all labels of the template.
        4 readyReplicas int32 | Pods that are ready.
        5 availableReplicas int32 | Pods that have been ready long enough.
        7 terminatingReplicas int32 ptr | Pods that are ending.
        3 observedGeneration int64 | The generation that this status is about.
        6 conditions []ReplicaSetCondition key=type | Observations of its state.

        @ReplicaSetCondition One observation of a set.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.

        @DaemonSet Runs one pod on every node, or on every node that its template selects.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec DaemonSetSpec | Which pods, and how they are replaced.
        3 status DaemonSetStatus ={} | What was last seen.

        @DaemonSetSpec Which pods a daemon set runs and how they are replaced.
        1 selector LabelSelector | The pods that belong to it. It must match the template's labels and cannot change.
        2 template PodTemplateSpec required | How its pods look. Its node selector says on which nodes they run.
        3 updateStrategy DaemonSetUpdateStrategy ={} | How old pods are replaced by new ones.
        4 minReadySeconds int32 min=0 | Seconds a new pod must be ready before it counts as available.
        6 revisionHistoryLimit int32 ptr =10 min=0 | Old revisions kept for going back.

        @DaemonSetUpdateStrategy How the pods of a daemon set are replaced.
        1 type string =RollingUpdate enum=OnDelete,RollingUpdate | OnDelete waits until someone deletes the old pods.
        2 rollingUpdate RollingUpdateDaemonSet | The steps of a RollingUpdate.

        @RollingUpdateDaemonSet The steps of a rolling update of a daemon set.
        1 maxUnavailable intstr | The most nodes, as a number or percentage, without a ready pod during the update. 1 where empty.
        2 maxSurge intstr | The most nodes, as a number or percentage, with an old and a new pod at once. 0 where empty.

        @DaemonSetStatus What a daemon set last saw of its pods.
        1 currentNumberScheduled int32 required =0 | Nodes that should run a pod and do.
        2 numberMisscheduled int32 required =0 | Nodes that run a pod and should not.
        3 desiredNumberScheduled int32 required =0 | Nodes that should run a pod.
        4 numberReady int32 required =0 | Nodes whose pod is ready.
        5 observedGeneration int64 | The generation that this status is about.
        6 updatedNumberScheduled int32 | Nodes whose pod is of the newest template.
        7 numberAvailable int32 | Nodes whose pod has been ready long enough.
        8 numberUnavailable int32 | Nodes still without an available pod.
        9 collisionCount int32 ptr | Counts hashes that were taken already when a revision was named.
        10 conditions []DaemonSetCondition key=type | Observations of its state.

        @DaemonSetCondition One observation of a daemon set.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.

        @StatefulSet Runs pods with numbers, each with a name and storage that it keeps.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec StatefulSetSpec | Which pods, how many, and in which order.
        3 status StatefulSetStatus ={} | What was last seen.

        @StatefulSetSpec Which pods a stateful set runs, how many, and in which order.
        1 replicas int32 ptr =1 min=0 | The number of pods that should run.
        2 selector LabelSelector | The pods that belong to it. It must match the template's labels and cannot change.
        3 template PodTemplateSpec required | How its pods look. Each is named after the set and its number.
        4 volumeClaimTemplates []PersistentVolumeClaim atomic | Claims that are made for each pod and stay with its number.
        5 serviceName string | The headless service through which the pods have names of their own.
        6 podManagementPolicy string =OrderedReady enum=OrderedReady,Parallel | Whether pods start and end one after another.
        7 updateStrategy StatefulSetUpdateStrategy ={} | How old pods are replaced by new ones.
        8 revisionHistoryLimit int32 ptr =10 min=0 | Old revisions kept for going back.
        9 minReadySeconds int32 min=0 | Seconds a new pod must be ready before it counts as available.
        10 persistentVolumeClaimRetentionPolicy StatefulSetPersistentVolumeClaimRetentionPolicy ={} | What happens to claims that are not needed any more.
        11 ordinals StatefulSetOrdinals | The numbers of the pods.

        @StatefulSetOrdinals The numbers of a set's pods.
        1 start int32 min=0 | The first number.

        @StatefulSetPersistentVolumeClaimRetentionPolicy What happens to claims that are not needed any more.
        1 whenDeleted string =Retain enum=Delete,Retain | When the set is deleted.
        2 whenScaled string =Retain enum=Delete,Retain | When the set gets smaller.

        @StatefulSetUpdateStrategy How the pods of a stateful set are replaced.
        1 type string =RollingUpdate enum=OnDelete,RollingUpdate | OnDelete waits until someone deletes the old pods.
        2 rollingUpdate RollingUpdateStatefulSetStrategy | The steps of a RollingUpdate.

        @RollingUpdateStatefulSetStrategy The steps of a rolling update of a stateful set.
        1 partition int32 ptr min=0 | Only pods with this number or a higher one are replaced.
        2 maxUnavailable intstr | The most pods that may be missing during the update.

        @StatefulSetStatus What a set last saw of its pods.
        1 observedGeneration int64 | The generation that this status is about.
        2 replicas int32 required =0 | Pods there are.
        3 readyReplicas int32 | Pods that are ready.
        4 currentReplicas int32 | Pods of the current revision.
        5 updatedReplicas int32 | Pods of the newest revision.
        6 currentRevision string | The revision that pods had before the update.
        7 updateRevision string | The revision that pods get.
        9 collisionCount int32 ptr | Counts hashes that were taken already when a revision was named.
        10 conditions []StatefulSetCondition key=type | Observations of its state.
        11 availableReplicas int32 =0 | Pods that have been ready long enough.

        @StatefulSetCondition One observation of a stateful set.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.

        @ControllerRevision A snapshot of a template that a DaemonSet or StatefulSet can go back to.
        1 metadata ObjectMeta | Name, labels and the like.
        2 data any | The snapshot. It cannot change.
        3 revision int64 required =0 min=0 | Its number; newer ones are higher.
        """
}
