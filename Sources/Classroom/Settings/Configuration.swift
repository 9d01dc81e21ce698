// What `lectern.yaml` says, as values; the table of its keys is in Setting+Table.swift.
//
// To add a key: a property here, a row there, and `LECTERN_WRITE_DOCS=1 swift test --filter SettingsTests` for docs/operations.md.
// Rows of `caps` come from `Labs.Cap`, rows of `limits` from `Web.WebLimits`, so that nothing is said twice.
package import Labs
package import Web

/// The server's configuration. `Configuration()` is what holds without a file.
package struct Configuration: Sendable, Equatable {
    package var listen = ListenAddress(host: "127.0.0.1", port: 8080)
    package var publicURL: String?
    package var portsDomain = "localhost"
    package var tls = TLSPaths()
    package var state = "/var/lib/lectern"
    package var workshops: String?
    package var publicFiles: String?
    package var images: String?
    package var assets: String?
    package var kubernetesListen = ListenAddress(host: "127.0.0.1", port: 6443)
    package var logLevel = "info"
    package var caps = Caps()
    package var limits = WebLimits()

    package init() {}

    /// `images`, or its place in the state directory.
    package var imagesPath: String { images ?? state + "/images" }
    /// `assets`, or its place in the state directory.
    package var assetsPath: String { assets ?? state + "/assets" }
}

package struct TLSPaths: Sendable, Equatable {
    package var certificate: String?
    package var key: String?

    package init(certificate: String? = nil, key: String? = nil) {
        self.certificate = certificate
        self.key = key
    }
}

/// An address and a port to listen on.
package struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// An IPv4 or IPv6 address, without brackets.
    package var host: String
    /// 0 lets the system choose.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or `:8080` (all addresses).
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port) else {
            return nil
        }
        var host = String(text[..<colon])
        if host.hasPrefix("[") && host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard Self.isIPv6(host) else { return nil }
        } else if host == "localhost" {
            host = "127.0.0.1"
        } else if host.isEmpty || host == "*" {
            host = "0.0.0.0"
        } else {
            guard Self.isIPv4(host) else { return nil }
        }
        self.init(host: host, port: port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.allSatisfy(\.isWholeNumber) && (UInt8($0).map { _ in true } ?? false) }
    }

    private static func isIPv6(_ text: String) -> Bool {
        text.contains(":") && text.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." } && !text.contains(":::")
    }
}
