// ControllerRevisions: the templates that DaemonSets and StatefulSets have had, so that they can be taken up again.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct RevisionHistory: Sendable {
    let context: ControllerContext
    let revisions: Ownership
    /// The label of a revision that holds its hash.
    let hashLabel: String

    init(_ context: ControllerContext, by kind: OwnerKind, hashLabel: String) {
        self.context = context
        self.hashLabel = hashLabel
        revisions = Ownership(context, of: .controllerRevisions, by: kind)
    }

    /// The revisions of an owner at one moment.
    struct State: Sendable {
        var current: JSON
        /// All others, oldest first.
        var old: [JSON]
        /// More than the owner's status had, where a name was taken.
        var collisions: Int?
    }

    static func number(_ revision: JSON) -> Int { revision["revision"]?.int ?? 0 }

    /// The patch that brings a template back.
    static func data(_ owner: JSON) -> JSON {
        var template = owner["spec"]?["template"] ?? .emptyObject
        template["$patch"] = "replace"
        return ["spec": ["template": template]]
    }

    static func make(_ owner: JSON, kind: OwnerKind, number: Int, collisions: Int?, hashLabel: String) -> JSON {
        let hash = TemplateHash.text(of: owner["spec"]?["template"] ?? .emptyObject, collisions: collisions)
        var labels = owner["spec"]?["template"]?["metadata"]?["labels"]?.strings ?? [:]
        labels[hashLabel] = hash
        return [
            "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": [
                "name": JSON(String(owner.metaName.prefix(223)) + "-" + hash), "namespace": JSON(owner.metaNamespace),
                "labels": JSON(labels), "annotations": JSON(owner.metaAnnotations.filter { !RolloutNames.ownOnly.contains($0.key) }),
                "ownerReferences": [kind.controllerReference(to: owner)],
            ],
            "data": data(owner), "revision": JSON(number),
        ]
    }

    /// The revision of the owner's template, made or renumbered where it must be.
    func sync(_ owner: JSON, _ selector: LabelSelector) async throws(ClusterProblem) -> State {
        let known = try await revisions.claim(owner, selector).sorted {
            (Self.number($0), $0.metaName) < (Self.number($1), $1.metaName)
        }
        let next = (known.last.map(Self.number) ?? 0) + 1
        let wanted = Self.data(owner)
        if let same = known.last(where: { $0["data"]?.isSame(as: wanted) ?? false }) {
            var current = same
            if same.metaUID != known.last?.metaUID {
                current["revision"] = JSON(next)
                current = try await context.update(.controllerRevisions, current)
            }
            return State(current: current, old: known.filter { $0.metaUID != current.metaUID }, collisions: nil)
        }
        var collisions = owner.statusPart["collisionCount"]?.int
        var raised: Int?
        while true {
            let revision = Self.make(owner, kind: revisions.kind, number: next, collisions: collisions, hashLabel: hashLabel)
            do throws(ClusterProblem) {
                let created = try await context.create(.controllerRevisions, revision)
                return State(current: created, old: known, collisions: raised)
            } catch {
                guard error.isAlreadyExists else { throw error }
                let there = try await context.client.get(
                    .controllerRevisions, namespace: revision.metaNamespace, name: revision.metaName)
                if there.controllerUID == owner.metaUID, there["data"]?.isSame(as: wanted) ?? false {
                    context.informers.existing(.controllerRevisions)?.note(written: there)
                    return State(current: there, old: known, collisions: raised)
                }
                collisions = (collisions ?? 0) + 1
                raised = collisions
            }
        }
    }

    /// Drops the oldest revisions beyond the limit that nothing uses any more.
    func trim(_ state: State, limit: Int, isUsed: (JSON) -> Bool) async throws(ClusterProblem) {
        let unused = state.old.filter { !isUsed($0) }
        guard unused.count > limit else { return }
        for revision in unused.prefix(unused.count - limit) { try await context.delete(.controllerRevisions, revision) }
    }
}
