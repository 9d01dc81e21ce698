// Who gets a place, who waits and who is refused.
import Essentials
import Labs
import Testing

@Suite struct AdmissionTests {
    let now = Timestamp(seconds: 1_800_000_000)

    private func load(_ id: String, owner: String = "a", address: String = "10.0.0.1", waiting: Bool = false, age: Int64 = 0) -> LabLoad {
        LabLoad(
            id: id, owner: owner, address: address, isWaiting: waiting, createdAt: now.adding(seconds: -age),
            expiresAt: now.adding(seconds: 3600 - age))
    }

    private func rules(_ changes: [Cap: Int]) throws -> AdmissionRules {
        var caps = Caps()
        for (cap, value) in changes { try caps.set(cap, to: value) }
        return AdmissionRules(caps: caps, memoryTotalBytes: 10 << 30)
    }

    @Test func onePersonHoldsNoMoreThanTheCap() throws {
        let rules = try rules([.labsPerPerson: 1])
        #expect(throws: LabProblem.self) { try rules.request(owner: "a", address: "x", isStaff: false, load: [load("1")]) }
        try rules.request(owner: "b", address: "x", isStaff: false, load: [load("1")])
        try rules.request(owner: "a", address: "x", isStaff: true, load: [load("1")])
    }

    @Test func manyNamesFromOneAddressDoNotTakeAllPlaces() throws {
        let rules = try rules([.labsPerAddress: 2])
        let load = [load("1", owner: "a"), load("2", owner: "b")]
        let error = #expect(throws: LabProblem.self) { try rules.request(owner: "c", address: "10.0.0.1", isStaff: false, load: load) }
        #expect(error?.message.contains("labsPerAddress") == true)
    }

    @Test func aFullMachineMakesTheNextOneWait() throws {
        let rules = try rules([.labsTotal: 1])
        #expect(rules.canStart(load: [load("1")], memoryUsedBytes: 0) == .labsTotal)
        #expect(rules.canStart(load: [load("1", waiting: true)], memoryUsedBytes: 0) == nil)
        #expect(rules.canStart(load: [], memoryUsedBytes: 8 << 30) == .memoryTotalMiB)
        #expect(rules.canStart(load: [], memoryUsedBytes: 7 << 30) == nil)
    }

    @Test func aFullQueueRefuses() throws {
        let rules = try rules([.labsTotal: 1, .queueLength: 1])
        let full = [load("1", owner: "x"), load("2", owner: "y", waiting: true)]
        let error = #expect(throws: LabProblem.self) { try rules.request(owner: "z", address: "q", isStaff: false, load: full) }
        #expect(error?.message.contains("queueLength") == true)
    }

    @Test func theQueueIsInOrderOfAskingAndEstimatesByExpiry() {
        let load = [load("c", waiting: true, age: 5), load("b", waiting: true, age: 10), load("r", age: 600)]
        #expect(AdmissionRules.queue(load) == ["b", "c"])
        #expect(AdmissionRules.estimateSeconds(position: 1, load: load, now: now) == 3000)
        #expect(AdmissionRules.estimateSeconds(position: 1, load: [], now: now) == nil)
    }

    @Test func capsOutsideTheirRangeAreRefusedAndChangeNothing() {
        var caps = Caps()
        #expect(throws: LabProblem.self) { try caps.set(.nodesPerLab, to: 6) }
        #expect(caps[.nodesPerLab] == 5)
    }

    @Test func aWorkshopThatAsksMoreThanACapNamesTheCap() throws {
        var caps = Caps()
        try caps.set(.memoryMiBPerNode, to: 512)
        let spec = LabSpec(workshop: "w", nodes: 2, memoryMiBPerNode: 1024)
        let error = #expect(throws: LabProblem.self) { try spec.fitted(to: caps) }
        #expect(error?.message.contains("memoryMiBPerNode") == true)
        #expect(try LabSpec(workshop: "w", nodes: 2).fitted(to: caps).memoryMiBPerNode == 512)
    }

    @Test func aSourceThatAsksTooOftenIsToldWhenToComeBack() {
        var bucket = RequestBucket(now: now)
        for _ in 0..<Int(RequestBucket.burst) { #expect(bucket.take(now: now) == nil) }
        #expect(bucket.take(now: now) == 1)
        #expect(bucket.take(now: now.adding(seconds: 2)) == nil)
        #expect(bucket.isFull(now: now.adding(seconds: 120)))
    }
}
