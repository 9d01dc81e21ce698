// The loop as a Swift actor: jobs of `@WebLoop` code run on the one thread that owns libwebsockets.

/// The global actor of every socket. Its jobs run on the loop's thread, in order, and must not block.
@globalActor
package actor WebLoop {
    package static let shared = WebLoop()
}
