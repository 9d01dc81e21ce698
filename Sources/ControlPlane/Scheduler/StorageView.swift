// Claims, volumes and their classes, watched from the first pod on that has a claim.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

final class StorageView: Sendable {
    private let client: ClusterClient
    private let shared: SharedInformers
    private let first: AsyncStream<Void>
    private let input: AsyncStream<Void>.Continuation

    init(client: ClusterClient) {
        self.client = client
        shared = SharedInformers(client: client)
        (first, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Watches once someone has asked for claims; `changed` is called when a claim or a volume has changed.
    func run(_ changed: @escaping @Sendable () -> Void) async throws {
        for await _ in first { break }
        try Task.checkCancellation()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.shared.run() }
            for resource in [GroupVersionResource.persistentVolumeClaims, .persistentVolumes, .storageClasses] {
                group.addTask { for await _ in self.shared.informer(resource).changes() { changed() } }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    func claims(of pod: PodFacts) async -> [ClaimFacts] {
        let claims = shared.informer(.persistentVolumeClaims)
        let volumes = shared.informer(.persistentVolumes)
        let classes = shared.informer(.storageClasses)
        input.yield()
        await claims.waitForSync()
        await volumes.waitForSync()
        await classes.waitForSync()
        return pod.claims.map { name in
            let claim = claims.item(namespace: pod.namespace, name: name)
            var storageClass: JSON?
            if let className = claim?["spec"]?["storageClassName"]?.string, !className.isEmpty {
                storageClass = classes.item(name: className)
            }
            return ClaimFacts(name, claim, volumes: volumes.items(), storageClass: storageClass)
        }
    }

    /// Tells the controllers of volumes which volume a claim is to get, or on which node a new one is wanted.
    func prepare(_ choice: [String: String?], for pod: PodFacts, node: String) async throws(ClusterProblem) {
        for (name, volume) in choice.sorted(by: { $0.key < $1.key }) {
            guard let claim = shared.informer(.persistentVolumeClaims).item(namespace: pod.namespace, name: name) else { continue }
            if let volume {
                let reference: JSON = [
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": JSON(pod.namespace), "name": JSON(name),
                    "uid": JSON(claim.metaUID),
                ]
                _ = try await client.patch(
                    .persistentVolumes, name: volume, .merge,
                    [
                        "metadata": ["annotations": ["pv.kubernetes.io/bound-by-controller": "yes"]],
                        "spec": ["claimRef": reference],
                    ])
            } else if claim.metaAnnotations[ClaimFacts.selectedNode] != node {
                _ = try await client.patch(
                    .persistentVolumeClaims, namespace: pod.namespace, name: name, .merge,
                    ["metadata": ["annotations": JSON([ClaimFacts.selectedNode: node])]])
            }
        }
    }
}
