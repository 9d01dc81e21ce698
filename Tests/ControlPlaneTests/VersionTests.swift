// Kinds asked for in versions other than the one they are stored in, and what a lab's server says about itself.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Essentials
import Testing

@Suite struct VersionTests {
    private static let old = "/apis/extensions/v1beta1/namespaces/default/deployments"
    private static let new = "/apis/apps/v1/namespaces/default/deployments"
    private static let deployment =
        #"{"apiVersion":"extensions/v1beta1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"rollbackTo":{"revision":1},"template":{"metadata":{"labels":{"run":"web"}},"spec":{"containers":[{"name":"a","image":"web"}]}}}}"#

    private func warning(_ answer: Harness.Answer) -> String? { answer.headers.first { $0.0 == "warning" }?.1 }

    @Test func anOldDeploymentIsTodaysDeployment() async throws {
        let harness = try await Harness(schema: .cluster)
        let made = await harness.send("POST", Self.old, query: [("fieldValidation", "Strict")], Self.deployment)
        #expect(made.status == 201, "\(made.document)")
        #expect(made.document["apiVersion"] == "extensions/v1beta1")
        #expect(
            warning(made)
                == #"299 - "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment""#)
        let stored = await harness.send("GET", Self.new + "/web")
        #expect(stored.document["apiVersion"] == "apps/v1")
        #expect(warning(stored) == nil)
        let spec = stored.document["spec"]
        #expect(spec?["selector"] == ["matchLabels": ["run": "web"]])
        #expect(stored.document["metadata"]?["labels"] == ["run": "web"])
        #expect(spec?["strategy"]?["rollingUpdate"]?.isSame(as: ["maxUnavailable": 1, "maxSurge": 1]) == true)
        #expect(spec?["progressDeadlineSeconds"] == 2_147_483_647)
        let patched = await harness.send(
            "PATCH", Self.old + "/web", type: "application/strategic-merge-patch+json", #"{"spec":{"replicas":5}}"#)
        #expect(patched.document["apiVersion"] == "extensions/v1beta1")
        #expect(patched.document["spec"]?["replicas"] == 5)
        let list = await harness.send("GET", Self.old)
        #expect(list.document["apiVersion"] == "extensions/v1beta1")
        #expect(list.document["items"]?[0]?["apiVersion"] == "extensions/v1beta1")
        let table = await harness.send("GET", Self.old, accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
        #expect(table.document["rows"]?[0]?["cells"]?[1] == "0/5")
        #expect(try await harness.client.list(.deployments).items.map { $0["apiVersion"] } == ["apps/v1"])
        #expect(await harness.send("DELETE", Self.old + "/web").status == 200)
        #expect(await harness.send("GET", Self.new + "/web").status == 404)
    }

    @Test func anOldIngressHasItsOldForm() async throws {
        let harness = try await Harness(schema: .cluster)
        let path = "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses"
        let made = await harness.send(
            "POST", path,
            #"{"apiVersion":"networking.k8s.io/v1beta1","kind":"Ingress","metadata":{"name":"i"},"spec":{"backend":{"serviceName":"s","servicePort":"http"},"rules":[{"http":{"paths":[{"backend":{"serviceName":"t","servicePort":80}}]}}]}}"#
        )
        #expect(made.status == 201, "\(made.document)")
        #expect(made.document["spec"]?["backend"] == ["serviceName": "s", "servicePort": "http"])
        let stored = await harness.send("GET", "/apis/networking.k8s.io/v1/namespaces/default/ingresses/i")
        #expect(stored.document["spec"]?["defaultBackend"] == ["service": ["name": "s", "port": ["name": "http"]]])
        let part = stored.document["spec"]?["rules"]?[0]?["http"]?["paths"]?[0]
        #expect(part?["pathType"] == "ImplementationSpecific")
        #expect(part?["backend"] == ["service": ["name": "t", "port": ["number": 80]]])
        var changed = made.document
        changed[path: ["spec", "backend", "servicePort"]] = 8080
        let put = await harness.send("PUT", path + "/i", changed.text)
        #expect(put.document["spec"]?["backend"]?["servicePort"] == 8080)
    }

    @Test func eventsHaveTwoForms() async throws {
        let harness = try await Harness(schema: .cluster)
        let path = "/apis/events.k8s.io/v1/namespaces/default/events"
        let made = await harness.send(
            "POST", path,
            #"{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e"},"eventTime":"2026-01-01T00:00:00.000000Z","regarding":{"kind":"Pod","name":"p","namespace":"default"},"reason":"R","note":"hello","type":"Normal","reportingController":"c"}"#
        )
        #expect(made.status == 201, "\(made.document)")
        #expect(try await harness.client.get(.events, namespace: "default", name: "e")["message"] == "hello")
        let found = await harness.send("GET", path, query: [("fieldSelector", "regarding.name=p")])
        #expect(found.document["items"]?[0]?["note"] == "hello")
        #expect(await harness.send("GET", path, query: [("fieldSelector", "regarding.name=q")]).document["items"]?.array?.count == 0)
    }

    @Test func watchersSeeTheVersionTheyAskFor() async throws {
        let harness = try await Harness(schema: .cluster)
        _ = await harness.send("POST", Self.old, Self.deployment)
        let response = await harness.server.send(
            APIRequest(method: "GET", path: Self.old, query: [("watch", "true"), ("timeoutSeconds", "60")], user: .system))
        guard case .stream(let lines) = response.body else {
            Issue.record("no stream")
            return
        }
        for await line in lines {
            let event = try JSON(parsing: line)
            #expect(event["object"]?["apiVersion"] == "extensions/v1beta1")
            break
        }
    }

    @Test func unknownFieldsOfTheLessonsDaemonSetAreNamed() async throws {
        let harness = try await Harness(schema: .cluster)
        let body =
            #"{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"rng"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"rng"}},"strategy":{"type":"RollingUpdate"},"template":{"metadata":{"labels":{"app":"rng"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}}"#
        let path = "/apis/apps/v1/namespaces/default/daemonsets"
        let strict = await harness.send("POST", path, query: [("fieldValidation", "Strict")], body)
        #expect(
            strict.document["message"]
                == #"DaemonSet in version "v1" cannot be handled as a DaemonSet: strict decoding error: unknown field "spec.replicas", unknown field "spec.strategy""#
        )
        let lax = await harness.send("POST", path, query: [("fieldValidation", "Ignore")], body)
        #expect(lax.status == 201)
        #expect(lax.document["spec"]?["replicas"] == nil)
        #expect(lax.document["status"]?["desiredNumberScheduled"] == 0)
    }

    @Test func discoveryListsEverythingOnce() async throws {
        let harness = try await Harness(schema: .cluster)
        let groups = await harness.send("GET", "/apis")
        let names = (groups.document["groups"]?.array ?? []).compactMap { $0["name"]?.string }
        #expect(names.last == "extensions")
        let batch = groups.document["groups"]?.array?.first { $0["name"] == "batch" }
        #expect(batch?["preferredVersion"]?["version"] == "v1")
        #expect(batch?["versions"]?.array?.count == 2)
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        let all = await harness.send("GET", "/apis", accept: accept)
        var offered: Set<String> = []
        for group in all.document["items"]?.array ?? [] {
            for version in group["versions"]?.array ?? [] {
                for resource in version["resources"]?.array ?? [] {
                    let verbs = resource["verbs"]?.array?.count ?? 0
                    let name = resource["resource"]?.string ?? ""
                    if version["version"]?.string?.contains("beta") == true, group["metadata"]?["name"] != "metrics.k8s.io" {
                        #expect(verbs == 0, "\(name)")
                    } else {
                        #expect(verbs > 0, "\(name)")
                        offered.insert(name)
                    }
                }
            }
        }
        for name in ["deployments", "cronjobs", "ingresses", "horizontalpodautoscalers", "customresourcedefinitions", "tokenreviews"] {
            #expect(offered.contains(name))
        }
        let apps = await harness.send("GET", "/apis/apps/v1")
        #expect((apps.document["resources"]?.array ?? []).contains { $0["name"] == "deployments/scale" && $0["group"] == "autoscaling" })
    }

    @Test func openAPIDescribesEveryVersion() async throws {
        let harness = try await Harness(schema: .cluster)
        let index = await harness.send("GET", "/openapi/v3")
        for (path, _) in index.document["paths"]?.members ?? [] {
            let part = await harness.send("GET", "/openapi/v3/" + path)
            #expect(part.status == 200)
            let schemas = part.document["components"]?["schemas"]
            var pending = [part.document]
            // Every reference leads somewhere.
            while let value = pending.popLast() {
                if let target = value["$ref"]?.string?.split(separator: "/").last.map(String.init) {
                    #expect(schemas?[target] != nil, "\(path): \(target)")
                }
                pending += value.members.map(\.value) + (value.array ?? [])
            }
        }
        let apps = await harness.send("GET", "/openapi/v3/apis/apps/v1").document
        let types = apps["components"]?["schemas"]
        let strategy = types?["io.k8s.api.apps.v1.DeploymentSpec"]?["properties"]?["strategy"]
        #expect(strategy?["x-kubernetes-patch-strategy"] == "retainKeys")
        #expect(
            types?["io.k8s.api.apps.v1.Deployment"]?["x-kubernetes-group-version-kind"]
                == [["group": "apps", "kind": "Deployment", "version": "v1"]])
        let whole = await harness.send("GET", "/openapi/v2").document
        #expect(whole["definitions"]?["io.k8s.api.apps.v1.Deployment"]?["x-kubernetes-group-version-kind"]?.array?.count == 4)
    }

    @Test func whatIsNotStoredCannotBeListed() async throws {
        let harness = try await Harness(schema: .cluster)
        #expect(await harness.send("GET", "/apis/authentication.k8s.io/v1/tokenreviews").status == 405)
        #expect(await harness.send("DELETE", "/api/v1/componentstatuses/x").status == 405)
    }

    @Test func componentsAreWellWhileTheyRenewTheirLease() async throws {
        let harness = try await Harness(schema: .cluster)
        _ = try await harness.client.create(.namespaces, ["metadata": ["name": "kube-system"]])
        _ = try await harness.client.create(
            .leases,
            [
                "metadata": ["name": "kube-scheduler", "namespace": "kube-system"],
                "spec": ["holderIdentity": "node1_x", "leaseDurationSeconds": 15, "renewTime": JSON(harness.clock.now().rfc3339Micro)],
            ])
        let table = await harness.send(
            "GET", "/api/v1/componentstatuses", accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
        #expect(table.document["rows"]?.array?.map { $0["cells"]?[1] } == ["Unhealthy", "Healthy", "Healthy"])
        harness.clock.advance(seconds: 60)
        let scheduler = await harness.send("GET", "/api/v1/componentstatuses/scheduler")
        #expect(scheduler.document["conditions"]?[0]?["message"] == "node1_x renewed its lease 60s ago")
        #expect(scheduler.headers.contains { $0.0 == "warning" && $0.1.contains("v1 ComponentStatus is deprecated in v1.19+") })
        #expect(await harness.send("GET", "/api/v1/componentstatuses/nope").status == 404)
    }

    @Test func aBindingOfItsOwnBindsItsPod() async throws {
        let harness = try await Harness(schema: .cluster)
        _ = try await harness.client.create(.pods, Harness.pod("web"))
        let bound = await harness.send(
            "POST", "/api/v1/namespaces/default/bindings",
            #"{"apiVersion":"v1","kind":"Binding","metadata":{"name":"web"},"target":{"kind":"Node","name":"n1"}}"#)
        #expect(bound.status == 201, "\(bound.document)")
        #expect(try await harness.client.get(.pods, namespace: "default", name: "web")["spec"]?["nodeName"] == "n1")
    }
}
