// Custom resources: defined, served, measured, shown, and gone with their definition.
import APIServer
import ClusterModel
import ClusterStore
import Essentials
import Testing

@Suite struct CustomResourceTests {
    private static let definition = #"""
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"crontabs.stable.example.com"},
        "spec":{"group":"stable.example.com","scope":"Namespaced",
        "names":{"plural":"crontabs","singular":"crontab","kind":"CronTab","shortNames":["ct"]},
        "versions":[{"name":"v1","served":true,"storage":true,
        "schema":{"openAPIV3Schema":{"type":"object","properties":{
        "spec":{"type":"object","required":["cronSpec"],"properties":{"cronSpec":{"type":"string","pattern":"^(\\S+ ){4}\\S+$"},
        "image":{"type":"string","default":"busybox"},"replicas":{"type":"integer","minimum":1,"maximum":10}}},
        "status":{"type":"object","properties":{"replicas":{"type":"integer"}}}}}},
        "subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas"}},
        "additionalPrinterColumns":[{"name":"Spec","type":"string","jsonPath":".spec.cronSpec"},
        {"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}]}]}}
        """#

    private static var schema: Schema {
        if Schema.cluster.kind(.customResourceDefinitions) != nil { return .cluster }
        return Schema(
            kinds: Schema.host.kinds + [
                Kind(plain: .customResourceDefinitions, name: "CustomResourceDefinition", isNamespaced: false, hasStatus: true)
            ])
    }

    private func tab(_ spec: String, name: String = "a") -> String {
        #"{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"\#(name)"},"spec":\#(spec)}"#
    }

    private func settle(_ harness: Harness, _ isDone: () async -> Bool) async {
        for _ in 0..<400 {
            if await isDone() { return }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func aDefinitionServesItsKind() async throws {
        let harness = try await Harness(
            schema: Self.schema, tracksFields: true, admission: AdmissionSettings(injectsServiceAccounts: false))
        let path = "/apis/stable.example.com/v1/namespaces/default/crontabs"
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        try await withThrowingTaskGroup { group in
            group.addTask { await harness.server.followDefinitions() }
            let made = await harness.send("POST", definitions, Self.definition)
            #expect(made.status == 201, "\(made.document)")
            await settle(harness) { await harness.send("GET", path).status == 200 }
            let stored = await harness.send("GET", definitions + "/crontabs.stable.example.com")
            let conditions = stored.document["status"]?["conditions"]?.array ?? []
            #expect(conditions.contains { $0["type"] == "Established" && $0["status"] == "True" })
            #expect(stored.document["status"]?["acceptedNames"]?["listKind"] == "CronTabList")

            let wrong = await harness.send("POST", path, tab(#"{"cronSpec":"x","replicas":"3"}"#))
            #expect(wrong.status == 422)
            #expect(
                wrong.document["message"]?.string?.contains(
                    "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"") == true)
            #expect(wrong.document["message"]?.string?.contains("spec.cronSpec in body should match") == true)
            let strict = await harness.send(
                "POST", path, query: [("fieldValidation", "Strict")], tab(#"{"cronSpec":"* * * * */5","foo":1}"#))
            #expect(strict.document["message"] == "strict decoding error: unknown field \"spec.foo\"")

            let good = await harness.send("POST", path, tab(#"{"cronSpec":"* * * * */5","foo":1}"#))
            #expect(good.status == 201)
            #expect(good.document["spec"] == ["cronSpec": "* * * * */5", "image": "busybox"])
            let table = await harness.send("GET", path, accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
            #expect(table.document["columnDefinitions"]?.array?.compactMap { $0["name"]?.string } == ["Name", "Spec", "Age"])
            #expect(table.document["rows"]?[0]?["cells"]?[1] == "* * * * */5")

            let scaled = await harness.send(
                "PATCH", path + "/a/scale", type: "application/merge-patch+json", #"{"spec":{"replicas":3}}"#)
            #expect(scaled.document["spec"]?["replicas"] == 3)
            let tooMany = await harness.send(
                "PATCH", path + "/a", type: "application/merge-patch+json", #"{"spec":{"replicas":30}}"#)
            #expect(tooMany.document["message"]?.string?.contains("should be less than or equal to 10") == true)
            let strategic = await harness.send("PATCH", path + "/a", type: "application/strategic-merge-patch+json", "{}")
            #expect(strategic.status == 415)
            let applied = await harness.send(
                "PATCH", path + "/b", query: [("fieldManager", "t")], type: "application/apply-patch+yaml",
                tab(#"{"cronSpec":"1 * * * *"}"#, name: "b"))
            #expect(applied.status == 201)
            #expect(applied.document["metadata"]?["managedFields"]?[0]?["fieldsV1"] == ["f:spec": ["f:cronSpec": [:]]])

            let discovery = await harness.send("GET", "/apis/stable.example.com/v1")
            #expect(discovery.document["resources"]?[0]?["shortNames"] == ["ct"])
            let openAPI = await harness.send("GET", "/openapi/v3/apis/stable.example.com/v1")
            #expect(openAPI.document["components"]?["schemas"]?["com.example.stable.v1.CronTab"] != nil)

            _ = await harness.send("DELETE", definitions + "/crontabs.stable.example.com")
            await settle(harness) { await harness.send("GET", path).status == 404 }
            #expect(await harness.send("GET", definitions + "/crontabs.stable.example.com").status == 404)
            let left = try harness.store.list(prefix: "stable.example.com/").objects
            #expect(left.isEmpty)
            group.cancelAll()
        }
    }

    @Test(arguments: [
        (".spec.a", "1"), (".list[0].n", "x"), (".list[*].n", "x,y"), (#".list[?(@.n=="y")].v"#, "2"), ("{.spec['a']}", "1"), (".no", ""),
    ]) func paths(text: String, value: String) throws {
        let document: JSON = ["spec": ["a": 1], "list": [["n": "x", "v": 1], ["n": "y", "v": 2]]]
        let found = try #require(FieldPath(text)).values(in: document)
        #expect(found.map { $0.string ?? $0.text }.joined(separator: ",") == value)
    }

    @Test func brokenPathsAreRefused() {
        for text in ["", "spec", ".a[", ".a[?(x)]"] { #expect(FieldPath(text) == nil) }
    }
}
