// Walks documents along their types: what fields they have, how two differ, how one is laid over another.
package import Essentials
internal import OrderedCollections

/// How a place in a document merges, found from the schema table.
indirect enum FieldShape {
    /// A scalar, or something that is replaced as a whole.
    case leaf
    /// Named fields of a type.
    case structure(ObjectType)
    /// Free keys, all with the same shape.
    case map(FieldType)
    /// Nothing is known: objects merge by key, lists are replaced.
    case deduced
    /// Elements told apart by these members.
    case keyed([String], FieldType)
    /// Scalars, each once.
    case scalars
}

package struct FieldWalk: Sendable {
    let table: TypeTable

    package init(table: TypeTable) { self.table = table }

    /// Types that are one value, whoever holds them.
    private static let atomicTypes: Set<String> = [
        "LabelSelector", "LocalObjectReference", "ObjectReference", "SecretKeySelector", "ConfigMapKeySelector", "NodeSelector",
        "NodeSelectorTerm", "ResourceFieldSelector", "ObjectFieldSelector", "SecretReference", "TopologySelectorTerm", "ScopeSelector",
        "ScopedResourceSelectorRequirement", "TypedLocalObjectReference", "RoleRef", "FileKeySelector",
    ]

    func shape(_ field: Field?) -> FieldShape {
        guard let field else { return .deduced }
        if field.isAtomic { return .leaf }
        switch field.type {
        case .list(let element):
            if !field.mapKeys.isEmpty { return .keyed(field.mapKeys, element) }
            return field.isSet ? .scalars : .leaf
        case let type: return shape(type)
        }
    }

    func shape(_ type: FieldType) -> FieldShape {
        switch type {
        case .named(let name):
            guard !Self.atomicTypes.contains(name), let found = table[name] else { return .leaf }
            return .structure(found)
        case .map(let element): return .map(element)
        case .any: return .deduced
        default: return .leaf
        }
    }

    func shape(below shape: FieldShape, _ key: String) -> FieldShape {
        switch shape {
        case .structure(let type): self.shape(type.field(key))
        case .map(let element): self.shape(element)
        case .deduced: .deduced
        case .leaf, .keyed, .scalars: .leaf
        }
    }

    /// The edge to an element of a keyed list; `nil` where it lacks its keys.
    func edge(_ element: JSON, _ keys: [String], _ type: FieldType) -> String? {
        var members: JSON.Object = [:]
        for key in keys.sorted() {
            var value = element[key]
            if value == nil, case .named(let name) = type { value = table[name]?.field(key)?.fallback }
            // An element may leave out some of its keys, not all of them.
            if let value { members[key] = value }
        }
        return members.isEmpty ? nil : "k:" + JSON.object(members).text
    }

    /// The fields that a document names.
    package func fields(of document: JSON, as type: String) -> FieldSet {
        guard let found = table[type] else { return fields(document, .deduced) }
        return fields(document, .structure(found))
    }

    func fields(_ value: JSON, _ shape: FieldShape) -> FieldSet {
        switch (value, shape) {
        case (.object(let members), .structure), (.object(let members), .map), (.object(let members), .deduced):
            if members.isEmpty { return FieldSet(isMember: true) }
            var set = FieldSet()
            for (key, member) in members {
                var child = fields(member, self.shape(below: shape, key))
                switch shape {
                case .structure(let type) where type.field(key) != nil: break
                default: child.isMember = true
                }
                if !child.isEmpty { set.children["f:" + key] = child }
            }
            return set
        case (.array(let elements), .keyed(let keys, let type)):
            var set = FieldSet(isMember: elements.isEmpty)
            for element in elements {
                guard let edge = edge(element, keys, type) else { continue }
                var child = fields(element, self.shape(type))
                child.isMember = true
                set.children[edge] = child
            }
            return set
        case (.array(let elements), .scalars):
            var set = FieldSet(isMember: elements.isEmpty)
            for element in elements { set.children["v:" + element.text] = FieldSet(isMember: true) }
            return set
        default: return FieldSet(isMember: true)
        }
    }

    /// Fields that differ between two documents: those only the new one has, those with other values, those only the old has.
    struct Difference {
        var added = FieldSet()
        var modified = FieldSet()
        var removed = FieldSet()
        var isEmpty: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }
    }

    package func isSame(_ left: JSON, _ right: JSON, as type: String) -> Bool { compare(left, right, as: type).isEmpty }

    func compare(_ old: JSON, _ new: JSON, as type: String) -> Difference {
        compare(old, new, table[type].map { .structure($0) } ?? .deduced)
    }

    private func compare(_ old: JSON, _ new: JSON, _ shape: FieldShape) -> Difference {
        var result = Difference()
        func take(_ edge: String, _ old: JSON?, _ new: JSON?, _ shape: FieldShape, isItem: Bool) {
            switch (old, new) {
            case (let old?, let new?):
                let below = compare(old, new, shape)
                if !below.added.isEmpty { result.added.children[edge] = below.added }
                if !below.modified.isEmpty { result.modified.children[edge] = below.modified }
                if !below.removed.isEmpty { result.removed.children[edge] = below.removed }
            case (nil, let new?):
                var set = fields(new, shape)
                if isItem { set.isMember = true }
                result.added.children[edge] = set
            case (let old?, nil):
                var set = fields(old, shape)
                if isItem { set.isMember = true }
                result.removed.children[edge] = set
            case (nil, nil): break
            }
        }
        switch (old, new, shape) {
        case (.object(let before), .object(let after), .structure), (.object(let before), .object(let after), .map),
            (.object(let before), .object(let after), .deduced):
            var isMap = true
            for (key, value) in after {
                if case .structure(let type) = shape { isMap = type.field(key) == nil }
                take("f:" + key, before[key], value, self.shape(below: shape, key), isItem: isMap)
            }
            for (key, value) in before where after[key] == nil {
                if case .structure(let type) = shape { isMap = type.field(key) == nil }
                take("f:" + key, value, nil, self.shape(below: shape, key), isItem: isMap)
            }
        case (.array(let before), .array(let after), .keyed(let keys, let type)):
            let below = self.shape(type)
            var earlier: OrderedDictionary<String, JSON> = [:]
            for element in before { if let edge = edge(element, keys, type) { earlier[edge] = element } }
            for element in after {
                guard let edge = edge(element, keys, type) else { continue }
                take(edge, earlier.removeValue(forKey: edge), element, below, isItem: true)
            }
            for (edge, element) in earlier { take(edge, element, nil, below, isItem: true) }
        case (.array(let before), .array(let after), .scalars):
            for value in after where !before.contains(value) { result.added.children["v:" + value.text] = FieldSet(isMember: true) }
            for value in before where !after.contains(value) { result.removed.children["v:" + value.text] = FieldSet(isMember: true) }
        default: if !old.isSame(as: new) { result.modified.isMember = true }
        }
        return result
    }

    /// `live` with all that `applied` names.
    func merge(_ live: JSON, _ applied: JSON, as type: String) -> JSON {
        merge(live, applied, table[type].map { .structure($0) } ?? .deduced)
    }

    private func merge(_ live: JSON, _ applied: JSON, _ shape: FieldShape) -> JSON {
        switch (live, applied, shape) {
        case (.object(var members), .object(let wanted), .structure), (.object(var members), .object(let wanted), .map),
            (.object(var members), .object(let wanted), .deduced):
            for (key, value) in wanted {
                members[key] = members[key].map { merge($0, value, self.shape(below: shape, key)) } ?? value
            }
            return .object(members)
        case (.array(let elements), .array(let wanted), .keyed(let keys, let type)):
            return .array(
                interleave(elements, wanted, key: { edge($0, keys, type) ?? $0.text }) { merge($0, $1, self.shape(type)) })
        case (.array(let elements), .array(let wanted), .scalars):
            return .array(interleave(elements, wanted, key: { $0.text }) { $1 })
        default: return applied
        }
    }

    /// The applied elements in their order, each live one that is not among them behind what it followed.
    private func interleave(_ live: [JSON], _ applied: [JSON], key: (JSON) -> String, _ merge: (JSON, JSON) -> JSON) -> [JSON] {
        var earlier: OrderedDictionary<String, JSON> = [:]
        for element in live { earlier[key(element)] = element }
        var wanted: OrderedDictionary<String, JSON> = [:]
        for element in applied { wanted[key(element)] = element }
        var result: [JSON] = []
        var pending = Array(earlier.keys)[...]
        for (name, element) in wanted {
            // Live elements that stand before this one in the live list come first, as long as nobody applied them.
            if let place = pending.firstIndex(of: name) {
                for other in pending[..<place] where wanted[other] == nil { if let value = earlier[other] { result.append(value) } }
                pending = pending[(place + 1)...]
            }
            result.append(earlier[name].map { merge($0, element) } ?? element)
        }
        let placed = Set(result.map(key))
        for name in pending where wanted[name] == nil && !placed.contains(name) { if let value = earlier[name] { result.append(value) } }
        return result
    }

    /// `document` without the places of `gone`. A place of a map or list goes with all below it.
    func remove(_ gone: FieldSet, from document: JSON, as type: String) -> JSON {
        remove(gone, document, table[type].map { .structure($0) } ?? .deduced) ?? .emptyObject
    }

    private func remove(_ gone: FieldSet, _ value: JSON, _ shape: FieldShape) -> JSON? {
        if gone.isMember { return nil }
        switch (value, shape) {
        case (.object(var members), .structure), (.object(var members), .map), (.object(var members), .deduced):
            for (edge, child) in gone.children where edge.hasPrefix("f:") {
                let key = String(edge.dropFirst(2))
                guard let member = members[key] else { continue }
                members[key] = remove(child, member, self.shape(below: shape, key))
                // A struct or map of which nothing is left goes as well, as it was only there for what it held.
                if members[key]?.object?.isEmpty ?? false, member.object?.isEmpty == false { members[key] = nil }
                if members[key]?.array?.isEmpty ?? false, member.array?.isEmpty == false { members[key] = nil }
            }
            return .object(members)
        case (.array(let elements), .keyed(let keys, let type)):
            return .array(
                elements.compactMap { element in
                    guard let edge = edge(element, keys, type), let child = gone.children[edge] else { return element }
                    return remove(child, element, self.shape(type))
                })
        case (.array(let elements), .scalars):
            return .array(elements.filter { gone.children["v:" + $0.text]?.isMember != true })
        default: return value
        }
    }
}
