// A watch as a sequence of events, whether its answer comes in bytes or in documents. No task and no buffer of its own.
package import ClusterModel
internal import Essentials

package struct WatchSequence: AsyncSequence, Sendable {
    package typealias Element = WatchEvent
    package typealias Failure = any Error

    /// A line longer than this ends the watch.
    static let lineLimitBytes = 16 * 1024 * 1024

    let request: APIRequest
    let transport: any ClusterTransport

    package func makeAsyncIterator() -> Iterator { Iterator(request: request, transport: transport) }

    package struct Iterator: AsyncIteratorProtocol {
        private enum State {
            case unopened(APIRequest, any ClusterTransport)
            case events(AsyncStream<Result<WatchEvent, ClusterProblem>>.Iterator)
            case lines(AsyncStream<[UInt8]>.Iterator, LineSplitter)
            case ended
        }
        private var state: State

        init(request: APIRequest, transport: any ClusterTransport) { state = .unopened(request, transport) }

        package mutating func next() async throws -> WatchEvent? {
            do throws(ClusterProblem) {
                return try await step()
            } catch {
                state = .ended
                throw error
            }
        }

        private mutating func step() async throws(ClusterProblem) -> WatchEvent? {
            while true {
                switch state {
                case .ended: return nil
                case .unopened(let request, let transport):
                    let response = await transport.send(request)
                    switch response.body {
                    case .events(let events): state = .events(events.makeAsyncIterator())
                    case .stream(let chunks): state = .lines(chunks.makeAsyncIterator(), LineSplitter())
                    case .bytes(let bytes): throw ClusterProblem(status: (try? JSON(parsing: bytes)) ?? .null, httpStatus: response.status)
                    case .object(let object): throw ClusterProblem(status: object, httpStatus: response.status)
                    }
                case .events(var events):
                    let result = await events.next()
                    state = .events(events)
                    return try result?.get()
                case .lines(var chunks, var splitter):
                    if let line = splitter.next() {
                        state = .lines(chunks, splitter)
                        return try Self.event(fromLine: line)
                    }
                    guard let chunk = await chunks.next() else {
                        state = .ended
                        return nil
                    }
                    try splitter.add(chunk)
                    state = .lines(chunks, splitter)
                }
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
}

/// Cuts a stream of chunks at line ends; empty lines are skipped.
struct LineSplitter {
    private var buffer: [UInt8] = []
    private var start = 0
    private var searched = 0

    mutating func add(_ chunk: [UInt8]) throws(ClusterProblem) {
        if start > 0 {
            buffer.removeFirst(start)
            searched -= start
            start = 0
        }
        buffer.append(contentsOf: chunk)
        guard buffer.count <= WatchSequence.lineLimitBytes else { throw .internalError("a line of the watch is too long") }
    }

    mutating func next() -> [UInt8]? {
        while let end = buffer[searched...].firstIndex(of: 0x0A) {
            let line = Array(buffer[start..<end])
            start = end + 1
            searched = start
            if !line.isEmpty { return line }
        }
        searched = buffer.count
        return nil
    }
}
