// Bodies that flow: the request body as a sequence of chunks, and the writer of a response body.

/// The body of a request: chunks as they come. Reading slowly slows the sender. For one consumer.
package final class RequestBody: AsyncSequence, Sendable {
    package typealias Element = [UInt8]

    package init(bytes: [UInt8] = []) {}

    package struct AsyncIterator: AsyncIteratorProtocol {
        /// The next chunk, nil at the end; throws `WebProblem`.
        package mutating func next() async throws(WebProblem) -> [UInt8]? { nil }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }

    /// The whole body; throws `.bodyTooLarge` as soon as it is known to exceed `limitBytes`.
    package func collect(limitBytes: Int) async throws(WebProblem) -> [UInt8] { [] }
}

/// Writes a streamed response body.
package final class HTTPBodyWriter: Sendable {
    init() {}
    /// Queues bytes; suspends while the client is behind, throws `WebProblem.peerGone` when it went away.
    package func write(_ bytes: [UInt8]) async throws(WebProblem) {}
    package func write(_ text: String) async throws(WebProblem) { try await write(Array(text.utf8)) }
}
