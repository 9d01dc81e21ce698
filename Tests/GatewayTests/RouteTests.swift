// Paths that climb, patterns that bind, and documents that follow the routes.
@testable import Gateway
import Essentials
import Testing
import Web

@Suite struct RouteTests {
    private func route(_ pattern: String) -> Route {
        Route("GET", pattern, .anyone, "", answers: []) { _ in HTTPResponse() }
    }

    @Test func patternsBindOneSegmentEach() {
        let route = route("/api/v1/labs/{id}/nodes/{node}/exec")
        #expect(route.match(["api", "v1", "labs", "a", "nodes", "node1", "exec"]) == ["id": "a", "node": "node1"])
        #expect(route.match(["api", "v1", "labs", "a"]) == nil)
        #expect(route.match(["api", "v1", "labs", "a", "nodes", "node1", "ports"]) == nil)
    }

    @Test(arguments: [
        "/a/../b", "/a/%2e%2e/b", "/a/..%2fb", "/%00", "/a%5cb", "x", "/%ff", "/%4", "/" + String(repeating: "a", count: 3000),
    ])
    func pathsThatClimbOrBreakAreRefused(path: String) {
        #expect(pathSegments(path) == nil)
    }

    @Test func plainPathsAreSplitAndDecoded() {
        #expect(pathSegments("/w/linux-terminal//files/a%20b.png") == ["w", "linux-terminal", "files", "a b.png"])
        #expect(pathSegments("/") == [])
    }

    @Test func theDocumentListsEachRouteWithItsParameters() {
        let document = OpenAPI(routes: [route("/api/v1/labs/{id}")], version: "1").document
        let operation = document[path: ["paths", "/api/v1/labs/{id}", "get"]]
        #expect(operation?["parameters"]?[0]?["name"] == "id")
        #expect(operation?["responses"]?["default"] != nil)
    }

    @Test func markupInTextIsEscapedInPages() {
        #expect(escapedHTML("<a href=\"x\">&") == "&lt;a href=&quot;x&quot;&gt;&amp;")
        #expect("a<!--x-->b".filled("<!--x-->", with: "<!--x-->c") == "a<!--x-->cb")
    }
}
