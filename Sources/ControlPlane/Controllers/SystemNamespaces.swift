// Makes the namespaces that every cluster has, and makes them again when they are deleted.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct SystemNamespaces: Sendable {
    static let names = ["default", "kube-system", "kube-public", "kube-node-lease"]
    let client: ClusterClient

    func run() async throws {
        let namespaces = Informer(client: client, resource: .namespaces)
        let queue = WorkQueue()
        for name in Self.names { queue.add(name) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await namespaces.run() }
            group.addTask {
                for await change in namespaces.changes() {
                    if case .deleted(let namespace) = change, Self.names.contains(namespace.metaName) { queue.add(namespace.metaName) }
                }
            }
            group.addTask { try await queue.run { try await ensure($0) } }
            try await group.next()
            group.cancelAll()
        }
    }

    private func ensure(_ name: String) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            _ = try await client.get(.namespaces, name: name)
        } catch {
            guard error.isNotFound else { throw error }
            do throws(ClusterProblem) { _ = try await client.create(.namespaces, ["metadata": ["name": JSON(name)]]) } catch {
                if !error.isAlreadyExists { throw error }
            }
        }
    }
}
