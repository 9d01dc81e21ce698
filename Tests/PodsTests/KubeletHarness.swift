// A kubelet over an API server in memory, a fake runtime and folders of its own.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Database
import Essentials
import Kernel
import NodeKubelet
import Pods
import Synchronization
import Testing

/// An API server that can be away, and that makes tokens.
final class Wire: ClusterTransport {
    let server: any ClusterTransport
    let isDown = Mutex(false)
    let tokens = Mutex(0)
    init(_ server: any ClusterTransport) { self.server = server }

    func send(_ request: APIRequest) async -> APIResponse {
        if isDown.withLock({ $0 }) {
            let problem = ClusterProblem.unavailable("connection refused")
            return APIResponse(status: problem.code, body: .object(problem.status))
        }
        if request.method == "POST", request.path.hasSuffix("/token") {
            let number = tokens.withLock { value in
                value += 1
                return value
            }
            let until = SystemClock().now().adding(seconds: 3600).rfc3339
            return APIResponse(
                status: 201,
                body: .object(["status": ["token": JSON("token-\(number)"), "expirationTimestamp": JSON(until)]]))
        }
        // Who may do what is another room's business.
        var request = request
        request.user = .system
        return await server.send(request)
    }
}

struct KubeletHarness {
    let wire: Wire
    let client: ClusterClient
    let runtime: FakeRuntime
    let folder: String
    var settings = KubeletSettings()

    init() async throws {
        let store = try ClusterStore(path: ":memory:", durability: .processDeath)
        wire = Wire(APIServer(store: store, schema: .cluster))
        client = ClusterClient(transport: wire)
        for name in ["default", "kube-system", "kube-node-lease"] {
            _ = try await client.create(.namespaces, ["metadata": ["name": JSON(name)]])
        }
        runtime = FakeRuntime()
        folder = "/tmp/lectern-kubelet-\(Identifier.short())"
        try LinuxKernel().makeDirectories(folder + "/manifests")
        settings.nodeName = "node1"
        settings.nodeAddress = "127.0.0.1"
        settings.rootFolder = folder + "/kubelet"
        settings.logFolder = folder + "/logs"
        settings.networkFolder = folder + "/net.d"
        settings.manifestFolder = folder + "/manifests"
        settings.clusterDNS = ["10.96.0.10"]
        settings.clusterDomain = "cluster.local"
        settings.mountsMemory = false
        settings.healthPort = nil
        settings.port = nil
        settings.evictionDiskPercent = 0
    }

    /// Runs a kubelet while `body` does.
    func run(_ body: @escaping @Sendable (NodeKubelet) async throws -> Void) async throws {
        let kubelet = try NodeKubelet(settings: settings, client: client, runtime: runtime)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await kubelet.run() }
            defer { group.cancelAll() }
            try await body(kubelet)
        }
        _ = try? LinuxKernel().removeTree(folder)
    }

    /// Waits until it holds; gives up after half a minute.
    func eventually(_ what: String, _ holds: () async throws -> Bool) async throws {
        for _ in 0..<1500 {
            if try await holds() { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("never: \(what)")
        throw CancellationError()
    }

    func pod(_ name: String, namespace: String = "default") async -> JSON {
        (try? await client.get(.pods, namespace: namespace, name: name)) ?? .null
    }

    func isReady(_ name: String, namespace: String = "default") async -> Bool {
        await pod(name, namespace: namespace)["status"]?["conditions"]?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" }
            ?? false
    }

    @discardableResult
    func create(_ name: String, spec: JSON, metadata: JSON = .emptyObject) async throws -> JSON {
        var spec = spec
        if spec["nodeName"] == nil { spec["nodeName"] = "node1" }
        var object: JSON = ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": JSON(name), "namespace": "default"], "spec": spec]
        for (key, value) in metadata.members { object[path: ["metadata", key]] = value }
        return try await client.create(.pods, object)
    }

    func events(_ name: String) async -> [JSON] {
        ((try? await client.list(.events, namespace: "default").items) ?? []).filter { $0["involvedObject"]?["name"]?.string == name }
    }
}
