// Creates and deletes the pods of an owner, and tells of it in events.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct PodMaker: Sendable {
    /// The first batch of a slow start; each batch that succeeds is followed by one of twice its size.
    static let firstBatchPods = 1
    /// Pods created or deleted in one go.
    static let burstPods = 500

    let context: ControllerContext
    let events: EventWriter
    let kind: OwnerKind

    /// The pod that a template describes.
    static func pod(from template: JSON, owner: JSON, kind: OwnerKind) -> JSON {
        var metadata: JSON = ["generateName": JSON(owner.metaName + "-"), "namespace": JSON(owner.metaNamespace)]
        for part in ["labels", "annotations", "finalizers"] {
            if let value = template["metadata"]?[part], !value.isNull { metadata[part] = value }
        }
        metadata["ownerReferences"] = [kind.controllerReference(to: owner)]
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.spec]
    }

    /// Creates a pod; tells of success and failure.
    func create(_ pod: JSON, for owner: JSON) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            let created = try await context.create(.pods, pod)
            events.record("Normal", "SuccessfulCreate", "Created pod: \(created.metaName)", about: owner)
        } catch {
            if !error.isNamespaceTerminating {
                events.record("Warning", "FailedCreate", "Error creating: \(error.message)", about: owner)
            }
            throw error
        }
    }

    /// Creates all pods, one at first, then ever more at once, so that a mistake that concerns all costs few requests.
    func slowStart(_ pods: [JSON], for owner: JSON) async throws(ClusterProblem) {
        var rest = pods[...]
        var size = Self.firstBatchPods
        while !rest.isEmpty {
            let batch = rest.prefix(size)
            rest = rest.dropFirst(size)
            try await inParallel(Array(batch)) { (pod) throws(ClusterProblem) in try await create(pod, for: owner) }
            size *= 2
        }
    }

    /// Deletes a pod; one that is gone already is fine.
    func delete(_ pod: JSON, of owner: JSON) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            guard try await context.delete(.pods, pod) else { return }
            events.record("Normal", "SuccessfulDelete", "Deleted pod: \(pod.metaName)", about: owner)
        } catch {
            events.record("Warning", "FailedDelete", "Error deleting: \(error.message)", about: owner)
            throw error
        }
    }

    func deleteAll(_ pods: [JSON], of owner: JSON) async throws(ClusterProblem) {
        try await inParallel(pods) { (pod) throws(ClusterProblem) in try await delete(pod, of: owner) }
    }
}

/// Requests of one controller that are under way at the same time.
let parallelLimitRequests = 16

/// Does all at once, up to a limit; throws the first problem after all have ended.
func inParallel<Item: Sendable>(
    _ items: [Item], _ work: @escaping @Sendable (Item) async throws(ClusterProblem) -> Void
) async throws(ClusterProblem) {
    if items.count == 1 { return try await work(items[0]) }
    let problem = await withTaskGroup(of: ClusterProblem?.self) { group in
        var problem: ClusterProblem?
        var running = 0
        for item in items {
            if running == parallelLimitRequests, let result = await group.next() {
                running -= 1
                problem = problem ?? result
            }
            running += 1
            group.addTask {
                do throws(ClusterProblem) {
                    try await work(item)
                    return nil
                } catch {
                    return error
                }
            }
        }
        for await result in group { problem = problem ?? result }
        return problem
    }
    if let problem { throw problem }
}

extension ClusterProblem {
    /// The namespace is going, so nothing can be created there any more.
    var isNamespaceTerminating: Bool { causes.contains { $0.reason == "NamespaceTerminating" } }
}
