// The relay of a cluster's lines: whole lines only, ended with the page or the lab, hostile agents do no harm.
import Essentials
import Terminals
import Testing
import Web

@Suite(.serialized) struct ClusterRelayTests {
    @Test func linesPassHoweverTheyAreCut() async throws {
        let cast = TerminalRelayTests.Cast()
        try await TerminalServer.with(cast.nodes(answer: "{\"ok\":true}\n")) { port, hub in
            let page = try await Page.open(port, "/cluster")
            try await eventually("the agent is asked") { await cast.last?.header == ["open": "cluster"] }
            await { @WebLoop in
                for part in ["{\"a\":", "1}\n{\"b\":2}\n{\"c\"", ":3}\n"] { cast.last?.send(framed([0x00] + Array(part.utf8))) }
            }()
            try await eventually("they came") { await page.texts.count == 4 }
            let texts = await page.texts
            #expect(try JSON(parsing: Array(texts[0].utf8)) == ["node": "node1", "state": "opening"])
            #expect(texts.dropFirst() == ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"])
            await hub.close(lab: "lab", message: "over")
            try await eventually("it closes") { await page.closeCode != nil }
            #expect(await page.closeCode == TerminalClose.gone)
            try await eventually("the agent's stream ends with it") { await cast.last?.isClosed == true }
        }
    }

    @Test(arguments: ["{\"ok\":false,\"reason\":\"FeedLimit\",\"message\":\"no\"}\n", "junk\n"])
    func refusalsCloseThePage(_ answer: String) async throws {
        let cast = TerminalRelayTests.Cast()
        try await TerminalServer.with(cast.nodes(answer: answer)) { port, _ in
            let page = try await Page.open(port, "/cluster")
            try await eventually("it closes") { await page.closeCode != nil }
            #expect(await page.closeCode == (answer.hasPrefix("{") ? TerminalClose.limit : TerminalClose.tryAgain))
        }
    }
}
