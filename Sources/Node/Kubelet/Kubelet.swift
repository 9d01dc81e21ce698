// The kubelet: runs the Pods that are bound to this node, and says in the API how they are.
//
// Event driven: an informer of this node's Pods, a worker per Pod, an informer of Namespaces for what they leave behind.
// It knows the API only through `ClusterClient` and the machine only through `PodSandboxes`. On start it takes over what
// an earlier process left, and removes what no Pod claims. Callers: the `lectern` program.
package import ClusterClient
package import ClusterModel
package import Containers
package import Essentials
package import Kernel
internal import Logging
internal import Network
internal import Synchronization

package struct KubeletSettings: Sendable {
    package var nodeName: String
    /// The host's address, as pods' `hostIP` says it.
    package var address: String
    /// The host's path of the node-agent program.
    package var agentProgram: String?
    /// The host's path of the labkube program; nodes have no Kubernetes without it.
    package var clusterProgram: String?
    package var podLimit: Int
    package var version: String

    package init(
        nodeName: String, address: String, agentProgram: String?, clusterProgram: String? = nil, podLimit: Int = 500,
        version: String = "v1.32.0-lectern"
    ) {
        self.nodeName = nodeName
        self.address = address
        self.agentProgram = agentProgram
        self.clusterProgram = clusterProgram
        self.podLimit = podLimit
        self.version = version
    }
}

package final class Kubelet: Sendable {
    private let settings: KubeletSettings
    private let client: ClusterClient
    private let sandboxes: PodSandboxes
    private let readiness: Readiness
    private let recorder: EventRecorder
    private let clock: any WallClock
    private let pods: Informer
    private let namespaces: Informer
    /// By the uid of the pod, with whether it may have anything on this machine.
    private let workers = Mutex<[String: (worker: PodWorker, hasSandbox: Bool)]>([:])
    private let logger = Logger(label: "kubelet")

    package init(settings: KubeletSettings, client: ClusterClient, sandboxes: PodSandboxes, clock: any WallClock = SystemClock())
        throws(KernelProblem)
    {
        self.settings = settings
        self.client = client
        self.sandboxes = sandboxes
        self.clock = clock
        readiness = try Readiness()
        recorder = EventRecorder(client: client, node: settings.nodeName, clock: clock)
        pods = Informer(client: client, resource: .pods, fieldSelector: "spec.nodeName=\(settings.nodeName)")
        namespaces = Informer(client: client, resource: .namespaces)
    }

    /// Works until cancelled. Pods go on running after that.
    package func run() async throws {
        try await NodeRegistration(settings: settings, client: client, clock: clock, state: sandboxes.paths.state).register()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.pods.run() }
            group.addTask { try await self.namespaces.run() }
            group.addTask { await self.recorder.run() }
            group.addTask {
                try await NodeRegistration(
                    settings: self.settings, client: self.client, clock: self.clock, state: self.sandboxes.paths.state
                ).keepAlive()
            }
            await pods.waitForSync()
            await namespaces.waitForSync()
            try Task.checkCancellation()
            let adopted = try await removeUnclaimed()
            group.addTask { await self.followNamespaces() }
            await withDiscardingTaskGroup { workerGroup in
                for await change in pods.changes() {
                    switch change {
                    case .added(let pod), .modified(let pod): observe(pod, adopted: adopted, in: &workerGroup)
                    case .deleted(let pod): worker(uid: pod.metaUID)?.send(.event(.vanished))
                    }
                }
                workerGroup.cancelAll()
            }
        }
    }

    private func observe(_ pod: JSON, adopted: Set<String>, in group: inout DiscardingTaskGroup) {
        let uid = pod.metaUID
        if let worker = worker(uid: uid) { return worker.send(.pod(pod)) }
        let phase = pod["status"]?["phase"]?.string
        // What ended for good before this process began needs no worker until it is deleted.
        if phase == "Succeeded" || phase == "Failed", !pod.isBeingDeleted, !adopted.contains(uid) { return }
        let worker = PodWorker(
            pod: pod,
            surroundings: WorkerSurroundings(
                settings: settings, client: client, sandboxes: sandboxes, readiness: readiness, recorder: recorder, clock: clock,
                isLastOfDyingNamespace: { [weak self] namespace, uid in self?.isLast(uid, of: namespace) ?? false }))
        let predecessor = workers.withLock { workers in
            defer { workers[uid] = (worker, true) }
            return workers.values.map(\.worker).first { $0.namespace == worker.namespace && $0.name == worker.name }
        }
        let isAdopted = adopted.contains(uid)
        group.addTask {
            await worker.run(after: predecessor, adopting: isAdopted)
            _ = self.workers.withLock { $0.removeValue(forKey: uid) }
        }
        worker.send(.pod(pod))
    }

    private func worker(uid: String) -> PodWorker? { workers.withLock { $0[uid]?.worker } }

    private func worker(namespace: String, pod: String) -> PodWorker? {
        workers.withLock { workers in workers.values.map(\.worker).first { $0.namespace == namespace && $0.name == pod } }
    }

    // Two pods that go at the same time must not each take the other for still there: what is noted and what is asked is one step.
    private func isLast(_ uid: String, of namespace: String) -> Bool {
        let isLast = workers.withLock { workers in
            workers[uid]?.hasSandbox = false
            return !workers.values.contains { $0.worker.namespace == namespace && $0.hasSandbox }
        }
        return isLast && namespaces.item(name: namespace)?.isBeingDeleted ?? true
    }

    // Removes sandboxes that no Pod claims; answers with the uids of the Pods whose sandboxes are here.
    private func removeUnclaimed() async throws -> Set<String> {
        var claimed: Set<String> = []
        for (namespace, found) in try await sandboxes.leftovers() {
            var isClaimed = false
            for name in found {
                let uid = sandboxes.record(namespace: namespace, pod: name)?["uid"]?.string
                if let pod = pods.item(namespace: namespace, name: name), pod.metaUID == uid, let uid {
                    claimed.insert(uid)
                    isClaimed = true
                } else {
                    logger.notice("removing a sandbox that no pod claims", metadata: ["pod": "\(namespace)/\(name)"])
                    try await sandboxes.remove(namespace: namespace, pod: name)
                }
            }
            if !isClaimed { try await sandboxes.removeGroup(namespace) }
        }
        return claimed
    }

    // A namespace that goes takes along what its pods shared, also when its last pod was removed while it still lived.
    private func followNamespaces() async {
        for await change in namespaces.changes() {
            switch change {
            case .added(let object), .modified(let object):
                guard object.isBeingDeleted else { continue }
                await removeGroupIfUnused(object.metaName)
            case .deleted(let object): await removeGroupIfUnused(object.metaName)
            }
        }
    }

    private func removeGroupIfUnused(_ namespace: String) async {
        guard !workers.withLock({ workers in workers.values.contains { $0.worker.namespace == namespace && $0.hasSandbox } }) else {
            return
        }
        do { try await sandboxes.removeGroup(namespace) } catch {
            logger.error("sandboxes of a namespace not removed", metadata: ["namespace": "\(namespace)", "cause": "\(error)"])
        }
    }
}

extension Kubelet: NodeProxy {
    /// A connection to a pod's agent.
    package func openAgent(namespace: String, pod: String) throws -> OwnedDescriptor {
        try sandboxes.openAgent(namespace: namespace, pod: pod)
    }

    /// A non-blocking connection, made or in the making, to a port of a pod.
    package func openPort(namespace: String, pod: String, port: UInt16) async throws -> OwnedDescriptor {
        try await sandboxes.openPort(namespace: namespace, pod: pod, port: port)
    }

    /// What a pod's container printed; with `follow` the stream goes on until the pod or the reader goes.
    package func logs(namespace: String, pod: String, container: String? = nil, options: LogOptions = LogOptions()) throws -> AsyncStream<
        [UInt8]
    > {
        guard let object = pods.item(namespace: namespace, name: pod) else { throw KubeletProblem.noSuchPod(pod) }
        let name = object["spec"]?["containers"]?[0]?["name"]?.string ?? ""
        if let container, container != name {
            throw KubeletProblem.noLog("container \(container) is not valid for pod \(pod)")
        }
        guard let log = worker(namespace: namespace, pod: pod)?.containerLog else {
            throw KubeletProblem.noLog("container \"\(name)\" in pod \"\(pod)\" is waiting to start: ContainerCreating")
        }
        return log.read(options)
    }

    // (See `NodeProxy`.)
    package func logs(of pod: JSON, _ options: PodLogOptions) async throws(ClusterProblem) -> APIResponse.Body {
        let now = clock.now()
        let since = options.sinceTime ?? options.sinceSeconds.map { now.adding(seconds: -Int64($0)) }
        // What a container printed before its last restart stands in the same file, so "previous" is not told apart.
        let wanted = LogOptions(
            tailLines: options.tailLines, since: since, timestamps: options.timestamps, limitBytes: options.limitBytes,
            follow: options.follow)
        do {
            let stream = try logs(namespace: pod.metaNamespace ?? "", pod: pod.metaName, container: options.container, options: wanted)
            if options.follow { return .stream(stream) }
            var bytes: [UInt8] = []
            for await chunk in stream { bytes += chunk }
            return .bytes(bytes)
        } catch {
            let problem = error as? KubeletProblem
            throw problem?.reason == "NotFound" ? .notFound(.pods, pod.metaName) : .badRequest(problem?.message ?? "\(error)")
        }
    }

    /// What a pod uses; nil where this node does not run it.
    package func usage(namespace: String, pod: String) -> PodUsage? {
        guard let object = pods.item(namespace: namespace, name: pod), let name = object["spec"]?["containers"]?[0]?["name"]?.string else {
            return nil
        }
        return sandboxes.usage(namespace: namespace, pod: pod, container: name)
    }

    /// What all pods of this node use, by namespace and pod.
    package func usages() -> [(namespace: String, pod: String, usage: PodUsage)] {
        pods.items().compactMap { pod in
            guard let namespace = pod.metaNamespace, let usage = usage(namespace: namespace, pod: pod.metaName) else { return nil }
            return (namespace, pod.metaName, usage)
        }
    }
}
