// Tables of who may do what.
import Access
import ClusterClient
import ClusterModel
import Essentials
import Testing

@Suite struct DecisionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var user: String
        var verb: String
        var what: String
        var namespace: String
        var isAllowed: Bool
        var testDescription: String { "\(user) \(verb) \(what) \(namespace)" }

        init(_ user: String, _ verb: String, _ what: String, in namespace: String = "", _ isAllowed: Bool) {
            self.user = user
            self.verb = verb
            self.what = what
            self.namespace = namespace
            self.isAllowed = isAllowed
        }

        /// `GROUP/RESOURCE[/SUBRESOURCE][:NAME]`, or `!PATH`.
        var attributes: RequestAttributes {
            if what.hasPrefix("!") { return RequestAttributes(verb: verb, path: String(what.dropFirst())) }
            let halves = what.split(separator: ":", maxSplits: 1).map(String.init)
            let parts = halves[0].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            return RequestAttributes(
                verb: verb, group: parts[0], namespace: namespace, resource: parts[1], subresource: parts.count > 2 ? parts[2] : "",
                name: halves.count > 1 ? halves[1] : "")
        }

        var info: UserInfo {
            let groups = ["root": ["system:masters"], "node": ["system:nodes"], "dora": ["viewers"]][user] ?? []
            let name =
                ["node": "system:node:node1", "kcm": "system:kube-controller-manager", "scheduler": "system:kube-scheduler"][user] ?? user
            return UserInfo(
                name: name, groups: groups + [user == "system:anonymous" ? "system:unauthenticated" : "system:authenticated"])
        }
    }

    static let cases: [Case] = [
        Case("root", "delete", "/nodes", true), Case("root", "anything", "!/whatever", true),
        // A role with names, subresources and a path.
        Case("rita", "get", "/configmaps:one", in: "default", true), Case("rita", "get", "/configmaps:two", in: "default", false),
        Case("rita", "list", "/configmaps", in: "default", false), Case("rita", "get", "/configmaps:one", in: "kube-system", false),
        Case("rita", "get", "/pods/log:p", in: "default", true), Case("rita", "get", "/pods:p", in: "default", false),
        Case("rita", "get", "!/metrics", true), Case("rita", "get", "!/metrics/x", false), Case("rita", "get", "!/debug/pprof", true),
        Case("rita", "post", "!/debug/pprof", false), Case("rita", "update", "apps/deployments/scale:d", in: "default", true),
        Case("rita", "update", "apps/deployments:d", in: "default", false),
        // Aggregated roles, bound in one namespace to a group.
        Case("dora", "list", "/pods", in: "default", true), Case("dora", "create", "/pods", in: "default", false),
        Case("dora", "list", "/secrets", in: "default", false), Case("dora", "get", "widgets.test/gears:x", in: "default", true),
        Case("dora", "list", "/pods", in: "kube-public", false), Case("dora", "list", "/pods", false),
        // An account of a service.
        Case("system:serviceaccount:default:bot", "patch", "apps/deployments:d", in: "default", true),
        Case("system:serviceaccount:other:bot", "patch", "apps/deployments:d", in: "default", false),
        // Everyone and nobody.
        Case("jane", "create", "authorization.k8s.io/selfsubjectaccessreviews", true), Case("jane", "get", "!/api", true),
        Case("jane", "get", "!/apis/apps/v1", true), Case("jane", "get", "!/metrics", false),
        Case("system:anonymous", "get", "!/api", false),
        Case("system:anonymous", "get", "!/version", true), Case("system:anonymous", "get", "!/readyz", true),
        Case("system:anonymous", "get", "/pods:p", in: "default", false),
        // The cluster's programs.
        Case("kcm", "create", "/pods", in: "x", true), Case("kcm", "list", "anything.test/things", true),
        Case("kcm", "update", "apps/deployments/status:d", in: "x", true), Case("kcm", "create", "/pods/exec:p", in: "x", false),
        Case("scheduler", "create", "/pods/binding:p", in: "x", true), Case("scheduler", "delete", "/nodes:n", false),
        Case("node", "patch", "/nodes/status:node1", true), Case("node", "create", "/events", in: "x", true),
        Case("node", "get", "coordination.k8s.io/leases:node1", in: "kube-node-lease", true),
        Case("node", "get", "coordination.k8s.io/leases:node2", in: "kube-node-lease", false),
        Case("node", "get", "coordination.k8s.io/leases:node1", in: "default", false),
        Case("node", "list", "/secrets", in: "default", false),
        Case("node", "delete", "apps/deployments:d", in: "x", false),
    ]

    private static let group = "rbac.authorization.k8s.io"

    private static func bind(
        _ client: ClusterClient, _ name: String, _ role: String, _ kind: String, in namespace: String?, _ subject: JSON
    ) async throws {
        let object: JSON = [
            "metadata": ["name": JSON(name)], "roleRef": ["apiGroup": JSON(group), "kind": JSON(kind), "name": JSON(role)],
            "subjects": [subject],
        ]
        _ = try await client.create(namespace == nil ? .clusterRoleBindings : .roleBindings, namespace: namespace, object)
    }

    @Test func everyCaseIsDecidedAsUpstreamDoes() async throws {
        let live = try await LiveServer()
        let admin = live.inside
        _ = try await admin.create(
            .roles, namespace: "default",
            [
                "metadata": ["name": "rita"],
                "rules": [
                    ["apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get", "list"]],
                    ["apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]],
                    ["apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["update"]],
                ],
            ])
        _ = try await admin.create(
            .clusterRoles, ["metadata": ["name": "paths"], "rules": [["nonResourceURLs": ["/metrics", "/debug/*"], "verbs": ["get"]]]])
        _ = try await admin.create(
            .clusterRoles,
            [
                "metadata": ["name": "gears", "labels": ["rbac.authorization.k8s.io/aggregate-to-view": "true"]],
                "rules": [["apiGroups": ["widgets.test"], "resources": ["gears"], "verbs": ["get"]]],
            ])
        let rita: JSON = ["apiGroup": JSON(Self.group), "kind": "User", "name": "rita"]
        try await Self.bind(admin, "rita", "rita", "Role", in: "default", rita)
        try await Self.bind(admin, "paths", "paths", "ClusterRole", in: nil, rita)
        try await Self.bind(
            admin, "viewers", "view", "ClusterRole", in: "default", ["apiGroup": JSON(Self.group), "kind": "Group", "name": "viewers"])
        try await Self.bind(
            admin, "bot", "edit", "ClusterRole", in: "default", ["kind": "ServiceAccount", "name": "bot", "namespace": "default"])
        let last = Case("system:serviceaccount:default:bot", "patch", "apps/deployments:d", in: "default", true)
        try await live.eventually { await live.access.decide(last.info, last.attributes).isAllowed }
        for one in Self.cases {
            let decision = await live.access.decide(one.info, one.attributes)
            #expect(decision.isAllowed == one.isAllowed, "\(one.testDescription)")
        }
        try await live.eventually {
            let view = try? await admin.get(.clusterRoles, name: "view")
            return (view?["rules"]?.array ?? []).contains { $0["resources"] == ["gears"] }
        }
        await live.stop()
    }

    @Test(arguments: [
        ("GET", "/api/v1/namespaces/a/pods/p/log", "get /pods/log a p"), ("GET", "/api/v1/pods", "list /pods  "),
        ("GET", "/api/v1/namespaces/a", "get /namespaces a a"), ("PUT", "/api/v1/namespaces/a/finalize", "update /namespaces/finalize a a"),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments", "deletecollection apps/deployments a "),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", "create apps/deployments a "),
        ("PATCH", "/api/v1/nodes/n/status", "patch /nodes/status  n"), ("GET", "/api/v1/namespaces/a/pods?watch=true", "watch /pods a "),
        ("GET", "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp&watch=1", "watch /pods a p"),
        ("GET", "/api/v1/namespaces/a/services/s:80/proxy/x/y", "get /services/proxy a s:80"),
    ])
    func pathsAreRead(method: String, target: String, expected: String) {
        let halves = target.split(separator: "?", maxSplits: 1).map(String.init)
        let query = (halves.count > 1 ? halves[1] : "").split(separator: "&").map { pair -> (String, String) in
            let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
            return (parts[0], PathText.unescape(parts[1]) ?? "")
        }
        let read = RequestAttributes(APIRequest(method: method, path: halves[0], query: query, user: .anonymous))
        let resource = read.group + "/" + read.resource + (read.subresource.isEmpty ? "" : "/" + read.subresource)
        #expect("\(read.verb) \(resource) \(read.namespace) \(read.name)" == expected)
    }
}
