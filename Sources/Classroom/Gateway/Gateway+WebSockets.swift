// Judges WebSocket requests at once, on the loop: live events and terminals.
internal import Accounts
internal import Essentials
internal import Labs
internal import Terminals
package import Web

extension Gateway {
    @WebLoop
    package func webSocket(for request: HTTPRequest) -> WebSocketDecision {
        guard originIsOwn(request, whenMissing: true) else { return .reject(problemResponse(AccountProblem.foreignOrigin, for: request)) }
        guard let visitor = visitor(of: request)?.visitor else {
            return .reject(problemResponse(AccountProblem.noSession, for: request))
        }
        guard let segments = pathSegments(request.path) else {
            return .reject(problemResponse(GatewayProblem.badRequest("The path is not valid."), for: request))
        }
        let offered = request.headers.all("sec-websocket-protocol").joined(separator: ",").split(separator: ",").map {
            $0.filter { $0 != " " }
        }
        if segments == ["api", "v1", "events"] { return eventSocket(request, visitor, offered) }
        if segments.count == 8, segments[0] == "api", segments[1] == "v1", segments[2] == "labs", segments[4] == "nodes",
            segments[6] == "terminals"
        {
            return terminal(request, visitor, offered, lab: segments[3], node: segments[5], name: segments[7])
        }
        if segments.count == 5, segments[0] == "api", segments[1] == "v1", segments[2] == "labs", segments[4] == "cluster" {
            return cluster(request, visitor, offered, lab: segments[3])
        }
        return .reject(problemResponse(GatewayProblem.notFound("There is no WebSocket at this address."), for: request))
    }

    @WebLoop
    private func eventSocket(_ request: HTTPRequest, _ visitor: Visitor, _ offered: [String]) -> WebSocketDecision {
        guard offered.contains(EventHub.subprotocol) else { return .reject(wrongProtocol(EventHub.subprotocol, request)) }
        guard !events.isFull else {
            return .reject(problemResponse(GatewayProblem.unavailable("Too many pages are open. Try again in a moment."), for: request))
        }
        var first: [String] = []
        let id = request.queryValue("lab")
        if let id, let lab = labIndex.lab(id) {
            guard lab.owner == visitor.account.id || visitor.account.role.isStaff else {
                return .reject(problemResponse(LabProblem.labNotFound(id: id), for: request))
            }
            first.append((["type": "lab", "lab": lab.json] as JSON).text)
        }
        let watched = id.flatMap { labIndex.lab($0)?.id }
        return .accept(
            subprotocol: EventHub.subprotocol, EventSocket(account: visitor.account, lab: watched, first: first, hub: events))
    }

    @WebLoop
    private func terminal(
        _ request: HTTPRequest, _ visitor: Visitor, _ offered: [String], lab id: String, node: String, name: String
    ) -> WebSocketDecision {
        guard offered.contains(TerminalHub.subprotocol) else { return .reject(wrongProtocol(TerminalHub.subprotocol, request)) }
        guard let lab = labIndex.lab(id), lab.owner == visitor.account.id || visitor.account.role.isStaff else {
            return .reject(problemResponse(LabProblem.labNotFound(id: String(id.prefix(40))), for: request))
        }
        guard lab.nodes.contains(where: { $0.name == node }) else {
            return .reject(problemResponse(LabProblem.nodeNotFound(lab: id, node: String(node.prefix(40))), for: request))
        }
        do {
            let handler = try services.terminals.handler(
                lab: id, node: node, name: name, query: request.query, canWrite: true)
            return .accept(subprotocol: TerminalHub.subprotocol, handler)
        } catch {
            return .reject(problemResponse(error, for: request))
        }
    }

    /// The lab's cluster as it lives; the first node is where lessons make one.
    @WebLoop
    private func cluster(_ request: HTTPRequest, _ visitor: Visitor, _ offered: [String], lab id: String) -> WebSocketDecision {
        guard offered.contains(TerminalHub.clusterSubprotocol) else {
            return .reject(wrongProtocol(TerminalHub.clusterSubprotocol, request))
        }
        guard let lab = labIndex.lab(id), lab.owner == visitor.account.id || visitor.account.role.isStaff, let node = lab.nodes.first else {
            return .reject(problemResponse(LabProblem.labNotFound(id: String(id.prefix(40))), for: request))
        }
        do {
            let handler = try services.terminals.clusterHandler(lab: id, node: node.name)
            return .accept(subprotocol: TerminalHub.clusterSubprotocol, handler)
        } catch {
            return .reject(problemResponse(error, for: request))
        }
    }

    private func wrongProtocol(_ name: String, _ request: HTTPRequest) -> HTTPResponse {
        problemResponse(GatewayProblem.badRequest("This WebSocket speaks the subprotocol \(name) only."), for: request)
    }
}
