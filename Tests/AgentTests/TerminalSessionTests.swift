// What viewers get and when the PTY is read, decided without a PTY.
import Agent
import Essentials
import Testing

@Suite struct TerminalSessionTests {
    private func session(base: UInt64 = 1000) -> TerminalSession {
        var session = TerminalSession(base: base, columns: 80, rows: 24)
        session.shellStarted()
        return session
    }

    private func attach(
        _ session: inout TerminalSession, _ number: Int, name: String = "v", role: TerminalSession.Role = .write, columns: Int = 80,
        rows: Int = 24, resume: UInt64? = nil
    ) {
        session.attach(number, name: name, role: role, columns: columns, rows: rows, resume: resume, terminal: "t")
    }

    /// Everything the viewer gets now.
    private func drain(_ session: inout TerminalSession, _ number: Int) -> [TerminalSession.Output] {
        var outputs: [TerminalSession.Output] = []
        while let output = session.next(for: number) { outputs.append(output) }
        return outputs
    }

    private func types(_ outputs: [TerminalSession.Output]) -> [String] {
        outputs.map {
            switch $0 {
            case .event(let event): event["type"]?.string ?? "?"
            case .snapshot(let offset): "snapshot@\(offset)"
            case .bytes(let range): "\(range.lowerBound)..<\(range.upperBound)"
            }
        }
    }

    private func applied(_ outputs: [TerminalSession.Output]) -> Int? {
        for case .event(let event) in outputs where event["type"] == "attached" { return event["inputApplied"]?.int }
        return nil
    }

    @Test func attachingComesFirstAndBytesOnce() {
        var session = session()
        session.received(end: 1010)
        attach(&session, 1)
        #expect(types(drain(&session, 1)) == ["attached", "1000..<1010", "viewers"])
        session.received(end: 1015)
        #expect(types(drain(&session, 1)) == ["1010..<1015"])
        #expect(drain(&session, 1).isEmpty)
    }

    @Test func resumingGoesOnExactlyThere() {
        var session = session()
        session.received(end: 1100)
        attach(&session, 1, resume: 1040)
        #expect(types(drain(&session, 1)).prefix(2) == ["attached", "1040..<1100"])
        attach(&session, 2, resume: 1100)
        #expect(types(drain(&session, 2)) == ["attached", "viewers"])
    }

    @Test(arguments: [UInt64(0), 999, 1101, .max]) func anOffsetThatIsGoneOrForeignGetsASnapshot(_ offset: UInt64) {
        var session = session()
        session.received(end: 1100)
        attach(&session, 1, resume: offset)
        #expect(types(drain(&session, 1)).prefix(3) == ["attached", "snapshot@1000", "1000..<1100"])
    }

    @Test func aRingThatForgotGivesASnapshotToNewcomersOnly() {
        var session = session()
        session.received(end: 2000)
        attach(&session, 1)
        _ = drain(&session, 1)
        session.forgot(before: 1500)
        session.received(end: 2100)
        #expect(types(drain(&session, 1)) == ["2000..<2100"])
        attach(&session, 2)
        #expect(types(drain(&session, 2)).prefix(3) == ["attached", "snapshot@1500", "1500..<2100"])
    }

    @Test func aSlowViewerSkipsByASnapshot() {
        var session = session()
        attach(&session, 1)
        _ = drain(&session, 1)
        session.received(end: 5000)
        session.emit(["type": "prompt"])
        session.forgot(before: 4000)
        #expect(types(drain(&session, 1)) == ["snapshot@4000", "4000..<5000", "prompt"])
    }

    @Test func eventsStandBetweenTheirBytes() {
        var session = session()
        attach(&session, 1)
        _ = drain(&session, 1)
        session.received(end: 1020)
        session.found(.commandStart, at: 1005)
        session.found(.commandEnd(7), at: 1015)
        session.found(.promptEnd, at: 1020)
        #expect(types(drain(&session, 1)) == ["1000..<1005", "command-start", "1005..<1015", "command-end", "1015..<1020", "prompt"])
    }

    @Test func unacknowledgedOutputStopsAtTheWindow() throws {
        var session = session(base: 0)
        attach(&session, 1)
        session.received(end: 3 << 20)
        _ = drain(&session, 1)
        #expect(!session.mayRead)
        #expect(throws: TerminalSession.Violation.acknowledgedTooMuch) { try session.acknowledge(1, offset: (1 << 20) + 1) }
        try session.acknowledge(1, offset: 1 << 20)
        #expect(types(drain(&session, 1)).first == "1048576..<1114112")
        #expect(!session.mayRead)
        try session.acknowledge(1, offset: 2 << 20)
        _ = drain(&session, 1)
        try session.acknowledge(1, offset: (3 << 20) - 1000)
        #expect(session.mayRead)
    }

    @Test func theFastestViewerSetsThePace() throws {
        var session = session(base: 0)
        attach(&session, 1)
        attach(&session, 2)
        for _ in 0..<8 {
            session.received(end: session.end + (512 << 10))
            _ = drain(&session, 1)
            _ = drain(&session, 2)
            #expect(
                try session.mayRead
                    || {
                        try session.acknowledge(2, offset: session.end)
                        return session.mayRead
                    }())
            try session.acknowledge(2, offset: session.end)
        }
        session.detach(2)
        #expect(!session.mayRead)
        session.detach(1)
        #expect(session.mayRead)
    }

    @Test func inputIsTakenExactlyOnceAcrossReconnects() throws {
        var session = session()
        attach(&session, 1, name: "tab")
        #expect(try session.accept(Array("abc".utf8), from: 1))
        session.wrote(2)
        session.detach(1)
        attach(&session, 2, name: "tab")
        #expect(applied(drain(&session, 2)) == 3)
        #expect(try session.accept(Array("def".utf8), from: 2))
        #expect(session.input.flatMap(\.bytes) == Array("cdef".utf8))
        attach(&session, 3, name: "other")
        #expect(applied(drain(&session, 3)) == 0)
    }

    @Test func viewersMayNotType() throws {
        var session = session()
        attach(&session, 1, role: .view, columns: 10, rows: 10)
        #expect(try !session.accept([0x61], from: 1))
        #expect(try !session.accept([0x61], from: 99))
        session.resize(1, columns: 20, rows: 20)
        #expect(session.columns == 80)
        #expect(session.input.isEmpty)
    }

    @Test func inputBeyondTheQueueIsAViolation() throws {
        var session = session()
        attach(&session, 1)
        for _ in 0..<16 { #expect(try session.accept([UInt8](repeating: 1, count: 64 << 10), from: 1)) }
        #expect(throws: TerminalSession.Violation.inputBeyondWindow) { try session.accept([1], from: 1) }
        session.wrote(session.input[0].bytes.count)
        #expect(try session.accept([1], from: 1))
    }

    @Test func writtenInputIsToldOnce() throws {
        var session = session()
        attach(&session, 1)
        _ = drain(&session, 1)
        _ = try session.accept(Array("abc".utf8), from: 1)
        #expect(!session.hasUntoldInput)
        session.wrote(3)
        #expect(session.hasUntoldInput)
        session.tellApplied(step: 1)
        #expect(types(drain(&session, 1)) == ["input-applied"])
        #expect(!session.hasUntoldInput)
    }

    @Test func theWriterWhoActedLastSetsTheSize() throws {
        var session = session()
        attach(&session, 1, name: "a", columns: 100, rows: 30)
        attach(&session, 2, name: "b", columns: 60, rows: 20)
        #expect((session.columns, session.rows) == (60, 20))
        _ = try session.accept([0x61], from: 1)
        #expect((session.columns, session.rows) == (100, 30))
        session.resize(2, columns: 61, rows: 21)
        #expect((session.columns, session.rows) == (61, 21))
        session.detach(2)
        #expect((session.columns, session.rows) == (100, 30))
        session.resize(1, columns: 60_000, rows: 1)
        #expect((session.columns, session.rows) == (500, 4))
    }

    @Test func eventsThatWaitAreBounded() {
        var session = session()
        attach(&session, 1)
        session.received(end: 10_000_000)
        for index in 0..<2000 {
            session.found(.title("t\(index)"), at: 5000)
            session.emit(["type": "prompt"], at: 5000)
        }
        var counts: [String: Int] = [:]
        for type in types(drain(&session, 1)) { counts[type, default: 0] += 1 }
        #expect(counts["attached"] == 1)
        #expect(counts["title", default: 0] <= 1)
        #expect(counts["prompt", default: 0] <= AgentLimits.pendingEvents)
    }

    @Test func onlyTheFirstMarkAfterACommandEndsIt() throws {
        var session = session()
        attach(&session, 1)
        session.found(.commandEnd(0), at: 1000)
        session.found(.promptEnd, at: 1000)
        _ = try session.accept([0x0D], from: 1)
        session.found(.commandStart, at: 1000)
        session.found(.commandEnd(2), at: 1000)
        session.found(.promptEnd, at: 1000)
        session.found(.commandEnd(2), at: 1000)
        session.found(.promptEnd, at: 1000)
        #expect(types(drain(&session, 1)) == ["attached", "viewers", "prompt", "command-start", "command-end", "prompt"])
        #expect(session.isAtPrompt)
    }

    @Test func anEnterWithoutACommandAlsoEnds() throws {
        var session = session()
        attach(&session, 1)
        session.found(.promptEnd, at: 1000)
        _ = drain(&session, 1)
        _ = try session.accept([0x0D], from: 1)
        session.found(.commandEnd(2), at: 1000)
        session.found(.promptEnd, at: 1000)
        let outputs = drain(&session, 1)
        #expect(types(outputs) == ["command-end", "prompt"])
        #expect(outputs.first == .event(["type": "command-end", "status": 2, "ran": false]))
    }

    @Test func theShellsEndIsToldAndItsInputDropped() throws {
        var session = session()
        attach(&session, 1)
        _ = drain(&session, 1)
        _ = try session.accept(Array("typed".utf8), from: 1)
        session.shellEnded(status: 3)
        #expect(session.input.isEmpty && session.inputBytes == 0)
        #expect(!session.mayRead)
        #expect(types(drain(&session, 1)) == ["exit"])
        attach(&session, 2)
        for case .event(let event) in drain(&session, 2) where event["type"] == "attached" {
            #expect(event["alive"] == false)
            #expect(event["exitStatus"] == 3)
        }
    }

    @Test func viewersThatCameAndWentAreForgotten() throws {
        var session = session()
        for index in 0..<1000 {
            attach(&session, index, name: "viewer-\(index)")
            _ = try session.accept([0x61], from: index)
            session.wrote(1)
            session.detach(index)
        }
        attach(&session, 5000, name: "viewer-999")
        #expect(applied(drain(&session, 5000)) == 1)
        attach(&session, 5001, name: "viewer-0")
        #expect(applied(drain(&session, 5001)) == 0)
    }
}
