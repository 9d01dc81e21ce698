// When a lab ends, who is warned, and how far an extension reaches.
import Essentials
import Labs
import Testing

@Suite struct LifetimeTests {
    let start = Timestamp(seconds: 1_800_000_000)
    var life: Lifetime {
        Lifetime(createdAt: start, expiresAt: start.adding(seconds: 3600), extensionsUsed: 0, lastActiveAt: start)
    }

    @Test func aLabEndsAtItsExpiryAlsoWhenTheServerWasDown() throws {
        var caps = Caps()
        try caps.set(.idleMinutes, to: 0)
        #expect(life.verdict(now: start.adding(seconds: 3599), caps: caps) == nil)
        #expect(life.verdict(now: start.adding(seconds: 90_000), caps: caps)?.reason == "LifetimeReached")
    }

    @Test func aLabNobodyUsesEnds() throws {
        var caps = Caps()
        try caps.set(.idleMinutes, to: 10)
        #expect(life.verdict(now: start.adding(seconds: 600), caps: caps)?.reason == "IdleTimeReached")
        #expect(life.nextVerdictAt(caps: caps) == start.adding(seconds: 600))
    }

    @Test func aClockThatJumpsBackEndsNothing() {
        #expect(life.verdict(now: start.adding(seconds: -86_400), caps: Caps()) == nil)
    }

    @Test func warningsComeOnceAndTheLateOneOnly() {
        let end = life.expiresAt
        #expect(life.warning(after: end.adding(seconds: -901), upTo: end.adding(seconds: -900)) == 15)
        #expect(life.warning(after: end.adding(seconds: -900), upTo: end.adding(seconds: -899)) == nil)
        #expect(life.warning(after: start, upTo: end.adding(seconds: -30)) == 1)
    }

    @Test func extensionsAreCountedAndEndAtTheMaximum() throws {
        var caps = Caps()
        try caps.set(.extensions, to: 2)
        try caps.set(.labLifetimeMaximumMinutes, to: 80)
        let once = try life.extended(minutes: 30, isStaff: false, caps: caps, now: start)
        #expect(once.expiresAt == start.adding(seconds: 80 * 60))
        #expect(once.extensionsLeft(caps: caps) == 1)
        #expect(throws: LabProblem.self) { try once.extended(minutes: 5, isStaff: false, caps: caps, now: start) }
        #expect(throws: LabProblem.self) { try life.extended(minutes: 31, isStaff: false, caps: caps, now: start) }
        #expect(throws: LabProblem.self) { try life.extended(minutes: 0, isStaff: true, caps: caps, now: start) }
    }
}
