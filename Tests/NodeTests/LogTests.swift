// What containers print, kept and shown.
import Containers
import Essentials
import Glibc
import Kernel
import Testing

@Suite struct ContainerLogTests {
    private let kernel = LinuxKernel()

    private func withLog(_ body: (ContainerLog, ManualClock, String) async throws -> Void) async throws {
        let directory = "/tmp/lectern-log-\(Identifier.short())"
        try kernel.makeDirectory(directory)
        defer { try? kernel.removeTree(directory) }
        let clock = ManualClock()
        try await body(ContainerLog(path: directory + "/log", kernel: kernel, clock: clock), clock, directory + "/log")
    }

    private func text(_ log: ContainerLog, _ options: LogOptions = LogOptions()) async -> String {
        var bytes: [UInt8] = []
        for await chunk in log.read(options) { bytes += chunk }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func linesComeBackAsTheyWerePrinted() async throws {
        try await withLog { log, clock, _ in
            log.append(Array("one\ntw".utf8), stream: "stdout")
            log.append(Array("problem\n".utf8), stream: "stderr")
            clock.advance(seconds: 10)
            log.append(Array("o\n\nlast line\n".utf8), stream: "stdout")
            #expect(await text(log) == "one\nproblem\ntwo\n\nlast line\n")
            #expect(await text(log, LogOptions(tailLines: 2)) == "\nlast line\n")
            #expect(await text(log, LogOptions(tailLines: 0)) == "")
            #expect(await text(log, LogOptions(since: clock.now())) == "two\n\nlast line\n")
            #expect(await text(log, LogOptions(limitBytes: 5)) == "one\np")
            #expect(await text(log, LogOptions(tailLines: 1, timestamps: true)) == clock.now().rfc3339Micro + " last line\n")
        }
    }

    @Test func aLongLineIsKeptInPartsAndShownWhole() async throws {
        try await withLog { log, _, _ in
            let long = String(repeating: "x", count: 50_000)
            log.append(Array((long + "\nend\n").utf8), stream: "stdout")
            #expect(await text(log) == long + "\nend\n")
            #expect(await text(log, LogOptions(tailLines: 2)) == long + "\nend\n")
        }
    }

    @Test func aFloodKeepsTheDiskAndTheEnd() async throws {
        try await withLog { log, _, path in
            let chunk = Array((String(repeating: "y", count: 99) + "\n").utf8)
            for _ in 0..<100_000 { log.append(chunk, stream: "stdout") }
            log.append(Array("the end\n".utf8), stream: "stdout")
            let size = try kernel.allocatedBytes(path) + kernel.allocatedBytes(path + ".1")
            #expect(size < 3 * ContainerLog.fileLimitBytes)
            #expect(await text(log, LogOptions(tailLines: 1)) == "the end\n")
        }
    }

    @Test func aFollowerHearsWhatComesUntilTheEnd() async throws {
        try await withLog { log, _, _ in
            log.append(Array("early\n".utf8), stream: "stdout")
            let stream = log.read(LogOptions(follow: true))
            log.append(Array("late\n".utf8), stream: "stdout")
            log.close(nil)
            var bytes: [UInt8] = []
            for await chunk in stream { bytes += chunk }
            #expect(String(decoding: bytes, as: UTF8.self) == "early\nlate\n")
        }
    }

    @Test func whoPrintsTooMuchWaitsForTheNextSecond() {
        var pace = ContainerLog.Pace()
        #expect(pace.note(ContainerLog.limitBytesPerSecond - 1, at: 100) == nil)
        #expect(pace.note(1, at: 100.25) == 750)
        #expect(pace.note(10, at: 101.1) == nil)
    }
}
