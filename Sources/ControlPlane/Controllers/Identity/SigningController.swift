// Approves the certificates that nodes ask for, and signs what is approved.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials

enum Signers {
    static let kubeletClient = "kubernetes.io/kube-apiserver-client-kubelet"
    static let kubeletServing = "kubernetes.io/kubelet-serving"
    static let client = "kubernetes.io/kube-apiserver-client"
    static let legacy = "kubernetes.io/legacy-unknown"

    static func condition(_ request: JSON, _ type: String) -> Bool {
        (request["status"]?["conditions"]?.array ?? []).contains { $0["type"]?.string == type }
    }

    static func isDecided(_ request: JSON) -> Bool {
        condition(request, "Approved") || condition(request, "Denied") || condition(request, "Failed")
    }

    static func wish(_ request: JSON) -> SigningRequest.Wish? {
        guard let bytes = Base64.decode(request["spec"]?["request"]?.string ?? "") else { return nil }
        return try? SigningRequest.read(String(decoding: bytes, as: UTF8.self))
    }

    static func usages(_ request: JSON) -> Set<String> { Set((request["spec"]?["usages"]?.array ?? []).compactMap(\.string)) }

    /// Why a request is not one of this signer's; `nil` where it is.
    static func fault(_ request: JSON, _ wish: SigningRequest.Wish) -> String? {
        let uses = usages(request)
        let basic: Set = ["key encipherment", "digital signature"]
        switch request["spec"]?["signerName"]?.string {
        case kubeletClient:
            if wish.organizations != ["system:nodes"] { return "subject organization is not system:nodes" }
            if !wish.commonName.hasPrefix("system:node:") { return "subject common name does not begin with system:node:" }
            if !wish.names.isEmpty { return "DNS subjectAltNames are not allowed" }
            return uses.contains("client auth") && uses.subtracting(basic).subtracting(["client auth"]).isEmpty
                ? nil : "usages did not match"
        case kubeletServing:
            if wish.organizations != ["system:nodes"] { return "subject organization is not system:nodes" }
            if !wish.commonName.hasPrefix("system:node:") { return "subject common name does not begin with system:node:" }
            if wish.names.isEmpty { return "DNS or IP subjectAltName is required" }
            return uses.contains("server auth") && uses.subtracting(basic).subtracting(["server auth"]).isEmpty
                ? nil : "usages did not match"
        case client: return uses.contains("client auth") ? nil : "usages did not match"
        default: return nil
        }
    }
}

/// Says yes to nodes that ask for their own client certificate and may.
struct SigningApprover: Controller {
    private let context: ControllerContext
    private let requests: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        requests = context.informers.informer(.certificateSigningRequests)
    }

    func run() async throws {
        try await reconcile(queue, workers: 1, caches: [requests], feeds: [requests.feed(queue)]) { key in
            guard let request = requests.item(key: key), !Signers.isDecided(request),
                request["spec"]?["signerName"]?.string == Signers.kubeletClient, let wish = Signers.wish(request),
                Signers.fault(request, wish) == nil
            else { return }
            let user = request["spec"]?["username"]?.string ?? ""
            let isOwn = user == wish.commonName
            guard try await mayAsk(request, user, subresource: isOwn ? "selfnodeclient" : "nodeclient") else { return }
            let now = JSON(context.clock.now().rfc3339)
            let message =
                isOwn
                ? "Auto approving self kubelet client certificate after SubjectAccessReview."
                : "Auto approving kubelet client certificate after SubjectAccessReview."
            var changed = request
            changed[path: ["status", "conditions"]] = [
                [
                    "type": "Approved", "status": "True", "reason": "AutoApproved", "message": JSON(message), "lastUpdateTime": now,
                    "lastTransitionTime": now,
                ]
            ]
            try await ignoring {
                let answer = try await context.client.document(
                    APIRequest(
                        method: "PUT",
                        path: GroupVersionResource.certificateSigningRequests.path(name: request.metaName, subresource: "approval"),
                        object: changed, user: context.client.user))
                requests.note(written: answer)
            }
        }
    }

    private func mayAsk(_ request: JSON, _ user: String, subresource: String) async throws -> Bool {
        let review: JSON = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": [
                "user": JSON(user), "groups": request["spec"]?["groups"] ?? [], "uid": request["spec"]?["uid"] ?? "",
                "resourceAttributes": [
                    "group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create",
                    "subresource": JSON(subresource), "version": "*",
                ],
            ],
        ]
        let answer = try await context.client.document(
            APIRequest(
                method: "POST", path: "/apis/authorization.k8s.io/v1/subjectaccessreviews", object: review, user: context.client.user))
        return answer["status"]?["allowed"] == true
    }
}

/// Signs approved requests of the signers that are Kubernetes' own.
struct SigningController: Controller {
    /// Certificates that ask for no time are good for a year.
    static let usualSeconds = 365 * 86400
    static let leastSeconds = 600

    private let context: ControllerContext
    private let requests: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        requests = context.informers.informer(.certificateSigningRequests)
    }

    func run() async throws {
        guard let authority = context.settings.signingAuthority else { return try await Task.sleep(for: .seconds(1 << 30)) }
        try await reconcile(queue, workers: 1, caches: [requests], feeds: [requests.feed(queue)]) { key in
            guard let request = requests.item(key: key), Signers.condition(request, "Approved"), !Signers.condition(request, "Denied"),
                !Signers.condition(request, "Failed"), (request["status"]?["certificate"]?.string ?? "").isEmpty,
                [Signers.kubeletClient, Signers.kubeletServing, Signers.client, Signers.legacy].contains(
                    request["spec"]?["signerName"]?.string ?? "")
            else { return }
            try await sign(request, authority)
        }
    }

    private func sign(_ request: JSON, _ authority: CertificateAuthority) async throws {
        var status = request["status"] ?? .emptyObject
        do {
            guard let bytes = Base64.decode(request["spec"]?["request"]?.string ?? "") else {
                throw CryptoProblem.unreadable(what: "certificate request")
            }
            let pem = String(decoding: bytes, as: UTF8.self)
            if let fault = Signers.fault(request, try SigningRequest.read(pem)) {
                throw CryptoProblem.failed(step: "request", detail: fault)
            }
            let seconds = max(Self.leastSeconds, min(request["spec"]?["expirationSeconds"]?.int ?? Self.usualSeconds, Self.usualSeconds))
            let certificate = try SigningRequest.grant(pem, by: authority, usages: Array(Signers.usages(request)), seconds: seconds)
            status["certificate"] = JSON(Base64.encode(Array(certificate.pem.utf8)))
        } catch let problem as CryptoProblem {
            let now = JSON(context.clock.now().rfc3339)
            let failed: JSON = [
                "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": JSON(problem.cause ?? problem.message),
                "lastUpdateTime": now, "lastTransitionTime": now,
            ]
            status["conditions"] = .array((status["conditions"]?.array ?? []) + [failed])
        }
        try await ignoring { try await context.setStatus(.certificateSigningRequests, of: request, to: status) }
    }
}
