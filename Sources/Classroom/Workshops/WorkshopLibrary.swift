// The workshops of one directory, kept in memory as rendered pages and read again when their files change.
internal import Synchronization

/// A file beside a lesson that may be served.
package struct WorkshopFile: Sendable, Equatable {
    /// Where it is on disk, with no symbolic link left in it.
    package var path: String
    package var contentType: String
}

/// All workshops of a directory.
///
/// Reading never waits: what is held was read before. `watch()` looks at the files every two seconds and reads again
/// what changed; one broken workshop is held with its problems and takes no other with it.
package final class WorkshopLibrary: Sendable {
    private struct State {
        var workshops: [String: Workshop] = [:]
        var listeners: [Int: AsyncStream<String>.Continuation] = [:]
        var nextListener = 0
    }

    package let directory: String
    private let state = Mutex(State())

    /// Reads every workshop below `directory` (`NAME/` with a lesson, or `NAME.md`).
    package init(directory: String) {
        self.directory = directory
    }

    /// All workshops, broken ones too, by title.
    package func all() -> [Workshop] {
        state.withLock { Array($0.workshops.values) }.sorted { ($0.title, $0.name) < ($1.title, $1.name) }
    }

    package func workshop(named name: String) -> Workshop? {
        state.withLock { $0.workshops[name] }
    }

    /// The file that `/w/NAME/files/PATH` names. `nil` unless it is a picture or another harmless type inside the
    /// workshop's own folder, not hidden, and reached by no link that leads out of it.
    package func file(workshop name: String, path: String) -> WorkshopFile? {
        nil
    }

    /// The names of workshops as they change, appear or vanish. Each listener keeps at most 64 names it has not read.
    package func changes() -> AsyncStream<String> {
        AsyncStream(bufferingPolicy: .bufferingNewest(64)) { continuation in
            let id = state.withLock { state in
                state.nextListener += 1
                state.listeners[state.nextListener] = continuation
                return state.nextListener
            }
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { $0.listeners[id] = nil }
            }
        }
    }

    /// Looks for changed files every two seconds until cancelled.
    package func watch() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
            refresh()
        }
    }

    /// Reads again what changed since the last look, and tells the listeners.
    package func refresh() {
    }
}
