// Shows the table of keys: as text for `lectern config explain`, as Markdown for docs/operations.md.

extension Configuration {
    /// Every key with its unit, default, range and meaning. With `configuration`, also the value in force where it differs.
    package static func explain(_ configuration: Configuration? = nil) -> String {
        let standard = Configuration()
        var lines: [String] = ["The keys of lectern.yaml. A dot means a group: `caps.idleMinutes` is `idleMinutes:` below `caps:`."]
        for setting in Setting.table {
            lines.append("")
            var facts = [setting.unit, "default \(setting.text(in: standard))"]
            if !setting.range.isEmpty { facts.append(setting.range) }
            if let configuration, setting.text(in: configuration) != setting.text(in: standard) {
                facts.append("now \(setting.text(in: configuration))")
            }
            lines.append("\(setting.name)  (\(facts.joined(separator: "; ")))")
            lines.append(contentsOf: wrap(setting.doc, columns: 100).map { "    " + $0 })
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The same as a Markdown table.
    package static func markdownTable() -> String {
        let standard = Configuration()
        var lines = ["| key | unit | default | range | meaning |", "|---|---|---|---|---|"]
        for setting in Setting.table {
            lines.append(
                "| `\(setting.name)` | \(setting.unit) | \(setting.text(in: standard)) | \(setting.range) | \(setting.doc) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func wrap(_ text: String, columns: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + word.count < columns {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
