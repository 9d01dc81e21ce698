// PID 1 of a node: reaps, owns the PTYs and their shells, runs commands, moves files, and tells how the node is.
//
// It is one thread around one epoll set and uses no Foundation, since every node of every lab runs one. It may touch the
// node it lives in and the one socket it was given (docs/protocols.md). The program `node-agent` calls `AgentLoop`.
//
// What happens on a terminal is decided by `TerminalSession`, a struct without descriptors; `Terminal` performs it.

/// Everything that is limited, with its unit.
package enum AgentLimits {
    /// What a terminal remembers of its output. Older bytes go into the model of the screen.
    package static let ringBytes = 1 << 20
    /// Free space kept in the ring for the next turn's reading.
    package static let turnBytes = 64 << 10
    /// A turn that brought at least this much is a flood: it is sent when `gatherBytes` are there or `gatherSeconds` have
    /// passed, so that few large frames do the work of many small ones.
    package static let floodBytes = 2 << 10
    package static let gatherBytes = 48 << 10
    package static let gatherSeconds = 0.0003
    /// Output that the fastest viewer has not acknowledged; at this much the PTY is read no further.
    package static let windowBytes: UInt64 = 768 << 10
    /// Output that any viewer may be sent beyond what it acknowledged.
    package static let viewerWindowBytes: UInt64 = 1 << 20
    /// Bytes of output in one frame.
    package static let frameBytes = 64 << 10
    /// Bytes of input in one frame.
    package static let inputFrameBytes = 64 << 10
    /// Input that a viewer may have under way before it hears that some was applied.
    package static let inputWindowBytes = 256 << 10
    /// Input that waits for the PTY, of all viewers together; beyond it a viewer that goes on is cut off.
    package static let inputQueueBytes = 1 << 20
    /// Bytes that repaint a screen; one that needs more comes without colours.
    package static let snapshotBytes = 1 << 20
    package static let terminals = 16
    package static let viewersPerTerminal = 32
    /// Viewers whose count of applied input is remembered per terminal.
    package static let viewerRecords = 64
    /// Events that wait for one viewer to catch up; the oldest are dropped beyond it.
    package static let pendingEvents = 256
    package static let connections = 128
    /// The JSON line that opens a stream.
    package static let headerBytes = 16 << 10
    package static let titleCharacters = 256
    /// Bytes of one OSC sequence that are looked at.
    package static let oscBytes = 4 << 10
    /// Columns and rows of a terminal.
    package static let sizes = 4...500
    package static let execOutputBytes = 1 << 20
    package static let execSeconds = 3600
    package static let execs = 32
    /// Clients that are told of the node's cluster at once.
    package static let clusterFeeds = 8
    package static let fileBytes = 16 << 20
    /// A stream that has not said what it is for by then is closed.
    package static let headerSeconds = 10.0
}
