// The types of what extends the API (custom resources, webhooks, API services), of events.k8s.io, node.k8s.io and metrics.

extension TypesText {
    static let customResources = """
        %apiextensions-apiserver.pkg.apis.apiextensions.v1
        @CustomResourceDefinition Adds a kind of objects to the API.
        1 metadata ObjectMeta | The name is PLURAL.GROUP.
        2 spec CustomResourceDefinitionSpec required | The kind.
        3 status CustomResourceDefinitionStatus ={} | Whether it is served.

        @CustomResourceDefinitionSpec A kind that is added to the API.
        1 group string required | Its group.
        3 names CustomResourceDefinitionNames required | Its names.
        4 scope string required enum=Cluster,Namespaced | Whether its objects live in namespaces.
        7 versions []CustomResourceDefinitionVersion required atomic | Its versions.
        9 conversion CustomResourceConversion ={} | How objects of one version become those of another.
        10 preserveUnknownFields bool | Keep fields that the schema does not have. Must be false.

        @CustomResourceDefinitionNames The names of a kind.
        1 plural string required | The name in paths.
        2 singular string | The name of one.
        3 shortNames []string atomic | Short names.
        4 kind string required | The kind.
        5 listKind string | The kind of its lists.
        6 categories []string atomic | Groups such as all, with which kubectl lists it.

        @CustomResourceDefinitionVersion A version of a kind.
        1 name string required | Its name, such as v1.
        2 served bool required | It can be asked for.
        3 storage bool required | Objects are stored in it; true for exactly one.
        7 deprecated bool | Using it gives a warning.
        8 deprecationWarning string ptr | The warning.
        4 schema CustomResourceValidation | The form of its objects.
        5 subresources CustomResourceSubresources | Its subresources.
        6 additionalPrinterColumns []CustomResourceColumnDefinition atomic | Its columns in kubectl get.
        9 selectableFields []SelectableField atomic | Fields that selectors may name.

        @SelectableField A field that selectors may name.
        1 jsonPath string required | The field.

        @CustomResourceValidation The form of objects.
        1 openAPIV3Schema any | The form as an OpenAPI v3 schema.

        @CustomResourceSubresources Subresources of a kind.
        1 status any | Objects have a status of their own.
        2 scale CustomResourceSubresourceScale | Objects can be scaled.

        @CustomResourceSubresourceScale Where the numbers for scaling are.
        1 specReplicasPath string required | The wanted number, such as .spec.replicas.
        2 statusReplicasPath string required | The number there is, such as .status.replicas.
        3 labelSelectorPath string ptr | The selector as text.

        @CustomResourceColumnDefinition A column of kubectl get.
        1 name string required | Its heading.
        2 type string required | The type of its values.
        3 format string | The format of its values.
        4 description string | What it says.
        5 priority int32 | Above 0 it shows with -o wide only.
        6 jsonPath string required | Where its value is.

        @CustomResourceConversion How objects of one version become those of another.
        1 strategy string =None enum=None,Webhook | None changes the version only.
        2 webhook any | The webhook that is asked.

        @CustomResourceDefinitionStatus Whether a kind is served.
        1 conditions []CustomResourceDefinitionCondition key=type | Observations: NamesAccepted, Established.
        2 acceptedNames CustomResourceDefinitionNames | The names in force.
        3 storedVersions []string atomic | Versions in which objects may be stored.

        @CustomResourceDefinitionCondition One observation of a kind.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.
        """

    static let webhooks = """
        %api.admissionregistration.v1
        @ValidatingWebhookConfiguration Webhooks that may refuse requests.
        1 metadata ObjectMeta | Name, labels and the like.
        2 webhooks []ValidatingWebhook key=name | The webhooks.

        @ValidatingWebhook A webhook that may refuse requests.
        1 name string required | Its name, such as check.example.com.
        2 clientConfig WebhookClientConfig required | How it is asked.
        3 rules []RuleWithOperations atomic | The requests it is asked about.
        4 failurePolicy string ptr =Fail enum=Fail,Ignore | What happens when it cannot be asked.
        9 matchPolicy string ptr =Equivalent enum=Equivalent,Exact | Whether other versions of a resource count too.
        5 namespaceSelector LabelSelector ={} | Only in these namespaces.
        10 objectSelector LabelSelector ={} | Only for these objects.
        6 sideEffects string ptr enum=None,NoneOnDryRun,Some,Unknown | Whether asking it changes something.
        7 timeoutSeconds int32 ptr =10 | Seconds it has to answer.
        8 admissionReviewVersions []string required atomic | The versions it understands.
        11 matchConditions []MatchCondition key=name | Further conditions.

        @MutatingWebhookConfiguration Webhooks that may change or refuse requests.
        1 metadata ObjectMeta | Name, labels and the like.
        2 webhooks []MutatingWebhook key=name | The webhooks.

        @MutatingWebhook A webhook that may change or refuse requests.
        1 name string required | Its name, such as fill.example.com.
        2 clientConfig WebhookClientConfig required | How it is asked.
        3 rules []RuleWithOperations atomic | The requests it is asked about.
        4 failurePolicy string ptr =Fail enum=Fail,Ignore | What happens when it cannot be asked.
        9 matchPolicy string ptr =Equivalent enum=Equivalent,Exact | Whether other versions of a resource count too.
        5 namespaceSelector LabelSelector ={} | Only in these namespaces.
        11 objectSelector LabelSelector ={} | Only for these objects.
        6 sideEffects string ptr enum=None,NoneOnDryRun,Some,Unknown | Whether asking it changes something.
        7 timeoutSeconds int32 ptr =10 | Seconds it has to answer.
        8 admissionReviewVersions []string required atomic | The versions it understands.
        10 reinvocationPolicy string ptr =Never enum=IfNeeded,Never | Whether it is asked again after others.
        12 matchConditions []MatchCondition key=name | Further conditions.

        @MatchCondition A condition.
        1 name string required | Its name.
        2 expression string required | The condition in CEL.

        @RuleWithOperations Requests that a webhook is asked about.
        1 operations []string atomic | CREATE, UPDATE, DELETE, CONNECT or *.
        2.1 apiGroups []string atomic | The groups.
        2.2 apiVersions []string atomic | The versions.
        2.3 resources []string atomic | The resources.
        2.4 scope string ptr =* enum=*,Cluster,Namespaced | Whether objects of namespaces or of the cluster.

        @WebhookClientConfig How a webhook is asked.
        3 url string ptr | Its URL.
        1 service admissionregistration.v1.ServiceReference | Its service.
        2 caBundle bytes | The certificates it must be signed by, as PEM in base64.

        @admissionregistration.v1.ServiceReference A service of the cluster.
        1 namespace string required | Its namespace.
        2 name string required | Its name.
        3 path string ptr | The path of requests.
        4 port int32 ptr =443 | Its port.
        """

    static let apiServices = """
        %kube-aggregator.pkg.apis.apiregistration.v1
        @APIService A group and version of the API, and who serves it.
        1 metadata ObjectMeta | The name is VERSION.GROUP.
        2 spec APIServiceSpec | Who serves it.
        3 status APIServiceStatus ={} | Whether it can be asked.

        @APIServiceSpec Who serves a group and version.
        1 service apiregistration.v1.ServiceReference | The service; this server where missing.
        2 group string | The group.
        3 version string | The version.
        4 insecureSkipTLSVerify bool | Its certificate is not checked.
        5 caBundle bytes atomic | The certificates it must be signed by, as PEM in base64.
        7 groupPriorityMinimum int32 required | Where the group stands among groups.
        8 versionPriority int32 required | Where the version stands in its group.

        @apiregistration.v1.ServiceReference A service of the cluster.
        1 namespace string | Its namespace.
        2 name string | Its name.
        3 port int32 ptr =443 | Its port.

        @APIServiceStatus Whether an API service can be asked.
        1 conditions []APIServiceCondition key=type | Observations: Available.

        @APIServiceCondition One observation of an API service.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastTransitionTime time | When the status last changed.
        4 reason string | A word for programs.
        5 message string | A sentence for people.
        """

    static let others = """
        %api.core.v1
        @LimitRange Limits for each pod, container or claim of a namespace, and defaults for those that name none.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec LimitRangeSpec | The limits.

        @LimitRangeSpec Limits of a namespace's objects.
        1 limits []LimitRangeItem required atomic | The limits, by kind.

        @LimitRangeItem Limits for one kind of thing.
        1 type string required | Pod, Container or PersistentVolumeClaim.
        2 max {}quantity | The most.
        3 min {}quantity | The least.
        4 default {}quantity | The limit of those that name none.
        5 defaultRequest {}quantity | The request of those that name none.
        6 maxLimitRequestRatio {}quantity | How many times the request a limit may be.

        @ComponentStatus Whether a part of the control plane is well.
        1 metadata ObjectMeta | The part's name.
        2 conditions []ComponentCondition key=type | Observations: Healthy.

        @ComponentCondition One observation of a part.
        1 type string required | Healthy.
        2 status string required | True, False or Unknown.
        3 message string | A sentence for people.
        4 error string | What is wrong.
        """

    static let events = """
        %api.events.v1
        @events.v1.Event A report of something that happened to an object.
        1 metadata ObjectMeta | Name, labels and the like.
        2 eventTime microtime keep | When it was seen first.
        3 series EventSeries | How it goes on.
        4 reportingController string | Who reports.
        5 reportingInstance string | Which one of them.
        6 action string | What was done or failed.
        7 reason string | A word for programs.
        8 regarding ObjectReference ={} | What it is about.
        9 related ObjectReference | A second object it is about.
        10 note string | A sentence for people.
        11 type string | Normal or Warning.
        12 deprecatedSource EventSource ={} | Who reports, in the old form.
        13 deprecatedFirstTimestamp time | When it happened first, in the old form.
        14 deprecatedLastTimestamp time | When it happened last, in the old form.
        15 deprecatedCount int32 | How often it happened, in the old form.
        """

    static let runtimes = """
        %api.node.v1
        @RuntimeClass A kind of runtime that pods can ask for.
        1 metadata ObjectMeta | Name, labels and the like.
        2 handler string required | The runtime's name on the nodes. It cannot change.
        3 overhead Overhead | What running a pod with it costs.
        4 scheduling Scheduling | The nodes that have it.

        @Overhead What running a pod costs.
        1 podFixed {}quantity | The resources.

        @Scheduling Nodes that have a runtime.
        1 nodeSelector {}string atomic | Their labels.
        2 tolerations []Toleration atomic | Taints that its pods tolerate.
        """

    static let metrics = """
        %metrics.pkg.apis.metrics.v1beta1
        @NodeMetrics What a node uses.
        1 metadata ObjectMeta | The node's name and labels.
        2 timestamp time | When it was measured.
        3 window string | Over which time.
        4 usage {}quantity | What it uses.

        @PodMetrics What a pod uses.
        1 metadata ObjectMeta | The pod's name and labels.
        2 timestamp time | When it was measured.
        3 window string | Over which time.
        4 containers []ContainerMetrics atomic | Its containers.

        @ContainerMetrics What a container uses.
        1 name string required | The container.
        2 usage {}quantity required | What it uses.
        """
}
