// Who answers for which fields of an object (`managedFields`), and server-side apply.
package import Essentials
internal import OrderedCollections

/// A writer of fields.
package struct FieldWriter: Sendable, Hashable {
    package var manager: String
    package var isApply: Bool
    package var apiVersion: String
    package var subresource: String
    package init(manager: String, isApply: Bool, apiVersion: String, subresource: String = "") {
        self.manager = manager
        self.isApply = isApply
        self.apiVersion = apiVersion
        self.subresource = subresource
    }

    /// As conflicts name it.
    func text(at time: String) -> String {
        if isApply { return "\"\(manager)\"" }
        let part = subresource.isEmpty ? "" : " with subresource \"\(subresource)\""
        return "\"\(manager)\"\(part) using \(apiVersion)" + (time.isEmpty ? "" : " at \(time)")
    }
}

package struct ApplyConflicts: Error, Sendable {
    /// Manager as text, and the path.
    package let conflicts: [(manager: String, path: String)]

    package var message: String {
        let head = conflicts.count == 1 ? "Apply failed with 1 conflict: " : "Apply failed with \(conflicts.count) conflicts: "
        var byManager: OrderedDictionary<String, [String]> = [:]
        for conflict in conflicts { byManager[conflict.manager, default: []].append(conflict.path) }
        if conflicts.count == 1, let only = conflicts.first { return head + "conflict with \(only.manager): \(only.path)" }
        return head
            + byManager.map { "conflicts with \($0):\n" + $1.map { "- \($0)" }.joined(separator: "\n") }.joined(separator: "\n")
    }
}

package struct FieldManager: Sendable {
    /// More writers than this are put together as `ancient-changes`.
    static let updaterLimit = 10

    private let walk: FieldWalk
    private let type: String

    package init(table: TypeTable, type: String) {
        walk = FieldWalk(table: table)
        self.type = type
    }

    struct Entry {
        var writer: FieldWriter
        var time: String
        var fields: FieldSet
    }

    /// The object as `writer` leaves it when it replaces `old` by `new` (`nil`: creates it).
    package func recordUpdate(_ new: JSON, from old: JSON?, by writer: FieldWriter, at now: Timestamp) -> JSON {
        var object = new
        // Sent as an empty list, it means that nobody shall answer for anything any more.
        if let sent = new["metadata"]?["managedFields"]?.array, sent.isEmpty, old != nil {
            object["metadata"]?["managedFields"] = nil
            return object
        }
        let stored = new["metadata"]?["managedFields"] ?? old?["metadata"]?["managedFields"]
        var entries = Self.entries(stored)
        let before = Self.stripped(old ?? .emptyObject)
        let difference = walk.compare(before, Self.stripped(new), as: type)
        let changed = difference.added.union(difference.modified)
        guard !difference.isEmpty else {
            object["metadata"]?["managedFields"] = stored
            return object
        }
        let lost = changed.union(difference.removed)
        var own: Entry?
        var rest: [Entry] = []
        for var entry in entries {
            if entry.writer == writer {
                own = entry
                continue
            }
            entry.fields = entry.fields.difference(lost)
            if !entry.fields.isEmpty { rest.append(entry) }
        }
        let fields = (own?.fields ?? FieldSet()).union(changed).difference(difference.removed)
        entries = rest
        if !fields.isEmpty { entries.append(Entry(writer: writer, time: now.rfc3339, fields: fields)) }
        object["metadata"]?["managedFields"] = Self.document(Self.capped(entries))
        return object
    }

    /// `live` (`nil`: there is none yet) after `writer` applied `configuration`.
    ///
    /// Fields the writer applied before and leaves out now are removed where nobody else answers for them.
    package func apply(
        _ configuration: JSON, to live: JSON?, by writer: FieldWriter, force: Bool, at now: Timestamp
    ) throws(ApplyConflicts) -> JSON {
        let wanted = Self.stripped(configuration)
        let fields = walk.fields(of: wanted, as: type)
        guard let live else {
            var object = configuration
            object["metadata", orEmpty: "managedFields"] = Self.document([Entry(writer: writer, time: now.rfc3339, fields: fields)])
            return object
        }
        var entries = Self.entries(live["metadata"]?["managedFields"])
        if entries.isEmpty, live["metadata"]?["managedFields"] == nil {
            // Who wrote it before managers were kept is unknown, and still an owner.
            let all = walk.fields(of: Self.stripped(live), as: type)
            let unknown = FieldWriter(manager: "before-first-apply", isApply: false, apiVersion: writer.apiVersion)
            entries = [Entry(writer: unknown, time: now.rfc3339, fields: all)]
        }
        let index = entries.firstIndex {
            $0.writer.manager == writer.manager && $0.writer.isApply && $0.writer.subresource == writer.subresource
        }
        let last = index.map { entries[$0].fields } ?? FieldSet()
        var others = entries
        if let index { others.remove(at: index) }

        var merged = walk.merge(live, configuration, as: type)
        var pruned = last.difference(fields)
        for other in others { pruned = pruned.difference(other.fields) }
        pruned = keep(pruned, without: fields, others.map(\.fields))
        if !pruned.isEmpty { merged = walk.remove(pruned, from: merged, as: type) }

        let difference = walk.compare(Self.stripped(live), Self.stripped(merged), as: type)
        let touched = difference.added.union(difference.modified)
        var conflicts: [(manager: String, path: String)] = []
        for place in others.indices {
            let common = others[place].fields.intersection(touched)
            guard !common.isEmpty else { continue }
            if force {
                others[place].fields = others[place].fields.difference(common)
            } else {
                conflicts += common.paths.map { (others[place].writer.text(at: others[place].time), $0) }
            }
        }
        if !conflicts.isEmpty { throw ApplyConflicts(conflicts: conflicts) }
        // What was removed has no owner any more.
        if !difference.removed.isEmpty {
            for place in others.indices { others[place].fields = others[place].fields.difference(difference.removed) }
        }
        others.removeAll { $0.fields.isEmpty }
        let isSame = difference.isEmpty && last == fields
        let time = isSame ? index.map { entries[$0].time } ?? now.rfc3339 : now.rfc3339
        merged["metadata", orEmpty: "managedFields"] = Self.document(
            Self.capped(others + (fields.isEmpty ? [] : [Entry(writer: writer, time: time, fields: fields)])))
        return merged
    }

    /// A list element or map entry may only go whole when nobody else answers for anything in it.
    private func keep(_ pruned: FieldSet, without own: FieldSet, _ others: [FieldSet]) -> FieldSet {
        var result = FieldSet(isMember: pruned.isMember && own.isEmpty && others.allSatisfy(\.isEmpty))
        for (edge, child) in pruned.children {
            let rest = keep(child, without: own.children[edge] ?? FieldSet(), others.map { $0.children[edge] ?? FieldSet() })
            if !rest.isEmpty { result.children[edge] = rest }
        }
        return result
    }

    /// What nobody answers for: the server sets it, or it names the object.
    static func stripped(_ object: JSON) -> JSON {
        var result = object
        result["apiVersion"] = nil
        result["kind"] = nil
        guard result["metadata"] != nil else { return result }
        for part in [
            "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields", "resourceVersion",
            "deletionTimestamp", "deletionGracePeriodSeconds",
        ] { result["metadata"]?[part] = nil }
        if result["metadata"]?.object?.isEmpty ?? false { result["metadata"] = nil }
        return result
    }

    static func entries(_ stored: JSON?) -> [Entry] {
        (stored?.array ?? []).map { entry in
            Entry(
                writer: FieldWriter(
                    manager: entry["manager"]?.string ?? "", isApply: entry["operation"] == "Apply",
                    apiVersion: entry["apiVersion"]?.string ?? "", subresource: entry["subresource"]?.string ?? ""),
                time: entry["time"]?.string ?? "", fields: FieldSet(fieldsV1: entry["fieldsV1"] ?? .emptyObject))
        }
    }

    private static func capped(_ entries: [Entry]) -> [Entry] {
        let updaters = entries.filter { !$0.writer.isApply }
        guard updaters.count > updaterLimit else { return entries }
        let old = updaters.sorted { $0.time < $1.time }.prefix(updaters.count - updaterLimit + 1)
        var rest = entries.filter { entry in !old.contains { $0.writer == entry.writer } }
        var together = FieldSet()
        for entry in old { together = together.union(entry.fields) }
        let writer = FieldWriter(manager: "ancient-changes", isApply: false, apiVersion: old.last?.writer.apiVersion ?? "")
        rest.insert(Entry(writer: writer, time: old.last?.time ?? "", fields: together), at: 0)
        return rest
    }

    private static func document(_ entries: [Entry]) -> JSON {
        let sorted = entries.sorted { left, right in
            if left.writer.isApply != right.writer.isApply { return left.writer.isApply }
            if left.time != right.time { return left.time < right.time }
            return (left.writer.manager, left.writer.apiVersion) < (right.writer.manager, right.writer.apiVersion)
        }
        return .array(
            sorted.map { entry in
                var document: JSON = [
                    "manager": JSON(entry.writer.manager), "operation": entry.writer.isApply ? "Apply" : "Update",
                    "apiVersion": JSON(entry.writer.apiVersion), "time": JSON(entry.time), "fieldsType": "FieldsV1",
                    "fieldsV1": entry.fields.fieldsV1,
                ]
                if !entry.writer.subresource.isEmpty { document["subresource"] = JSON(entry.writer.subresource) }
                return document
            })
    }
}

extension JSON {
    fileprivate subscript(part: String, orEmpty key: String) -> JSON? {
        get { self[part]?[key] }
        set {
            var value = self[part] ?? .emptyObject
            value[key] = newValue
            self[part] = value
        }
    }
}
