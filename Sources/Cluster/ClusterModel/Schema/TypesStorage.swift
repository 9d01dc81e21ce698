// The types of storage: PersistentVolume and its claim, and the group storage.k8s.io.

extension TypesText {
    static let volume = """
        %api.core.v1
        @TypedLocalObjectReference Points at an object of the same namespace, of any kind.
        1 apiGroup string ptr | Its group; the core group where empty.
        2 kind string required | Its kind.
        3 name string required | Its name.

        @TypedObjectReference Points at an object of any kind.
        1 apiGroup string ptr | Its group; the core group where empty.
        2 kind string required | Its kind.
        3 name string required | Its name.
        4 namespace string ptr | Its namespace; the same where empty.

        @SecretReference Points at a Secret.
        1 name string | Its name.
        2 namespace string | Its namespace.

        @PersistentVolume A piece of storage of the cluster, which a claim can take.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec PersistentVolumeSpec | What and where it is.
        3 status PersistentVolumeStatus ={} | Whether it is taken.

        @PersistentVolumeSpec What and where a volume is.
        1 capacity {}quantity | Its size.
        2.1 gcePersistentDisk any | A disk of a cloud; unused here.
        2.2 awsElasticBlockStore any | A disk of a cloud; unused here.
        2.3 hostPath HostPathVolumeSource | A path of the node.
        2.5 nfs NFSVolumeSource | An NFS export.
        2.7 iscsi any | An iSCSI disk; unused here.
        2.10 fc any | A Fibre Channel disk; unused here.
        2.12 flexVolume any | A volume of an old plugin; unused here.
        2.20 local LocalVolumeSource | A directory or disk of one node.
        2.22 csi CSIPersistentVolumeSource | A CSI driver's volume.
        3 accessModes []string atomic | How it may be mounted: ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod.
        4 claimRef ObjectReference | The claim that has it.
        5 persistentVolumeReclaimPolicy string =Retain enum=Delete,Recycle,Retain | What happens when the claim is gone.
        6 storageClassName string | Its class; only claims of the same class get it.
        7 mountOptions []string atomic | Options for mounting it.
        8 volumeMode string ptr =Filesystem enum=Block,Filesystem | Whether it is a file system or a plain device.
        9 nodeAffinity VolumeNodeAffinity | The nodes from which it can be reached.
        10 volumeAttributesClassName string ptr | Its class of attributes.

        @LocalVolumeSource A directory or disk of one node.
        1 path string required | The path.
        2 fsType string ptr | The file system.

        @CSIPersistentVolumeSource A CSI driver's volume.
        1 driver string required | The driver.
        2 volumeHandle string required | The driver's name for it.
        3 readOnly bool | Mount it read-only.
        4 fsType string | The file system.
        5 volumeAttributes {}string | Settings for the driver.
        6 controllerPublishSecretRef SecretReference | A Secret for attaching.
        7 nodeStageSecretRef SecretReference | A Secret for preparing it on the node.
        8 nodePublishSecretRef SecretReference | A Secret for mounting.
        9 controllerExpandSecretRef SecretReference | A Secret for making it larger.
        10 nodeExpandSecretRef SecretReference | A Secret for making it larger on the node.

        @VolumeNodeAffinity The nodes from which a volume can be reached.
        1 required NodeSelector | What the node must have.

        @PersistentVolumeStatus Whether a volume is taken.
        1 phase string | Pending, Available, Bound, Released or Failed.
        2 message string | A sentence about why it is in this state.
        3 reason string | A word about why it is in this state.
        4 lastPhaseTransitionTime time | When the phase last changed.

        @PersistentVolumeClaim A wish for storage, met by a PersistentVolume.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec PersistentVolumeClaimSpec ={} | What is wished for.
        3 status PersistentVolumeClaimStatus ={} | Whether it is met.

        @PersistentVolumeClaimSpec What storage is wished for.
        1 accessModes []string atomic | How it will be mounted.
        4 selector LabelSelector | Only volumes with these labels.
        2 resources VolumeResourceRequirements ={} | The least size.
        3 volumeName string | The volume it has, or must have.
        5 storageClassName string ptr | The class; the default one where missing, none where empty.
        6 volumeMode string ptr =Filesystem enum=Block,Filesystem | Whether it is a file system or a plain device.
        7 dataSource TypedLocalObjectReference | What fills it at first.
        8 dataSourceRef TypedObjectReference | What fills it at first, of any kind.
        9 volumeAttributesClassName string ptr | The class of attributes.

        @VolumeResourceRequirements The size of a volume.
        1 limits {}quantity | The most.
        2 requests {}quantity | The least.

        @PersistentVolumeClaimStatus Whether a claim is met.
        1 phase string =Pending | Pending, Bound or Lost.
        2 accessModes []string atomic | How the volume may be mounted.
        3 capacity {}quantity | The volume's size.
        4 conditions []PersistentVolumeClaimCondition key=type | Observations of its state.
        5 allocatedResources {}quantity | Sizes set aside for it.
        7 allocatedResourceStatuses {}string atomic | The state of a change of size.
        8 currentVolumeAttributesClassName string ptr | The class of attributes in force.
        9 modifyVolumeStatus ModifyVolumeStatus | The state of a change of attributes.

        @ModifyVolumeStatus The state of a change of attributes.
        1 targetVolumeAttributesClassName string | The class it should have.
        2 status string required | Pending, InProgress or Infeasible.

        @PersistentVolumeClaimCondition One observation of a claim.
        1 type string required | The kind of condition.
        2 status string required | True, False or Unknown.
        3 lastProbeTime time | When it was last looked at.
        4 lastTransitionTime time | When the status last changed.
        5 reason string | A word for programs.
        6 message string | A sentence for people.

        @PersistentVolumeClaimTemplate A claim that is made for a pod.
        1 metadata ObjectMeta | Labels and annotations of the claim.
        2 spec PersistentVolumeClaimSpec required | What is wished for.

        @EphemeralVolumeSource A claim that lives as long as the pod.
        1 volumeClaimTemplate PersistentVolumeClaimTemplate | The claim.

        @TopologySelectorTerm Labels that a node must have.
        1 matchLabelExpressions []TopologySelectorLabelRequirement atomic | The labels.

        @TopologySelectorLabelRequirement A label and its values.
        1 key string required | The label.
        2 values []string required atomic | The values, of which it must have one.
        """

    static let storage = """
        %api.storage.v1
        @StorageClass A kind of storage and the provisioner that makes it.
        1 metadata ObjectMeta | Name, labels and the like.
        2 provisioner string required | Who makes its volumes. It cannot change.
        3 parameters {}string | Settings for the provisioner. They cannot change.
        4 reclaimPolicy string ptr =Delete enum=Delete,Recycle,Retain | What happens to volumes whose claim is gone.
        5 mountOptions []string atomic | Options for mounting its volumes.
        6 allowVolumeExpansion bool ptr | Whether claims may grow.
        7 volumeBindingMode string ptr =Immediate enum=Immediate,WaitForFirstConsumer | When claims get their volume.
        8 allowedTopologies []TopologySelectorTerm atomic | The nodes for which volumes are made.

        @VolumeAttachment Says that a volume should be attached to a node.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec VolumeAttachmentSpec required | Which volume, and where.
        3 status VolumeAttachmentStatus ={} | Whether it is.

        @VolumeAttachmentSpec Which volume is attached where.
        1 attacher string required | The driver that does it.
        2 source VolumeAttachmentSource required | The volume.
        3 nodeName string required | The node.

        @VolumeAttachmentSource A volume to attach.
        1 persistentVolumeName string ptr | A PersistentVolume.
        2 inlineVolumeSpec PersistentVolumeSpec | A volume of its own.

        @VolumeAttachmentStatus Whether a volume is attached.
        1 attached bool required =false | It is.
        2 attachmentMetadata {}string | What mounting needs to know.
        3 attachError VolumeError | Why it could not be attached.
        4 detachError VolumeError | Why it could not be detached.

        @VolumeError Something that went wrong with a volume.
        1 time time | When.
        2 message string | What.

        @CSIDriver A storage driver that the cluster has.
        1 metadata ObjectMeta | The driver's name.
        2 spec CSIDriverSpec required | What it can do.

        @CSIDriverSpec What a driver can do.
        1 attachRequired bool ptr =true | Volumes must be attached before they are mounted.
        2 podInfoOnMount bool ptr =false | It wants to know the pod.
        3 volumeLifecycleModes []string merge | Persistent, Ephemeral or both.
        4 storageCapacity bool ptr =false | It says how much room it has.
        5 fsGroupPolicy string ptr =ReadWriteOnceWithFSType enum=File,None,ReadWriteOnceWithFSType | Whether fsGroup is applied.
        6 tokenRequests []storage.v1.TokenRequest atomic | Tokens it wants.
        7 requiresRepublish bool ptr =false | Mounts are renewed from time to time.
        8 seLinuxMount bool ptr =false | It knows SELinux labels.

        @storage.v1.TokenRequest A token that a driver wants.
        1 audience string required ="" | Whom the token is for.
        2 expirationSeconds int64 ptr | How long it is valid.

        @CSINode The storage drivers of one node.
        1 metadata ObjectMeta | The node's name.
        2 spec CSINodeSpec required | The drivers.

        @CSINodeSpec The drivers of a node.
        1 drivers []CSINodeDriver key=name keep | The drivers.

        @CSINodeDriver A driver on a node.
        1 name string required | The driver.
        2 nodeID string required | Its name for the node.
        3 topologyKeys []string keep atomic | Labels that say where the node is.
        4 allocatable VolumeNodeResources | What it has room for.

        @VolumeNodeResources Room for volumes on a node.
        1 count int32 ptr | How many.

        @CSIStorageCapacity How much room a driver has for a class in one place.
        1 metadata ObjectMeta | Name, labels and the like.
        2 nodeTopology LabelSelector | The nodes it is about.
        3 storageClassName string required | The class.
        4 capacity quantity | The room.
        5 maximumVolumeSize quantity | The largest single volume.
        """
}
