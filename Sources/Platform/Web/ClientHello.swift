// Finds the server name in the first bytes of a TLS connection (RFC 8446 section 4.1.2, RFC 6066 section 3).

enum ClientHello {
    enum Name: Equatable {
        case incomplete
        /// No server name, or not a ClientHello: OpenSSL will tell the client.
        case none
        case name(String)
    }

    static func serverName(_ bytes: some RandomAccessCollection<UInt8>) -> Name {
        // The handshake message, out of one or more records of type 22.
        var message: [UInt8] = []
        var rest = Array(bytes)[...]
        var needed = 4
        while message.count < needed {
            guard rest.count >= 5 else { return .incomplete }
            guard rest[rest.startIndex] == 22 else { return .none }
            let length = number(rest.dropFirst(3).prefix(2))
            guard length > 0 else { return .none }
            let body = rest.dropFirst(5).prefix(length)
            message += body
            if message.count >= 4 {
                guard message[0] == 1 else { return .none }
                needed = 4 + number(message[1..<4])
            }
            if message.count >= needed { break }
            guard body.count == length else { return .incomplete }
            rest = rest.dropFirst(5 + length)
        }
        return name(inMessage: message.prefix(needed).dropFirst(4))
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

    // Takes a vector with a length of `width` bytes off the front.
    private static func vector(_ bytes: inout ArraySlice<UInt8>, width: Int) -> ArraySlice<UInt8>? {
        guard bytes.count >= width else { return nil }
        let length = number(bytes.prefix(width))
        bytes = bytes.dropFirst(width)
        guard bytes.count >= length else { return nil }
        defer { bytes = bytes.dropFirst(length) }
        return bytes.prefix(length)
    }

    private static func name(inMessage message: ArraySlice<UInt8>) -> Name {
        var rest = message.dropFirst(34)
        guard vector(&rest, width: 1) != nil, vector(&rest, width: 2) != nil, vector(&rest, width: 1) != nil,
            var extensions = vector(&rest, width: 2)
        else { return .none }
        while extensions.count >= 4 {
            let type = number(extensions.prefix(2))
            extensions = extensions.dropFirst(2)
            guard var body = vector(&extensions, width: 2) else { return .none }
            guard type == 0 else { continue }
            guard var list = vector(&body, width: 2), list.first == 0 else { return .none }
            list = list.dropFirst()
            guard let name = vector(&list, width: 2), name.allSatisfy({ $0 > 32 && $0 < 127 }) else { return .none }
            return .name(String(decoding: name, as: UTF8.self).lowercased())
        }
        return .none
    }
}
