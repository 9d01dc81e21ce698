// Carries the streams of one exec or attach between a client and a kubelet.
internal import ClusterWire
internal import Crypto
internal import Essentials
internal import Web

/// One end of a relay.
@WebLoop
final class RelayEnd: RawConnectionHandler {
    private let onBytes: @WebLoop ([UInt8]) -> Void
    private let onDrained: @WebLoop () -> Void
    private let onEnd: @WebLoop (String?) -> Void

    init(
        bytes: @escaping @WebLoop ([UInt8]) -> Void, drained: @escaping @WebLoop () -> Void, end: @escaping @WebLoop (String?) -> Void
    ) {
        onBytes = bytes
        onDrained = drained
        onEnd = end
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) { onBytes(bytes) }
    func drained(_ connection: RawConnection) { onDrained() }
    func ended(_ connection: RawConnection) { onEnd(nil) }
    func closed(_ connection: RawConnection, error: String?) { onEnd(error) }
}

/// What a client's bytes mean for an exec.
@WebLoop
protocol ExecClient: AnyObject {
    /// Frames for the kubelet; `nil` ends the relay.
    func decode(_ bytes: [UInt8]) -> [StreamFrame]?
    /// The client's form of a frame.
    func encode(_ frame: StreamFrame) -> [UInt8]
    /// What the client's protocol itself has to say, after `decode`.
    func takeOutput() -> [UInt8]
    /// Whether the client has opened all it asked for; nothing ends before.
    var isReady: Bool { get }
    /// The last bytes: every stream ends with them.
    func finish(_ outcome: [UInt8]) -> [UInt8]
}

@WebLoop
final class ExecRelay {
    /// Bytes that may wait for one side before the other is not read from.
    static let waitingLimitBytes = 256 << 10

    private let client: any ExecClient
    private let endsChannels: Bool
    private var clientConnection: RawConnection?
    private var nodeConnection: RawConnection?
    private var reader = StreamFrameReader()
    /// The outcome, while the client still opens its streams.
    private var outcome: [UInt8]?
    private var isOver = false
    private var hasOutcome = false

    init(form: ClientForm, options: StreamOptions) {
        endsChannels = form.endsChannels
        switch form {
        case .webSocket(_, let isBase64): client = WebSocketExecClient(isBase64: isBase64, hasStatus: form.hasStatus, options: options)
        case .spdy: client = SPDYExecClient(hasStatus: form.hasStatus, options: options)
        }
    }

    func attach(node connection: RawConnection) -> any RawConnectionHandler {
        nodeConnection = connection
        // Until the client's connection is upgraded nobody could take what comes.
        connection.pauseReading()
        return RelayEnd(
            bytes: { self.fromNode($0) }, drained: { self.clientConnection?.resumeReading() }, end: { _ in self.nodeEnded() })
    }

    func attach(client connection: RawConnection) -> any RawConnectionHandler {
        clientConnection = connection
        let greeting = client.takeOutput()
        if !greeting.isEmpty { connection.send(greeting) }
        nodeConnection?.resumeReading()
        return RelayEnd(
            bytes: { self.fromClient($0) }, drained: { self.nodeConnection?.resumeReading() }, end: { _ in self.close() })
    }

    private func fromClient(_ bytes: [UInt8]) {
        guard !isOver else { return }
        guard let frames = client.decode(bytes) else { return close() }
        for frame in frames { nodeConnection?.send(frame.encoded) }
        let output = client.takeOutput()
        if !output.isEmpty { clientConnection?.send(output) }
        if let outcome, client.isReady { return finish(outcome) }
        if let nodeConnection, nodeConnection.bufferedBytes > Self.waitingLimitBytes { clientConnection?.pauseReading() }
    }

    private func fromNode(_ bytes: [UInt8]) {
        guard !isOver, let clientConnection else { return }
        for frame in reader.receive(bytes) {
            if frame.channel == StreamFrame.outcome {
                hasOutcome = true
                finish(frame.bytes)
                return
            }
            let encoded = client.encode(frame)
            if !encoded.isEmpty { clientConnection.send(encoded) }
        }
        if reader.hasFailed { return nodeEnded() }
        if clientConnection.bufferedBytes > Self.waitingLimitBytes { nodeConnection?.pauseReading() }
    }

    private func nodeEnded() {
        guard !isOver, !hasOutcome else { return }
        let status: JSON = [
            "metadata": .emptyObject, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": "Internal error occurred: the connection to the node ended before the process did",
        ]
        finish(status.bytes)
    }

    private func finish(_ outcome: [UInt8]) {
        guard !isOver else { return }
        guard client.isReady else {
            self.outcome = outcome
            return
        }
        isOver = true
        nodeConnection?.close()
        nodeConnection = nil
        clientConnection?.send(client.finish(outcome))
        clientConnection?.shutdownWrite()
    }

    private func close() {
        isOver = true
        nodeConnection?.close()
        nodeConnection = nil
        clientConnection?.close()
        clientConnection = nil
    }
}

/// `channel.k8s.io`: each message begins with the number of its channel.
@WebLoop
private final class WebSocketExecClient: ExecClient {
    private let isBase64: Bool
    private let hasStatus: Bool
    private var codec = WebSocketCodec()
    private var output: [UInt8] = []

    init(isBase64: Bool, hasStatus: Bool, options: StreamOptions) {
        self.isBase64 = isBase64
        self.hasStatus = hasStatus
        // An empty message on the first channel that can be written tells clients that the connection stands.
        let first = options.stdout ? StreamFrame.stdout : options.stderr ? StreamFrame.stderr : StreamFrame.outcome
        output = encode(StreamFrame(channel: first, bytes: []))
    }

    func decode(_ bytes: [UInt8]) -> [StreamFrame]? {
        var frames: [StreamFrame] = []
        for event in codec.receive(bytes) {
            switch event {
            case .binary(let message), .text(let message):
                if message.isEmpty { continue }
                guard let frame = ChannelMessages.decode(message, isBase64: isBase64) else { return nil }
                frames.append(frame)
            case .ping(let content): output += WebSocketCodec.pong(content)
            case .close, .failed: return nil
            }
        }
        return frames
    }

    func encode(_ frame: StreamFrame) -> [UInt8] {
        ChannelMessages.encode(frame, isBase64: isBase64)
    }

    var isReady: Bool { true }

    func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    func finish(_ outcome: [UInt8]) -> [UInt8] {
        let text = hasStatus ? outcome : OutcomeText.plain(outcome)
        let last = text.isEmpty ? [] : encode(StreamFrame(channel: StreamFrame.outcome, bytes: text))
        return last + WebSocketCodec.close(1000)
    }
}

/// Messages whose first byte, or digit, is the number of their channel.
enum ChannelMessages {
    static func decode(_ message: [UInt8], isBase64: Bool) -> StreamFrame? {
        guard let first = message.first else { return nil }
        guard isBase64 else { return StreamFrame(channel: first, bytes: Array(message.dropFirst())) }
        guard (0x30...0x39).contains(first), let content = Base64.decode(String(decoding: message.dropFirst(), as: UTF8.self)) else {
            return nil
        }
        return StreamFrame(channel: first - 0x30, bytes: content)
    }

    static func encode(_ frame: StreamFrame, isBase64: Bool) -> [UInt8] {
        guard isBase64 else { return WebSocketCodec.binary([frame.channel] + frame.bytes) }
        return WebSocketCodec.text([frame.channel + 0x30] + Array(Base64.encode(frame.bytes).utf8))
    }
}

/// What clients of before version 4 are told: nothing, or a sentence.
enum OutcomeText {
    static func plain(_ outcome: [UInt8]) -> [UInt8] {
        guard let status = try? JSON(parsing: outcome), status["status"] != "Success" else { return [] }
        return Array((status["message"]?.string ?? "").utf8)
    }
}

/// SPDY: a stream for each channel, which the client opens.
@WebLoop
private final class SPDYExecClient: ExecClient {
    private static let channels: [String: UInt8] = [
        "stdin": StreamFrame.stdin, "stdout": StreamFrame.stdout, "stderr": StreamFrame.stderr, "error": StreamFrame.outcome,
        "resize": StreamFrame.resize,
    ]

    private let hasStatus: Bool
    private let session = SPDYSession()
    private var channelOf: [UInt32: UInt8] = [:]
    private var streamOf: [UInt8: UInt32] = [:]
    private let expected: Set<UInt8>
    /// What was printed on streams that are not open yet.
    private var early: [StreamFrame] = []
    private var output: [UInt8] = []

    init(hasStatus: Bool, options: StreamOptions) {
        self.hasStatus = hasStatus
        expected = Set(
            [StreamFrame.outcome] + (options.stdin ? [StreamFrame.stdin] : []) + (options.stdout ? [StreamFrame.stdout] : [])
                + (options.stderr ? [StreamFrame.stderr] : []))
    }

    var isReady: Bool { expected.isSubset(of: streamOf.keys) }

    func decode(_ bytes: [UInt8]) -> [StreamFrame]? {
        var frames: [StreamFrame] = []
        for event in session.receive(bytes) {
            switch event {
            case .opened(let stream, let headers, let isFinished):
                guard let channel = Self.channels[headers["streamtype"] ?? ""], streamOf[channel] == nil else {
                    output += session.reset(stream)
                    continue
                }
                channelOf[stream] = channel
                streamOf[channel] = stream
                output += session.reply(to: stream)
                if isFinished { frames.append(StreamFrame(channel: StreamFrame.end, bytes: [channel])) }
                let waiting = early.filter { $0.channel == channel }
                early.removeAll { $0.channel == channel }
                for frame in waiting { output += session.data(frame.bytes, on: stream) }
            case .data(let stream, let bytes, let isFinished):
                guard let channel = channelOf[stream] else { continue }
                if !bytes.isEmpty { frames.append(StreamFrame(channel: channel, bytes: bytes)) }
                if isFinished, channel == StreamFrame.stdin { frames.append(StreamFrame(channel: StreamFrame.end, bytes: [channel])) }
            case .reset(let stream):
                if let channel = channelOf.removeValue(forKey: stream) {
                    streamOf[channel] = nil
                    if channel == StreamFrame.stdin { frames.append(StreamFrame(channel: StreamFrame.end, bytes: [channel])) }
                }
            case .goAway: continue
            case .failed: return nil
            }
        }
        return frames
    }

    func encode(_ frame: StreamFrame) -> [UInt8] {
        guard let stream = streamOf[frame.channel] else {
            if expected.contains(frame.channel), !isReady { early.append(frame) }
            return []
        }
        return session.data(frame.bytes, on: stream)
    }

    func takeOutput() -> [UInt8] {
        defer { output = [] }
        return session.takeOutput() + output
    }

    func finish(_ outcome: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        for channel in [StreamFrame.stdout, StreamFrame.stderr] {
            if let stream = streamOf[channel] { bytes += session.data([], on: stream, isFinished: true) }
        }
        if let stream = streamOf[StreamFrame.outcome] {
            bytes += session.data(hasStatus ? outcome : OutcomeText.plain(outcome), on: stream, isFinished: true)
        }
        return bytes
    }
}
