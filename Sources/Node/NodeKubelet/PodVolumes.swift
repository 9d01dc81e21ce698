// A pod's volumes on this node: made before its containers, kept up to date while it runs, gone with it.
//
// Layout as upstream: ROOT/pods/UID/volumes/kubernetes.io~KIND/NAME, and volume-subpaths/VOLUME/CONTAINER/INDEX for
// parts of volumes, which are bind mounts resolved inside the volume, so that no link in it leads out.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods
internal import Synchronization

final class PodVolumes: Sendable {
    /// A token is renewed when this share of its life is over, or after a day.
    static let tokenShare = 0.8

    struct Place: Sendable {
        var path: String
        var readOnly = false
    }
    private struct Token: Sendable {
        var text: String
        var renewAt: Double
    }

    private let root: String
    private let folder: String
    private let uid: String
    private let world: KubeletWorld
    private let places = Mutex<[String: Place]>([:])
    private let tokens = Mutex<[TokenWish: Token]>([:])
    private let kernel = LinuxKernel()

    init(world: KubeletWorld, uid: String) {
        self.world = world
        self.uid = uid
        root = world.settings.rootFolder
        folder = root + "/pods/" + uid
    }

    /// Makes all volumes, or brings those that the kubelet writes up to date.
    func prepare(_ pod: JSON, _ environment: PodEnvironment) async throws(PodRuntimeProblem) {
        do throws(KernelProblem) { try kernel.makeDirectories(folder + "/volumes", mode: 0o750) } catch {
            throw Self.problem("", error.description)
        }
        var watched: Set<ObjectKey> = []
        for volume in pod["spec"]?["volumes"]?.array ?? [] where VolumePayload.isWritten(volume) {
            let names = VolumePayload.references(volume)
            let namespace = pod.metaNamespace ?? "default"
            for name in names.configMaps { watched.insert(ObjectKey(isSecret: false, namespace: namespace, name: name)) }
            for name in names.secrets { watched.insert(ObjectKey(isSecret: true, namespace: namespace, name: name)) }
        }
        // Watched before they are read, so that no change is missed; also while one of them is still to come.
        if !watched.isEmpty { world.objects.watch(uid: uid, watched) }
        for volume in pod["spec"]?["volumes"]?.array ?? [] {
            let name = volume["name"]?.string ?? ""
            do throws(PodRuntimeProblem) {
                let place = try await prepare(volume, name, pod, environment)
                places.withLock { $0[name] = place }
            } catch {
                throw Self.problem(name, error.message)
            }
        }
    }

    /// Writes again what depends on objects, fields or time.
    func refresh(_ pod: JSON, _ environment: PodEnvironment) async {
        for volume in pod["spec"]?["volumes"]?.array ?? [] where VolumePayload.isWritten(volume) {
            let name = volume["name"]?.string ?? ""
            guard places.withLock({ $0[name] }) != nil else { continue }
            _ = try? await prepare(volume, name, pod, environment)
        }
    }

    func hasAll(of pod: JSON) -> Bool {
        places.withLock { places in (pod["spec"]?["volumes"]?.array ?? []).allSatisfy { places[$0["name"]?.string ?? ""] != nil } }
    }

    /// Whether a token is to be renewed.
    var needsTokens: Bool {
        let now = monotonicSeconds()
        return tokens.withLock { $0.values.contains { $0.renewAt <= now } }
    }

    private static func problem(_ volume: String, _ why: String) -> PodRuntimeProblem {
        PodRuntimeProblem(
            reason: "FailedMount", message: volume.isEmpty ? why : "MountVolume.SetUp failed for volume \"\(volume)\" : \(why)")
    }

    private func path(_ kind: String, _ name: String) -> String { "\(folder)/volumes/kubernetes.io~\(kind)/\(name)" }

    private func prepare(_ volume: JSON, _ name: String, _ pod: JSON, _ environment: PodEnvironment) async throws(PodRuntimeProblem)
        -> Place
    {
        let group = pod["spec"]?["securityContext"]?["fsGroup"]?.int.map { UInt32(truncatingIfNeeded: $0) }
        if let empty = volume["emptyDir"] { return try kernelStep { () throws(KernelProblem) in try makeEmpty(empty, name, pod, group) } }
        if let host = volume["hostPath"] { return try HostPath.check(host) }
        if VolumePayload.isWritten(volume) { return try await write(volume, name, pod, environment, group) }
        var claim = volume["persistentVolumeClaim"]?["claimName"]?.string
        if volume["ephemeral"] != nil { claim = "\(pod.metaName)-\(name)" }
        if let claim {
            let isReadOnly = volume["persistentVolumeClaim"]?["readOnly"] == true
            return try await bound(claim, pod, group, readOnly: isReadOnly)
        }
        let kind = volume.members.first { $0.key != "name" }?.key ?? "none"
        throw PodRuntimeProblem(reason: "FailedMount", message: "volumes of type \(kind) are not supported on this node")
    }

    private func kernelStep<Value>(_ body: () throws(KernelProblem) -> Value) throws(PodRuntimeProblem) -> Value {
        do throws(KernelProblem) { return try body() } catch {
            throw PodRuntimeProblem(reason: "FailedMount", message: error.message, cause: error.cause)
        }
    }

    private func makeEmpty(_ empty: JSON, _ name: String, _ pod: JSON, _ group: UInt32?) throws(KernelProblem) -> Place {
        let path = path("empty-dir", name)
        try kernel.makeDirectories(path, mode: 0o750)
        try VolumeFiles.setMode(path, 0o777)
        if empty["medium"]?.string == "Memory", !isMounted(path) {
            let limits = PodResources.limits(pod)
            let sizes = [PodResources.quantity(empty["sizeLimit"])?.value, limits["memory"]?.value].compactMap { $0 }.filter { $0 > 0 }
            try VolumeFiles.mountMemory(at: path, sizeBytes: sizes.min())
        }
        if let group { try VolumeFiles.setGroup(tree: path, group, readOnly: false) }
        return Place(path: path)
    }

    private func isMounted(_ path: String) -> Bool { ((try? kernel.mounts(below: path)) ?? []).contains(path) }

    private func write(
        _ volume: JSON, _ name: String, _ pod: JSON, _ environment: PodEnvironment, _ group: UInt32?
    ) async throws(PodRuntimeProblem) -> Place {
        let kind = ["configMap": "configmap", "secret": "secret", "downwardAPI": "downward-api"].first { volume[$0.key] != nil }?.value
        let path = path(kind ?? "projected", name)
        let written = WrittenFolder(path: path, group: group)
        let names = VolumePayload.references(volume)
        let objects: KeyedSnapshot
        var issued: [String: String] = [:]
        do throws(ClusterProblem) {
            objects = try await world.objects.fetch(
                namespace: pod.metaNamespace ?? "default", configMaps: names.configMaps, secrets: names.secrets)
            for wish in VolumePayload.tokens(volume) { issued[wish.path] = try await token(wish, pod) }
        } catch {
            // What an earlier kubelet wrote serves while the API does not answer.
            if written.isWritten, !error.isNotFound { return Place(path: path) }
            throw PodRuntimeProblem(reason: "FailedMount", message: error.message)
        }
        var files = try VolumePayload.files(
            volume, objects, tokens: issued, environment: environment, containers: ContainerSpec.all(of: pod).map(\.json))
        if group != nil { for path in issued.keys { files[path]?.mode = 0o600 } }
        try kernelStep { () throws(KernelProblem) in
            try kernel.makeDirectories(path, mode: 0o755)
            // Secrets never reach the disk.
            if kind != "configmap", world.settings.mountsMemory, !isMounted(path) {
                try VolumeFiles.mountMemory(at: path, sizeBytes: nil, mode: 0o755)
            }
            if let group { try VolumeFiles.setGroup(tree: path, group, readOnly: true) }
            try written.write(files, at: SystemClock().now())
        }
        return Place(path: path, readOnly: true)
    }

    private func token(_ wish: TokenWish, _ pod: JSON) async throws(ClusterProblem) -> String {
        if let known = tokens.withLock({ $0[wish] }), known.renewAt > monotonicSeconds() { return known.text }
        var spec: JSON = [
            "expirationSeconds": JSON(wish.seconds),
            "boundObjectRef": ["kind": "Pod", "apiVersion": "v1", "name": JSON(pod.metaName), "uid": JSON(pod.metaUID)],
        ]
        if !wish.audience.isEmpty { spec["audiences"] = [JSON(wish.audience)] }
        let account = pod["spec"]?["serviceAccountName"]?.string ?? "default"
        let answer = try await world.client.post(
            .serviceAccounts, namespace: pod.metaNamespace ?? "default", name: account, subresource: "token",
            ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec])
        guard let text = answer["status"]?["token"]?.string else { throw .internalError("no token in the answer") }
        let now = SystemClock().now()
        let life = answer["status"]?["expirationTimestamp"]?.string.flatMap(Timestamp.init(rfc3339:))?.since(now) ?? Double(wish.seconds)
        let token = Token(text: text, renewAt: monotonicSeconds() + min(max(1, life * Self.tokenShare), 86400))
        tokens.withLock { $0[wish] = token }
        return text
    }

    private func bound(_ claim: String, _ pod: JSON, _ group: UInt32?, readOnly: Bool) async throws(PodRuntimeProblem) -> Place {
        do throws(ClusterProblem) {
            let object = try await world.client.get(.persistentVolumeClaims, namespace: pod.metaNamespace ?? "default", name: claim)
            guard let name = object["spec"]?["volumeName"]?.string, !name.isEmpty, object["status"]?["phase"]?.string == "Bound" else {
                throw ClusterProblem(code: 409, reason: "NotBound", message: "PVC \(object.objectKey) is not bound")
            }
            let volume = try await world.client.get(.persistentVolumes, name: name)
            return try usable(volume, group, readOnly: readOnly)
        } catch {
            throw PodRuntimeProblem(reason: "FailedMount", message: error.message)
        }
    }

    private func usable(_ volume: JSON, _ group: UInt32?, readOnly: Bool) throws(ClusterProblem) -> Place {
        let spec = volume["spec"] ?? .null
        if let affinity = spec["nodeAffinity"]?["required"] {
            let asPod: JSON = [
                "spec": ["affinity": ["nodeAffinity": ["requiredDuringSchedulingIgnoredDuringExecution": affinity]]]
            ]
            guard PodAdmission.fits(asPod, nodeName: world.settings.nodeName, labels: world.node.labels) else {
                throw ClusterProblem(code: 409, reason: "NodeAffinity", message: "no matching NodeSelectorTerms")
            }
        }
        do {
            if let host = spec["hostPath"] {
                var place = try HostPath.check(host["type"] == nil ? ["path": host["path"] ?? "", "type": "DirectoryOrCreate"] : host)
                place.readOnly = readOnly
                return place
            }
            if let local = spec["local"]?["path"]?.string {
                guard kernel.exists(local) else {
                    throw ClusterProblem(code: 404, reason: "NoPath", message: "path \"\(local)\" does not exist")
                }
                if let group { try VolumeFiles.setGroup(tree: local, group, readOnly: false) }
                return Place(path: local, readOnly: readOnly)
            }
        } catch {
            throw ClusterProblem(code: 409, reason: "FailedMount", message: (error as? any Problem)?.message ?? "\(error)")
        }
        let known: Set<String> = ["capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "volumeMode"]
        let kind = spec.members.first { $0.value.object != nil && !known.contains($0.key) }?.key ?? "none"
        throw ClusterProblem(code: 409, reason: "Unsupported", message: "volumes of type \(kind) are not supported on this node")
    }
}

// What containers see of them.
extension PodVolumes {
    func mounts(of spec: ContainerSpec, _ variables: [(String, String)]) throws(PodRuntimeProblem) -> [MountPlan] {
        let values = Dictionary(variables, uniquingKeysWith: { $1 })
        var plans: [MountPlan] = []
        for (index, mount) in (spec.json["volumeMounts"]?.array ?? []).enumerated() {
            let name = mount["name"]?.string ?? ""
            guard let place = places.withLock({ $0[name] }) else {
                throw PodRuntimeProblem(
                    reason: "CreateContainerConfigError", message: "cannot find volume \"\(name)\" to mount into container \"\(spec.name)\""
                )
            }
            var source = place.path
            var part = mount["subPath"]?.string ?? ""
            if let pattern = mount["subPathExpr"]?.string, !pattern.isEmpty { part = PodEnvironment.expand(pattern, values) }
            if !part.isEmpty { source = try bindPart(part, of: place.path, name, spec.name, index) }
            let propagation = ["HostToContainer": "rslave", "Bidirectional": "rshared"][mount["mountPropagation"]?.string ?? ""] ?? ""
            plans.append(
                MountPlan(
                    source: source, target: mount["mountPath"]?.string ?? "", readOnly: place.readOnly || mount["readOnly"] == true,
                    propagation: propagation))
        }
        return plans
    }

    private func bindPart(_ part: String, of path: String, _ volume: String, _ container: String, _ index: Int) throws(PodRuntimeProblem)
        -> String
    {
        func refused(_ why: String) -> PodRuntimeProblem {
            PodRuntimeProblem(
                reason: "CreateContainerConfigError",
                message: "failed to prepare subPath for volumeMount \"\(volume)\" of container \"\(container)\"", cause: why)
        }
        guard !part.hasPrefix("/"), !part.split(separator: "/").contains("..") else { throw refused(part) }
        let parent = "\(folder)/volume-subpaths/\(volume)/\(container)"
        let target = "\(parent)/\(index)"
        do throws(KernelProblem) {
            try kernel.makeDirectories(parent, mode: 0o750)
            if isMounted(target) { try kernel.unmount(target) }
            if kernel.exists(target) { try kernel.remove(target) }
            try VolumeFiles.bindInside(path, part, at: target)
        } catch { throw refused(error.description) }
        return target
    }

    /// Unmounts and removes everything; nothing there is fine.
    func remove() throws(KernelProblem) {
        world.objects.forget(uid: uid)
        try Self.remove(folder)
        places.withLock { $0 = [:] }
        tokens.withLock { $0 = [:] }
    }

    static func remove(_ folder: String) throws(KernelProblem) {
        let kernel = LinuxKernel()
        guard kernel.exists(folder) else { return }
        for mount in try kernel.mounts(below: folder).reversed() { try kernel.unmount(mount) }
        // A file system of its own that could not be unmounted stops this, and nothing of it is lost.
        try kernel.removeTree(folder)
    }
}

/// A file or directory of the node itself.
enum HostPath {
    static func check(_ host: JSON) throws(PodRuntimeProblem) -> PodVolumes.Place {
        let path = host["path"]?.string ?? ""
        func refused(_ what: String) -> PodRuntimeProblem {
            PodRuntimeProblem(reason: "FailedMount", message: "hostPath type check failed: \(path) is not a \(what)")
        }
        let kernel = LinuxKernel()
        let kind = VolumeFiles.kind(path)
        do throws(KernelProblem) {
            switch host["type"]?.string ?? "" {
            case "": if kind == nil { try kernel.makeDirectories(path) }
            case "DirectoryOrCreate":
                if kind == nil { try kernel.makeDirectories(path) } else if kind != .directory { throw refusedKernel }
            case "Directory": if kind != .directory { throw refusedKernel }
            case "FileOrCreate":
                if kind == nil { try kernel.write(path, [], mode: 0o644, owner: nil) } else if kind != .file { throw refusedKernel }
            case "File": if kind != .file { throw refusedKernel }
            case "Socket": if kind != .socket { throw refusedKernel }
            case "CharDevice": if kind != .characterDevice { throw refusedKernel }
            case "BlockDevice": if kind != .blockDevice { throw refusedKernel }
            default: throw refusedKernel
            }
        } catch {
            if error != refusedKernel { throw PodRuntimeProblem(reason: "FailedMount", message: error.message, cause: error.cause) }
            let words = [
                "DirectoryOrCreate": "directory", "Directory": "directory", "FileOrCreate": "file", "File": "file", "Socket": "socket file",
                "CharDevice": "character device", "BlockDevice": "block device",
            ]
            throw refused(words[host["type"]?.string ?? ""] ?? "known type")
        }
        return PodVolumes.Place(path: path)
    }

    private static let refusedKernel = KernelProblem(call: "check", subject: "hostPath", code: Errno.invalid)
}
