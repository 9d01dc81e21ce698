// The offsets of a time zone, from a TZif file (RFC 9636): transitions that are listed, and the rule for those that follow.
internal import Essentials

struct TimeZoneRules: Sendable, Equatable {
    /// A yearly change as POSIX writes it (`M3.2.0/2`): month, week (5 is the last), weekday, second of the day.
    struct Change: Sendable, Equatable {
        var month: Int
        var week: Int
        var weekday: Int
        var second: Int
    }

    /// Moments and the offset, in seconds east of Greenwich, that holds from each on.
    private var transitions: [(at: Int64, offset: Int)] = []
    private var first = 0
    private var standard = 0
    private var summer: (offset: Int, start: Change, end: Change)?

    static let utc = TimeZoneRules()
    /// A larger file is none.
    private static let limitBytes = 1 << 20

    static func == (left: TimeZoneRules, right: TimeZoneRules) -> Bool {
        left.first == right.first && left.standard == right.standard && left.transitions.map(\.at) == right.transitions.map(\.at)
    }

    private init() {}

    /// `nil` where the bytes are no such file.
    init?(tzif bytes: [UInt8]) {
        guard bytes.count >= 44, bytes.count <= Self.limitBytes, bytes.starts(with: Array("TZif".utf8)) else { return nil }
        func counts(_ base: Int) -> [Int] { (0..<6).map { Self.number(bytes, base + 20 + $0 * 4, 4) } }
        var base = 0
        var width = 4
        if bytes[4] >= UInt8(ascii: "2") {
            // The first block has 32-bit times, for old readers only.
            let skipped = counts(0)
            base = 44 + skipped[3] * 5 + skipped[4] * 6 + skipped[5] + skipped[2] * 8 + skipped[1] + skipped[0]
            width = 8
        }
        guard base >= 0, bytes.count >= base + 44, bytes[base...].starts(with: Array("TZif".utf8)) else { return nil }
        let count = counts(base)
        let (utc, standardFlags, leaps, times, types, letters) = (count[0], count[1], count[2], count[3], count[4], count[5])
        let start = base + 44
        let end = start + times * (width + 1) + types * 6 + letters + leaps * (width + 4) + standardFlags + utc
        guard count.allSatisfy({ $0 >= 0 }), end <= bytes.count, types > 0 else { return nil }
        let offsets = (0..<types).map { Self.number(bytes, start + times * (width + 1) + $0 * 6, 4) }
        first = offsets[0]
        for index in 0..<times {
            let type = Int(bytes[start + times * width + index])
            guard type < types else { return nil }
            transitions.append((Int64(Self.number(bytes, start + index * width, width)), offsets[type]))
        }
        standard = transitions.last?.offset ?? first
        if width == 8, end < bytes.count { readRule(String(decoding: bytes[(end + 1)...].prefix { $0 != 0x0A }, as: UTF8.self)) }
    }

    /// A big-endian two's complement number.
    private static func number(_ bytes: [UInt8], _ at: Int, _ width: Int) -> Int {
        var value: UInt64 = bytes[at] >= 128 && width == 4 ? 0xFFFF_FFFF : 0
        for index in 0..<width { value = value << 8 | UInt64(bytes[at + index]) }
        return Int(Int64(bitPattern: value))
    }

    /// Reads `CET-1CEST,M3.5.0,M10.5.0/3`.
    private mutating func readRule(_ text: String) {
        let parts = text.split(separator: ",").map(String.init)
        guard let head = parts.first else { return }
        var rest = Substring(head)
        func name() {
            if rest.first == "<" { rest = rest.drop { $0 != ">" }.dropFirst() } else { rest = rest.drop { $0.isLetter } }
        }
        func offset() -> Int? {
            guard let next = rest.first, next == "+" || next == "-" || next.isNumber else { return nil }
            let text = rest.prefix { "+-:0123456789".contains($0) }
            rest = rest.dropFirst(text.count)
            return Self.clock(text).map { -$0 }
        }
        name()
        guard let usual = offset() else { return }
        standard = usual
        guard !rest.isEmpty, parts.count == 3, let start = Self.change(parts[1]), let end = Self.change(parts[2]) else { return }
        name()
        summer = (offset() ?? usual + 3600, start, end)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private static func clock(_ text: Substring) -> Int? {
        let isNegative = text.hasPrefix("-")
        let parts = text.drop { $0 == "+" || $0 == "-" }.split(separator: ":").map { Int($0) }
        guard !parts.isEmpty, parts.count <= 3, parts.allSatisfy({ $0 != nil }) else { return nil }
        let seconds = zip(parts, [3600, 60, 1]).reduce(0) { $0 + ($1.0 ?? 0) * $1.1 }
        return isNegative ? -seconds : seconds
    }

    private static func change(_ text: String) -> Change? {
        let halves = text.split(separator: "/", maxSplits: 1)
        guard let day = halves.first, day.hasPrefix("M") else { return nil }
        let numbers = day.dropFirst().split(separator: ".").compactMap { Int($0) }
        guard numbers.count == 3, (1...12).contains(numbers[0]) else { return nil }
        let second = halves.count == 2 ? clock(halves[1]) : 7200
        return second.map { Change(month: numbers[0], week: numbers[1], weekday: numbers[2], second: $0) }
    }

    /// Seconds east of Greenwich at a moment.
    func offset(at moment: Int64) -> Int {
        guard let last = transitions.last else { return rule(at: moment) }
        if moment >= last.at { return rule(at: moment) }
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].at <= moment { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? first : transitions[low - 1].offset
    }

    private func rule(at moment: Int64) -> Int {
        guard let summer else { return standard }
        let year = CivilTime(local: moment + Int64(standard)).year
        let start = Self.moment(summer.start, year) - Int64(standard)
        let end = Self.moment(summer.end, year) - Int64(summer.offset)
        let isSummer = start < end ? moment >= start && moment < end : moment >= start || moment < end
        return isSummer ? summer.offset : standard
    }

    private static func moment(_ change: Change, _ year: Int) -> Int64 {
        let firstDay = CivilTime.days(year: year, month: change.month, day: 1)
        let firstWeekday = CivilTime.weekday(days: firstDay)
        var day = 1 + (change.weekday - firstWeekday + 7) % 7 + (change.week - 1) * 7
        while day > CivilTime.daysIn(month: change.month, year: year) { day -= 7 }
        return (firstDay + Int64(day - 1)) * 86_400 + Int64(change.second)
    }
}

/// A date and time of day without a zone.
struct CivilTime: Equatable {
    var year: Int
    var month: Int
    var day: Int
    var hour: Int
    var minute: Int
    /// 0 is Sunday.
    var weekday: Int

    /// From seconds since 1970 by the local clock.
    init(local seconds: Int64) {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = Int(seconds - days * 86_400)
        // Eras of 400 years that begin on 1 March.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
        hour = rest / 3600
        minute = rest / 60 % 60
        weekday = Self.weekday(days: days)
    }

    static func weekday(days: Int64) -> Int { Int(((days + 4) % 7 + 7) % 7) }

    static func days(year: Int, month: Int, day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return Int64(era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468)
    }

    static func daysIn(month: Int, year: Int) -> Int {
        if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }
}
