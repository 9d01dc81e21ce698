// JSON texts in and out, hostile ones included.
import Essentials
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        "null", "true", "[]", "{}", #"{"a":1,"b":[1,2.5,-3],"c":{"d":"é\n\"\\"}}"#, "9223372036854775807", #""\u0001""#,
    ])
    func compactTextReadsBackTheSame(text: String) throws {
        #expect(try JSON(parsing: text).text == text)
    }

    @Test func escapesAndSurrogatePairsAreDecoded() throws {
        #expect(try JSON(parsing: #""A\ud83d\ude00\/""#) == .string("A😀/"))
    }

    @Test(arguments: [
        "", "{", "[1,]", #"{"a"}"#, "01", "1.", "nul", #""\x""#, #""\ud83d""#, "[1] 2", "\"\u{1}\"", "1e999", "+1", #"{"a":1,}"#,
    ])
    func malformedTextIsRefused(text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test func deepNestingIsRefusedBeforeTheStackEnds() {
        #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: "[", count: 100_000)) }
    }

    @Test func invalidUTF8IsRefused() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func pathsAreReadSetAndRemoved() {
        var value: JSON = ["metadata": ["name": "a"]]
        value[path: ["metadata", "labels", "app"]] = "web"
        #expect(value[path: ["metadata", "labels", "app"]] == "web")
        value[path: ["metadata", "name"]] = nil
        #expect(value.text == #"{"metadata":{"labels":{"app":"web"}}}"#)
    }
}
