// Says on each node how long a kubelet may keep secrets and config maps before it asks again, which grows with the cluster.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct NodeTTL: Controller {
    static let annotation = "node.alpha.kubernetes.io/ttl"
    private let context: ControllerContext
    private let nodes: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(.nodes)
    }

    static func seconds(nodes: Int) -> Int {
        switch nodes {
        case ...100: 0
        case ...500: 15
        case ...1000: 30
        default: 60
        }
    }

    func run() async throws {
        try await reconcile(queue, workers: 1, caches: [nodes], feeds: [nodes.feed(queue)]) { try await sync($0) }
    }

    private func sync(_ name: String) async throws(ClusterProblem) {
        let wanted = String(Self.seconds(nodes: nodes.items().count))
        guard let node = nodes.item(name: name), node.metaAnnotations[Self.annotation] != wanted else { return }
        do throws(ClusterProblem) {
            try await context.patch(.nodes, node, as: .merge, ["metadata": ["annotations": [Self.annotation: JSON(wanted)]]])
        } catch {
            if !error.isNotFound { throw error }
        }
    }
}
