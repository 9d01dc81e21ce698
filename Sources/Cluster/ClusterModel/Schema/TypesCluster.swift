// The types of Namespace, Node, Event, Lease, ConfigMap and Secret.

extension TypesText {
    static let cluster = """
        %api.core.v1
        @Namespace A space of names for objects; deleting it deletes all in it.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec NamespaceSpec ={} | Who must finish before it is removed.
        3 status NamespaceStatus ={} | Whether it is active.

        @NamespaceSpec Settings of a namespace.
        1 finalizers []string atomic | Those who must finish before it is removed.

        @NamespaceStatus The state of a namespace.
        1 phase string =Active | Active or Terminating.
        2 conditions []NamespaceCondition key=type | What holds its deletion up.

        @NamespaceCondition One observation of a namespace.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        4 lastTransitionTime time | When the status last changed.
        5 reason string | A word for programs.
        6 message string | A sentence for people.

        @Node A machine that runs pods.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec NodeSpec ={} | Settings.
        3 status NodeStatus ={} | What was last seen. Written by the node.

        @NodeSpec Settings of a node.
        1 podCIDR string | The addresses of its pods.
        7 podCIDRs []string merge | The addresses of its pods, by family.
        3 providerID string | The machine's name at its provider.
        4 unschedulable bool | No new pods come here.
        5 taints []Taint atomic | What keeps pods away.
        6 configSource any | Unused.
        2 externalID string | Unused.

        @Taint Something that keeps pods away that do not tolerate it.
        1 key string required | The key.
        2 value string | The value.
        3 effect string required enum=NoSchedule,PreferNoSchedule,NoExecute | What it does.
        4 timeAdded time | When it was added.

        @NodeStatus The state of a node.
        1 capacity {}quantity | All it has.
        2 allocatable {}quantity | What pods may have.
        3 phase string | Unused.
        4 conditions []NodeCondition key=type | Observations of its state.
        5 addresses []NodeAddress key=type | How it is reached.
        6 daemonEndpoints NodeDaemonEndpoints ={} | Ports of its services.
        7 nodeInfo NodeSystemInfo ={} | What it is.
        8 images []ContainerImage atomic | Images it has.
        9 volumesInUse []string atomic | Volumes in use.
        10 volumesAttached any | Volumes attached.
        11 config any | Unused.
        12 runtimeHandlers any | Its runtimes.
        13 features any | What it can do.

        @NodeCondition One observation of a node.
        1 type string required | Ready, MemoryPressure, ….
        2 status string required | True, False or Unknown.
        3 lastHeartbeatTime time | When it was last confirmed.
        4 lastTransitionTime time | When the status last changed.
        5 reason string | A word for programs.
        6 message string | A sentence for people.

        @NodeAddress A way to reach a node.
        1 type string required | InternalIP, ExternalIP, Hostname, ….
        2 address string required | The address.

        @NodeDaemonEndpoints Ports of a node's services.
        1 kubeletEndpoint DaemonEndpoint ={} | The kubelet's.

        @DaemonEndpoint A port.
        1 Port int32 required =0 | The port.

        @NodeSystemInfo What a node is.
        1 machineID string required ="" | The machine's id.
        2 systemUUID string required ="" | The hardware's id.
        3 bootID string required ="" | The id of this boot.
        4 kernelVersion string required ="" | The kernel.
        5 osImage string required ="" | The operating system.
        6 containerRuntimeVersion string required ="" | The container runtime.
        7 kubeletVersion string required ="" | The kubelet.
        8 kubeProxyVersion string required ="" | The service proxy.
        9 operatingSystem string required ="" | The kind of system.
        10 architecture string required ="" | The kind of processor.
        11 swap any | Its swap space.

        @ContainerImage An image a node has.
        1 names []string atomic | Its names.
        2 sizeBytes int64 | Its size.

        @Event A report of something that happened to an object.
        1 metadata ObjectMeta required | Name, labels and the like.
        2 involvedObject ObjectReference required | What it is about.
        3 reason string | A word for programs.
        4 message string | A sentence for people.
        5 source EventSource ={} | Who reports.
        6 firstTimestamp time | When it happened first.
        7 lastTimestamp time | When it happened last.
        8 count int32 | How often it happened.
        9 type string | Normal or Warning.
        10 eventTime microtime keep | When it was seen first.
        11 series EventSeries | How it goes on.
        12 action string | What was done or failed.
        13 related ObjectReference | A second object it is about.
        14 reportingComponent string ="" | Who reports.
        15 reportingInstance string ="" | Which one of them.

        @EventSource Who reports.
        1 component string | The component.
        2 host string | Its node.

        @EventSeries An event that goes on.
        1 count int32 | How often so far.
        2 lastObservedTime microtime | When last.

        @ConfigMap Settings as keys and values.
        1 metadata ObjectMeta | Name, labels and the like.
        4 immutable bool ptr | The data cannot change any more.
        2 data {}string | Values as text.
        3 binaryData {}bytes | Values as bytes, in base64.

        @Secret Values that not everyone should see.
        1 metadata ObjectMeta | Name, labels and the like.
        5 immutable bool ptr | The data cannot change any more.
        2 data {}bytes | Values as bytes, in base64.
        4 stringData {}string | Values as text; only written, and merged into data.
        3 type string =Opaque | What it is for.
        """

    static let lease = """
        %api.coordination.v1
        @Lease A claim that must be renewed, such as a node's sign of life.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec LeaseSpec ={} | Who holds it.

        @LeaseSpec Who holds a lease and for how long.
        1 holderIdentity string | The holder.
        2 leaseDurationSeconds int32 ptr | Seconds it lasts without renewal.
        3 acquireTime microtime | When it was taken.
        4 renewTime microtime | When it was last renewed.
        5 leaseTransitions int32 ptr | How often the holder changed.
        6 strategy string | How the next holder is chosen.
        7 preferredHolder string | The holder it should go to.
        """
}
