// Reading and writing objects through the API server.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Essentials
import Testing

@Suite struct APIServerTests {
    @Test func aCreatedPodHasDefaultsAndComesBack() async throws {
        let harness = try await Harness()
        let created = try await harness.client.create(.pods, Harness.pod("web"))
        #expect(created["spec"]?["restartPolicy"] == "Always")
        #expect(created["spec"]?["containers"]?[0]?["imagePullPolicy"] == "IfNotPresent")
        #expect(created["spec"]?["terminationGracePeriodSeconds"] == 30)
        #expect(created["status"]?["phase"] == "Pending")
        #expect(created["status"]?["qosClass"] == "BestEffort")
        #expect(created.metaUID.count == 36)
        let read = try await harness.client.get(.pods, namespace: "default", name: "web")
        #expect(read == created)
        let list = try await harness.client.list(.pods)
        #expect(list.items.count == 1)
        #expect(list.resourceVersion == created.metaResourceVersion)
    }

    @Test func errorsHaveUpstreamsWords() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(.pods, Harness.pod("web"))
        await #expect(throws: ClusterProblem.alreadyExists(.pods, "web")) { try await harness.client.create(.pods, Harness.pod("web")) }
        let missing = await harness.send("GET", "/api/v1/namespaces/default/pods/nope")
        #expect(missing.status == 404)
        #expect(missing.document["message"] == "pods \"nope\" not found")
        #expect(missing.document["details"] == ["name": "nope", "kind": "pods"])
        let noNamespace = await harness.send("POST", "/api/v1/namespaces/nowhere/pods", Harness.pod("a", namespace: "nowhere").text)
        #expect(noNamespace.document["message"] == "namespaces \"nowhere\" not found")
        let invalid = await harness.send(
            "POST", "/api/v1/namespaces/default/pods",
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"Bad_Name"},"spec":{"containers":[{"name":"a"}]}}"#)
        #expect(invalid.status == 422)
        #expect(
            invalid.document["message"]?.string?.hasPrefix(
                "Pod \"Bad_Name\" is invalid: [metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain") == true)
        #expect(invalid.document["message"]?.string?.contains("spec.containers[0].image: Required value") == true)
        let strict = await harness.send(
            "POST", "/api/v1/namespaces/default/pods", query: [("fieldValidation", "Strict")],
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"replicas":2,"containers":[{"name":"a","image":"b","foo":1}]}}"#
        )
        #expect(strict.status == 400)
        #expect(
            strict.document["message"]
                == "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.replicas\", unknown field \"spec.containers[0].foo\""
        )
        let wrongType = await harness.send(
            "POST", "/api/v1/namespaces/default/pods",
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"terminationGracePeriodSeconds":"x","containers":[]}}"#)
        #expect(
            wrongType.document["message"]
                == "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64"
        )
    }

    @Test func unknownFieldsWarnByDefault() async throws {
        let harness = try await Harness()
        let answer = await harness.send(
            "POST", "/api/v1/namespaces/default/configmaps", #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dta":{}}"#)
        #expect(answer.status == 201)
        #expect(answer.headers.contains { $0.0 == "warning" && $0.1 == #"299 - "unknown field \"dta\"""# })
    }

    @Test func anUpdateNeedsTheVersionItWasMadeFrom() async throws {
        let harness = try await Harness()
        let first = try await harness.client.create(.configMaps, ["metadata": ["name": "a", "namespace": "default"], "data": ["k": "1"]])
        var second = first
        second["data"] = ["k": "2"]
        let updated = try await harness.client.update(.configMaps, second)
        #expect(updated["data"] == ["k": "2"])
        second["data"] = ["k": "3"]
        await #expect(throws: ClusterProblem.conflict(.configMaps, "a")) { try await harness.client.update(.configMaps, second) }
        second["metadata"]?["resourceVersion"] = nil
        #expect(try await harness.client.update(.configMaps, second)["data"] == ["k": "3"])
        let same = try await harness.client.update(.configMaps, second)
        #expect(try await harness.client.update(.configMaps, second).metaResourceVersion == same.metaResourceVersion)
    }

    @Test func statusAndSpecAreWrittenApart() async throws {
        let harness = try await Harness()
        var pod = try await harness.client.create(.pods, Harness.pod("web"))
        pod["status"] = ["phase": "Running"]
        pod["metadata"]?["labels"] = ["a": "b"]
        let viaStatus = try await harness.client.updateStatus(.pods, pod)
        #expect(viaStatus["status"]?["phase"] == "Running")
        #expect(viaStatus.metaLabels.isEmpty)
        var again = viaStatus
        again["status"] = ["phase": "Failed"]
        again["metadata"]?["labels"] = ["a": "b"]
        let viaMain = try await harness.client.update(.pods, again)
        #expect(viaMain["status"]?["phase"] == "Running")
        #expect(viaMain.metaLabels == ["a": "b"])
    }

    @Test func patchesOfEachKindApply() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(.pods, Harness.pod("web", labels: ["a": "1"]))
        let merged = try await harness.client.patch(
            .pods, namespace: "default", name: "web", .merge, ["metadata": ["labels": ["a": nil, "b": "2"]]])
        #expect(merged.metaLabels == ["b": "2"])
        let json = try await harness.client.patch(
            .pods, namespace: "default", name: "web", .json, [["op": "add", "path": "/metadata/labels/c~1d", "value": "3"]])
        #expect(json.metaLabels == ["b": "2", "c/d": "3"])
        let strategic = try await harness.client.patch(
            .pods, namespace: "default", name: "web", .strategic, ["spec": ["containers": [["name": "main", "image": "alpine:4"]]]])
        #expect(strategic["spec"]?["containers"]?[0]?["image"] == "alpine:4")
        #expect(strategic["spec"]?["containers"]?.array?.count == 1)
        let unknown = await harness.send("PATCH", "/api/v1/namespaces/default/pods/web", type: "text/plain", "{}")
        #expect(unknown.status == 415)
        let immutable = await harness.send(
            "PATCH", "/api/v1/namespaces/default/pods/web", type: "application/merge-patch+json", #"{"spec":{"hostname":"other"}}"#)
        #expect(immutable.status == 422)
        #expect(immutable.document["message"]?.string?.contains("spec: Forbidden: pod updates may not change fields other than") == true)
    }

    @Test func listsAreCutAndContinued() async throws {
        let harness = try await Harness()
        for index in 0..<7 {
            _ = try await harness.client.create(.configMaps, ["metadata": ["name": "m\(index)", "namespace": "default"]])
        }
        let first = try await harness.client.list(.configMaps, namespace: "default", options: ListOptions(limit: 3))
        #expect(first.items.map(\.metaName) == ["m0", "m1", "m2"])
        _ = try await harness.client.create(.configMaps, ["metadata": ["name": "m3a", "namespace": "default"]])
        let second = try await harness.client.list(
            .configMaps, namespace: "default", options: ListOptions(limit: 3, continueToken: first.continueToken))
        #expect(second.items.map(\.metaName) == ["m3", "m4", "m5"])
        #expect(second.resourceVersion == first.resourceVersion)
        let third = try await harness.client.list(
            .configMaps, namespace: "default", options: ListOptions(limit: 3, continueToken: second.continueToken))
        #expect(third.items.map(\.metaName) == ["m6"])
        #expect(third.continueToken == nil)
    }

    @Test func selectorsSelect() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(.pods, Harness.pod("a", labels: ["app": "x"]))
        _ = try await harness.client.create(.pods, Harness.pod("b", labels: ["app": "y"]))
        try await harness.client.post(
            .pods, namespace: "default", name: "b", subresource: "binding", ["target": ["kind": "Node", "name": "n1"]])
        #expect(try await harness.client.list(.pods, options: ListOptions(labelSelector: "app in (x,z)")).items.map(\.metaName) == ["a"])
        #expect(
            try await harness.client.list(.pods, options: ListOptions(fieldSelector: "spec.nodeName=n1")).items.map(\.metaName) == ["b"])
        let unknown = await harness.send("GET", "/api/v1/pods", query: [("fieldSelector", "spec.foo=1")])
        #expect(unknown.document["message"]?.string?.hasSuffix("field label not supported: spec.foo") == true)
        let malformed = await harness.send("GET", "/api/v1/pods", query: [("labelSelector", "a in (")])
        #expect(malformed.status == 400)
    }

    @Test func podsWaitForTheirNodeWhenDeleted() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(.pods, Harness.pod("loose"))
        #expect(try await harness.client.delete(.pods, namespace: "default", name: "loose")["status"] == "Success")
        _ = try await harness.client.create(.pods, Harness.pod("placed"))
        try await harness.client.post(.pods, namespace: "default", name: "placed", subresource: "binding", ["target": ["name": "n1"]])
        let going = try await harness.client.delete(.pods, namespace: "default", name: "placed")
        #expect(going.isBeingDeleted)
        #expect(going["metadata"]?["deletionGracePeriodSeconds"] == 30)
        try await harness.client.delete(.pods, namespace: "default", name: "placed", options: DeleteOptions(gracePeriodSeconds: 0))
        await #expect(throws: ClusterProblem.notFound(.pods, "placed")) {
            try await harness.client.get(.pods, namespace: "default", name: "placed")
        }
    }

    @Test func finalizersHoldAnObjectBack() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(.configMaps, ["metadata": ["name": "a", "namespace": "default", "finalizers": ["x.io/y"]]])
        #expect(try await harness.client.delete(.configMaps, namespace: "default", name: "a").isBeingDeleted)
        #expect(try await harness.client.get(.configMaps, namespace: "default", name: "a").isBeingDeleted)
        _ = try await harness.client.patch(.configMaps, namespace: "default", name: "a", .merge, ["metadata": ["finalizers": nil]])
        await #expect(throws: ClusterProblem.notFound(.configMaps, "a")) {
            try await harness.client.get(.configMaps, namespace: "default", name: "a")
        }
    }

    @Test func aQuotaRefusesWhatDoesNotFit() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(
            .resourceQuotas, ["metadata": ["name": "lab", "namespace": "default"], "spec": ["hard": ["pods": "2"]]])
        let client = harness.client
        let results = await withTaskGroup(of: ClusterProblem?.self) { group in
            for index in 0..<6 {
                group.addTask {
                    do throws(ClusterProblem) {
                        _ = try await client.create(.pods, Harness.pod("p\(index)"))
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            var results: [ClusterProblem?] = []
            for await result in group { results.append(result) }
            return results
        }
        #expect(results.filter { $0 == nil }.count == 2)
        let refusal = results.compactMap { $0 }.first
        #expect(refusal?.message.hasSuffix("is forbidden: exceeded quota: lab, requested: pods=1, used: pods=2, limited: pods=2") == true)
    }

    @Test func onlyMastersMayTouchObjects() async throws {
        let harness = try await Harness()
        let answer = await harness.send("GET", "/api/v1/namespaces/default/pods", user: .anonymous)
        #expect(answer.status == 403)
        #expect(
            answer.document["message"]
                == "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
        )
    }

    @Test func tablesHaveUpstreamsColumns() async throws {
        let harness = try await Harness()
        _ = try await harness.client.create(.pods, Harness.pod("web"))
        harness.clock.advance(seconds: 300)
        let answer = await harness.send(
            "GET", "/api/v1/namespaces/default/pods", accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        #expect(answer.document["kind"] == "Table")
        #expect(
            answer.document["columnDefinitions"]?.array?.compactMap { $0["name"]?.string }
                == ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"])
        #expect(answer.document["rows"]?[0]?["cells"] == ["web", "0/1", "Pending", "0", "5m", "<none>", "<none>", "<none>", "<none>"])
        #expect(answer.document["rows"]?[0]?["object"]?["kind"] == "PartialObjectMetadata")
    }

    @Test func aDryRunStoresNothing() async throws {
        let harness = try await Harness()
        let answer = await harness.send("POST", "/api/v1/namespaces/default/pods", query: [("dryRun", "All")], Harness.pod("a").text)
        #expect(answer.status == 201)
        #expect(try await harness.client.list(.pods).items.isEmpty)
    }

    @Test(arguments: [
        "", "{", "[]", "null", "{\"kind\":\"Pod\"}", "{\"apiVersion\":\"v1\",\"kind\":\"Node\"}", "{\"metadata\":7}",
        "{\"metadata\":{\"labels\":[1]}}",
        "{\"spec\":{\"containers\":{\"a\":1}}}", "\u{0}",
    ])
    func hostileBodiesAreRefused(body: String) async throws {
        let harness = try await Harness()
        let answer = await harness.send("POST", "/api/v1/namespaces/default/pods", body)
        #expect((400..<500).contains(answer.status))
        #expect(answer.document["kind"] == "Status")
    }

    @Test func tenThousandObjectsComeInPages() async throws {
        let harness = try await Harness()
        let client = harness.client
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
                group.addTask {
                    for index in 0..<1250 {
                        _ = try await client.create(
                            .configMaps, ["metadata": ["name": "m\(writer)-\(index)", "namespace": "default"], "data": ["k": "v"]])
                    }
                }
            }
            try await group.waitForAll()
        }
        var names: Set<String> = []
        var token: String?
        repeat {
            let page = try await client.list(.configMaps, options: ListOptions(limit: 3000, continueToken: token))
            names.formUnion(page.items.map(\.metaName))
            token = page.continueToken
        } while token != nil
        #expect(names.count == 10_000)
        try await client.deleteCollection(.configMaps, namespace: "default")
        #expect(try await client.list(.configMaps).items.isEmpty)
    }

    @Test func systemPathsAnswer() async throws {
        let harness = try await Harness()
        for path in [
            "/version", "/healthz", "/livez", "/readyz", "/api", "/apis", "/api/v1", "/apis/networking.k8s.io/v1", "/openapi/v2",
            "/openapi/v3", "/openapi/v3/api/v1", "/",
        ] {
            #expect(await harness.send("GET", path).status == 200, "\(path)")
        }
        let plain = await harness.send("GET", "/api/v1")
        #expect(plain.document["resources"]?.array?.contains { $0["name"] == "pods/log" } == true)
        let aggregate = await harness.send(
            "GET", "/api", accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")
        #expect(aggregate.document["kind"] == "APIGroupDiscoveryList")
        #expect(aggregate.headers.contains { $0.0 == "content-type" && $0.1.contains("as=APIGroupDiscoveryList") })
        let openAPI = await harness.send("GET", "/openapi/v3/api/v1")
        let pod = openAPI.document["components"]?["schemas"]?["io.k8s.api.core.v1.PodSpec"]
        #expect(pod?["properties"]?["containers"]?["x-kubernetes-patch-merge-key"] == "name")
        #expect(await harness.send("GET", "/version", user: .anonymous).status == 200)
        #expect(await harness.send("GET", "/apis", user: .anonymous).status == 403)
    }

    @Test func logsComeFromTheNode() async throws {
        struct Node: NodeProxy {
            func logs(of pod: JSON, _ options: PodLogOptions) async throws(ClusterProblem) -> APIResponse.Body {
                .bytes(Array("\(pod.metaName) \(options.container ?? "") \(options.tailLines ?? -1)\n".utf8))
            }
        }
        let harness = try await Harness()
        harness.server.nodes.register("n1", Node())
        _ = try await harness.client.create(.pods, Harness.pod("web"))
        let path = "/api/v1/namespaces/default/pods/web/log"
        func text(_ query: [(String, String)]) async -> (Int, String) {
            let response = await harness.server.send(APIRequest(method: "GET", path: path, query: query, user: .system))
            guard case .bytes(let bytes) = response.body else { return (response.status, "") }
            return (response.status, String(decoding: bytes, as: UTF8.self))
        }
        #expect(await text([]) == (200, ""))
        try await harness.client.post(.pods, namespace: "default", name: "web", subresource: "binding", ["target": ["name": "n1"]])
        #expect(await text([("tailLines", "5")]) == (200, "web main 5\n"))
        #expect(await text([("container", "nope")]).0 == 400)
        #expect(await text([("tailLines", "-5")]).0 == 422)
    }

    @Test func deepAndLargeBodiesAreRefused() async throws {
        let harness = try await Harness()
        let deep = String(repeating: "{\"a\":", count: 100_000)
        #expect(await harness.send("POST", "/api/v1/namespaces/default/configmaps", deep).status == 400)
        let large = #"{"metadata":{"name":"a"},"data":{"k":""# + String(repeating: "x", count: 2_000_000) + "\"}}"
        #expect(await harness.send("POST", "/api/v1/namespaces/default/configmaps", large).status == 422)
    }

    @Test(arguments: [
        "/api/v1/namespaces/../pods", "/api/v1/namespaces/a%2Fb/pods", "/api/v1/namespaces/%zz/pods", "/apis/x/v1/y", "/api/v1/pods/a",
        "/nope",
    ])
    func oddPathsAreRefused(path: String) async throws {
        let harness = try await Harness()
        #expect([400, 404].contains(await harness.send("GET", path).status))
    }
}
