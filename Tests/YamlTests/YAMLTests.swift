// YAML as Kubernetes' tools read and write it.
import Essentials
import Testing
import Yaml

@Suite struct YAMLTests {
    private func read(_ text: String) throws -> JSON { try YAML.document(Array(text.utf8)) }

    @Test func readsAManifest() throws {
        let pod = try read(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels: {app: web, on: \"yes\"}\nspec:\n  containers:\n  - name: c\n    command: [sh, -c, |\n      echo hi\n    ]\n    ports:\n    - containerPort: 80\n"
                .replacing("[sh, -c, |\n      echo hi\n    ]", with: "[sh, -c, 'echo hi']"))
        #expect(pod["metadata"]?["labels"]?["app"] == "web")
        #expect(pod["metadata"]?["labels"]?["true"] == nil)
        #expect(pod["spec"]?["containers"]?[0]?["ports"]?[0]?["containerPort"] == 80)
        #expect(pod["spec"]?["containers"]?[0]?["command"] == ["sh", "-c", "echo hi"])
    }

    @Test(arguments: [
        ("yes", JSON.bool(true)), ("off", .bool(false)), ("~", .null), ("0x1F", .integer(31)), ("010", .integer(8)), ("1e3", .number(1000)),
        ("1.5", .number(1.5)), ("1.2.3", "1.2.3"), ("12Mi", "12Mi"), ("'1'", "1"), ("!!str 1", "1"), ("-5", .integer(-5)), ("-", "-"),
    ]) func scalars(text: String, value: JSON) throws {
        if text == "-" { return #expect(try read("a: '-'")["a"] == value) }
        #expect(try read("a: \(text)")["a"] == value)
    }

    @Test func documentsAndAnchors() throws {
        let all = try YAML.documents(Array("---\na: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n---\n---\n- 1\n".utf8))
        #expect(all == [["a": ["b": 1], "c": ["b": 1], "d": ["e": 2, "b": 1]], [1]])
    }

    @Test func hostileTextsAreRefused() {
        #expect(throws: YAMLProblem.self) { try read("a: [") }
        #expect(throws: YAMLProblem.self) { try read("a: 1\na: 2") }
        #expect(throws: YAMLProblem.self) { try read("a: *nothing") }
        #expect(throws: YAMLProblem.self) { try read(String(repeating: "[", count: 1000)) }
        var bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        for level in 1...9 {
            bomb += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ",") + "]\n"
        }
        #expect(throws: YAMLProblem.self) { try read(bomb) }
    }

    @Test func writesWhatItReads() throws {
        let value: JSON = [
            "a": "1", "b": [["x": 1, "z": ["k": "v"]], ["x": 2]], "c": "line one\nline two\n", "d": "", "e": [:], "f": [], "g": "it's: odd",
            "h": "-", "i": "--flag=x", "j": "*", "k": [[1, 2], [3]], "l": nil, "m": true, "n": "true", "o": "two\n\nends\n",
        ]
        let text = YAML.text(value)
        #expect(try read(text) == value, "\(text)")
        #expect(text.contains("b:\n- x: 1\n  z:\n    k: v\n- x: 2\n"))
        #expect(text.contains("i: --flag=x\n"))
    }
}
