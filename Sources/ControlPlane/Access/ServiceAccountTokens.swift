// Tokens of service accounts: signed, checked, and bound to the objects they name.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials

/// What a new token is for.
struct TokenOrder: Sendable {
    var namespace: String
    var account: JSON
    var audiences: [String]
    var seconds: Int
    /// The object with which the token ends: a pod, secret or node.
    var bound: JSON?
    /// The node of a bound pod.
    var node: JSON?
    var warnAfterSeconds: Int?
}

struct ServiceAccountTokens: Sendable {
    private static let legacyIssuer = "kubernetes/serviceaccount"
    /// Longer tokens are not looked at.
    private static let tokenLimitBytes = 16 << 10
    static let prefix = "system:serviceaccount:"

    private let client: ClusterClient
    private let settings: AccessSettings
    private let clock: any WallClock
    private let signing: PrivateKey?
    let keys: [PublicKey]

    init(client: ClusterClient, settings: AccessSettings, clock: any WallClock) throws(CryptoProblem) {
        self.client = client
        self.settings = settings
        self.clock = clock
        var keys: [PublicKey] = []
        for pem in settings.verifyingKeys { keys.append(try PublicKey(pem: pem)) }
        if let pem = settings.signingKey {
            let key = try PrivateKey(pem: pem)
            signing = key
            if !keys.contains(where: { $0.identifier == key.publicKey.identifier }) { keys.append(key.publicKey) }
        } else {
            signing = nil
        }
        self.keys = keys
    }

    // MARK: Making

    func make(_ order: TokenOrder) throws(ClusterProblem) -> (token: String, expires: Timestamp) {
        guard let signing else { throw .internalError("this server has no key to sign service account tokens with") }
        let now = clock.now()
        let expires = Timestamp(seconds: now.seconds + Int64(order.seconds))
        var place: JSON = [
            "namespace": JSON(order.namespace),
            "serviceaccount": ["name": JSON(order.account.metaName), "uid": JSON(order.account.metaUID)],
        ]
        func reference(_ object: JSON) -> JSON { ["name": JSON(object.metaName), "uid": JSON(object.metaUID)] }
        if let bound = order.bound { place[(bound["kind"]?.string ?? "").lowercased()] = reference(bound) }
        if let node = order.node { place["node"] = reference(node) }
        if let seconds = order.warnAfterSeconds { place["warnafter"] = JSON(now.seconds + Int64(seconds)) }
        let claims: JSON = [
            "aud": JSON(order.audiences), "exp": JSON(expires.seconds), "iat": JSON(now.seconds), "iss": JSON(settings.issuer),
            "jti": JSON(Identifier.uuid()), "kubernetes.io": place, "nbf": JSON(now.seconds),
            "sub": JSON(Self.prefix + order.namespace + ":" + order.account.metaName),
        ]
        return (try sign(claims, signing), expires)
    }

    private func sign(_ claims: JSON, _ key: PrivateKey) throws(ClusterProblem) -> String {
        let publicKey = key.publicKey
        let header: JSON = ["alg": JSON(publicKey.algorithm), "kid": JSON(publicKey.identifier)]
        let text = Base64.encodeURL(header.bytes) + "." + Base64.encodeURL(claims.bytes)
        do throws(CryptoProblem) {
            return text + "." + Base64.encodeURL(try key.signature(of: Array(text.utf8)))
        } catch {
            throw .internalError(error.message)
        }
    }

    // MARK: Checking

    func check(_ token: String, audiences: [String]) async throws(ClusterProblem) -> (user: UserInfo, audiences: [String]) {
        let claims = try self.claims(token)
        guard let issuer = claims["iss"]?.string else { throw Access.unauthorized }
        if issuer == Self.legacyIssuer { return (try await legacyUser(claims, token), audiences) }
        guard issuer == settings.issuer else { throw Self.refusal("the issuer is not this cluster's") }
        let now = clock.now().seconds
        guard let end = claims["exp"]?.integer, now < end else { throw Self.refusal("service account token has expired") }
        if let start = claims["nbf"]?.integer, now < start { throw Self.refusal("service account token is not valid yet") }
        let named = claims["aud"]?.array?.compactMap(\.string) ?? claims["aud"]?.string.map { [$0] } ?? []
        let wanted = audiences.isEmpty ? [settings.issuer] : audiences
        let common = wanted.filter(named.contains)
        guard !common.isEmpty else { throw Self.refusal("token audiences \(named) is invalid for the target audiences \(wanted)") }
        return (try await user(claims), common)
    }

    private static func refusal(_ message: String) -> ClusterProblem { ClusterProblem(code: 401, reason: "Unauthorized", message: message) }

    private func claims(_ token: String) throws(ClusterProblem) -> JSON {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard token.utf8.count <= Self.tokenLimitBytes, parts.count == 3, let headerBytes = Base64.decode(String(parts[0])),
            let claimBytes = Base64.decode(String(parts[1])), let signature = Base64.decode(String(parts[2])),
            let header = try? JSON(parsing: headerBytes)
        else { throw Self.refusal("invalid bearer token") }
        let algorithm = header["alg"]?.string
        let identifier = header["kid"]?.string ?? ""
        let message = Array((parts[0] + "." + parts[1]).utf8)
        let isSigned = keys.contains { key in
            key.algorithm == algorithm && (identifier.isEmpty || identifier == key.identifier)
                && key.isValid(signature: signature, of: message)
        }
        guard isSigned, let claims = try? JSON(parsing: claimBytes) else { throw Self.refusal("invalid bearer token") }
        return claims
    }

    private func user(_ claims: JSON) async throws(ClusterProblem) -> UserInfo {
        let place = claims["kubernetes.io"] ?? .null
        guard let namespace = place["namespace"]?.string, let name = place["serviceaccount"]?["name"]?.string,
            claims["sub"]?.string == Self.prefix + namespace + ":" + name
        else { throw Self.refusal("service account token lacks its account") }
        try await account(namespace, name, uid: place["serviceaccount"]?["uid"]?.string)
        for (key, resource) in [("pod", GroupVersionResource.pods), ("secret", .secrets), ("node", .nodes)] {
            guard let reference = place[key], let bound = reference["name"]?.string else { continue }
            // The node of a bound pod is told, not bound to.
            if key == "node", place["pod"] != nil { continue }
            let object = try await client.get(resource, namespace: key == "node" ? nil : namespace, name: bound)
            guard object.metaUID == reference["uid"]?.string else {
                throw Self.refusal("the \(key) that the token is bound to is another one now")
            }
        }
        var extra: [String: [String]] = [:]
        func add(_ key: String, _ value: JSON?) {
            if let text = value?.string, !text.isEmpty { extra["authentication.kubernetes.io/" + key] = [text] }
        }
        add("credential-id", claims["jti"]?.string.map { JSON("JTI=" + $0) })
        for key in ["pod", "node"] {
            add(key + "-name", place[key]?["name"])
            add(key + "-uid", place[key]?["uid"])
        }
        return Self.user(namespace, name, uid: place["serviceaccount"]?["uid"]?.string ?? "", extra: extra)
    }

    private func account(_ namespace: String, _ name: String, uid: String?) async throws(ClusterProblem) {
        let account = try await client.get(.serviceAccounts, namespace: namespace, name: name)
        guard uid == nil || account.metaUID == uid else { throw Self.refusal("the service account is another one now") }
    }

    static func user(_ namespace: String, _ name: String, uid: String, extra: [String: [String]] = [:]) -> UserInfo {
        UserInfo(
            name: prefix + namespace + ":" + name,
            groups: ["system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"], uid: uid, extra: extra)
    }

    /// A token that lies in a secret of its own, and is good while that is there.
    private func legacyUser(_ claims: JSON, _ token: String) async throws(ClusterProblem) -> UserInfo {
        func part(_ key: String) -> String { claims["kubernetes.io/serviceaccount/" + key]?.string ?? "" }
        let (namespace, name, uid) = (part("namespace"), part("service-account.name"), part("service-account.uid"))
        let secret = try await client.get(.secrets, namespace: namespace, name: part("secret.name"))
        guard !secret.isBeingDeleted, let stored = secret["data"]?["token"]?.string.flatMap(Base64.decode),
            Hash.constantTimeEquals(stored, Array(token.utf8))
        else { throw Self.refusal("the secret of the service account token is gone") }
        try await account(namespace, name, uid: uid)
        return Self.user(namespace, name, uid: uid)
    }
}
