// port-forward: many connections over one of the client's, each to a connection of its own to the kubelet.
internal import ClusterModel
internal import ClusterWire
internal import Essentials
internal import Web

/// One forwarded connection on the kubelet's side. What comes before it is there waits.
@WebLoop
final class ForwardLink {
    typealias Opening = Task<Void, Never>

    private(set) var connection: RawConnection?
    private var early: [UInt8] = []
    private var hasEnded = false
    private var isClosed = false

    func attach(_ connection: RawConnection) {
        guard !isClosed else { return connection.close() }
        self.connection = connection
        if !early.isEmpty { connection.send(early) }
        early = []
        if hasEnded { connection.shutdownWrite() }
    }

    func send(_ bytes: [UInt8]) {
        if let connection { connection.send(bytes) } else { early += bytes }
    }

    var waitingBytes: Int { (connection?.bufferedBytes ?? 0) + early.count }

    func end() {
        hasEnded = true
        connection?.shutdownWrite()
    }

    func close() {
        isClosed = true
        connection?.close()
        connection = nil
    }

    /// Connects in a task of its own; `failed` says why not.
    func open(
        _ kubelet: HTTPSession, _ target: String, received: @escaping @WebLoop ([UInt8]) -> Void, ended: @escaping @WebLoop () -> Void,
        drained: @escaping @WebLoop () -> Void, failed: @escaping @WebLoop (String) -> Void
    ) -> Opening {
        return Task {
            do throws(WebProblem) {
                let answer = try await kubelet.upgrade(PodStreams.asking(target, StreamFrameReader.portUpgrade)) { connection in
                    self.attach(connection)
                    return RelayEnd(bytes: received, drained: drained, end: { _ in ended() })
                }
                if answer.status != 101 { failed(PodStreams.problem(answer).message) }
            } catch {
                failed(error.message)
            }
        }
    }
}

/// SPDY, plain or inside a WebSocket: a data and an error stream for each connection.
@WebLoop
final class ForwardRelay {
    private let isTunnelled: Bool
    private let kubelet: HTTPSession
    private let place: String
    private let session = SPDYSession()
    private var codec = WebSocketCodec()
    private var connection: RawConnection?
    private var links: [UInt32: ForwardLink] = [:]
    /// Error streams by the request they belong to.
    private var errors: [String: UInt32] = [:]
    private var requestOf: [UInt32: String] = [:]
    private var tasks: [UInt32: Task<Void, Never>] = [:]

    init(isTunnelled: Bool, kubelet: HTTPSession, place: String) {
        self.isTunnelled = isTunnelled
        self.kubelet = kubelet
        self.place = place
    }

    func attach(_ connection: RawConnection) -> any RawConnectionHandler {
        self.connection = connection
        return RelayEnd(
            bytes: { self.received($0) },
            drained: { for link in self.links.values { link.connection?.resumeReading() } }, end: { _ in self.close() })
    }

    private func received(_ bytes: [UInt8]) {
        guard isTunnelled else { return take(bytes) }
        for event in codec.receive(bytes) {
            switch event {
            case .binary(let message), .text(let message): take(message)
            case .ping(let content): connection?.send(WebSocketCodec.pong(content))
            case .close, .failed: return close()
            }
        }
    }

    private func send(_ bytes: [UInt8]) {
        guard let connection, !bytes.isEmpty else { return }
        connection.send(isTunnelled ? WebSocketCodec.binary(bytes) : bytes)
        guard connection.bufferedBytes > ExecRelay.waitingLimitBytes else { return }
        for link in links.values { link.connection?.pauseReading() }
    }

    private func take(_ bytes: [UInt8]) {
        for event in session.receive(bytes) {
            switch event {
            case .opened(let stream, let headers, let isFinished): opened(stream, headers, isFinished)
            case .data(let stream, let bytes, let isFinished):
                guard let link = links[stream] else { continue }
                if !bytes.isEmpty { link.send(bytes) }
                if isFinished { link.end() }
                if link.waitingBytes > ExecRelay.waitingLimitBytes { connection?.pauseReading() }
            case .reset(let stream): drop(stream)
            case .goAway: continue
            case .failed: return close()
            }
        }
        send(session.takeOutput())
    }

    private func opened(_ stream: UInt32, _ headers: [String: String], _ isFinished: Bool) {
        let request = headers["requestid"] ?? headers["port"] ?? ""
        switch headers["streamtype"] {
        case "error":
            errors[request] = stream
            requestOf[stream] = request
            send(session.reply(to: stream))
        case "data":
            guard let port = headers["port"].flatMap({ UInt16($0) }), port > 0 else { return send(session.reset(stream)) }
            requestOf[stream] = request
            send(session.reply(to: stream))
            let link = ForwardLink()
            links[stream] = link
            if isFinished { link.end() }
            tasks[stream] = link.open(
                kubelet, place + String(port),
                received: { bytes in self.send(self.session.data(bytes, on: stream)) },
                ended: { self.finish(stream, error: nil) }, drained: { self.connection?.resumeReading() },
                failed: { why in
                    self.finish(
                        stream, error: "an error occurred forwarding \(port) -> \(port): error forwarding port \(port) to pod: \(why)")
                })
        default: send(session.reset(stream))
        }
    }

    /// The pod's side of a connection has ended.
    private func finish(_ stream: UInt32, error: String?) {
        guard let link = links.removeValue(forKey: stream) else { return }
        tasks[stream] = nil
        link.close()
        if let request = requestOf.removeValue(forKey: stream), let other = errors.removeValue(forKey: request) {
            requestOf[other] = nil
            send(session.data(Array((error ?? "").utf8), on: other, isFinished: true))
            session.forget(other)
        }
        send(session.data([], on: stream, isFinished: true))
        session.forget(stream)
        connection?.resumeReading()
    }

    private func drop(_ stream: UInt32) {
        tasks.removeValue(forKey: stream)?.cancel()
        links.removeValue(forKey: stream)?.close()
        if let request = requestOf.removeValue(forKey: stream), errors[request] == stream { errors[request] = nil }
    }

    private func close() {
        for task in tasks.values { task.cancel() }
        tasks = [:]
        for link in links.values { link.close() }
        links = [:]
        connection?.close()
        connection = nil
    }
}

/// `v4.channel.k8s.io`: the ports are named beforehand, two channels for each.
@WebLoop
final class ChannelForwardRelay {
    private let ports: [UInt16]
    private let isBase64: Bool
    private let kubelet: HTTPSession
    private let place: String
    private var codec = WebSocketCodec()
    private var connection: RawConnection?
    private var links: [ForwardLink] = []
    private var tasks: [Task<Void, Never>] = []
    private var alive = 0

    init(ports: [UInt16], isBase64: Bool, kubelet: HTTPSession, place: String) {
        self.ports = Array(ports.prefix(Self.portLimit))
        self.isBase64 = isBase64
        self.kubelet = kubelet
        self.place = place
    }

    private static let portLimit = 64

    func attach(_ connection: RawConnection) -> any RawConnectionHandler {
        self.connection = connection
        for (index, port) in ports.enumerated() {
            let link = ForwardLink()
            links.append(link)
            alive += 1
            let number = [UInt8(port & 255), UInt8(port >> 8)]
            send(number, channel: index * 2)
            send(number, channel: index * 2 + 1)
            tasks.append(
                link.open(
                    kubelet, place + String(port), received: { self.send($0, channel: index * 2) }, ended: { self.over(index) },
                    drained: { self.connection?.resumeReading() },
                    failed: { why in
                        self.send(Array("error forwarding port \(port) to pod: \(why)".utf8), channel: index * 2 + 1)
                        self.over(index)
                    }))
        }
        return RelayEnd(
            bytes: { self.received($0) },
            drained: { for link in self.links { link.connection?.resumeReading() } }, end: { _ in self.close() })
    }

    private func send(_ bytes: [UInt8], channel: Int) {
        guard let connection else { return }
        let frame = StreamFrame(channel: UInt8(channel), bytes: bytes)
        connection.send(ChannelMessages.encode(frame, isBase64: isBase64))
        if connection.bufferedBytes > ExecRelay.waitingLimitBytes { for link in links { link.connection?.pauseReading() } }
    }

    private func received(_ bytes: [UInt8]) {
        for event in codec.receive(bytes) {
            switch event {
            case .binary(let message), .text(let message):
                guard let frame = ChannelMessages.decode(message, isBase64: isBase64) else { continue }
                guard frame.channel % 2 == 0, links.indices.contains(Int(frame.channel) / 2) else { continue }
                let link = links[Int(frame.channel) / 2]
                link.send(frame.bytes)
                if link.waitingBytes > ExecRelay.waitingLimitBytes { connection?.pauseReading() }
            case .ping(let content): connection?.send(WebSocketCodec.pong(content))
            case .close, .failed: return close()
            }
        }
    }

    private func over(_ index: Int) {
        links[index].close()
        alive -= 1
        guard alive == 0, let connection else { return }
        connection.send(WebSocketCodec.close(1000))
        connection.shutdownWrite()
    }

    private func close() {
        for task in tasks { task.cancel() }
        for link in links { link.close() }
        connection?.close()
        connection = nil
    }
}
