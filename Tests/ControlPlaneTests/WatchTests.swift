// Watching through the API server.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Essentials
import Testing

@Suite struct WatchTests {
    @Test func aWatchTellsEachChangeOnceAndInOrder() async throws {
        let harness = try await Harness()
        let list = try await harness.client.list(.configMaps)
        let first = try await harness.client.create(.configMaps, ["metadata": ["name": "a", "namespace": "default"]])
        var events = harness.client.watch(.configMaps, options: ListOptions(resourceVersion: list.resourceVersion)).makeAsyncIterator()
        #expect(try await events.next() == WatchEvent(kind: .added, object: first))
        let second = try await harness.client.patch(.configMaps, namespace: "default", name: "a", .merge, ["data": ["k": "v"]])
        #expect(try await events.next() == WatchEvent(kind: .modified, object: second))
        try await harness.client.delete(.configMaps, namespace: "default", name: "a")
        let last = try await events.next()
        #expect(last?.kind == .deleted)
        #expect(last?.object["data"] == ["k": "v"])
        #expect(Int(last?.object.metaResourceVersion ?? "") ?? 0 > Int(second.metaResourceVersion) ?? 0)
    }

    @Test func aSelectionSeesObjectsComeAndGo() async throws {
        let harness = try await Harness()
        var events = harness.client.watch(
            .pods, options: ListOptions(fieldSelector: "spec.nodeName=n1", resourceVersion: String(harness.store.revision))
        )
        .makeAsyncIterator()
        _ = try await harness.client.create(.pods, Harness.pod("a"))
        try await harness.client.post(.pods, namespace: "default", name: "a", subresource: "binding", ["target": ["name": "n1"]])
        let added = try await events.next()
        #expect(added?.kind == .added)
        #expect(added?.object.metaName == "a")
    }

    @Test func anOldVersionIsGone() async throws {
        let harness = try await Harness()
        for index in 0..<5 {
            _ = try await harness.client.create(.configMaps, ["metadata": ["name": "m\(index)", "namespace": "default"]])
        }
        for index in 0..<5 { try await harness.client.delete(.configMaps, namespace: "default", name: "m\(index)") }
        try harness.store.compact(through: harness.store.revision)
        var events = harness.client.watch(.configMaps, options: ListOptions(resourceVersion: "2")).makeAsyncIterator()
        do {
            _ = try await events.next()
            Issue.record("the watch should have failed")
        } catch let problem as ClusterProblem {
            #expect(problem.isExpired)
        }
    }

    @Test func aReaderThatNeverReadsIsEnded() async throws {
        let harness = try await Harness()
        let response = await harness.server.send(
            APIRequest(
                method: "GET", path: "/api/v1/configmaps", query: [("watch", "true"), ("resourceVersion", String(harness.store.revision))],
                user: .system))
        guard case .stream(let lines) = response.body else {
            Issue.record("no stream")
            return
        }
        var map = try await harness.client.create(.configMaps, ["metadata": ["name": "a", "namespace": "default"]])
        for index in 0..<(ClusterStore.watcherLimitEvents + 10) {
            map["data"] = ["k": JSON(String(index))]
            map = try await harness.client.update(.configMaps, map)
        }
        var last: [UInt8] = []
        var count = 0
        for await line in lines {
            last = line
            count += 1
        }
        let end = try JSON(parsing: last)
        #expect(end["type"] == "ERROR")
        #expect(end["object"]?["code"] == 410)
        #expect(count <= ClusterStore.watcherLimitEvents + 1)
        #expect(harness.store.watcherCount == 0)
    }

    @Test func onlyTheFirstTableOfAWatchHasColumns() async throws {
        let harness = try await Harness()
        for name in ["a", "b"] { _ = try await harness.client.create(.pods, Harness.pod(name)) }
        let response = await harness.server.send(
            APIRequest(
                method: "GET", path: "/api/v1/pods", query: [("watch", "true")],
                headers: [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")], user: .system))
        guard case .stream(let lines) = response.body else {
            Issue.record("no stream")
            return
        }
        var counts: [Int] = []
        for await line in lines {
            counts.append(try JSON(parsing: line)["object"]?["columnDefinitions"]?.array?.count ?? -1)
            if counts.count == 2 { break }
        }
        #expect(counts == [9, 0])
    }

    @Test func aDroppedWatchIsForgotten() async throws {
        let harness = try await Harness()
        do {
            var events = harness.client.watch(.configMaps).makeAsyncIterator()
            _ = try await harness.client.create(.configMaps, ["metadata": ["name": "a", "namespace": "default"]])
            _ = try await events.next()
            #expect(harness.store.watcherCount == 1)
        }
        #expect(harness.store.watcherCount == 0)
    }
}
