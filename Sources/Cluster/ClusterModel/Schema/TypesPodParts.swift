// The types of a Pod's containers and volumes.

extension TypesText {
    private static let containerFields = """
        1 name string required | The container's name in the pod.
        2 image string | The image to run.
        3 command []string atomic | The program and its first arguments; the image's entrypoint where empty.
        4 args []string atomic | Further arguments; the image's where empty.
        5 workingDir string | The working directory.
        6 ports []ContainerPort key=containerPort keys=containerPort,protocol | Ports that the container serves.
        19 envFrom []EnvFromSource atomic | Objects whose keys become environment variables.
        7 env []EnvVar key=name | Environment variables.
        8 resources ResourceRequirements ={} | What the container needs and may use.
        23 resizePolicy []ContainerResizePolicy atomic | What a change of resources does.
        24 restartPolicy string enum=Always | Always makes an init container a sidecar.
        9 volumeMounts []VolumeMount key=mountPath | Volumes that are mounted.
        21 volumeDevices []VolumeDevice key=devicePath | Volumes that appear as devices.
        10 livenessProbe Probe | Restarts the container when it fails.
        11 readinessProbe Probe | Takes the container out of service when it fails.
        22 startupProbe Probe | Holds the other probes back until it succeeds.
        12 lifecycle Lifecycle | What runs after the start and before the stop.
        13 terminationMessagePath string =/dev/termination-log | The file whose text becomes the last message.
        20 terminationMessagePolicy string =File enum=FallbackToLogsOnError,File | Where the last message comes from.
        14 imagePullPolicy string enum=Always,IfNotPresent,Never | When the image is pulled.
        15 securityContext SecurityContext | Security settings of the container.
        16 stdin bool | Keep standard input open.
        17 stdinOnce bool | Close standard input after the first client.
        18 tty bool | Give the container a terminal.

        """

    /// The same fields as protobuf embeds them in another message.
    private static let embeddedContainerFields = containerFields.split(separator: "\n").map { "1." + $0 + "\n" }.joined()

    static let podParts =
        "%api.core.v1\n@Container A program to run in a pod.\n" + containerFields
        + "\n@EphemeralContainer A program added to a running pod for debugging.\n" + embeddedContainerFields
        + "2 targetContainerName string | The container whose processes it sees.\n"
            + """

            @ContainerPort A port that a container serves.
            1 name string | Its name, unique in the pod.
            2 hostPort int32 | A port of the node that leads to it.
            3 containerPort int32 required | The port.
            4 protocol string =TCP enum=TCP,UDP,SCTP | The protocol.
            5 hostIP string | The node's address for hostPort.

            @EnvVar An environment variable.
            1 name string required | The name.
            2 value string | The value; $(NAME) is replaced.
            3 valueFrom EnvVarSource | Where the value comes from instead.

            @EnvVarSource Where a value comes from.
            1 fieldRef ObjectFieldSelector | A field of the pod.
            2 resourceFieldRef ResourceFieldSelector | A resource of a container.
            3 configMapKeyRef KeySelector | A key of a ConfigMap.
            4 secretKeyRef KeySelector | A key of a Secret.

            @EnvFromSource An object whose keys become variables.
            1 prefix string | Put before each name.
            2 configMapRef OptionalReference | The ConfigMap.
            3 secretRef OptionalReference | The Secret.

            @OptionalReference An object of the namespace that may be missing.
            1.1 name string | The name.
            2 optional bool ptr | Whether it may be missing.

            @KeySelector A key of an object of the namespace.
            1.1 name string | The object.
            2 key string required | The key.
            3 optional bool ptr | Whether it may be missing.

            @ObjectFieldSelector A field of the pod.
            1 apiVersion string =v1 | The version of the field names.
            2 fieldPath string required | The field.

            @ResourceFieldSelector A resource of a container.
            1 containerName string | The container.
            2 resource string required | Such as limits.cpu.
            3 divisor quantity | The unit.

            @ResourceRequirements What is needed and allowed.
            1 limits {}quantity | The most that may be used.
            2 requests {}quantity | What is set aside; the limits where empty.
            3 claims []ResourceClaim key=name | Devices that are used.

            @ResourceClaim A claim of the pod that the container uses.
            1 name string required | The claim.
            2 request string | The part of the claim.

            @ContainerResizePolicy What a change of a resource does.
            1 resourceName string required | cpu or memory.
            2 restartPolicy string required | NotRequired or RestartContainer.

            @VolumeMount A volume in a container's file tree.
            1 name string required | The volume.
            2 readOnly bool | Mount it read-only.
            7 recursiveReadOnly string | Whether mounts below are read-only too.
            3 mountPath string required | Where.
            4 subPath string | The part of the volume.
            5 mountPropagation string | Whether later mounts are seen on the other side.
            6 subPathExpr string | The part of the volume, with variables.

            @VolumeDevice A volume as a device.
            1 name string required | The volume.
            2 devicePath string required | Where.

            @Probe How a container's health is asked.
            1.1 exec ExecAction | Run a command.
            1.2 httpGet HTTPGetAction | Ask over HTTP.
            1.3 tcpSocket TCPSocketAction | Open a connection.
            1.4 grpc GRPCAction | Ask over gRPC.
            2 initialDelaySeconds int32 min=0 | Seconds before the first time.
            3 timeoutSeconds int32 =1 min=0 | Seconds to wait for an answer.
            4 periodSeconds int32 =10 min=0 | Seconds between two times.
            5 successThreshold int32 =1 min=0 | Successes in a row that count.
            6 failureThreshold int32 =3 min=0 | Failures in a row that count.
            7 terminationGracePeriodSeconds int64 ptr | Overrides the pod's for a failed probe.

            @ExecAction A command.
            1 command []string atomic | Program and arguments; no shell.

            @HTTPGetAction An HTTP request.
            1 path string =/ | The path.
            2 port intstr required | The port, by number or name.
            3 host string | The host; the pod's address where empty.
            4 scheme string =HTTP enum=HTTP,HTTPS | The scheme.
            5 httpHeaders []HTTPHeader atomic | Further headers.

            @HTTPHeader A header.
            1 name string required | The name.
            2 value string | The value.

            @TCPSocketAction A connection.
            1 port intstr required | The port, by number or name.
            2 host string | The host; the pod's address where empty.

            @GRPCAction A gRPC health check.
            1 port int32 required | The port.
            2 service string | The service asked for.

            @Lifecycle Hooks of a container.
            1 postStart LifecycleHandler | Runs right after the start.
            2 preStop LifecycleHandler | Runs before the stop.
            3 stopSignal string | The signal that stops it.

            @LifecycleHandler What a hook does.
            1 exec ExecAction | Run a command.
            2 httpGet HTTPGetAction | Send an HTTP request.
            3 tcpSocket TCPSocketAction | Open a connection.
            4 sleep SleepAction | Wait.

            @SleepAction A pause.
            1 seconds int64 required | How long.

            @SecurityContext Security settings of a container.
            1 capabilities Capabilities | Capabilities added and dropped.
            2 privileged bool ptr | Run without protection.
            3 seLinuxOptions SELinuxOptions | SELinux label.
            10 windowsOptions any | Settings for Windows; unused here.
            4 runAsUser int64 ptr | User id.
            8 runAsGroup int64 ptr | Group id.
            5 runAsNonRoot bool ptr | Refuse to run as user 0.
            6 readOnlyRootFilesystem bool ptr | Mount the root read-only.
            7 allowPrivilegeEscalation bool ptr | Whether a process may gain rights.
            9 procMount string enum=Default,Unmasked | Whether parts of /proc are hidden.
            11 seccompProfile SeccompProfile | System calls that are allowed.
            12 appArmorProfile AppArmorProfile | AppArmor profile.

            @Capabilities Capabilities that differ from the usual set.
            1 add []string atomic | Added.
            2 drop []string atomic | Dropped.

            @Volume Storage of a pod, from one source.
            1 name string required | The name in this pod.
            2.1 hostPath HostPathVolumeSource | A path of the node.
            2.2 emptyDir EmptyDirVolumeSource | An empty directory that lives as long as the pod.
            2.6 secret SecretVolumeSource | The keys of a Secret as files.
            2.10 persistentVolumeClaim PersistentVolumeClaimVolumeSource | A claim of the namespace.
            2.16 downwardAPI DownwardAPIVolumeSource | Fields of the pod as files.
            2.19 configMap ConfigMapVolumeSource | The keys of a ConfigMap as files.
            2.26 projected ProjectedVolumeSource | Several sources in one directory.
            2.7 nfs NFSVolumeSource | An NFS export.
            2.28 csi CSIVolumeSource | A CSI driver's volume.
            2.29 ephemeral EphemeralVolumeSource | A claim that lives as long as the pod.
            2.30 image ImageVolumeSource | The files of an image.

            @HostPathVolumeSource A path of the node.
            1 path string required | The path.
            2 type string ptr ="" | What it must be: Directory, File, DirectoryOrCreate, ….

            @EmptyDirVolumeSource An empty directory.
            1 medium string | Memory keeps it in memory.
            2 sizeLimit quantity | The most it may hold.

            @SecretVolumeSource Keys of a Secret.
            1 secretName string | The Secret.
            2 items []KeyToPath atomic | The keys; all where empty.
            3 defaultMode int32 ptr =420 | The mode of the files.
            4 optional bool ptr | Whether it may be missing.

            @ConfigMapVolumeSource Keys of a ConfigMap.
            1.1 name string | The ConfigMap.
            2 items []KeyToPath atomic | The keys; all where empty.
            3 defaultMode int32 ptr =420 | The mode of the files.
            4 optional bool ptr | Whether it may be missing.

            @KeyToPath A key as a file.
            1 key string required | The key.
            2 path string required | The file.
            3 mode int32 ptr | Its mode.

            @PersistentVolumeClaimVolumeSource A claim.
            1 claimName string required | The claim.
            2 readOnly bool | Mount it read-only.

            @DownwardAPIVolumeSource Fields of the pod as files.
            1 items []DownwardAPIVolumeFile atomic | The files.
            2 defaultMode int32 ptr =420 | The mode of the files.

            @DownwardAPIVolumeFile A field as a file.
            1 path string required | The file.
            2 fieldRef ObjectFieldSelector | The field.
            3 resourceFieldRef ResourceFieldSelector | The resource.
            4 mode int32 ptr | Its mode.

            @ProjectedVolumeSource Several sources.
            1 sources []VolumeProjection atomic | The sources.
            2 defaultMode int32 ptr =420 | The mode of the files.

            @VolumeProjection One source.
            1 secret SecretProjection | A Secret.
            2 downwardAPI DownwardAPIProjection | Fields of the pod.
            3 configMap SecretProjection | A ConfigMap.
            4 serviceAccountToken ServiceAccountTokenProjection | A token.
            5 clusterTrustBundle any | Certificates to trust.

            @SecretProjection Keys of an object.
            1.1 name string | The object.
            2 items []KeyToPath atomic | The keys; all where empty.
            4 optional bool ptr | Whether it may be missing.

            @DownwardAPIProjection Fields of the pod.
            1 items []DownwardAPIVolumeFile atomic | The files.

            @ServiceAccountTokenProjection A token of the pod's service account.
            1 audience string | Whom the token is for.
            2 expirationSeconds int64 ptr =3600 | How long it is valid.
            3 path string required | The file.

            @NFSVolumeSource An NFS export.
            1 server string required | The server.
            2 path string required | The path.
            3 readOnly bool | Mount it read-only.

            @CSIVolumeSource A CSI driver's volume.
            1 driver string required | The driver.
            2 readOnly bool ptr | Mount it read-only.
            3 fsType string | The file system.
            4 volumeAttributes {}string | Settings for the driver.
            5 nodePublishSecretRef LocalObjectReference | A Secret for the driver.

            @ImageVolumeSource The files of an image.
            1 reference string | The image.
            2 pullPolicy string enum=Always,IfNotPresent,Never | When it is pulled.

            """
}
