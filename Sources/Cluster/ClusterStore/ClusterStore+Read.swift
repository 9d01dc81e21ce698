// Reading: one object, or a range of keys as it was at one revision.
internal import Database
internal import Essentials
internal import Synchronization

/// Objects of a range of keys at one revision.
package struct StoredList: Sendable {
    package var objects: [StoredObject]
    /// The revision that the list shows.
    package var revision: Int64
    /// Whether a limit cut the list short.
    package var hasMore: Bool
    /// Objects after the cut.
    package var remaining: Int
}

extension ClusterStore {
    package func get(_ key: String) throws(StoreProblem) -> StoredObject? {
        if case .remote = place { return try fromImage { $0.get(key) } }
        let (cached, revision) = state.withLock { ($0.cache[key], $0.revision) }
        if let cached { return cached }
        let row: DatabaseRow?
        do {
            row = try database.read { connection in
                try connection.first("SELECT id, created, deleted, value FROM revision WHERE key = ? ORDER BY id DESC LIMIT 1", .text(key))
            }
        } catch {
            throw StoreProblem(error)
        }
        guard let row, !row.bool(2) else { return nil }
        let object = StoredObject(key: key, revision: row.integer(0), created: row.integer(1), bytes: row.blob(3))
        // Remembered only if nothing was published meanwhile: a stale state must not stay.
        state.withLock { if $0.revision == revision { $0.remember(object) } }
        return object
    }

    /// The live objects whose keys begin with `prefix`, in the order of keys, after `key` where one is given.
    /// `at` asks for the state at an earlier revision.
    package func list(prefix: String, after key: String? = nil, limit: Int? = nil, at revision: Int64? = nil) throws(StoreProblem)
        -> StoredList
    {
        if case .remote = place {
            let result = try fromImage { image in
                Result { () throws(StoreProblem) in try image.list(prefix: prefix, after: key, limit: limit, at: revision) }
            }
            return try result.get()
        }
        if let revision {
            let (newest, compacted) = state.withLock { ($0.revision, $0.compacted) }
            if revision < compacted { throw .compacted(oldest: compacted) }
            if revision > newest { throw .future(current: newest) }
        }
        // What is parsed already need not be parsed again.
        let cache = state.withLock { $0.cache }
        let low = DatabaseValue.text(key.map { $0 + "\u{0}" } ?? prefix)
        let high = DatabaseValue.text(Self.end(of: prefix))
        do {
            return try database.read { connection in
                let newest = try connection.first("SELECT MAX(id) FROM revision")?.integer(0) ?? 0
                let shown = revision ?? newest
                // SQLite walks the index in key order, so the groups come sorted and a limit stops the walk.
                let groups =
                    revision == nil || revision == newest
                    ? "SELECT MAX(id) AS newest FROM revision WHERE key >= ?1 AND key < ?2 GROUP BY key ORDER BY key"
                    : "SELECT MAX(id) AS newest FROM revision WHERE key >= ?1 AND key < ?2 AND id <= ?3 GROUP BY key ORDER BY key"
                var objects: [StoredObject] = []
                var hasMore = false
                let arguments = [low, high] + (groups.contains("?3") ? [.integer(shown)] : [])
                try connection.each(
                    "SELECT r.id, r.created, r.key, r.value FROM (\(groups)) g JOIN revision r ON r.id = g.newest WHERE r.deleted = 0",
                    arguments
                ) { (row) throws(DatabaseProblem) in
                    if let limit, objects.count == limit {
                        hasMore = true
                        return false
                    }
                    let key = row.text(2)
                    if let known = cache[key], known.revision == row.integer(0) {
                        objects.append(known)
                    } else {
                        objects.append(StoredObject(key: key, revision: row.integer(0), created: row.integer(1), bytes: row.blob(3)))
                    }
                    return true
                }
                var remaining = 0
                if hasMore, let last = objects.last {
                    remaining =
                        try connection.first(
                            """
                            SELECT COUNT(*) FROM (SELECT MAX(id) AS newest FROM revision WHERE key > ?1 AND key < ?2 AND id <= ?3 GROUP BY key) g
                            JOIN revision r ON r.id = g.newest WHERE r.deleted = 0
                            """, .text(last.key), high, .integer(shown))?.int(0) ?? 0
                }
                return StoredList(objects: objects, revision: shown, hasMore: hasMore, remaining: remaining)
            }
        } catch {
            throw StoreProblem(error)
        }
    }

    /// The number of live objects under `prefix`.
    package func count(prefix: String) throws(StoreProblem) -> Int {
        if case .remote = place { return try fromImage { $0.count(prefix: prefix) } }
        do {
            return try database.read { connection in
                try connection.first(
                    """
                    SELECT COUNT(*) FROM (SELECT MAX(id) AS newest FROM revision WHERE key >= ?1 AND key < ?2 GROUP BY key) g
                    JOIN revision r ON r.id = g.newest WHERE r.deleted = 0
                    """, .text(prefix), .text(Self.end(of: prefix)))?.int(0) ?? 0
            }
        } catch {
            throw StoreProblem(error)
        }
    }

    /// The first key after all keys with this prefix, in the order of their bytes.
    static func end(of prefix: String) -> String {
        guard let last = prefix.unicodeScalars.last, let next = Unicode.Scalar(last.value + 1) else { return "\u{10FFFF}" }
        return String(String.UnicodeScalarView(prefix.unicodeScalars.dropLast())) + String(Character(next))
    }
}
