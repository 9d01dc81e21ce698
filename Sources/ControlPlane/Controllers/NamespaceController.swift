// Empties a namespace that is being deleted, and removes it when nothing is left in it.
//
// Pods go first and in their own time: each stays until its node says that it is gone. Everything else follows, then the
// namespace. Each step is brought about by an event, so an empty lab is gone as soon as its last pod is.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct NamespaceController: Sendable {
    private let client: ClusterClient
    private let schema: Schema
    private let pods: Informer
    private let namespaces: Informer
    private let queue = WorkQueue()

    init(client: ClusterClient, schema: Schema, pods: Informer) {
        self.client = client
        self.schema = schema
        self.pods = pods
        namespaces = Informer(client: client, resource: .namespaces)
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await namespaces.run() }
            group.addTask {
                for await change in namespaces.changes() {
                    switch change {
                    case .added(let namespace), .modified(let namespace): if namespace.isBeingDeleted { queue.add(namespace.metaName) }
                    case .deleted: break
                    }
                }
            }
            group.addTask {
                for await change in pods.changes() {
                    guard case .deleted(let pod) = change, let name = pod.metaNamespace else { continue }
                    if namespaces.item(name: name)?.isBeingDeleted ?? false { queue.add(name) }
                }
            }
            group.addTask { try await queue.run(workers: 4) { try await empty($0) } }
            try await group.next()
            group.cancelAll()
        }
    }

    private func empty(_ name: String) async throws {
        let namespace: JSON
        do throws(ClusterProblem) { namespace = try await client.get(.namespaces, name: name) } catch {
            if error.isNotFound { return }
            throw error
        }
        guard namespace.isBeingDeleted else { return }
        let left = try await client.list(.pods, namespace: name).items
        for pod in left where !pod.isBeingDeleted {
            do throws(ClusterProblem) { try await client.delete(.pods, namespace: name, name: pod.metaName) } catch {
                if !error.isNotFound { throw error }
            }
        }
        // Pods that are still there bring this namespace back when they go; and one that went before the informer of pods
        // had its first list, as after a restart, is noticed a second later.
        guard try await client.list(.pods, namespace: name, options: ListOptions(limit: 1)).items.isEmpty else {
            queue.add(name, afterMilliseconds: 1_000)
            return
        }
        var waitsForFinalizers = false
        for kind in schema.kinds where kind.isNamespaced && kind.resource != .pods {
            guard try await !client.list(kind.resource, namespace: name, options: ListOptions(limit: 1)).items.isEmpty else { continue }
            try await client.deleteCollection(kind.resource, namespace: name)
            if try await !client.list(kind.resource, namespace: name, options: ListOptions(limit: 1)).items.isEmpty {
                waitsForFinalizers = true
            }
        }
        if waitsForFinalizers {
            queue.add(name, afterMilliseconds: 1_000)
            return
        }
        try await finalize(namespace)
    }

    private func finalize(_ namespace: JSON) async throws(ClusterProblem) {
        var object = namespace
        object["metadata"]?["resourceVersion"] = nil
        let finalizers = namespace["spec"]?["finalizers"]?.array ?? []
        object[path: ["spec", "finalizers"]] = .array(finalizers.filter { $0 != "kubernetes" })
        let request = APIRequest(
            method: "PUT", path: GroupVersionResource.namespaces.path(name: namespace.metaName, subresource: "finalize"), object: object,
            user: client.user)
        do throws(ClusterProblem) { _ = try await client.document(request) } catch {
            if !error.isNotFound { throw error }
        }
    }
}
