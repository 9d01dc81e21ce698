// Bootstrap tokens: `ID.SECRET`, their Secrets, and the signature by which a token vouches for the cluster-info.
package import Essentials
internal import Crypto

package struct BootstrapToken: Sendable, Hashable, CustomStringConvertible {
    package let id: String
    package let secret: String
    package var description: String { "\(id).\(secret)" }

    package init(id: String, secret: String) {
        self.id = id
        self.secret = secret
    }

    package static func parse(_ text: String) throws(KubeadmProblem) -> BootstrapToken {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, isWord(parts[0], 6), isWord(parts[1], 16) else {
            throw KubeadmProblem(
                "the bootstrap token \"\(text)\" was not of the form \"\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z\"", reason: "InvalidToken")
        }
        return BootstrapToken(id: String(parts[0]), secret: String(parts[1]))
    }

    package static func isID(_ text: String) -> Bool { isWord(text[...], 6) }

    private static func isWord(_ text: Substring, _ count: Int) -> Bool {
        text.utf8.count == count && text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) }
    }

    package static func random() -> BootstrapToken {
        // 252 is the largest multiple of 36 in a byte: beyond it a letter would be likelier than others.
        var letters: [UInt8] = []
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        while letters.count < 22 { letters += SecureRandom.bytes(32).filter { $0 < 252 }.map { alphabet[Int($0) % 36] } }
        return BootstrapToken(id: String(decoding: letters[..<6], as: UTF8.self), secret: String(decoding: letters[6..<22], as: UTF8.self))
    }
}

extension BootstrapToken {
    /// The compact JWS of `content` without its payload (RFC 7515, appendix F).
    package func signature(of content: String) -> String {
        let header = Base64.encodeURL(Array("{\"alg\":\"HS256\",\"kid\":\"\(id)\"}".utf8))
        let payload = Base64.encodeURL(Array(content.utf8))
        let mac = Hash.hmacSHA256(key: Array(secret.utf8), Array("\(header).\(payload)".utf8))
        return "\(header)..\(Base64.encodeURL(mac))"
    }

    /// Whether `signature` is this token's over `content`.
    package func verifies(_ signature: String, of content: String) -> Bool {
        let parts = signature.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[1].isEmpty, let header = Base64.decode(parts[0]), let json = try? JSON(parsing: header),
            json["alg"] == "HS256", json["kid"] == JSON(id), let mac = Base64.decode(parts[2])
        else { return false }
        let own = Hash.hmacSHA256(key: Array(secret.utf8), Array("\(parts[0]).\(Base64.encodeURL(Array(content.utf8)))".utf8))
        return Hash.constantTimeEquals(mac, own)
    }
}

extension TokenSettings {
    package func secret(now: Timestamp) -> JSON {
        func data(_ text: String) -> String { Base64.encode(Array(text.utf8)) }
        var values = ["token-id": data(token.id), "token-secret": data(token.secret)]
        if !description.isEmpty { values["description"] = data(description) }
        if seconds > 0 { values["expiration"] = data(now.adding(seconds: Int64(seconds)).rfc3339) }
        for usage in usages { values["usage-bootstrap-\(usage)"] = data("true") }
        if !groups.isEmpty { values["auth-extra-groups"] = data(groups.joined(separator: ",")) }
        return [
            "apiVersion": "v1", "kind": "Secret",
            "metadata": ["name": JSON("bootstrap-token-\(token.id)"), "namespace": "kube-system"],
            "type": "bootstrap.kubernetes.io/token",
            "data": JSON(values),
        ]
    }
}
