// Compaction: forgetting history that nobody should need any more.
internal import Database
internal import Synchronization

extension ClusterStore {
    /// History is kept at least this long.
    package static let historySeconds: Int64 = 300
    /// Rows a step deletes, so that writers never wait long.
    static let compactionStepRows = 2_000

    private static let superseded = """
        SELECT r.id FROM revision r WHERE r.id <= ?1
        AND EXISTS (SELECT 1 FROM revision n WHERE n.key = r.key AND n.id > r.id AND n.id <= ?1)
        """
    private static let tombstones = "SELECT r.id FROM revision r WHERE r.id <= ?1 AND r.deleted = 1"

    /// Forgets superseded rows up to `revision`: reads and watches from before it get `compacted` from now on.
    /// The state at `revision` and all later history stay.
    package func compact(through revision: Int64) throws(StoreProblem) {
        let bound = state.withLock { state in
            // The newest row always stays, or its number could be given again.
            let bound = min(revision, state.revision - 1)
            if bound > state.compacted { state.compacted = bound }
            return bound
        }
        guard bound > 0 else { return }
        do {
            // The mark first: a crash in between leaves rows too many, never too few.
            try database.write { try $0.execute("INSERT OR REPLACE INTO setting VALUES ('compacted', ?)", .integer(bound)) }
            // Superseded rows go before tombstones: a tombstone that went first would bring its object back.
            for victims in [Self.superseded, Self.tombstones] {
                var deleted = 1
                while deleted > 0 {
                    deleted = try database.write { connection in
                        try connection.execute(
                            "DELETE FROM revision WHERE id IN (\(victims) LIMIT ?2)", .integer(bound),
                            .integer(Int64(Self.compactionStepRows)))
                        return connection.changes
                    }
                }
            }
        } catch {
            throw StoreProblem(error)
        }
    }

    /// Compacts every `historySeconds` what was written before the last round, until cancelled.
    package func run() async throws {
        var mark = revision
        while true {
            try await Task.sleep(for: .seconds(Self.historySeconds))
            let now = revision
            if mark > 0, now > mark || state.withLock({ $0.compacted }) < mark { try? compact(through: mark) }
            mark = now
        }
    }
}
