// The types of HorizontalPodAutoscaler, Scale, PodDisruptionBudget and PriorityClass.

extension TypesText {
    static let autoscaling = """
        %api.autoscaling.v2
        @HorizontalPodAutoscaler Scales something by how busy its pods are.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec HorizontalPodAutoscalerSpec | What is scaled, by which measures.
        3 status HorizontalPodAutoscalerStatus ={} | What was last seen.

        @HorizontalPodAutoscalerSpec What is scaled, and by which measures.
        1 scaleTargetRef autoscaling.v2.CrossVersionObjectReference required | What is scaled, such as a Deployment.
        2 minReplicas int32 ptr =1 | The least number of pods.
        3 maxReplicas int32 required | The greatest number of pods.
        4 metrics []MetricSpec atomic | The measures; that which wants most pods decides. 80% of the requested cpu where empty.
        5 behavior HorizontalPodAutoscalerBehavior | How fast it scales.

        @autoscaling.v2.CrossVersionObjectReference Names an object of the namespace.
        1 kind string required | Its kind.
        2 name string required | Its name.
        3 apiVersion string | Its API version.

        @MetricSpec One measure.
        1 type string required enum=ContainerResource,External,Object,Pods,Resource | The kind of measure.
        2 object ObjectMetricSource | A measure of one object.
        3 pods PodsMetricSource | A measure of each pod.
        4 resource ResourceMetricSource | The use of a resource by the pods.
        7 containerResource ContainerResourceMetricSource | The use of a resource by one container of the pods.
        5 external ExternalMetricSource | A measure from outside.

        @ResourceMetricSource The use of a resource by the pods.
        1 name string required | The resource, such as cpu.
        2 target MetricTarget required | The wanted value.

        @ContainerResourceMetricSource The use of a resource by one container.
        1 name string required | The resource, such as cpu.
        2 target MetricTarget required | The wanted value.
        3 container string required | The container.

        @PodsMetricSource A measure of each pod.
        1 metric MetricIdentifier required | The measure.
        2 target MetricTarget required | The wanted value.

        @ObjectMetricSource A measure of one object.
        1 describedObject autoscaling.v2.CrossVersionObjectReference required | The object.
        2 target MetricTarget required | The wanted value.
        3 metric MetricIdentifier required | The measure.

        @ExternalMetricSource A measure from outside.
        1 metric MetricIdentifier required | The measure.
        2 target MetricTarget required | The wanted value.

        @MetricIdentifier Names a measure.
        1 name string required | Its name.
        2 selector LabelSelector | Labels that narrow it down.

        @MetricTarget The wanted value of a measure.
        1 type string required enum=AverageValue,Utilization,Value | How the value is meant.
        2 value quantity | The value of all together.
        3 averageValue quantity | The value of each pod.
        4 averageUtilization int32 ptr | Percent of what the pods request.

        @HorizontalPodAutoscalerBehavior How fast an autoscaler scales.
        1 scaleUp HPAScalingRules | Upwards.
        2 scaleDown HPAScalingRules | Downwards.

        @HPAScalingRules How fast an autoscaler scales in one direction.
        3 stabilizationWindowSeconds int32 ptr min=0 | Seconds it looks back, so that it does not swing.
        1 selectPolicy string ptr enum=Disabled,Max,Min | Which of the policies decides.
        2 policies []HPAScalingPolicy atomic | The policies.
        4 tolerance quantity | Differences smaller than this change nothing.

        @HPAScalingPolicy The most that may change in some time.
        1 type string required enum=Percent,Pods | What the value counts.
        2 value int32 required min=1 | How much.
        3 periodSeconds int32 required min=1 | In how many seconds.

        @HorizontalPodAutoscalerStatus What an autoscaler last saw and did.
        1 observedGeneration int64 ptr | The generation that this status is about.
        2 lastScaleTime time | When it last scaled.
        3 currentReplicas int32 | The number of pods it saw.
        4 desiredReplicas int32 required =0 | The number of pods it wants.
        5 currentMetrics []MetricStatus keep atomic | The measures it saw.
        6 conditions []HorizontalPodAutoscalerCondition key=type | Observations of its state.

        @HorizontalPodAutoscalerCondition One observation of an autoscaler.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.

        @MetricStatus A measure that was seen.
        1 type string required | The kind of measure.
        2 object ObjectMetricStatus | A measure of one object.
        3 pods PodsMetricStatus | A measure of each pod.
        4 resource ResourceMetricStatus | The use of a resource by the pods.
        7 containerResource ContainerResourceMetricStatus | The use of a resource by one container of the pods.
        5 external ExternalMetricStatus | A measure from outside.

        @ResourceMetricStatus The use of a resource that was seen.
        1 name string required | The resource.
        2 current MetricValueStatus required | The value.

        @ContainerResourceMetricStatus The use of a resource by one container that was seen.
        1 name string required | The resource.
        2 current MetricValueStatus required | The value.
        3 container string required | The container.

        @PodsMetricStatus A measure of pods that was seen.
        1 metric MetricIdentifier required | The measure.
        2 current MetricValueStatus required | The value.

        @ObjectMetricStatus A measure of an object that was seen.
        1 metric MetricIdentifier required | The measure.
        2 current MetricValueStatus required | The value.
        3 describedObject autoscaling.v2.CrossVersionObjectReference required | The object.

        @ExternalMetricStatus A measure from outside that was seen.
        1 metric MetricIdentifier required | The measure.
        2 current MetricValueStatus required | The value.

        @MetricValueStatus A value that was seen.
        1 value quantity | Of all together.
        2 averageValue quantity | Of each pod.
        3 averageUtilization int32 ptr | Percent of what the pods request.
        """

    /// The first form of the autoscaler, which knows nothing but cpu, and Scale.
    static let autoscaling1 = """
        %api.autoscaling.v1
        @autoscaling.v1.HorizontalPodAutoscaler Scales something by how much cpu its pods use.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec autoscaling.v1.HorizontalPodAutoscalerSpec | What is scaled.
        3 status autoscaling.v1.HorizontalPodAutoscalerStatus ={} | What was last seen.

        @autoscaling.v1.HorizontalPodAutoscalerSpec What is scaled, and by how much cpu.
        1 scaleTargetRef autoscaling.v2.CrossVersionObjectReference required | What is scaled, such as a Deployment.
        2 minReplicas int32 ptr =1 | The least number of pods.
        3 maxReplicas int32 required | The greatest number of pods.
        4 targetCPUUtilizationPercentage int32 ptr | The wanted use of cpu, in percent of what the pods request.

        @autoscaling.v1.HorizontalPodAutoscalerStatus What an autoscaler last saw and did.
        1 observedGeneration int64 ptr | The generation that this status is about.
        2 lastScaleTime time | When it last scaled.
        3 currentReplicas int32 required =0 | The number of pods it saw.
        4 desiredReplicas int32 required =0 | The number of pods it wants.
        5 currentCPUUtilizationPercentage int32 ptr | The use of cpu it saw.

        @Scale How many pods something has; the part of it that scaling changes.
        1 metadata ObjectMeta | The name of what is scaled.
        2 spec ScaleSpec ={} | How many it should have.
        3 status ScaleStatus ={} | How many it has.

        @ScaleSpec How many pods something should have.
        1 replicas int32 min=0 | The number.

        @ScaleStatus How many pods something has.
        1 replicas int32 required =0 | The number.
        2 selector string | Its pods, as a selector in text.
        """

    static let disruption = """
        %api.policy.v1
        @PodDisruptionBudget Says how many pods of a set must stay when pods are evicted.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec PodDisruptionBudgetSpec | Which pods, and how many.
        3 status PodDisruptionBudgetStatus ={} | What was last seen.

        @PodDisruptionBudgetSpec Which pods are kept, and how many.
        1 minAvailable intstr | The least number or percentage of pods that stays.
        2 selector LabelSelector | The pods.
        3 maxUnavailable intstr | The greatest number or percentage of pods that may be missing.
        4 unhealthyPodEvictionPolicy string ptr enum=AlwaysAllow,IfHealthyBudget | When pods that are not healthy may be evicted.

        @PodDisruptionBudgetStatus What a budget allows now.
        1 observedGeneration int64 | The generation that this status is about.
        2 disruptedPods {}time | Pods that are being evicted and not gone yet.
        3 disruptionsAllowed int32 required =0 | How many pods may be evicted now.
        4 currentHealthy int32 required =0 | Healthy pods.
        5 desiredHealthy int32 required =0 | The least number of healthy pods.
        6 expectedPods int32 required =0 | Pods it counts.
        7 conditions []Condition key=type | Observations of its state.
        """

    static let priority = """
        %api.scheduling.v1
        @PriorityClass A name for a priority that pods can have.
        1 metadata ObjectMeta | Name, labels and the like.
        2 value int32 required | The priority; higher pods go first. It cannot change.
        3 globalDefault bool | Pods without a class get this one.
        4 description string | What it is for.
        5 preemptionPolicy string ptr =PreemptLowerPriority enum=Never,PreemptLowerPriority | Whether its pods may push out others.
        """
}
