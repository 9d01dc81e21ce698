// What a service printed, in two files of limited size: `SECONDS.MICROS IDENT[PID] TEXT`, one line each.
internal import Essentials
internal import Kernel

final class Journal {
    /// A file larger than this is set aside; with the one before it that is all that is kept.
    static let fileLimitBytes = 1 << 20
    /// A longer line is cut.
    static let lineLimitBytes = 16 << 10
    /// A reader that waits for more than this is cut off.
    static let followLimitBytes = 1 << 20

    private let path: String
    private var size: Int
    private var partial: [UInt8] = []
    private var followers: [ObjectIdentifier: Connection] = [:]

    init(path: String) {
        self.path = path
        size = ReaperFiles.size(path)
    }

    /// Bytes that a process printed.
    func append(_ bytes: [UInt8], from ident: String) {
        var output: [UInt8] = []
        let prefix = Self.prefix(ident)
        partial += bytes
        var start = 0
        while let newline = partial[start...].firstIndex(of: 0x0A) {
            output += prefix + partial[start..<min(newline, start + Self.lineLimitBytes)] + [0x0A]
            start = newline + 1
        }
        partial.removeFirst(start)
        if partial.count > Self.lineLimitBytes {
            output += prefix + partial.prefix(Self.lineLimitBytes) + [0x0A]
            partial = []
        }
        store(output)
    }

    /// The process is gone; what it had begun is a line.
    func end(of ident: String) { if !partial.isEmpty { append([0x0A], from: ident) } }

    /// A line of the supervisor's own.
    func note(_ text: String) { store(Self.prefix("systemd[1]") + Array(text.utf8) + [0x0A]) }

    private static func prefix(_ ident: String) -> [UInt8] {
        let now = SystemClock().now()
        let micros = String(now.nanoseconds / 1000)
        return Array("\(now.seconds).\(String(repeating: "0", count: 6 - micros.count))\(micros) \(ident) ".utf8)
    }

    private func store(_ lines: [UInt8]) {
        guard !lines.isEmpty else { return }
        if size > Self.fileLimitBytes {
            ReaperFiles.move(path, to: path + ".1")
            size = 0
        }
        // On a full disk the service goes on without its log.
        if ReaperFiles.append(path, lines) { size += lines.count }
        for (key, follower) in followers {
            if !follower.isOpen || follower.waiting.count > Self.followLimitBytes {
                followers[key] = nil
                follower.close()
            } else {
                follower.send(lines)
            }
        }
    }

    /// Sends the last `count` lines (all, where nil); with `follow`, all that come later too.
    func read(last count: Int?, follow: Bool, to connection: Connection) {
        let bytes = [path + ".1", path].flatMap { (try? ReaperFiles.read($0, limitBytes: Self.fileLimitBytes * 2)) ?? [] }
        var start = count == 0 ? bytes.count : 0
        var left = count ?? Int.max
        for index in bytes.indices.reversed() where bytes[index] == 0x0A && count != 0 {
            if left == 0 {
                start = index + 1
                break
            }
            left -= 1
        }
        connection.send(Array(bytes[start...]))
        if follow { followers[ObjectIdentifier(connection)] = connection }
    }

    func forget(_ connection: Connection) { followers[ObjectIdentifier(connection)] = nil }
}
