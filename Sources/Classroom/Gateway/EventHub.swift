// Live events: one WebSocket per page, told of its lab, of warnings, and of lessons that changed.
internal import Accounts
internal import Essentials
internal import Labs
internal import Web

@WebLoop
final class EventHub: Sendable {
    static let subprotocol = "lectern.events.v1"
    /// Page sockets at once; past it new ones are refused.
    static let socketLimit = 20_000
    /// A page that is this far behind is closed; it comes back and reads everything anew.
    static let bufferLimitBytes = 256 << 10

    private var sockets: [ObjectIdentifier: EventSocket] = [:]

    nonisolated init() {}

    var count: Int { sockets.count }
    var isFull: Bool { sockets.count >= Self.socketLimit }

    func add(_ socket: EventSocket) { sockets[ObjectIdentifier(socket)] = socket }
    func remove(_ socket: EventSocket) { sockets[ObjectIdentifier(socket)] = nil }

    /// The labs some page shows.
    func watchedLabs() -> Set<String> { Set(sockets.values.compactMap(\.lab)) }

    func tell(_ change: LabChange) {
        switch change {
        case .changed(let lab):
            let text = (["type": "lab", "lab": lab.json] as JSON).text
            for socket in sockets.values {
                if socket.lab == lab.id || socket.account.id == lab.owner { socket.send(text) }
                if socket.account.role.isStaff { socket.send(#"{"type":"labs"}"#) }
            }
        case .warning(let lab, let minutes):
            let text = (["type": "warning", "lab": JSON(lab.id), "minutesLeft": JSON(minutes)] as JSON).text
            for socket in sockets.values where socket.lab == lab.id || socket.account.id == lab.owner { socket.send(text) }
        }
    }

    func tell(workshop name: String) {
        let text = (["type": "workshop", "name": JSON(name)] as JSON).text
        for socket in sockets.values { socket.send(text) }
    }

    func keepAlive() async throws {
        while true {
            try await Task.sleep(for: .seconds(20))
            for socket in sockets.values { socket.send(#"{"type":"ping"}"#) }
        }
    }
}

@WebLoop
final class EventSocket: WebSocketHandler {
    let account: Account
    let lab: String?
    private let first: [String]
    private let hub: EventHub
    private var socket: WebSocket?

    init(account: Account, lab: String?, first: [String], hub: EventHub) {
        self.account = account
        self.lab = lab
        self.first = first
        self.hub = hub
    }

    func opened(_ socket: WebSocket) {
        self.socket = socket
        hub.add(self)
        for text in first { socket.send(text: text) }
    }

    func closed(_ socket: WebSocket, code: UInt16?) {
        self.socket = nil
        hub.remove(self)
    }

    func send(_ text: String) {
        guard let socket else { return }
        guard socket.bufferedBytes < EventHub.bufferLimitBytes else {
            socket.close(code: 1013, reason: "too slow")
            return
        }
        socket.send(text: text)
    }
}
