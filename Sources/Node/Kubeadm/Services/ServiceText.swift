// How `systemctl status` and `journalctl` write what the agent knows.
package import Essentials
internal import Kernel

package enum ServiceText {
    package static func status(_ status: JSON, log: [String], host: String, colours: Bool, now: Timestamp) -> String {
        let active = status["active"]?.string ?? "inactive"
        let (bullet, colour) =
            switch active {
            case "active": ("●", "32")
            case "failed": ("×", "31")
            case "inactive": ("○", "")
            default: ("●", "33")
            }
        func paint(_ text: String) -> String { colours && !colour.isEmpty ? "\u{1B}[0;1;\(colour)m\(text)\u{1B}[0m" : text }
        let unit = status["unit"]?.string ?? ""
        var text = "\(paint(bullet)) \(unit) - \(status["description"]?.string ?? "")\n"
        text += "     Loaded: loaded (\(status["path"]?.string ?? ""); \(status["enabled"]?.string ?? ""); preset: enabled)\n"
        let dropIns = (status["dropIns"]?.array ?? []).compactMap(\.string)
        for (index, path) in dropIns.enumerated() {
            let folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
            if index == 0 { text += "    Drop-In: \(folder)\n" }
            text += "             \(index == dropIns.count - 1 ? "└─" : "├─")\(path.dropFirst(folder.count + 1))\n"
        }
        let since = Timestamp(rfc3339: status["since"]?.string ?? "")
        var line = "\(active) (\(status["sub"]?.string ?? ""))"
        if active == "failed" || active == "activating", let last = status["lastStatus"]?.int {
            line += last > 128 ? " (Result: signal)" : " (Result: exit-code)"
        }
        text += "     Active: \(paint(line))"
        if let since, !(active == "inactive" && status["lastStatus"] == nil) { text += " since \(moment(since)); \(ago(now.since(since)))" }
        text += "\n"
        if status["conditionUnmet"] == true, active == "inactive", let since {
            text += "  Condition: start condition unmet at \(moment(since)); \(ago(now.since(since)))\n"
            for condition in (status["conditions"]?.array ?? []).compactMap(\.string) {
                text += "             └─ ConditionPathExists=\(condition) was not met\n"
            }
        }
        for (index, page) in (status["documentation"]?.array ?? []).compactMap(\.string).enumerated() {
            text += (index == 0 ? "       Docs: " : "             ") + page + "\n"
        }
        if let pid = status["pid"]?.int {
            text += "   Main PID: \(pid) (\(status["process"]?.string ?? ""))\n"
            text += process(pid)
            text += "     CGroup: /system.slice/\(unit)\n             └─\(pid) \(status["command"]?.string ?? "")\n"
        }
        if !log.isEmpty { text += "\n" + log.compactMap { journal($0, host: host, .short) }.map { $0 + "\n" }.joined() }
        return text
    }

    private static func process(_ pid: Int) -> String {
        guard let bytes = try? ReaperFiles.read("/proc/\(pid)/status", limitBytes: 64 << 10) else { return "" }
        var fields: [Substring: Substring] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1].drop { $0 == " " || $0 == "\t" } }
        }
        var text = fields["Threads"].map { "      Tasks: \($0)\n" } ?? ""
        if let size = fields["VmRSS"]?.split(separator: " ").first.flatMap({ Int($0) }) {
            text += "     Memory: \(size / 1024).\(size % 1024 * 10 / 1024)M\n"
        }
        if let stat = try? ReaperFiles.read("/proc/\(pid)/stat", limitBytes: 4096) {
            let rest = String(decoding: stat, as: UTF8.self)
            let values = rest[(rest.lastIndex(of: ")") ?? rest.startIndex)...].split(separator: " ")
            // User and system time, in hundredths of a second.
            if values.count > 13, let user = Int(values[12]), let system = Int(values[13]) {
                let total = (user + system) * 10
                text += "        CPU: \(total < 1000 ? "\(total)ms" : "\(total / 1000).\(String(total % 1000 + 1000).dropFirst())s")\n"
            }
        }
        return text
    }

    package enum Style: String, Sendable {
        case short, cat
        case iso = "short-iso"
        case unix = "short-unix"
    }

    /// A line of the agent's journal, as journalctl writes it; nil where it is none.
    package static func journal(_ line: String, host: String, _ style: Style) -> String? {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let seconds = parts[0].split(separator: ".").first.flatMap({ Int64($0) }) else { return nil }
        let time = Timestamp(seconds: seconds)
        switch style {
        case .short: return "\(shortTime(time)) \(host) \(parts[1]): \(parts[2])"
        case .cat: return String(parts[2])
        case .iso: return "\(time.rfc3339.dropLast())+00:00 \(host) \(parts[1]): \(parts[2])"
        case .unix: return "\(parts[0]) \(host) \(parts[1]): \(parts[2])"
        }
    }

    /// When a line was written; nil where it is none.
    package static func seconds(of line: String) -> Int64? {
        line.split(separator: " ", maxSplits: 1).first.flatMap { $0.split(separator: ".").first }.flatMap { Int64($0) }
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]

    /// `Nov 25 02:50:24`.
    package static func shortTime(_ time: Timestamp) -> String {
        let text = Array(time.rfc3339)
        let month = Int(String(text[5..<7])) ?? 1
        return "\(months[month - 1]) \(String(text[8..<10])) \(String(text[11..<19]))"
    }

    /// `Wed 2026-11-25 02:50:24 UTC`.
    package static func moment(_ time: Timestamp) -> String {
        let text = Array(time.rfc3339)
        return "\(days[Int(time.seconds / 86400 % 7)]) \(String(text[0..<10])) \(String(text[11..<19])) UTC"
    }

    /// `5min ago`, `1h 3min ago`, `2 days ago`.
    package static func ago(_ seconds: Double) -> String {
        let total = Int(max(0, seconds))
        let (day, hour, minute, second) = (total / 86400, total / 3600 % 24, total / 60 % 60, total % 60)
        if day > 0 { return "\(day) day\(day == 1 ? "" : "s")\(hour > 0 ? " \(hour)h" : "") ago" }
        if hour > 0 { return "\(hour)h\(minute > 0 ? " \(minute)min" : "") ago" }
        if minute > 0 { return "\(minute)min\(minute < 5 && second > 0 ? " \(second)s" : "") ago" }
        return second > 0 ? "\(second)s ago" : "\(Int(max(0, seconds) * 1000))ms ago"
    }
}
