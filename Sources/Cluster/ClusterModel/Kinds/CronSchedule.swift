// Whether a CronJob's schedule can be read, with the reader's sentences where it cannot (robfig/cron, standard form).

package enum CronSchedule {
    private struct Bounds {
        let least: Int
        let greatest: Int
        var names: [String: Int] = [:]
    }

    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    private static let bounds = [
        Bounds(least: 0, greatest: 59), Bounds(least: 0, greatest: 23), Bounds(least: 1, greatest: 31),
        Bounds(least: 1, greatest: 12, names: Dictionary(uniqueKeysWithValues: months.enumerated().map { ($1, $0 + 1) })),
        Bounds(least: 0, greatest: 6, names: Dictionary(uniqueKeysWithValues: days.enumerated().map { ($1, $0) })),
    ]
    private static let words: Set<String> = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]

    /// `nil` where the schedule is fine.
    package static func problem(_ text: String) -> String? {
        if text.isEmpty { return "empty spec string" }
        if text.hasPrefix("@") {
            if words.contains(text) { return nil }
            guard text.hasPrefix("@every ") else { return "unrecognized descriptor: \(text)" }
            let span = String(text.dropFirst("@every ".count))
            return isDuration(span) ? nil : "failed to parse duration \(text): time: invalid duration \"\(span)\""
        }
        let fields = text.split { $0 == " " || $0 == "\t" }
        guard fields.count == 5 else {
            return "expected exactly 5 fields, found \(fields.count): [\(fields.joined(separator: " "))]"
        }
        for (field, bounds) in zip(fields, bounds) {
            for part in field.split(separator: ",") { if let why = problem(String(part), bounds) { return why } }
        }
        return nil
    }

    private static func problem(_ part: String, _ bounds: Bounds) -> String? {
        let halves = part.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard halves.count <= 2 else { return "too many slashes: \(part)" }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        var start = bounds.least
        var end = bounds.greatest
        if ends[0] != "*", ends[0] != "?" {
            switch number(ends[0], bounds) {
            case .success(let value): start = value
            case .failure(let problem): return problem.text
            }
            switch ends.count {
            case 1: if halves.count == 1 { end = start }
            case 2:
                switch number(ends[1], bounds) {
                case .success(let value): end = value
                case .failure(let problem): return problem.text
                }
            default: return "too many hyphens: \(part)"
            }
        }
        if halves.count == 2 {
            guard let step = Int(halves[1]) else {
                return "failed to parse int from \(halves[1]): strconv.Atoi: parsing \"\(halves[1])\": invalid syntax"
            }
            if step < 0 { return "negative number (\(step)) not allowed: \(halves[1])" }
            if step == 0 { return "step of range should be a positive number: \(part)" }
        }
        if start < bounds.least { return "beginning of range (\(start)) below minimum (\(bounds.least)): \(part)" }
        if end > bounds.greatest { return "end of range (\(end)) above maximum (\(bounds.greatest)): \(part)" }
        if start > end { return "beginning of range (\(start)) beyond end of range (\(end)): \(part)" }
        return nil
    }

    private struct NumberProblem: Error { let text: String }

    private static func number(_ text: String, _ bounds: Bounds) -> Result<Int, NumberProblem> {
        if let value = bounds.names[text.lowercased()] { return .success(value) }
        guard let value = Int(text) else {
            return .failure(
                NumberProblem(text: "failed to parse int from \(text): strconv.Atoi: parsing \"\(text)\": invalid syntax"))
        }
        return value < 0 ? .failure(NumberProblem(text: "negative number (\(value)) not allowed: \(text)")) : .success(value)
    }

    /// Such as `1h30m`.
    private static func isDuration(_ text: String) -> Bool {
        var rest = text[...]
        guard !rest.isEmpty else { return false }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            guard !digits.isEmpty else { return false }
            rest = rest.dropFirst(digits.count)
            guard let unit = ["ns", "us", "ms", "s", "m", "h"].first(where: { rest.hasPrefix($0) }) else { return false }
            rest = rest.dropFirst(unit.count)
        }
        return true
    }
}
