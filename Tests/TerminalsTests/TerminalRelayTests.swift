// The relay between pages and agents: frames pass as they are, both sides are held back, hostile agents do no harm.
import Essentials
import Synchronization
import Terminals
import Testing
import Web

@Suite(.serialized) struct TerminalRelayTests {
    /// Answers, and remembers the agents that were opened.
    final class Cast: Sendable {
        let agents = Mutex<[PlayedAgent]>([])
        var last: PlayedAgent? { agents.withLock { $0.last } }
        func nodes(answer: String? = "{\"ok\":true,\"terminal\":\"t\"}\n") -> PlayedNodes {
            PlayedNodes { agent in
                self.agents.withLock { $0.append(agent) }
                if let answer {
                    agent.onBytes = { agent in
                        guard agent.header != nil else { return }
                        agent.onBytes = nil
                        agent.send(answer)
                    }
                }
            }
        }
    }

    final class Notes: Sendable { let labs = Mutex<[String]>([]) }

    @Test func framesPassAsTheyAre() async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes()) { port, hub in
            let page = try await Page.open(port, "/shell-1?columns=100&rows=30&resume=77&viewer=me")
            try await eventually("the agent is asked") { await cast.last?.header != nil }
            #expect(
                await cast.last?.header
                    == [
                        "open": "terminal", "name": "shell-1", "create": true, "columns": 100, "rows": 30, "role": "write", "viewer": "me",
                        "resume": 77,
                    ])
            let frames: [TerminalFrame] = [.event(["type": "attached"]), .output(offset: 77, [1, 2, 3]), .snapshot(offset: 80, [4])]
            await { @WebLoop in for frame in frames { cast.last?.frame(frame) } }()
            try await eventually("they came") { await page.frames.count == 3 }
            #expect(await page.frames == frames)
            let sent: [PageFrame] = [
                .input([0x6C, 0x73]), .resize(columns: 90, rows: 20), .acknowledge(80), .input([UInt8](repeating: 7, count: 64 << 10)),
            ]
            await { @WebLoop in for frame in sent { page.send(frame) } }()
            let expected = sent.flatMap { framed($0.bytes) }
            try await eventually("they came") { await cast.last?.body.count == expected.count }
            #expect(await cast.last?.body == expected)
            #expect(await hub.count == 1)
            await page.drop()
            try await eventually("the agent's stream ends with the page") { await cast.last?.isClosed == true }
            #expect(await hub.count == 0)
            #expect(await hub.opened == 1)
        }
    }

    @Test func viewersCannotType() async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes(), canWrite: false) { port, _ in
            let page = try await Page.open(port, "/1?role=write")
            try await eventually { await cast.last?.header != nil }
            #expect(await cast.last?.header?["role"] == "view")
            await { @WebLoop in
                page.send(PageFrame.input([1]))
                page.send(PageFrame.resize(columns: 10, rows: 10))
                page.send(PageFrame.acknowledge(5))
            }()
            try await eventually { await cast.last?.body == framed(PageFrame.acknowledge(5).bytes) }
        }
    }

    @Test(arguments: [[], [0x03], [0x01, 0, 0, 0, 0], [0x02, 1], [UInt8](repeating: 0, count: (64 << 10) + 2)] as [[UInt8]])
    func brokenFramesEndTheConnection(_ bytes: [UInt8]) async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes()) { port, hub in
            let page = try await Page.open(port)
            try await eventually { await cast.last?.header != nil }
            await page.send(bytes)
            try await eventually("it closes") { await page.closeCode != nil }
            #expect(await page.closeCode == TerminalClose.badFrame)
            #expect(await page.notices.count == 1)
            try await eventually { await hub.count == 0 }
        }
    }

    @Test func textIsNotSpokenHere() async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes()) { port, _ in
            let page = try await Page.open(port)
            try await eventually { await cast.last?.header != nil }
            await page.send(Array("ls".utf8), opcode: 1)
            try await eventually { await page.closeCode == TerminalClose.badFrame }
        }
    }

    @Test(arguments: [
        "", "garbage\n", "{}\n", "{\"ok\":true}\n\u{0}\u{0}\u{0}\u{0}", "{\"ok\":true}\n\u{7F}\u{7F}\u{7F}\u{7F}",
        "{\"ok\":true}\n\u{0}\u{0}\u{0}\u{1}\u{9}",
        "{\"ok\":true}\n\u{0}\u{0}\u{0}\u{3}\u{0}\u{0}\u{0}",
        "{\"ok\":true}\n\u{0}\u{0}\u{7F}\u{0}\u{1}" + String(repeating: " ", count: 0x7EFF), String(repeating: "x", count: 20_000),
    ]) func hostileAgentsAreCutOff(_ answer: String) async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes(answer: answer)) { port, hub in
            let page = try await Page.open(port)
            try await eventually { await cast.last?.header != nil }
            if answer.isEmpty { await cast.last?.close() }
            try await eventually("it closes") { await page.closeCode != nil }
            #expect(await page.closeCode == TerminalClose.tryAgain)
            #expect(await page.notices == [TerminalProblem.agentUnreachable("").message])
            try await eventually { await hub.count == 0 }
        }
    }

    @Test(
        arguments: [("TerminalNotFound", 4404), ("TerminalLimit", 4429), ("ViewerLimit", 4429), ("BadRequest", 4400)] as [(String, UInt16)])
    func refusalsHaveTheirCodes(_ reason: String, _ code: UInt16) async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes(answer: "{\"ok\":false,\"reason\":\"\(reason)\",\"message\":\"so\"}\n")) { port, _ in
            let page = try await Page.open(port)
            try await eventually { await page.closeCode != nil }
            #expect(await page.closeCode == code)
            #expect(await page.closeReason == "so")
        }
    }

    @Test func aNodeThatCannotBeReached() async throws {
        let nodes = PlayedNodes { _ in }
        nodes.fails.withLock { $0 = TerminalProblem.agentUnreachable("connection refused") }
        try await TerminalServer.with(nodes) { port, _ in
            let page = try await Page.open(port)
            try await eventually { await page.closeCode == TerminalClose.tryAgain }
            await #expect(throws: TerminalProblem.self) { try await AgentClient(nodes: nodes).status(lab: "l", node: "n") }
        }
    }

    @Test func aSlowPageHoldsTheAgentBack() async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes()) { port, hub in
            let page = try await Page.open(port)
            try await eventually { await cast.last?.header != nil }
            await page.pauseReading()
            let total = 32 << 20
            let chunk = TerminalFrame.output(offset: 0, [UInt8](repeating: 0x61, count: 60_000))
            await { @WebLoop in for _ in 0..<(total / 60_000) { cast.last?.frame(chunk) } }()
            try await Task.sleep(for: .milliseconds(500))
            // What the relay took is bounded by its buffer and the sockets'.
            #expect(await hub.bytesToPages < 16 << 20)
            let taken = await hub.bytesToPages
            try await Task.sleep(for: .milliseconds(300))
            #expect(await hub.bytesToPages == taken)
            await page.resumeReading()
            try await eventually("all of it arrives") { await page.outputBytes == total / 60_000 * 60_000 }
        }
    }

    @Test func aSlowAgentHoldsThePageBack() async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes()) { port, hub in
            let page = try await Page.open(port)
            try await eventually { await cast.last?.header != nil }
            await cast.last?.pauseReading()
            let frame = PageFrame.input([UInt8](repeating: 0x61, count: 60_000))
            await { @WebLoop in for _ in 0..<500 { page.send(frame) } }()
            try await Task.sleep(for: .milliseconds(500))
            #expect(await hub.bytesToNodes < 8 << 20)
            #expect(await page.isEnded == false)
        }
    }

    @Test func aLabThatEndsTakesItsTerminalsAlong() async throws {
        let cast = Cast()
        try await TerminalServer.with(cast.nodes()) { port, hub in
            let page = try await Page.open(port)
            try await eventually { await hub.count == 1 }
            await hub.close(lab: "other", message: "no")
            await hub.close(lab: "lab", node: "node2", message: "no")
            #expect(await hub.count == 1)
            await hub.close(lab: "lab", message: "The lab has ended.")
            try await eventually { await page.closeCode == TerminalClose.gone }
            #expect(await page.notices == ["The lab has ended."])
        }
    }

    @Test func typingIsNotedNowAndThen() async throws {
        let cast = Cast()
        let noted = Notes()
        try await TerminalServer.with(cast.nodes()) { port, hub in
            await { @WebLoop in hub.activity = { lab in noted.labs.withLock { $0.append(lab) } } }()
            let page = try await Page.open(port)
            try await eventually { await cast.last?.header != nil }
            await { @WebLoop in for _ in 0..<50 { page.send(PageFrame.input([1])) } }()
            try await eventually { await cast.last?.body.count == 50 * 6 }
            #expect(noted.labs.withLock { $0 } == ["lab"])
        }
    }

    // MARK: AgentClient

    @Test func questionsAndAnswers() async throws {
        let nodes = PlayedNodes { agent in
            agent.onBytes = { agent in
                guard let header = agent.header else { return }
                switch header["open"]?.string {
                case "status": agent.send("{\"ok\":true,\"hostname\":\"node1\"}\n")
                case "write-file":
                    guard agent.body.count == header["size"]?.int else { return }
                    agent.send(agent.body == [1, 2, 3] ? "{\"ok\":true}\n" : "{\"ok\":false,\"reason\":\"X\",\"message\":\"m\"}\n")
                case "read-file": agent.send(Array("{\"ok\":true,\"size\":2}\n".utf8) + [8, 9])
                case "exec":
                    agent.send("{\"ok\":true}\n")
                    agent.send(framed([0x00, 0x61]) + framed([0x02] + Array("{\"exitCode\":4,\"timedOut\":false}".utf8)))
                default: agent.send("{\"ok\":false,\"reason\":\"TerminalNotFound\",\"message\":\"none\"}\n")
                }
                // What was sent goes out before the end.
                WebLoop.post { WebLoop.post { agent.close() } }
            }
        }
        let client = AgentClient(nodes: nodes)
        #expect(try await client.status(lab: "l", node: "n")["hostname"] == "node1")
        try await client.writeFile(lab: "l", node: "n", path: "/f", contents: [1, 2, 3])
        await #expect(throws: TerminalProblem.refused(reason: "X", message: "m")) {
            try await client.writeFile(lab: "l", node: "n", path: "/f", contents: [1, 2])
        }
        #expect(try await client.readFile(lab: "l", node: "n", path: "/f") == [8, 9])
        #expect(try await client.exec(lab: "l", node: "n", command: ["x"]) == ExecResult(exitCode: 4, stdout: [0x61]))
        await #expect(throws: TerminalProblem.refused(reason: "TerminalNotFound", message: "none")) {
            try await client.closeTerminal(lab: "l", node: "n", name: "9")
        }
    }

    @Test func anAgentThatFloodsOrLiesIsCutOff() async throws {
        let flood = PlayedNodes { agent in agent.send([UInt8](repeating: 0x61, count: 4 << 20)) }
        await #expect(throws: TerminalProblem.self) { try await AgentClient(nodes: flood).status(lab: "l", node: "n") }
        await #expect(throws: TerminalProblem.self) { try await AgentClient(nodes: flood).exec(lab: "l", node: "n", command: ["x"]) }
        let short = PlayedNodes { agent in
            agent.send("{\"ok\":true,\"size\":5}\nab")
            WebLoop.post { WebLoop.post { agent.close() } }
        }
        await #expect(throws: TerminalProblem.self) { try await AgentClient(nodes: short).readFile(lab: "l", node: "n", path: "/f") }
    }

    @Test func aSilentAgentIsGivenUpAndCancelled() async throws {
        let silent = PlayedNodes { _ in }
        await #expect(throws: TerminalProblem.agentSilent) {
            try await AgentClient(nodes: silent).exec(lab: "l", node: "n", command: ["x"], timeoutSeconds: 1 - TerminalLimits.graceSeconds)
        }
        let task = Task { try await AgentClient(nodes: silent).status(lab: "l", node: "n") }
        try await Task.sleep(for: .milliseconds(50))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
