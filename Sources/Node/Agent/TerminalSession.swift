// What happens on one terminal, decided without descriptors: who sees which bytes when, who may type, and how big it is.
//
// Invariants
// - Output bytes are numbered from a random base, so that an offset of another terminal's life is recognised as foreign.
// - A viewer is sent each byte from its `sent` on exactly once, in order. If the ring has forgotten that byte, it first
//   gets a snapshot, and goes on from where the ring begins; the snapshot shows the screen as it was just there.
// - An event goes to a viewer after the output before it and before the output behind it.
// - `sent - acknowledged` of a viewer stays within `viewerWindowBytes`; the PTY is read only while the viewer that
//   acknowledged most is within `windowBytes`, or nobody looks.
// - Input of one viewer name is counted over all its connections: what was accepted is never accepted again.
package import Essentials

package struct TerminalSession {
    package enum Role: String, Sendable { case write, view }

    /// What to send to a viewer next.
    package enum Output: Equatable {
        case event(JSON)
        /// The screen as it was at the ring's start, which is the given offset.
        case snapshot(UInt64)
        case bytes(Range<UInt64>)
    }

    package enum Violation: Error, Equatable {
        case acknowledgedTooMuch
        case inputBeyondWindow
        case malformed
    }

    /// Bytes for the PTY.
    package struct Input: Equatable, Sendable {
        package let viewer: String
        package var bytes: [UInt8]
    }

    struct Viewer {
        let name: String
        var role: Role
        var sent: UInt64
        var acknowledged: UInt64
        var needsSnapshot: Bool
        var events: [(offset: UInt64, event: JSON)] = []
        var size: (columns: Int, rows: Int)
        /// When it last did something, as a count.
        var activity: Int
        /// What it was last told of its input.
        var toldWritten: UInt64
    }

    struct Record {
        /// Taken from the viewer: it will reach the PTY.
        var accepted: UInt64 = 0
        /// Reached the PTY.
        var written: UInt64 = 0
        var lastUse = 0
    }

    package private(set) var ringStart: UInt64
    package private(set) var end: UInt64
    package private(set) var columns: Int
    package private(set) var rows: Int
    package private(set) var title = ""
    package private(set) var directory = ""
    package private(set) var isAlive = false
    package private(set) var exitStatus: Int?
    /// The shell waits for a command.
    package private(set) var isAtPrompt = false
    /// The shell runs a command (it said so).
    package private(set) var isRunning = false
    package private(set) var foreground: String?
    package private(set) var input: [Input] = []
    package private(set) var inputBytes = 0
    var viewers: [Int: Viewer] = [:]
    private var records: [String: Record] = [:]
    private var clock = 0
    private var enterSincePrompt = false

    package init(base: UInt64, columns: Int, rows: Int) {
        ringStart = base
        end = base
        (self.columns, self.rows) = Self.clamp(columns, rows)
    }

    package static func clamp(_ columns: Int, _ rows: Int) -> (Int, Int) {
        let limits = AgentLimits.sizes
        return (min(max(columns, limits.lowerBound), limits.upperBound), min(max(rows, limits.lowerBound), limits.upperBound))
    }

    package var viewerCount: Int { viewers.count }

    // MARK: Viewers

    /// Whether one more viewer may come.
    package var hasRoom: Bool { viewers.count < AgentLimits.viewersPerTerminal }

    /// A viewer comes, under a number of the caller's. Its first output is the event `attached`.
    package mutating func attach(
        _ number: Int, name: String, role: Role, columns: Int, rows: Int, resume: UInt64?, terminal: String
    ) {
        let size = Self.clamp(columns, rows)
        let inRing = resume.map { $0 >= ringStart && $0 <= end } ?? false
        let from = inRing ? resume ?? ringStart : ringStart
        var viewer = Viewer(
            name: name, role: role, sent: from, acknowledged: from, needsSnapshot: !inRing && (resume != nil || hasForgotten),
            size: size, activity: tick(), toldWritten: 0)
        var record = records[name] ?? Record()
        record.lastUse = clock
        records[name] = record
        forgetOldRecords()
        viewer.toldWritten = record.written
        viewer.events.append((from, attached(terminal: terminal, offset: from, resumed: inRing, role: role, applied: record.accepted)))
        viewers[number] = viewer
        applySize()
        announceViewers()
    }

    package mutating func detach(_ number: Int) {
        guard viewers.removeValue(forKey: number) != nil else { return }
        applySize()
        announceViewers()
    }

    /// Whether bytes have left the ring since the terminal began.
    private var hasForgotten: Bool { forgotten }
    private var forgotten = false

    private func attached(terminal: String, offset: UInt64, resumed: Bool, role: Role, applied: UInt64) -> JSON {
        [
            "type": "attached", "terminal": JSON(terminal), "offset": JSON(Int64(clamping: offset)), "end": JSON(Int64(clamping: end)),
            "resumed": JSON(resumed), "inputApplied": JSON(Int64(clamping: applied)), "inputWindow": JSON(AgentLimits.inputWindowBytes),
            "role": JSON(role.rawValue), "columns": JSON(columns), "rows": JSON(rows), "title": JSON(title), "alive": JSON(isAlive),
            "prompt": JSON(isAtPrompt), "running": JSON(isRunning), "busy": JSON(foreground != nil), "program": JSON(foreground),
            "exitStatus": JSON(exitStatus), "viewers": JSON(viewers.count + 1),
        ]
    }

    private mutating func announceViewers() {
        emit(["type": "viewers", "count": JSON(viewers.count)], replacing: "viewers")
    }

    private mutating func forgetOldRecords() {
        guard records.count > AgentLimits.viewerRecords else { return }
        let attached = Set(viewers.values.map(\.name))
        let idle = records.filter { !attached.contains($0.key) }.min { $0.value.lastUse < $1.value.lastUse }
        if let idle { records[idle.key] = nil }
    }

    private mutating func tick() -> Int {
        clock += 1
        return clock
    }

    // MARK: Size

    /// The size of the writer that last did something holds: the person who works sees the whole screen.
    private mutating func applySize() {
        let writers = viewers.values.filter { $0.role == .write }
        guard let owner = writers.max(by: { $0.activity < $1.activity }) else { return }
        (columns, rows) = owner.size
    }

    package mutating func resize(_ number: Int, columns: Int, rows: Int) {
        guard viewers[number]?.role == .write else { return }
        viewers[number]?.size = Self.clamp(columns, rows)
        let now = tick()
        viewers[number]?.activity = now
        applySize()
    }

    // MARK: Output

    /// Bytes came from the PTY, up to `newEnd`.
    package mutating func received(end newEnd: UInt64) { end = newEnd }

    /// The ring now begins at `start`.
    package mutating func forgot(before start: UInt64) {
        guard start > ringStart else { return }
        ringStart = start
        forgotten = true
        for (number, viewer) in viewers where viewer.sent < start {
            viewers[number]?.needsSnapshot = true
            viewers[number]?.sent = start
            viewers[number]?.acknowledged = max(viewer.acknowledged, start)
        }
    }

    /// Whether the PTY should be read now.
    package var mayRead: Bool {
        guard isAlive else { return false }
        guard let furthest = viewers.values.map(\.acknowledged).max() else { return true }
        return end - min(furthest, end) < AgentLimits.windowBytes
    }

    /// What viewer `number` gets next, and takes note that it got it; nil: nothing for now.
    package mutating func next(for number: Int) -> Output? {
        guard var viewer = viewers[number] else { return nil }
        defer { viewers[number] = viewer }
        // A snapshot stands for all output before the ring, so events from there are due behind it, except the first.
        if let first = viewer.events.first, first.offset <= viewer.sent, !viewer.needsSnapshot || first.event["type"] == "attached" {
            viewer.events.removeFirst()
            return .event(first.event)
        }
        if viewer.needsSnapshot {
            viewer.needsSnapshot = false
            viewer.sent = ringStart
            viewer.acknowledged = max(viewer.acknowledged, ringStart)
            return .snapshot(ringStart)
        }
        var limit = min(end, viewer.acknowledged + AgentLimits.viewerWindowBytes, viewer.sent + UInt64(AgentLimits.frameBytes))
        if let first = viewer.events.first { limit = min(limit, max(first.offset, viewer.sent)) }
        guard limit > viewer.sent else { return nil }
        let range = viewer.sent..<limit
        viewer.sent = limit
        return .bytes(range)
    }

    package mutating func acknowledge(_ number: Int, offset: UInt64) throws(Violation) {
        guard let viewer = viewers[number] else { return }
        guard offset <= viewer.sent else { throw .acknowledgedTooMuch }
        viewers[number]?.acknowledged = max(viewer.acknowledged, offset)
    }

    // MARK: Events

    /// Sends an event to every viewer, behind the output up to `offset` (now, where nil). With `replacing`, a waiting
    /// event of that type gives way, since only the last one matters.
    package mutating func emit(_ event: JSON, at offset: UInt64? = nil, replacing type: String? = nil) {
        for number in viewers.keys {
            if let type { viewers[number]?.events.removeAll { $0.event["type"] == JSON(type) } }
            viewers[number]?.events.append((offset ?? end, event))
            if let count = viewers[number]?.events.count, count > AgentLimits.pendingEvents {
                let isFirst = viewers[number]?.events.first?.event["type"] == "attached"
                viewers[number]?.events.remove(at: isFirst ? 1 : 0)
            }
        }
    }

    package mutating func found(_ found: EscapeScanner.Found, at offset: UInt64) {
        switch found {
        case .promptStart: break
        case .promptEnd:
            guard !isAtPrompt else { break }
            isAtPrompt = true
            emit(["type": "prompt"], at: offset)
        case .commandStart:
            isAtPrompt = false
            isRunning = true
            emit(["type": "command-start"], at: offset)
        case .commandEnd(let status):
            // The mark stands in the prompt, which is also drawn anew on a resize: only the first one after a command
            // or an Enter tells of an end.
            guard isRunning || enterSincePrompt else { break }
            let ran = isRunning
            isRunning = false
            isAtPrompt = false
            enterSincePrompt = false
            emit(["type": "command-end", "status": JSON(status), "ran": JSON(ran)], at: offset)
            setForeground(nil, at: offset)
        case .title(let text):
            guard text != title else { break }
            title = text
            emit(["type": "title", "title": JSON(text)], at: offset, replacing: "title")
        case .directory(let text): directory = text
        }
    }

    /// The program that holds the terminal instead of the shell.
    package mutating func setForeground(_ program: String?, at offset: UInt64? = nil) {
        guard program != foreground else { return }
        foreground = program
        emit(["type": "foreground", "busy": JSON(program != nil), "program": JSON(program)], at: offset, replacing: "foreground")
    }

    // MARK: Shell

    package mutating func shellStarted() {
        isAlive = true
        exitStatus = nil
        isAtPrompt = false
        isRunning = false
        enterSincePrompt = false
        foreground = nil
    }

    package mutating func shellEnded(status: Int) {
        isAlive = false
        exitStatus = status
        isAtPrompt = false
        isRunning = false
        foreground = nil
        // What was typed for the old shell is not for the next one.
        dropInput()
        emit(["type": "exit", "status": JSON(status)])
    }

    // MARK: Input

    /// Takes bytes that a viewer typed. False: this viewer may not type, and nothing happens.
    package mutating func accept(_ bytes: [UInt8], from number: Int) throws(Violation) -> Bool {
        guard let viewer = viewers[number], viewer.role == .write, !bytes.isEmpty else { return false }
        guard inputBytes + bytes.count <= AgentLimits.inputQueueBytes else { throw .inputBeyondWindow }
        let now = tick()
        viewers[number]?.activity = now
        applySize()
        records[viewer.name, default: Record()].accepted += UInt64(bytes.count)
        records[viewer.name]?.lastUse = clock
        if bytes.contains(0x0D) || bytes.contains(0x03) || bytes.contains(0x0A) {
            // What is typed ahead of the first prompt did not make that prompt.
            enterSincePrompt = enterSincePrompt || isAtPrompt
            isAtPrompt = false
        }
        inputBytes += bytes.count
        if let last = input.indices.last, last > 0, input[last].viewer == viewer.name, input[last].bytes.count < AgentLimits.inputFrameBytes
        {
            input[last].bytes += bytes
        } else {
            input.append(Input(viewer: viewer.name, bytes: bytes))
        }
        return true
    }

    /// `count` bytes of the first waiting input have reached the PTY.
    package mutating func wrote(_ count: Int) {
        guard let first = input.first else { return }
        inputBytes -= count
        records[first.viewer]?.written += UInt64(count)
        if count == first.bytes.count { input.removeFirst() } else { input[0].bytes.removeFirst(count) }
    }

    private mutating func dropInput() {
        for piece in input { records[piece.viewer]?.written += UInt64(piece.bytes.count) }
        input = []
        inputBytes = 0
    }

    /// Tells each viewer how much of its input has been written, where that changed by at least `step`.
    package mutating func tellApplied(step: UInt64) {
        for (number, viewer) in viewers {
            guard let written = records[viewer.name]?.written, written > viewer.toldWritten, written - viewer.toldWritten >= step else {
                continue
            }
            viewers[number]?.toldWritten = written
            viewers[number]?.events.removeAll { $0.event["type"] == "input-applied" }
            viewers[number]?.events.append((viewer.sent, ["type": "input-applied", "applied": JSON(Int64(clamping: written))]))
            viewers[number]?.events.sort { $0.offset < $1.offset }
        }
    }

    /// Somebody has not yet been told of all that was written.
    package var hasUntoldInput: Bool {
        viewers.values.contains { viewer in (records[viewer.name]?.written ?? 0) > viewer.toldWritten }
    }
}
