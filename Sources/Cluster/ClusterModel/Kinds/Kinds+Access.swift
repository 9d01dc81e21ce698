// The kinds of access: ServiceAccount, roles and bindings, CertificateSigningRequest, and the reviews.
internal import Essentials
internal import OrderedCollections

extension Kind {
    package static let serviceAccount = Kind(
        resource: .serviceAccounts, name: "ServiceAccount", singular: "serviceaccount", shortNames: ["sa"],
        columns: [Column("Name"), Column("Secrets"), Column("Age")],
        cells: { object, now in [JSON(object.metaName), JSON(Cells.count(object["secrets"])), Cells.age(object, now)] },
        subresources: [
            Subresource(
                name: "token", kind: "TokenRequest",
                version: GroupVersionResource(group: "authentication.k8s.io", version: "v1", resource: ""), verbs: ["create"])
        ])

    private static let roleColumns = [Column("Name"), Column("Created At", type: "date")]
    private static let bindingColumns = [
        Column("Name"), Column("Role"), Column("Age"), Column("Users", wide: true, "Users in the roleBinding"),
        Column("Groups", wide: true, "Groups in the roleBinding"),
        Column("ServiceAccounts", wide: true, "ServiceAccounts in the roleBinding"),
    ]

    package static let role = Kind(
        resource: .roles, name: "Role", singular: "role", nameRule: .path, columns: roleColumns,
        cells: { object, _ in [JSON(object.metaName), Cells.created(object)] },
        check: { new, _ in AccessRules.check(rules: new["rules"], isNamespaced: true) })

    package static let clusterRole = Kind(
        resource: .clusterRoles, name: "ClusterRole", singular: "clusterrole", isNamespaced: false, nameRule: .path,
        columns: roleColumns, cells: { object, _ in [JSON(object.metaName), Cells.created(object)] },
        check: { new, _ in AccessRules.check(rules: new["rules"], isNamespaced: false) })

    package static let roleBinding = Kind(
        resource: .roleBindings, name: "RoleBinding", singular: "rolebinding", nameRule: .path, columns: bindingColumns,
        cells: { object, now in AccessRules.cells(binding: object, now) }, applyDefaults: AccessRules.complete,
        check: { new, old in AccessRules.check(binding: new, old, roles: ["ClusterRole", "Role"]) })

    package static let clusterRoleBinding = Kind(
        resource: .clusterRoleBindings, name: "ClusterRoleBinding", singular: "clusterrolebinding", isNamespaced: false, nameRule: .path,
        columns: bindingColumns, cells: { object, now in AccessRules.cells(binding: object, now) },
        applyDefaults: AccessRules.complete, check: { new, old in AccessRules.check(binding: new, old, roles: ["ClusterRole"]) })

    package static let certificateSigningRequest = Kind(
        resource: .certificateSigningRequests, name: "CertificateSigningRequest", singular: "certificatesigningrequest",
        shortNames: ["csr"], isNamespaced: false, hasStatus: true, countsGenerations: false,
        columns: [
            Column("Name"), Column("Age"), Column("SignerName"), Column("Requestor"), Column("RequestedDuration"), Column("Condition"),
        ],
        cells: { object, now in
            let spec = object["spec"]
            let seconds = spec?["expirationSeconds"]?.integer
            return [
                JSON(object.metaName), Cells.age(object, now), Cells.text(spec?["signerName"], or: "<none>"),
                Cells.text(spec?["username"], or: ""), seconds.map { JSON(Age.text(seconds: $0)) } ?? "<none>",
                JSON(AccessRules.state(request: object)),
            ]
        },
        selectable: ["spec.signerName"],
        prepareCreate: { object in object["status"] = .emptyObject },
        check: { new, old in
            var causes = Unchanged.check(new, old, [["spec"]])
            guard old == nil else { return causes }
            if (new["spec"]?["usages"]?.array ?? []).isEmpty { causes.append(.required("spec.usages", "usages is required")) }
            if let seconds = new["spec"]?["expirationSeconds"]?.integer, seconds < 600 {
                causes.append(
                    .invalid(
                        "spec.expirationSeconds", String(seconds), "may not specify a duration less than 600 seconds (10 minutes)"))
            }
            let signer = new["spec"]?["signerName"]?.string ?? ""
            if !signer.isEmpty, !signer.contains("/") {
                causes.append(
                    .invalid(
                        "spec.signerName", text: signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'"))
            }
            return causes
        },
        subresources: [
            Subresource(name: "approval", kind: "CertificateSigningRequest", version: nil, verbs: ["get", "patch", "update"])
        ])

    /// A question that is answered at once.
    private static func review(_ resource: GroupVersionResource, _ name: String, isNamespaced: Bool = false) -> Kind {
        Kind(
            resource: resource, name: name, singular: name.lowercased(), isNamespaced: isNamespaced, verbs: ["create"], isStored: false,
            countsGenerations: false)
    }

    package static let tokenReview = review(.tokenReviews, "TokenReview")
    package static let selfSubjectReview = review(.selfSubjectReviews, "SelfSubjectReview")
    package static let subjectAccessReview = review(.subjectAccessReviews, "SubjectAccessReview")
    package static let localSubjectAccessReview = review(.localSubjectAccessReviews, "LocalSubjectAccessReview", isNamespaced: true)
    package static let selfSubjectAccessReview = review(.selfSubjectAccessReviews, "SelfSubjectAccessReview")
    package static let selfSubjectRulesReview = review(.selfSubjectRulesReviews, "SelfSubjectRulesReview")
    package static let binding = review(.bindings, "Binding", isNamespaced: true)
}

enum AccessRules {
    static let group = "rbac.authorization.k8s.io"

    static func cells(binding: JSON, _ now: Timestamp) -> [JSON] {
        func subjects(_ kind: String) -> JSON {
            let named = (binding["subjects"]?.array ?? []).filter { $0["kind"]?.string == kind }.map { subject in
                let namespace = subject["namespace"]?.string ?? ""
                return (namespace.isEmpty ? "" : namespace + "/") + (subject["name"]?.string ?? "")
            }
            return JSON(named.joined(separator: ", "))
        }
        let role = (binding["roleRef"]?["kind"]?.string ?? "") + "/" + (binding["roleRef"]?["name"]?.string ?? "")
        return [
            JSON(binding.metaName), JSON(role), Cells.age(binding, now), subjects("User"), subjects("Group"), subjects("ServiceAccount"),
        ]
    }

    @Sendable static func complete(_ binding: inout JSON) {
        if binding["roleRef"] != nil, (binding["roleRef"]?["apiGroup"]?.string ?? "").isEmpty {
            binding["roleRef"]?["apiGroup"] = JSON(group)
        }
        guard var subjects = binding["subjects"]?.array else { return }
        for index in subjects.indices where (subjects[index]["apiGroup"]?.string ?? "").isEmpty {
            if ["User", "Group"].contains(subjects[index]["kind"]?.string) { subjects[index]["apiGroup"] = JSON(group) }
        }
        binding["subjects"] = .array(subjects)
    }

    static func check(rules: JSON?, isNamespaced: Bool) -> [FieldCause] {
        var causes: [FieldCause] = []
        for (index, rule) in (rules?.array ?? []).enumerated() {
            let path = "rules[\(index)]"
            func count(_ part: String) -> Int { rule[part]?.array?.count ?? 0 }
            if count("nonResourceURLs") > 0 {
                if isNamespaced {
                    let list = (rule["nonResourceURLs"]?.array ?? []).compactMap(\.string).map(GoText.quote).joined(separator: ", ")
                    causes.append(
                        .invalid(
                            path + ".nonResourceURLs", "[]string{\(list)}", "namespaced rules cannot apply to non-resource URLs"))
                }
                if count("apiGroups") + count("resources") + count("resourceNames") > 0 {
                    causes.append(
                        .invalid(
                            path + ".nonResourceURLs", GoText.any(rule["nonResourceURLs"]),
                            "rules cannot apply to both regular resources and non-resource URLs"))
                }
                continue
            }
            if count("apiGroups") == 0 {
                causes.append(.required(path + ".apiGroups", "resource rules must supply at least one api group"))
            }
            if count("resources") == 0 {
                causes.append(.required(path + ".resources", "resource rules must supply at least one resource"))
            }
        }
        return causes
    }

    static func check(binding new: JSON, _ old: JSON?, roles: [String]) -> [FieldCause] {
        var causes: [FieldCause] = []
        let role = new["roleRef"] ?? .null
        if let named = role["apiGroup"]?.string, named != group { causes.append(.unsupported("roleRef.apiGroup", named, [group])) }
        if let kind = role["kind"]?.string, !roles.contains(kind) { causes.append(.unsupported("roleRef.kind", kind, roles)) }
        for (index, subject) in (new["subjects"]?.array ?? []).enumerated() {
            let path = "subjects[\(index)]"
            let named = subject["apiGroup"]?.string ?? ""
            switch subject["kind"]?.string {
            case "ServiceAccount":
                if (subject["namespace"]?.string ?? "").isEmpty { causes.append(.required(path + ".namespace")) }
                if !named.isEmpty { causes.append(.unsupported(path + ".apiGroup", named, [""])) }
            case "User", "Group":
                if named != group { causes.append(.unsupported(path + ".apiGroup", named, [group])) }
            case let kind?: causes.append(.unsupported(path + ".kind", kind, ["Group", "ServiceAccount", "User"]))
            case nil: break
            }
        }
        if let old, !role.isSame(as: old["roleRef"] ?? .null) {
            func part(_ name: String) -> String { GoText.quote(role[name]?.string ?? "") }
            causes.append(
                .invalid(
                    "roleRef", "rbac.RoleRef{APIGroup:\(part("apiGroup")), Kind:\(part("kind")), Name:\(part("name"))}",
                    "cannot change roleRef"))
        }
        return causes
    }

    static func state(request: JSON) -> String {
        let types = (request["status"]?["conditions"]?.array ?? []).compactMap { $0["type"]?.string }
        var text = types.contains("Denied") ? "Denied" : types.contains("Approved") ? "Approved" : "Pending"
        if types.contains("Failed") { text += ",Failed" }
        if !(request["status"]?["certificate"]?.string ?? "").isEmpty { text += ",Issued" }
        return text
    }
}
