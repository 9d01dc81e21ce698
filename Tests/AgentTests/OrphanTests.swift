// What the agent does for containers whose kubelet is gone.
import Essentials
import Foundation
import Kernel
import Testing

extension AgentLiveTests {
    @Suite struct OrphanTests {
        @Test func itNotesHowOrphansEndedAndKeepsTheirOutput() throws {
            let agent = try LiveAgent()
            let kernel = LinuxKernel()
            let container = agent.directory + "/pods/some-uid/main.0"
            try kernel.makeDirectories(container)
            try kernel.makeFIFO(container + "/out.fifo")
            // A kubelet that starts a container and ends, and the container, which ends later.
            let script = """
                echo $$ > runtime.pid
                sh -c 'exec 3<>"$0/out.fifo"; echo last words >&3; echo $$ > child; sleep 0.3; kill -9 $$' \(container) &
                while ! [ -s child ]; do sleep 0.01; done
                """
            let (stream, _) = try agent.open([
                "open": "exec", "command": ["/bin/sh", "-c", JSON(script)], "workingDirectory": JSON(agent.directory),
            ])
            var child = ""
            for _ in 0..<500 where child.isEmpty {
                child = ((try? kernel.readText(agent.directory + "/child")) ?? "").filter(\.isNumber)
                usleep(10_000)
            }
            var note = ""
            for _ in 0..<500 where note.isEmpty {
                note = (try? kernel.readText("\(agent.directory)/exits/\(child)")) ?? ""
                usleep(10_000)
            }
            #expect(note.hasPrefix("9 "))
            #expect(Timestamp(rfc3339: String(note.dropFirst(2).dropLast())) != nil)
            let pipe = try kernel.openFIFO(container + "/out.fifo", blocking: false)
            #expect(try kernel.receive(from: pipe, limitBytes: 100) == Array("last words\n".utf8))
            _ = stream
            agent.stop()
        }
    }
}
