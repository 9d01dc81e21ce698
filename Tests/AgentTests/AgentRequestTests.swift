// The line that opens a stream, good and bad; frames; and the kernel's table of sockets.
import Agent
import Essentials
import Testing

@Suite struct AgentRequestTests {
    private func request(_ text: String) throws -> AgentRequest { try AgentRequest(JSON(parsing: text)) }

    @Test func aTerminalWithDefaults() throws {
        #expect(
            try request(#"{"open":"terminal","name":"1"}"#)
                == .terminal(.init(name: "1", create: true, columns: 80, rows: 24, resume: nil, role: .write, viewer: "")))
        #expect(
            try request(#"{"open":"terminal","name":"a-1","create":false,"columns":100,"rows":50,"resume":17,"role":"view","viewer":"x"}"#)
                == .terminal(.init(name: "a-1", create: false, columns: 100, rows: 50, resume: 17, role: .view, viewer: "x")))
    }

    @Test(arguments: [
        #"{}"#, #"[]"#, #"null"#, #"{"open":"shell"}"#, #"{"open":"terminal"}"#, #"{"open":"terminal","name":""}"#,
        #"{"open":"terminal","name":"../x"}"#, #"{"open":"terminal","name":"UPPER"}"#, #"{"open":"terminal","name":"12345678901234567"}"#,
        #"{"open":"terminal","name":"1","resume":-1}"#, #"{"open":"terminal","name":"1","resume":"x"}"#,
        #"{"open":"terminal","name":"1","role":"root"}"#, #"{"open":"exec"}"#, #"{"open":"exec","command":[]}"#,
        #"{"open":"exec","command":["a",1]}"#, #"{"open":"exec","command":[""]}"#, #"{"open":"exec","command":["a\u0000"]}"#,
        #"{"open":"exec","command":["a"],"timeoutSeconds":0}"#, #"{"open":"exec","command":["a"],"environment":{"A=B":"c"}}"#,
        #"{"open":"exec","command":["a"],"workingDirectory":"root"}"#, #"{"open":"read-file","path":"etc"}"#,
        #"{"open":"read-file","path":"/a/../b"}"#, #"{"open":"read-file","path":"/a/"}"#, #"{"open":"read-file","path":"/a\u0000b"}"#,
        #"{"open":"write-file","path":"/a"}"#, #"{"open":"write-file","path":"/a","size":-1}"#,
        #"{"open":"write-file","path":"/a","size":99999999}"#, #"{"open":"write-file","path":"/a","size":1,"mode":100000}"#,
    ])
    func badRequestsAreRefused(_ text: String) { #expect(throws: AgentProblem.self) { try request(text) } }

    @Test func clientFrames() {
        #expect(ClientFrame([0x00, 0x61]) == .input([0x61]))
        #expect(ClientFrame([0x01, 0, 80, 0, 24]) == .resize(columns: 80, rows: 24))
        #expect(ClientFrame([0x02, 0, 0, 0, 0, 0, 1, 0, 0]) == .acknowledge(65536))
        for bad: ArraySlice<UInt8> in [[], [0x03], [0x01, 0, 80, 0], [0x01, 0, 0, 0, 24], [0x02, 1], [0xFF, 1, 2]] {
            #expect(ClientFrame(bad) == nil)
        }
    }

    @Test func listeningPortsAreRead() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0
               1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12346 1 0 100 0 0 10 0
               2: 0100007F:0016 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 12347 1 0 100 0 0 10 0
               3: nonsense
            """
        #expect(
            ListeningPort.parse(table, protocolName: "tcp") == [
                ListeningPort(port: 8080, protocolName: "tcp", address: "0.0.0.0", inode: "12345"),
                ListeningPort(port: 22, protocolName: "tcp", address: "127.0.0.1", inode: "12346"),
            ])
        let six = """
              sl  local_address
               0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1
               1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 2
               2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 3
            """
        #expect(ListeningPort.parse(six, protocolName: "tcp6").map(\.address) == ["::1", "::", "::ffff:127.0.0.1"])
    }
}
