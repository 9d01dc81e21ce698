// DNS messages (RFC 1035, EDNS of RFC 6891): reading questions from anyone, writing answers, walking through others' answers.
//
// A name is a text in lower case without the dot at its end; its bytes outside of letters, digits, `-` and `_` are kept as they
// are as long as they are ASCII and neither a dot nor a blank; other names are refused, as nothing here could own one.
internal import Essentials
package import Kernel

package enum DNSType {
    package static let a: UInt16 = 1
    package static let ns: UInt16 = 2
    package static let cname: UInt16 = 5
    package static let soa: UInt16 = 6
    package static let ptr: UInt16 = 12
    package static let txt: UInt16 = 16
    package static let aaaa: UInt16 = 28
    package static let srv: UInt16 = 33
    package static let opt: UInt16 = 41
    package static let any: UInt16 = 255

    package static func text(_ type: UInt16) -> String {
        switch type {
        case a: "A"
        case ns: "NS"
        case cname: "CNAME"
        case soa: "SOA"
        case ptr: "PTR"
        case 15: "MX"
        case txt: "TXT"
        case aaaa: "AAAA"
        case srv: "SRV"
        case 65: "HTTPS"
        case any: "ANY"
        default: "TYPE\(type)"
        }
    }
}

package enum DNSCode: UInt8, Sendable {
    case success = 0
    case formatError = 1
    case serverFailure = 2
    case nameError = 3
    case notImplemented = 4
    case refused = 5
    case badVersion = 16

    package var text: String {
        switch self {
        case .success: "NOERROR"
        case .formatError: "FORMERR"
        case .serverFailure: "SERVFAIL"
        case .nameError: "NXDOMAIN"
        case .notImplemented: "NOTIMP"
        case .refused: "REFUSED"
        case .badVersion: "BADVERS"
        }
    }
}

/// What a client asks.
package struct DNSQuestion: Sendable {
    package var identifier: UInt16
    package var name: String
    package var type: UInt16
    package var wantsRecursion: Bool
    package var checksDisabled: Bool
    /// Bytes that the client takes by UDP.
    package var payloadBytes: Int
    package var hasEDNS: Bool
    package var wantsSignatures: Bool
    /// The question section as it came: the client compares it byte by byte.
    package var section: [UInt8]

    package enum Reading: Sendable {
        case question(DNSQuestion)
        /// Answered with an error; the identifier, the flags and what is known of the question.
        case refused(DNSCode, identifier: UInt16, wantsRecursion: Bool, operation: UInt8)
        /// Not even worth an answer: an answer itself, or no DNS at all.
        case ignored
    }

    package static func read(_ bytes: [UInt8]) -> Reading {
        guard bytes.count >= 12 else { return .ignored }
        let flags = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        guard flags & 0x8000 == 0 else { return .ignored }
        let identifier = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        let operation = UInt8(flags >> 11 & 15)
        let wantsRecursion = flags & 0x0100 != 0
        func refuse(_ code: DNSCode) -> Reading {
            .refused(code, identifier: identifier, wantsRecursion: wantsRecursion, operation: operation)
        }
        guard operation == 0 else { return refuse(.notImplemented) }
        var reader = DNSReader(bytes, at: 4)
        let counts = (0..<4).compactMap { _ in reader.number() }
        guard counts.count == 4, counts[0] == 1, counts[1] == 0, counts[2] == 0, counts[3] <= 4,
            let name = reader.name(followsPointers: false),
            let type = reader.number(), let `class` = reader.number()
        else { return refuse(.formatError) }
        let section = Array(bytes[12..<reader.position])
        guard `class` == 1 || `class` == 255 else { return refuse(.refused) }
        var question = DNSQuestion(
            identifier: identifier, name: name, type: type, wantsRecursion: wantsRecursion, checksDisabled: flags & 0x0010 != 0,
            payloadBytes: 512, hasEDNS: false, wantsSignatures: false, section: section)
        for _ in 0..<counts[3] {
            guard let record = reader.record() else { return refuse(.formatError) }
            guard record.type == DNSType.opt else { continue }
            guard !question.hasEDNS, record.name.isEmpty else { return refuse(.formatError) }
            question.hasEDNS = true
            question.payloadBytes = min(max(Int(record.class), 512), DNSAnswer.payloadLimitBytes)
            question.wantsSignatures = record.timeToLive & 0x8000 != 0
            if record.timeToLive >> 16 & 0xFF != 0 { return refuse(.badVersion) }
        }
        return .question(question)
    }
}

package struct DNSReader {
    package let bytes: [UInt8]
    package private(set) var position: Int

    package struct Record {
        package var name: String
        package var type: UInt16
        package var `class`: UInt16
        package var timeToLive: UInt32
        /// Where in the message the time to live and the data stand.
        package var timeToLiveAt: Int
        package var data: Range<Int>
    }

    package init(_ bytes: [UInt8], at position: Int) {
        self.bytes = bytes
        self.position = position
    }

    package mutating func number() -> UInt16? {
        guard position + 2 <= bytes.count else { return nil }
        defer { position += 2 }
        return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
    }

    /// A name in lower case; nil when it is malformed.
    package mutating func name(followsPointers: Bool = true) -> String? {
        var text: [UInt8] = []
        var at = position
        var end: Int?
        var jumps = 0
        var length = 1
        while true {
            guard at < bytes.count else { return nil }
            let size = Int(bytes[at])
            if size == 0 {
                position = end ?? at + 1
                return String(decoding: text, as: UTF8.self)
            }
            if size & 0xC0 == 0xC0 {
                guard followsPointers, at + 1 < bytes.count, jumps < 16 else { return nil }
                let target = (size & 0x3F) << 8 | Int(bytes[at + 1])
                // Only backwards, so that it must come to an end.
                guard target < at else { return nil }
                if end == nil { end = at + 2 }
                at = target
                jumps += 1
                continue
            }
            guard size & 0xC0 == 0, at + 1 + size <= bytes.count else { return nil }
            length += size + 1
            guard length <= 255 else { return nil }
            if !text.isEmpty { text.append(46) }
            for byte in bytes[(at + 1)..<(at + 1 + size)] {
                guard byte > 32, byte < 127, byte != 46 else { return nil }
                text.append(byte >= 65 && byte <= 90 ? byte + 32 : byte)
            }
            at += size + 1
        }
    }

    package mutating func record() -> Record? {
        guard let name = name(), let type = number(), let `class` = number() else { return nil }
        let at = position
        guard let high = number(), let low = number(), let size = number(), position + Int(size) <= bytes.count else { return nil }
        defer { position += Int(size) }
        return Record(
            name: name, type: type, class: `class`, timeToLive: UInt32(high) << 16 | UInt32(low), timeToLiveAt: at,
            data: position..<(position + Int(size)))
    }
}

/// A record to be answered with.
package struct DNSRecord: Sendable, Hashable {
    package enum Data: Sendable, Hashable {
        case address(IPv4)
        case name(UInt16, String)
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: String)
        case text(String)
        case authority(String, serial: UInt32)
        /// An IPv6 address, as 16 bytes.
        case address6([UInt8])
    }
    package var name: String
    package var timeToLive: UInt32
    package var data: Data

    package init(_ name: String, _ timeToLive: UInt32, _ data: Data) {
        self.name = name
        self.timeToLive = timeToLive
        self.data = data
    }

    package var type: UInt16 {
        switch data {
        case .address: DNSType.a
        case .address6: DNSType.aaaa
        case .name(let type, _): type
        case .service: DNSType.srv
        case .text: DNSType.txt
        case .authority: DNSType.soa
        }
    }
}

package struct DNSAnswer: Sendable, Equatable {
    /// Bytes that an answer by UDP has at most, whatever the client says: what passes every link whole.
    package static let payloadLimitBytes = 4096

    package var code: DNSCode
    package var isAuthoritative: Bool
    package var answers: [DNSRecord]
    package var authority: [DNSRecord]
    package var additional: [DNSRecord]

    package init(
        _ code: DNSCode = .success, isAuthoritative: Bool = true, _ answers: [DNSRecord] = [], authority: [DNSRecord] = [],
        additional: [DNSRecord] = []
    ) {
        self.code = code
        self.isAuthoritative = isAuthoritative
        self.answers = answers
        self.authority = authority
        self.additional = additional
    }

    package init(records: [DNSRecord]) { self.init(.success, records) }

    /// At most `limit` bytes: what does not fit is left out, and the client told to ask by TCP.
    package func bytes(to question: DNSQuestion, limit: Int) -> [UInt8] {
        var writer = DNSWriter(question)
        let room = limit - (question.hasEDNS ? 11 : 0)
        var counts: [UInt16] = [0, 0, 0]
        var isCut = false
        for (section, records) in [answers, authority, additional].enumerated() where !isCut {
            for record in records {
                let mark = writer.bytes.count
                writer.write(record)
                if writer.bytes.count > room {
                    writer.cut(to: mark)
                    // What is only extra may be missing without anybody having to ask again.
                    isCut = section < 2
                    break
                }
                counts[section] += 1
            }
        }
        if question.hasEDNS {
            writer.writeEDNS(payload: 1232, wantsSignatures: question.wantsSignatures, code: code)
            counts[2] += 1
        }
        writer.finish(code: code, isAuthoritative: isAuthoritative, isCut: isCut, question: question, counts: counts)
        return writer.bytes
    }

    /// The answer to what could not be read.
    package static func refusal(_ code: DNSCode, identifier: UInt16, wantsRecursion: Bool, operation: UInt8) -> [UInt8] {
        let flags = 0x8000 | UInt16(operation) << 11 | (wantsRecursion ? 0x0100 : 0) | 0x0080 | UInt16(code.rawValue & 15)
        return [UInt8(identifier >> 8), UInt8(identifier & 0xFF), UInt8(flags >> 8), UInt8(flags & 0xFF)] + [0, 0, 0, 0, 0, 0, 0, 0]
    }
}

package struct DNSWriter {
    package private(set) var bytes: [UInt8]
    private var known: [String: Int] = [:]

    init(_ question: DNSQuestion) {
        bytes = [UInt8](repeating: 0, count: 12) + question.section
        if !question.name.isEmpty { remember(question.name, at: 12) }
    }

    private mutating func remember(_ name: String, at start: Int) {
        var at = start
        var rest = name[...]
        while !rest.isEmpty, at < 0x3FFF {
            if known[String(rest)] == nil { known[String(rest)] = at }
            guard let dot = rest.firstIndex(of: ".") else { break }
            at += rest.utf8.distance(from: rest.startIndex, to: dot) + 1
            rest = rest[rest.index(after: dot)...]
        }
    }

    private mutating func append(_ number: UInt16) {
        bytes.append(UInt8(number >> 8))
        bytes.append(UInt8(number & 0xFF))
    }

    private mutating func append(_ number: UInt32) {
        append(UInt16(number >> 16))
        append(UInt16(number & 0xFFFF))
    }

    private mutating func append(name: String, compressed: Bool = true) {
        var rest = name[...]
        while !rest.isEmpty {
            if compressed, let at = known[String(rest)] {
                append(0xC000 | UInt16(at))
                return
            }
            if bytes.count < 0x3FFF, compressed { known[String(rest)] = bytes.count }
            let dot = rest.firstIndex(of: ".") ?? rest.endIndex
            let label = Array(rest[..<dot].utf8.prefix(63))
            bytes.append(UInt8(label.count))
            bytes += label
            rest = dot == rest.endIndex ? "" : rest[rest.index(after: dot)...]
        }
        bytes.append(0)
    }

    mutating func write(_ record: DNSRecord) {
        append(name: record.name)
        append(record.type)
        append(UInt16(1))
        append(record.timeToLive)
        let at = bytes.count
        append(UInt16(0))
        switch record.data {
        case .address(let address): bytes += address.bytes
        case .address6(let address): bytes += address
        case .name(_, let name): append(name: name)
        case .service(let priority, let weight, let port, let target):
            append(priority)
            append(weight)
            append(port)
            append(name: target, compressed: false)
        case .text(let text):
            let part = Array(text.utf8.prefix(255))
            bytes.append(UInt8(part.count))
            bytes += part
        case .authority(let zone, let serial):
            append(name: "ns.dns." + zone)
            append(name: "hostmaster." + zone)
            for number in [serial, 7200, 1800, 86400, record.timeToLive] { append(number) }
        }
        let size = bytes.count - at - 2
        bytes[at] = UInt8(size >> 8)
        bytes[at + 1] = UInt8(size & 0xFF)
    }

    mutating func writeEDNS(payload: UInt16, wantsSignatures: Bool, code: DNSCode) {
        bytes.append(0)
        append(DNSType.opt)
        append(payload)
        append(UInt32(code.rawValue >> 4) << 24 | (wantsSignatures ? 0x8000 : 0))
        append(UInt16(0))
    }

    mutating func cut(to count: Int) {
        bytes.removeLast(bytes.count - count)
        known = known.filter { $0.value < count }
    }

    mutating func finish(code: DNSCode, isAuthoritative: Bool, isCut: Bool, question: DNSQuestion, counts: [UInt16]) {
        var flags: UInt16 = 0x8000 | 0x0080 | UInt16(code.rawValue & 15)
        if isAuthoritative { flags |= 0x0400 }
        if isCut { flags |= 0x0200 }
        if question.wantsRecursion { flags |= 0x0100 }
        if question.checksDisabled { flags |= 0x0010 }
        for (index, number) in ([question.identifier, flags, 1] + counts).enumerated() {
            bytes[index * 2] = UInt8(number >> 8)
            bytes[index * 2 + 1] = UInt8(number & 0xFF)
        }
    }
}
