// Gives each new pod a node: watches pods and nodes, decides in memory, binds through the API.
//
// May touch: the API only. Caller: the program. A pod is decided the moment its event arrives; pods that fit nowhere are
// tried again when a node changes or another pod goes.
package import ClusterClient
internal import ClusterModel
package import Essentials
internal import Logging
internal import Synchronization

package final class PodScheduler: Sendable {
    /// The scheduler that pods name when they name none.
    package static let name = "default-scheduler"
    /// Pause before pods whose binding failed are tried again, in milliseconds.
    static let retryMilliseconds = 500

    private struct State {
        var placement = Placement()
        /// Pods without a node, by key.
        var waiting: [String: JSON] = [:]
        /// The last sentence told about a pod that fits nowhere.
        var told: [String: String] = [:]
    }

    private let client: ClusterClient
    private let clock: any WallClock
    private let pods: Informer
    private let nodes: Informer
    private let events: EventWriter
    private let state = Mutex(State())
    private let queue = WorkQueue()
    private let logger = Logger(label: "scheduler")

    package init(client: ClusterClient, clock: any WallClock = SystemClock()) {
        self.client = client
        self.clock = clock
        pods = Informer(client: client, resource: .pods)
        nodes = Informer(client: client, resource: .nodes)
        events = EventWriter(client: client, component: Self.name, clock: clock)
    }

    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.pods.run() }
            group.addTask { try await self.nodes.run() }
            group.addTask { try await self.events.run() }
            await nodes.waitForSync()
            await pods.waitForSync()
            // All that is bound counts before the first decision.
            state.withLock { state in
                for node in nodes.items() { state.placement.set(node: node) }
                for pod in pods.items() { state.placement.set(pod: pod) }
            }
            group.addTask { for await change in self.nodes.changes() { self.note(node: change) } }
            group.addTask { for await change in self.pods.changes() { self.note(pod: change) } }
            group.addTask { try await self.queue.run { try await self.schedule($0) } }
            try await group.next()
            group.cancelAll()
        }
    }

    private func note(node change: InformerChange) {
        let keys = state.withLock { state in
            switch change {
            case .added(let node), .modified(let node):
                let before = state.placement.nodes[node.metaName]?.node
                state.placement.set(node: node)
                // A node's sign of life changes nothing for those who wait.
                if let before, before["spec"] == node["spec"], before["status"]?["allocatable"] == node["status"]?["allocatable"],
                    before["metadata"]?["labels"] == node["metadata"]?["labels"]
                {
                    return [String]()
                }
            case .deleted(let node): state.placement.remove(node: node.metaName)
            }
            return Array(state.waiting.keys)
        }
        for key in keys { queue.add(key) }
    }

    private func note(pod change: InformerChange) {
        let keys: [String] = state.withLock { state in
            switch change {
            case .added(let pod), .modified(let pod):
                let key = pod.objectKey
                if let node = pod["spec"]?["nodeName"]?.string, !node.isEmpty {
                    state.waiting[key] = nil
                    state.told[key] = nil
                    let had = state.placement.isPlaced(key)
                    state.placement.set(pod: pod)
                    return had && !state.placement.isPlaced(key) ? Array(state.waiting.keys) : []
                }
                guard Self.isOurs(pod) else {
                    state.waiting[key] = nil
                    return []
                }
                let isNew = state.waiting.updateValue(pod, forKey: key) == nil
                return isNew ? [key] : []
            case .deleted(let pod):
                state.waiting[pod.objectKey] = nil
                state.told[pod.objectKey] = nil
                let had = state.placement.isPlaced(pod.objectKey)
                state.placement.remove(pod: pod.objectKey)
                return had ? Array(state.waiting.keys) : []
            }
        }
        for key in keys { queue.add(key) }
    }

    private static func isOurs(_ pod: JSON) -> Bool {
        !pod.isBeingDeleted && !PodUse.hasEnded(pod) && (pod["spec"]?["schedulerName"]?.string ?? name) == name
            && (pod["spec"]?["schedulingGates"]?.array?.isEmpty ?? true)
    }

    private func schedule(_ key: String) async throws {
        let decided: (pod: JSON, decision: PlacementDecision)? = state.withLock { state in
            guard let pod = state.waiting[key] else { return nil }
            let decision = state.placement.decide(pod)
            if case .bind(let node) = decision { state.placement.assume(pod, on: node) }
            return (pod, decision)
        }
        guard let (pod, decision) = decided else { return }
        switch decision {
        case .bind(let node): try await bind(pod, to: node, key)
        case .impossible(let message): try await tell(pod, message, key)
        }
    }

    private func bind(_ pod: JSON, to node: String, _ key: String) async throws {
        let binding: JSON = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": JSON(pod.metaName), "namespace": JSON(pod.metaNamespace), "uid": JSON(pod.metaUID)],
            "target": ["apiVersion": "v1", "kind": "Node", "name": JSON(node)],
        ]
        do throws(ClusterProblem) {
            try await client.post(.pods, namespace: pod.metaNamespace, name: pod.metaName, subresource: "binding", binding)
            _ = state.withLock { $0.waiting.removeValue(forKey: key) }
            events.record("Normal", "Scheduled", "Successfully assigned \(key) to \(node)", about: pod)
        } catch {
            state.withLock { $0.placement.remove(pod: key) }
            // Gone or bound by someone else: the watch tells the rest.
            if error.isNotFound || error.isConflict { return }
            throw error
        }
    }

    /// Says once why a pod waits, in its status and as an event.
    private func tell(_ pod: JSON, _ message: String, _ key: String) async throws {
        let isNews = state.withLock { $0.told.updateValue(message, forKey: key) != message }
        guard isNews else { return }
        let now = JSON(clock.now().rfc3339)
        let condition: JSON = [
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": JSON(message), "lastProbeTime": .null,
            "lastTransitionTime": now,
        ]
        do throws(ClusterProblem) {
            _ = try await client.patch(
                .pods, namespace: pod.metaNamespace, name: pod.metaName, .strategic, ["status": ["conditions": [condition]]],
                subresource: "status")
            events.record("Warning", "FailedScheduling", message, about: pod)
        } catch {
            if !error.isNotFound { throw error }
        }
    }
}
