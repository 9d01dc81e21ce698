// The controllers of the host's orchestrator, run side by side. To add one, give it a file and a line in `run()`.
//
// May touch: the API only. Caller: the program.
package import ClusterClient
package import ClusterModel
package import Essentials

package struct ControllerManager: Sendable {
    private let client: ClusterClient
    private let schema: Schema
    private let clock: any WallClock

    package init(client: ClusterClient, schema: Schema = .host, clock: any WallClock = SystemClock()) {
        self.client = client
        self.schema = schema
        self.clock = clock
    }

    /// Runs until cancelled.
    package func run() async throws {
        let pods = Informer(client: client, resource: .pods)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pods.run() }
            group.addTask { try await SystemNamespaces(client: client).run() }
            group.addTask { try await NamespaceController(client: client, schema: schema, pods: pods).run() }
            group.addTask { try await QuotaController(client: client, pods: pods).run() }
            group.addTask { try await NodeLifecycleController(client: client, clock: clock).run() }
            group.addTask { try await EventCleaner(client: client, clock: clock).run() }
            try await group.next()
            group.cancelAll()
        }
    }
}
