// Spans of time as kubectl prints them.
package import Essentials

package enum Age {
    package static func text(of object: JSON, at now: Timestamp) -> String {
        text(since: object["metadata"]?["creationTimestamp"], at: now)
    }

    package static func text(since time: JSON?, at now: Timestamp) -> String {
        guard let start = time?.string.flatMap(Timestamp.init(rfc3339:)) else { return "<unknown>" }
        return text(seconds: Int64(now.since(start).rounded(.down)))
    }

    /// As `duration.HumanDuration` writes it.
    package static func text(seconds: Int64) -> String {
        if seconds < -1 { return "<invalid>" }
        if seconds < 0 { return "0s" }
        if seconds < 120 { return "\(seconds)s" }
        let minutes = seconds / 60
        if minutes < 10 { return pair(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = minutes / 60
        if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if hours < 24 * 8 { return pair(days, "d", hours % 24, "h") }
        if hours < 24 * 365 * 2 { return "\(days)d" }
        let years = days / 365
        return hours < 24 * 365 * 8 ? pair(years, "y", days % 365, "d") : "\(years)y"
    }

    private static func pair(_ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String {
        small == 0 ? "\(large)\(largeUnit)" : "\(large)\(largeUnit)\(small)\(smallUnit)"
    }
}
