// Says that this machine is a node: the Node object, its state when it changes, and a Lease renewed while the kubelet lives.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging
internal import Pods
internal import Synchronization

final class NodeReporter: Sendable {
    private static let leaseNamespace = "kube-node-lease"
    /// Images that the status lists at most, as upstream.
    static let imageLimit = 50
    /// The API server may be starting on this very node: quick at first.
    private static let retryMilliseconds =
        [20, 30] + Array(repeating: 50, count: 40) + Array(repeating: 200, count: 15) + [500, 500, 1000, 2000, 5000]

    private struct State {
        var lease: JSON = .null
        var lastStatus: JSON = .null
        var lastStatusAt = -Double.infinity
    }

    private let settings: KubeletSettings
    private let client: ClusterClient
    private let node: NodeKnowledge
    private let runtime: any PodRuntime
    private let events: EventSink
    private let state = Mutex(State())
    private let log = Logger(label: "kubelet")

    init(settings: KubeletSettings, client: ClusterClient, node: NodeKnowledge, runtime: any PodRuntime, events: EventSink) {
        self.settings = settings
        self.client = client
        self.node = node
        self.runtime = runtime
        self.events = events
    }

    /// Makes the Node object or adopts the one there is; tries until it succeeds.
    func register() async {
        var attempt = 0
        while !Task.isCancelled {
            do throws(ClusterProblem) {
                try await registerOnce()
                return
            } catch {
                if attempt == 0 || attempt % 10 == 9 {
                    log.warning("node not registered yet", metadata: ["node": "\(settings.nodeName)", "cause": "\(error.message)"])
                }
            }
            try? await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(attempt, Self.retryMilliseconds.count - 1)]))
            attempt += 1
        }
    }

    private func registerOnce() async throws(ClusterProblem) {
        var object: JSON = ["apiVersion": "v1", "kind": "Node", "metadata": ["name": JSON(settings.nodeName)], "spec": .emptyObject]
        object[path: ["metadata", "labels"]] = JSON(labels)
        object[path: ["metadata", "annotations"]] = ["volumes.kubernetes.io/controller-managed-attach-detach": "true"]
        let taints = taints
        if !taints.isEmpty { object["spec"]?["taints"] = .array(taints) }
        object["status"] = await status(previous: .null)
        do throws(ClusterProblem) {
            let made = try await client.create(.nodes, object)
            node.note(node: made)
            log.notice("node registered", metadata: ["node": "\(settings.nodeName)"])
        } catch {
            guard error.isAlreadyExists else { throw error }
            let old = try await client.get(.nodes, name: settings.nodeName)
            node.note(node: old)
            let known = old.metaLabels
            if labels.contains(where: { known[$0.key] != $0.value }) {
                node.note(node: try await client.patch(.nodes, name: settings.nodeName, .merge, ["metadata": ["labels": JSON(labels)]]))
            }
        }
        events.record(.normal("Starting", "Starting kubelet."), aboutNode: settings.nodeName)
        // The server may not take a status with a new object.
        try await writeStatus(force: true)
    }

    private var labels: [String: String] {
        let base = [
            "kubernetes.io/hostname": NodeFacts.hostName(), "kubernetes.io/os": "linux", "kubernetes.io/arch": NodeFacts.architecture,
            "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": NodeFacts.architecture,
        ]
        return base.merging(settings.labels) { $1 }
    }

    private var taints: [JSON] {
        settings.taints.compactMap { text in
            guard let colon = text.lastIndex(of: ":") else { return nil }
            let parts = text[..<colon].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            var taint: JSON = ["key": JSON(parts[0]), "effect": JSON(String(text[text.index(after: colon)...]))]
            if parts.count == 2, !parts[1].isEmpty { taint["value"] = JSON(parts[1]) }
            return taint
        }
    }

    /// Writes the status where it changed or is due again.
    func writeStatus(force: Bool = false) async throws(ClusterProblem) {
        let previous = node.node["status"] ?? .null
        let status = await status(previous: previous)
        let isDue = state.withLock { state in
            force || Self.plain(status) != Self.plain(state.lastStatus)
                || monotonicSeconds() - state.lastStatusAt >= settings.statusSeconds
        }
        guard isDue else { return }
        var changes = status
        if previous["addresses"] != nil { changes["addresses"] = .array([["$patch": "replace"]] + (status["addresses"]?.array ?? [])) }
        let answer = try await client.patch(.nodes, name: settings.nodeName, .strategic, ["status": changes], subresource: "status")
        node.note(node: answer)
        let wasReady = Self.isReady(state.withLock { $0.lastStatus })
        state.withLock { state in
            state.lastStatus = status
            state.lastStatusAt = monotonicSeconds()
        }
        if let wasReady, let isReady = Self.isReady(status), wasReady != isReady {
            let word = isReady ? "NodeReady" : "NodeNotReady"
            events.record(.normal(word, "Node \(settings.nodeName) status is now: \(word)"), aboutNode: settings.nodeName)
        }
    }

    private static func isReady(_ status: JSON) -> Bool? {
        status["conditions"]?.array?.first { $0["type"]?.string == "Ready" }.map { $0["status"]?.string == "True" }
    }

    // Without the times, which change on their own.
    private static func plain(_ status: JSON) -> JSON {
        var status = status
        status["conditions"] = .array(
            (status["conditions"]?.array ?? []).map { condition in
                var condition = condition
                condition["lastHeartbeatTime"] = nil
                condition["lastTransitionTime"] = nil
                return condition
            })
        return status
    }

    private func status(previous: JSON) async -> JSON {
        let facts = NodeFacts(rootFolder: settings.rootFolder)
        let allocatable = facts.allocatable(settings)
        node.note(allocatable: allocatable)
        let problem = await runtime.networkProblem()
        node.note(networkProblem: problem)
        let images = await runtime.images().sorted { $0.sizeBytes > $1.sizeBytes }.prefix(Self.imageLimit)
        let name = settings.nodeName
        return [
            "capacity": facts.capacity(podLimit: settings.podLimit).document, "allocatable": allocatable.document,
            "conditions": .array(
                NodeConditions.conditions(
                    networkProblem: problem, pressures: node.pressures, previous: previous["conditions"]?.array ?? [],
                    now: SystemClock().now())),
            "addresses": [
                ["type": "InternalIP", "address": JSON(node.address)], ["type": "Hostname", "address": JSON(name)],
            ],
            "daemonEndpoints": ["kubeletEndpoint": ["Port": JSON(Int(settings.port ?? 0))]],
            "nodeInfo": [
                "machineID": JSON(facts.machineID), "systemUUID": JSON(facts.systemUUID), "bootID": JSON(facts.bootID),
                "kernelVersion": JSON(facts.kernelVersion), "osImage": JSON(facts.systemName),
                "containerRuntimeVersion": JSON("\(settings.runtimeName)://\(settings.runtimeVersion)"),
                "kubeletVersion": JSON(KubeletSettings.version), "kubeProxyVersion": JSON(KubeletSettings.version),
                "operatingSystem": "linux", "architecture": JSON(NodeFacts.architecture),
            ],
            "images": .array(images.map { ["names": JSON($0.names), "sizeBytes": JSON($0.sizeBytes)] }),
        ]
    }

    /// Renews the lease, and looks whether the status changed, until cancelled.
    func keepAlive() async {
        while !Task.isCancelled {
            do throws(ClusterProblem) {
                try await renewLease()
                // Changes are told as they happen; this is for those that nobody tells.
                let isDue = state.withLock { monotonicSeconds() - $0.lastStatusAt >= settings.statusSeconds }
                if isDue {
                    try await writeStatus()
                } else if await runtime.networkProblem() != node.networkProblem {
                    try await writeStatus()
                }
            } catch {
                if error.isNotFound {
                    // Someone deleted the Node: this machine is still one.
                    log.warning("the node is not known any more; registering again")
                    await register()
                    continue
                }
                log.warning("node state not written", metadata: ["cause": "\(error.message)"])
            }
            try? await Task.sleep(for: .seconds(settings.renewSeconds))
        }
    }

    private func renewLease() async throws(ClusterProblem) {
        let now = JSON(SystemClock().now().rfc3339Micro)
        let name = settings.nodeName
        let known = state.withLock { $0.lease }
        if !known.isNull {
            do throws(ClusterProblem) {
                _ = try await client.patch(
                    .leases, namespace: Self.leaseNamespace, name: name, .merge, ["spec": ["renewTime": now, "holderIdentity": JSON(name)]])
                return
            } catch {
                guard error.isNotFound else { throw error }
            }
        }
        let spec: JSON = ["holderIdentity": JSON(name), "leaseDurationSeconds": JSON(settings.leaseSeconds), "renewTime": now]
        var lease: JSON = [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": ["name": JSON(name), "namespace": JSON(Self.leaseNamespace)], "spec": spec,
        ]
        if let uid = node.uid, !uid.isEmpty {
            lease[path: ["metadata", "ownerReferences"]] = [
                ["apiVersion": "v1", "kind": "Node", "name": JSON(name), "uid": JSON(uid)]
            ]
        }
        do throws(ClusterProblem) {
            let made = try await client.create(.leases, lease)
            state.withLock { $0.lease = made }
        } catch {
            guard error.isAlreadyExists else { throw error }
            let patched = try await client.patch(.leases, namespace: Self.leaseNamespace, name: name, .merge, ["spec": spec])
            state.withLock { $0.lease = patched }
        }
    }
}
