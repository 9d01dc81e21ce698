// The kubelet's end of exec, attach and port-forward: an upgraded connection from the API server to a process in a pod.
internal import ClusterWire
internal import Essentials
internal import Pods
package import Web

package struct PodStreamServer: KubeletStreams {
    package init() {}

    /// Answers `/exec`, `/attach` and `/portForward`; `nil` where the path is none of them. The caller has checked who asks.
    package func upgrade(_ request: HTTPRequest, kubelet: NodeKubelet) async -> WireUpgrade? {
        let runtime = kubelet.runtime
        let parts = request.path.split(separator: "/").map { percentDecoded($0) }
        guard parts.count >= 3, ["exec", "attach", "portForward"].contains(parts[0]) else { return nil }
        guard let uid = kubelet.podUID(namespace: parts[1], name: parts[2]) else {
            return .refuse(.text("pod does not exist\n", status: 404))
        }
        do {
            if parts[0] == "portForward" {
                guard let port = request.queryValue("port").flatMap({ UInt16($0) }), port > 0 else {
                    return .refuse(.text("the port is missing or no number\n", status: 400))
                }
                return try await forward(uid, port, runtime)
            }
            guard parts.count == 4 else { return .refuse(.text("the container's name is missing\n", status: 400)) }
            func flag(_ name: String) -> Bool { ["true", "1"].contains(request.queryValue(name) ?? "") }
            let streams: any ContainerStreams
            if parts[0] == "exec" {
                let command = request.query.filter { $0.0 == "command" }.map(\.1)
                guard !command.isEmpty else {
                    return .refuse(.text("you must specify at least 1 command for the container\n", status: 400))
                }
                streams = try await runtime.exec(
                    podUID: uid, container: parts[3], command: command, terminal: flag("tty"), stdin: flag("stdin"))
            } else {
                streams = try await runtime.attach(podUID: uid, container: parts[3], stdin: flag("stdin"))
            }
            return .accept(HTTPHeaders([("connection", "upgrade"), ("upgrade", StreamFrameReader.upgrade)])) { connection in
                let pump = StreamPump(connection, streams, isExec: parts[0] == "exec")
                pump.start()
                return pump
            }
        } catch {
            let problem = error as? PodRuntimeProblem
            return .refuse(.text((problem?.message ?? "\(error)") + "\n", status: problem?.reason == "NotFound" ? 404 : 500))
        }
    }

    private func forward(_ uid: String, _ port: UInt16, _ runtime: any PodRuntime) async throws -> WireUpgrade {
        let socket = try await runtime.openPort(podUID: uid, port: port)
        return .accept(HTTPHeaders([("connection", "upgrade"), ("upgrade", StreamFrameReader.portUpgrade)])) { connection in
            let pair = ConnectionPair()
            pair.join(connection, socket)
            return pair.first
        }
    }
}

/// Carries a process' streams over one connection until either ends.
@WebLoop
private final class StreamPump: RawConnectionHandler {
    /// Bytes for the process, or for the client, that may wait before the other side is made to.
    private static let waitingLimitBytes = 256 << 10

    private enum Input: Sendable {
        case bytes([UInt8])
        case end
        case size(Int, Int)
    }

    private let connection: RawConnection
    private let streams: any ContainerStreams
    private let isExec: Bool
    private var reader = StreamFrameReader()
    private let inputs: AsyncStream<Input>
    private let input: AsyncStream<Input>.Continuation
    private var waitingBytes = 0
    private var isPaused = false
    private var room: CheckedContinuation<Void, Never>?
    private var tasks: [Task<Void, Never>] = []
    private var isOver = false
    private var farewell: Task<Void, Never>?

    init(_ connection: RawConnection, _ streams: any ContainerStreams, isExec: Bool) {
        self.connection = connection
        self.streams = streams
        self.isExec = isExec
        // What waits is counted in bytes, and reading stops above the limit.
        (inputs, input) = AsyncStream.makeStream()
    }

    func start() {
        tasks.append(Task { await self.pumpInput() })
        tasks.append(Task { await self.pumpOutput() })
    }

    private func pumpInput() async {
        for await next in inputs {
            switch next {
            case .bytes(let bytes):
                await streams.write(bytes)
                waitingBytes -= bytes.count
                if isPaused, waitingBytes < Self.waitingLimitBytes / 2 {
                    isPaused = false
                    connection.resumeReading()
                }
            case .end: await streams.closeInput()
            case .size(let columns, let rows): await streams.resize(columns: columns, rows: rows)
            }
        }
    }

    private func pumpOutput() async {
        for await (channel, bytes) in streams.output {
            guard connection.isOpen else { break }
            connection.send(StreamFrame(channel: channel, bytes: bytes).encoded)
            if connection.bufferedBytes > Self.waitingLimitBytes { await withCheckedContinuation { room = $0 } }
        }
        guard connection.isOpen, !isOver else { return }
        // Attaching succeeds however the container ended; clients ask the Pod about that.
        let code = isExec ? await streams.exitCode() : 0
        guard connection.isOpen, !isOver else { return }
        connection.send(StreamFrame(channel: StreamFrame.outcome, bytes: Self.outcome(code).bytes).encoded)
        connection.shutdownWrite()
        end()
    }

    /// The end of a process as a `Status`, in upstream's words.
    private static func outcome(_ code: Int) -> JSON {
        if code == 0 { return ["metadata": .emptyObject, "status": "Success"] }
        return [
            "metadata": .emptyObject, "status": "Failure",
            "message": JSON("command terminated with non-zero exit code: exit status \(code)"),
            "reason": "NonZeroExitCode", "details": ["causes": [["reason": "ExitCode", "message": JSON(String(code))]]],
        ]
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        for frame in reader.receive(bytes) {
            switch frame.channel {
            case StreamFrame.stdin:
                waitingBytes += frame.bytes.count
                input.yield(.bytes(frame.bytes))
            case StreamFrame.resize:
                guard let size = try? JSON(parsing: frame.bytes), let columns = size["Width"]?.int, let rows = size["Height"]?.int else {
                    continue
                }
                input.yield(.size(min(max(columns, 1), 1000), min(max(rows, 1), 1000)))
            case StreamFrame.end: if frame.bytes.first == StreamFrame.stdin { input.yield(.end) }
            default: continue
            }
        }
        if reader.hasFailed { return closed(connection, error: nil) }
        if !isPaused, waitingBytes > Self.waitingLimitBytes {
            isPaused = true
            connection.pauseReading()
        }
    }

    func drained(_ connection: RawConnection) {
        room?.resume()
        room = nil
    }

    func ended(_ connection: RawConnection) { closed(connection, error: nil) }

    func closed(_ connection: RawConnection, error: String?) {
        connection.close()
        end()
    }

    private func end() {
        guard !isOver else { return }
        isOver = true
        input.finish()
        room?.resume()
        room = nil
        let streams = streams
        let tasks = tasks
        self.tasks = []
        farewell = Task {
            await streams.close()
            for task in tasks { task.cancel() }
        }
    }
}
