// Reads a container's log for `kubectl logs`: from the wished place on, at the reader's pace, and on as it grows.
internal import ClusterModel
internal import Essentials
internal import Kernel

/// One reader. Its turn is one chunk of a file.
actor PodLogReader {
    static let chunkBytes = 64 << 10

    private let kernel: LinuxKernel
    private let path: String
    private let options: PodLogOptions
    /// The writer, while the container runs.
    private let live: PodLog?
    private var files: [OwnedDescriptor]
    private var number: Int
    private var offset: Int64 = 0
    private var rest: [UInt8] = []
    private let since: Timestamp?
    private var isPastSince: Bool
    private var isInLine = false
    private var left: Int
    private var isOver = false

    init(path: String, live: PodLog?, kernel: LinuxKernel, options: PodLogOptions, now: Timestamp) {
        self.kernel = kernel
        self.path = path
        self.options = options
        self.live = live
        // The number is taken first: a file set aside meanwhile is read twice over rather than missed.
        number = live?.position.number ?? 0
        files = PodLog.files(of: path, kernel: kernel).compactMap { try? kernel.openForReading($0) }
        since = options.sinceTime ?? options.sinceSeconds.map { now.adding(seconds: -Int64($0)) }
        isPastSince = since == nil
        left = options.limitBytes.map { max(0, $0) } ?? .max
        if let tail = options.tailLines { (files, offset) = Self.tail(files, lines: tail, kernel: kernel) }
    }

    /// More text; `nil` at the end.
    func next() async -> [UInt8]? {
        while !isOver, left > 0, !Task.isCancelled {
            let position = live?.position
            guard let file = files.first else {
                guard await reopen(position) else { break }
                continue
            }
            let bytes = (try? kernel.read(file, at: offset, limitBytes: Self.chunkBytes)) ?? []
            if !bytes.isEmpty {
                offset += Int64(bytes.count)
                var text = take(bytes)
                if text.count > left { text.removeLast(text.count - left) }
                left -= text.count
                if text.isEmpty { continue }
                return text
            }
            if files.count > 1 {
                files.removeFirst()
                offset = 0
            } else if !(await more(position)) {
                break
            }
        }
        isOver = true
        files = []
        return nil
    }

    // At the end of the newest file: the next one, more of this one, or the end.
    private func more(_ position: PodLog.Position?) async -> Bool {
        guard options.follow, let live, let position else { return false }
        if position.number > number {
            number += 1
            files = live.path(of: number).flatMap { try? kernel.openForReading($0) }.map { [$0] } ?? []
            offset = 0
            return true
        }
        // The state was taken before the file was read, so an end seen there is the end of what was read.
        if position.isOver { return false }
        await live.waitForMore(than: position.generation)
        return true
    }

    private func reopen(_ position: PodLog.Position?) async -> Bool {
        guard options.follow, let live, let position else { return false }
        if let file = live.path(of: number).flatMap({ try? kernel.openForReading($0) }) {
            files = [file]
            return true
        }
        if position.isOver { return false }
        if position.number > number {
            number = position.number
            return true
        }
        await live.waitForMore(than: position.generation)
        return true
    }

    // Whole entries of what was read, as they were printed.
    private func take(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        let all = rest.isEmpty ? bytes : rest + bytes
        var start = 0
        while let newline = all[start...].firstIndex(of: UInt8(ascii: "\n")) {
            render(all[start..<newline], into: &output)
            start = newline + 1
        }
        rest = Array(all[start...])
        return output
    }

    private func render(_ entry: ArraySlice<UInt8>, into output: inout [UInt8]) {
        let space = UInt8(ascii: " ")
        guard let first = entry.firstIndex(of: space), let second = entry[(first + 1)...].firstIndex(of: space),
            let third = entry[(second + 1)...].firstIndex(of: space)
        else { return }
        if !isPastSince, let since {
            if let time = Timestamp(rfc3339: String(decoding: entry[..<first], as: UTF8.self)), time < since { return }
            isPastSince = true
        }
        if options.timestamps, !isInLine { output += entry[...first] }
        output += entry[(third + 1)...]
        isInLine = entry[second + 1] != UInt8(ascii: "F")
        if !isInLine { output.append(UInt8(ascii: "\n")) }
    }

    /// The files from the one on in which the last `lines` lines begin, and where in it they do. Reads backwards.
    static func tail(_ files: [OwnedDescriptor], lines: Int, kernel: LinuxKernel) -> ([OwnedDescriptor], Int64) {
        guard let last = files.last else { return ([], 0) }
        var wanted = lines
        var isLast = true
        for index in files.indices.reversed() {
            let file = files[index]
            let size = kernel.facts(file)?.sizeBytes ?? 0
            if lines == 0 { return ([last], size) }
            var end = size  // everything from here on is taken
            var low = size
            var chunk: [UInt8] = []
            while low > 0 || !chunk.isEmpty {
                // The entry that ends at `end` begins after the newline before it.
                if let newline = chunk.dropLast().lastIndex(of: UInt8(ascii: "\n")) {
                    if !take(chunk[(newline + 1)...], &wanted, &isLast) { return (Array(files[index...]), end) }
                    end = low + Int64(newline) + 1
                    chunk.removeSubrange((newline + 1)...)
                } else if low > 0 {
                    let count = Int(min(low, Int64(chunkBytes)))
                    low -= Int64(count)
                    chunk = ((try? kernel.read(file, at: low, limitBytes: count)) ?? []) + chunk
                } else {
                    if !take(chunk[...], &wanted, &isLast) { return (Array(files[index...]), end) }
                    end = 0
                    chunk = []
                }
            }
        }
        return (files, 0)
    }

    // Whether an entry, seen from the end, is still wanted. Parts of one line count as one.
    private static func take(_ entry: ArraySlice<UInt8>, _ wanted: inout Int, _ isLast: inout Bool) -> Bool {
        let fields = entry.prefix(64).split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        let isWhole = fields.count < 3 || fields[2].first == UInt8(ascii: "F")
        defer { isLast = false }
        if isWhole || isLast {
            if wanted == 0 { return false }
            wanted -= 1
        }
        return true
    }
}
