// The append-only table of revisions in its SQLite file. ClusterStore and the store's own process both keep their data so.
//
// Format. `revision(id, key, previous, created, deleted, value)`: `id` is the revision and grows by one with each write;
// `value` is the object as JSON with that revision as its `metadata.resourceVersion`, so lists and watches send the bytes
// as they lie. `previous` and `created` are earlier ids of the same key (0 for none).
//
// Invariants. The newest row of a key is its state; `deleted` rows are tombstones that hold the last state. Rows up to
// `compacted` that a later row up to `compacted` supersedes, and tombstones, are gone; the newest row of all stays, so
// that no revision is given twice.
package import Database
internal import Essentials

/// A row as it lies.
package struct RevisionRow: Sendable {
    package var id: Int64
    package var key: String
    package var previous: Int64
    package var created: Int64
    package var isDeleted: Bool
    package var value: [UInt8]
    package init(id: Int64, key: String, previous: Int64, created: Int64, isDeleted: Bool, value: [UInt8]) {
        self.id = id
        self.key = key
        self.previous = previous
        self.created = created
        self.isDeleted = isDeleted
        self.value = value
    }
}

/// What a write does, and what must be so before it.
package enum RevisionChange: UInt8, Sendable {
    case create = 0
    case update = 1
    case delete = 2
}

package struct RevisionTable: Sendable {
    /// Rows a compaction deletes in one transaction, so that writers never wait long.
    static let compactionStepRows = 1_000

    package let database: Database

    package init(path: String, durability: Durability = .powerLoss, cacheKiB: Int = 1024, separateReader: Bool = true)
        throws(StoreProblem)
    {
        do throws(DatabaseProblem) {
            database = try Database(
                path: path, migrations: Self.migrations, durability: durability, cacheKiB: cacheKiB, separateReader: separateReader)
        } catch {
            throw .database(error)
        }
    }

    private static let migrations = [
        Migration(
            """
            CREATE TABLE revision(
                id INTEGER PRIMARY KEY, key TEXT NOT NULL, previous INTEGER NOT NULL, created INTEGER NOT NULL,
                deleted INTEGER NOT NULL, value BLOB NOT NULL);
            CREATE UNIQUE INDEX revision_key ON revision(key, id);
            CREATE TABLE setting(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
            """)
    ]

    /// The newest revision, and the one up to which history is gone.
    package func bounds() throws(StoreProblem) -> (newest: Int64, compacted: Int64) {
        do {
            return try database.read { connection in
                (
                    try connection.first("SELECT MAX(id) FROM revision")?.integer(0) ?? 0,
                    try connection.first("SELECT value FROM setting WHERE name = 'compacted'")?.integer(0) ?? 0
                )
            }
        } catch {
            throw StoreProblem(error)
        }
    }

    /// A name that this file was given when it was made; another file is another history.
    package func identity() throws(StoreProblem) -> String {
        do {
            return try database.write { connection in
                if let found = try connection.first("SELECT value FROM setting WHERE name = 'identity'")?.optionalText(0) { return found }
                let fresh = Identifier.uuid()
                try connection.execute("INSERT INTO setting VALUES ('identity', ?)", .text(fresh))
                return fresh
            }
        } catch {
            throw StoreProblem(error)
        }
    }

    /// Bytes of the file, and of its pages that hold something.
    package func sizeBytes() throws -> (total: Int, used: Int) {
        try database.read { connection in
            let page = try connection.first("PRAGMA page_size")?.int(0) ?? 0
            let pages = try connection.first("PRAGMA page_count")?.int(0) ?? 0
            let free = try connection.first("PRAGMA freelist_count")?.int(0) ?? 0
            return (page * pages, page * (pages - free))
        }
    }

    /// Reads the whole file; throws where it is damaged.
    package func verify() throws(StoreProblem) {
        do {
            let found = try database.read { try $0.first("PRAGMA quick_check(1)")?.text(0) ?? "" }
            if found != "ok" { throw DatabaseProblem.failed(code: 11, detail: found) }
        } catch {
            throw StoreProblem(error)
        }
    }

    /// Appends one row where `expected` is the key's state (ignored for `create`). Part of a write transaction.
    ///
    /// `make` gives the value for the revision that the row gets.
    package static func append(
        _ change: RevisionChange, _ key: String, expected: Int64, newest: Int64, _ connection: DatabaseConnection,
        make: (Int64) -> [UInt8]
    ) throws(DatabaseProblem) -> Result<RevisionRow, StoreProblem> {
        let last = try connection.first(
            "SELECT id, created, deleted FROM revision WHERE key = ? ORDER BY id DESC LIMIT 1", .text(key))
        let current = last.flatMap { $0.bool(2) ? nil : (id: $0.integer(0), created: $0.integer(1)) }
        if change == .create {
            guard current == nil else { return .failure(.exists(key: key)) }
        } else {
            guard let current else { return .failure(.missing(key: key)) }
            guard current.id == expected else { return .failure(.changed(key: key)) }
        }
        let id = newest + 1
        let value = make(id)
        guard value.count <= ClusterStore.objectLimitBytes else {
            return .failure(.tooLarge(limitBytes: ClusterStore.objectLimitBytes))
        }
        let row = RevisionRow(
            id: id, key: key, previous: current?.id ?? 0, created: current?.created ?? id, isDeleted: change == .delete, value: value)
        try connection.execute(
            "INSERT INTO revision(id, key, previous, created, deleted, value) VALUES (?, ?, ?, ?, ?, ?)", .integer(id), .text(key),
            .integer(row.previous), .integer(row.created), DatabaseValue(row.isDeleted), .blob(value))
        return .success(row)
    }

    /// Rows after a revision, in order, until `limitRows` or about `limitBytes` are read.
    package func rows(after: Int64, limitRows: Int, limitBytes: Int) throws(StoreProblem) -> [RevisionRow] {
        do {
            return try database.read { connection in
                var rows: [RevisionRow] = []
                var bytes = 0
                try connection.each(
                    "SELECT id, key, previous, created, deleted, value FROM revision WHERE id > ? ORDER BY id", [.integer(after)]
                ) { (row) throws(DatabaseProblem) in
                    let value = row.blob(5)
                    bytes += value.count
                    rows.append(
                        RevisionRow(
                            id: row.integer(0), key: row.text(1), previous: row.integer(2), created: row.integer(3), isDeleted: row.bool(4),
                            value: value))
                    return rows.count < limitRows && bytes < limitBytes
                }
                return rows
            }
        } catch {
            throw StoreProblem(error)
        }
    }

    private static let superseded = """
        SELECT r.id FROM revision r WHERE r.id <= ?1
        AND EXISTS (SELECT 1 FROM revision n WHERE n.key = r.key AND n.id > r.id AND n.id <= ?1)
        """
    private static let tombstones = "SELECT r.id FROM revision r WHERE r.id <= ?1 AND r.deleted = 1"

    /// Deletes what is superseded up to `bound`. A crash in between leaves rows too many, never too few.
    package func compact(through bound: Int64) throws(StoreProblem) {
        do {
            try markCompacted(bound)
            var step = CompactionStep.superseded
            while let next = try compactStep(step, through: bound) { step = next }
        } catch {
            throw StoreProblem(error)
        }
    }

    package func markCompacted(_ bound: Int64) throws {
        // The mark first: rows that are gone may not be asked for.
        try database.write { try $0.execute("INSERT OR REPLACE INTO setting VALUES ('compacted', ?)", .integer(bound)) }
    }

    package enum CompactionStep: Sendable { case superseded, tombstones }

    /// One transaction of a compaction; what to do next, `nil` at the end.
    package func compactStep(_ step: CompactionStep, through bound: Int64) throws -> CompactionStep? {
        // Superseded rows go before tombstones: a tombstone that went first would bring its object back.
        let victims = step == .superseded ? Self.superseded : Self.tombstones
        let deleted = try database.write { connection in
            try connection.execute(
                "DELETE FROM revision WHERE id IN (\(victims) LIMIT ?2)", .integer(bound), .integer(Int64(Self.compactionStepRows)))
            return connection.changes
        }
        if deleted > 0 { return step }
        return step == .superseded ? .tombstones : nil
    }
}
