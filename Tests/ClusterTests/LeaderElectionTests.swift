// Who may take a lease, and when.
import Essentials
import Testing

@testable import ClusterClient

@Suite struct LeaderElectionTests {
    private func decide(_ holder: String?, seconds: Int = 40, unchanged: Double = 0) -> LeaderElection.Decision {
        let lease: JSON? = holder.map { ["spec": ["holderIdentity": JSON($0), "leaseDurationSeconds": JSON(seconds)]] }
        return LeaderElection.decide(lease, identity: "node1_me", host: "node1", unchangedSeconds: unchanged)
    }

    @Test func aLeaseIsTakenOnlyFromWhoCannotBeAlive() {
        #expect(decide(nil) == .create)
        #expect(decide("node1_me") == .renew)
        #expect(decide("") == .takeOver)
        #expect(decide("node1_before") == .takeOver, "a predecessor on this host")
        #expect(decide("node12_other") == .wait)
        #expect(decide("node2_other", unchanged: 39) == .wait)
        #expect(decide("node2_other", unchanged: 41) == .takeOver)
        #expect(decide("node2_other", seconds: 15, unchanged: 16) == .takeOver)
    }
}
