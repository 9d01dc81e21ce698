// The front of Lectern: routes, sessions, pages, live events and terminals, all behind one handler.
//
// May touch: every room of the Classroom. Called by: the lectern program, which gives it to the web server. A request
// is first a page, an asset or an operation of the API (`Route`); all answers get the security headers; all problems
// become RFC 9457 documents (or a page, where a browser asked for one).
package import Accounts
internal import Essentials
package import Labs
package import Logging
package import Ports
package import Terminals
package import Web
package import Workshops

/// What the lectern program wires together for the gateway.
package struct GatewayServices: Sendable {
    package var accounts: Accounts
    package var labs: LabService
    package var workshops: WorkshopLibrary
    package var agents: AgentClient
    package var terminals: TerminalHub
    package var ports: PortLinks
    package var machine: any MachineReport
    package var pages: StaticFiles
    package var xterm: StaticFiles
    package var portsDomain: String
    /// The origin browsers use where a proxy stands in front, such as `https://labs.example.org`; else the request's own host.
    package var publicOrigin: String?
    package var version: String

    package init(
        accounts: Accounts, labs: LabService, workshops: WorkshopLibrary, agents: AgentClient, terminals: TerminalHub,
        ports: PortLinks, machine: any MachineReport, pages: StaticFiles, xterm: StaticFiles, portsDomain: String, publicOrigin: String?,
        version: String
    ) {
        self.accounts = accounts
        self.labs = labs
        self.workshops = workshops
        self.agents = agents
        self.terminals = terminals
        self.ports = ports
        self.machine = machine
        self.pages = pages
        self.xterm = xterm
        self.portsDomain = portsDomain
        self.publicOrigin = publicOrigin
        self.version = version
    }
}

package final class Gateway: HTTPHandler {
    /// Notes of typing that wait to be passed on; older ones are dropped, since a newer one says the same.
    static let activityLimit = 256

    let services: GatewayServices
    let routes: [Route]
    let metrics = GatewayMetrics()
    let labIndex = LabIndex()
    let events: EventHub
    let log: Logger

    package init(services: GatewayServices, log: Logger = Logger(label: "gateway")) {
        self.services = services
        self.log = log
        events = EventHub()
        routes =
            Routes.session(services) + Routes.labs(services) + Routes.nodes(services) + Routes.workshops(services) + Routes.admin(services)
    }

    /// Learns the labs there are; to be called before the first request.
    package func prepare() async {
        for lab in await services.labs.all() { labIndex.note(lab) }
    }

    /// Feeds live events until cancelled.
    package func run() async throws {
        let (active, activity) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(Self.activityLimit))
        await services.terminals.note(activity: { activity.yield($0) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await change in self.services.labs.changes() {
                    if case .changed(let lab) = change { await self.follow(lab) }
                    await self.events.tell(change)
                }
            }
            group.addTask { for await name in self.services.workshops.changes() { await self.events.tell(workshop: name) } }
            group.addTask { try await self.events.keepAlive() }
            group.addTask { for await lab in active { await self.services.labs.touch(lab) } }
            group.addTask { try await self.keepActive() }
            try await group.waitForAll()
        }
    }

    private func follow(_ lab: Lab) async {
        labIndex.note(lab)
        if lab.state == .ending || lab.state == .ended { await services.terminals.close(lab: lab.id, message: lab.message) }
    }

    /// Labs whose page or terminals are open are in use, typed into or not.
    private func keepActive() async throws {
        while true {
            try await Task.sleep(for: .seconds(20))
            for id in await events.watchedLabs() { await services.labs.touch(id) }
        }
    }

    package func respond(to request: HTTPRequest, body: RequestBody) async -> HTTPResponse {
        let start = monotonicSeconds()
        var response = await answer(request, body)
        for (name, value) in SecurityHeaders.common where response.headers[name] == nil { response.headers[name] = value }
        metrics.note(status: response.status, seconds: monotonicSeconds() - start)
        return response
    }

    private func answer(_ request: HTTPRequest, _ body: RequestBody) async -> HTTPResponse {
        guard let segments = pathSegments(request.path) else {
            return problemResponse(GatewayProblem.badRequest("The path is not valid."), for: request)
        }
        do {
            switch segments.first {
            case "api", "healthz", "readyz", "metrics": return try await operation(request, segments, body)
            default: return try await page(request, segments)
            }
        } catch {
            return problemResponse(error, for: request)
        }
    }

    private func operation(_ request: HTTPRequest, _ segments: [String], _ body: RequestBody) async throws -> HTTPResponse {
        switch segments {
        case ["healthz"]: return .text("ok\n")
        case ["readyz"]: return await readiness()
        case ["metrics"]: return await metricsPage()
        case ["api", "openapi.json"]:
            return jsonResponse(OpenAPI(routes: routes, version: services.version).document)
        default: break
        }
        var allowed: [String] = []
        for route in routes {
            guard let parameters = route.match(segments) else { continue }
            guard route.method == request.method else {
                allowed.append(route.method)
                continue
            }
            let visitor = try authorize(request, route)
            return try await route.run(
                Call(request: request, body: body, parameters: parameters, visitor: visitor, gateway: self))
        }
        guard allowed.isEmpty else {
            var response = problemResponse(GatewayProblem.methodNotAllowed(allowed.sorted().joined(separator: ", ")), for: request)
            response.headers["allow"] = allowed.sorted().joined(separator: ", ")
            return response
        }
        throw GatewayProblem.notFound("There is no such operation. /api/openapi.json lists all.")
    }
}
