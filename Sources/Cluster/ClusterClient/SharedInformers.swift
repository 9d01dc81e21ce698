// One informer a resource for all parts of a process, so that a kind is listed, watched and kept once.
package import ClusterModel
internal import Synchronization

package final class SharedInformers: Sendable {
    private struct State {
        var informers: [GroupVersionResource: Informer] = [:]
        var fresh: [Informer] = []
    }

    private let client: ClusterClient
    private let state = Mutex(State())
    private let arrivals: AsyncStream<Void>
    private let bell: AsyncStream<Void>.Continuation

    package init(client: ClusterClient) {
        self.client = client
        (arrivals, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The informer of the resource. Its first list comes when `run` does.
    package func informer(_ resource: GroupVersionResource) -> Informer {
        state.withLock { state in
            if let informer = state.informers[resource] { return informer }
            let informer = Informer(client: client, resource: resource)
            state.informers[resource] = informer
            state.fresh.append(informer)
            bell.yield()
            return informer
        }
    }

    /// The informer of the resource, where some part of the process has asked for it.
    package func existing(_ resource: GroupVersionResource) -> Informer? { state.withLock { $0.informers[resource] } }

    /// Runs all informers, those that are asked for later too, until cancelled.
    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for await _ in arrivals {
                let fresh = state.withLock { state in
                    defer { state.fresh = [] }
                    return state.fresh
                }
                for informer in fresh { group.addTask { try await informer.run() } }
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }
}
