// The types of a Pod's specification.

extension TypesText {
    static let pod = """
        %api.core.v1
        @Pod Containers that run together on one node, with one network address.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec PodSpec | What should run.
        3 status PodStatus | What was last seen running. Written by the node.

        @PodSpec What a pod should run and how.
        1 volumes []Volume key=name retain | Storage that containers may mount.
        20 initContainers []Container key=name | Containers that run to their end, one after another, before the others start.
        2 containers []Container key=name required | The containers of the pod. At least one; the set cannot change later.
        34 ephemeralContainers []EphemeralContainer key=name | Containers added for debugging while the pod runs.
        3 restartPolicy string =Always enum=Always,OnFailure,Never | What happens when a container ends.
        4 terminationGracePeriodSeconds int64 ptr =30 min=0 | Seconds between the request to stop and the kill.
        5 activeDeadlineSeconds int64 ptr | Seconds after which the pod is ended and counts as failed.
        6 dnsPolicy string =ClusterFirst enum=ClusterFirstWithHostNet,ClusterFirst,Default,None | Where names are resolved.
        7 nodeSelector {}string atomic | Labels that the node must have.
        8 serviceAccountName string | The service account that the pod acts as.
        9 serviceAccount string | Old name of serviceAccountName.
        21 automountServiceAccountToken bool ptr | Whether a token of the service account is mounted.
        10 nodeName string | The node the pod runs on. Set by the scheduler.
        11 hostNetwork bool | Use the node's own network.
        12 hostPID bool | Use the node's own process ids.
        13 hostIPC bool | Use the node's own IPC objects.
        27 shareProcessNamespace bool ptr | Containers see each other's processes.
        14 securityContext PodSecurityContext ={} | Security settings of the whole pod.
        15 imagePullSecrets []LocalObjectReference key=name | Secrets with which images are pulled.
        16 hostname string | The pod's own host name. Its name where empty.
        17 subdomain string | Makes the full name hostname.subdomain.namespace.svc.
        18 affinity Affinity | Preferences and needs for where it runs.
        19 schedulerName string =default-scheduler | The scheduler that places the pod.
        22 tolerations []Toleration atomic | Taints of nodes that do not keep the pod away.
        23 hostAliases []HostAlias key=ip | Lines added to the pod's /etc/hosts.
        24 priorityClassName string | Names the pod's priority.
        25 priority int32 ptr | The priority as a number.
        26 dnsConfig PodDNSConfig | Additions to the pod's resolver settings.
        28 readinessGates []PodReadinessGate atomic | Further conditions without which the pod is not ready.
        29 runtimeClassName string | The runtime class that runs the pod.
        30 enableServiceLinks bool ptr | Put the addresses of services into the environment.
        31 preemptionPolicy string enum=Never,PreemptLowerPriority | Whether the pod may push out others.
        32 overhead {}quantity | Resources that running the pod itself costs.
        33 topologySpreadConstraints []TopologySpreadConstraint key=topologyKey keys=topologyKey,whenUnsatisfiable | How pods spread over zones or nodes.
        35 setHostnameAsFQDN bool ptr | Use the full name as the host name.
        36 os PodOS | The operating system that the containers are for.
        37 hostUsers bool ptr | Use the node's own user ids; false gives the pod a user namespace.
        38 schedulingGates []PodSchedulingGate key=name | Names of those who must agree before the pod is scheduled.
        39 resourceClaims []PodResourceClaim key=name retain | Claims for devices.
        40 resources ResourceRequirements | Resources of the whole pod.

        @PodSecurityContext Security settings of all containers of a pod.
        1 seLinuxOptions SELinuxOptions | SELinux label.
        8 windowsOptions any | Settings for Windows; unused here.
        2 runAsUser int64 ptr | User id of the processes.
        6 runAsGroup int64 ptr | Group id of the processes.
        3 runAsNonRoot bool ptr | Refuse to run as user 0.
        4 supplementalGroups []int64 atomic | Further groups of the processes.
        12 supplementalGroupsPolicy string | How the groups of the image count.
        5 fsGroup int64 ptr | Group that owns the volumes.
        9 fsGroupChangePolicy string enum=OnRootMismatch,Always | When the owner of volumes is changed.
        7 sysctls []Sysctl atomic | Kernel settings of the pod's namespaces.
        10 seccompProfile SeccompProfile | System calls that are allowed.
        11 appArmorProfile AppArmorProfile | AppArmor profile.
        13 seLinuxChangePolicy string | How SELinux labels of volumes are set.

        @SELinuxOptions Parts of an SELinux label.
        1 user string | User part.
        2 role string | Role part.
        3 type string | Type part.
        4 level string | Level part.

        @SeccompProfile Which system calls are allowed.
        1 type string required enum=Localhost,RuntimeDefault,Unconfined | The kind of profile.
        2 localhostProfile string | A profile file of the node.

        @AppArmorProfile Which AppArmor profile holds.
        1 type string required enum=Localhost,RuntimeDefault,Unconfined | The kind of profile.
        2 localhostProfile string | A profile loaded on the node.

        @Sysctl A kernel setting.
        1 name string required | The name.
        2 value string | The value.

        @Toleration A taint that does not keep the pod away.
        1 key string | The taint's key; empty with operator Exists means all.
        2 operator string enum=Exists,Equal | How the value is compared. Equal where empty.
        3 value string | The taint's value.
        4 effect string enum=NoSchedule,PreferNoSchedule,NoExecute | The effect; empty means all.
        5 tolerationSeconds int64 ptr | Seconds that a NoExecute taint is tolerated.

        @HostAlias A line of /etc/hosts.
        1 ip string required | The address.
        2 hostnames []string atomic | Its names.

        @PodDNSConfig Additions to the resolver settings.
        1 nameservers []string atomic | Name servers.
        2 searches []string atomic | Search domains.
        3 options []PodDNSConfigOption atomic | Resolver options.

        @PodDNSConfigOption A resolver option.
        1 name string | The name.
        2 value string ptr | The value.

        @PodReadinessGate A condition without which the pod is not ready.
        1 conditionType string required | The condition's type.

        @PodOS The operating system of a pod.
        1 name string required | linux or windows.

        @PodSchedulingGate Someone who must agree before scheduling.
        1 name string required | The name.

        @PodResourceClaim A claim for devices.
        1 name string required | The name in this pod.
        3 resourceClaimName string | An existing claim.
        4 resourceClaimTemplateName string | A template to make a claim from.

        @TopologySpreadConstraint How pods spread over groups of nodes.
        1 maxSkew int32 required | How much fuller one group may be.
        2 topologyKey string required | The node label that makes the groups.
        3 whenUnsatisfiable string required enum=DoNotSchedule,ScheduleAnyway | What happens when it cannot be kept.
        4 labelSelector LabelSelector | The pods that are counted.
        5 minDomains int32 ptr | The least number of groups.
        6 nodeAffinityPolicy string enum=Honor,Ignore | Whether nodes out of the pod's reach count.
        7 nodeTaintsPolicy string enum=Honor,Ignore | Whether tainted nodes count.
        8 matchLabelKeys []string atomic | Labels whose values must be the same.

        @Affinity Where a pod wants to run.
        1 nodeAffinity NodeAffinity | By labels of nodes.
        2 podAffinity PodAffinity | Near certain pods.
        3 podAntiAffinity PodAffinity | Away from certain pods.

        @NodeAffinity Wishes about nodes.
        1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector | What the node must have.
        2 preferredDuringSchedulingIgnoredDuringExecution []PreferredSchedulingTerm atomic | What it should have.

        @NodeSelector Terms of which one must hold.
        1 nodeSelectorTerms []NodeSelectorTerm required atomic | The terms.

        @NodeSelectorTerm Requirements that must all hold.
        1 matchExpressions []NodeSelectorRequirement atomic | On labels.
        2 matchFields []NodeSelectorRequirement atomic | On fields.

        @NodeSelectorRequirement One requirement on a node.
        1 key string required | The label or field.
        2 operator string required enum=In,NotIn,Exists,DoesNotExist,Gt,Lt | How it is compared.
        3 values []string atomic | The values.

        @PreferredSchedulingTerm A wish with a weight.
        1 weight int32 required min=1 | From 1 to 100.
        2 preference NodeSelectorTerm required | The wish.

        @PodAffinity Wishes about other pods.
        1 requiredDuringSchedulingIgnoredDuringExecution []PodAffinityTerm atomic | What must hold.
        2 preferredDuringSchedulingIgnoredDuringExecution []WeightedPodAffinityTerm atomic | What should hold.

        @PodAffinityTerm Pods to be near to or away from.
        1 labelSelector LabelSelector | The pods.
        2 namespaces []string atomic | Their namespaces.
        3 topologyKey string required | The node label that says what near is.
        4 namespaceSelector LabelSelector | Their namespaces, by label.
        5 matchLabelKeys []string atomic | Labels that must be equal.
        6 mismatchLabelKeys []string atomic | Labels that must differ.

        @WeightedPodAffinityTerm A wish with a weight.
        1 weight int32 required | From 1 to 100.
        2 podAffinityTerm PodAffinityTerm required | The wish.
        """
}
