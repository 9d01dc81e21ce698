// The last bytes of one terminal: a ring of anonymous memory that the system fills in only as far as it is used.
internal import CLinux
internal import Glibc

/// Keeps the bytes from `start` up to `end`, both counted from the beginning of the terminal. It reads from a PTY and
/// writes to sockets without a copy in between. Not thread-safe: it belongs to one loop.
package final class PTYRing {
    package let capacityBytes: Int
    package private(set) var start: UInt64
    package private(set) var end: UInt64
    private let base: UnsafeMutableRawPointer

    /// A ring whose first byte will have the number `offset`.
    package init(capacityBytes: Int, startingAt offset: UInt64 = 0) {
        self.capacityBytes = capacityBytes
        start = offset
        end = offset
        // Private pages: memory that was never written costs nothing.
        let mapped = mmap(nil, capacityBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(mapped != MAP_FAILED && mapped != nil, "no memory for a terminal's ring")
        base = mapped.unsafelyUnwrapped
    }

    deinit { munmap(base, capacityBytes) }

    package var count: Int { Int(end - start) }
    package var free: Int { capacityBytes - count }

    /// Forgets everything before `offset`.
    package func discard(before offset: UInt64) {
        precondition(offset >= start && offset <= end)
        start = offset
    }

    /// Adds bytes; they must fit into what is free.
    package func append(_ bytes: [UInt8]) {
        precondition(bytes.count <= free)
        bytes.withUnsafeBytes { source in
            var done = 0
            while done < source.count {
                let position = place(end)
                let part = min(source.count - done, capacityBytes - position)
                memcpy(base + position, source.baseAddress! + done, part)
                end += UInt64(part)
                done += part
            }
        }
    }

    /// Reads from `descriptor` until it has nothing more, `limitBytes` were read or the ring is full.
    package func fill(from descriptor: Int32, limitBytes: Int) -> PTYReading {
        var total = 0
        while total < limitBytes, free > 0 {
            let position = place(end)
            let room = min(limitBytes - total, free, capacityBytes - position)
            let got = read(descriptor, base + position, room)
            if got > 0 {
                end += UInt64(got)
                total += got
            } else if got < 0, errno == EINTR {
                continue
            } else if got < 0, errno == EAGAIN {
                return PTYReading(count: total, ended: false, drained: true)
            } else {
                return PTYReading(count: total, ended: true, drained: true)
            }
        }
        return PTYReading(count: total, ended: false, drained: false)
    }

    package func bytes(_ range: Range<UInt64>) -> [UInt8] {
        precondition(range.lowerBound >= start && range.upperBound <= end)
        return [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            forEachPart(range) { part in
                memcpy(buffer.baseAddress! + count, part.baseAddress!, part.count)
                count += part.count
            }
        }
    }

    /// Sends `header` and then the bytes of `range` with one call. Returns how many went out in all; 0 when the socket
    /// is full, -1 when it is gone.
    package func send(header: [UInt8], _ range: Range<UInt64>, to descriptor: Int32) -> Int {
        precondition(range.lowerBound >= start && range.upperBound <= end)
        return header.withUnsafeBytes { head in
            var parts = [iovec(iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count)]
            forEachPart(range) { part in
                parts.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: part.baseAddress), iov_len: part.count))
            }
            return parts.withUnsafeMutableBufferPointer { vector in
                var message = msghdr()
                message.msg_iov = vector.baseAddress
                message.msg_iovlen = vector.count
                while true {
                    let sent = sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                    if sent >= 0 { return sent }
                    if errno == EINTR { continue }
                    return errno == EAGAIN ? 0 : -1
                }
            }
        }
    }

    /// The number of the first ESC in `range`.
    package func firstEscape(in range: Range<UInt64>) -> UInt64? {
        var passed = range.lowerBound
        var found: UInt64?
        forEachPart(range) { part in
            if found != nil { return }
            if let hit = memchr(part.baseAddress!, 0x1B, part.count) {
                found = passed + UInt64(UnsafeRawPointer(hit) - part.baseAddress!)
            }
            passed += UInt64(part.count)
        }
        return found
    }

    /// Where the last `lines` lines of `range` begin, if all of it is plain text that has as many; then nothing before
    /// them can still be seen on a screen of fewer lines.
    package func startOfPlainTail(of range: Range<UInt64>, lines: Int) -> UInt64? {
        var plain = true
        forEachPart(range) { part in
            plain = plain && lectern_terminal_plain(part.baseAddress!.assumingMemoryBound(to: UInt8.self), part.count) != 0
        }
        guard plain else { return nil }
        var position = range.upperBound
        var left = lines
        while position > range.lowerBound {
            position -= 1
            if (base + place(position)).load(as: UInt8.self) == 0x0A {
                left -= 1
                if left == 0 { return position + 1 }
            }
        }
        return nil
    }

    package subscript(offset: UInt64) -> UInt8 { (base + place(offset)).load(as: UInt8.self) }

    private func place(_ offset: UInt64) -> Int { Int(offset % UInt64(capacityBytes)) }

    private func forEachPart(_ range: Range<UInt64>, _ body: (UnsafeRawBufferPointer) -> Void) {
        var position = range.lowerBound
        while position < range.upperBound {
            let at = place(position)
            let part = min(range.upperBound - position, UInt64(capacityBytes - at))
            body(UnsafeRawBufferPointer(start: base + at, count: Int(part)))
            position += part
        }
    }
}

/// What one turn of reading brought.
package struct PTYReading: Sendable, Equatable {
    package let count: Int
    /// The other side is gone: there will be no more.
    package let ended: Bool
    /// There was nothing more just now.
    package let drained: Bool
}
