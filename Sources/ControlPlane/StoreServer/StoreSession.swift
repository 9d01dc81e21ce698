// One connection to the store's process: an API server that follows, or a probe that asks by HTTP.
internal import ClusterStore
internal import Essentials
internal import Web

@WebLoop
final class StoreSession: RawConnectionHandler {
    /// Bytes that may wait for a follower. It is cut off beyond, and catches up when it comes back.
    static let waitingLimitBytes = 32 << 20
    /// Rows read at a time while a follower catches up, and bytes that may wait meanwhile.
    private static let catchUpRows = 256
    private static let catchUpBytes = 512 << 10
    /// Bytes of a request of HTTP.
    private static let requestLimitBytes = 8 << 10

    private enum Phase {
        /// What comes is not clear yet.
        case opening([UInt8])
        case greeted
        /// Rows after this one have not been sent.
        case catchingUp(after: Int64)
        case current
    }

    private let server: StoreServer
    private let isProbe: Bool
    private var phase = Phase.opening([])
    private var reader = StoreFrameReader()
    private var connection: RawConnection?
    private(set) var isOver = false
    /// The client's name for itself, over connections.
    private(set) var client: UInt64 = 0

    init(server: StoreServer, isProbe: Bool) {
        self.server = server
        self.isProbe = isProbe
    }

    var isCurrent: Bool { if case .current = phase { !isOver } else { false } }

    func hangUp() {
        connection?.close()
        end()
    }

    private func end() {
        isOver = true
        connection = nil
        server.forget(self)
    }

    func ended(_ connection: RawConnection) {
        connection.close()
        end()
    }

    func closed(_ connection: RawConnection, error: String?) {
        if case .opening = phase, let error { server.noteRefused(error) }
        end()
    }

    func drained(_ connection: RawConnection) { if case .catchingUp = phase { catchUp() } }

    func send(_ bytes: [UInt8]) {
        guard let connection, !bytes.isEmpty else { return }
        connection.send(bytes)
        if connection.bufferedBytes > Self.waitingLimitBytes { hangUp() }
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        // Ended before it said anything.
        if isOver { return connection.close() }
        self.connection = connection
        guard case .opening(let before) = phase else { return receive(bytes) }
        let all = before + bytes
        let greeting = StoreProtocol.greeting
        if !isProbe, all.starts(with: greeting) {
            phase = .greeted
            return receive(all[greeting.count...])
        }
        phase = .opening(all)
        if all.count > Self.requestLimitBytes { return hangUp() }
        if let answer = StoreProbe.answer(all, server) {
            connection.send(answer)
            // A short answer is in the socket now; a client that does not read loses it.
            hangUp()
        }
    }

    private func receive(_ bytes: some Collection<UInt8>) {
        reader.add(bytes)
        while !isOver {
            switch reader.next() {
            case .incomplete: return
            case .broken: return hangUp()
            case .frame(let frame): if !take(frame) { return hangUp() }
            }
        }
    }

    private func take(_ frame: StoreFrame) -> Bool {
        switch (frame, phase) {
        case (.hello(let client, let since, let identity), .greeted):
            self.client = client
            server.endOthers(of: client, than: self)
            let isKnown = identity == server.identity && since >= server.compacted && since <= server.newest
            var bytes: [UInt8] = []
            StoreFrame.welcome(
                compacted: server.compacted, newest: server.newest, isWhole: !isKnown, identity: server.identity
            ).encode(into: &bytes)
            send(bytes)
            phase = .catchingUp(after: isKnown ? since : 0)
            catchUp()
        case (.write(let write), .current): server.enqueue(write, from: self)
        default: return false
        }
        return true
    }

    /// Sends rows as far as the client takes them; at the end it is current.
    private func catchUp() {
        while let connection, connection.bufferedBytes < Self.catchUpBytes, case .catchingUp(let after) = phase {
            let rows: [RevisionRow]
            do throws(StoreProblem) {
                rows = try server.table.rows(after: after, limitRows: Self.catchUpRows, limitBytes: Self.catchUpBytes)
            } catch {
                return hangUp()
            }
            var bytes: [UInt8] = []
            if let last = rows.last {
                for row in rows { StoreFrame.row(row).encode(into: &bytes) }
                phase = .catchingUp(after: last.id)
            } else {
                StoreFrame.current(revision: server.newest).encode(into: &bytes)
                phase = .current
            }
            send(bytes)
        }
    }
}
