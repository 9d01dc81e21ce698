// SPDY frames: the dictionary, streams, and bytes that are none of it.
import Testing
import Web

@Suite struct SPDYTests {
    /// What spdystream (kubectl's) sends for one stream with `streamType: error`, recorded.
    private func opening(_ stream: UInt32, _ session: SPDYSession) -> [UInt8] {
        // The other end's frames differ from ours in the type and six bytes only, so a reply serves as a template.
        let reply = session.reply(to: stream, headers: [("streamType", "error")])
        let block = Array(reply[12...])
        let length = block.count + 10
        return [0x80, 3, 0, 1, 0, UInt8(length >> 16), UInt8(length >> 8 & 255), UInt8(length & 255)]
            + [0, 0, 0, UInt8(stream), 0, 0, 0, 0, 0, 0] + block
    }

    @Test func streamsOpenCarryAndEnd() {
        let client = SPDYSession()
        let server = SPDYSession()
        let first = opening(1, client)
        #expect(server.receive(Array(first[..<5])).isEmpty, "half a frame says nothing")
        #expect(server.receive(Array(first[5...])) == [.opened(stream: 1, headers: ["streamtype": "error"], isFinished: false)])
        #expect(server.receive(opening(3, client)) == [.opened(stream: 3, headers: ["streamtype": "error"], isFinished: false)])
        let bytes = Array("hello".utf8)
        #expect(server.receive(client.data(bytes, on: 1)) == [.data(stream: 1, bytes: bytes, isFinished: false)])
        #expect(server.receive(client.data([], on: 3, isFinished: true)) == [.data(stream: 3, bytes: [], isFinished: true)])
        #expect(server.receive(client.data(bytes, on: 99)).isEmpty, "data for a stream that is not open")
        #expect(server.receive(client.reset(1)) == [.reset(stream: 1)])
        let large = [UInt8](repeating: 7, count: 200_000)
        let frames = server.receive(client.data(large, on: 3))
        #expect(frames.count == 4)
    }

    @Test func pingsAreAnswered() {
        let server = SPDYSession()
        let ping: [UInt8] = [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9]
        #expect(server.receive(ping).isEmpty)
        #expect(server.takeOutput() == ping)
        #expect(server.takeOutput().isEmpty)
    }

    @Test func garbageEndsTheConnection() {
        #expect(SPDYSession().receive([0x80, 2, 0, 1, 0, 0, 0, 0]) == [.failed("version 2 of SPDY is not spoken here")])
        #expect(SPDYSession().receive([0, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF]) == [.failed("a frame of 16777215 bytes is too large")])
        let broken: [UInt8] = [0x80, 3, 0, 1, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2]
        #expect(SPDYSession().receive(broken) == [.failed("a header block cannot be read")])
        var seed: UInt64 = 42
        for _ in 0..<2000 {
            let noise = (0..<64).map { _ in
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: seed >> 33)
            }
            _ = SPDYSession().receive(noise)
        }
    }
}
