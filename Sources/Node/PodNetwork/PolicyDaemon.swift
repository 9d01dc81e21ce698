// Keeps the node's packet rules as the network policies say. While there is no policy it watches nothing else.
package import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging

package final class PolicyDaemon: Sendable {
    /// Changes that come within this time are made in one step.
    static let gatherMilliseconds = 5

    private let policies: Informer
    private let pods: Informer
    private let namespaces: Informer
    private let nodeName: String
    private let filter: PacketFilter
    private let log = Logger(label: "policy")

    /// `nodeName`: nil for this machine's name. `networkNamespace`: nil for the caller's own; tests say which.
    package init(client: ClusterClient, nodeName: String?, networkNamespace: String? = nil) {
        policies = Informer(client: client, resource: .networkPolicies)
        pods = Informer(client: client, resource: .pods)
        namespaces = Informer(client: client, resource: .namespaces)
        self.nodeName = nodeName ?? LinuxKernel.hostname
        filter = PacketFilter(table: PolicyCompiler.table, in: networkNamespace)
    }

    /// Runs until cancelled. The rules stay.
    package func run() async throws {
        let (kicks, kick) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = try Readiness.shared?.watchLoss(of: filter) { kick.yield() }
        defer { if let watch { Readiness.shared?.cancel(watch) } }
        let changes = policies.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.policies.run() }
            group.addTask {
                for await _ in kicks {
                    try await Task.sleep(for: .milliseconds(Self.gatherMilliseconds))
                    self.apply()
                }
            }
            await policies.waitForSync()
            var isWatching = false
            if policies.items().isEmpty { kick.yield() }
            for await _ in changes {
                if !isWatching, !policies.items().isEmpty {
                    isWatching = true
                    for informer in [pods, namespaces] {
                        let changes = informer.changes()
                        group.addTask { try await informer.run() }
                        group.addTask { for await _ in changes { kick.yield() } }
                        await informer.waitForSync()
                    }
                }
                kick.yield()
            }
            kick.finish()
            try await group.waitForAll()
        }
    }

    private func apply() {
        let policies = policies.items()
        do throws(KernelProblem) {
            var labels: [String: [String: String]] = [:]
            for namespace in namespaces.items() { labels[namespace.metaName] = namespace.metaLabels }
            var compiler = PolicyCompiler(
                policies: policies, pods: pods.items().compactMap { PolicyPod($0) }, namespaces: labels, node: nodeName)
            if let table = compiler.compile() {
                guard try filter.apply(table) else { return }
                log.info("rules changed", metadata: ["policies": "\(policies.count)", "chains": "\(table.chains.count - 2)"])
            } else {
                try filter.remove()
            }
        } catch {
            log.error("rules not changed", metadata: ["cause": "\(error)"])
        }
    }
}
