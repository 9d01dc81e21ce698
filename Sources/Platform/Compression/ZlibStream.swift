// zlib (RFC 1950) streams that go on: each piece is complete on its own, the history stays. SPDY's headers are sent so.
internal import CZlib

/// Presses pieces of one stream.
package final class ZlibDeflater {
    private let stream: UnsafeMutablePointer<z_stream>

    /// `dictionary`: what both sides know before the first piece.
    package init(dictionary: [UInt8] = []) {
        // zlib remembers where its stream lies, so it must not move.
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        precondition(lectern_zlib_begin(stream) == Z_OK, "zlib could not begin")
        if !dictionary.isEmpty {
            _ = dictionary.withUnsafeBufferPointer { deflateSetDictionary(stream, $0.baseAddress, UInt32($0.count)) }
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    package func compress(_ bytes: [UInt8]) -> [UInt8] {
        var input = bytes
        var output: [UInt8] = []
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            var isMore = true
            while isMore {
                let piece = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = 4096
                    _ = deflate(stream, Z_SYNC_FLUSH)
                    count = 4096 - Int(stream.pointee.avail_out)
                }
                isMore = piece.count == 4096
                output += piece
            }
        }
        return output
    }
}

/// Expands pieces of one stream.
package final class ZlibInflater {
    private let stream: UnsafeMutablePointer<z_stream>
    private let dictionary: [UInt8]

    package init(dictionary: [UInt8] = []) {
        self.dictionary = dictionary
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        precondition(lectern_unzlib_begin(stream) == Z_OK, "zlib could not begin")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// `nil` where the bytes are no zlib, want another dictionary, or hold more than `limitBytes`.
    package func expand(_ bytes: [UInt8], limitBytes: Int) -> [UInt8]? {
        var input = bytes
        var output: [UInt8] = []
        let isWhole = input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            while true {
                var status = Z_OK
                let piece = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = 4096
                    status = inflate(stream, Z_SYNC_FLUSH)
                    count = 4096 - Int(stream.pointee.avail_out)
                }
                output += piece
                if output.count > limitBytes { return false }
                switch status {
                case Z_NEED_DICT:
                    let isKnown = dictionary.withUnsafeBufferPointer { inflateSetDictionary(stream, $0.baseAddress, UInt32($0.count)) }
                    guard isKnown == Z_OK else { return false }
                case Z_OK, Z_BUF_ERROR:
                    // All input is taken and the last piece did not fill its buffer: nothing is left inside.
                    if stream.pointee.avail_in == 0, piece.count < 4096 { return true }
                    if status == Z_BUF_ERROR { return false }
                default: return false
                }
            }
        }
        return isWhole ? output : nil
    }
}
