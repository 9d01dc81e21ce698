// The real agent with real shells: nothing twice, nothing lost, nothing left behind.
import Agent
import Essentials
import Foundation
import Kernel
import Testing

@Suite(.serialized) struct AgentLiveTests {
    @Test func aShellTellsOfItsCommands() throws {
        let agent = try LiveAgent()
        let terminal = try agent.terminal()
        #expect(terminal.attached["alive"] == true)
        _ = try terminal.event("prompt")
        terminal.type("sh -c 'exit 7'\r")
        #expect(try terminal.event("command-end")["status"] == 7)
        #expect(terminal.events.contains { $0["type"] == "command-start" })
        terminal.forgetEvents()
        for command in ["PS1='changed> '\r", "PROMPT_COMMAND=\r", "true\r"] {
            terminal.forgetEvents()
            terminal.type(command)
            #expect(try terminal.event("command-end")["status"] == 0)
            _ = try terminal.event("prompt")
        }
        terminal.forgetEvents()
        let shown = terminal.output.count
        terminal.type("if\r")
        try terminal.until("\r\u{1B}[?2004h> ", from: shown)
        terminal.type("\u{03}")
        #expect(try terminal.event("command-end")["status"] == 130)
        terminal.forgetEvents()
        terminal.type("cat\r")
        #expect(try terminal.event("foreground")["program"] == "cat")
        terminal.forgetEvents()
        terminal.type("\u{04}")
        #expect(try terminal.event("foreground")["busy"] == false)
    }

    @Test func reloadingGoesOnExactlyThere() throws {
        let agent = try LiveAgent()
        let watcher = try agent.terminal(viewer: "watcher", role: "view")
        var terminal = try agent.terminal()
        _ = try terminal.event("prompt")
        let begin = terminal.offset
        terminal.type("for i in $(seq 1 4000); do echo line $i; done; echo do''ne\r")
        var collected: [UInt8] = []
        for _ in 0..<30 {
            let had = terminal.output.count
            for _ in 0..<5 where terminal.stream.waits(milliseconds: 50) { try terminal.step() }
            collected += terminal.output[had...]
            let offset = terminal.offset
            terminal = try agent.terminal(resume: offset)
            #expect(terminal.attached["resumed"] == true)
            #expect(terminal.snapshots == 0)
        }
        if !String(decoding: collected, as: UTF8.self).contains("\ndone") { try terminal.until("\ndone") }
        try terminal.settle()
        collected += terminal.output
        try watcher.until("\ndone")
        try watcher.settle()
        let from = Int(begin - UInt64(watcher.attached["offset"]!.integer!))
        #expect(watcher.output.count >= from)
        // The first reads of `terminal` before `begin` are not in `collected`.
        #expect(String(decoding: collected, as: UTF8.self) == String(decoding: watcher.output[from...], as: UTF8.self))
    }

    @Test func inputIsAppliedExactlyOnce() throws {
        let agent = try LiveAgent()
        var terminal = try agent.terminal(viewer: "typist")
        _ = try terminal.event("prompt")
        terminal.type("stty -echo; head -c 60000 > \(agent.directory)/typed; echo writ''ten\r")
        _ = try terminal.event("command-start")
        let prefix = Int(try terminal.event("attached")["inputApplied"]!.integer!)
        #expect(prefix == 0)
        // Lines of 60 bytes, numbered; every line counts all its bytes.
        let text = Array((0..<1000).map { String(format: "%059d\n", $0) }.joined().utf8)
        terminal = try agent.terminal(resume: terminal.offset, viewer: "typist")
        let base = Int(terminal.attached["inputApplied"]!.integer!)
        var random = SeededRandom(seed: 3)
        var sent = 0
        while sent < text.count {
            let count = min(text.count - sent, Int.random(in: 1...2000, using: &random))
            terminal.stream.sendFrame([0x00] + text[sent..<sent + count])
            sent += count
            if Int.random(in: 0..<3, using: &random) == 0 {
                // The connection is lost, perhaps with this input on the way; the rest is sent from where the agent got to.
                terminal = try agent.terminal(resume: terminal.offset, viewer: "typist")
                sent = Int(terminal.attached["inputApplied"]!.integer!) - base
                #expect(sent >= 0 && sent <= text.count)
            }
        }
        try terminal.until("written")
        #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: agent.directory + "/typed"))) == text)
    }

    @Test func outputThatNobodyAcknowledgesStops() throws {
        let agent = try LiveAgent()
        let terminal = try agent.terminal()
        terminal.acknowledges = false
        _ = try terminal.event("prompt")
        terminal.type("yes\r")
        let start = terminal.offset
        while terminal.stream.waits(milliseconds: 1000) { try terminal.step() }
        #expect(terminal.offset - start <= AgentLimits.viewerWindowBytes)
        #expect(terminal.offset - start > 200_000)
        #expect(agent.memoryBytes < 30 << 20)
        terminal.forgetEvents()
        terminal.type("\u{03}")
        terminal.acknowledges = true
        terminal.acknowledge()
        #expect(try terminal.event("command-end")["status"] == 130)
        #expect(terminal.offset - start < 3 << 20, "what was under way, and no more")
    }

    @Test func aFloodWithoutViewersEndsInASnapshotAndTheRing() throws {
        let agent = try LiveAgent()
        var terminal = try agent.terminal()
        _ = try terminal.event("prompt")
        terminal.type("seq 1 1500000; head -c 1000000 /dev/urandom; printf '\\ec'; seq 1 300000; echo fin''ished\r")
        let offset = terminal.offset
        terminal = try agent.terminal("other")
        for _ in 0..<3000 {
            if try agent.status()["terminals"]?[0]?["prompt"] == true { break }
            usleep(20_000)
        }
        terminal = try agent.terminal(resume: offset)
        #expect(terminal.attached["resumed"] == false)
        try terminal.until("\nfinished")
        #expect(terminal.snapshots == 1)
        #expect(terminal.text.contains("\n299999\r\n300000\r\nfinished"))
        #expect(agent.memoryBytes < 40 << 20)
    }

    @Test func aSlowViewerDoesNotHoldUpAFastOne() throws {
        let agent = try LiveAgent()
        let slow = try agent.terminal(viewer: "slow", role: "view")
        slow.acknowledges = false
        let fast = try agent.terminal(viewer: "fast")
        _ = try fast.event("prompt")
        fast.type("seq 1 800000; echo fin''ished\r")
        try fast.until("\nfinished")
        #expect(fast.snapshots == 0)
        #expect(slow.snapshots == 0)
        // It read nothing while the ring went by: the rest of its window, then a snapshot and what is remembered.
        slow.acknowledges = true
        try slow.until("\nfinished")
        #expect(slow.snapshots == 1)
        #expect(slow.text.contains("\n799999\r\n800000\r\nfinished"))
        #expect(slow.offset <= fast.offset + 4096)
    }

    @Test func severalViewersSeeTheSame() throws {
        let agent = try LiveAgent()
        let one = try agent.terminal(viewer: "one")
        let two = try agent.terminal(viewer: "two")
        let watcher = try agent.terminal(viewer: "three", role: "view")
        _ = try one.event("prompt")
        watcher.type("touch \(agent.directory)/forbidden\r")
        two.type("echo from''-two\r")
        for terminal in [one, two, watcher] { try terminal.until("from-two") }
        #expect(!ReaperFiles.exists(agent.directory + "/forbidden"))
        two.resize(100, 33)
        two.type("stty size\r")
        try one.until("33 100")
        one.resize(90, 20)
        one.type("stty size\r")
        try watcher.until("20 90")
    }

    @Test func anEndedShellIsFollowedByAFreshOne() throws {
        let agent = try LiveAgent()
        let terminal = try agent.terminal()
        _ = try terminal.event("prompt")
        terminal.type("exit 5\r")
        #expect(try terminal.event("exit")["status"] == 5)
        terminal.forgetEvents()
        terminal.type("\r")
        _ = try terminal.event("prompt")
        terminal.type("echo a''gain\r")
        try terminal.until("again")
        // Killed from outside, then attached anew.
        terminal.forgetEvents()
        terminal.type("kill -9 $$\r")
        #expect(try terminal.event("exit")["status"] == 137)
        let next = try agent.terminal()
        #expect(next.attached["alive"] == true)
    }

    @Test func commandsRunAndEnd() throws {
        let agent = try LiveAgent()
        #expect(try agent.execute(["sh", "-c", "echo out; echo err >&2; exit 3"]).end["exitCode"] == 3)
        #expect(try agent.execute(["no-such-program"]).end["exitCode"] == 127)
        let large = try agent.execute(["head", "-c", "3000000", "/dev/zero"])
        #expect(large.output.utf8.count == AgentLimits.execOutputBytes)
        #expect(large.end["truncated"] == true)
        let quick = try agent.execute(["sh", "-c", "sleep 1000 & echo $!"])
        let child = Int32(quick.output.trimmingCharacters(in: .whitespacesAndNewlines))!
        #expect(ReaperProcesses.exists(child), "a child in the background is not waited for")
        kill(child, SIGKILL)
    }

    @Test func aTimeOutKillsTheWholeGroup() throws {
        let agent = try LiveAgent()
        let result = try agent.execute(["sh", "-c", "sleep 1000 & echo $!; sleep 1000"], timeoutSeconds: 1)
        #expect(result.end["timedOut"] == true)
        #expect(result.end["exitCode"] == 137)
        let child = Int32(result.output.trimmingCharacters(in: .whitespacesAndNewlines))!
        for _ in 0..<200 where ReaperProcesses.exists(child) { usleep(10_000) }
        #expect(!ReaperProcesses.exists(child))
    }

    @Test func orphansAreCollected() throws {
        let agent = try LiveAgent()
        for _ in 0..<20 { _ = try agent.execute(["sh", "-c", "(sh -c 'sleep 0.05; exit 1' &) ; exit 0"]) }
        for _ in 0..<200 where !agent.children.isEmpty { usleep(20_000) }
        #expect(agent.zombies == 0)
        #expect(agent.children.isEmpty)
    }

    @Test func filesMoveWholeOrNotAtAll() throws {
        let agent = try LiveAgent()
        let contents = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let path = agent.directory + "/sub/file"
        #expect(
            try agent.open(["open": "write-file", "path": JSON(path), "size": JSON(contents.count)], body: contents).answer["ok"] == false)
        let written = try agent.open(
            ["open": "write-file", "path": JSON(path), "size": JSON(contents.count), "mode": 0o640, "parents": true], body: contents)
        #expect(written.answer["ok"] == true)
        let (stream, answer) = try agent.open(["open": "read-file", "path": JSON(path)])
        #expect(answer["size"] == JSON(contents.count))
        #expect(try stream.exactly(contents.count) == contents)
        #expect(try agent.open(["open": "read-file", "path": "/dev/zero"]).answer["ok"] == false)
        #expect(try agent.open(["open": "read-file", "path": JSON(path), "limitBytes": 10]).answer["ok"] == false)
        #expect(try agent.open(["open": "write-file", "path": JSON(agent.directory), "size": 0]).answer["ok"] == false)
        #expect(ReaperFiles.names(in: agent.directory + "/sub") == ["file"])
    }

    @Test func brokenStreamsAreRefusedAndHarmless() throws {
        let agent = try LiveAgent()
        for bad in ["\n", "{}\n", "not json\n", String(repeating: "x", count: 20_000), "{\"open\":\"terminal\",\"name\":\"A\"}\n"] {
            let stream = LiveStream(try PTYFiles.connect(path: agent.socket))
            stream.send(Array(bad.utf8))
            #expect(try JSON(parsing: stream.line())["ok"] == false)
        }
        let frames: [[UInt8]] = [
            [0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0, 1, 0, 2, 0], [0, 0, 0, 1, 9], [0, 0, 0, 3, 1, 0, 80],
            [0, 0, 0, 9, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        for bytes in frames {
            let terminal = try agent.terminal()
            terminal.stream.send(bytes)
            #expect(try terminal.event("notice")["level"] == "error")
            #expect(throws: (any Error).self) { while true { try terminal.step() } }
        }
        #expect(try agent.terminal().attached["type"] == "attached")
    }

    @Test func terminalsAreLimitedAndIdleOnesGiveWay() throws {
        let agent = try LiveAgent()
        var terminals: [LiveTerminal] = []
        for index in 1...AgentLimits.terminals { terminals.append(try agent.terminal("\(index)")) }
        #expect(try agent.open(["open": "terminal", "name": "17"]).answer["reason"] == "TerminalLimit")
        #expect(try agent.open(["open": "terminal", "name": "18", "create": false]).answer["reason"] == "TerminalNotFound")
        _ = try terminals[3].event("prompt")
        terminals[3].type("exit\r")
        _ = try terminals[3].event("exit")
        terminals.remove(at: 3)
        for _ in 0..<100 {
            if try agent.status()["terminals"]!.array!.contains(where: { $0["viewers"] == 0 }) { break }
            usleep(10_000)
        }
        #expect(try agent.open(["open": "terminal", "name": "17"]).answer["ok"] == true)
        #expect(try agent.open(["open": "close-terminal", "name": "1"]).answer["ok"] == true)
        #expect(throws: (any Error).self) { while true { try terminals[0].step() } }
    }

    @Test func whoListensIsTold() throws {
        let agent = try LiveAgent()
        let terminal = try agent.terminal()
        _ = try terminal.event("prompt")
        let script = "$s = IO::Socket::INET->new(LocalAddr => q(127.0.0.1), Listen => 1); print q(port ), $s->sockport, chr 10; sleep 60"
        terminal.type("echo; exec perl -MIO::Socket::INET -e '\(script)'\r")
        try terminal.until("\r\nport ")
        try terminal.settle(milliseconds: 200)
        let text = terminal.text.components(separatedBy: "\r\nport ").last!.prefix { $0.isNumber }
        let entry = try agent.status()["listening"]!.array!.first { $0["port"] == JSON(Int(text)!) }
        #expect(entry?["address"] == "127.0.0.1")
        #expect(entry?["process"]?.string?.hasPrefix("perl") == true)
    }

    @Test func theEndTakesShellsAlong() throws {
        let agent = try LiveAgent()
        let terminal = try agent.terminal()
        _ = try terminal.event("prompt")
        terminal.type("sleep 987 & echo pid $!\r")
        try terminal.until("\r\npid ")
        let children = agent.children
        #expect(!children.isEmpty)
        agent.stop()
        for _ in 0..<200 where children.contains(where: { ReaperProcesses.exists(Int32($0.pid)) }) { usleep(10_000) }
        for child in children { #expect(!ReaperProcesses.exists(Int32(child.pid))) }
    }
}
