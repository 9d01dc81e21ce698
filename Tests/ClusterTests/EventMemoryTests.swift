// Events that repeat are counted, similar ones combined, floods dammed.
import Essentials
import Testing

@testable import ClusterClient

@Suite struct EventMemoryTests {
    private func event(_ name: String, _ message: String, uid: String = "u") -> JSON {
        [
            "metadata": ["name": JSON(name), "namespace": "default"], "involvedObject": ["uid": JSON(uid)], "type": "Warning",
            "reason": "FailedCreate", "message": JSON(message), "source": ["component": "x"], "count": 1,
        ]
    }

    @Test func theSameAgainRaisesTheCount() {
        var memory = EventMemory()
        #expect(memory.decide(event("a", "no"), at: 0) == .create(event("a", "no")))
        guard case .raise("a", "default", let change) = memory.decide(event("b", "no"), at: 1) else {
            Issue.record("not raised")
            return
        }
        #expect(change["count"] == 2)
        memory.forget("a")
        #expect(memory.decide(event("c", "no"), at: 2) == .create(event("c", "no")))
    }

    @Test func manySimilarOnesBecomeOne() {
        var memory = EventMemory()
        var created = 0
        var combined = 0
        for number in 0..<20 {
            switch memory.decide(event("e\(number)", "pod \(number)"), at: Double(number)) {
            case .create(let event):
                created += 1
                if event["message"]?.string?.hasPrefix("(combined from similar events): ") ?? false { combined += 1 }
            case .raise(_, _, let change): #expect(change["message"]?.string?.hasPrefix("(combined") ?? false)
            case .drop: Issue.record("dropped")
            }
        }
        #expect(combined == 1 && created == 10)
    }

    @Test func aFloodBecomesATrickle() {
        var memory = EventMemory()
        let decisions = (0..<100).map { _ in memory.decide(event("a", "no"), at: 0) }
        #expect(decisions.count { $0 != .drop } == 25)
        #expect(memory.decide(event("a", "no"), at: 301) != .drop)
        #expect(memory.decide(event("a", "no", uid: "other"), at: 301) != .drop)
    }
}
