// Keeps what a ResourceQuota says is used up to date; admission counts for itself and does not wait for this.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct QuotaController: Sendable {
    /// Changes of a namespace within this time are counted once, in milliseconds.
    static let settleMilliseconds = 500

    private let client: ClusterClient
    private let pods: Informer
    private let quotas: Informer
    private let queue = WorkQueue()

    init(client: ClusterClient, pods: Informer) {
        self.client = client
        self.pods = pods
        quotas = Informer(client: client, resource: .resourceQuotas)
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await quotas.run() }
            group.addTask { for await change in quotas.changes() { note(change, always: true) } }
            group.addTask { for await change in pods.changes() { note(change, always: false) } }
            group.addTask { try await queue.run { try await count($0) } }
            try await group.next()
            group.cancelAll()
        }
    }

    private func note(_ change: InformerChange, always: Bool) {
        switch change {
        case .added(let object), .deleted(let object):
            if let name = object.metaNamespace { queue.add(name, afterMilliseconds: Self.settleMilliseconds) }
        case .modified(let object):
            // Of a pod's many changes only its end changes what it uses.
            guard always || PodUse.hasEnded(object), let name = object.metaNamespace else { return }
            queue.add(name, afterMilliseconds: Self.settleMilliseconds)
        }
    }

    private func count(_ namespace: String) async throws {
        let here = quotas.items().filter { $0.metaNamespace == namespace && !$0.isBeingDeleted }
        guard !here.isEmpty else { return }
        let use = PodUse.sum(pods.items().filter { $0.metaNamespace == namespace })
        for quota in here {
            let hard = quota["spec"]?["hard"] ?? .emptyObject
            var used: JSON = .emptyObject
            for name in hard.strings.keys.sorted() { used[name] = JSON(use[name].description) }
            let status: JSON = ["hard": hard, "used": used]
            if let old = quota["status"], old.isSame(as: status) { continue }
            do throws(ClusterProblem) {
                _ = try await client.patch(
                    .resourceQuotas, namespace: namespace, name: quota.metaName, .merge, ["status": status], subresource: "status")
            } catch {
                if !error.isNotFound { throw error }
            }
        }
    }
}
