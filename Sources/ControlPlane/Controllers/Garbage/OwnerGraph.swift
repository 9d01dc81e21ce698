// Who owns whom, across all kinds, and what a change of it asks to be looked at.
//
// Nodes are objects by uid. An object whose owners are all gone is deleted; one that is deleted in the foreground waits for the
// dependents that block it; one that is deleted as an orphanage lets its dependents go free first. The graph only says which
// objects to look at; the collector decides with what the API server says.
internal import ClusterModel
internal import Essentials

struct OwnerGraph {
    static let foreground = "foregroundDeletion"
    static let orphan = "orphan"

    struct Owner: Equatable {
        let uid: String
        let apiVersion: String
        let kind: String
        let name: String
        let blocks: Bool

        init(_ reference: JSON) {
            uid = reference["uid"]?.string ?? ""
            apiVersion = reference["apiVersion"]?.string ?? ""
            kind = reference["kind"]?.string ?? ""
            name = reference["name"]?.string ?? ""
            blocks = reference["blockOwnerDeletion"] == true
        }
    }

    struct Node: Equatable {
        let resource: GroupVersionResource
        let namespace: String?
        let name: String
        let uid: String
        var version: String
        var owners: [Owner]
        var isDeleting: Bool
        /// Has the finalizer of a deletion that waits for dependents, or that frees them.
        var isForeground: Bool
        var isOrphanage: Bool

        init(_ object: JSON, _ resource: GroupVersionResource) {
            self.resource = resource
            namespace = object.metaNamespace
            name = object.metaName
            uid = object.metaUID
            version = object.metaResourceVersion
            owners = object.owners.map(Owner.init)
            isDeleting = object.isBeingDeleted
            let finalizers = object.metaFinalizers
            isForeground = finalizers.contains(OwnerGraph.foreground)
            isOrphanage = finalizers.contains(OwnerGraph.orphan)
        }

        /// Being deleted, and waiting until its dependents are gone.
        var waitsForDependents: Bool { isDeleting && isForeground }
    }

    enum Task: Hashable {
        /// Are its owners still there?
        case check(String)
        /// Are its dependents gone?
        case finish(String)
        /// Its dependents are to be freed.
        case free(String)
    }

    private(set) var nodes: [String: Node] = [:]
    private var dependentsOf: [String: Set<String>] = [:]

    func dependents(of uid: String) -> [Node] { (dependentsOf[uid] ?? []).compactMap { nodes[$0] } }

    mutating func set(_ node: Node) -> [Task] {
        let old = nodes.updateValue(node, forKey: node.uid)
        var tasks: [Task] = []
        if old?.owners != node.owners {
            for owner in old?.owners ?? [] where !node.owners.contains(where: { $0.uid == owner.uid }) {
                dependentsOf[owner.uid]?.remove(node.uid)
                if dependentsOf[owner.uid]?.isEmpty ?? false { dependentsOf[owner.uid] = nil }
            }
            for owner in node.owners { dependentsOf[owner.uid, default: []].insert(node.uid) }
            for owner in old?.owners ?? [] where nodes[owner.uid]?.waitsForDependents ?? false { tasks.append(.finish(owner.uid)) }
            if node.owners.contains(where: { nodes[$0.uid]?.waitsForDependents ?? true }) { tasks.append(.check(node.uid)) }
        }
        guard node.isDeleting else { return tasks }
        if node.isForeground, !(old?.waitsForDependents ?? false) {
            tasks.append(.finish(node.uid))
        } else if node.isOrphanage, !(old?.isDeleting ?? false) || !(old?.isOrphanage ?? false) {
            tasks.append(.free(node.uid))
        }
        return tasks
    }

    mutating func remove(_ uid: String) -> [Task] {
        guard let node = nodes.removeValue(forKey: uid) else { return [] }
        for owner in node.owners {
            dependentsOf[owner.uid]?.remove(uid)
            if dependentsOf[owner.uid]?.isEmpty ?? false { dependentsOf[owner.uid] = nil }
        }
        return (dependentsOf[uid] ?? []).map { .check($0) }
            + node.owners.filter { nodes[$0.uid]?.waitsForDependents ?? false }.map { .finish($0.uid) }
    }

    /// What there is to do once all kinds have been listed.
    func backlog() -> [Task] {
        var tasks: [Task] = []
        for node in nodes.values {
            if node.waitsForDependents {
                tasks.append(.finish(node.uid))
            } else if node.isDeleting, node.isOrphanage {
                tasks.append(.free(node.uid))
            } else if !node.isDeleting, node.owners.contains(where: { nodes[$0.uid]?.waitsForDependents ?? true }) {
                tasks.append(.check(node.uid))
            }
        }
        return tasks
    }

    /// How an object stands to one of its owners.
    enum Standing { case solid, waiting, dangling }

    enum Verdict: Equatable {
        case nothing
        /// Some owner is left; references to others are taken out.
        case forget(Set<String>)
        case delete(policy: String)
    }

    /// What to do about an object whose owners stand like this.
    static func judge(_ node: Node, _ standings: [(owner: Owner, standing: Standing)], hasDependents: Bool) -> Verdict {
        if standings.isEmpty { return .nothing }
        let lost = Set(standings.filter { $0.standing != .solid }.map(\.owner.uid))
        if standings.contains(where: { $0.standing == .solid }) { return lost.isEmpty ? .nothing : .forget(lost) }
        if standings.contains(where: { $0.standing == .waiting }), hasDependents { return .delete(policy: "Foreground") }
        return .delete(policy: node.isOrphanage ? "Orphan" : node.isForeground ? "Foreground" : "Background")
    }
}
