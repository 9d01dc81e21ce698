// The server's side of terminals: relays frames between pages and the agents of nodes, and asks agents for more.
//
// Who may see which lab is decided by the caller (Gateway). A terminal itself lives in the node's agent, so nothing here
// outlives a connection, and the server may restart at any time. How a node is reached is `NodeReach`, which the
// program implements: embedded, a socket on this machine; remote, a stream through the cluster.
package import Essentials

/// Opens byte streams to a lab's nodes.
package protocol NodeReach: Sendable {
    /// A connection to the agent of a node.
    func openAgent(lab: String, node: String) async throws -> OwnedDescriptor
    /// A connection, made or in the making, to a TCP port of a node.
    func openPort(lab: String, node: String, port: UInt16) async throws -> OwnedDescriptor
}

/// Everything that is limited, with its unit.
package enum TerminalLimits {
    /// Bytes of input in one frame.
    package static let inputBytes = 64 << 10
    /// Columns and rows a page may ask for; the agent narrows them further.
    package static let sizes = 1...1000
    /// The agent's answer to the first line.
    package static let answerBytes = 16 << 10
    /// One frame of the agent: a snapshot is the largest.
    package static let agentFrameBytes = (1 << 20) + 64
    /// One event of the agent.
    package static let eventBytes = 16 << 10
    /// Output that waits for the browser; above it the agent's stream is not read.
    package static let pageBufferBytes = 512 << 10
    /// Input that waits for the agent; above it the WebSocket is not read.
    package static let agentBufferBytes = 256 << 10
    /// Terminals open in browsers at once, of all labs.
    package static let relays = 10_000
    /// Cluster views open in browsers at once, of all labs.
    package static let clusterRelays = 2_000
    /// One line about a cluster; 2,000 pods in one line need about half of it.
    package static let clusterLineBytes = 4 << 20
    /// The agent must have taken the connection and answered by then.
    package static let answerSeconds = 10
    /// Between two notes that someone works in a lab.
    package static let activitySeconds = 10.0
    package static let execOutputBytes = 3 << 20
    package static let statusBytes = 1 << 20
    package static let fileBytes = 16 << 20
    /// Beyond the command's own time, for the way there and back.
    package static let graceSeconds = 5
}

/// Why a terminal or a request to an agent failed.
package enum TerminalProblem: Problem, Equatable {
    case invalidRequest(String)
    case tooManyTerminals
    case agentUnreachable(String)
    case agentSilent
    case agentMisbehaved(String)
    /// The agent's own words.
    case refused(reason: String, message: String)

    package var reason: String {
        switch self {
        case .invalidRequest: "InvalidRequest"
        case .tooManyTerminals: "Unavailable"
        case .agentUnreachable, .agentSilent, .agentMisbehaved: "AgentUnreachable"
        case .refused(let reason, _): reason
        }
    }

    package var message: String {
        switch self {
        case .invalidRequest(let what): what
        case .tooManyTerminals: "The server has too many terminals open. Close one, or try again in a moment."
        case .agentUnreachable, .agentMisbehaved: "The node cannot be reached at the moment. Try again, or reset the node."
        case .agentSilent: "The node does not answer. Try again, or reset the node."
        case .refused(_, let message): message
        }
    }

    package var cause: String? {
        switch self {
        case .agentUnreachable(let text), .agentMisbehaved(let text): text
        default: nil
        }
    }
}

/// WebSocket close codes (docs/protocols.md). After those of 4000 and up the page does not try again.
package enum TerminalClose {
    /// The node's agent was lost or cannot be reached: try again.
    package static let tryAgain: UInt16 = 1013
    package static let badFrame: UInt16 = 4400
    package static let notFound: UInt16 = 4404
    /// The lab has ended, or the terminal was closed.
    package static let gone: UInt16 = 4410
    package static let limit: UInt16 = 4429

    static func code(forReason reason: String) -> UInt16 {
        switch reason {
        case "TerminalNotFound": notFound
        case "TerminalLimit", "ViewerLimit": limit
        default: badFrame
        }
    }
}
