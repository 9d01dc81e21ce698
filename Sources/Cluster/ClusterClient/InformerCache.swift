// What an informer knows: objects by key, indexes over them, and writes of its own process that the watch has not told of yet.
//
// Writes may be noted before the watch brings them, so that who writes reads at once what was written. Rules that keep the two
// sources apart: a noted object is `ahead` until the watch or a list reaches its revision, and nothing older replaces it; an
// object noted as gone stays gone until the watch says so, whatever older news still comes. Revisions are compared as numbers.
internal import ClusterModel
internal import Essentials

struct InformerCache {
    private struct Index {
        let values: @Sendable (JSON) -> [String]
        var keys: [String: Set<String>] = [:]
    }

    private(set) var items: [String: JSON] = [:]
    private var indexes: [String: Index] = [:]
    /// Revisions of own writes that the watch has not reached, by key.
    private var ahead: [String: Int64] = [:]
    /// UIDs of objects that are known to be gone and of whose end the watch has not told.
    private var gone: Set<String> = []

    static func key(_ namespace: String?, _ name: String) -> String { (namespace ?? "") + "/" + name }
    static func key(of object: JSON) -> String { key(object.metaNamespace, object.metaName) }
    private static func revision(_ object: JSON) -> Int64 { Int64(object.metaResourceVersion) ?? 0 }

    mutating func addIndex(_ name: String, _ values: @escaping @Sendable (JSON) -> [String]) {
        guard indexes[name] == nil else { return }
        var index = Index(values: values)
        for (key, item) in items { for value in values(item) { index.keys[value, default: []].insert(key) } }
        indexes[name] = index
    }

    func items(index: String, value: String) -> [JSON] {
        guard let keys = indexes[index]?.keys[value] else { return [] }
        return keys.compactMap { items[$0] }
    }

    /// Puts the object in its place, or takes it away; answers with what was there.
    private mutating func put(_ key: String, _ object: JSON?) -> JSON? {
        let old = items.removeValue(forKey: key)
        items[key] = object
        for name in indexes.keys {
            guard let values = indexes[name]?.values else { continue }
            let before = old.map(values) ?? []
            let after = object.map(values) ?? []
            if before == after { continue }
            for value in before {
                indexes[name]?.keys[value]?.remove(key)
                if indexes[name]?.keys[value]?.isEmpty ?? false { indexes[name]?.keys[value] = nil }
            }
            for value in after { indexes[name]?.keys[value, default: []].insert(key) }
        }
        return old
    }

    /// Takes a whole list in and answers with what it changes.
    mutating func replace(with list: [JSON], at version: String) -> [(key: String, change: InformerChange)] {
        let revision = Int64(version) ?? .max
        var fresh: [String: JSON] = [:]
        var stillGone: Set<String> = []
        for item in list {
            if gone.contains(item.metaUID) { stillGone.insert(item.metaUID) } else { fresh[Self.key(of: item)] = item }
        }
        gone = stillGone
        for (key, noted) in ahead where noted > revision { fresh[key] = items[key] }
        ahead = ahead.filter { $0.value > revision }
        var changes: [(key: String, change: InformerChange)] = []
        for (key, item) in items where fresh[key] == nil {
            _ = put(key, nil)
            changes.append((key, .deleted(item)))
        }
        for (key, item) in fresh {
            switch items[key] {
            case nil: changes.append((key, .added(item)))
            case item: continue
            case .some: changes.append((key, .modified(item)))
            }
            _ = put(key, item)
        }
        return changes
    }

    /// Takes an event of the watch in and answers with what it changes.
    mutating func apply(_ event: WatchEvent) -> [(key: String, change: InformerChange)] {
        guard event.kind != .bookmark else { return [] }
        let object = event.object
        let key = Self.key(of: object)
        if let noted = ahead[key] {
            let revision = Self.revision(object)
            if revision >= noted { ahead[key] = nil }
            if revision <= noted {
                if event.kind == .deleted { gone.remove(object.metaUID) }
                return []
            }
        }
        switch event.kind {
        case .added, .modified:
            if gone.contains(object.metaUID) { return [] }
            return [(key, put(key, object) == nil ? .added(object) : .modified(object))]
        case .deleted:
            if gone.remove(object.metaUID) != nil { return [] }
            _ = put(key, nil)
            return [(key, .deleted(object))]
        case .bookmark: return []
        }
    }

    /// Takes in what the server answered to a write.
    mutating func note(written object: JSON) -> [(key: String, change: InformerChange)] {
        let key = Self.key(of: object)
        let revision = Self.revision(object)
        guard revision > 0, !object.metaUID.isEmpty, !gone.contains(object.metaUID) else { return [] }
        if object.isBeingDeleted, object.metaFinalizers.isEmpty, object["metadata"]?["deletionGracePeriodSeconds"]?.int ?? 0 == 0 {
            return note(gone: object)
        }
        let known = items[key]
        if let known, Self.revision(known) >= revision { return [] }
        ahead[key] = revision
        _ = put(key, object)
        guard let known else { return [(key, .added(object))] }
        if known.metaUID == object.metaUID { return [(key, .modified(object))] }
        return [(key, .deleted(known)), (key, .added(object))]
    }

    /// Takes in that the server has removed the object.
    mutating func note(gone object: JSON) -> [(key: String, change: InformerChange)] {
        let key = Self.key(of: object)
        guard items[key]?.metaUID == object.metaUID else { return [] }
        gone.insert(object.metaUID)
        ahead[key] = nil
        _ = put(key, nil)
        return [(key, .deleted(object))]
    }
}
