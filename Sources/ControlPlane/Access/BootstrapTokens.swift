// Bootstrap tokens `ID.SECRET`: secrets of kube-system that let a new node ask for its certificate.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials

enum BootstrapTokens {
    private static let defaultGroup = "system:bootstrappers"

    /// `nil` for what is no bootstrap token.
    static func parts(_ token: String) -> (id: String, secret: String)? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 6, parts[1].utf8.count == 16 else { return nil }
        for part in parts {
            guard part.utf8.allSatisfy({ (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 &- 48 < 10 }) else { return nil }
        }
        return (String(parts[0]), String(parts[1]))
    }

    static func user(_ token: (id: String, secret: String), _ client: ClusterClient, _ clock: any WallClock) async throws(ClusterProblem)
        -> UserInfo
    {
        let secret = try await client.get(.secrets, namespace: "kube-system", name: "bootstrap-token-" + token.id)
        func value(_ key: String) -> String? {
            secret["data"]?[key]?.string.flatMap(Base64.decode).map { String(decoding: $0, as: UTF8.self) }
        }
        guard !secret.isBeingDeleted, secret["type"]?.string == "bootstrap.kubernetes.io/token", value("token-id") == token.id,
            Hash.constantTimeEquals(value("token-secret") ?? "", token.secret)
        else { throw Access.unauthorized }
        if let text = value("expiration"), !text.isEmpty {
            guard let end = Timestamp(rfc3339: text), clock.now() < end else { throw Access.unauthorized }
        }
        guard value("usage-bootstrap-authentication") == "true" else { throw Access.unauthorized }
        var groups = [defaultGroup]
        for group in (value("auth-extra-groups") ?? "").split(separator: ",") {
            guard group.hasPrefix(defaultGroup + ":") else { throw Access.unauthorized }
            groups.append(String(group))
        }
        return UserInfo(name: "system:bootstrap:" + token.id, groups: groups + ["system:authenticated"])
    }
}
