// Services under a real agent: started, killed, started again, stopped; what they print is kept and followed.
import Essentials
import Foundation
import Kernel
import Testing

@Suite struct ServiceLiveTests {
    /// An agent that knows one service, which prints a line and then waits.
    private func agent() throws -> LiveAgent {
        try LiveAgent { root in
            let folder = root + "/usr/lib/systemd/system"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try """
            [Unit]
            Description=A test
            [Service]
            Environment="WORD=hello there"
            ExecStart=/bin/sh -c "echo ${WORD}; exec sleep 1000"
            Restart=always
            RestartSec=20ms
            [Install]
            WantedBy=multi-user.target
            """.write(toFile: folder + "/a.service", atomically: true, encoding: .utf8)
            try "[Unit]\nConditionPathExists=\(root)/nothing\n[Service]\nExecStart=/bin/false\n".write(
                toFile: folder + "/b.service", atomically: true, encoding: .utf8)
        }
    }

    private func ask(_ agent: LiveAgent, _ verb: String, _ unit: String = "a.service") throws -> JSON {
        try agent.open(["open": "service", "verb": JSON(verb), "unit": JSON(unit)]).answer
    }

    private func waitUntil(_ condition: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<1000 {
            if try condition() { return true }
            usleep(10_000)
        }
        return false
    }

    @Test func aServiceLivesAndDiesAsAsked() throws {
        let agent = try agent()
        defer { agent.stop() }
        let started = try ask(agent, "start")
        let first = started["status"]?["pid"]?.int ?? 0
        #expect(started["ok"] == true && first > 1 && started["status"]?["active"] == "active")
        kill(Int32(first), SIGKILL)
        #expect(try waitUntil { (try ask(agent, "status")["status"]?["restarts"]?.int ?? 0) == 1 })
        let second = try ask(agent, "status")["status"]?["pid"]?.int ?? 0
        #expect(second > 1 && second != first)
        #expect(try ask(agent, "stop")["status"]?["active"] == "inactive" && kill(Int32(second), 0) != 0)
    }

    @Test func whatItPrintsIsKept() throws {
        let agent = try agent()
        defer { agent.stop() }
        _ = try ask(agent, "start")
        let (stream, answer) = try agent.open(["open": "service", "verb": "logs", "unit": "a.service", "follow": true])
        #expect(answer["ok"] == true)
        var lines: [String] = []
        while !lines.contains(where: { $0.hasSuffix(" hello there") }), lines.count < 10 {
            lines.append(String(decoding: try stream.line(), as: UTF8.self))
        }
        #expect(
            lines.contains { $0.hasSuffix("systemd[1] Started a.service - A test.") } && lines.contains { $0.hasSuffix(" hello there") })
    }

    @Test func unitsAreEnabledByLinksAndUnknownOnesAreRefused() throws {
        let agent = try agent()
        defer { agent.stop() }
        #expect(try ask(agent, "status")["status"]?["enabled"] == "disabled")
        #expect(try ask(agent, "enable")["changed"]?.array?.count == 1)
        #expect(try ask(agent, "status")["status"]?["enabled"] == "enabled")
        #expect(try ask(agent, "disable")["changed"]?.array?.count == 1)
        #expect(try ask(agent, "start", "none.service")["reason"] == "NoSuchUnit")
        #expect(try ask(agent, "frobnicate")["reason"] == "BadRequest")
        let unmet = try ask(agent, "start", "b.service")
        #expect(unmet["ok"] == true && unmet["status"]?["conditionUnmet"] == true && unmet["status"]?["active"] == "inactive")
    }
}
