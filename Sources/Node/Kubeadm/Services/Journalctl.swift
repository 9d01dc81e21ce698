// `journalctl` over the node's agent: what services printed, with the options people use.
package import Essentials
internal import Kernel

package struct Journalctl {
    package struct Options: Equatable {
        package var units: [String] = []
        package var lines: Int?
        package var follow = false
        package var reverse = false
        package var style = ServiceText.Style.short
        package var since: Timestamp?
        package var until: Timestamp?
        package var pattern: String?
        package var isQuiet = false

        /// Throws what is to be said of options that are not understood.
        package init(_ words: [String], now: Timestamp) throws(ServiceProblem) {
            var rest = words[...]
            while let word = rest.popFirst() {
                if word.hasPrefix("-"), !word.hasPrefix("--"), word.count > 2, let last = word.last {
                    // `-xeu UNIT`, `-fu UNIT`, `-n20`
                    if word.hasPrefix("-n"), Int(word.dropFirst(2)) != nil {
                        rest = [String("-n"), String(word.dropFirst(2))] + rest
                        continue
                    }
                    if word.hasPrefix("-u") || word.hasPrefix("-o") {
                        rest = [String(word.prefix(2)), String(word.dropFirst(2))] + rest
                        continue
                    }
                    rest = word.dropFirst().dropLast().map { "-\($0)" } + ["-\(last)"] + rest
                    continue
                }
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                func value() throws(ServiceProblem) -> String {
                    if parts.count == 2 { return parts[1] }
                    guard let next = rest.popFirst() else {
                        throw ServiceProblem(reason: "Usage", message: "journalctl: option '\(word)' requires an argument")
                    }
                    return next
                }
                switch parts[0] {
                case "-u", "--unit": units.append(Systemctl.fullName(try value()))
                case "-f", "--follow": follow = true
                case "-e", "--pager-end": lines = lines ?? 1000
                case "-r", "--reverse": reverse = true
                case "-q", "--quiet": isQuiet = true
                case "-n", "--lines":
                    if parts.count == 2 || rest.first.flatMap({ Int($0) }) != nil || rest.first == "all" {
                        let text = try value()
                        lines = text == "all" ? nil : Int(text.drop { $0 == "+" }) ?? 10
                    } else {
                        lines = 10
                    }
                case "-o", "--output":
                    let text = try value()
                    guard let known = ServiceText.Style(rawValue: text) else {
                        throw ServiceProblem(reason: "Usage", message: "Unknown output format '\(text)'.")
                    }
                    style = known
                case "-S", "--since": since = try Self.time(try value(), now)
                case "-U", "--until": until = try Self.time(try value(), now)
                case "-g", "--grep": pattern = try value()
                case "-t", "--identifier", "-p", "--priority", "-b", "--boot":
                    if parts.count == 1, parts[0] != "-b", parts[0] != "--boot" { _ = try value() }
                case "-x", "--catalog", "-a", "--all", "-l", "--full", "-m", "--merge", "--no-pager", "--no-hostname", "--utc", "--system",
                    "--no-tail", "--no-full":
                    break
                default:
                    throw ServiceProblem(
                        reason: "Usage",
                        message: "journalctl: \(word.hasPrefix("-") ? "unrecognized option" : "unknown argument") '\(word)'")
                }
            }
            if follow, lines == nil { lines = 10 }
        }

        private static func time(_ text: String, _ now: Timestamp) throws(ServiceProblem) -> Timestamp {
            let midnight = Timestamp(seconds: now.seconds / 86400 * 86400)
            switch text {
            case "now": return now
            case "today": return midnight
            case "yesterday": return midnight.adding(seconds: -86400)
            default: break
            }
            let words = text.split(separator: " ")
            if words.last == "ago" || text.hasPrefix("-") {
                let span = words.filter { $0 != "ago" }.joined(separator: "").drop { $0 == "-" }
                let number = span.prefix { $0.isNumber }
                let factors: [String: Int64] = [
                    "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hour": 3600,
                    "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
                ]
                if let count = Int64(number), let factor = factors[String(span.dropFirst(number.count))] {
                    return now.adding(seconds: -count * factor)
                }
            }
            let iso = words.count == 2 ? "\(words[0])T\(words[1])Z" : words.count == 1 && text.count == 10 ? text + "T00:00:00Z" : text
            guard let time = Timestamp(rfc3339: iso) else {
                throw ServiceProblem(reason: "Usage", message: "Failed to parse timestamp: \(text)")
            }
            return time
        }
    }

    private let control: ServiceControl
    private let print: (String) -> Bool
    private let complain: (String) -> Void

    /// `print` answers false when nobody reads any more.
    package init(control: ServiceControl = ServiceControl(), print: @escaping (String) -> Bool, complain: @escaping (String) -> Void) {
        self.control = control
        self.print = print
        self.complain = complain
    }

    package func run(_ words: [String]) -> Int32 {
        do throws(ServiceProblem) {
            let options = try Options(words, now: SystemClock().now())
            let host = ReaperProcesses.hostName
            var units = options.units
            if units.isEmpty { units = (try control.ask("list")["units"]?.array ?? []).compactMap { $0["unit"]?.string } }
            func wanted(_ line: String) -> Bool {
                guard let seconds = ServiceText.seconds(of: line) else { return false }
                return seconds >= options.since?.seconds ?? .min && seconds <= options.until?.seconds ?? .max
                    && options.pattern.map { line.contains($0) } ?? true
            }
            let isFiltered = options.since != nil || options.until != nil || options.pattern != nil
            var found: [String] = []
            for unit in units {
                if options.follow, units.count == 1 {
                    try control.logs(unit: unit, last: options.lines, follow: true) { line in
                        !wanted(line) || print((ServiceText.journal(line, host: host, options.style) ?? line) + "\n")
                    }
                    return 0
                }
                do throws(ServiceProblem) {
                    try control.logs(unit: unit, last: isFiltered ? nil : options.lines, follow: false) { line in
                        if wanted(line) { found.append(line) }
                        return true
                    }
                } catch {
                    guard error.reason == "NoSuchUnit" else { throw error }
                }
            }
            if units.count > 1 { found.sort { ServiceText.seconds(of: $0) ?? 0 < ServiceText.seconds(of: $1) ?? 0 } }
            if let lines = options.lines { found = found.suffix(lines) }
            if options.reverse { found.reverse() }
            if found.isEmpty, !options.isQuiet { _ = print("-- No entries --\n") }
            for line in found { guard print((ServiceText.journal(line, host: host, options.style) ?? line) + "\n") else { break } }
            return 0
        } catch {
            complain(error.message + "\n")
            return 1
        }
    }
}
