// Compaction: forgetting history that nobody should need any more.
internal import Synchronization

extension ClusterStore {
    /// History is kept at least this long.
    package static let historySeconds: Int64 = 300

    /// Forgets superseded rows up to `revision`: reads and watches from before it get `compacted` from now on.
    /// The state at `revision` and all later history stay. A store in another process sees to that itself.
    package func compact(through revision: Int64) throws(StoreProblem) {
        guard case .file(let table) = place else { return }
        let bound = state.withLock { state in
            // The newest row always stays, or its number could be given again.
            let bound = min(revision, state.revision - 1)
            if bound > state.compacted { state.compacted = bound }
            return bound
        }
        guard bound > 0 else { return }
        try table.compact(through: bound)
    }

    /// Does what the store needs done beside requests, until cancelled: compacts every `historySeconds` what was written
    /// before the last round, or keeps the connection to the process that holds the store.
    package func run() async throws {
        if case .remote(let link) = place { return try await link.run(for: self) }
        var mark = revision
        while true {
            try await Task.sleep(for: .seconds(Self.historySeconds))
            let now = revision
            if mark > 0, now > mark || state.withLock({ $0.compacted }) < mark { try? compact(through: mark) }
            mark = now
        }
    }
}
