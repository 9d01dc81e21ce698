// A strict reader of the HTML we write: every tag closed in order, nothing that could run.

/// What is wrong with `html`; empty where it is well-formed and harmless.
func faults(in html: String) -> [String] {
    var faults: [String] = []
    var stack: [String] = []
    var rest = html[...]
    let allowed: Set<Character> = Set("abcdefghijklmnopqrstuvwxyz0123456789-")
    while let open = rest.firstIndex(of: "<") {
        if rest[..<open].contains(">") { faults.append("a bare > in \(rest[..<open])") }
        guard let end = rest[open...].firstIndex(of: ">") else {
            faults.append("a tag never ends: \(rest[open...])")
            break
        }
        var tag = rest[rest.index(after: open)..<end]
        rest = rest[rest.index(after: end)...]
        let closes = tag.hasPrefix("/")
        if closes { tag = tag.dropFirst() }
        let name = String(tag.prefix { allowed.contains($0) })
        if name.isEmpty { faults.append("no name in <\(tag)>") }
        if ["script", "style", "iframe", "svg", "math", "object", "embed", "form", "base", "meta", "link", "template"].contains(name) {
            faults.append("<\(name)>")
        }
        if closes {
            if stack.popLast() != name { faults.append("</\(name)> closes another element") }
            continue
        }
        var attributes = tag.dropFirst(name.count)
        while !attributes.isEmpty {
            guard attributes.hasPrefix(" "), let equals = attributes.range(of: "=\""),
                let quote = attributes[equals.upperBound...].firstIndex(of: "\"")
            else {
                faults.append("malformed attributes in <\(tag)>")
                break
            }
            let key = attributes[..<equals.lowerBound].dropFirst()
            let value = attributes[equals.upperBound..<quote].lowercased()
            if key.hasPrefix("on") || key == "style" || !key.allSatisfy({ allowed.contains($0) }) { faults.append("attribute \(key)") }
            if key == "href" || key == "src" {
                let scheme = value.prefix { $0 != ":" && $0 != "/" && $0 != "#" && $0 != "?" }
                let hasScheme = value.dropFirst(scheme.count).hasPrefix(":")
                if hasScheme, !["http", "https", "mailto"].contains(String(scheme)) { faults.append("address \(value)") }
            }
            attributes = attributes[attributes.index(after: quote)...]
        }
        if !["br", "hr", "img", "wbr", "col", "input"].contains(name) { stack.append(name) }
    }
    if rest.contains(">") { faults.append("a bare > at the end") }
    return faults + stack.map { "<\($0)> is open" }
}

extension Substring {
    func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
