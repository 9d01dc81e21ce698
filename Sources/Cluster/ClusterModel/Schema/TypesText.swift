// The types of metadata and other parts that all kinds share. The notation is explained in ObjectType.swift.

enum TypesText {
    static let meta = """
        %apimachinery.pkg.apis.meta.v1
        @ObjectMeta What every stored object says about itself.
        1 name string | The name, unique among the objects of the kind in the namespace. It cannot be changed.
        2 generateName string | A prefix from which the server makes a unique name when no name is given.
        3 namespace string | The namespace the object lives in. Empty for objects of the whole cluster.
        4 selfLink string | Unused; kept for old clients.
        5 uid string | A value that no other object in time and space has. Set by the server.
        6 resourceVersion string | The version of the object, for detecting changes and for watches. Opaque to clients.
        7 generation int64 | Counts the changes of the desired state. Set by the server.
        8 creationTimestamp time | When the object was created. Set by the server.
        9 deletionTimestamp time | When the object will be gone. Set by the server when a deletion is asked for.
        10 deletionGracePeriodSeconds int64 ptr | Seconds the object may take to end. Set with deletionTimestamp.
        11 labels {}string | Keys and values that selectors can select by.
        12 annotations {}string | Keys and values that tools keep with the object; not for selecting.
        13 ownerReferences []OwnerReference key=uid | The objects this one depends on. It is deleted when all of them are gone.
        14 finalizers []string merge | Names of those who must finish their work before the object is removed.
        17 managedFields []ManagedFieldsEntry atomic | Which manager set which fields. Kept by the server.

        @OwnerReference Names an owner of an object, in the same namespace or of the whole cluster.
        5 apiVersion string required | The owner's API version.
        1 kind string required | The owner's kind.
        3 name string required | The owner's name.
        4 uid string required | The owner's uid.
        6 controller bool ptr | Whether the owner manages this object as its controller.
        7 blockOwnerDeletion bool ptr | Whether the owner stays until this object is gone in a foreground deletion.

        @ManagedFieldsEntry Fields set by one manager in one way.
        1 manager string | Who.
        2 operation string | Apply or Update.
        3 apiVersion string | The version whose field names are used.
        4 time time | When the set last changed.
        6 fieldsType string | The format of the set: FieldsV1.
        7 fieldsV1 any | The set.
        8 subresource string | The subresource through which it was written.

        @LabelSelector Selects objects by their labels; all requirements must hold.
        1 matchLabels {}string | Labels that must have these values.
        2 matchExpressions []LabelSelectorRequirement atomic | Further requirements.

        @LabelSelectorRequirement One requirement on a label.
        1 key string required | The label.
        2 operator string required | In, NotIn, Exists or DoesNotExist.
        3 values []string atomic | The values for In and NotIn.

        @Condition One observation of an object's state.
        1 type string required | The kind of condition.
        2 status string required enum=True,False,Unknown | Whether it holds.
        3 observedGeneration int64 | The generation that was observed.
        4 lastTransitionTime time | When the status last changed.
        5 reason string | A word for programs.
        6 message string | A sentence for people.

        @DeleteOptions How an object is deleted.
        1 gracePeriodSeconds int64 ptr | Seconds the object may take to end.
        2 preconditions Preconditions | What must hold.
        3 orphanDependents bool ptr | Old form of propagationPolicy.
        4 propagationPolicy string ptr | What happens to what the object owns: Orphan, Background or Foreground.
        5 dryRun []string atomic | All: only try.
        6 ignoreStoreReadErrorWithClusterBreakingPotential bool ptr | Unused.

        @Preconditions What must hold for a deletion.
        1 uid string ptr | The object's uid.
        2 resourceVersion string ptr | The object's version.
        """

    static let references = """
        %api.core.v1
        @ObjectReference Points at an object or a part of one.
        1 kind string | The kind of the object.
        2 namespace string | Its namespace.
        3 name string | Its name.
        4 uid string | Its uid.
        5 apiVersion string | Its API version.
        6 resourceVersion string | The version it had.
        7 fieldPath string | The part meant, such as spec.containers{node}.

        @LocalObjectReference Points at an object of the same namespace.
        1 name string | The name.
        """
}
