// One client of the agent: reads the JSON line that says what the stream is for, and hands over.
internal import Essentials
internal import Kernel

/// What a stream does once it is open.
protocol Purpose: AnyObject {
    /// More bytes are in `connection.incoming`; takes what it can use.
    func received(_ connection: Connection)
    /// Everything that waited was sent.
    func drained(_ connection: Connection)
    /// The client is gone, or will send no more.
    func closed(_ connection: Connection)
}

final class Connection: LoopSource {
    let key: UInt64
    let descriptor: Int32
    unowned let loop: AgentLoop
    /// Bytes that have come and were not used yet.
    var incoming: [UInt8] = []
    /// Bytes that the socket has not taken yet.
    private(set) var waiting: [UInt8] = []
    private var waitingFrom = 0
    private(set) var isOpen = true
    private var purpose: (any Purpose)?
    private var closesWhenSent = false
    private var interest: PTYPoller.Interest = .reading
    private var deadline: UInt64?

    init(descriptor: Int32, loop: AgentLoop) {
        self.descriptor = descriptor
        self.loop = loop
        key = loop.newKey()
        loop.watch(descriptor, key: key, .reading, self)
        deadline = loop.after(AgentLimits.headerSeconds) { [weak self] in
            self?.refuse("HeaderTimeout", "The stream did not say what it is for.")
        }
    }

    var isBlocked: Bool { waitingFrom < waiting.count }

    func ready(_ ready: PTYPoller.Interest) {
        if ready.contains(.writing), isOpen { flush() }
        if !ready.isDisjoint(with: [.reading, .hungUp, .failed]), isOpen,
            interest.contains(.reading) || ready.contains(.failed) || ready.contains(.hungUp)
        {
            read()
        }
    }

    private func read() {
        switch PTYFiles.read(descriptor, limitBytes: 64 << 10) {
        case .nothing: return
        case .ended:
            close()
        case .bytes(let bytes):
            if incoming.isEmpty { incoming = bytes } else { incoming += bytes }
            if let purpose { purpose.received(self) } else { readHeader() }
        }
    }

    private func readHeader() {
        guard let end = incoming.firstIndex(of: 0x0A) else {
            if incoming.count > AgentLimits.headerBytes {
                refuse("HeaderTooLarge", "The first line is longer than \(AgentLimits.headerBytes) bytes.")
            }
            return
        }
        let line = Array(incoming[..<end])
        incoming.removeFirst(end + 1)
        guard line.count <= AgentLimits.headerBytes else {
            return refuse("HeaderTooLarge", "The first line is longer than \(AgentLimits.headerBytes) bytes.")
        }
        if let deadline { loop.cancel(timer: deadline) }
        deadline = nil
        do {
            let header = try JSON(parsing: line)
            purpose = try AgentRequest.open(header, on: self)
        } catch let problem as any Problem {
            return refuse(problem.reason, problem.message)
        } catch {
            return refuse("BadRequest", "The first line was not understood.")
        }
        if isOpen { purpose?.received(self) }
    }

    // MARK: Sending

    func answer(_ json: JSON) { send(json.bytes + [0x0A]) }

    /// Says no, and closes.
    func refuse(_ reason: String, _ message: String) {
        answer(["ok": false, "reason": JSON(reason), "message": JSON(message)])
        closeWhenSent()
    }

    func send(_ bytes: [UInt8]) {
        guard isOpen else { return }
        if isBlocked {
            waiting += bytes
            return
        }
        let written = PTYFiles.write(descriptor, bytes)
        if written < 0 { return lost() }
        if written < bytes.count { hold(bytes, from: written) }
    }

    /// Sends a frame whose body ends with bytes of the ring.
    func send(header: [UInt8], _ range: Range<UInt64>, of ring: PTYRing) {
        guard isOpen else { return }
        let sent = isBlocked ? 0 : ring.send(header: header, range, to: descriptor)
        if sent < 0 { return lost() }
        if sent == header.count + range.count { return }
        // The ring may forget these bytes before the socket takes them.
        if sent < header.count {
            hold(header + ring.bytes(range), from: sent)
        } else {
            hold(ring.bytes(range.lowerBound + UInt64(sent - header.count)..<range.upperBound), from: 0)
        }
    }

    private func hold(_ bytes: [UInt8], from index: Int) {
        if isBlocked { waiting += bytes[index...] } else { (waiting, waitingFrom) = (bytes, index) }
        setInterest(interest.union(.writing))
    }

    private func flush() {
        if isBlocked {
            let written = PTYFiles.write(descriptor, waiting, from: waitingFrom)
            if written < 0 { return lost() }
            waitingFrom += written
        }
        guard !isBlocked else { return }
        (waiting, waitingFrom) = ([], 0)
        setInterest(interest.subtracting(.writing))
        if closesWhenSent { return close() }
        purpose?.drained(self)
    }

    private func lost() {
        close()
    }

    func closeWhenSent() {
        guard isOpen else { return }
        closesWhenSent = true
        setInterest(interest.subtracting(.reading))
        if !isBlocked { close() }
    }

    private func setInterest(_ new: PTYPoller.Interest) {
        guard isOpen, new != interest else { return }
        interest = new
        loop.change(descriptor, key: key, new)
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        if let deadline { loop.cancel(timer: deadline) }
        loop.unwatch(descriptor, key: key)
        PTYFiles.close(descriptor)
        loop.forget(self)
        let purpose = self.purpose
        self.purpose = nil
        purpose?.closed(self)
    }
}
