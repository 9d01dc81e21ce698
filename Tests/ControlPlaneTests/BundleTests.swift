// One watch for many kinds: informers share it, join it later, and do without it where a server has none.
import APIServer
import ClusterClient
import ClusterModel
import Essentials
import Synchronization
import Testing

@testable import Controllers

/// Refuses one path, as a server that is not ours would, and counts watches.
private final class Narrow: ClusterTransport {
    let server: APIServer
    let hasBundle: Bool
    let bundles = Mutex(0)
    let watches = Mutex(0)
    init(_ server: APIServer, hasBundle: Bool) {
        self.server = server
        self.hasBundle = hasBundle
    }
    func send(_ request: APIRequest) async -> APIResponse {
        if request.path == "/lectern/watch" {
            bundles.withLock { $0 += 1 }
            if !hasBundle { return APIResponse(status: 404, body: .object(ClusterProblem.noSuchPath.status)) }
        } else if request.queryValue("watch") == "true" {
            watches.withLock { $0 += 1 }
        }
        return await server.send(request)
    }
}

@Suite(.timeLimit(.minutes(1))) struct BundleTests {
    private func follow(hasBundle: Bool) async throws -> Narrow {
        let cluster = try await WorkloadHarness()
        let transport = Narrow(cluster.server, hasBundle: hasBundle)
        let shared = SharedInformers(client: ClusterClient(transport: transport))
        let client = cluster.client
        _ = try await client.create(.configMaps, ["metadata": ["name": "a", "namespace": "default"], "data": ["k": "v"]])
        let maps = shared.informer(.configMaps)
        let secrets = shared.metadata(.secrets)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await shared.run() }
            await maps.waitForSync()
            await secrets.waitForSync()
            #expect(maps.item(namespace: "default", name: "a")?["data"]?["k"] == "v")
            _ = try await client.create(
                .secrets, ["metadata": ["name": "s", "namespace": "default", "labels": ["x": "y"]], "stringData": ["k": "v"]])
            for await change in secrets.changes() {
                #expect(change.object.metaName == "s" && change.object["data"] == nil && change.object.metaLabels.isEmpty)
                break
            }
            let services = shared.informer(.services)
            await services.waitForSync()
            _ = try await client.create(
                .services, ["metadata": ["name": "web", "namespace": "default"], "spec": ["ports": [["port": 80]]]])
            for await change in services.changes() where change.object.metaName == "web" { break }
            _ = try await client.patch(.configMaps, namespace: "default", name: "a", .merge, ["data": ["k": "w"]])
            for await change in maps.changes() where change.object["data"]?["k"] == "w" { break }
            try await client.delete(.configMaps, namespace: "default", name: "a")
            for await change in maps.changes() { if case .deleted = change { break } }
            group.cancelAll()
        }
        return transport
    }

    @Test func allKindsComeOverOneWatch() async throws {
        let transport = try await follow(hasBundle: true)
        #expect(transport.watches.withLock { $0 } == 0)
        #expect(transport.bundles.withLock { $0 } >= 2, "opened again when an informer joined")
    }

    @Test func otherServersGetAWatchAKind() async throws {
        let transport = try await follow(hasBundle: false)
        #expect(transport.watches.withLock { $0 } == 3)
    }

    @Test func onlyWhoMayWatchAllMayWatchABundle() async throws {
        let cluster = try await WorkloadHarness()
        let response = await cluster.server.send(
            APIRequest(
                method: "GET", path: "/lectern/watch", query: [("watch", "true"), ("resourceVersion", "1")],
                user: UserInfo(name: "someone", groups: ["system:authenticated"])))
        #expect(response.status == 403)
    }
}
