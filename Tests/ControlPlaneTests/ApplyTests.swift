// Server-side apply: owners of fields, conflicts, and what goes when nobody wants it any more.
import APIServer
import ClusterModel
import Essentials
import Testing

@Suite struct ApplyTests {
    private func apply(_ harness: Harness, _ manager: String, _ object: String, force: Bool = false) async -> Harness.Answer {
        await harness.send(
            "PATCH", "/api/v1/namespaces/default/configmaps/c", query: [("fieldManager", manager)] + (force ? [("force", "true")] : []),
            type: "application/apply-patch+yaml", object)
    }

    private func owners(_ object: JSON) -> [String: JSON] {
        var found: [String: JSON] = [:]
        for entry in object["metadata"]?["managedFields"]?.array ?? [] {
            found["\(entry["manager"]?.string ?? "")/\(entry["operation"]?.string ?? "")"] = entry["fieldsV1"]
        }
        return found
    }

    private func map(_ data: String) -> String {
        #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"# + data + "}}"
    }

    @Test func appliedFieldsHaveOwnersAndGoWithThem() async throws {
        let harness = try await Harness(tracksFields: true)
        let first = await apply(harness, "one", map(#""a":"1","b":"2""#))
        #expect(first.status == 201)
        #expect(owners(first.document) == ["one/Apply": ["f:data": ["f:a": [:], "f:b": [:]]]])
        let second = await apply(harness, "two", map(#""b":"2","c":"3""#))
        #expect(second.status == 200)
        #expect(second.document["data"] == ["a": "1", "b": "2", "c": "3"])
        let third = await apply(harness, "one", map(#""x":"9""#))
        #expect(third.document["data"] == ["b": "2", "c": "3", "x": "9"], "b stays, since two wants it")
        let again = await apply(harness, "one", map(#""x":"9""#))
        #expect(again.document.metaResourceVersion == third.document.metaResourceVersion, "nothing changed")
    }

    @Test func conflictsNameOwnerAndField() async throws {
        let harness = try await Harness(tracksFields: true)
        _ = await apply(harness, "one", map(#""a":"1""#))
        let refused = await apply(harness, "two", map(#""a":"2""#))
        #expect(refused.status == 409)
        #expect(refused.document["message"] == "Apply failed with 1 conflict: conflict with \"one\": .data.a")
        #expect(refused.document["details"]?["causes"]?[0]?["reason"] == "FieldManagerConflict")
        #expect(refused.document["details"]?["causes"]?[0]?["field"] == ".data.a")
        let forced = await apply(harness, "two", map(#""a":"2""#), force: true)
        #expect(forced.document["data"] == ["a": "2"])
        #expect(owners(forced.document) == ["two/Apply": ["f:data": ["f:a": [:]]]])
        let noManager = await harness.send(
            "PATCH", "/api/v1/namespaces/default/configmaps/c", type: "application/apply-patch+yaml",
            map(#""a":"1""#))
        #expect(noManager.status == 400)
    }

    @Test func updatesTakeFieldsOver() async throws {
        let harness = try await Harness(tracksFields: true)
        let made = await apply(harness, "one", map(#""a":"1","b":"2""#))
        var object = made.document
        object["data"]?["a"] = "7"
        let updated = await harness.send(
            "PUT", "/api/v1/namespaces/default/configmaps/c", agent: "kubectl/v1.32.0 (linux)", object.text)
        #expect(
            owners(updated.document) == [
                "one/Apply": ["f:data": ["f:b": [:]]], "kubectl/Update": ["f:data": ["f:a": [:]]],
            ])
        let refused = await apply(harness, "one", map(#""a":"1","b":"2""#))
        #expect(
            refused.document["message"]?.string?.hasPrefix("Apply failed with 1 conflict: conflict with \"kubectl\" using v1 at ") == true)
        let reset = await harness.send(
            "PATCH", "/api/v1/namespaces/default/configmaps/c", type: "application/merge-patch+json",
            #"{"metadata":{"managedFields":[{}]}}"#)
        #expect(reset.status == 200)
    }

    @Test func keyedListsMergeByKey() async throws {
        let harness = try await Harness(tracksFields: true)
        func pod(_ containers: String) -> String {
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":["# + containers + "]}}"
        }
        func send(_ manager: String, _ body: String) async -> Harness.Answer {
            await harness.send(
                "PATCH", "/api/v1/namespaces/default/pods/p", query: [("fieldManager", manager)],
                type: "application/apply-patch+yaml", body)
        }
        let first = await send("one", pod(#"{"name":"a","image":"x","env":[{"name":"K","value":"V"}]}"#))
        #expect(first.status == 201, "\(first.document)")
        #expect(
            owners(first.document)["one/Apply"]?["f:spec"]?["f:containers"]?[#"k:{"name":"a"}"#]
                == [".": [:], "f:env": [#"k:{"name":"K"}"#: [".": [:], "f:name": [:], "f:value": [:]]], "f:image": [:], "f:name": [:]])
        let other = await send("two", pod(#"{"name":"a","image":"y"}"#))
        #expect(other.document["message"] == "Apply failed with 1 conflict: conflict with \"one\": .spec.containers[name=\"a\"].image")
    }

    @Test func writersAreCapped() {
        let manager = FieldManager(table: .builtIn, type: "ConfigMap")
        var object: JSON = ["metadata": ["name": "c"], "data": [:]]
        for index in 0..<15 {
            var next = object
            next["data"]?["k\(index)"] = "v"
            object = manager.recordUpdate(
                next, from: object, by: FieldWriter(manager: "m\(index)", isApply: false, apiVersion: "v1"),
                at: Timestamp(seconds: Int64(1000 + index)))
        }
        let entries = object["metadata"]?["managedFields"]?.array ?? []
        #expect(entries.count == 10)
        #expect(entries.first?["manager"] == "ancient-changes")
    }
}
