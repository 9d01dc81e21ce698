// How an API server and a kubelet carry the streams of exec and attach over one upgraded connection.
//
// A frame is channel (1 byte), length (4 bytes, big-endian), bytes. Channels as kubectl numbers them: 0 stdin, 1 stdout,
// 2 stderr, 3 the outcome (a `Status` as JSON), 4 the terminal's size as `{"Width":…,"Height":…}`, 255 the end of the
// channel that its one byte names. Port-forward needs no frames: one connection carries one connection.

package struct StreamFrame: Sendable, Equatable {
    package static let stdin: UInt8 = 0
    package static let stdout: UInt8 = 1
    package static let stderr: UInt8 = 2
    package static let outcome: UInt8 = 3
    package static let resize: UInt8 = 4
    package static let end: UInt8 = 255

    package var channel: UInt8
    package var bytes: [UInt8]
    package init(channel: UInt8, bytes: [UInt8]) {
        self.channel = channel
        self.bytes = bytes
    }

    package var encoded: [UInt8] {
        let count = UInt32(bytes.count)
        return [channel, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + bytes
    }
}

package struct StreamFrameReader: Sendable {
    /// The word both ends name in `Upgrade`.
    package static let upgrade = "lectern-streams"
    /// The word for port-forward.
    package static let portUpgrade = "lectern-port"
    /// A longer frame ends the connection.
    package static let frameLimitBytes = 8 << 20

    private var buffer: [UInt8] = []
    package private(set) var hasFailed = false

    package init() {}

    package mutating func receive(_ bytes: [UInt8]) -> [StreamFrame] {
        buffer += bytes
        var frames: [StreamFrame] = []
        var place = 0
        while !hasFailed, buffer.count - place >= 5 {
            let count = buffer[(place + 1)..<(place + 5)].reduce(0) { $0 << 8 | Int($1) }
            guard count <= Self.frameLimitBytes else {
                hasFailed = true
                break
            }
            guard buffer.count - place >= 5 + count else { break }
            frames.append(StreamFrame(channel: buffer[place], bytes: Array(buffer[(place + 5)..<(place + 5 + count)])))
            place += 5 + count
        }
        buffer.removeFirst(place)
        return frames
    }
}
