// When a CronJob's schedule is due next: five fields, or a word such as @hourly (robfig/cron's standard form).
internal import ClusterModel
internal import Essentials

struct CronTable: Sendable, Equatable {
    private var minutes: UInt64 = 0
    private var hours: UInt64 = 0
    private var days: UInt64 = 0
    private var months: UInt64 = 0
    private var weekdays: UInt64 = 0
    /// Where both days are limited, either may match.
    private var dayIsAny = false
    private var weekdayIsAny = false
    /// `@every`, in seconds.
    private var interval: Int64?

    /// A schedule that is not due within this many years never is.
    private static let horizonYears = 5

    private static let words = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]
    private static let monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    /// `nil` where the schedule cannot be read.
    init?(_ text: String) {
        guard CronSchedule.problem(text) == nil else { return nil }
        if text.hasPrefix("@every ") {
            guard let seconds = Self.duration(text.dropFirst("@every ".count)) else { return nil }
            interval = max(1, seconds)
            return
        }
        let fields = (Self.words[text] ?? text).split { $0 == " " || $0 == "\t" }.map(String.init)
        guard fields.count == 5 else { return nil }
        minutes = Self.bits(fields[0], 0...59)
        hours = Self.bits(fields[1], 0...23)
        days = Self.bits(fields[2], 1...31)
        months = Self.bits(fields[3], 1...12, names: Self.monthNames, from: 1)
        weekdays = Self.bits(fields[4], 0...6, names: Self.dayNames, from: 0)
        dayIsAny = Self.isAny(fields[2])
        weekdayIsAny = Self.isAny(fields[4])
    }

    private static func isAny(_ field: String) -> Bool {
        field.split(separator: ",").contains { $0 == "*" || $0 == "?" || $0 == "*/1" || $0 == "?/1" }
    }

    private static func bits(_ field: String, _ range: ClosedRange<Int>, names: [String] = [], from base: Int = 0) -> UInt64 {
        func number(_ text: Substring) -> Int { names.firstIndex(of: text.lowercased()).map { $0 + base } ?? Int(text) ?? range.lowerBound }
        var bits: UInt64 = 0
        for part in field.split(separator: ",") {
            let halves = part.split(separator: "/")
            let step = halves.count > 1 ? max(1, Int(halves[1]) ?? 1) : 1
            var (low, high) = (range.lowerBound, range.upperBound)
            if halves[0] != "*", halves[0] != "?" {
                let ends = halves[0].split(separator: "-")
                low = number(ends[0])
                high = ends.count > 1 ? number(ends[1]) : halves.count > 1 ? range.upperBound : low
            }
            for value in stride(from: low, through: min(high, 63), by: step) { bits |= 1 << UInt64(value) }
        }
        return bits
    }

    /// A duration as Go writes it, in whole seconds: `1h30m`.
    private static func duration(_ text: Substring) -> Int64? {
        var seconds = 0.0
        var rest = text
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(digits), let size = ["h": 3600.0, "m": 60, "s": 1, "ms": 0.001, "us": 1e-6, "ns": 1e-9][String(unit)]
            else { return nil }
            seconds += value * size
        }
        return Int64(seconds)
    }

    private static func has(_ bits: UInt64, _ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }

    private func matchesDay(_ time: CivilTime) -> Bool {
        let (byDay, byWeekday) = (Self.has(days, time.day), Self.has(weekdays, time.weekday))
        return dayIsAny || weekdayIsAny ? byDay && byWeekday : byDay || byWeekday
    }

    /// The first moment after `moment` at which the schedule is due; `nil` where it never is.
    func next(after moment: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
        if let interval { return Timestamp(seconds: moment.seconds + interval) }
        var at = moment.seconds - floorModulo(moment.seconds, 60) + 60
        let limit = moment.seconds + Int64(Self.horizonYears) * 366 * 86_400
        while at < limit {
            let offset = Int64(zone.offset(at: at))
            let time = CivilTime(local: at + offset)
            let secondOfDay = Int64(time.hour * 3600 + time.minute * 60)
            if !Self.has(months, time.month) {
                let left = CivilTime.daysIn(month: time.month, year: time.year) - time.day + 1
                at = advance(at, by: Int64(left) * 86_400 - secondOfDay, offset, zone)
            } else if !matchesDay(time) {
                at = advance(at, by: 86_400 - secondOfDay, offset, zone)
            } else if !Self.has(hours, time.hour) {
                at = advance(at, by: 3600 - secondOfDay % 3600, offset, zone)
            } else if !Self.has(minutes, time.minute) {
                at += 60
            } else {
                return Timestamp(seconds: at)
            }
        }
        return nil
    }

    /// Goes on by so much on the local clock, which may be put forward or back on the way.
    private func advance(_ at: Int64, by seconds: Int64, _ offset: Int64, _ zone: TimeZoneRules) -> Int64 {
        let next = at + seconds
        let corrected = next - (Int64(zone.offset(at: next)) - offset)
        return corrected > at ? corrected : next
    }

    private func floorModulo(_ value: Int64, _ modulus: Int64) -> Int64 { (value % modulus + modulus) % modulus }
}
