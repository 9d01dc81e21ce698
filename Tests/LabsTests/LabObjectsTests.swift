// A lab as Kubernetes objects, and back.
import Essentials
import Labs
import Testing

@Suite struct LabObjectsTests {
    private var record: LabRecord {
        let now = Timestamp(seconds: 1_800_000_000)
        return LabRecord(
            id: "k7w2mqxr", owner: "u1", remoteAddress: "127.0.0.1", isWaiting: false, spec: LabSpec(workshop: "w", nodes: 2),
            lifetime: Lifetime(createdAt: now, expiresAt: now.adding(seconds: 60), extensionsUsed: 1, lastActiveAt: now), end: nil,
            isDeleting: false)
    }

    @Test func theNamespaceTellsAllOfALab() {
        #expect(LabRecord(namespace: LabObjects(record: record).namespace) == record)
        #expect(LabRecord(namespace: ["metadata": ["name": "default"]]) == nil)
    }

    @Test func aNamespaceWithSpoiledAnnotationsIsNoLab() {
        var namespace = LabObjects(record: record).namespace
        namespace[path: ["metadata", "annotations", LabKey.spec]] = "{"
        #expect(LabRecord(namespace: namespace) == nil)
    }

    @Test func nodesKnowEachOtherByNameAndHaveNoRootOnTheHost() {
        let pod = LabObjects(record: record).pod(2)
        #expect(pod["spec"]?["hostUsers"] == false)
        #expect(pod["spec"]?["hostAliases"]?[0]?["ip"] == "172.30.0.11")
        #expect(pod["metadata"]?["annotations"]?[LabKey.address] == "172.30.0.12")
    }

    @Test func aLabIsReadyWhenAllItsNodesAre() {
        let ready: JSON = ["status": ["conditions": [["type": "Ready", "status": "True"]], "podIP": "172.30.0.11"]]
        var view = LabView(record: record, pods: ["node1": ready])
        #expect(view.lab(caps: Caps()).state == .creating)
        #expect(view.missingNodes == [2])
        view.pods["node2"] = ready
        #expect(view.lab(caps: Caps()).state == .ready)
        #expect(view.missingNodes.isEmpty)
    }

    @Test func aFailedNodeIsNamedWithItsMessage() {
        let view = LabView(record: record, pods: ["node1": ["status": ["phase": "Failed", "message": "no disk"]]])
        let lab = view.lab(caps: Caps())
        #expect(lab.state == .failed && lab.message == "node1: no disk")
    }

    @Test func aWaitingLabTellsTheRuleAndItsPlace() {
        var waiting = record
        waiting.isWaiting = true
        let view = LabView(record: waiting, pods: [:], place: QueuePlace(position: 3, estimateSeconds: 60, rule: "labsTotal"))
        let lab = view.lab(caps: Caps())
        #expect(lab.state == .queued && lab.nodes.isEmpty)
        #expect(lab.message.contains("labsTotal") && lab.message.contains("number 3"))
        #expect(Lab(json: lab.json)?.id == lab.id)
    }
}
