// Turns a watch answer, in bytes or in documents, into one stream of events.
internal import ClusterModel
internal import Essentials

enum WatchStream {
    /// A line longer than this ends the watch.
    static let lineLimitBytes = 16 * 1024 * 1024
    /// Events a slow reader may be behind; beyond that the watch ends with 410 and the reader lists again.
    static let bufferLimitEvents = 4096

    static func open(_ request: APIRequest, over transport: any ClusterTransport) -> AsyncThrowingStream<WatchEvent, any Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingOldest(bufferLimitEvents)) { continuation in
            let pump = Task {
                do throws(ClusterProblem) {
                    try await run(request, over: transport, into: continuation)
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in pump.cancel() }
        }
    }

    private typealias Continuation = AsyncThrowingStream<WatchEvent, any Error>.Continuation

    private static func run(
        _ request: APIRequest, over transport: any ClusterTransport, into continuation: Continuation
    ) async throws(ClusterProblem) {
        let response = await transport.send(request)
        switch response.body {
        case .events(let events):
            do {
                for try await event in events { try yield(event, into: continuation) }
            } catch {
                throw error as? ClusterProblem ?? .internalError(String(describing: error))
            }
        case .stream(let chunks):
            var lines = LineSplitter()
            for await chunk in chunks {
                for line in try lines.add(chunk) { try yield(event(fromLine: line), into: continuation) }
            }
        case .bytes(let bytes): throw ClusterProblem(status: (try? JSON(parsing: bytes)) ?? .null, httpStatus: response.status)
        case .object(let object): throw ClusterProblem(status: object, httpStatus: response.status)
        }
    }

    private static func yield(_ event: WatchEvent, into continuation: Continuation) throws(ClusterProblem) {
        if case .dropped = continuation.yield(event) {
            throw .expired("The watch was ended because its reader is more than \(bufferLimitEvents) events behind.")
        }
    }

    private static func event(fromLine line: [UInt8]) throws(ClusterProblem) -> WatchEvent {
        guard let document = try? JSON(parsing: line), let type = document["type"]?.string, let object = document["object"] else {
            throw .internalError("a line of the watch is no event")
        }
        if type == "ERROR" { throw ClusterProblem(status: object, httpStatus: 500) }
        guard let kind = WatchEvent.Kind(rawValue: type) else { throw .internalError("a watch event has an unknown type") }
        return WatchEvent(kind: kind, object: object)
    }
}

/// Cuts a stream of chunks at line ends.
struct LineSplitter {
    private var rest: [UInt8] = []

    mutating func add(_ chunk: [UInt8]) throws(ClusterProblem) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for part in chunk.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            if part.offset > 0 {
                if !rest.isEmpty { lines.append(rest) }
                rest = []
            }
            rest.append(contentsOf: part.element)
        }
        guard rest.count <= WatchStream.lineLimitBytes else { throw .internalError("a line of the watch is too long") }
        return lines
    }
}
