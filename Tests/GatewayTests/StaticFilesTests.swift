// Files of the page: each form under a tag of its own, and only what is asked for.
import Foundation
import Gateway
import Testing
import Web

@Suite struct StaticFilesTests {
    private func files() throws -> (StaticFiles, String) {
        let folder = NSTemporaryDirectory() + "static-files-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try String(repeating: "body { margin: 0 }\n", count: 100).write(toFile: folder + "/a.css", atomically: true, encoding: .utf8)
        return (StaticFiles(directory: folder), folder)
    }

    private func request(_ headers: HTTPHeaders) -> HTTPRequest { HTTPRequest(method: "GET", target: "/a.css", headers: headers) }

    @Test func gzipAndPlainHaveTagsOfTheirOwn() throws {
        let (files, folder) = try files()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let packed = try #require(files.response(["a.css"], for: request(["accept-encoding": "br, gzip"])))
        let plain = try #require(files.response(["a.css"], for: request(["accept-encoding": "gzip;q=0"])))
        #expect(packed.headers["content-encoding"] == "gzip" && plain.headers["content-encoding"] == nil)
        let tag = try #require(packed.headers["etag"])
        #expect(tag != plain.headers["etag"])
        #expect(files.response(["a.css"], for: request(["accept-encoding": "gzip", "if-none-match": tag]))?.status == 304)
        #expect(files.response(["a.css"], for: request(["if-none-match": tag]))?.status == 200)
    }

    @Test func hiddenAndUnknownFilesAreNotThere() throws {
        let (files, folder) = try files()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for path in [["b.css"], [".a.css"], [], ["a.css", "x"]] { #expect(files.response(path, for: request([:])) == nil) }
    }
}
