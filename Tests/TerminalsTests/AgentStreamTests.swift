// What an agent sends, cut anywhere, and what a hostile one may send.
import Essentials
import Terminals
import Testing

@Suite struct AgentStreamTests {
    private let answer: JSON = ["ok": true, "terminal": "x"]

    @Test func anyCutGivesTheSameParts() throws {
        let frames: [[UInt8]] = [[0x01, 0x7B, 0x7D], [0x00] + [UInt8](repeating: 7, count: 300), [0x02]]
        let bytes = answer.bytes + [0x0A] + frames.flatMap(framed)
        let expected = [AgentStream.Part.answer(answer)] + frames.map(AgentStream.Part.frame)
        for step in [1, 2, 3, 5, 7, 64, 1000] {
            var stream = AgentStream(frameLimitBytes: 1000)
            var parts: [AgentStream.Part] = []
            for start in stride(from: 0, to: bytes.count, by: step) {
                parts += try stream.take(Array(bytes[start..<min(start + step, bytes.count)]))
            }
            #expect(parts == expected)
            #expect(stream.heldBytes == 0)
        }
    }

    @Test(arguments: ["\n", "{}\n", "null\n", "not json\n", "{\"ok\":1}\n", "[true]\n"]) func answersThatAreNone(_ line: String) {
        var stream = AgentStream(frameLimitBytes: 1000)
        #expect(throws: TerminalProblem.self) { try stream.take(Array(line.utf8)) }
    }

    @Test func anAnswerWithoutEndIsCutOff() throws {
        var stream = AgentStream(frameLimitBytes: 1000)
        #expect(throws: TerminalProblem.self) {
            for _ in 0..<100 { _ = try stream.take([UInt8](repeating: 0x20, count: 1000)) }
        }
        #expect(stream.heldBytes < TerminalLimits.answerBytes + 2000)
    }

    @Test(arguments: [[0, 0, 0, 0], [0, 0, 4, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0, 0, 0]] as [[UInt8]]) func lengthsThatCannotBe(
        _ length: [UInt8]
    ) throws {
        var stream = AgentStream(frameLimitBytes: 1000)
        _ = try stream.take(answer.bytes + [0x0A])
        #expect(throws: TerminalProblem.self) { try stream.take(length) }
    }

    @Test func resultsOfCommands() throws {
        let head = (["ok": true] as JSON).bytes + [0x0A]
        let end = framed([0x02] + (["exitCode": 3, "timedOut": true] as JSON).bytes)
        let result = try AgentClient.execResult(head + framed([0x00, 0x61]) + framed([0x01, 0x62]) + framed([0x00, 0x63]) + end)
        #expect(result == ExecResult(exitCode: 3, stdout: [0x61, 0x63], stderr: [0x62], timedOut: true))
        #expect(throws: TerminalProblem.self) { try AgentClient.execResult(head + framed([0x00, 0x61])) }
        #expect(throws: TerminalProblem.self) { try AgentClient.execResult(head + framed([0x05])) }
        #expect(throws: TerminalProblem.self) { try AgentClient.execResult([]) }
        #expect(throws: TerminalProblem.refused(reason: "ExecLimit", message: "no")) {
            try AgentClient.execResult((["ok": false, "reason": "ExecLimit", "message": "no"] as JSON).bytes + [0x0A])
        }
    }

    @Test func whatPagesAskFor() throws {
        let opening = try TerminalOpening(
            name: "1", query: [("columns", "100"), ("rows", "30"), ("resume", "17"), ("viewer", "abc"), ("other", "x")], canWrite: true)
        #expect((opening.columns, opening.rows, opening.resume, opening.viewer, opening.canWrite) == (100, 30, 17, "abc", true))
        #expect(try TerminalOpening(name: "1", query: [("role", "view")], canWrite: true).canWrite == false)
        #expect(try TerminalOpening(name: "1", query: [("role", "write")], canWrite: false).canWrite == false)
        for (name, query) in [
            ("", []), ("../1", []), ("UP", []), ("12345678901234567", []), ("1", [("columns", "0")]), ("1", [("rows", "x")]),
            ("1", [("columns", "99999")]), ("1", [("resume", "-1")]), ("1", [("resume", "18446744073709551615")]),
            ("1", [("viewer", String(repeating: "v", count: 65))]), ("1", [("viewer", "a\nb")]), ("1", [("role", "root")]),
            ("1", [("create", "1")]),
        ] as [(String, [(String, String)])] {
            #expect(throws: TerminalProblem.self) { try TerminalOpening(name: name, query: query, canWrite: true) }
        }
    }
}
