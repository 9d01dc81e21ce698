// An API server in this process, and objects as components would have written them.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Database
import Essentials
import Kernel

struct Cluster {
    let client: ClusterClient

    init() async throws {
        let store = try ClusterStore(path: ":memory:", durability: .processDeath)
        client = ClusterClient(transport: APIServer(store: store, schema: .cluster))
        _ = try await client.create(.namespaces, ["metadata": ["name": "default", "labels": ["kubernetes.io/metadata.name": "default"]]])
        _ = try await client.create(.namespaces, ["metadata": ["name": "other", "labels": ["team": "blue"]]])
    }

    func add(_ node: FakeNode, podCIDR: String? = nil) async throws {
        var object: JSON = ["metadata": ["name": JSON(node.name)], "spec": .emptyObject]
        if let podCIDR { object["spec"] = ["podCIDR": JSON(podCIDR), "podCIDRs": [JSON(podCIDR)]] }
        _ = try await client.create(.nodes, object)
        _ = try await client.patch(
            .nodes, name: node.name, .strategic,
            ["status": ["addresses": [["type": "InternalIP", "address": JSON("\(node.address)")]]]], subresource: "status")
    }

    func addPod(_ name: String, namespace: String = "default", _ address: IPv4, on node: FakeNode, labels: [String: String] = [:])
        async throws
    {
        _ = try await client.create(
            .pods,
            [
                "metadata": ["name": JSON(name), "namespace": JSON(namespace), "labels": JSON(labels)],
                "spec": [
                    "nodeName": JSON(node.name),
                    "containers": [["name": "main", "image": "alpine", "ports": [["name": "web", "containerPort": 8080]]]],
                ],
            ])
        _ = try await client.patch(
            .pods, namespace: namespace, name: name, .strategic,
            ["status": ["phase": "Running", "podIP": JSON("\(address)"), "podIPs": [["ip": JSON("\(address)")]]]], subresource: "status")
    }

    func addPolicy(_ name: String, _ spec: JSON) async throws {
        _ = try await client.create(.networkPolicies, ["metadata": ["name": JSON(name), "namespace": "default"], "spec": spec])
    }
}

/// Waits until something is true; false after five seconds.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    for _ in 0..<500 {
        if try condition() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return false
}

/// Runs something beside the body and ends it afterwards.
func beside(_ works: [@Sendable () async throws -> Void], _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for work in works { group.addTask { do { try await work() } catch is CancellationError {} } }
        do { try await body() } catch {
            group.cancelAll()
            throw error
        }
        group.cancelAll()
        while await group.nextResult() != nil {}
    }
}
