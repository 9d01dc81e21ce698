// The host name of a port link: `LAB-NODE-PORT.DOMAIN`, read and written.

/// One port of one node of one lab.
package struct PortAddress: Sendable, Hashable {
    package var lab: String
    package var node: String
    package var port: UInt16

    package init(lab: String, node: String, port: UInt16) {
        self.lab = lab
        self.node = node
        self.port = port
    }

    /// Reads `LAB-NODE-PORT.DOMAIN`, without port and in lower case; `nil` for any other host.
    package init?(host: String, domain: String) {
        guard host.hasSuffix("." + domain) else { return nil }
        let label = host.dropLast(domain.count + 1)
        let parts = label.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, label.count <= 63, !parts[0].isEmpty, parts[1].hasPrefix("node"),
            parts[0].utf8.allSatisfy(isWordByte), parts[1].utf8.allSatisfy(isWordByte),
            !parts[2].hasPrefix("0"), parts[2].utf8.allSatisfy({ $0 &- 48 < 10 }), let port = UInt16(parts[2])
        else { return nil }
        self.init(lab: String(parts[0]), node: String(parts[1]), port: port)
    }

    package func host(domain: String) -> String { "\(lab)-\(node)-\(port).\(domain)" }
}

private func isWordByte(_ byte: UInt8) -> Bool { byte &- 97 < 26 || byte &- 48 < 10 }
