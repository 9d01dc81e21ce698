// Port links: host names, rights, and what is sent instead of the node.
import Essentials
import Ports
import Testing
import Web

private struct NoNode: PortReach {
    func openPort(lab: String, node: String, port: UInt16) async throws -> OwnedDescriptor { throw Refused() }
    struct Refused: Problem {
        var reason: String { "ConnectionRefused" }
        var message: String { "refused" }
    }
}

@Suite struct PortLinksTests {
    let address = PortAddress(lab: "k7w2mqxr", node: "node1", port: 8000)
    let clock = ManualClock()
    let capability = PortCapability(key: Array("key".utf8))

    private var links: PortLinks {
        get async {
            await PortLinks(
                configuration: PortLinksConfiguration(
                    domain: "localhost", waitingPage: { "waiting for <!--lectern:port--> on <!--lectern:node-->" },
                    errorPage: { "<!--lectern:title-->: <!--lectern:message-->" }),
                capability: capability, reach: NoNode(), clock: clock)
        }
    }

    private func answer(_ target: String, cookie: String? = nil) async -> HTTPResponse? {
        let links = await links
        var headers: HTTPHeaders = [:]
        headers["cookie"] = cookie
        let request = HTTPRequest(method: "GET", target: target, headers: headers, authority: "k7w2mqxr-node1-8000.localhost:8080")
        let route = await links.route(
            host: "k7w2mqxr-node1-8000.localhost", head: PeekedHead(isTLS: false, remoteAddress: "127.0.0.1"))
        guard case .splice(let opener) = route, case .respond(let response) = await opener.open(request) else { return nil }
        return response
    }

    @Test func hostNamesAreReadStrictly() {
        #expect(PortAddress(host: "k7w2mqxr-node1-8000.localhost", domain: "localhost") == address)
        #expect(address.host(domain: "labs.example.org") == "k7w2mqxr-node1-8000.labs.example.org")
        for host in [
            "localhost", "k7w2mqxr-node1.localhost", "k7w2mqxr-node1-0.localhost", "k7w2mqxr-node1-65536.localhost",
            "a-node1-+80.localhost",
            "k7w2mqxr-node1-8000.localhost.evil", "x.k7w2mqxr-node1-8000.localhost", "-node1-80.localhost", "a-b-80.localhost",
            "a-node1-080.localhost",
        ] {
            #expect(PortAddress(host: host, domain: "localhost") == nil, "\(host)")
        }
    }

    @Test func aRightOpensItsOwnPortOnlyAndNotForEver() {
        let token = capability.token(for: address, secure: true, now: clock.now())
        #expect(capability.check(token, for: address, now: clock.now()) == PortRight(upstreamTLS: true))
        var other = address
        other.port = 8001
        #expect(capability.check(token, for: other, now: clock.now()) == nil)
        #expect(capability.check(token.replacing(".s.", with: ".p."), for: address, now: clock.now()) == nil)
        #expect(capability.check(token, for: address, now: clock.now().adding(seconds: 13 * 3600)) == nil)
        #expect(PortCapability(key: [1]).check(token, for: address, now: clock.now()) == nil)
    }

    @Test func aFreshLinkMovesItsTokenIntoACookie() async {
        let token = capability.token(for: address, secure: false, now: clock.now())
        let response = await answer("/a?x=1&lectern-port=\(token)&y=2")
        #expect(response?.status == 302)
        #expect(response?.headers["location"] == "/a?x=1&y=2")
        #expect(response?.headers["set-cookie"]?.contains("HttpOnly") == true)
        #expect(await answer("//evil.example/?lectern-port=\(token)")?.headers["location"] == "/")
    }

    @Test func withoutARightNothingIsOpened() async {
        #expect(await answer("/")?.status == 403)
        #expect(await answer("/?lectern-port=forged")?.status == 403)
        #expect(await answer("/", cookie: "lectern_port=1.p.abc")?.status == 403)
    }

    @Test func aPortNobodyListensOnShowsThePageThatWaits() async {
        let token = capability.token(for: address, secure: false, now: clock.now())
        let response = await answer("/", cookie: "lectern_port=\(token)")
        #expect(response?.status == 503)
        guard case .bytes(let bytes)? = response?.body else { return #expect(Bool(false)) }
        #expect(String(decoding: bytes, as: UTF8.self) == "waiting for 8000 on node1")
    }
}
