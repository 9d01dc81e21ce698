// Who owns which dependent: by reference first, and orphans whose labels match are taken in.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

enum Claim: Equatable {
    case keep, adopt, release, ignore

    /// What an owner does about an object of the kind it owns.
    static func decide(_ dependent: JSON, owner: JSON, selector: LabelSelector) -> Claim {
        if let controller = dependent.controllerUID {
            guard controller == owner.metaUID else { return .ignore }
            if selector.matches(labelsOf: dependent) { return .keep }
            return owner.isBeingDeleted ? .ignore : .release
        }
        if owner.isBeingDeleted || dependent.isBeingDeleted || !selector.matches(labelsOf: dependent) { return .ignore }
        return .adopt
    }
}

/// The dependents of one kind (pods, say) as owners of another kind see them.
struct Ownership: Sendable {
    static let byController = "controller"
    static let orphans = "orphans"

    let context: ControllerContext
    let kind: OwnerKind
    let resource: GroupVersionResource
    let dependents: Informer
    /// Adopted dependents get this finalizer, and lose it when they are let go.
    let finalizer: String?

    init(_ context: ControllerContext, of resource: GroupVersionResource, by kind: OwnerKind, finalizer: String? = nil) {
        self.context = context
        self.kind = kind
        self.resource = resource
        self.finalizer = finalizer
        dependents = context.informers.informer(resource)
        dependents.addIndex(Self.byController) { $0.controllerUID.map { [$0] } ?? [] }
        dependents.addIndex(Self.orphans) { $0.controllerUID == nil ? [$0.metaNamespace ?? ""] : [] }
    }

    func owned(by uid: String) -> [JSON] { dependents.items(index: Self.byController, value: uid) }

    /// The owner's dependents, after orphans that match were adopted and those that no longer match were let go.
    func claim(_ owner: JSON, _ selector: LabelSelector, where isWanted: (JSON) -> Bool = { _ in true }) async throws(ClusterProblem)
        -> [JSON]
    {
        var claimed: [JSON] = []
        let orphans = owner.isBeingDeleted ? [] : dependents.items(index: Self.orphans, value: owner.metaNamespace ?? "")
        var mayAdopt: Bool?
        for dependent in owned(by: owner.metaUID) + orphans where isWanted(dependent) {
            switch Claim.decide(dependent, owner: owner, selector: selector) {
            case .ignore: continue
            case .keep: claimed.append(dependent)
            case .release: try await release(dependent, from: owner)
            case .adopt:
                if mayAdopt == nil { mayAdopt = try await stillThere(owner) }
                if mayAdopt ?? false, let adopted = try await adopt(dependent, owner) { claimed.append(adopted) }
            }
        }
        return claimed
    }

    /// The cache may be behind: who adopts asks the server first.
    private func stillThere(_ owner: JSON) async throws(ClusterProblem) -> Bool {
        do throws(ClusterProblem) {
            let fresh = try await context.client.get(kind.resource, namespace: owner.metaNamespace, name: owner.metaName)
            return fresh.metaUID == owner.metaUID && !fresh.isBeingDeleted
        } catch {
            if error.isNotFound { return false }
            throw error
        }
    }

    private func adopt(_ dependent: JSON, _ owner: JSON) async throws(ClusterProblem) -> JSON? {
        var metadata: JSON = ["uid": JSON(dependent.metaUID), "ownerReferences": [kind.controllerReference(to: owner)]]
        if let finalizer { metadata["finalizers"] = [JSON(finalizer)] }
        do throws(ClusterProblem) {
            return try await context.patch(resource, dependent, ["metadata": metadata])
        } catch {
            // Gone, a successor of the same name, or adopted by someone else in the same moment.
            if error.isNotFound || error.isConflict || error.isInvalid { return nil }
            throw error
        }
    }

    private func release(_ dependent: JSON, from owner: JSON) async throws(ClusterProblem) {
        var metadata: JSON = [
            "uid": JSON(dependent.metaUID), "ownerReferences": [["$patch": "delete", "uid": JSON(owner.metaUID)]],
        ]
        if let finalizer { metadata["$deleteFromPrimitiveList/finalizers"] = [JSON(finalizer)] }
        do throws(ClusterProblem) { _ = try await context.patch(resource, dependent, ["metadata": metadata]) } catch {
            if !error.isNotFound, !error.isConflict, !error.isInvalid { throw error }
        }
    }

    /// Adds the owners that a change of a dependent concerns: the one it has, the one it had, and for an orphan each that wants it.
    func feed(
        _ queue: WorkQueue, owners: Informer, selector: @escaping @Sendable (JSON) -> LabelSelector?
    ) -> @Sendable () async throws -> Void {
        owners.addIndex("namespace") { [$0.metaNamespace ?? ""] }
        return {
            var known: [String: String] = [:]
            for await change in dependents.changes() {
                let object = change.object
                let key = object.objectKey
                let former = known[key]
                var current: String?
                if let owner = object.controllerOwner, kind.isOwner(owner) {
                    current = (object.metaNamespace.map { $0 + "/" } ?? "") + (owner["name"]?.string ?? "")
                }
                if case .deleted = change { known[key] = nil } else { known[key] = current }
                if let former, former != current { queue.add(former) }
                if let current {
                    queue.add(current)
                } else if object.controllerOwner == nil, !object.isBeingDeleted {
                    for owner in owners.items(index: "namespace", value: object.metaNamespace ?? "") {
                        if let selector = selector(owner), selector.matches(labelsOf: object) { queue.add(owner.objectKey) }
                    }
                }
            }
            try Task.checkCancellation()
        }
    }
}
