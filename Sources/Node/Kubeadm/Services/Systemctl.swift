// `systemctl` over the node's agent: the commands people use, with systemd's words and exit statuses.
package import Essentials
internal import Kernel

package struct Systemctl {
    /// Commands that act on units.
    private static let unitVerbs: Set = [
        "start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "status", "enable", "disable", "is-active", "is-enabled",
        "is-failed", "cat", "show", "reset-failed", "mask", "unmask", "reenable",
    ]
    private static let valueFlags: Set = ["-t", "--type", "-p", "--property", "-n", "--lines", "-o", "--output", "--state"]

    private let control: ServiceControl
    private let isTerminal: Bool
    private let clock: any WallClock
    private let print: (String) -> Void
    private let complain: (String) -> Void

    package init(
        control: ServiceControl = ServiceControl(), isTerminal: Bool = false, clock: any WallClock = SystemClock(),
        print: @escaping (String) -> Void, complain: @escaping (String) -> Void
    ) {
        self.control = control
        self.isTerminal = isTerminal
        self.clock = clock
        self.print = print
        self.complain = complain
    }

    package static func fullName(_ name: String) -> String {
        name.contains(".") ? name : name + ".service"
    }

    /// Answers with the exit status.
    package func run(_ words: [String]) -> Int32 {
        var plain: [String] = []
        var isQuiet = false
        var now = false
        var skip = false
        for word in words {
            if skip {
                skip = false
            } else if word == "-q" || word == "--quiet" {
                isQuiet = true
            } else if word == "--now" {
                now = true
            } else if Self.valueFlags.contains(word) {
                skip = true
            } else if word == "--version" {
                print("systemd 257 (the part of it that Lectern's node-agent does)\n")
                return 0
            } else if !word.hasPrefix("-") {
                plain.append(word)
            }
        }
        let verb = plain.isEmpty ? "list-units" : plain.removeFirst()
        switch verb {
        case "list-units", "list-unit-files": return list(files: verb == "list-unit-files")
        case "daemon-reload", "daemon-reexec":
            return attempt("reload daemon") { () throws(ServiceProblem) in try control.ask("daemon-reload") }
        case "is-system-running":
            print("running\n")
            return 0
        case let verb where Self.unitVerbs.contains(verb):
            if plain.isEmpty, verb == "status" { return list(files: false) }
            guard !plain.isEmpty else {
                complain("Too few arguments.\n")
                return 1
            }
            var worst: Int32 = 0
            for (index, name) in plain.enumerated() {
                if index > 0, verb == "status" { print("\n") }
                worst = max(worst, act(verb, Self.fullName(name), now: now, isQuiet: isQuiet))
            }
            return worst
        default:
            complain("Unknown command verb '\(verb)'.\n")
            return 1
        }
    }

    private func attempt(_ what: String, _ body: () throws(ServiceProblem) -> JSON) -> Int32 {
        do throws(ServiceProblem) {
            _ = try body()
            return 0
        } catch {
            complain("Failed to \(what): \(error.message)\n")
            return 1
        }
    }

    private func act(_ verb: String, _ unit: String, now: Bool, isQuiet: Bool) -> Int32 {
        do throws(ServiceProblem) {
            switch verb {
            case "start", "stop", "restart": return try change(verb, unit)
            case "reload-or-restart": return try change("restart", unit)
            case "try-restart":
                return try control.ask("status", unit: unit)["status"]?["active"] == "active" ? try change("restart", unit) : 0
            case "reload":
                _ = try control.ask("status", unit: unit)
                complain("Failed to reload \(unit): Job type reload is not applicable for unit \(unit).\n")
                return 1
            case "enable", "disable": return try enable(verb, unit, now: now)
            case "reenable": return max(try enable("disable", unit, now: false), try enable("enable", unit, now: now))
            case "reset-failed":
                _ = try control.ask("status", unit: unit)
                return 0
            case "mask", "unmask":
                complain("Failed to \(verb) unit: not supported on a lab's node.\n")
                return 1
            case "cat":
                for (index, file) in (try control.ask("cat", unit: unit)["files"]?.array ?? []).compactMap(\.string).enumerated() {
                    print((index > 0 ? "\n" : "") + "# \(file)\n")
                    print(String(decoding: (try? ReaperFiles.read(file, limitBytes: 1 << 20)) ?? [], as: UTF8.self))
                }
                return 0
            default: break
            }
            let status = try control.ask("status", unit: unit)["status"] ?? .null
            let active = status["active"]?.string ?? "inactive"
            switch verb {
            case "is-active", "is-failed":
                if !isQuiet { print(active + "\n") }
                return (verb == "is-active" ? active == "active" : active == "failed") ? 0 : (verb == "is-active" ? 3 : 1)
            case "is-enabled":
                let enabled = status["enabled"]?.string ?? "disabled"
                if !isQuiet { print(enabled + "\n") }
                return enabled == "enabled" ? 0 : 1
            case "show":
                print(Self.properties(status))
                return 0
            default:
                var lines: [String] = []
                try control.logs(unit: unit, last: 10, follow: false) { line in
                    lines.append(line)
                    return true
                }
                print(ServiceText.status(status, log: lines, host: ReaperProcesses.hostName, colours: isTerminal, now: clock.now()))
                return active == "active" || active == "activating" ? 0 : 3
            }
        } catch {
            return notThere(verb, unit, error, isQuiet: isQuiet)
        }
    }

    private func change(_ verb: String, _ unit: String) throws(ServiceProblem) -> Int32 {
        let status = try control.ask(verb, unit: unit)["status"] ?? .null
        guard verb != "stop", status["active"] == "failed" else { return 0 }
        complain(
            "Job for \(unit) failed because the control process exited with error code.\n"
                + "See \"systemctl status \(unit)\" and \"journalctl -xeu \(unit)\" for details.\n")
        return 1
    }

    private func enable(_ verb: String, _ unit: String, now: Bool) throws(ServiceProblem) -> Int32 {
        for change in try control.ask(verb, unit: unit)["changed"]?.array ?? [] {
            let (link, target) = (change["link"]?.string ?? "", change["target"]?.string ?? "")
            complain(verb == "enable" ? "Created symlink '\(link)' → '\(target)'.\n" : "Removed '\(link)'.\n")
        }
        return now ? try change(verb == "enable" ? "start" : "stop", unit) : 0
    }

    /// What systemd says of a unit it does not know.
    private func notThere(_ verb: String, _ unit: String, _ problem: ServiceProblem, isQuiet: Bool) -> Int32 {
        guard problem.reason == "NoSuchUnit" else {
            complain(problem.message + "\n")
            return 1
        }
        switch verb {
        case "status":
            complain("Unit \(unit) could not be found.\n")
            return 4
        case "is-active", "is-failed":
            if !isQuiet { print("inactive\n") }
            return 4
        case "is-enabled":
            if !isQuiet { print("not-found\n") }
            return 4
        case "enable", "disable", "reenable":
            complain("Failed to \(verb) unit: Unit \(unit) does not exist\n")
            return 1
        case "cat":
            complain("No files found for \(unit).\n")
            return 1
        case "stop", "reset-failed":
            complain("Failed to \(verb) \(unit): Unit \(unit) not loaded.\n")
            return 5
        default:
            complain("Failed to \(verb) \(unit): Unit \(unit) not found.\n")
            return 5
        }
    }

    private static func properties(_ status: JSON) -> String {
        [
            ("Id", status["unit"]?.string), ("Description", status["description"]?.string), ("LoadState", status["load"]?.string),
            ("ActiveState", status["active"]?.string), ("SubState", status["sub"]?.string), ("UnitFileState", status["enabled"]?.string),
            ("FragmentPath", status["path"]?.string), ("MainPID", String(status["pid"]?.int ?? 0)),
            ("NRestarts", String(status["restarts"]?.int ?? 0)),
        ].map { "\($0.0)=\($0.1 ?? "")\n" }.joined()
    }

    private func list(files: Bool) -> Int32 {
        do throws(ServiceProblem) {
            let units = try control.ask("list")["units"]?.array ?? []
            func pad(_ text: String?, _ width: Int) -> String {
                (text ?? "") + String(repeating: " ", count: max(0, width - (text ?? "").count))
            }
            let width = max(4, units.map { ($0["unit"]?.string ?? "").count }.max() ?? 4) + 1
            if files {
                print(pad("UNIT FILE", max(width, 10)) + "STATE    PRESET\n")
                for unit in units { print(pad(unit["unit"]?.string, max(width, 10)) + pad(unit["enabled"]?.string, 9) + "enabled\n") }
                print("\n\(units.count) unit files listed.\n")
            } else {
                print("  " + pad("UNIT", width) + "LOAD   ACTIVE     SUB          DESCRIPTION\n")
                for unit in units {
                    print(
                        "  " + pad(unit["unit"]?.string, width) + "loaded " + pad(unit["active"]?.string, 11) + pad(unit["sub"]?.string, 13)
                            + (unit["description"]?.string ?? "") + "\n")
                }
                print("\n\(units.count) loaded units listed.\n")
            }
            return 0
        } catch {
            complain(error.message + "\n")
            return 1
        }
    }
}
