// The feed of the node's cluster: passed on as it is, held back while the client is slow, ended with the client.
import Agent
import Essentials
import Foundation
import Glibc
import Kernel
import Testing

@Suite(.serialized) struct ClusterJobTests {
    @Test func linesPassAndTheEndIsTheEnd() throws {
        let path = NSTemporaryDirectory() + "feed-" + Identifier.short(length: 10)
        try Data("#!/bin/sh\necho '{\"state\":\"waiting\"}'; echo two >&2; echo three\n".utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, 0o755)
        defer { unlink(path) }
        let agent = try LiveAgent(clusterView: path)
        let (stream, answer) = try agent.open(["open": "cluster"])
        #expect(answer == ["ok": true])
        var text = ""
        while let frame = try? stream.frame() {
            #expect(frame[0] == 0x00)
            text += String(decoding: frame.dropFirst(), as: UTF8.self)
        }
        #expect(text == "{\"state\":\"waiting\"}\nthree\n")
    }

    @Test func aSlowClientHoldsTheProgramBackAndItsEndEndsIt() throws {
        let directory = NSTemporaryDirectory() + "feed-" + Identifier.short(length: 10)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/feed"
        try Data("#!/bin/sh\necho $$ > \(directory)/pid\nexec yes 0123456789012345678901234567890123456789\n".utf8).write(
            to: URL(fileURLWithPath: path))
        chmod(path, 0o755)
        let agent = try LiveAgent(clusterView: path)
        var client: LiveStream? = try agent.open(["open": "cluster"]).stream
        let pidFile = directory + "/pid"
        for _ in 0..<500 where !FileManager.default.fileExists(atPath: pidFile) { usleep(10_000) }
        usleep(300_000)
        let before = agent.memoryBytes
        usleep(300_000)
        #expect(agent.memoryBytes <= before + (1 << 20), "what is not read is not collected")
        for _ in 0..<200 { #expect(try client?.frame().first == 0x00) }
        let text = try String(contentsOfFile: pidFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        let pid = try #require(Int32(text))
        #expect(ReaperProcesses.exists(pid))
        client = nil
        for _ in 0..<500 where ReaperProcesses.exists(pid) { usleep(10_000) }
        #expect(!ReaperProcesses.exists(pid))
        #expect(try agent.status()["hostname"] != nil)
    }

    @Test func aProgramThatIsNotThereEndsTheStream() throws {
        let agent = try LiveAgent(clusterView: "/nowhere/labkube")
        #expect(throws: StreamEnded.self) {
            let (stream, _) = try agent.open(["open": "cluster"])
            _ = try stream.frame()
        }
    }

    @Test func feedsAreLimited() throws {
        let agent = try LiveAgent(clusterView: "/bin/cat")
        // `cat` of nothing ends at once, so the places become free again.
        for _ in 0..<3 * AgentLimits.clusterFeeds { _ = try agent.open(["open": "cluster"]).stream.rest() }
        #expect(try agent.open(["open": "cluster"]).answer["ok"] == true)
    }
}
