// Who asks, and whether they may: authentication by certificate and token, authorization by roles and for nodes.
//
// May touch: the API it guards, through its client. Caller: APIFront. Roles and bindings are followed by informers and compiled
// to an index when they change; a decision is then a few lookups.
package import ClusterClient
package import ClusterModel
package import Essentials
internal import Crypto
internal import Logging
internal import Synchronization

package struct AccessSettings: Sendable {
    package enum Mode: String, Sendable {
        case node = "Node"
        case roles = "RBAC"
        case alwaysAllow = "AlwaysAllow"
        case alwaysDeny = "AlwaysDeny"
    }

    package var modes: [Mode] = [.node, .roles]
    package var allowsAnonymous = true
    package var takesBootstrapTokens = true
    /// The issuer of service account tokens, and the audiences of this server; the first is put into new tokens.
    package var issuer = "https://kubernetes.default.svc.cluster.local"
    package var audiences: [String] = []
    /// PEM texts.
    package var signingKey: String?
    package var verifyingKeys: [String] = []
    /// `--token-auth-file`: users by their token.
    package var fixedTokens: [String: UserInfo] = [:]
    /// Tokens that pods renew are valid for a year, as upstream's are, so that old clients find the time.
    package var extendsTokens = true

    package init() {}
}

/// What a request brings to prove who it is from.
package struct Presented: Sendable {
    /// Of a certificate that its authority has signed.
    package var commonName: String?
    package var organizations: [String] = []
    package var certificateProblem: String?
    /// The `Authorization` field.
    package var authorization: String?
    package init() {}
}

package struct Decision: Sendable, Equatable {
    package var isAllowed: Bool
    package var reason: String
    package init(isAllowed: Bool, reason: String = "") {
        self.isAllowed = isAllowed
        self.reason = reason
    }
}

package final class Access: Sendable {
    /// The group that may do everything.
    static let masters = "system:masters"

    package let settings: AccessSettings
    let client: ClusterClient
    let clock: any WallClock
    let tokens: ServiceAccountTokens
    private let roles: RoleFollower?
    private let nodes: NodeAuthorizer
    private let seen = Mutex<[String: Seen]>([:])
    private let log = Logger(label: "access")

    /// A token's user, for a short while.
    private struct Seen {
        var user: UserInfo
        var until: Double
    }

    /// Seconds that a token's user is remembered; so long may a revoked token go on.
    private static let rememberSeconds = 10.0
    private static let rememberLimit = 1024

    /// `servesRoles` false: the API has no roles, so those of `SystemRoles` hold.
    package init(client: ClusterClient, settings: AccessSettings, servesRoles: Bool = true, clock: any WallClock = SystemClock()) throws {
        self.client = client
        self.settings = settings
        self.clock = clock
        tokens = try ServiceAccountTokens(client: client, settings: settings, clock: clock)
        roles = servesRoles ? RoleFollower(client: client) : nil
        nodes = NodeAuthorizer(client: client)
    }

    /// Follows roles and bindings until cancelled.
    package func run() async throws {
        guard let roles else { return }
        try await roles.run()
    }

    /// Returns once roles and bindings are known.
    package func waitForSync() async { await roles?.waitForSync() }

    var index: RoleIndex { roles?.index ?? SystemRoles.index }

    package static let unauthorized = ClusterProblem(code: 401, reason: "Unauthorized", message: "Unauthorized")

    /// Throws 401.
    package func authenticate(_ presented: Presented) async throws(ClusterProblem) -> UserInfo {
        if let name = presented.commonName {
            return UserInfo(name: name, groups: presented.organizations + ["system:authenticated"])
        }
        if let header = presented.authorization {
            guard let token = Self.bearer(header), let user = await user(ofToken: token) else { throw Self.unauthorized }
            return user
        }
        guard presented.certificateProblem == nil, settings.allowsAnonymous else { throw Self.unauthorized }
        return .anonymous
    }

    /// What this server publishes about its service account tokens; `nil` for other paths.
    package func publicDocument(_ request: APIRequest) -> JSON? {
        switch request.path {
        case "/.well-known/openid-configuration", "/.well-known/openid-configuration/":
            return [
                "issuer": JSON(settings.issuer), "jwks_uri": JSON(settings.issuer + "/openid/v1/jwks"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": JSON(Array(Set(tokens.keys.map(\.algorithm))).sorted()),
            ]
        case "/openid/v1/jwks", "/openid/v1/jwks/":
            return ["keys": JSON(tokens.keys.map { key in JSON(Dictionary(uniqueKeysWithValues: key.webKey)) })]
        default: return nil
        }
    }

    private static func bearer(_ header: String) -> String? {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }

    private func user(ofToken token: String) async -> UserInfo? {
        let now = monotonicSeconds()
        if let known = seen.withLock({ $0[token] }), now < known.until { return known.user }
        let found: UserInfo
        do throws(ClusterProblem) { found = try await check(token: token, audiences: settings.audiences).user } catch {
            log.debug("token refused", metadata: ["cause": "\(error.message)"])
            return nil
        }
        seen.withLock { seen in
            if seen.count >= Self.rememberLimit { seen.removeAll() }
            seen[token] = Seen(user: found, until: now + Self.rememberSeconds)
        }
        return found
    }

    /// The user of a token, and for which of the audiences it counts.
    func check(token: String, audiences: [String]) async throws(ClusterProblem) -> (user: UserInfo, audiences: [String]) {
        if let fixed = settings.fixedTokens[token] { return (fixed, audiences) }
        if settings.takesBootstrapTokens, let parts = BootstrapTokens.parts(token) {
            return (try await BootstrapTokens.user(parts, client, clock), audiences)
        }
        return try await tokens.check(token, audiences: audiences)
    }

    /// Throws 403 with upstream's wording.
    package func authorize(_ user: UserInfo, _ attributes: RequestAttributes) async throws(ClusterProblem) {
        let decision = await decide(user, attributes)
        if !decision.isAllowed { throw attributes.refusal(user, reason: decision.reason) }
    }

    package func decide(_ user: UserInfo, _ attributes: RequestAttributes) async -> Decision {
        if user.groups.contains(Self.masters) { return Decision(isAllowed: true) }
        var reasons: [String] = []
        for mode in settings.modes {
            switch mode {
            case .alwaysAllow: return Decision(isAllowed: true)
            case .alwaysDeny: return Decision(isAllowed: false, reason: "Everything is forbidden.")
            case .roles:
                if index.rules(of: user, namespace: attributes.namespace).allows(attributes) { return Decision(isAllowed: true) }
                let missing = index.missingRoles(of: user, namespace: attributes.namespace)
                if !missing.isEmpty { reasons.append("RBAC: [\(missing.joined(separator: ", "))]") }
            case .node:
                guard let node = NodeAuthorizer.node(user) else { continue }
                let decision = await nodes.decide(node, attributes)
                if decision.isAllowed { return decision }
                if !decision.reason.isEmpty { reasons.append(decision.reason) }
            }
        }
        return Decision(isAllowed: false, reason: reasons.joined(separator: ", "))
    }
}
