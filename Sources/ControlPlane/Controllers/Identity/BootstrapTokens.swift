// Bootstrap tokens: `cluster-info` is signed with each, so that joining nodes can trust it, and expired ones go.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials

/// A Secret of type bootstrap.kubernetes.io/token.
struct BootstrapToken: Sendable, Equatable {
    static let type = "bootstrap.kubernetes.io/token"

    let id: String
    let secret: String
    let expiresAt: Timestamp?
    let signs: Bool

    init?(_ object: JSON) {
        guard object["type"]?.string == Self.type, object.metaNamespace == "kube-system" else { return nil }
        func value(_ name: String) -> String? {
            object["data"]?[name]?.string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        guard let id = value("token-id"), let secret = value("token-secret"), object.metaName == "bootstrap-token-" + id else { return nil }
        self.id = id
        self.secret = secret
        expiresAt = value("expiration").flatMap { Timestamp(rfc3339: $0) }
        signs = value("usage-bootstrap-signing") == "true"
    }

    func isExpired(at now: Timestamp) -> Bool { expiresAt.map { now.since($0) >= 0 } ?? false }

    /// The detached signature (JWS, HS256) of `content`.
    func signature(of content: String) -> String {
        let header = Base64.encodeURL(Array("{\"alg\":\"HS256\",\"kid\":\"\(id)\"}".utf8))
        let payload = Base64.encodeURL(Array(content.utf8))
        let digest = Hash.hmacSHA256(key: Array(secret.utf8), Array("\(header).\(payload)".utf8))
        return "\(header)..\(Base64.encodeURL(digest))"
    }
}

struct BootstrapSigner: Controller {
    private static let prefix = "jws-kubeconfig-"

    private let context: ControllerContext
    private let secrets: Informer
    private let maps: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        secrets = context.informers.informer(.secrets)
        maps = context.informers.informer(.configMaps)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 1, caches: [secrets, maps],
            feeds: [
                {
                    for await change in secrets.changes() where change.object["type"]?.string == BootstrapToken.type { queue.add("sign") }
                    try Task.checkCancellation()
                },
                {
                    for await change in maps.changes()
                    where change.object.metaName == "cluster-info" && change.object.metaNamespace == "kube-public" { queue.add("sign") }
                    try Task.checkCancellation()
                },
            ]
        ) { _ in
            guard let map = maps.item(namespace: "kube-public", name: "cluster-info"), let content = map["data"]?["kubeconfig"]?.string
            else {
                return
            }
            let now = context.clock.now()
            var data = map["data"] ?? .emptyObject
            for (name, _) in data.members where name.hasPrefix(Self.prefix) { data[name] = nil }
            for token in secrets.items().compactMap(BootstrapToken.init) where token.signs && !token.isExpired(at: now) {
                data[Self.prefix + token.id] = JSON(token.signature(of: content))
            }
            guard !data.isSame(as: map["data"] ?? .null) else { return }
            var changed = map
            changed["data"] = data
            try await ignoring { try await context.update(.configMaps, changed) }
        }
    }
}

struct TokenCleaner: Controller {
    private let context: ControllerContext
    private let secrets: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        secrets = context.informers.informer(.secrets)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 1, caches: [secrets],
            feeds: [
                {
                    for await change in secrets.changes() where change.object["type"]?.string == BootstrapToken.type {
                        queue.add(change.object.objectKey)
                    }
                    try Task.checkCancellation()
                }
            ]
        ) { key in
            guard let secret = secrets.item(key: key), let token = BootstrapToken(secret), let end = token.expiresAt else { return }
            let left = end.since(context.clock.now())
            if left > 0 { return queue.add(key, afterMilliseconds: Int(min(left, 86_400) * 1000) + 1) }
            try await context.delete(.secrets, secret)
        }
    }
}

/// Fills Secrets that ask for a lasting token of a service account, and removes those whose account is gone.
struct TokenSecretController: Controller {
    static let type = "kubernetes.io/service-account-token"

    private let context: ControllerContext
    private let secrets: Informer
    private let accounts: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        secrets = context.informers.informer(.secrets)
        accounts = context.informers.informer(.serviceAccounts)
    }

    func run() async throws {
        guard let key = context.settings.tokenKey else { return try await Task.sleep(for: .seconds(1 << 30)) }
        try await reconcile(
            queue, workers: 1, caches: [secrets, accounts],
            feeds: [
                {
                    for await change in secrets.changes() where change.object["type"]?.string == Self.type {
                        queue.add(change.object.objectKey)
                    }
                    try Task.checkCancellation()
                },
                {
                    for await change in accounts.changes() {
                        for secret in secrets.items()
                        where secret["type"]?.string == Self.type
                            && secret.metaNamespace == change.object.metaNamespace
                        { queue.add(secret.objectKey) }
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { name in
            guard let secret = secrets.item(key: name), !secret.isBeingDeleted else { return }
            try await fill(secret, key)
        }
    }

    private func fill(_ secret: JSON, _ key: PrivateKey) async throws {
        let name = secret.metaAnnotations["kubernetes.io/service-account.name"] ?? ""
        guard let account = accounts.item(namespace: secret.metaNamespace ?? "", name: name) else {
            if !name.isEmpty, secret["data"]?["token"] != nil { try await context.delete(.secrets, secret) }
            return
        }
        let uid = secret.metaAnnotations["kubernetes.io/service-account.uid"]
        if let uid, uid != account.metaUID { return _ = try await context.delete(.secrets, secret) }
        guard secret["data"]?["token"] == nil || uid == nil else { return }
        let namespace = account.metaNamespace ?? ""
        let claims: JSON = [
            "iss": "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/namespace": JSON(namespace),
            "kubernetes.io/serviceaccount/secret.name": JSON(secret.metaName),
            "kubernetes.io/serviceaccount/service-account.name": JSON(name),
            "kubernetes.io/serviceaccount/service-account.uid": JSON(account.metaUID),
            "sub": JSON("system:serviceaccount:\(namespace):\(name)"),
        ]
        let header: JSON = ["alg": JSON(key.publicKey.algorithm), "kid": JSON(key.publicKey.identifier)]
        let text = Base64.encodeURL(header.bytes) + "." + Base64.encodeURL(claims.bytes)
        let token = text + "." + Base64.encodeURL(try key.signature(of: Array(text.utf8)))
        var changed = secret
        changed[path: ["data", "token"]] = JSON(Base64.encode(Array(token.utf8)))
        changed[path: ["data", "namespace"]] = JSON(Base64.encode(Array(namespace.utf8)))
        changed[path: ["data", "ca.crt"]] = JSON(Base64.encode(Array((context.settings.rootCertificate ?? "").utf8)))
        changed[path: ["metadata", "annotations", "kubernetes.io/service-account.uid"]] = JSON(account.metaUID)
        try await ignoring { try await context.update(.secrets, changed) }
    }
}
