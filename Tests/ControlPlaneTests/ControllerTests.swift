// The controllers, through the API.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite struct ControllerTests {
    @Test func aNamespaceGoesWhenItsPodsAreGone() async throws {
        let harness = try await Harness()
        let client = harness.client
        let controllers = ControllerManager(client: client, clock: harness.clock)
        _ = try await client.create(.namespaces, ["metadata": ["name": "lab"]])
        _ = try await client.create(.configMaps, ["metadata": ["name": "a", "namespace": "lab"]])
        _ = try await client.create(.pods, Harness.pod("placed", namespace: "lab"))
        _ = try await client.create(.pods, Harness.pod("loose", namespace: "lab"))
        try await client.post(.pods, namespace: "lab", name: "placed", subresource: "binding", ["target": ["name": "n1"]])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await controllers.run() }
            let answer = try await client.delete(.namespaces, name: "lab")
            #expect(answer["status"]?["phase"] == "Terminating")
            await #expect(throws: ClusterProblem.self) {
                try await client.create(.configMaps, ["metadata": ["name": "b", "namespace": "lab"]])
            }
            // The node's part: it sees that the pod is to go, and says when it is gone.
            for try await event in client.watch(.pods, namespace: "lab")
            where event.object.metaName == "placed" && event.object.isBeingDeleted {
                break
            }
            #expect(try await client.get(.namespaces, name: "lab")["status"]?["phase"] == "Terminating")
            try await client.delete(.pods, namespace: "lab", name: "placed", options: DeleteOptions(gracePeriodSeconds: 0))
            for try await event in client.watch(
                .namespaces, options: ListOptions(fieldSelector: "metadata.name=lab", resourceVersion: answer.metaResourceVersion))
            where event.kind == .deleted { break }
            #expect(try await client.list(.pods, namespace: "lab").items.isEmpty)
            #expect(try await client.list(.configMaps, namespace: "lab").items.isEmpty)
            group.cancelAll()
        }
    }

    @Test func aNodeThatFallsSilentIsLost() {
        var health = NodeHealth()
        health.note(node: "n", renewTime: "1", at: 0)
        #expect(!health.isLost("n", at: 40))
        health.note(node: "n", renewTime: "1", at: 41)
        #expect(health.isLost("n", at: 41))
        health.note(node: "n", renewTime: "2", at: 42)
        #expect(!health.isLost("n", at: 80))
    }

    @Test func oldEventsGo() async throws {
        let harness = try await Harness()
        let client = harness.client
        let cleaner = EventCleaner(client: client, clock: harness.clock)
        func event(_ name: String) -> JSON {
            [
                "metadata": ["name": JSON(name), "namespace": "default"],
                "involvedObject": ["kind": "Pod", "name": "a", "namespace": "default"],
                "lastTimestamp": JSON(harness.clock.now().rfc3339),
            ]
        }
        _ = try await client.create(.events, event("old"))
        harness.clock.advance(seconds: 3000)
        _ = try await client.create(.events, event("new"))
        harness.clock.advance(seconds: 1000)
        try await cleaner.clean()
        #expect(try await client.list(.events).items.map(\.metaName) == ["new"])
    }

    @Test func whatAQuotaSaysIsUsedFollowsThePods() async throws {
        let harness = try await Harness()
        let client = harness.client
        _ = try await client.create(.resourceQuotas, ["metadata": ["name": "q", "namespace": "default"], "spec": ["hard": ["pods": "3"]]])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await ControllerManager(client: client, clock: harness.clock).run() }
            _ = try await client.create(.pods, Harness.pod("a"))
            for try await event in client.watch(.resourceQuotas) where event.object["status"]?["used"]?["pods"] == "1" { break }
            group.cancelAll()
        }
    }

    @Test func controllersAreChosenAsTheFlagSays() {
        let all = ClusterControllers.chosen(["*"]).map(\.name)
        #expect(all.contains("deployment-controller") && !all.contains("bootstrap-signer-controller"))
        let some = ClusterControllers.chosen(["*", "bootstrapsigner", "-garbagecollector"]).map(\.name)
        #expect(some.contains("bootstrap-signer-controller") && !some.contains("garbage-collector-controller"))
        #expect(ClusterControllers.chosen(["replicaset"]).map(\.name) == ["replicaset-controller"])
        #expect(ClusterControllers.unknown(["*", "-job", "nonsense"]) == ["nonsense"])
    }
}
