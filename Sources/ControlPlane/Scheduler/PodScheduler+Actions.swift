// What follows from a decision: binding, making room, or saying why a pod waits.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging
internal import Synchronization

extension PodScheduler {
    enum Action: Sendable {
        case decided(PlacementDecision)
        case failed(ClusterProblem)
    }

    func perform(_ action: Action, for pod: PodFacts) async {
        do throws(ClusterProblem) {
            switch action {
            case .failed(let problem): throw problem
            case .decided(.bind(let node, let volumes)): try await place(pod, on: node, volumes)
            case .decided(.impossible(let message)):
                giveBack(pod)
                try await tell(pod, message)
            case .decided(.preempt(let node, let victims, let message)):
                giveBack(pod)
                try await tell(pod, message, nominating: node)
                for victim in victims { try await evict(victim, for: pod, on: node) }
            }
        } catch {
            if error.isNotFound || error.isConflict {
                // Gone, or bound by someone else: the watch tells the rest. Until then it is tried again, later and later.
                giveBack(pod, isError: true)
                return
            }
            logger.warning("a pod could not be scheduled", metadata: ["pod": "\(pod.key)", "cause": "\(error.message)"])
            giveBack(pod, isError: true)
        }
    }

    private func giveBack(_ pod: PodFacts, isError: Bool = false) {
        state.withLock { $0.queue.fail(pod.key, isError: isError, now: monotonicSeconds()) }
        if isError { wake { _ in false } }
    }

    private func document(_ pod: PodFacts) -> JSON {
        state.withLock { $0.documents[pod.key] }
            ?? [
                "kind": "Pod", "apiVersion": "v1",
                "metadata": ["name": JSON(pod.name), "namespace": JSON(pod.namespace), "uid": JSON(pod.uid)],
            ]
    }

    // MARK: Binding

    private func place(_ pod: PodFacts, on node: String, _ volumes: [String: String?]) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            if !volumes.isEmpty {
                try await storage.prepare(volumes, for: pod, node: node)
                // When the claims are bound, the pod is decided anew.
                state.withLock { $0.giveUpPlace(pod.key) }
                giveBack(pod)
                return
            }
            let document = document(pod)
            let binding: JSON = [
                "apiVersion": "v1", "kind": "Binding",
                "metadata": ["name": JSON(pod.name), "namespace": JSON(pod.namespace), "uid": JSON(pod.uid)],
                "target": ["apiVersion": "v1", "kind": "Node", "name": JSON(node)],
            ]
            try await client.post(.pods, namespace: pod.namespace, name: pod.name, subresource: "binding", binding)
            state.withLock { $0.forget(pod.key) }
            events.record("Normal", "Scheduled", "Successfully assigned \(pod.key) to \(node)", about: document)
        } catch {
            state.withLock { $0.giveUpPlace(pod.key) }
            throw error
        }
    }

    // MARK: Saying why not

    /// Says once why a pod waits, in its status and as an event.
    private func tell(_ pod: PodFacts, _ message: String, nominating node: String? = nil) async throws(ClusterProblem) {
        let isNews = state.withLock { $0.told.updateValue(message, forKey: pod.key) != message }
        guard isNews || node != nil else { return }
        let document = document(pod)
        let now = JSON(clock.now().rfc3339)
        let condition: JSON = [
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": JSON(message), "lastProbeTime": .null,
            "lastTransitionTime": now,
        ]
        var status: JSON = ["conditions": [condition]]
        if let node { status["nominatedNodeName"] = JSON(node) }
        _ = try await client.patch(
            .pods, namespace: pod.namespace, name: pod.name, .strategic, ["status": status], subresource: "status")
        if isNews { events.record("Warning", "FailedScheduling", message, about: document) }
    }

    // MARK: Making room

    private func evict(_ key: String, for pod: PodFacts, on node: String) async throws(ClusterProblem) {
        let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return }
        do throws(ClusterProblem) {
            let victim = try await client.get(.pods, namespace: parts[0], name: parts[1])
            if victim.isBeingDeleted { return }
            let condition: JSON = [
                "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                "message": JSON("\(Self.name): preempting to accommodate a higher priority pod"),
                "lastTransitionTime": JSON(clock.now().rfc3339),
            ]
            _ = try await client.patch(
                .pods, namespace: parts[0], name: parts[1], .strategic, ["status": ["conditions": [condition]]], subresource: "status")
            try await client.delete(.pods, namespace: parts[0], name: parts[1], options: DeleteOptions(uid: victim.metaUID))
            events.record("Normal", "Preempted", "Preempted by pod \(pod.uid) on node \(node)", about: victim)
        } catch {
            if !error.isNotFound { throw error }
        }
    }
}
