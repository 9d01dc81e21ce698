// Keeps the resolver's picture of the cluster's names as services, endpoints and namespaces change.
package import ClusterClient
internal import ClusterModel
internal import Essentials

package final class ClusterNamesLoop: Sendable {
    /// Changes that come within this time are taken in at once.
    static let gatherMilliseconds = 5

    private let services: Informer
    private let slices: Informer
    private let namespaces: Informer
    private let resolver: NameResolver

    package init(client: ClusterClient, resolver: NameResolver) {
        services = Informer(client: client, resource: .services)
        slices = Informer(client: client, resource: .endpointSlices)
        namespaces = Informer(client: client, resource: .namespaces)
        self.resolver = resolver
    }

    /// Runs until cancelled.
    package func run() async throws {
        let (kicks, kick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for informer in [services, slices, namespaces] {
                let changes = informer.changes()
                group.addTask { try await informer.run() }
                group.addTask { for await _ in changes { kick.yield() } }
            }
            group.addTask {
                for informer in [self.services, self.slices, self.namespaces] { await informer.waitForSync() }
                self.take()
                for await _ in kicks {
                    try await Task.sleep(for: .milliseconds(Self.gatherMilliseconds))
                    self.take()
                }
            }
            try await group.waitForAll()
        }
    }

    private func take() {
        let names = ServiceNames(services: services.items(), slices: slices.items(), namespaces: namespaces.items().map(\.metaName))
        resolver.use(names, serial: UInt32(truncatingIfNeeded: SystemClock().now().seconds))
    }
}
