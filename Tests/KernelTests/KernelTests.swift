// The real kernel where no root is needed, and the values of the protocol.
import Essentials
import Glibc
import Kernel
import Testing

@Suite struct KernelTests {
    private let kernel = LinuxKernel()

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let path = "/tmp/lectern-kernel-\(Identifier.short())"
        try kernel.makeDirectory(path)
        defer { try? kernel.removeTree(path) }
        try body(path)
    }

    @Test func filesAreWrittenReadListedAndRemoved() throws {
        try withDirectory { directory in
            try kernel.makeDirectories(directory + "/a/b")
            try kernel.write(directory + "/a/b/file", text: "hello", mode: 0o640)
            #expect(try kernel.readText(directory + "/a/b/file") == "hello")
            try kernel.rename(directory + "/a/b/file", to: directory + "/a/other")
            #expect(try kernel.list(directory + "/a") == ["b", "other"])
            #expect(kernel.isDirectory(directory + "/a/b") && !kernel.isDirectory(directory + "/a/other"))
            try kernel.removeTree(directory + "/a")
            #expect(!kernel.exists(directory + "/a"))
            try kernel.removeTree(directory + "/never")
            #expect(try kernel.list(directory + "/never") == [])
        }
    }

    @Test func removingATreeNeverFollowsALink() throws {
        try withDirectory { directory in
            try kernel.makeDirectories(directory + "/kept")
            try kernel.write(directory + "/kept/file", text: "x")
            try kernel.makeDirectory(directory + "/tree")
            symlink(directory + "/kept", directory + "/tree/link")
            try kernel.removeTree(directory + "/tree")
            #expect(kernel.exists(directory + "/kept/file"))
        }
    }

    @Test func aCopyKeepsHoles() throws {
        try withDirectory { directory in
            let source = directory + "/sparse"
            try kernel.write(source, text: "start")
            truncate(source, 64 << 20)
            try kernel.copySparse(source, to: directory + "/copy")
            #expect(try kernel.allocatedBytes(directory + "/copy") < 1 << 20)
            #expect(try kernel.read(directory + "/copy", limitBytes: 128 << 20).count == 64 << 20)
            #expect(try kernel.read(directory + "/copy", limitBytes: 5) == Array("start".utf8))
        }
    }

    @Test func aFailureNamesTheCallAndItsSubject() {
        #expect(throws: KernelProblem(call: "open", subject: "/no/such/file", code: Errno.noEntry)) { try kernel.readText("/no/such/file") }
        #expect(KernelProblem(call: "write", subject: "x", code: Errno.noSpace).reason == "DiskFull")
        #expect(KernelProblem(call: "mount", subject: "/x", code: Errno.notPermitted).cause == "mount(/x): Operation not permitted (1)")
    }

    @Test func aProcessGetsItsDescriptorsAndNothingElse() throws {
        let (output, writer) = try kernel.makePipe()
        let (input, inputWriter) = try kernel.makePipe()
        let process = try kernel.spawn(
            Command(
                path: "/bin/sh", arguments: ["sh", "-c", "read line; echo \"$line $WORD\"; ls /proc/self/fd | wc -l; trap | wc -l"],
                environment: ["WORD=there", "PATH=/usr/bin:/bin"], descriptors: [input, writer, nil]))
        input.close()
        writer.close()
        try kernel.send(Array("hello\n".utf8), to: inputWriter)
        #expect(try kernel.wait(process) == .exited(0))
        var text: [UInt8] = []
        while let more = try kernel.receive(from: output, limitBytes: 4096), !more.isEmpty { text += more }
        // Standard input and output, and the directory that ls itself reads (as descriptor 2, which was free).
        #expect(String(decoding: text, as: UTF8.self) == "hello there\n3\n0\n")
    }

    @Test func aProgramThatIsMissingIsSaidAtOnce() throws {
        #expect(throws: KernelProblem(call: "exec", subject: "/no/such/program", code: Errno.noEntry)) {
            try kernel.spawn(Command(path: "/no/such/program", arguments: ["x"]))
        }
    }

    @Test func theEndOfAProcessIsNoticedOnce() async throws {
        let readiness = try Readiness()
        let process = try kernel.spawn(Command(path: "/bin/sh", arguments: ["sh", "-c", "exit 7"]))
        #expect(await readiness.exit(of: process, kernel: kernel) == .exited(7))
        let killed = try kernel.spawn(Command(path: "/bin/sleep", arguments: ["sleep", "100"]))
        async let end = readiness.exit(of: killed, kernel: kernel)
        try kernel.signal(killed, 9)
        #expect(await end == .signalled(9))
    }

    @Test func aWaitThatIsCancelledReturns() async throws {
        let readiness = try Readiness()
        let (reader, writer) = try kernel.makePipe()
        let wait = Task { await readiness.wait(for: reader) }
        wait.cancel()
        #expect(await wait.value == false)
        try kernel.send([1], to: writer)
        #expect(await readiness.wait(for: reader))
    }

    @Test func aHandlerThatPausesIsCalledAgainLater() async throws {
        let readiness = try Readiness()
        let (reader, writer) = try kernel.makePipe()
        try kernel.send([1, 2, 3], to: writer)
        let stream = AsyncStream<UInt8> { continuation in
            _ = try? readiness.watch(reader) {
                guard let byte = (try? kernel.receive(from: reader, limitBytes: 1))??.first else { return .stop }
                continuation.yield(byte)
                if byte == 3 {
                    continuation.finish()
                    return .stop
                }
                return .pause(milliseconds: 5)
            }
        }
        var bytes: [UInt8] = []
        for await byte in stream { bytes.append(byte) }
        #expect(bytes == [1, 2, 3])
        _ = writer
    }

    @Test func unixSocketsMayHaveLongPaths() throws {
        try withDirectory { directory in
            let deep = directory + "/" + String(repeating: "d", count: 120)
            try kernel.makeDirectory(deep)
            let listener = try kernel.listen(unixSocket: deep + "/socket", backlog: 4)
            let client = try kernel.connect(unixSocket: deep + "/socket")
            #expect(listener.number >= 0 && client.number >= 0)
            #expect(throws: KernelProblem.self) { try kernel.connect(unixSocket: deep + "/other") }
        }
    }

    @Test func threadsRunJobsSideBySide() async throws {
        let threads = try KernelThreads(count: 3, pin: nil)
        let values = await withTaskGroup(of: Int.self) { group in
            for number in 0..<50 { group.addTask { await threads.run { number * 2 } } }
            return await group.reduce(0, +)
        }
        #expect(values == 2450)
        await #expect(throws: KernelProblem.self) {
            try await threads.run { () throws(KernelProblem) in _ = try LinuxKernel().readText("/no") }
        }
    }
}

@Suite struct AddressTests {
    @Test func addressesAreReadStrictly() {
        #expect(IPv4("172.30.0.11")?.description == "172.30.0.11")
        for text in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", "a.b.c.d", "1.2.3.+4", "1.2.3.4444"] { #expect(IPv4(text) == nil) }
        #expect(IPv4Block("172.30.0.9/24")?.description == "172.30.0.0/24")
        #expect(IPv4Block("0.0.0.0/0")?.contains(IPv4("8.8.8.8")!) == true)
        #expect(IPv4Block("10.0.0.0/8")?.contains(IPv4("11.0.0.1")!) == false)
        #expect(IPv4Block("1.2.3.4/33") == nil && IPv4Block("1.2.3.4") == nil)
        #expect(HardwareAddress(for: IPv4("172.30.0.11")!).description == "0a:58:ac:1e:00:0b")
    }

    @Test func mountPointsAreFoundBelowAPathOnly() {
        let table = """
            25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw
            40 30 0:40 / /state/run/lab-a/node1/disk rw - ext4 /dev/loop0 rw
            41 30 0:41 / /state/run/lab-a/node1/root rw shared:1 - overlay overlay rw
            42 30 0:42 / /state/run/lab-ab/node1/root rw - overlay overlay rw
            43 30 0:43 / /state/run/lab-a/with\\040space rw - tmpfs tmpfs rw
            """
        #expect(
            MountTable.points(in: table, below: "/state/run/lab-a") == [
                "/state/run/lab-a/node1/disk", "/state/run/lab-a/node1/root", "/state/run/lab-a/with space",
            ])
    }
}

@Suite struct FaultyKernelTests {
    @Test func itFailsOnceOrForEver() throws {
        let once = FaultyKernel(ScriptedKernel(), .once(call: 2, code: Errno.noSpace))
        try once.makeDirectory("/a")
        #expect(throws: KernelProblem(call: "makeDirectory", subject: "/b", code: Errno.noSpace)) { try once.makeDirectory("/b") }
        try once.makeDirectory("/b")
        #expect(once.calls == 3 && once.refused == "makeDirectory(/b)")
        once.arm(.death(call: 1))
        for _ in 0..<3 { #expect(throws: KernelProblem.self) { try once.remove("/a") } }
        #expect(once.exists("/a"))
    }

    @Test func theScriptedKernelIsWrongInTheSamePlaces() throws {
        let kernel = ScriptedKernel()
        #expect(throws: KernelProblem(call: "mkdir", subject: "/a/b", code: Errno.noEntry)) { try kernel.makeDirectory("/a/b") }
        try kernel.makeDirectory("/a")
        try kernel.mount("tmpfs", at: "/a", type: "tmpfs", options: [], data: "")
        #expect(throws: KernelProblem(call: "remove", subject: "/a", code: Errno.busy)) { try kernel.remove("/a") }
        try kernel.unmount("/a")
        try kernel.unmount("/a")
        try kernel.write("/a/file", text: "x")
        #expect(throws: KernelProblem(call: "remove", subject: "/a", code: Errno.notEmpty)) { try kernel.remove("/a") }
        try kernel.removeTree("/a")
        #expect(!kernel.exists("/a/file"))
    }
}
