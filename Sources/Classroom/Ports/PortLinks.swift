// The front door's decisions on port links: who may pass, what is sent instead, and how the node is reached.
//
// A fresh link carries its token in the query; the first answer moves it into a cookie of that host alone and leads to
// the same address without it. From then on the connection is bytes: nothing of the application's traffic is touched
// but that one cookie, which the application never sees.
internal import Crypto
package import Essentials
package import Web

/// Opens a stream to a port of a node, wherever the node runs.
package protocol PortReach: Sendable {
    func openPort(lab: String, node: String, port: UInt16) async throws -> OwnedDescriptor
}

package struct PortLinksConfiguration: Sendable {
    /// Port links live under this domain, such as `localhost`.
    package var domain: String
    /// The page that waits until something listens; `<!--lectern:port-->` and `<!--lectern:node-->` are filled in.
    package var waitingPage: @Sendable () -> String
    /// Any other page: `<!--lectern:title-->` and `<!--lectern:message-->` are filled in.
    package var errorPage: @Sendable () -> String

    package init(domain: String, waitingPage: @escaping @Sendable () -> String, errorPage: @escaping @Sendable () -> String) {
        self.domain = domain
        self.waitingPage = waitingPage
        self.errorPage = errorPage
    }
}

package final class PortLinks: FrontDoorRouting {
    private let configuration: PortLinksConfiguration
    private let capability: PortCapability
    private let reach: any PortReach
    private let clock: any WallClock

    package init(
        configuration: PortLinksConfiguration, capability: PortCapability, reach: any PortReach, clock: any WallClock = SystemClock()
    ) {
        self.configuration = configuration
        self.capability = capability
        self.reach = reach
        self.clock = clock
    }

    package func route(host: String, head: PeekedHead) -> FrontDoorRoute {
        guard let address = PortAddress(host: host, domain: configuration.domain) else { return .serve }
        return .splice(PortSplice(address: address, configuration: configuration, capability: capability, reach: reach, clock: clock))
    }

    /// The address that opens a port in the browser. `origin` is the scheme and port the page itself was asked under.
    package nonisolated func url(for address: PortAddress, secureNode: Bool, scheme: String, port: String?, path: String = "/") -> String {
        let token = capability.token(for: address, secure: secureNode, now: clock.now())
        let suffix = port.map { ":" + $0 } ?? ""
        let separator = path.contains("?") ? "&" : "?"
        return "\(scheme)://\(address.host(domain: configuration.domain))\(suffix)\(path)\(separator)\(PortCapability.queryName)=\(token)"
    }
}

struct PortSplice: SpliceOpener {
    let address: PortAddress
    let configuration: PortLinksConfiguration
    let capability: PortCapability
    let reach: any PortReach
    let clock: any WallClock

    func open(_ request: HTTPRequest) async -> SpliceOpening {
        if let fresh = request.queryValue(PortCapability.queryName) {
            guard capability.check(fresh, for: address, now: clock.now()) != nil else { return .respond(refused) }
            return .respond(keep(fresh, request))
        }
        guard let cookie = request.headers.cookie(PortCapability.cookieName),
            let right = capability.check(cookie, for: address, now: clock.now())
        else { return .respond(refused) }
        do {
            let descriptor = try await reach.openPort(lab: address.lab, node: address.node, port: address.port)
            var options = SpliceOptions(upstreamTLS: right.upstreamTLS)
            options.dropCookies = [PortCapability.cookieName]
            return .connected(descriptor, options)
        } catch let problem as any Problem where problem.reason == "LabNotFound" || problem.reason == "NodeNotFound" {
            return .respond(
                page(404, title: "This lab has ended", message: "Its ports are closed. Start the workshop again for a new lab."))
        } catch {
            return .respond(waiting(request))
        }
    }

    private func keep(_ token: String, _ request: HTTPRequest) -> HTTPResponse {
        let rest = request.rawQuery.split(separator: "&").filter { !$0.hasPrefix(PortCapability.queryName + "=") }.joined(separator: "&")
        let target = request.path + (rest.isEmpty ? "" : "?" + rest)
        // Beginning with two slashes it would name another host.
        let location = target.hasPrefix("//") ? "/" : target
        let secure = request.isSecure ? "; Secure" : ""
        return HTTPResponse(
            status: 302,
            headers: [
                "location": location, "cache-control": "no-store",
                "set-cookie":
                    "\(PortCapability.cookieName)=\(token); Path=/; HttpOnly; SameSite=Lax; Max-Age=\(PortCapability.lifetimeSeconds)\(secure)",
            ])
    }

    private var refused: HTTPResponse {
        page(
            403, title: "This link is not yours to open",
            message: "Ports of a lab open through the lesson page: use its port links or its Ports menu, which give a fresh link.")
    }

    private func waiting(_ request: HTTPRequest) -> HTTPResponse {
        var response = HTTPResponse.text(
            configuration.waitingPage().replacing("<!--lectern:port-->", with: String(address.port)).replacing(
                "<!--lectern:node-->", with: address.node),
            status: 503, type: "text/html; charset=utf-8")
        response.headers["retry-after"] = "1"
        response.headers["cache-control"] = "no-store"
        response.headers["x-lectern-waiting"] = "1"
        return response
    }

    private func page(_ status: Int, title: String, message: String) -> HTTPResponse {
        var response = HTTPResponse.text(
            configuration.errorPage().replacing("<!--lectern:title-->", with: title).replacing("<!--lectern:message-->", with: message),
            status: status,
            type: "text/html; charset=utf-8")
        response.headers["cache-control"] = "no-store"
        return response
    }
}

extension String {
    /// Every occurrence of `part` replaced.
    fileprivate func replacing(_ part: String, with other: String) -> String {
        var result = ""
        var rest = self[...]
        while let range = rest.firstRange(of: part) {
            result += rest[..<range.lowerBound]
            result += other
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
