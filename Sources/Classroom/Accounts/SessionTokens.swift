// Sessions as signed tokens: a visitor costs no storage until there is something to remember.
//
// Token: `v1.ACCOUNT.ISSUED.EPOCH.MAC`, the MAC over all before it. The epoch is the account's (0 for learners): raising
// it ends every session of that account. Roles are never in the token; they are looked up.
internal import Crypto
package import Essentials

package struct SessionTokens: Sendable {
    package static let cookieName = "lectern_session"
    package static let csrfCookieName = "lectern_csrf"
    package static let csrfHeaderName = "x-lectern-csrf"
    /// A session lives this long after it was issued.
    package static let lifetimeSeconds: Int64 = 60 * 86_400

    private let key: [UInt8]
    package init(key: [UInt8]) { self.key = key }

    package struct Session: Sendable, Equatable {
        package var account: String
        package var issuedAt: Timestamp
        package var epoch: Int
    }

    package func issue(account: String, epoch: Int = 0, now: Timestamp) -> String {
        let body = "v1.\(account).\(now.seconds).\(epoch)"
        return body + "." + mac(body)
    }

    /// The session of a token, unless it is forged, too old or from the future.
    package func verify(_ token: String, now: Timestamp) -> Session? {
        guard token.utf8.count <= 256 else { return nil }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "v1", let issued = Int64(parts[2]), let epoch = Int(parts[3]),
            Hash.constantTimeEquals(Array(parts[4].utf8), Array(mac(parts[0..<4].joined(separator: ".")).utf8)),
            issued <= now.seconds + 300, issued + Self.lifetimeSeconds > now.seconds
        else { return nil }
        return Session(account: String(parts[1]), issuedAt: Timestamp(seconds: issued), epoch: epoch)
    }

    /// The CSRF value that belongs to a session: nobody who cannot read the page's cookies can make it.
    package func csrf(for token: String) -> String { Hex.encode(Hash.hmacSHA256(key: key, Array(("csrf\n" + token).utf8))) }

    package func checkCSRF(_ value: String, for token: String) -> Bool {
        Hash.constantTimeEquals(Array(value.utf8), Array(csrf(for: token).utf8))
    }

    private func mac(_ body: String) -> String { Hex.encode(Hash.hmacSHA256(key: key, Array(("session\n" + body).utf8))) }
}
