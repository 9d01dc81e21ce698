// Answers of other servers, kept for as long as they hold, at most as long as the Corefile says.
internal import Essentials

/// Not for several threads at once.
struct AnswerCache {
    static let limitEntries = 4096

    struct Key: Hashable {
        var name: String
        var type: UInt16
        var wantsSignatures: Bool
        var checksDisabled: Bool
    }

    private struct Entry {
        var bytes: [UInt8]
        var keptAt: Double
        var expiresAt: Double
        /// Where times to live stand, each of four bytes.
        var timesToLive: [Int]
    }

    private var entries: [Key: Entry] = [:]

    /// Looks through an answer: how long it holds, whether it says that there is nothing, and where its times stand.
    static func inspect(_ bytes: [UInt8]) -> (seconds: UInt32, isDenial: Bool, timesToLive: [Int])? {
        guard bytes.count >= 12, bytes[2] & 0x80 != 0, bytes[2] & 0x02 == 0 else { return nil }
        let code = bytes[3] & 15
        guard code == DNSCode.success.rawValue || code == DNSCode.nameError.rawValue else { return nil }
        var reader = DNSReader(bytes, at: 4)
        let counts = (0..<4).compactMap { _ in reader.number() }.map(Int.init)
        guard counts.count == 4, counts[0] == 1, reader.name() != nil, reader.number() != nil, reader.number() != nil else { return nil }
        var seconds = UInt32.max
        var places: [Int] = []
        var startOfAuthority: UInt32?
        for index in 0..<(counts[1] + counts[2] + counts[3]) {
            guard let record = reader.record() else { return nil }
            guard record.type != DNSType.opt else { continue }
            places.append(record.timeToLiveAt)
            seconds = min(seconds, record.timeToLive)
            if record.type == DNSType.soa, index >= counts[1], record.data.count >= 4 {
                let minimum = bytes[record.data].suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                startOfAuthority = min(minimum, record.timeToLive)
            }
        }
        let isDenial = code == DNSCode.nameError.rawValue || counts[1] == 0
        if isDenial {
            guard let startOfAuthority else { return nil }
            return (min(seconds, startOfAuthority), true, places)
        }
        return seconds == .max ? nil : (seconds, false, places)
    }

    mutating func keep(_ bytes: [UInt8], for key: Key, at now: Double, seconds: UInt32, timesToLive: [Int]) {
        guard seconds > 0 else { return }
        if entries.count >= Self.limitEntries {
            entries = entries.filter { $0.value.expiresAt > now }
            // Still full: whichever comes first goes; it can be asked for again.
            while entries.count >= Self.limitEntries, let victim = entries.keys.first { entries[victim] = nil }
        }
        entries[key] = Entry(bytes: bytes, keptAt: now, expiresAt: now + Double(seconds), timesToLive: timesToLive)
    }

    /// The answer with the question's own identifier and what is left of its times.
    mutating func answer(to question: DNSQuestion, key: Key, at now: Double) -> [UInt8]? {
        guard let entry = entries[key] else { return nil }
        guard entry.expiresAt > now else {
            entries[key] = nil
            return nil
        }
        var bytes = entry.bytes
        let age = UInt32(now - entry.keptAt)
        for place in entry.timesToLive {
            let seconds = bytes[place..<(place + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let left = seconds > age ? seconds - age : 0
            for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: left >> (24 - UInt32(byte) * 8)) }
        }
        bytes[0] = UInt8(question.identifier >> 8)
        bytes[1] = UInt8(question.identifier & 0xFF)
        // The case of the letters may differ from that of the first who asked.
        guard bytes.count >= 12 + question.section.count else { return nil }
        bytes.replaceSubrange(12..<(12 + question.section.count), with: question.section)
        return bytes
    }
}
