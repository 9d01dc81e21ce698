// Deletes what its owners have left behind, in the background, in the foreground or not at all, across all kinds.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging
internal import Synchronization

final class GarbageCollector: Controller {
    /// A kind that cannot be listed does not hold up the others for longer than this, in seconds.
    static let syncSeconds = 30
    /// Owners that are known to be gone; more than this and the list begins anew.
    static let absentLimit = 500

    private struct State {
        var graph = OwnerGraph()
        var isReady = false
        /// Kinds that are followed, and those of them that have been listed.
        var followed: Set<GroupVersionResource> = []
        var listed: Set<GroupVersionResource> = []
        var absent: Set<String> = []
    }

    private let context: ControllerContext
    private let discovery: ClusterDiscovery
    private let kinds: Informer
    private let events: EventWriter
    private let queue = WorkQueue()
    private let state = Mutex(State())
    private let log = Logger(label: "garbagecollector")

    init(_ context: ControllerContext) {
        self.context = context
        discovery = ClusterDiscovery(client: context.client)
        kinds = context.informers.informer(.customResourceDefinitions)
        events = context.events("garbage-collector-controller")
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (resources, input) = AsyncStream.makeStream(of: GroupVersionResource.self)
            group.addTask { try await self.events.run() }
            group.addTask { try await self.findKinds(input) }
            group.addTask {
                try await withThrowingDiscardingTaskGroup { feeds in
                    for await resource in resources { feeds.addTask { try await self.follow(resource) } }
                }
                try Task.checkCancellation()
            }
            group.addTask {
                try await Task.sleep(for: .seconds(Self.syncSeconds))
                self.begin()
                while true { try await Task.sleep(for: .seconds(86_400)) }
            }
            group.addTask { try await self.queue.run(workers: 16) { try await self.work($0) } }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Looks for kinds at first and whenever custom ones change.
    private func findKinds(_ input: AsyncStream<GroupVersionResource>.Continuation) async throws {
        var pauseMilliseconds = 100
        while true {
            do throws(ClusterProblem) {
                let stored = try await discovery.stored().map(\.resource)
                let fresh = state.withLock { state in
                    let fresh = stored.filter { !state.followed.contains($0) }
                    state.followed.formUnion(fresh)
                    return fresh
                }
                for resource in fresh { input.yield(resource) }
                break
            } catch {
                log.warning("kinds not found", metadata: ["cause": "\(error.message)"])
            }
            try await Task.sleep(for: .milliseconds(pauseMilliseconds))
            pauseMilliseconds = min(pauseMilliseconds * 2, 5_000)
        }
        var known: Set<String> = []
        for await change in kinds.changes() {
            let name = change.object.metaName
            if case .deleted = change {
                known.remove(name)
                continue
            }
            guard change.object.hasCondition("Established"), known.insert(name).inserted else { continue }
            discovery.invalidate()
            guard let stored = try? await discovery.stored().map(\.resource) else { continue }
            for resource in stored {
                if state.withLock({ $0.followed.insert(resource).inserted }) {
                    input.yield(resource)
                } else if resource.resource == name.prefix(while: { $0 != "." }) {
                    // The kind was gone and is back.
                    context.informers.refresh(resource)
                }
            }
        }
        try Task.checkCancellation()
    }

    private func follow(_ resource: GroupVersionResource) async throws {
        let informer = context.informers.existing(resource) ?? context.informers.metadata(resource)
        await informer.waitForSync()
        for object in informer.items() { note(.set(object), resource) }
        note(.listed, resource)
        for await change in informer.changes() {
            if case .deleted(let object) = change { note(.gone(object.metaUID), resource) } else { note(.set(change.object), resource) }
        }
        try Task.checkCancellation()
    }

    private enum Change {
        case set(JSON)
        case gone(String)
        case listed
    }

    private func note(_ change: Change, _ resource: GroupVersionResource) {
        let tasks: [OwnerGraph.Task] = state.withLock { state in
            switch change {
            case .set(let object):
                let tasks = state.graph.set(OwnerGraph.Node(object, resource))
                return state.isReady ? tasks : []
            case .gone(let uid):
                let tasks = state.graph.remove(uid)
                return state.isReady ? tasks : []
            case .listed:
                state.listed.insert(resource)
                guard !state.isReady, state.listed.isSuperset(of: state.followed) else { return [] }
                state.isReady = true
                return state.graph.backlog()
            }
        }
        for task in tasks { queue.add(Self.key(task)) }
    }

    /// Starts even where some kind could not be listed.
    private func begin() {
        let tasks = state.withLock { state -> [OwnerGraph.Task] in
            if state.isReady { return [] }
            state.isReady = true
            return state.graph.backlog()
        }
        for task in tasks { queue.add(Self.key(task)) }
    }

    private static func key(_ task: OwnerGraph.Task) -> String {
        switch task {
        case .check(let uid): "check/" + uid
        case .finish(let uid): "finish/" + uid
        case .free(let uid): "free/" + uid
        }
    }

    private func work(_ key: String) async throws(ClusterProblem) {
        let parts = key.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let node = state.withLock({ $0.graph.nodes[String(parts[1])] }) else { return }
        switch parts[0] {
        case "free": try await free(node)
        case "finish": try await finish(node)
        default: try await check(node)
        }
    }

    private func check(_ node: OwnerGraph.Node) async throws(ClusterProblem) {
        if node.waitsForDependents { return try await finish(node) }
        if node.isDeleting { return }
        var standings: [(owner: OwnerGraph.Owner, standing: OwnerGraph.Standing)] = []
        for owner in node.owners { standings.append((owner, try await standing(of: owner, for: node))) }
        let dependents = state.withLock { $0.graph.dependents(of: node.uid) }
        switch OwnerGraph.judge(node, standings, hasDependents: !dependents.isEmpty) {
        case .nothing: return
        case .forget(let lost): try await forget(lost, in: node)
        case .delete(let policy):
            if policy == "Foreground", dependents.contains(where: { $0.waitsForDependents }) {
                // Those that wait for each other in a circle would wait for ever.
                try await unblock(node)
            }
            try await delete(node, policy)
        }
    }

    private func standing(of owner: OwnerGraph.Owner, for node: OwnerGraph.Node) async throws(ClusterProblem) -> OwnerGraph.Standing {
        let (known, isAbsent) = state.withLock { ($0.graph.nodes[owner.uid], $0.absent.contains(owner.uid)) }
        if let known {
            // An owner in another namespace is none.
            guard known.namespace == nil || known.namespace == node.namespace else { return try await absent(owner, for: node) }
            return known.waitsForDependents ? .waiting : .solid
        }
        if isAbsent { return .dangling }
        guard let served = try await discovery.resource(apiVersion: owner.apiVersion, kind: owner.kind) else {
            throw .internalError("the kind \(owner.kind) of an owner in \(owner.apiVersion) is not served")
        }
        if served.isNamespaced, node.namespace == nil { return try await absent(owner, for: node) }
        let namespace = served.isNamespaced ? node.namespace : nil
        if let cached = context.informers.existing(served.resource)?.item(namespace: namespace, name: owner.name),
            cached.metaUID == owner.uid
        {
            return cached.isBeingDeleted && cached.metaFinalizers.contains(OwnerGraph.foreground) ? .waiting : .solid
        }
        do throws(ClusterProblem) {
            let live = try await context.client.get(served.resource, namespace: namespace, name: owner.name)
            if live.metaUID == owner.uid {
                return live.isBeingDeleted && live.metaFinalizers.contains(OwnerGraph.foreground) ? .waiting : .solid
            }
        } catch {
            if !error.isNotFound { throw error }
        }
        state.withLock { state in
            if state.absent.count >= Self.absentLimit { state.absent = [] }
            state.absent.insert(owner.uid)
        }
        return .dangling
    }

    /// A reference across namespaces, or from a cluster's object into one, leads nowhere; it is told, and nothing is deleted for it.
    private func absent(_ owner: OwnerGraph.Owner, for node: OwnerGraph.Node) async throws(ClusterProblem) -> OwnerGraph.Standing {
        let place = node.namespace ?? ""
        let about: JSON = [
            "apiVersion": JSON(node.resource.apiVersion),
            "metadata": ["name": JSON(node.name), "namespace": JSON(node.namespace), "uid": JSON(node.uid)],
        ]
        events.record(
            "Warning", "OwnerRefInvalidNamespace",
            "ownerRef [\(owner.apiVersion)/\(owner.kind), namespace: \(place), name: \(owner.name), uid: \(owner.uid)] does not exist in namespace \"\(place)\"",
            about: about)
        return node.namespace == nil ? .solid : .dangling
    }

    private func delete(_ node: OwnerGraph.Node, _ policy: String) async throws(ClusterProblem) {
        let options = DeleteOptions(propagationPolicy: policy, uid: node.uid, resourceVersion: node.version)
        do throws(ClusterProblem) {
            let answer = try await context.client.delete(node.resource, namespace: node.namespace, name: node.name, options: options)
            if answer["kind"] != "Status" { context.informers.existing(node.resource)?.note(written: answer) }
        } catch {
            if error.isNotFound { return }
            guard error.isConflict else { throw error }
            try await lookAgain(node)
        }
    }

    /// Changed since it was looked at: its owners may have changed too.
    private func lookAgain(_ node: OwnerGraph.Node) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            let live = try await context.client.get(node.resource, namespace: node.namespace, name: node.name)
            guard live.metaUID == node.uid else { return }
            let tasks = state.withLock { $0.graph.set(OwnerGraph.Node(live, node.resource)) }
            for task in tasks { queue.add(Self.key(task)) }
            queue.add("check/" + node.uid)
        } catch {
            if !error.isNotFound { throw error }
        }
    }

    /// Removes the object for good once nothing that blocks it is left; until then, sees to it that the rest goes.
    private func finish(_ node: OwnerGraph.Node) async throws(ClusterProblem) {
        guard node.waitsForDependents else { return }
        let blocking = state.withLock { state in
            state.graph.dependents(of: node.uid).filter { dependent in
                dependent.owners.contains { $0.uid == node.uid && $0.blocks }
            }
        }
        if blocking.isEmpty { return try await removeFinalizer(OwnerGraph.foreground, node) }
        for dependent in blocking where !dependent.isDeleting { queue.add("check/" + dependent.uid) }
    }

    private func free(_ node: OwnerGraph.Node) async throws(ClusterProblem) {
        guard node.isDeleting, node.isOrphanage else { return }
        let dependents = state.withLock { $0.graph.dependents(of: node.uid) }
        try await inParallel(dependents) { (dependent) throws(ClusterProblem) in try await self.forget([node.uid], in: dependent) }
        try await removeFinalizer(OwnerGraph.orphan, node)
    }

    /// Takes references to owners out of an object.
    private func forget(_ owners: Set<String>, in node: OwnerGraph.Node) async throws(ClusterProblem) {
        try await change(node) { object in
            let kept = object.owners.filter { !owners.contains($0["uid"]?.string ?? "") }
            return kept.count == object.owners.count ? nil : ["ownerReferences": JSON(kept)]
        }
    }

    /// The object no longer holds up its owners' ends.
    private func unblock(_ node: OwnerGraph.Node) async throws(ClusterProblem) {
        try await change(node) { object in
            var owners = object.owners
            for index in owners.indices where owners[index]["blockOwnerDeletion"] == true { owners[index]["blockOwnerDeletion"] = false }
            return owners == object.owners ? nil : ["ownerReferences": JSON(owners)]
        }
    }

    private func removeFinalizer(_ name: String, _ node: OwnerGraph.Node) async throws(ClusterProblem) {
        try await change(node) { object in
            let kept = object.metaFinalizers.filter { $0 != name }
            return kept.count == object.metaFinalizers.count ? nil : ["finalizers": JSON(kept)]
        }
    }

    /// Reads the object and changes its metadata, and starts over when someone else was faster.
    private func change(_ node: OwnerGraph.Node, _ make: @Sendable (JSON) -> JSON?) async throws(ClusterProblem) {
        while true {
            do throws(ClusterProblem) {
                let live = try await context.client.get(node.resource, namespace: node.namespace, name: node.name)
                guard live.metaUID == node.uid, var metadata = make(live) else { return }
                metadata["resourceVersion"] = JSON(live.metaResourceVersion)
                metadata["uid"] = JSON(node.uid)
                let changed = try await context.patch(node.resource, live, as: .merge, ["metadata": metadata])
                if !changed.isBeingDeleted { note(.set(changed), node.resource) }
                return
            } catch {
                if error.isNotFound { return }
                if !error.isConflict { throw error }
            }
        }
    }
}
