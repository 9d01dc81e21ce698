// Tells what kind of address a link or picture names, reading it as a browser would.

/// An address in a lesson, classified.
package enum WebAddress: Equatable, Sendable {
    /// `http`, `https` or `//host`: another site.
    case external(String)
    case mail(String)
    /// `#part` of the same page, without the `#`.
    case fragment(String)
    /// `/path` on this server.
    case absolute(String)
    /// A path beside the lesson, with its `?query` and `#part`.
    case relative(String)
    /// Any other scheme: `javascript:`, `data:`, `vbscript:`, `file:`, ….
    case refused

    /// Addresses longer than this are refused.
    package static let limitBytes = 4096

    package init(_ text: String) {
        // Browsers strip C0 controls and spaces at both ends, and tabs and newlines anywhere (WHATWG URL 4.4).
        var scalars = text.unicodeScalars.filter { $0 != "\t" && $0 != "\n" && $0 != "\r" }[...]
        while let first = scalars.first, first.value <= 0x20 { scalars.removeFirst() }
        while let last = scalars.last, last.value <= 0x20 { scalars.removeLast() }
        let address = String(String.UnicodeScalarView(scalars))
        guard address.utf8.count <= Self.limitBytes, !scalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            self = .refused
            return
        }
        if address.hasPrefix("#") {
            self = .fragment(String(address.dropFirst()))
        } else if address.hasPrefix("//") || address.hasPrefix("/\\") || address.hasPrefix("\\") {
            self = address.hasPrefix("//") ? .external("https:" + address) : .refused
        } else if address.hasPrefix("/") {
            self = .absolute(address)
        } else if let scheme = Self.scheme(address) {
            switch scheme {
            case "http", "https": self = .external(address)
            case "mailto": self = .mail(address)
            default: self = .refused
            }
        } else {
            self = .relative(address)
        }
    }

    // A colon before any `/`, `?` or `#` ends a scheme; what is before it must then be a known one, whatever it holds.
    private static func scheme(_ address: String) -> String? {
        for (offset, scalar) in address.unicodeScalars.enumerated() {
            if scalar == ":" { return String(address.unicodeScalars.prefix(offset)).lowercased() }
            if scalar == "/" || scalar == "?" || scalar == "#" || scalar == "\\" { return nil }
        }
        return nil
    }

    /// The segments of a relative path with `.` and `..` resolved and percent signs decoded; `nil` where it would leave
    /// its folder, names a hidden file, or holds a character that has no place in a file name.
    package static func pathSegments(_ path: String) -> [String]? {
        let bare = path.prefix { $0 != "?" && $0 != "#" }
        var result: [String] = []
        for part in bare.split(separator: "/") {
            guard let segment = percentDecoded(String(part)) else { return nil }
            if segment == "." { continue }
            if segment == ".." {
                guard !result.isEmpty else { return nil }
                result.removeLast()
                continue
            }
            guard !segment.hasPrefix("."),
                !segment.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "/" || $0 == "\\" || $0.value == 0x7F })
            else { return nil }
            result.append(segment)
        }
        return result.isEmpty ? nil : result
    }

    /// The path of these segments, fit for an address.
    package static func path(_ segments: [String]) -> String {
        segments.map { segment in
            segment.utf8.map { byte in
                let isPlain = (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || "-._~".utf8.contains(byte)
                let hex = String(byte, radix: 16, uppercase: true)
                return isPlain ? String(Unicode.Scalar(byte)) : "%" + (byte < 16 ? "0" : "") + hex
            }.joined()
        }.joined(separator: "/")
    }

    private static func percentDecoded(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%") {
                guard index + 2 < bytes.count, let value = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16)
                else { return nil }
                result.append(value)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(validating: result, as: UTF8.self)
    }
}
