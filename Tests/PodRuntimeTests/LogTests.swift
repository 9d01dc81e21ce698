// Logs in the CRI's form: lines, parts, selection, rotation, followers. In a folder of temporary files.
import ClusterModel
import Essentials
import Glibc
import Kernel
import Testing

@testable import PodRuntime

@Suite struct LogTests {
    private final class Folder: Sendable {
        let path: String
        let kernel = LinuxKernel()
        let clock = ManualClock(Timestamp(seconds: 1_800_000_000))
        init() throws {
            path = "/tmp/pod-log-\(Identifier.short())"
            try LinuxKernel().makeDirectory(path)
        }
        deinit { try? LinuxKernel().removeTree(path) }
        func log() -> PodLog { PodLog(path: path + "/0.log", kernel: kernel, clock: clock) }
        var text: String { (try? kernel.readText(path + "/0.log", limitBytes: 64 << 20)) ?? "" }
        func read(live: PodLog? = nil, _ change: (inout PodLogOptions) -> Void = { _ in }) async -> String {
            var options = PodLogOptions()
            change(&options)
            let reader = PodLogReader(path: path + "/0.log", live: live, kernel: kernel, options: options, now: clock.now())
            var text: [UInt8] = []
            while let chunk = await reader.next() { text += chunk }
            return String(decoding: text, as: UTF8.self)
        }
    }

    @Test func linesAndPartsAreWrittenAsTheInterfaceSays() async throws {
        let folder = try Folder()
        let log = folder.log()
        _ = log.append(Array("one\ntw".utf8), channel: 1)
        _ = log.append(Array("bad\n".utf8), channel: 2)
        _ = log.append(Array("o\nrest".utf8), channel: 1)
        log.finish()
        let time = "2027-01-15T08:00:00.000000000Z"
        #expect(
            folder.text
                == "\(time) stdout F one\n\(time) stdout P tw\n\(time) stderr F bad\n\(time) stdout F o\n\(time) stdout P rest\n")
        #expect(await folder.read() == "one\ntwbad\no\nrest")
        #expect(await folder.read { $0.timestamps = true } == "\(time) one\n\(time) twbad\n\(time) o\n\(time) rest")
    }

    @Test func aLongLineIsInPartsAndOneAgain() async throws {
        let folder = try Folder()
        let log = folder.log()
        let long = String(repeating: "x", count: 40_000)
        _ = log.append(Array((long + "\nshort\n").utf8), channel: 1)
        _ = log.append(Array(long.utf8), channel: 1)
        _ = log.append(Array("y\nend\n".utf8), channel: 1)
        log.finish()
        #expect(folder.text.contains("stdout P xxx"))
        #expect(await folder.read() == long + "\nshort\n" + long + "y\nend\n")
        #expect(await folder.read { $0.tailLines = 2 } == long + "y\nend\n")
    }

    @Test func theEndOfALogIsFoundFromItsEnd() async throws {
        let folder = try Folder()
        let log = folder.log()
        for number in 0..<20_000 { _ = log.append(Array("line \(number)\n".utf8), channel: 1) }
        log.finish()
        #expect(await folder.read { $0.tailLines = 2 } == "line 19998\nline 19999\n")
        #expect(await folder.read { $0.tailLines = 0 } == "")
        #expect(await folder.read { $0.tailLines = 15_000 }.hasPrefix("line 5000\n"))
        #expect(await folder.read { $0.tailLines = 50_000 }.hasPrefix("line 0\n"))
        #expect(await folder.read { $0.limitBytes = 9 } == "line 0\nli")
    }

    @Test func sinceLeavesOutWhatIsOlder() async throws {
        let folder = try Folder()
        let log = folder.log()
        _ = log.append(Array("old\n".utf8), channel: 1)
        folder.clock.advance(seconds: 60)
        _ = log.append(Array("new\n".utf8), channel: 1)
        log.finish()
        #expect(await folder.read { $0.sinceSeconds = 30 } == "new\n")
        #expect(await folder.read { $0.sinceTime = Timestamp(seconds: 1_800_000_000) } == "old\nnew\n")
        #expect(await folder.read { $0.sinceTime = Timestamp(seconds: 1_800_000_061) } == "")
    }

    @Test func fullFilesAreSetAsideAndReadOnInOrder() async throws {
        let folder = try Folder()
        let log = folder.log()
        let line = String(repeating: "z", count: 999) + "\n"
        var options = PodLogOptions()
        options.follow = true
        let reader = PodLogReader(path: folder.path + "/0.log", live: log, kernel: folder.kernel, options: options, now: folder.clock.now())
        async let followed: Int = {
            var count = 0
            while let chunk = await reader.next() { count += chunk.count }
            return count
        }()
        for _ in 0..<25 {
            folder.clock.advance(seconds: 1)
            _ = log.append(Array(String(repeating: line, count: 1000).utf8), channel: 1)
            // The follower reads what is about to go.
            try await Task.sleep(for: .milliseconds(20))
        }
        log.finish()
        #expect(await followed == 25_000_000)
        let files = try folder.kernel.list(folder.path)
        #expect(files.count == PodLog.filesLimit && files[0] == "0.log" && files[1].hasPrefix("0.log.2027"))
        #expect(await folder.read { $0.tailLines = 12_000 }.utf8.count == 12_000_000)
    }

    @Test func aFollowerEndsWithTheContainerAndWithItsTask() async throws {
        let folder = try Folder()
        let log = folder.log()
        let task = Task { await folder.read(live: log) { $0.follow = true } }
        _ = log.append(Array("a\n".utf8), channel: 1)
        try await Task.sleep(for: .milliseconds(10))
        _ = log.append(Array("b".utf8), channel: 1)
        log.finish()
        #expect(await task.value == "a\nb")
        let other = folder.log()
        let waiting = Task { await folder.read(live: other) { $0.follow = true } }
        try await Task.sleep(for: .milliseconds(10))
        waiting.cancel()
        #expect(await waiting.value == "a\nb")
    }

    @Test func aWatcherThatIsBehindSlowsTheContainer() throws {
        let folder = try Folder()
        let log = folder.log()
        let stream = log.watch()
        var waits = 0
        for _ in 0..<(PodLog.watcherLimitChunks * 3 / 4) where log.append(Array("x\n".utf8), channel: 1) != nil { waits += 1 }
        #expect(waits > 0)
        withExtendedLifetime(stream) {}
    }
}
