// Empties a lab's namespace that is being deleted, of every kind the server knows, and says in its status what is left.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

/// What was found in a namespace that is to go.
struct NamespaceRemains: Equatable, Sendable {
    /// Objects left, by resource as `pods.` or `widgets.example.org` names it.
    var counts: [String: Int] = [:]
    /// How many objects wait for a finalizer.
    var finalizers: [String: Int] = [:]
    var discoveryProblem: String?
    var deletionProblems: [String] = []

    var isEmpty: Bool { counts.isEmpty && discoveryProblem == nil && deletionProblems.isEmpty }

    mutating func add(_ other: NamespaceRemains) {
        counts.merge(other.counts, uniquingKeysWith: +)
        finalizers.merge(other.finalizers, uniquingKeysWith: +)
        deletionProblems += other.deletionProblems
    }

    /// The namespace's conditions that tell of it.
    func conditions(_ status: JSON, at now: Timestamp) -> [JSON] {
        var conditions = Conditions(status)
        func say(_ type: String, _ isBad: Bool, bad: String, good: String, _ badText: String, _ goodText: String) {
            // A text that changes is told too.
            if isBad, conditions.find(type)?["message"]?.string != badText { conditions.remove(type) }
            conditions.set(type, isBad ? "True" : "False", isBad ? bad : good, isBad ? badText : goodText, at: now)
        }
        say(
            "NamespaceDeletionDiscoveryFailure", discoveryProblem != nil, bad: "DiscoveryFailed", good: "ResourcesDiscovered",
            "Discovery failed for some groups, 1 failing: " + (discoveryProblem ?? ""), "All resources successfully discovered")
        say(
            "NamespaceDeletionGroupVersionParsingFailure", false, bad: "GroupVersionParsingFailed", good: "ParsedGroupVersions", "",
            "All legacy kube types successfully parsed")
        say(
            "NamespaceDeletionContentFailure", !deletionProblems.isEmpty, bad: "ContentDeletionFailed", good: "ContentDeleted",
            "Failed to delete all resource types, \(deletionProblems.count) remaining: " + deletionProblems.joined(separator: ", "),
            "All content successfully deleted, may be waiting on finalization")
        let left = counts.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value) resource instances" }
        say(
            "NamespaceContentRemaining", !counts.isEmpty, bad: "SomeResourcesRemain", good: "ContentRemoved",
            "Some resources are remaining: " + left.joined(separator: ", "), "All content successfully removed")
        let waiting = finalizers.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) resource instances" }
        say(
            "NamespaceFinalizersRemaining", !finalizers.isEmpty, bad: "SomeFinalizersRemain", good: "ContentHasNoFinalizers",
            "Some content in the namespace has finalizers remaining: " + waiting.joined(separator: ", "),
            "All content-preserving finalizers finished")
        return conditions.list
    }
}

struct NamespaceLifecycle: Controller {
    /// Pauses before a namespace with something left in it is looked at again, in milliseconds.
    static let pausesMilliseconds = [50, 100, 250, 500, 1_000, 2_000, 5_000]

    private let context: ControllerContext
    private let discovery: ClusterDiscovery
    private let namespaces: Informer
    private let pods: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        discovery = ClusterDiscovery(client: context.client)
        namespaces = context.informers.informer(.namespaces)
        pods = context.informers.informer(.pods)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 4, caches: [namespaces, pods],
            feeds: [
                {
                    for await change in namespaces.changes() {
                        if case .deleted = change { continue }
                        if change.object.isBeingDeleted { queue.add(change.object.metaName) }
                    }
                    try Task.checkCancellation()
                },
                {
                    // The last pod's end is what a namespace usually waits for.
                    for await change in pods.changes() {
                        guard case .deleted(let pod) = change, let name = pod.metaNamespace else { continue }
                        if namespaces.item(name: name)?.isBeingDeleted ?? false { queue.add(name) }
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { try await empty($0) }
    }

    private func empty(_ name: String) async throws {
        for pause in Self.pausesMilliseconds {
            if try await emptyOnce(name) { return }
            if pods.items().contains(where: { $0.metaNamespace == name }) { break }
            try await Task.sleep(for: .milliseconds(pause))
        }
        queue.add(name, afterMilliseconds: Self.pausesMilliseconds.last ?? 1_000)
    }

    /// Whether there is nothing more to do.
    private func emptyOnce(_ name: String) async throws(ClusterProblem) -> Bool {
        let namespace: JSON
        do throws(ClusterProblem) { namespace = try await context.client.get(.namespaces, name: name) } catch {
            if error.isNotFound { return true }
            throw error
        }
        guard namespace.isBeingDeleted else { return true }
        let finalizers = (namespace["spec"]?["finalizers"]?.array ?? []).compactMap(\.string)
        guard finalizers.contains("kubernetes") else { return true }
        let remains = try await remains(name)
        var status = namespace["status"] ?? .emptyObject
        status["phase"] = "Terminating"
        status["conditions"] = JSON(remains.conditions(status, at: context.clock.now()))
        if !remains.isEmpty {
            do throws(ClusterProblem) { try await context.setStatus(.namespaces, of: namespace, to: status) } catch {
                if !error.isConflict, !error.isNotFound { throw error }
            }
            return false
        }
        var object = namespace
        object["metadata"]?["resourceVersion"] = nil
        object[path: ["spec", "finalizers"]] = JSON(finalizers.filter { $0 != "kubernetes" })
        let request = APIRequest(
            method: "PUT", path: GroupVersionResource.namespaces.path(name: name, subresource: "finalize"), object: object,
            user: context.client.user)
        do throws(ClusterProblem) { _ = try await context.client.document(request) } catch {
            if !error.isNotFound { throw error }
        }
        return true
    }

    /// Deletes what there is; answers with what stays for now.
    private func remains(_ namespace: String) async throws(ClusterProblem) -> NamespaceRemains {
        var served: [ServedResource] = []
        var remains = NamespaceRemains()
        do throws(ClusterProblem) {
            discovery.invalidate()
            served = try await discovery.stored().filter { $0.isNamespaced } + [Self.eventResource]
        } catch {
            remains.discoveryProblem = error.message
        }
        let found = await withTaskGroup(of: NamespaceRemains.self) { group in
            var sum = NamespaceRemains()
            var running = 0
            for resource in served {
                if running == 8, let part = await group.next() {
                    sum.add(part)
                    running -= 1
                }
                running += 1
                group.addTask { await clear(resource, namespace) }
            }
            for await part in group { sum.add(part) }
            return sum
        }
        remains.add(found)
        return remains
    }

    private static let eventResource = ServedResource(
        resource: .events, kind: "Event", isNamespaced: true, verbs: ["list", "delete", "deletecollection", "watch"])

    private func clear(_ served: ServedResource, _ namespace: String) async -> NamespaceRemains {
        var remains = NamespaceRemains()
        do throws(ClusterProblem) {
            let resource = served.resource
            let first = try await context.client.list(resource, namespace: namespace, options: ListOptions(limit: 1))
            if first.items.isEmpty { return remains }
            if served.verbs.contains("deletecollection") {
                try await context.client.deleteCollection(
                    resource, namespace: namespace, options: DeleteOptions(propagationPolicy: "Background"))
            } else {
                for object in try await context.client.list(resource, namespace: namespace).items {
                    try await context.delete(resource, object, policy: "Background")
                }
            }
            let left = try await context.client.list(resource, namespace: namespace).items
            guard !left.isEmpty else { return remains }
            remains.counts[resource.resource + "." + resource.group] = left.count
            for object in left { for finalizer in object.metaFinalizers { remains.finalizers[finalizer, default: 0] += 1 } }
        } catch {
            if error.code != 404, error.code != 405 { remains.deletionProblems.append(error.message) }
        }
        return remains
    }
}
