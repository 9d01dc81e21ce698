// Strategic merge patch: a merge patch that knows by the schema how lists merge.
//
// Directives: `$patch: replace|delete|merge` in an object or a list element, `$deleteFromPrimitiveList/F` beside a list of
// scalars, `$setElementOrder/F` for the order of a list, `$retainKeys` for unions.
package import Essentials
internal import OrderedCollections

package struct StrategicPatch: Sendable {
    private let table: TypeTable
    package init(table: TypeTable = .builtIn) { self.table = table }

    package func apply(_ patch: JSON, to target: JSON, as type: String) throws(PatchFailure) -> JSON {
        guard case .object = patch else { throw PatchFailure("a strategic merge patch must be an object") }
        return try merge(patch, into: target, table[type])
    }

    private func merge(_ patch: JSON, into target: JSON, _ type: ObjectType?) throws(PatchFailure) -> JSON {
        guard case .object(var changes) = patch else { return patch }
        if let directive = changes.removeValue(forKey: "$patch")?.string {
            switch directive {
            case "replace": return .object(changes)
            case "delete": return .emptyObject
            case "merge": break
            default: throw PatchFailure("Unknown patch type found: \(directive)")
            }
        }
        var members = target.object ?? [:]
        if let kept = changes.removeValue(forKey: "$retainKeys")?.array?.compactMap(\.string) {
            for key in members.keys where !kept.contains(key) { members.removeValue(forKey: key) }
        }
        for (key, change) in changes {
            if key.hasPrefix("$setElementOrder/") { continue }
            if key.hasPrefix("$deleteFromPrimitiveList/") {
                let name = String(key.dropFirst("$deleteFromPrimitiveList/".count))
                let gone = Set(change.array ?? [])
                if let elements = members[name]?.array { members[name] = .array(elements.filter { !gone.contains($0) }) }
                continue
            }
            if change.isNull {
                members.removeValue(forKey: key)
                continue
            }
            members[key] = try merge(change, into: members[key], type?.field(key))
        }
        for (key, order) in changes where key.hasPrefix("$setElementOrder/") {
            let name = String(key.dropFirst("$setElementOrder/".count))
            if let elements = members[name]?.array, let order = order.array {
                members[name] = .array(sort(elements, by: order, key: type?.field(name)?.mergeKey))
            }
        }
        return .object(members)
    }

    private func merge(_ change: JSON, into current: JSON?, _ field: Field?) throws(PatchFailure) -> JSON {
        switch change {
        case .object:
            let shape: ObjectType? = if case .named(let name) = field?.type { table[name] } else { nil }
            if case .map(.named(let name)) = field?.type { return try mergeMap(change, into: current, table[name]) }
            return try merge(change, into: current ?? .emptyObject, shape)
        case .array(let changes):
            if let key = field?.mergeKey {
                let shape: ObjectType? = if case .list(.named(let name)) = field?.type { table[name] } else { nil }
                return .array(try mergeList(changes, into: current?.array ?? [], key: key, shape))
            }
            if field?.isSet ?? false {
                var elements = current?.array ?? []
                for element in changes where !elements.contains(element) { elements.append(element) }
                return .array(elements)
            }
            return change
        default: return change
        }
    }

    private func mergeMap(_ change: JSON, into current: JSON?, _ shape: ObjectType?) throws(PatchFailure) -> JSON {
        var members = current?.object ?? [:]
        for (key, value) in change.object ?? [:] {
            if value.isNull {
                members.removeValue(forKey: key)
            } else {
                members[key] = try merge(value, into: members[key] ?? .emptyObject, shape)
            }
        }
        return .object(members)
    }

    private func mergeList(_ changes: [JSON], into current: [JSON], key: String, _ shape: ObjectType?) throws(PatchFailure) -> [JSON] {
        var elements = current
        if changes.contains(where: { $0["$patch"] == "replace" }) {
            return changes.filter { $0["$patch"] == nil }
        }
        for change in changes {
            guard let value = change[key] else { throw PatchFailure("map: \(change.text) does not contain declared merge key: \(key)") }
            let places = elements.indices.filter { elements[$0][key] == value }
            if change["$patch"] == "delete" {
                elements.removeAll { $0[key] == value }
            } else if let place = places.first {
                elements[place] = try merge(change, into: elements[place], shape)
            } else {
                elements.append(try merge(change, into: .emptyObject, shape))
            }
        }
        return elements
    }

    /// Elements that the order names come in that order; the others keep their places relative to what they followed.
    private func sort(_ elements: [JSON], by order: [JSON], key: String?) -> [JSON] {
        func rank(_ element: JSON) -> Int? {
            order.firstIndex { wanted in key.map { wanted[$0] == element[$0] } ?? (wanted == element) }
        }
        let named = elements.filter { rank($0) != nil }.sorted { rank($0) ?? 0 < rank($1) ?? 0 }
        var result = named
        for (index, element) in elements.enumerated() where rank(element) == nil {
            // Server-only elements stay before the first named one that followed them.
            let follower = elements[index...].first { rank($0) != nil }
            let place = follower.flatMap { result.firstIndex(of: $0) } ?? result.endIndex
            result.insert(element, at: place)
        }
        return result
    }
}
