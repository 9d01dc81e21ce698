// The right to use one port link: a signed token that opens this port only, never a terminal.
internal import Crypto
package import Essentials

/// Issues and checks port capabilities. The token is `EXPIRY.MAC`, bound to the lab, the node, the port and the protocol.
package struct PortCapability: Sendable {
    /// The query item that carries a fresh token, and the cookie that keeps it.
    package static let queryName = "lectern-port"
    package static let cookieName = "lectern_port"
    package static let lifetimeSeconds: Int64 = 12 * 3600

    private let key: [UInt8]
    package init(key: [UInt8]) { self.key = key }

    package func token(for address: PortAddress, secure: Bool, now: Timestamp) -> String {
        let expiry = now.seconds + Self.lifetimeSeconds
        return "\(expiry).\(secure ? "s" : "p").\(mac(address, secure: secure, expiry: expiry))"
    }

    /// Whether `token` opens `address`; the answer tells if the node is to be spoken to with TLS.
    package func check(_ token: String, for address: PortAddress, now: Timestamp) -> PortRight? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard token.utf8.count <= 256, parts.count == 3, let expiry = Int64(parts[0]), expiry > now.seconds,
            expiry <= now.seconds + Self.lifetimeSeconds + 3600, parts[1] == "s" || parts[1] == "p"
        else { return nil }
        let secure = parts[1] == "s"
        guard Hash.constantTimeEquals(Array(parts[2].utf8), Array(mac(address, secure: secure, expiry: expiry).utf8)) else { return nil }
        return PortRight(upstreamTLS: secure)
    }

    private func mac(_ address: PortAddress, secure: Bool, expiry: Int64) -> String {
        let text = "port\n\(address.lab)\n\(address.node)\n\(address.port)\n\(secure)\n\(expiry)"
        return Hex.encode(Hash.hmacSHA256(key: key, Array(text.utf8)))
    }
}

package struct PortRight: Sendable, Equatable {
    package var upstreamTLS: Bool
    package init(upstreamTLS: Bool) { self.upstreamTLS = upstreamTLS }
}
