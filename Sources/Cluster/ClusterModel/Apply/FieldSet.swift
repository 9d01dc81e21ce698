// Sets of fields as `managedFields` writes them (FieldsV1): a tree whose edges are `f:NAME`, `k:{KEYS}`, `v:VALUE`.
package import Essentials
internal import OrderedCollections

/// Which fields of an object someone answers for.
package struct FieldSet: Sendable, Equatable {
    /// Whether the place itself is in the set, not only what is below it.
    var isMember = false
    var children: OrderedDictionary<String, FieldSet> = [:]

    package init() {}

    init(isMember: Bool) { self.isMember = isMember }

    package var isEmpty: Bool { !isMember && children.isEmpty }

    /// The set that a stored `fieldsV1` stands for.
    package init(fieldsV1 document: JSON) {
        guard let members = document.object else { return }
        if members.isEmpty { isMember = true }
        for (key, value) in members {
            if key == "." { isMember = true } else { children[key] = FieldSet(fieldsV1: value) }
        }
    }

    package var fieldsV1: JSON {
        var members: JSON.Object = [:]
        if isMember, !children.isEmpty { members["."] = .emptyObject }
        for (key, child) in children.sorted(by: { $0.key < $1.key }) { members[key] = child.fieldsV1 }
        return .object(members)
    }

    package func union(_ other: FieldSet) -> FieldSet {
        var result = self
        result.isMember = isMember || other.isMember
        for (key, child) in other.children { result.children[key] = result.children[key]?.union(child) ?? child }
        return result
    }

    package func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && other.isMember)
        for (key, child) in children {
            guard let its = other.children[key] else { continue }
            let common = child.intersection(its)
            if !common.isEmpty { result.children[key] = common }
        }
        return result
    }

    /// What is here and not in `other`.
    package func difference(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && !other.isMember)
        for (key, child) in children {
            guard let its = other.children[key] else {
                result.children[key] = child
                continue
            }
            let rest = child.difference(its)
            if !rest.isEmpty { result.children[key] = rest }
        }
        return result
    }

    /// What is here and not at or below a member of `other`.
    func removing(below other: FieldSet) -> FieldSet {
        if other.isMember { return FieldSet() }
        var result = FieldSet(isMember: isMember)
        for (key, child) in children {
            guard let its = other.children[key] else {
                result.children[key] = child
                continue
            }
            let rest = child.removing(below: its)
            if !rest.isEmpty { result.children[key] = rest }
        }
        return result
    }

    /// The members as people read them, such as `.spec.containers[name="web"].image`.
    package var paths: [String] {
        var found: [String] = []
        collect("", into: &found)
        return found
    }

    private func collect(_ path: String, into found: inout [String]) {
        if isMember, !path.isEmpty { found.append(path) }
        for (key, child) in children.sorted(by: { $0.key < $1.key }) { child.collect(path + Self.readable(key), into: &found) }
    }

    private static func readable(_ edge: String) -> String {
        let rest = String(edge.dropFirst(2))
        switch edge.prefix(2) {
        case "f:": return "." + rest
        case "k:":
            guard let keys = (try? JSON(parsing: Array(rest.utf8)))?.object else { return "[\(rest)]" }
            return "[" + keys.map { "\($0)=\($1.text)" }.joined(separator: ",") + "]"
        case "v:": return "[=\(rest)]"
        default: return "[\(rest)]"
        }
    }
}
