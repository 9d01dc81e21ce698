// Patches as golden pairs: an object, a patch, and the object after it.
import ClusterModel
import Essentials
import Testing

@Suite struct PatchTests {
    static func json(_ text: String) throws -> JSON { try JSON(parsing: text) }

    /// RFC 7396, appendix A.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"),
        (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#), (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
        (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#), (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#), ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func mergePatches(target: String, patch: String, result: String) throws {
        #expect(try MergePatch.apply(Self.json(patch), to: Self.json(target)) == Self.json(result))
    }

    @Test(arguments: [
        (#"{"a":[1,2]}"#, #"[{"op":"add","path":"/a/1","value":9}]"#, #"{"a":[1,9,2]}"#),
        (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/-","value":2}]"#, #"{"a":[1,2]}"#),
        (#"{"a":{"b":1}}"#, #"[{"op":"remove","path":"/a/b"}]"#, #"{"a":{}}"#),
        (
            #"{"a/b":1,"m~n":2}"#, #"[{"op":"replace","path":"/a~1b","value":3},{"op":"test","path":"/m~0n","value":2}]"#,
            #"{"a/b":3,"m~n":2}"#
        ),
        (#"{"a":1}"#, #"[{"op":"move","from":"/a","path":"/b"},{"op":"copy","from":"/b","path":"/c"}]"#, #"{"b":1,"c":1}"#),
        (#"{"a":1}"#, #"[{"op":"replace","path":"","value":{"z":1}}]"#, #"{"z":1}"#),
    ])
    func jsonPatches(target: String, patch: String, result: String) throws {
        #expect(try JSONPatch.apply(Self.json(patch), to: Self.json(target)).isSame(as: Self.json(result)))
    }

    @Test(arguments: [
        #"{"op":"add"}"#, #"[{"op":"add","path":"/a/b/c","value":1}]"#, #"[{"op":"remove","path":"/nope"}]"#,
        #"[{"op":"test","path":"/a","value":2}]"#,
        #"[{"op":"jump","path":"/a"}]"#, #"[{"op":"add","path":"a","value":1}]"#, #"[{"op":"move","from":"/x","path":"/a"}]"#,
        #"[{"op":"add","path":"/l/9","value":1}]"#,
    ])
    func brokenJSONPatchesAreRefused(patch: String) throws {
        let patch = try Self.json(patch)
        #expect(throws: PatchFailure.self) { try JSONPatch.apply(patch, to: ["a": 1, "l": [1]]) }
    }

    @Test(arguments: [
        // Containers merge by name, arguments are replaced.
        (
            #"{"spec":{"containers":[{"name":"a","image":"1","args":["x","y"]},{"name":"b","image":"1"}]}}"#,
            #"{"spec":{"containers":[{"name":"a","image":"2","args":["z"]}]}}"#,
            #"{"spec":{"containers":[{"name":"a","image":"2","args":["z"]},{"name":"b","image":"1"}]}}"#
        ),
        // An element is deleted by its key.
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}"#, #"{"spec":{"containers":[{"name":"a","$patch":"delete"}]}}"#,
            #"{"spec":{"containers":[{"name":"b"}]}}"#
        ),
        // A list is replaced as a whole.
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"b"}]}}"#, #"{"spec":{"containers":[{"$patch":"replace"},{"name":"c"}]}}"#,
            #"{"spec":{"containers":[{"name":"c"}]}}"#
        ),
        // Finalizers merge as a set, and are taken out of it.
        (
            #"{"metadata":{"finalizers":["a","b"]}}"#, #"{"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c"]}}"#,
            #"{"metadata":{"finalizers":["b","c"]}}"#
        ),
        // The order can be said.
        (
            #"{"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"s"}]}}"#,
            #"{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}}"#,
            #"{"spec":{"containers":[{"name":"b"},{"name":"a"},{"name":"s"}]}}"#
        ),
        // Of a union only the named member stays.
        (
            #"{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}"#,
            #"{"spec":{"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]}}"#,
            #"{"spec":{"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}}"#
        ),
        // Members go with null; maps merge.
        (
            #"{"metadata":{"labels":{"a":"1","b":"2"}}}"#, #"{"metadata":{"labels":{"a":null,"c":"3"}}}"#,
            #"{"metadata":{"labels":{"b":"2","c":"3"}}}"#
        ),
        // Conditions merge by type.
        (
            #"{"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"X","status":"True"}]}}"#,
            #"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#,
            #"{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"X","status":"True"}]}}"#
        ),
        (
            #"{"spec":{"nodeSelector":{"a":"1"},"securityContext":{"runAsUser":1}}}"#,
            #"{"spec":{"securityContext":{"$patch":"replace","runAsGroup":2}}}"#,
            #"{"spec":{"nodeSelector":{"a":"1"},"securityContext":{"runAsGroup":2}}}"#
        ),
    ])
    func strategicPatches(target: String, patch: String, result: String) throws {
        let patched = try StrategicPatch().apply(Self.json(patch), to: Self.json(target), as: "Pod")
        #expect(try patched.isSame(as: Self.json(result)), "\(patched.text)")
    }

    @Test func anElementWithoutItsKeyIsRefused() {
        #expect(throws: PatchFailure.self) {
            try StrategicPatch().apply(["spec": ["containers": [["image": "x"]]]], to: .emptyObject, as: "Pod")
        }
        #expect(throws: PatchFailure.self) { try StrategicPatch().apply([1], to: .emptyObject, as: "Pod") }
    }
}
