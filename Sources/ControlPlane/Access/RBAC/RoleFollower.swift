// Follows roles and bindings in the API and keeps the index of them; fills in the rules of aggregated roles.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging
internal import Synchronization

final class RoleFollower: Sendable {
    private let client: ClusterClient
    private let clusterRoles: Informer
    private let roles: Informer
    private let clusterBindings: Informer
    private let bindings: Informer
    private let current = Mutex<RoleIndex?>(nil)
    private let log = Logger(label: "access")

    init(client: ClusterClient) {
        self.client = client
        clusterRoles = Informer(client: client, resource: .clusterRoles)
        roles = Informer(client: client, resource: .roles)
        clusterBindings = Informer(client: client, resource: .clusterRoleBindings)
        bindings = Informer(client: client, resource: .roleBindings)
    }

    private var all: [Informer] { [clusterRoles, roles, clusterBindings, bindings] }

    /// Worked out again at the first question after a change.
    var index: RoleIndex {
        if let known = current.withLock({ $0 }) { return known }
        let fresh = RoleIndex(
            clusterRoles: clusterRoles.items(), roles: roles.items(), clusterBindings: clusterBindings.items(), bindings: bindings.items())
        current.withLock { $0 = fresh }
        return fresh
    }

    func waitForSync() async {
        for informer in all { await informer.waitForSync() }
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for informer in all {
                group.addTask { try await informer.run() }
                group.addTask { [self] in
                    for await _ in informer.changes() { current.withLock { $0 = nil } }
                }
            }
            group.addTask { [self] in
                for await change in clusterRoles.changes() {
                    if case .deleted = change { continue }
                    await aggregate(after: change.object)
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Writes the rules of aggregated roles that the changed role is part of, or of itself.
    private func aggregate(after changed: JSON) async {
        let all = clusterRoles.items()
        for role in all {
            guard let selectors = Aggregation.selectors(role) else { continue }
            guard role.metaName == changed.metaName || selectors.contains(where: { $0.matches(labelsOf: changed) }) else { continue }
            let rules = Aggregation.rules(role, all).map(\.document)
            guard role["rules"]?.array ?? [] != rules else { continue }
            var object = role
            object["rules"] = JSON(rules)
            do throws(ClusterProblem) { _ = try await client.update(.clusterRoles, object) } catch {
                // Someone else was faster; their change comes here too.
                if !error.isConflict { log.warning("aggregated role not written", metadata: ["cause": "\(error.message)"]) }
            }
        }
    }
}
