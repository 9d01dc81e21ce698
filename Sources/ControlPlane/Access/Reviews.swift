// Questions about access as API requests: whose token is this, who am I, may I, what may I; and new service account tokens.
internal import ClusterClient
package import ClusterModel
package import Essentials

package enum Review: Sendable {
    case token, subjectAccess, localSubjectAccess(namespace: String), selfSubjectAccess, selfSubjectRules, selfSubject
    case accountToken(namespace: String, name: String)

    /// `nil` for requests that are none of these.
    package init?(_ attributes: RequestAttributes) {
        guard attributes.isResource, attributes.verb == "create" else { return nil }
        switch (attributes.group, attributes.resource, attributes.subresource) {
        case ("authentication.k8s.io", "tokenreviews", ""): self = .token
        case ("authentication.k8s.io", "selfsubjectreviews", ""): self = .selfSubject
        case ("authorization.k8s.io", "subjectaccessreviews", ""): self = .subjectAccess
        case ("authorization.k8s.io", "localsubjectaccessreviews", ""): self = .localSubjectAccess(namespace: attributes.namespace)
        case ("authorization.k8s.io", "selfsubjectaccessreviews", ""): self = .selfSubjectAccess
        case ("authorization.k8s.io", "selfsubjectrulesreviews", ""): self = .selfSubjectRules
        case ("", "serviceaccounts", "token"): self = .accountToken(namespace: attributes.namespace, name: attributes.name)
        default: return nil
        }
    }

    package var kind: String {
        switch self {
        case .token: "TokenReview"
        case .subjectAccess: "SubjectAccessReview"
        case .localSubjectAccess: "LocalSubjectAccessReview"
        case .selfSubjectAccess: "SelfSubjectAccessReview"
        case .selfSubjectRules: "SelfSubjectRulesReview"
        case .selfSubject: "SelfSubjectReview"
        case .accountToken: "TokenRequest"
        }
    }

    package var apiVersion: String {
        switch self {
        case .token, .selfSubject, .accountToken: "authentication.k8s.io/v1"
        default: "authorization.k8s.io/v1"
        }
    }
}

extension Access {
    /// Answers with the document, its status filled in.
    package func answer(_ review: Review, _ document: JSON, for user: UserInfo) async throws(ClusterProblem) -> JSON {
        var answer: JSON = ["kind": JSON(review.kind), "apiVersion": JSON(review.apiVersion)]
        answer["metadata"] = document["metadata"] ?? ["creationTimestamp": .null]
        if let spec = document["spec"] { answer["spec"] = spec }
        let spec = document["spec"] ?? .emptyObject
        switch review {
        case .token: answer["status"] = try await reviewToken(spec)
        case .selfSubject: answer["status"] = ["userInfo": Self.document(user)]
        case .selfSubjectAccess: answer["status"] = try await reviewAccess(spec, user)
        case .subjectAccess: answer["status"] = try await reviewAccess(spec, try Self.subject(spec))
        case .localSubjectAccess(let namespace):
            guard spec["resourceAttributes"]?["namespace"]?.string == namespace else {
                throw .badRequest(
                    "spec.resourceAttributes.namespace must match namespace: \(spec["resourceAttributes"]?["namespace"]?.string ?? "")")
            }
            answer["status"] = try await reviewAccess(spec, try Self.subject(spec))
        case .selfSubjectRules: answer["status"] = try rules(of: user, spec)
        case .accountToken(let namespace, let name):
            let (filled, status) = try await accountToken(spec, namespace: namespace, name: name)
            answer["metadata"] = ["name": JSON(name), "namespace": JSON(namespace), "creationTimestamp": JSON(clock.now().rfc3339)]
            answer["spec"] = filled
            answer["status"] = status
        }
        return answer
    }

    static func document(_ user: UserInfo) -> JSON {
        var document: JSON = ["username": JSON(user.name)]
        if !user.uid.isEmpty { document["uid"] = JSON(user.uid) }
        if !user.groups.isEmpty { document["groups"] = JSON(user.groups) }
        if !user.extra.isEmpty {
            document["extra"] = .emptyObject
            for (key, values) in user.extra.sorted(by: { $0.key < $1.key }) { document["extra"]?[key] = JSON(values) }
        }
        return document
    }

    private func reviewToken(_ spec: JSON) async throws(ClusterProblem) -> JSON {
        guard let token = spec["token"]?.string, !token.isEmpty else {
            throw .badRequest("token is required for TokenReview in authentication")
        }
        let wanted = spec["audiences"]?.array?.compactMap(\.string) ?? []
        do throws(ClusterProblem) {
            let (user, audiences) = try await check(token: token, audiences: wanted.isEmpty ? settings.audiences : wanted)
            return ["authenticated": true, "user": Self.document(user), "audiences": JSON(audiences)]
        } catch {
            return ["user": .emptyObject, "error": JSON("[invalid bearer token, \(error.message)]")]
        }
    }

    private static func subject(_ spec: JSON) throws(ClusterProblem) -> UserInfo {
        let groups = spec["groups"]?.array?.compactMap(\.string) ?? []
        let name = spec["user"]?.string ?? ""
        guard !name.isEmpty || !groups.isEmpty else {
            throw .invalid(
                group: "authorization.k8s.io", kind: "SubjectAccessReview", name: "",
                [
                    FieldCause(
                        reason: "FieldValueInvalid", field: "spec.user",
                        message: "Invalid value: \"\": at least one of user or group must be specified")
                ])
        }
        var extra: [String: [String]] = [:]
        for (key, values) in spec["extra"]?.members ?? [] { extra[key] = values.array?.compactMap(\.string) ?? [] }
        return UserInfo(name: name, groups: groups, uid: spec["uid"]?.string ?? "", extra: extra)
    }

    private func reviewAccess(_ spec: JSON, _ user: UserInfo) async throws(ClusterProblem) -> JSON {
        let attributes: RequestAttributes
        if let resource = spec["resourceAttributes"], !resource.isNull {
            func part(_ key: String) -> String { resource[key]?.string ?? "" }
            attributes = RequestAttributes(
                verb: part("verb"), group: part("group"), version: part("version"), namespace: part("namespace"),
                resource: part("resource"),
                subresource: part("subresource"), name: part("name"))
        } else if let other = spec["nonResourceAttributes"], !other.isNull {
            attributes = RequestAttributes(verb: other["verb"]?.string ?? "", path: other["path"]?.string ?? "")
        } else {
            throw .invalid(
                group: "authorization.k8s.io", kind: "SelfSubjectAccessReview", name: "",
                [
                    FieldCause(
                        reason: "FieldValueInvalid", field: "spec.resourceAttributes",
                        message: "Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified")
                ])
        }
        let decision = await decide(user, attributes)
        var status: JSON = ["allowed": JSON(decision.isAllowed)]
        if !decision.reason.isEmpty { status["reason"] = JSON(decision.reason) }
        return status
    }

    private func rules(of user: UserInfo, _ spec: JSON) throws(ClusterProblem) -> JSON {
        guard let namespace = spec["namespace"]?.string, !namespace.isEmpty else { throw .badRequest("no namespace on request") }
        var resources: [JSON] = []
        var others: [JSON] = []
        var rules = index.rules(of: user, namespace: namespace).rules
        if user.groups.contains(Self.masters) { rules = [PolicyRule(line: "* * *"), PolicyRule(line: "* *")] + rules }
        if NodeAuthorizer.node(user) != nil, settings.modes.contains(.node) { rules += SystemRoles.node }
        var seen: Set<PolicyRule> = []
        for rule in rules where seen.insert(rule).inserted {
            if rule.paths.isEmpty { resources.append(rule.document) } else { others.append(rule.document) }
        }
        return ["incomplete": false, "nonResourceRules": JSON(others), "resourceRules": JSON(resources)]
    }

    // MARK: Tokens of service accounts

    private static let shortestSeconds = 600
    private static let longestSeconds = 1 << 32
    private static let usualSeconds = 3600
    /// What kubelets ask for; such tokens are made to last, and warned about instead.
    private static let renewedSeconds = 3607
    private static let extendedSeconds = 365 * 24 * 3600

    private func accountToken(_ spec: JSON, namespace: String, name: String) async throws(ClusterProblem) -> (spec: JSON, status: JSON) {
        let account = try await client.get(.serviceAccounts, namespace: namespace, name: name)
        var seconds = spec["expirationSeconds"]?.int ?? Self.usualSeconds
        func invalid(_ field: String, _ message: String) -> ClusterProblem {
            .invalid(
                group: "authentication.k8s.io", kind: "TokenRequest", name: "",
                [FieldCause(reason: "FieldValueInvalid", field: field, message: message)])
        }
        if seconds < Self.shortestSeconds {
            throw invalid("spec.expirationSeconds", "Invalid value: \(seconds): may not specify a duration less than 10 minutes")
        }
        if seconds > Self.longestSeconds {
            throw invalid("spec.expirationSeconds", "Invalid value: \(seconds): may not specify a duration larger than 2^32 seconds")
        }
        var audiences = spec["audiences"]?.array?.compactMap(\.string) ?? []
        if audiences.isEmpty { audiences = settings.audiences.isEmpty ? [settings.issuer] : settings.audiences }
        var order = TokenOrder(namespace: namespace, account: account, audiences: audiences, seconds: seconds)
        if let reference = spec["boundObjectRef"], !reference.isNull { try await bind(&order, to: reference) }
        var filled = spec
        filled["audiences"] = JSON(audiences)
        filled["expirationSeconds"] = JSON(seconds)
        if settings.extendsTokens, seconds == Self.renewedSeconds, order.bound?["kind"] == "Pod",
            audiences == (settings.audiences.isEmpty ? [settings.issuer] : settings.audiences)
        {
            order.warnAfterSeconds = seconds
            order.seconds = Self.extendedSeconds
            seconds = Self.renewedSeconds
        }
        let (token, expires) = try tokens.make(order)
        let told = order.warnAfterSeconds == nil ? expires : clock.now().adding(seconds: Int64(seconds))
        return (filled, ["token": JSON(token), "expirationTimestamp": JSON(Timestamp(seconds: told.seconds).rfc3339)])
    }

    private func bind(_ order: inout TokenOrder, to reference: JSON) async throws(ClusterProblem) {
        let name = reference["name"]?.string ?? ""
        let resource: GroupVersionResource
        switch reference["kind"]?.string {
        case "Pod": resource = .pods
        case "Secret": resource = .secrets
        case "Node": resource = .nodes
        default:
            throw .badRequest(
                "cannot bind token for serviceaccount \"\(order.account.metaName)\" to object \"\(reference["kind"]?.string ?? "")\"")
        }
        let object = try await client.get(resource, namespace: resource == .nodes ? nil : order.namespace, name: name)
        if let uid = reference["uid"]?.string, !uid.isEmpty, uid != object.metaUID {
            throw .conflict(
                resource, name,
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might have been deleted and then recreated"
            )
        }
        if resource == .pods {
            let account = object["spec"]?["serviceAccountName"]?.string ?? "default"
            guard account == order.account.metaName else {
                throw .badRequest(
                    "cannot bind token for serviceaccount \"\(order.account.metaName)\" to pod running with different serviceaccount name.")
            }
            if let node = object["spec"]?["nodeName"]?.string, !node.isEmpty { order.node = try? await client.get(.nodes, name: node) }
        }
        order.bound = object
    }
}
