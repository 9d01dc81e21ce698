// Who asks and whether they may: certificates, tokens, roles, on a live server.
import Access
import ClusterClient
import ClusterModel
import ClusterWire
import Crypto
import Essentials
import Testing
import Web

@Suite struct AccessTests {
    @Test func identitiesAreJudged() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        #expect(try await admin.list(.namespaces).items.count >= 4)

        // Nobody: may see what everyone may.
        let anonymous = try live.session()
        #expect(try await anonymous.send(HTTPSessionRequest(target: "/version")).status == 200)
        #expect(try await anonymous.send(HTTPSessionRequest(target: "/livez")).text == "ok")
        let root = try await anonymous.send(HTTPSessionRequest(target: "/"))
        #expect(root.document["message"] == "forbidden: User \"system:anonymous\" cannot get path \"/\"")
        let pods = try await anonymous.send(HTTPSessionRequest(target: "/api/v1/namespaces/default/pods"))
        #expect(
            pods.document["message"]
                == "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
        )

        // A certificate of another authority, and tokens of nobody.
        let foreign = try CertificateAuthority(commonName: "other").issueClient(commonName: "admin", organizations: ["system:masters"])
        let refused = try await live.session(foreign).send(HTTPSessionRequest(target: "/api/v1/namespaces"))
        #expect(refused.status == 401 && refused.document["message"] == "Unauthorized" && refused.document["reason"] == "Unauthorized")
        for token in ["nonsense", "a.b.c", "abcdef.0123456789abcdef", "e30.e30.e30", String(repeating: "x", count: 40_000)] {
            let client = try live.client(token: token)
            #expect(await problem { _ = try await client.list(.namespaces) }?.code == 401)
        }
        await live.stop()
    }

    @Test func anExpiredCertificateIsRefused() async throws {
        let live = try await LiveServer()
        let old = try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"], days: -1)
        let answer = try await live.session(old).send(HTTPSessionRequest(target: "/api/v1/namespaces"))
        #expect(answer.status == 401)
        await live.stop()
    }

    @Test func rolesDecide() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        let jane = try live.client("jane", ["dev"])
        #expect(await problem { _ = try await jane.list(.pods, namespace: "default") }?.isForbidden == true)
        _ = try await admin.create(
            .roleBindings, namespace: "default",
            [
                "metadata": ["name": "dev"], "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"],
                "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"]],
            ])
        try await live.eventually { (try? await jane.list(.pods, namespace: "default")) != nil }
        _ = try await jane.create(.configMaps, namespace: "default", ["metadata": ["name": "mine"]])
        #expect(await problem { _ = try await jane.list(.pods, namespace: "kube-system") }?.isForbidden == true)
        #expect(
            await problem { _ = try await jane.list(.nodes) }?.message
                == "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \"\" at the cluster scope")
        // Editors give no rights away.
        let grant = await problem {
            _ = try await jane.create(
                .roles, namespace: "default",
                ["metadata": ["name": "x"], "rules": [["apiGroups": [""], "resources": ["pods"], "verbs": ["get"]]]])
        }
        #expect(grant?.isForbidden == true)
        await live.stop()
    }

    @Test func nobodyGrantsMoreThanTheyHave() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        let anna = try live.client("anna")
        _ = try await admin.create(
            .roleBindings, namespace: "default",
            [
                "metadata": ["name": "anna"], "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"],
                "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"]],
            ])
        func role(_ name: String, _ resource: String) -> JSON {
            ["metadata": ["name": JSON(name)], "rules": [["apiGroups": [""], "resources": [JSON(resource)], "verbs": ["get"]]]]
        }
        try await live.eventually { (try? await anna.create(.roles, namespace: "default", role("r1", "pods"))) != nil }
        let refusal = await problem { _ = try await anna.create(.roles, namespace: "default", role("r2", "nodes")) }
        #expect(
            refusal?.message
                == "roles.rbac.authorization.k8s.io \"r2\" is forbidden: user \"anna\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\"]}"
        )
        let binding = await problem {
            _ = try await anna.create(
                .roleBindings, namespace: "default",
                [
                    "metadata": ["name": "all"],
                    "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"],
                    "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"]],
                ])
        }
        #expect(binding?.isForbidden == true)
        await live.stop()
    }

    @Test func serviceAccountTokensComeAndGo() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        let account = try await admin.create(.serviceAccounts, namespace: "default", ["metadata": ["name": "robot"]])
        let answer = try await admin.post(
            .serviceAccounts, namespace: "default", name: "robot", subresource: "token",
            ["kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": ["expirationSeconds": 600]])
        let token = try #require(answer["status"]?["token"]?.string)
        let robot = try live.client(token: token)
        let me = try await robot.create(.selfSubjectReviews, [:])
        #expect(me["status"]?["userInfo"]?["username"] == "system:serviceaccount:default:robot")
        #expect(me["status"]?["userInfo"]?["uid"]?.string == account.metaUID)
        #expect(
            me["status"]?["userInfo"]?["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
        let review = try await admin.create(.tokenReviews, ["spec": ["token": JSON(token)]])
        #expect(review["status"]?["authenticated"] == true)
        let other = try await admin.create(.tokenReviews, ["spec": ["token": JSON(token), "audiences": ["vault"]]])
        #expect(other["status"]?["authenticated"] != true)
        // A changed claim, and a token of another key.
        var parts = token.split(separator: ".").map(String.init)
        parts[1] = Base64.encodeURL(Array("{\"sub\":\"system:serviceaccount:kube-system:x\"}".utf8))
        let forged = try live.client(token: parts.joined(separator: "."))
        #expect(await problem { _ = try await forged.list(.pods, namespace: "default") }?.code == 401)
        // Its time is over.
        live.clock.advance(seconds: 601)
        let late = try await admin.create(.tokenReviews, ["spec": ["token": JSON(token)]])
        #expect(late["status"]?["authenticated"] != true)
        await live.stop()
    }

    @Test func aTokenEndsWithItsAccount() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        _ = try await admin.create(.serviceAccounts, namespace: "default", ["metadata": ["name": "robot"]])
        let answer = try await admin.post(.serviceAccounts, namespace: "default", name: "robot", subresource: "token", ["spec": [:]])
        let token = answer["status"]?["token"]?.string ?? ""
        try await admin.delete(.serviceAccounts, namespace: "default", name: "robot")
        let robot = try live.client(token: token)
        #expect(await problem { _ = try await robot.list(.pods, namespace: "default") }?.code == 401)
        await live.stop()
    }

    @Test func bootstrapTokensAreGoodWhileTheirSecretIs() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        func encoded(_ text: String) -> JSON { JSON(Base64.encode(Array(text.utf8))) }
        let end = live.clock.now().adding(seconds: 3600)
        _ = try await admin.create(
            .secrets, namespace: "kube-system",
            [
                "metadata": ["name": "bootstrap-token-abcdef"], "type": "bootstrap.kubernetes.io/token",
                "data": [
                    "token-id": encoded("abcdef"), "token-secret": encoded("0123456789abcdef"),
                    "usage-bootstrap-authentication": encoded("true"), "expiration": encoded(end.rfc3339),
                    "auth-extra-groups": encoded("system:bootstrappers:kubeadm:default-node-token"),
                ],
            ])
        let me = try await live.client(token: "abcdef.0123456789abcdef").create(.selfSubjectReviews, [:])
        #expect(me["status"]?["userInfo"]?["username"] == "system:bootstrap:abcdef")
        let wrong = try live.client(token: "abcdef.0123456789abcdee")
        #expect(await problem { _ = try await wrong.create(.selfSubjectReviews, [:]) }?.code == 401)
        live.clock.advance(seconds: 3601)
        let review = try await admin.create(.tokenReviews, ["spec": ["token": "abcdef.0123456789abcdef"]])
        #expect(review["status"]?["authenticated"] != true)
        await live.stop()
    }

    @Test func actingAsSomeoneElseNeedsARole() async throws {
        let live = try await LiveServer()
        let admin = try live.authority.issueClient(commonName: "admin", organizations: ["system:masters"])
        let asJane = HTTPSessionRequest(
            target: "/api/v1/namespaces/default/pods",
            headers: [("Impersonate-User", "jane"), ("Impersonate-Group", "dev"), ("Impersonate-Group", "ops")])
        let answer = try await live.session(admin).send(asJane)
        #expect(answer.document["message"]?.string?.contains("User \"jane\" cannot list") == true)
        let jane = try live.authority.issueClient(commonName: "jane")
        let refused = try await live.session(jane).send(
            HTTPSessionRequest(target: "/api/v1/namespaces/default/pods", headers: [("Impersonate-User", "admin")]))
        #expect(
            refused.document["message"]
                == "users \"admin\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        )
        await live.stop()
    }

    @Test func aNodeSeesWhatItsPodsName() async throws {
        let live = try await LiveServer()
        let admin = try live.admin()
        _ = try await admin.create(.secrets, namespace: "default", ["metadata": ["name": "used"]])
        _ = try await admin.create(.secrets, namespace: "default", ["metadata": ["name": "other"]])
        _ = try await live.inside.create(.serviceAccounts, namespace: "default", ["metadata": ["name": "default"]])
        _ = try await admin.create(
            .pods, namespace: "default",
            [
                "metadata": ["name": "p"],
                "spec": [
                    "nodeName": "node1", "containers": [["name": "c", "image": "alpine", "envFrom": [["secretRef": ["name": "used"]]]]],
                ],
            ])
        let node = try live.client("system:node:node1", ["system:nodes"])
        _ = try await node.get(.secrets, namespace: "default", name: "used")
        #expect(await problem { _ = try await node.get(.secrets, namespace: "default", name: "other") }?.isForbidden == true)
        let second = try live.client("system:node:node2", ["system:nodes"])
        #expect(
            await problem { _ = try await second.get(.secrets, namespace: "default", name: "used") }?.message
                == "secrets \"used\" is forbidden: User \"system:node:node2\" cannot get resource \"secrets\" in API group \"\" in the namespace \"default\": no relationship found between node 'node2' and this object"
        )
        _ = try await node.create(.nodes, ["metadata": ["name": "node1"]])
        #expect(
            await problem { _ = try await node.create(.nodes, ["metadata": ["name": "node9"]]) }?.message
                == "nodes \"node9\" is forbidden: node \"node1\" is not allowed to modify node \"node9\"")
        #expect(
            await problem { try await second.delete(.pods, namespace: "default", name: "p") }?.message
                == "pods \"p\" is forbidden: node \"node2\" can only delete pods with spec.nodeName set to itself")
        await live.stop()
    }
}
