// The kubelet of a lab's node: runs the pods that manifests on the node and the API server give it, and says how they are.
//
// It knows containers only through `PodRuntime` and the cluster only through `ClusterClient`; neither need be there for
// it to start: static pods run without an API server, and running pods are taken over after a restart. Event driven: an
// informer of this node's Pods, a folder watch on the manifests and one on the network's configuration, a worker a pod.
// Callers: the `labkube` program. To begin reading: `NodeKubelet.run`, then `PodWorker`, then `PodMachine` in Pods.
package import ClusterClient
internal import ClusterModel
internal import Essentials
package import Kernel
internal import Logging
package import Pods
internal import Synchronization
package import Web

/// exec, attach and port-forward: connections that stop being HTTP.
package protocol KubeletStreams: Sendable {
    /// `nil` for a path that is none of its own. Who asks is checked already.
    func upgrade(_ request: HTTPRequest, kubelet: NodeKubelet) async -> WireUpgrade?
}

package final class NodeKubelet: Sendable {
    /// Between looks at tokens, room and certificates, in seconds.
    static let roundSeconds = 60.0
    /// Pods do not wait longer than this for the list of services.
    static let servicesSeconds = 5.0

    package let settings: KubeletSettings
    let world: KubeletWorld
    let pods: Informer
    /// Answers the requests that become streams of bytes.
    let streams: (any KubeletStreams)?
    private let certificates: ClientCertificates?
    private let nodes: Informer
    private let reporter: NodeReporter
    private let workers = Mutex<[String: PodWorker]>([:])
    private let unclaimed = Mutex<[String: FoundSandbox]>([:])
    private let statics = Mutex<[String: JSON]>([:])
    private let jobs: AsyncStream<@Sendable () async -> Void>
    private let jobInput: AsyncStream<@Sendable () async -> Void>.Continuation
    private let log = Logger(label: "kubelet")

    package init(
        settings: KubeletSettings, client: ClusterClient, runtime: any PodRuntime, certificates: ClientCertificates? = nil,
        streams: (any KubeletStreams)? = nil
    )
        throws(KernelProblem)
    {
        var settings = settings
        if settings.nodeAddress.isEmpty { settings.nodeAddress = LinuxKernel().mainAddress() ?? "127.0.0.1" }
        self.settings = settings
        self.streams = streams
        self.certificates = certificates
        let node = NodeKnowledge(address: settings.nodeAddress)
        node.note(allocatable: NodeFacts(rootFolder: settings.rootFolder).allocatable(settings))
        let events = EventSink(client: client, node: settings.nodeName)
        world = KubeletWorld(
            settings: settings, client: client, runtime: runtime, readiness: try Readiness(), events: events,
            objects: ObjectSource(client: client), node: node, services: Informer(client: client, resource: .services),
            servicesKnown: Gate(), mirrors: MirrorPods(client: client, node: node))
        pods = Informer(client: client, resource: .pods, fieldSelector: "spec.nodeName=\(settings.nodeName)")
        nodes = Informer(client: client, resource: .nodes, fieldSelector: "metadata.name=\(settings.nodeName)")
        reporter = NodeReporter(settings: settings, client: client, node: node, runtime: runtime, events: events)
        (jobs, jobInput) = AsyncStream.makeStream()
    }

    /// Works until cancelled. Pods go on running after that.
    package func run() async throws {
        let kernel = LinuxKernel()
        try kernel.makeDirectories(settings.rootFolder + "/pods", mode: 0o750)
        let found = try await world.runtime.adopt()
        unclaimed.withLock { $0 = Dictionary(found.map { ($0.uid, $0) }, uniquingKeysWith: { $1 }) }
        world.objects.onChange { [weak self] uids in
            for uid in uids { self?.worker(uid)?.mailbox.refresh() }
        }
        let manifests = try settings.manifestFolder.map { try FolderWatch($0, on: world.readiness) }
        let network = try FolderWatch(settings.networkFolder, on: world.readiness)
        let server = KubeletServer(kubelet: self)
        defer {
            world.objects.close()
            world.servicesKnown.open()
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followExits() }
            group.addTask { await self.world.events.run() }
            group.addTask { await self.world.mirrors.run() }
            group.addTask { await server.run() }
            if let manifests {
                readManifests()
                group.addTask { await self.follow(manifests) }
            }
            group.addTask { await self.followCluster() }
            group.addTask { await self.follow(network: network) }
            group.addTask { await self.makeRounds() }
            await withDiscardingTaskGroup { workers in
                for await job in jobs { workers.addTask { await job() } }
                workers.cancelAll()
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// The uid of the pod, where it runs here.
    package func podUID(namespace: String, name: String) -> String? { worker(namespace: namespace, name: name)?.uid }
    package var runtime: any PodRuntime { world.runtime }

    func worker(_ uid: String) -> PodWorker? { workers.withLock { $0[uid] } }
    var allWorkers: [PodWorker] { workers.withLock { Array($0.values) } }

    /// The worker of a pod by its name; the one that is not over, where a new pod waits for an old one.
    func worker(namespace: String, name: String) -> PodWorker? {
        let found = workers.withLock { workers in workers.values.filter { $0.namespace == namespace && $0.name == name } }
        return found.first { !$0.machine.isOver } ?? found.first
    }

    // The pod begins to be worked on.
    private func begin(_ pod: JSON) {
        let uid = pod.metaUID
        let worker = PodWorker(pod: pod, world: world)
        let found = unclaimed.withLock { $0.removeValue(forKey: uid) }
        let predecessor: PodWorker? = workers.withLock { workers in
            defer { workers[uid] = worker }
            return workers.values.first { $0.namespace == worker.namespace && $0.name == worker.name }
        }
        jobInput.yield { [self] in
            await worker.run(after: predecessor, adopting: found) { self.admit($0) }
            workers.withLock { workers in if workers[uid] === worker { workers[uid] = nil } }
            // A manifest may have come back while its pod was ending.
            if let again = statics.withLock({ $0[uid] }), !Task.isCancelled, self.worker(uid) == nil { begin(again) }
        }
    }

    private func admit(_ pod: JSON) -> AdmissionRefusal? {
        let others = workers.withLock { workers in
            workers.values.filter { $0.uid != pod.metaUID }.map(\.machine).filter { !$0.isOver && $0.startTime != nil }.map(\.pod)
        }
        if world.node.pressures.contains("MemoryPressure"), PodResources.qosClass(pod) == "BestEffort", !StaticPods.isStatic(pod) {
            return AdmissionRefusal(reason: "Evicted", message: "The node had condition: [MemoryPressure]. ")
        }
        if world.node.pressures.contains("DiskPressure"), !StaticPods.isStatic(pod) {
            return AdmissionRefusal(reason: "Evicted", message: "The node had condition: [DiskPressure]. ")
        }
        return PodAdmission.check(
            pod, others: others, nodeName: settings.nodeName, labels: world.node.labels, allocatable: world.node.allocatable)
    }
}

// Where pods come from.
extension NodeKubelet {
    private func followExits() async {
        await withDiscardingTaskGroup { group in
            for await exit in world.runtime.exits {
                guard let worker = worker(exit.podUID) else {
                    // A pod that the API server has not named yet.
                    unclaimed.withLock { $0[exit.podUID]?.note(exit) }
                    continue
                }
                group.addTask { await worker.note(exit) }
            }
        }
    }

    private func follow(_ manifests: FolderWatch) async {
        for await _ in manifests.changes { readManifests() }
        manifests.close()
    }

    private func readManifests() {
        guard let path = settings.manifestFolder else { return }
        let old = statics.withLock { $0 }
        let new = ManifestFolder(path: path, nodeName: settings.nodeName).read(known: old)
        statics.withLock { $0 = new }
        world.mirrors.want(Array(new.values))
        for uid in old.keys where new[uid] == nil { worker(uid)?.mailbox.send(.vanished) }
        for (uid, pod) in new where old[uid] == nil && worker(uid) == nil { begin(pod) }
    }

    private func observe(_ pod: JSON) {
        if StaticPods.isMirror(pod) {
            if let uid = world.mirrors.note(pod) { worker(uid)?.mailbox.send(mirror: pod) }
            return
        }
        let uid = pod.metaUID
        if let worker = worker(uid) { return worker.mailbox.send(pod: pod) }
        // Another pod of that name: the old one is gone, whether or not anyone said so.
        for other in allWorkers where other.namespace == pod.metaNamespace && other.name == pod.metaName && !other.isStatic {
            other.mailbox.send(.vanished)
        }
        let phase = pod["status"]?["phase"]?.string
        // What ended for good before this process began needs no worker until it is deleted.
        if phase == "Succeeded" || phase == "Failed", !pod.isBeingDeleted, unclaimed.withLock({ $0[uid] }) == nil { return }
        begin(pod)
    }

    private func followCluster() async {
        await reporter.register()
        world.mirrors.open()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.reporter.keepAlive() }
            group.addTask { try? await self.world.services.run() }
            group.addTask { try? await self.nodes.run() }
            group.addTask {
                await self.world.services.waitForSync()
                self.world.servicesKnown.open()
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(Self.servicesSeconds))
                self.world.servicesKnown.open()
            }
            group.addTask { try? await self.pods.run() }
            group.addTask {
                for await change in self.nodes.changes() { if case .deleted = change {} else { self.world.node.note(node: change.object) } }
            }
            await pods.waitForSync()
            guard !Task.isCancelled else { return }
            for pod in pods.items() { observe(pod) }
            await removeUnclaimed()
            for await change in pods.changes() {
                switch change {
                case .added(let pod), .modified(let pod): observe(pod)
                case .deleted(let pod):
                    if StaticPods.isMirror(pod) { world.mirrors.note(gone: pod) } else { worker(pod.metaUID)?.mailbox.send(.vanished) }
                }
            }
            group.cancelAll()
        }
    }

    // Sandboxes and folders that no pod claims.
    private func removeUnclaimed() async {
        let left = unclaimed.withLock { unclaimed in
            defer { unclaimed = [:] }
            return unclaimed
        }
        for (uid, sandbox) in left {
            log.notice("removing a sandbox that no pod claims", metadata: ["pod": "\(sandbox.namespace)/\(sandbox.name)"])
            do {
                try await world.runtime.removeSandbox(uid: uid, namespace: sandbox.namespace, name: sandbox.name)
            } catch {
                log.error("sandbox not removed", metadata: ["pod": "\(sandbox.namespace)/\(sandbox.name)", "cause": "\(error)"])
            }
        }
        let folder = settings.rootFolder + "/pods"
        for uid in (try? LinuxKernel().list(folder)) ?? [] where worker(uid) == nil {
            do throws(KernelProblem) { try PodVolumes.remove(folder + "/" + uid) } catch {
                log.error("volumes of a pod that is gone not removed", metadata: ["pod": "\(uid)", "cause": "\(error)"])
            }
        }
    }

    // The node is ready as soon as a network is configured.
    private func follow(network: FolderWatch) async {
        var before = await world.runtime.networkProblem()
        for await _ in network.changes {
            let problem = await world.runtime.networkProblem()
            guard problem != before || world.node.networkProblem != problem else { continue }
            before = problem
            if problem == nil { for worker in allWorkers { worker.mailbox.send(.again) } }
            guard !world.node.node.isNull else { continue }
            try? await reporter.writeStatus()
        }
        network.close()
    }

    private func makeRounds() async {
        var eviction = Eviction(settings: settings)
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(Self.roundSeconds))
            for worker in allWorkers where worker.volumes.needsTokens { worker.mailbox.refresh() }
            let pressures = eviction.look()
            if world.node.note(pressures: pressures), !world.node.node.isNull { try? await reporter.writeStatus() }
            if !world.node.node.isNull { try? await certificates?.renewIfDue(world.client) }
            if !pressures.isEmpty { await eviction.evict(from: allWorkers, runtime: world.runtime, pressures) }
        }
    }
}

extension FoundSandbox {
    fileprivate mutating func note(_ exit: ContainerExit) {
        for index in containers.indices where containers[index].name == exit.container && containers[index].attempt == exit.attempt {
            containers[index].exit = exit
        }
    }
}
