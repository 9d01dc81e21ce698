// The types of a Pod's status and of its subresources.

extension TypesText {
    static let podStatus = """
        %api.core.v1
        @PodStatus What a pod was last seen doing.
        17 observedGeneration int64 | The generation that the status is about.
        1 phase string | Pending, Running, Succeeded, Failed or Unknown.
        2 conditions []PodCondition key=type | Observations of its state.
        3 message string | A sentence about why it is in this state.
        4 reason string | A word about why it is in this state.
        11 nominatedNodeName string | The node that is being made free for it.
        5 hostIP string | The address of its node.
        16 hostIPs []HostIP atomic | The addresses of its node.
        6 podIP string | Its address.
        12 podIPs []PodIP key=ip | Its addresses.
        7 startTime time | When the node accepted it.
        10 initContainerStatuses []ContainerStatus atomic | The init containers.
        8 containerStatuses []ContainerStatus atomic | The containers.
        9 qosClass string | Guaranteed, Burstable or BestEffort.
        13 ephemeralContainerStatuses []ContainerStatus atomic | The ephemeral containers.
        14 resize string | The state of a change of resources.
        15 resourceClaimStatuses any | Claims for devices.

        @HostIP An address of a node.
        1 ip string | The address.

        @PodIP An address of a pod.
        1 ip string | The address.

        @PodCondition One observation of a pod.
        1 type string required | PodScheduled, Initialized, ContainersReady, Ready, ….
        2 status string required | True, False or Unknown.
        3 lastProbeTime time | When it was last looked at.
        4 lastTransitionTime time | When the status last changed.
        5 reason string | A word for programs.
        6 message string | A sentence for people.
        7 observedGeneration int64 | The generation that was observed.

        @ContainerStatus What a container was last seen doing.
        1 name string required | The container.
        2 state ContainerState | What it does now.
        3 lastState ContainerState | How it ended last time.
        4 ready bool required | Whether it passes its readiness probe.
        5 restartCount int32 required | How often it was restarted.
        6 image string required | The image it runs.
        7 imageID string required | The image's digest.
        8 containerID string | The runtime's name for it.
        9 started bool ptr | Whether it passed its startup probe.
        10 allocatedResources {}quantity | What the node set aside for it.
        11 resources ResourceRequirements | The limits in force.
        12 volumeMounts []VolumeMountStatus key=mountPath | The mounts in force.
        13 user any | The user it runs as.
        14 allocatedResourcesStatus any | The state of its devices.
        15 stopSignal string | The signal that stops it.

        @VolumeMountStatus A mount in force.
        1 name string required | The volume.
        2 mountPath string required | Where.
        3 readOnly bool | Whether it is read-only.
        4 recursiveReadOnly string | Whether mounts below are too.

        @ContainerState One of three states.
        1 waiting ContainerStateWaiting | Not started yet.
        2 running ContainerStateRunning | Running.
        3 terminated ContainerStateTerminated | Ended.

        @ContainerStateWaiting Why a container does not run yet.
        1 reason string | A word, such as ContainerCreating.
        2 message string | A sentence.

        @ContainerStateRunning A running container.
        1 startedAt time | Since when.

        @ContainerStateTerminated How a container ended.
        1 exitCode int32 required | Its exit status.
        2 signal int32 | The signal that ended it.
        3 reason string | A word, such as Completed, Error or OOMKilled.
        4 message string | Its last message.
        5 startedAt time | When it began.
        6 finishedAt time | When it ended.
        7 containerID string | The runtime's name for it.

        @Binding Puts a pod on a node.
        1 metadata ObjectMeta | The pod's name.
        2 target ObjectReference required | The node.
        """

    static let eviction = """
        %api.policy.v1
        @Eviction Asks for a pod to leave its node.
        1 metadata ObjectMeta | The pod's name.
        2 deleteOptions DeleteOptions | How it is deleted.
        """
}
