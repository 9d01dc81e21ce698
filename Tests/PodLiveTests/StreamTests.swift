// Into running containers: commands, terminals, standard input.
import ClusterModel
import Essentials
import Kernel
import PodRuntime
import Pods
import Testing

extension ContainerStreams {
    /// All output by channel, to the end.
    func all() async -> (output: String, errors: String) {
        var output: [UInt8] = []
        var errors: [UInt8] = []
        for await (channel, bytes) in self.output { if channel == 2 { errors += bytes } else { output += bytes } }
        return (String(decoding: output, as: UTF8.self), String(decoding: errors, as: UTF8.self))
    }

    /// Reads until `text` has come.
    func until(_ text: String) async -> String {
        var seen = ""
        for await (_, bytes) in output {
            seen += String(decoding: bytes, as: UTF8.self)
            if seen.contains(text) { break }
        }
        return seen
    }
}

extension PodLiveTests {
    @Suite struct StreamTests {
        @Test func commandsRunInContainersAsTheirUser() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                let plan = try await bench.container(sandbox, "exec sleep 1000") {
                    $0.environment = [("SHAPE", "round")]
                    $0.workingDirectory = "/tmp"
                    $0.securityContext = [
                        "runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000],
                        "allowPrivilegeEscalation": false, "capabilities": ["drop": ["ALL"], "add": ["NET_BIND_SERVICE"]],
                    ]
                }
                _ = try await bench.runtime.startContainer(plan)
                func run(_ words: String..., input: String? = nil) async throws -> (output: String, errors: String, code: Int) {
                    let streams = try await bench.runtime.exec(
                        podUID: sandbox.uid, container: "main", command: words, terminal: false, stdin: input != nil)
                    if let input {
                        await streams.write(Array(input.utf8))
                        await streams.closeInput()
                    }
                    let (output, errors) = await streams.all()
                    return (output, errors, await streams.exitCode())
                }
                let who = try await run(
                    "sh", "-c", "id; echo $SHAPE $HOSTNAME; pwd; grep -E 'CapBnd|NoNew' /proc/self/status; echo bad >&2; exit 5")
                #expect(who.output.hasPrefix("uid=1000 gid=3000 groups=2000,3000,4000\nround web\n/tmp\n"), "\(who.output)")
                #expect(who.output.contains("CapBnd:\t0000000000000400\n") && who.output.contains("NoNewPrivs:\t1\n"))
                #expect(who.errors == "bad\n" && who.code == 5)
                #expect(try await run("cat", input: "to and fro").output == "to and fro")
                #expect(try await run("sh", "-c", "kill -9 $$").code == 137)
                #expect(try await run("sh", "-c", "cat /proc/self/cgroup").output == run("cat", "/proc/1/cgroup").output)
                let many = try await run("sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done")
                #expect(many.output.hasSuffix("line 59999\n") && many.output.split(separator: "\n").count == 60000)

                let start = monotonicSeconds()
                for _ in 0..<20 { _ = try await run("true") }
                print("exec: \((monotonicSeconds() - start) * 50) ms each")

                let missing = await #expect(throws: PodRuntimeProblem.self) { _ = try await run("nothing-here") }
                #expect(
                    missing?.message.hasSuffix(
                        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nothing-here\": executable file not "
                            + "found in $PATH: unknown") == true, "\(String(describing: missing))")
                await #expect(throws: PodRuntimeProblem.self) { _ = try await run("/etc/passwd") }
            }
        }

        @Test func aTerminalOfACommandIsOne() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec sleep 1000"))
                let streams = try await bench.runtime.exec(
                    podUID: sandbox.uid, container: "main", command: ["sh"], terminal: true, stdin: true)
                await streams.resize(columns: 91, rows: 17)
                await streams.write(Array("stty size; tty; echo rea''dy\n".utf8))
                let text = await streams.until("ready")
                #expect(text.contains("17 91") && text.contains("/dev/pts/0"), "\(text)")
                await streams.write(Array("exit 4\n".utf8))
                #expect(await streams.exitCode() == 4)
            }
        }

        @Test func aContainerWithATerminalIsAttachedToAndSurvivesTheKubelet() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                _ = try await bench.runtime.startContainer(
                    try await bench.container(sandbox, "exec sh") {
                        $0.terminal = true
                        $0.stdin = true
                    })
                let first = try await bench.runtime.attach(podUID: sandbox.uid, container: "main", stdin: true)
                await first.resize(columns: 80, rows: 30)
                await first.write(Array("echo $TERM; stty size; echo one''two\n".utf8))
                let text = await first.until("onetwo")
                #expect(text.contains("xterm") && text.contains("30 80"), "\(text)")
                await first.close()
                bench.runtime.close()

                let next = try await NodePodRuntime(bench.settings)
                #expect(try await next.adopt().first?.containers.first?.exit == nil)
                let second = try await next.attach(podUID: sandbox.uid, container: "main", stdin: true)
                await second.write(Array("echo three''four; exit 6\n".utf8))
                #expect(await second.until("threefour").contains("threefour"))
                #expect(await second.exitCode() == 6)
                next.close()
            }
        }

        @Test func standardInputEndsOnce() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                let plan = try await bench.container(sandbox, "cat; echo done") {
                    $0.stdin = true
                    $0.stdinOnce = true
                }
                _ = try await bench.runtime.startContainer(plan)
                let streams = try await bench.runtime.attach(podUID: sandbox.uid, container: "main", stdin: true)
                await streams.write(Array("hello\n".utf8))
                await streams.closeInput()
                let (output, _) = await streams.all()
                #expect(output == "hello\ndone\n")
                #expect(await streams.exitCode() == 0)
            }
        }

        @Test func aPortInsideIsReached() async throws {
            try await Bench.with { bench in
                let sandbox = try await bench.sandbox()
                _ = try await bench.runtime.startContainer(try await bench.container(sandbox, "exec nc -ll -p 8080 -e echo hello"))
                var answer: [UInt8] = []
                for _ in 0..<100 where answer.isEmpty {
                    guard let socket = try? await bench.runtime.openPort(podUID: sandbox.uid, port: 8080) else {
                        try await Task.sleep(for: .milliseconds(10))
                        continue
                    }
                    waitReadable(socket, milliseconds: 2000)
                    answer = try Host.kernel.receive(from: socket, limitBytes: 100) ?? []
                }
                #expect(answer == Array("hello\n".utf8))
                let problem = await #expect(throws: PodRuntimeProblem.self) {
                    try await bench.runtime.openPort(podUID: sandbox.uid, port: 81)
                }
                #expect(problem?.message.contains("dial tcp4 127.0.0.1:81: connect: connection refused") == true)
            }
        }
    }
}
