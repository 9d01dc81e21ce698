// gzip (RFC 1952) of whole byte arrays: what the pages' files are sent as to browsers that take it.
internal import CZlib

package enum Gzip {
    /// The bytes in gzip form, as small as zlib makes them: done once for each file and kept.
    package static func compress(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        precondition(lectern_gzip_begin(&stream) == Z_OK, "zlib could not begin")
        defer { deflateEnd(&stream) }
        let limit = Int(deflateBound(&stream, UInt(bytes.count)))
        var input = bytes
        return input.withUnsafeMutableBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: limit) { output, count in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(limit)
                // The bound is large enough for all of it at once.
                precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib did not finish")
                count = limit - Int(stream.avail_out)
            }
        }
    }

    /// What `compress` was given; nil where the bytes are no gzip, or hold more than `limitBytes`.
    package static func expand(_ bytes: [UInt8], limitBytes: Int) -> [UInt8]? {
        var stream = z_stream()
        precondition(lectern_gunzip_begin(&stream) == Z_OK, "zlib could not begin")
        defer { inflateEnd(&stream) }
        var input = bytes
        var isWhole = false
        let result = input.withUnsafeMutableBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: limitBytes) { output, count in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(limitBytes)
                isWhole = inflate(&stream, Z_FINISH) == Z_STREAM_END
                count = limitBytes - Int(stream.avail_out)
            }
        }
        return isWhole ? result : nil
    }
}
