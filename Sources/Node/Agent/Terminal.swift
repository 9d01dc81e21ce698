// One terminal of the node: performs what `TerminalSession` decides on a PTY, a ring, a screen model and its viewers.
internal import Essentials
internal import Kernel
internal import Screen

final class Terminal: LoopSource {
    let name: String
    unowned let loop: AgentLoop
    private(set) var session: TerminalSession
    private let identity = Identifier.short(length: 12)
    private let ring: PTYRing
    private var history: ScreenHistory
    private var scanner = EscapeScanner()
    private var viewers: [Int: TerminalViewer] = [:]
    private var nextViewer = 1
    private let key: UInt64
    private var master: Int32 = -1
    private var shell: Int32 = -1
    private var interest: PTYPoller.Interest = []
    private var isWatched = false
    private var isPumping = false
    private var pumpAgain = false
    private var foregroundTimer: UInt64?
    private var appliedTimer: UInt64?
    private var gatherTimer: UInt64?
    /// Where the output ended when viewers were last sent what they may get.
    private var pumpedEnd: UInt64

    /// The terminal of that name, made anew where the request allows it.
    static func find(_ request: AgentRequest.TerminalRequest, in loop: AgentLoop) throws(AgentProblem) -> Terminal {
        if let terminal = loop.terminals[request.name] {
            guard terminal.session.hasRoom else { throw .viewerLimit }
            return terminal
        }
        guard request.create else { throw .terminalNotFound(request.name) }
        if loop.terminals.count >= AgentLimits.terminals {
            // A terminal whose shell ended and at which nobody looks makes room.
            guard let idle = loop.terminals.values.first(where: { !$0.session.isAlive && $0.session.viewerCount == 0 }) else {
                throw .terminalLimit
            }
            idle.remove()
        }
        let terminal = Terminal(request, loop: loop)
        loop.terminals[request.name] = terminal
        return terminal
    }

    private init(_ request: AgentRequest.TerminalRequest, loop: AgentLoop) {
        name = request.name
        self.loop = loop
        // 2^47 keeps every offset exact as a JavaScript number.
        let base = UInt64.random(in: 1..<(1 << 47))
        session = TerminalSession(base: base, columns: request.columns, rows: request.rows)
        ring = PTYRing(capacityBytes: AgentLimits.ringBytes, startingAt: base)
        history = ScreenHistory(columns: session.columns, rows: session.rows)
        key = loop.newKey()
        pumpedEnd = base
    }

    // MARK: Viewers

    func attach(_ connection: Connection, _ request: AgentRequest.TerminalRequest) -> any Purpose {
        let viewer = TerminalViewer(number: nextViewer, terminal: self, connection: connection)
        nextViewer += 1
        viewers[viewer.number] = viewer
        connection.answer(["ok": true, "terminal": JSON(identity)])
        let nameless = request.viewer.isEmpty ? "connection-\(viewer.number)" : request.viewer
        if !session.isAlive { startShell() }
        session.attach(
            viewer.number, name: nameless, role: request.role, columns: request.columns, rows: request.rows, resume: request.resume,
            terminal: identity)
        applySize()
        pump()
        return viewer
    }

    func detach(_ viewer: TerminalViewer) {
        guard viewers.removeValue(forKey: viewer.number) != nil else { return }
        session.detach(viewer.number)
        applySize()
        pump()
    }

    /// A viewer's frame. The connection is closed on one that breaks the protocol.
    func received(_ frame: ArraySlice<UInt8>, from viewer: TerminalViewer) {
        do throws(TerminalSession.Violation) {
            guard let frame = ClientFrame(frame) else { throw .malformed }
            switch frame {
            case .input(let bytes):
                if try session.accept(bytes, from: viewer.number) {
                    if !session.isAlive { startShell() }
                    applySize()
                    writeInput()
                    checkForegroundSoon()
                }
            case .resize(let columns, let rows):
                session.resize(viewer.number, columns: columns, rows: rows)
                applySize()
            case .acknowledge(let offset):
                try session.acknowledge(viewer.number, offset: offset)
            }
        } catch {
            viewer.connection.send(ServerFrame.event(["type": "notice", "level": "error", "message": JSON(error.message)]))
            viewer.connection.closeWhenSent()
        }
    }

    private func applySize() {
        guard history.size != (session.columns, session.rows) else { return }
        history.resize(columns: session.columns, rows: session.rows, at: ring.end)
        if master >= 0 { PTYFiles.resize(master, columns: session.columns, rows: session.rows) }
    }

    // MARK: Output

    func ready(_ ready: PTYPoller.Interest) {
        if ready.contains(.writing) { writeInput() }
        if !ready.isDisjoint(with: [.reading, .hungUp, .failed]) { read() }
        if gatherTimer == nil { pump() }
    }

    private func read() {
        guard master >= 0 else { return }
        history.makeRoom(AgentLimits.turnBytes, in: ring)
        session.forgot(before: ring.start)
        let from = ring.end
        let reading = ring.fill(from: master, limitBytes: AgentLimits.turnBytes)
        if reading.count > 0 { took(from) }
        if reading.ended { unwatch() }
        gather(reading)
    }

    /// Decides whether what was read goes out now or with what follows.
    private func gather(_ reading: PTYReading) {
        let waiting = ring.end - pumpedEnd
        if reading.count < AgentLimits.floodBytes || reading.ended || waiting >= UInt64(AgentLimits.gatherBytes) || !session.mayRead {
            return stopGathering()
        }
        guard gatherTimer == nil else { return }
        gatherTimer = loop.after(AgentLimits.gatherSeconds) { [weak self] in
            guard let self else { return }
            gatherTimer = nil
            pump()
        }
    }

    private func stopGathering() {
        if let gatherTimer { loop.cancel(timer: gatherTimer) }
        gatherTimer = nil
    }

    /// Output from `from` on is in the ring.
    private func took(_ from: UInt64) {
        session.received(end: ring.end)
        var position = from
        if scanner.isAtGround {
            guard let escape = ring.firstEscape(in: from..<ring.end) else { return }
            position = escape
        }
        for (index, found) in scanner.scan(ring.bytes(position..<ring.end)) {
            session.found(found, at: position + UInt64(index))
            if found == .commandStart { checkForegroundSoon() }
        }
    }

    /// Adds output of the agent's own, such as what makes the screen usable again after a shell died.
    private func say(_ text: String) {
        let bytes = Array(text.utf8)
        history.makeRoom(bytes.count, in: ring)
        session.forgot(before: ring.start)
        let from = ring.end
        ring.append(bytes)
        took(from)
    }

    /// Sends every viewer what it may get and its socket takes, then sees whether the PTY may be read.
    func pump() {
        pumpAgain = true
        pumpedEnd = ring.end
        guard !isPumping else { return }
        isPumping = true
        // A viewer that is lost on the way gives the others something to hear.
        while pumpAgain {
            pumpAgain = false
            for (number, viewer) in viewers { send(number, viewer.connection) }
        }
        isPumping = false
        watch()
        if session.hasUntoldInput, appliedTimer == nil {
            appliedTimer = loop.after(0.2) { [weak self] in
                guard let self else { return }
                appliedTimer = nil
                session.tellApplied(step: 1)
                pump()
            }
        }
    }

    private func send(_ number: Int, _ connection: Connection) {
        while connection.isOpen, !connection.isBlocked, let output = session.next(for: number) {
            switch output {
            case .event(let event): connection.send(ServerFrame.event(event))
            case .snapshot(let offset): connection.send(ServerFrame.snapshot(offset, history.snapshot()))
            case .bytes(let range): connection.send(header: ServerFrame.outputHeader(range), range, of: ring)
            }
        }
    }

    // MARK: Input

    private func writeInput() {
        while master >= 0, let first = session.input.first {
            let written = PTYFiles.write(master, first.bytes)
            guard written > 0 else { break }
            session.wrote(written)
        }
        session.tellApplied(step: UInt64(AgentLimits.inputWindowBytes / 8))
        watch()
    }

    private func watch() {
        guard master >= 0 else { return }
        var wanted: PTYPoller.Interest = []
        if session.mayRead { wanted.insert(.reading) }
        if !session.input.isEmpty { wanted.insert(.writing) }
        // A PTY whose shell is gone reports a hang-up even to those who wait for nothing.
        if wanted.isEmpty { return unwatch() }
        if !isWatched {
            loop.watch(master, key: key, wanted, self)
        } else if wanted != interest {
            loop.change(master, key: key, wanted)
        }
        interest = wanted
        isWatched = true
    }

    private func unwatch() {
        guard isWatched else { return }
        loop.unwatch(master, key: key)
        isWatched = false
    }

    // MARK: Shell

    private func startShell() {
        do throws(PTYProblem) {
            if session.exitStatus != nil { say(ShellIntegration.freshScreen) }
            let pair = try PTYPair.open(columns: session.columns, rows: session.rows)
            defer { PTYFiles.close(pair.slave) }
            let command = ShellIntegration.command(runDirectory: loop.options.runDirectory)
            do throws(PTYProblem) {
                shell = try loop.start(command, on: .terminal(pair.slave)) { [weak self] status in self?.shellEnded(status) }
            } catch {
                PTYFiles.close(pair.master)
                throw error
            }
            master = pair.master
            scanner = EscapeScanner()
            session.shellStarted()
            session.received(end: ring.end)
            watch()
        } catch {
            session.emit(["type": "notice", "level": "error", "message": JSON(error.message)])
        }
    }

    private func shellEnded(_ status: Int) {
        // Its last words are in the PTY; a child that goes on writing is not waited for.
        for _ in 0..<(2 * AgentLimits.ringBytes / AgentLimits.turnBytes) where master >= 0 {
            let before = ring.end
            read()
            if ring.end == before { break }
        }
        closeMaster()
        session.shellEnded(status: status)
        pump()
    }

    private func closeMaster() {
        unwatch()
        stopGathering()
        PTYFiles.close(master)
        master = -1
        shell = -1
    }

    /// Ends the shell as a closed window would.
    func hangUp() {
        if shell > 0 { ReaperProcesses.signal(group: shell, .hangUp) }
        if master >= 0, let foreground = PTYFiles.foreground(master) { ReaperProcesses.signal(group: foreground, .hangUp) }
    }

    /// Takes the terminal away, shell and all.
    func remove() {
        hangUp()
        for viewer in viewers.values { viewer.connection.closeWhenSent() }
        closeMaster()
        loop.terminals[name] = nil
    }

    // MARK: Who holds the terminal

    /// Looks a moment after something was typed or started, since most commands are over by then.
    private func checkForegroundSoon(looks: Int = 3) {
        guard foregroundTimer == nil else { return }
        foregroundTimer = loop.after(0.1) { [weak self] in
            guard let self else { return }
            foregroundTimer = nil
            checkForeground(looks: looks)
        }
    }

    private func checkForeground(looks: Int) {
        guard master >= 0, let group = PTYFiles.foreground(master) else { return }
        // A builtin such as `read` or `wait` runs in the shell itself.
        let holds = group != shell || session.isRunning
        let program = holds ? ReaperFiles.processName(group) ?? "a program" : nil
        session.setForeground(program)
        // A child that has not become its program yet has the shell's name: look again.
        if program == "bash", looks > 1 { checkForegroundSoon(looks: looks - 1) }
        pump()
    }

    var status: JSON {
        var result: JSON = [
            "name": JSON(name), "columns": JSON(session.columns), "rows": JSON(session.rows), "viewers": JSON(session.viewerCount),
            "alive": JSON(session.isAlive), "title": JSON(session.title), "prompt": JSON(session.isAtPrompt),
        ]
        if let foreground = session.foreground { result["command"] = JSON(foreground) }
        return result
    }
}

/// One viewer's stream of frames.
final class TerminalViewer: Purpose {
    let number: Int
    let terminal: Terminal
    let connection: Connection

    init(number: Int, terminal: Terminal, connection: Connection) {
        self.number = number
        self.terminal = terminal
        self.connection = connection
    }

    func received(_ connection: Connection) {
        var index = 0
        let bytes = connection.incoming
        while connection.isOpen, bytes.count - index >= 4 {
            let length = bytes[index..<index + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length >= 1, length <= AgentLimits.inputFrameBytes + 1 else {
                connection.send(ServerFrame.event(["type": "notice", "level": "error", "message": "A frame has a length that cannot be."]))
                connection.closeWhenSent()
                break
            }
            guard bytes.count - index - 4 >= length else { break }
            terminal.received(bytes[index + 4..<index + 4 + length], from: self)
            index += 4 + length
        }
        if connection.isOpen, index > 0 { connection.incoming.removeFirst(index) }
        terminal.pump()
    }

    func drained(_ connection: Connection) { terminal.pump() }
    func closed(_ connection: Connection) { terminal.detach(self) }
}
