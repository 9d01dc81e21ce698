// Names of images as people write them, and what they mean: `alpine` is `docker.io/library/alpine:latest`.
// Grammar: github.com/distribution/reference.

package struct ImageReference: Sendable, Hashable {
    package var registry: String
    package var repository: String
    package var tag: String?
    /// `sha256:…`
    package var digest: String?

    package enum Invalid: Error, Equatable { case format, upperCase, tooLong }

    package init(_ text: String) throws(Invalid) {
        var rest = text[...]
        if let at = rest.firstIndex(of: "@") {
            let digest = rest[rest.index(after: at)...]
            let parts = digest.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "sha256", parts[1].utf8.count == 64, parts[1].utf8.allSatisfy(Self.isHex) else {
                throw .format
            }
            self.digest = String(digest)
            rest = rest[..<at]
        }
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
            let tag = rest[rest.index(after: colon)...]
            guard (1...128).contains(tag.utf8.count), let first = tag.utf8.first, first != 45, first != 46,
                tag.utf8.allSatisfy({ Self.isLower($0) || Self.isUpper($0) || $0 == 95 || $0 == 45 || $0 == 46 })
            else { throw .format }
            self.tag = String(tag)
            rest = rest[..<colon]
        }
        var parts = rest.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first else { throw .format }
        if parts.count > 1, first.contains(".") || first.contains(":") || first == "localhost" || first != first.lowercased() {
            guard Self.isRegistry(first) else { throw .format }
            registry = first == "index.docker.io" ? "docker.io" : first
            parts.removeFirst()
        } else {
            registry = "docker.io"
        }
        for part in parts {
            if part != part.lowercased() { throw .upperCase }
            guard Self.isComponent(part) else { throw .format }
        }
        if registry == "docker.io", parts.count == 1 { parts.insert("library", at: 0) }
        repository = parts.joined(separator: "/")
        guard registry.utf8.count + repository.utf8.count < 255 else { throw .tooLong }
        if tag == nil, digest == nil { tag = "latest" }
    }

    /// Without tag and digest.
    package var name: String { registry + "/" + repository }
    package var description: String { name + (tag.map { ":" + $0 } ?? "") + (digest.map { "@" + $0 } ?? "") }

    /// The complaint of upstream's kubelet about a name that is none.
    package static func complaint(_ text: String, _ problem: Invalid) -> String {
        let why =
            switch problem {
            case .format: "invalid reference format"
            case .upperCase: "invalid reference format: repository name (\(repositoryText(text))) must be lowercase"
            case .tooLong: "repository name must not be more than 255 characters"
            }
        return "Failed to apply default image tag \"\(text)\": couldn't parse image name \"\(text)\": \(why)"
    }

    private static func repositoryText(_ text: String) -> String {
        let name = text.prefix { $0 != "@" }
        guard let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") else { return String(name) }
        return String(name[..<colon])
    }

    private static func isLower(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { (65...90).contains(byte) }
    private static func isHex(_ byte: UInt8) -> Bool { (97...102).contains(byte) || (48...57).contains(byte) }

    // Runs of letters and digits, with one dot, one or two underscores or any dashes between them.
    private static func isComponent(_ text: String) -> Bool {
        var separators: [UInt8] = []
        var isFirst = true
        for byte in text.utf8 {
            if isLower(byte) {
                guard separators.isEmpty || (!isFirst && isSeparator(separators)) else { return false }
                separators = []
                isFirst = false
            } else {
                guard byte == 45 || byte == 46 || byte == 95, !isFirst else { return false }
                separators.append(byte)
            }
        }
        return !isFirst && separators.isEmpty
    }

    private static func isSeparator(_ bytes: [UInt8]) -> Bool {
        bytes == [46] || bytes == [95] || bytes == [95, 95] || bytes.allSatisfy { $0 == 45 }
    }

    private static func isRegistry(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.count < 2 || (!parts[1].isEmpty && parts[1].utf8.allSatisfy { (48...57).contains($0) }) else {
            return false
        }
        return parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last, first != 45, last != 45 else { return false }
            return label.utf8.allSatisfy { isLower($0) || isUpper($0) || $0 == 45 }
        }
    }
}
