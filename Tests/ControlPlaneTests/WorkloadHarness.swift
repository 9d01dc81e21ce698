// A cluster in memory: API server, the lab's controllers, and a node that says of each pod what a kubelet would say.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Database
import Essentials
import Synchronization
import Testing

@testable import Controllers

/// What the pretended node does with a pod.
enum FakeFate: Sendable {
    case ready, running, pending, succeeded, failed
}

final class FakeNode: Sendable {
    let client: ClusterClient
    let nodes: [String]
    private let fate: @Sendable (JSON) -> FakeFate
    private let count = Mutex(0)

    init(client: ClusterClient, nodes: [String] = ["n1", "n2"], fate: @escaping @Sendable (JSON) -> FakeFate = { _ in .ready }) {
        self.client = client
        self.nodes = nodes
        self.fate = fate
    }

    func run() async throws {
        let pods = Informer(client: client, resource: .pods)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pods.run() }
            group.addTask {
                for await change in pods.changes() {
                    if case .deleted = change { continue }
                    try? await self.tend(change.object)
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private func tend(_ pod: JSON) async throws(ClusterProblem) {
        if pod.isBeingDeleted {
            if pod["metadata"]?["deletionGracePeriodSeconds"]?.int ?? 0 > 0 {
                _ = try await client.delete(
                    .pods, namespace: pod.metaNamespace, name: pod.metaName, options: DeleteOptions(gracePeriodSeconds: 0))
            }
            return
        }
        if pod["status"]?["phase"]?.string ?? "Pending" != "Pending" { return }
        let number = count.withLock { count in
            count += 1
            return count
        }
        if pod["spec"]?["nodeName"]?.string ?? "" == "" {
            let affinity = pod["spec"]?["affinity"]?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]
            let field = affinity?["nodeSelectorTerms"]?[0]?["matchFields"]?[0]?["values"]?[0]?.string
            try await client.post(
                .pods, namespace: pod.metaNamespace, name: pod.metaName, subresource: "binding",
                ["target": ["name": JSON(field ?? nodes[number % nodes.count])]])
        }
        let fate = fate(pod)
        guard fate != .pending else { return }
        let now = JSON(SystemClock().now().rfc3339)
        let phase: JSON = fate == .succeeded ? "Succeeded" : fate == .failed ? "Failed" : "Running"
        let ready: JSON = fate == .ready ? "True" : "False"
        _ = try await client.patch(
            .pods, namespace: pod.metaNamespace, name: pod.metaName, .merge,
            [
                "status": [
                    "phase": phase, "podIP": JSON("10.32.\(number / 250).\(number % 250 + 1)"),
                    "podIPs": [["ip": JSON("10.32.\(number / 250).\(number % 250 + 1)")]],
                    "conditions": [["type": "Ready", "status": ready, "lastTransitionTime": now]],
                ]
            ], subresource: "status")
    }
}

struct WorkloadHarness {
    let store: ClusterStore
    let server: APIServer
    let client: ClusterClient

    init(path: String = ":memory:") async throws {
        store = try ClusterStore(path: path, durability: .processDeath)
        server = APIServer(store: store, schema: .cluster)
        client = ClusterClient(transport: server)
        _ = try await client.create(.namespaces, ["metadata": ["name": "default"]])
    }

    /// Runs the controllers and a node beside `body`.
    func run(
        _ selection: [String] = ["*"], nodes: [String] = ["n1", "n2"], fate: @escaping @Sendable (JSON) -> FakeFate = { _ in .ready },
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let client = client
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await ClusterControllers(client: client, selection: selection).run() }
            group.addTask { try? await FakeNode(client: client, nodes: nodes, fate: fate).run() }
            try await body()
            group.cancelAll()
        }
    }

    /// Waits until the object is as wanted, and answers with it.
    @discardableResult
    func wait(
        _ resource: GroupVersionResource, _ name: String, namespace: String? = "default", _ isWanted: @Sendable (JSON) -> Bool
    ) async throws -> JSON {
        let options = ListOptions(fieldSelector: "metadata.name=" + name)
        for try await event in client.watch(resource, namespace: namespace, options: options)
        where event.kind != .bookmark && event.kind != .deleted && isWanted(event.object) {
            return event.object
        }
        throw CancellationError()
    }

    /// Waits until the objects that the selector selects are as wanted.
    @discardableResult
    func waitForAll(
        _ resource: GroupVersionResource, _ selector: String? = nil, namespace: String? = "default", _ isWanted: ([JSON]) -> Bool
    ) async throws -> [JSON] {
        var items = try await client.list(resource, namespace: namespace, options: ListOptions(labelSelector: selector))
        if isWanted(items.items) { return items.items }
        let options = ListOptions(labelSelector: selector, resourceVersion: items.resourceVersion)
        for try await event in client.watch(resource, namespace: namespace, options: options) where event.kind != .bookmark {
            items = try await client.list(resource, namespace: namespace, options: ListOptions(labelSelector: selector))
            if isWanted(items.items) { return items.items }
        }
        throw CancellationError()
    }

    func messages() async throws -> [String] {
        try await client.list(.events).items.compactMap { $0["message"]?.string }
    }

    static func template(_ labels: [String: String], image: String = "alpine:1") -> JSON {
        ["metadata": ["labels": JSON(labels)], "spec": ["containers": [["name": "main", "image": JSON(image)]]]]
    }

    static func deployment(_ name: String, replicas: Int, image: String = "alpine:1") -> JSON {
        [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": JSON(name), "namespace": "default"],
            "spec": [
                "replicas": JSON(replicas), "selector": ["matchLabels": ["app": JSON(name)]],
                "template": template(["app": name], image: image),
                "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
                "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": "25%", "maxUnavailable": "25%"]],
            ],
        ]
    }
}
