// One key of the configuration: how its text is read, checked and shown.
internal import Labs
internal import Web

/// A row of the table.
package struct Setting: Sendable {
    /// What a value is and where it is kept.
    enum Kind: Sendable {
        case address(WritableKeyPath<Configuration, ListenAddress> & Sendable)
        case path(WritableKeyPath<Configuration, String> & Sendable)
        case optionalPath(WritableKeyPath<Configuration, String?> & Sendable)
        case url(WritableKeyPath<Configuration, String?> & Sendable)
        case domain(WritableKeyPath<Configuration, String> & Sendable)
        case choice(WritableKeyPath<Configuration, String> & Sendable, [String])
        case cap(Cap)
        case limit(WritableKeyPath<WebLimits, Int> & Sendable, ClosedRange<Int>)
    }

    /// The dotted name, such as `caps.idleMinutes`.
    package let name: String
    /// What a number counts, such as `minutes`; what kind of text it is otherwise.
    package let unit: String
    /// What it means and what happens at its edge, in a sentence or two.
    package let doc: String
    /// What stands for an absent value, when there is no text for it.
    let absent: String
    let kind: Kind

    init(_ name: String, _ kind: Kind, unit: String, absent: String = "", doc: String) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.absent = absent
        self.doc = doc
    }

    /// The value in force, as it would be written.
    package func text(in configuration: Configuration) -> String {
        switch kind {
        case .address(let path): configuration[keyPath: path].description
        case .path(let path), .domain(let path), .choice(let path, _): configuration[keyPath: path]
        case .optionalPath(let path), .url(let path): configuration[keyPath: path] ?? absent
        case .cap(let cap): String(configuration.caps[cap])
        case .limit(let path, _): String(configuration.limits[keyPath: path])
        }
    }

    /// Which values are right, for people.
    package var expected: String {
        switch kind {
        case .address: "an address and a port, such as 0.0.0.0:8080 or [::1]:8080"
        case .path, .optionalPath: "a path"
        case .url: "an address such as https://lectern.example.org"
        case .domain: "a domain name, such as ports.example.org"
        case .choice(_, let choices): "one of \(choices.joined(separator: ", "))"
        case .cap(let cap): "a whole number from \(cap.row.range.lowerBound) to \(cap.row.range.upperBound)"
        case .limit(_, let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        }
    }

    /// Which values are right, for a column of a table.
    package var range: String {
        switch kind {
        case .choice(_, let choices): choices.joined(separator: ", ")
        case .cap(let cap): "\(cap.row.range.lowerBound) – \(cap.row.range.upperBound)"
        case .limit(_, let range): "\(range.lowerBound) – \(range.upperBound)"
        case .address: "HOST:PORT"
        case .path, .optionalPath, .url, .domain: ""
        }
    }

    /// Reads `text` into the configuration; `false` when it is no right value. Paths are taken relative to `folder`.
    func apply(_ text: String, to configuration: inout Configuration, relativeTo folder: String) -> Bool {
        switch kind {
        case .address(let path):
            guard let address = ListenAddress(text) else { return false }
            configuration[keyPath: path] = address
        case .path(let path):
            guard let absolute = Self.absolute(text, folder) else { return false }
            configuration[keyPath: path] = absolute
        case .optionalPath(let path):
            guard let absolute = Self.absolute(text, folder) else { return false }
            configuration[keyPath: path] = absolute
        case .url(let path):
            guard let url = Self.url(text) else { return false }
            configuration[keyPath: path] = url
        case .domain(let path):
            guard Self.isDomain(text) else { return false }
            configuration[keyPath: path] = text.lowercased()
        case .choice(let path, let choices):
            guard choices.contains(text) else { return false }
            configuration[keyPath: path] = text
        case .cap(let cap):
            guard let number = Int(text), (try? configuration.caps.set(cap, to: number)) != nil else { return false }
        case .limit(let path, let range):
            guard let number = Int(text), range.contains(number) else { return false }
            configuration.limits[keyPath: path] = number
        }
        return true
    }

    private static func absolute(_ text: String, _ folder: String) -> String? {
        guard !text.isEmpty, !text.contains("\0") else { return nil }
        var path = text.hasPrefix("/") ? text : folder.hasSuffix("/") ? folder + text : folder + "/" + text
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        return path
    }

    private static func url(_ text: String) -> String? {
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            let authority = rest.hasSuffix("/") ? rest.dropLast() : rest
            guard !authority.isEmpty, authority.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || ".-:[]".contains($0)) }) else {
                return nil
            }
            return scheme + authority
        }
        return nil
    }

    private static func isDomain(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        return text.utf8.count <= 190
            && labels.allSatisfy { label in
                (1...63).contains(label.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
            }
    }
}
