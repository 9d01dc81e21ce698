// A real node-agent as a child of the tests, and a blocking client of its socket.
import Essentials
import Foundation
import Glibc
import Kernel

/// The built program, running in a directory of its own. `stop()` ends it and all that it started.
final class LiveAgent {
    let directory: String
    let pid: Int32
    var socket: String { directory + "/agent.sock" }

    /// With `prepare`, units are looked for in the agent's directory once that has filled it.
    init(clusterView: String? = nil, prepare: ((String) throws -> Void)? = nil) throws {
        directory = NSTemporaryDirectory() + "agent-" + Identifier.short(length: 10)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try prepare?(directory)
        let program = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            .deletingLastPathComponent().appendingPathComponent("node-agent").path
        let path = directory
        let null = try PTYFiles.openNull()
        defer { PTYFiles.close(null) }
        pid = try ReaperProcesses.start(
            ReaperCommand(
                arguments: [program, "--listen-unix", path + "/agent.sock", "--not-init", "--run-directory", path]
                    + (clusterView.map { ["--cluster-view", $0] } ?? []) + (prepare == nil ? [] : ["--system-root", path]),
                environment: ["PATH": "/usr/bin:/bin", "HOME": path, "LANG": "C.UTF-8"], workingDirectory: path),
            on: .separate(input: null, output: null, error: 2))
        for _ in 0..<1000 {
            if let probe = try? PTYFiles.connect(path: socket) {
                PTYFiles.close(probe)
                break
            }
            usleep(10_000)
        }
    }

    private var isStopped = false

    func stop() {
        guard !isStopped else { return }
        isStopped = true
        kill(pid, SIGTERM)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        try? FileManager.default.removeItem(atPath: directory)
    }

    deinit { stop() }

    /// Private memory in bytes.
    var memoryBytes: Int {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("Private_Dirty:") } ?? ""
        return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    /// Children of the agent that ended and were not collected.
    var zombies: Int { children.filter { $0.state == "Z" }.count }

    var children: [(pid: Int, state: String)] {
        ReaperFiles.names(in: "/proc").compactMap { Int($0) }.compactMap { pid in
            guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else {
                return nil
            }
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            return fields.count > 1 && fields[1] == "\(self.pid)" ? (pid, String(fields[0])) : nil
        }
    }

    /// Opens a stream and reads the answer.
    func open(_ header: JSON, body: [UInt8] = []) throws -> (stream: LiveStream, answer: JSON) {
        let stream = LiveStream(try PTYFiles.connect(path: socket))
        stream.send(header.bytes + [0x0A] + body)
        return (stream, try JSON(parsing: stream.line()))
    }

    func terminal(_ name: String = "1", resume: UInt64? = nil, viewer: String = "v", role: String = "write", create: Bool = true) throws
        -> LiveTerminal
    {
        var header: JSON = ["open": "terminal", "name": JSON(name), "viewer": JSON(viewer), "role": JSON(role), "create": JSON(create)]
        if let resume { header["resume"] = JSON(Int64(resume)) }
        return try LiveTerminal(open(header).stream)
    }

    func execute(_ command: [String], timeoutSeconds: Int = 20) throws -> (output: String, end: JSON) {
        let (stream, answer) = try open([
            "open": "exec", "command": JSON(command), "timeoutSeconds": JSON(timeoutSeconds), "workingDirectory": JSON(directory),
        ])
        guard answer["ok"] == true else { return ("", answer) }
        var output: [UInt8] = []
        while true {
            let frame = try stream.frame()
            if frame[0] == 2 { return (String(decoding: output, as: UTF8.self), try JSON(parsing: Array(frame.dropFirst()))) }
            output += frame.dropFirst()
        }
    }

    func status() throws -> JSON { try open(["open": "status"]).answer }
}

struct TimedOut: Error {}
struct StreamEnded: Error {}
struct Missing: Error { let what: String, events: [String], tail: String }

/// A blocking stream; waits at most 30 seconds for a byte.
final class LiveStream {
    let descriptor: Int32
    private var held: [UInt8] = []
    private var index = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { PTYFiles.close(descriptor) }

    func send(_ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let count = Glibc.send(descriptor, Array(bytes[done...]), bytes.count - done, Int32(MSG_NOSIGNAL))
            if count <= 0 { return }
            done += count
        }
    }

    func sendFrame(_ body: [UInt8]) { send((0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body) }

    /// Whether something comes within the time.
    func waits(milliseconds: Int32) -> Bool {
        if index < held.count { return true }
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, milliseconds) > 0
    }

    private func fill() throws {
        guard waits(milliseconds: 30_000) else { throw TimedOut() }
        if index > 0 { held.removeFirst(index) }
        index = 0
        guard case .bytes(let more) = PTYFiles.read(descriptor, limitBytes: 256 << 10) else { throw StreamEnded() }
        held += more
    }

    func line() throws -> [UInt8] {
        while true {
            if let end = held[index...].firstIndex(of: 0x0A) {
                defer { index = end + 1 }
                return Array(held[index..<end])
            }
            let before = held.count - index
            do { try fill() } catch is StreamEnded { if before == 0 { throw StreamEnded() } else { return Array(held[index...]) } }
        }
    }

    func exactly(_ count: Int) throws -> [UInt8] {
        while held.count - index < count {
            if index < held.count {
                guard case .bytes(let more) = waits(milliseconds: 30_000) ? PTYFiles.read(descriptor, limitBytes: 256 << 10) : .nothing
                else { throw TimedOut() }
                held += more
            } else {
                try fill()
            }
        }
        defer { index += count }
        return Array(held[index..<index + count])
    }

    func frame() throws -> [UInt8] { try exactly(exactly(4).reduce(0) { $0 << 8 | Int($1) }) }

    func rest() -> [UInt8] {
        var bytes: [UInt8] = []
        while let more = try? exactly(1) { bytes += more }
        return bytes
    }
}

/// A terminal as the page sees it.
final class LiveTerminal {
    let stream: LiveStream
    private(set) var attached: JSON = .null
    /// The offset behind the last byte received.
    private(set) var offset: UInt64 = 0
    private(set) var output: [UInt8] = []
    private(set) var events: [JSON] = []
    private(set) var snapshots = 0
    var acknowledges = true
    private var acknowledged: UInt64 = 0

    init(_ stream: LiveStream) throws {
        self.stream = stream
        try step()
        attached = events[0]
        offset = UInt64(attached["offset"]?.integer ?? 0)
        acknowledged = offset
    }

    func step() throws {
        let frame = try stream.frame()
        switch frame[0] {
        case 1: events.append(try JSON(parsing: Array(frame.dropFirst())))
        default:
            let at = frame[1..<9].reduce(0) { $0 << 8 | UInt64($1) }
            if frame[0] == 2 {
                snapshots += 1
                offset = at
                output = []
                return
            }
            if at != offset { throw Gap(expected: offset, got: at) }
            output += frame[9...]
            offset = at + UInt64(frame.count - 9)
            if acknowledges, offset - acknowledged > 100_000 { acknowledge() }
        }
    }

    struct Gap: Error { let expected, got: UInt64 }

    func acknowledge() {
        acknowledged = offset
        stream.sendFrame([0x02] + (0..<8).map { UInt8(truncatingIfNeeded: offset >> (56 - 8 * UInt64($0))) })
    }

    func type(_ text: String) { stream.sendFrame([0x00] + Array(text.utf8)) }
    func resize(_ columns: Int, _ rows: Int) {
        stream.sendFrame([0x01, UInt8(columns >> 8), UInt8(columns & 255), UInt8(rows >> 8), UInt8(rows & 255)])
    }

    var text: String { String(decoding: output, as: UTF8.self) }

    /// Reads on until the output from `start` on has `wanted`.
    func until(_ wanted: String, from start: Int = 0) throws {
        let bytes = Array(wanted.utf8)
        var looked = start
        while true {
            if output.count >= bytes.count, looked <= output.count - bytes.count {
                for at in looked...(output.count - bytes.count)
                where output[at] == bytes[0] && Array(output[at..<at + bytes.count]) == bytes { return }
                looked = output.count - bytes.count + 1
            }
            try step()
        }
    }

    func event(_ type: String) throws -> JSON {
        while true {
            if let event = events.last(where: { $0["type"]?.string == type }) { return event }
            do { try step() } catch { throw Missing(what: "event \(type)", events: events.map(\.text), tail: String(text.suffix(300))) }
        }
    }

    func forgetEvents() { events = [] }

    /// Takes whatever comes for a while.
    func settle(milliseconds: Int32 = 300) throws { while stream.waits(milliseconds: milliseconds) { try step() } }
}
