// All terminals that are open in browsers: makes a relay for each, counts them, and ends those of a lab.
internal import Essentials
internal import Logging
package import Web

@WebLoop package final class TerminalHub {
    package nonisolated static let subprotocol = "lectern.terminal.v1"

    nonisolated let nodes: any NodeReach
    nonisolated let log = Logger(label: "terminals")
    private var relays: [ObjectIdentifier: TerminalRelay] = [:]
    var clusterRelays: [ObjectIdentifier: ClusterRelay] = [:]
    /// Called on the loop now and then while someone types in a lab, with its id.
    package var activity: (@WebLoop @Sendable (String) -> Void)?
    /// Since the server started, for /metrics.
    package private(set) var opened = 0
    package internal(set) var bytesToPages = 0
    package internal(set) var bytesToNodes = 0

    package nonisolated init(nodes: any NodeReach) { self.nodes = nodes }

    /// Sets who is told that someone types in a lab.
    package func note(activity: @escaping @WebLoop @Sendable (String) -> Void) { self.activity = activity }

    /// Terminals open in browsers now.
    package var count: Int { relays.count }

    /// The relay for a WebSocket that may see this lab. `query` is the page's: columns, rows, resume, viewer, create.
    package func handler(lab: String, node: String, name: String, query: [(String, String)], canWrite: Bool) throws(TerminalProblem)
        -> any WebSocketHandler
    {
        guard relays.count < TerminalLimits.relays else { throw .tooManyTerminals }
        let opening = try TerminalOpening(name: name, query: query, canWrite: canWrite)
        return TerminalRelay(hub: self, lab: lab, node: node, opening: opening)
    }

    /// Ends the terminals of a lab that is over (or of one node of it); their pages do not try again.
    package func close(lab: String, node: String? = nil, message: String) {
        for relay in relays.values where relay.lab == lab && (node == nil || relay.node == node) {
            relay.end(TerminalClose.gone, message, level: "warning")
        }
        for relay in clusterRelays.values where relay.lab == lab && (node == nil || relay.node == node) {
            relay.end(node == nil ? TerminalClose.gone : TerminalClose.tryAgain, message)
        }
    }

    func add(_ relay: TerminalRelay) {
        relays[ObjectIdentifier(relay)] = relay
        opened += 1
    }

    func remove(_ relay: TerminalRelay) { relays[ObjectIdentifier(relay)] = nil }
}

/// What a page asks for when it opens a terminal.
package struct TerminalOpening: Equatable, Sendable {
    package var name: String
    package var columns = 80
    package var rows = 24
    package var resume: UInt64?
    package var viewer = ""
    package var create = true
    package var canWrite: Bool

    package init(name: String, query: [(String, String)], canWrite: Bool) throws(TerminalProblem) {
        guard (1...16).contains(name.utf8.count),
            name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
        else { throw .invalidRequest("A terminal's name is 1 to 16 of a-z, 0-9 and -.") }
        self.name = name
        self.canWrite = canWrite
        for (key, value) in query {
            switch key {
            case "columns": columns = try Self.size(value)
            case "rows": rows = try Self.size(value)
            case "resume":
                guard let offset = UInt64(value), offset <= UInt64(Int64.max) else { throw .invalidRequest("“resume” must be an offset.") }
                resume = offset
            case "viewer":
                guard value.utf8.count <= 64, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                    throw .invalidRequest("“viewer” must be at most 64 printable characters.")
                }
                viewer = value
            case "create":
                guard value == "true" || value == "false" else { throw .invalidRequest("“create” must be true or false.") }
                create = value == "true"
            case "role":
                guard value == "view" || value == "write" else { throw .invalidRequest("“role” must be view or write.") }
                if value == "view" { self.canWrite = false }
            default: break
            }
        }
    }

    private static func size(_ text: String) throws(TerminalProblem) -> Int {
        guard let value = Int(text), TerminalLimits.sizes.contains(value) else {
            throw .invalidRequest("“columns” and “rows” must be \(TerminalLimits.sizes.lowerBound) to \(TerminalLimits.sizes.upperBound).")
        }
        return value
    }

    /// The line for the agent.
    var header: JSON {
        var header: JSON = [
            "open": "terminal", "name": JSON(name), "create": JSON(create), "columns": JSON(columns), "rows": JSON(rows),
            "role": canWrite ? "write" : "view", "viewer": JSON(viewer),
        ]
        if let resume { header["resume"] = JSON(Int64(resume)) }
        return header
    }
}
