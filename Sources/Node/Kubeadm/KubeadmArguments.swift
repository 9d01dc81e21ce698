// Reads kubeadm's command line against the flags each command has.

package struct KubeadmArguments: Sendable, Equatable {
    package private(set) var values: [String: [String]] = [:]
    /// Words that are no flags.
    package private(set) var words: [String] = []

    /// `switches` may stand alone. Throws upstream's words for what it does not know.
    package init(_ input: [String], flags: Set<String>, switches: Set<String>) throws(KubeadmProblem) {
        let flags = flags.union(["kubeconfig", "v", "rootfs", "cri-socket", "config"])
        let switches = switches.union(["help", "skip-headers", "one-output", "add-dir-header"])
        let short = ["h": "help", "o": "output", "v": "v", "f": "force"]
        var rest = input[...]
        while let word = rest.popFirst() {
            if word == "--" {
                words += rest
                break
            }
            guard word.hasPrefix("-"), word.count > 1 else {
                words.append(word)
                continue
            }
            var body = word.drop { $0 == "-" }
            var value: String?
            if let equals = body.firstIndex(of: "=") {
                value = String(body[body.index(after: equals)...])
                body = body[..<equals]
            }
            var name = String(body)
            if !word.hasPrefix("--") {
                // `-v5`, `-o json`
                if value == nil, name.count > 1, let long = short[String(name.prefix(1))] {
                    value = String(name.dropFirst())
                    name = long
                } else if let long = short[name] {
                    name = long
                } else {
                    throw KubeadmProblem("unknown shorthand flag: '\(name.prefix(1))' in \(word)", reason: "Usage")
                }
            }
            if switches.contains(name) {
                if let value, !["true", "false"].contains(value) {
                    throw KubeadmProblem(
                        "invalid argument \"\(value)\" for \"--\(name)\" flag: strconv.ParseBool: parsing \"\(value)\": invalid syntax",
                        reason: "Usage")
                }
                values[name, default: []].append(value ?? "true")
            } else if flags.contains(name) {
                guard let value = value ?? rest.popFirst() else {
                    throw KubeadmProblem("flag needs an argument: \(word)", reason: "Usage")
                }
                values[name, default: []].append(value)
            } else {
                throw KubeadmProblem("unknown flag: --\(name)", reason: "Usage")
            }
        }
    }

    package subscript(_ flag: String) -> String? { values[flag]?.last }
    package func isOn(_ flag: String) -> Bool { values[flag]?.last == "true" }
    /// The values of a flag that may be given several times or with commas.
    package func list(_ flag: String) -> [String] { (values[flag] ?? []).flatMap { $0.split(separator: ",").map(String.init) } }

    /// Go's durations: `24h0m0s`, `90m`, `0`.
    package static func seconds(_ text: String) -> Int? {
        if text == "0" { return 0 }
        var total = 0.0
        var rest = text[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            guard let number = Double(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            switch unit {
            case "h": total += number * 3600
            case "m": total += number * 60
            case "s": total += number
            case "ms": total += number / 1000
            default: return nil
            }
        }
        return Int(total)
    }
}
