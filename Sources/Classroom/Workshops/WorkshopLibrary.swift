// The workshops of one directory, kept in memory as rendered pages and read again when their files change.
internal import Markup
internal import Synchronization

/// A file beside a lesson that may be served.
package struct WorkshopFile: Sendable, Equatable {
    /// Where it is on disk, a plain file and no symbolic link.
    package var path: String
    package var contentType: String
}

/// All workshops of a directory.
///
/// Reading never waits: what is held was read before. `watch()` looks at the files every two seconds and reads again
/// what changed; one broken workshop is held with its problems and takes no other with it.
package final class WorkshopLibrary: Sendable {
    private struct Entry {
        var folder: WorkshopFolder
        var workshop: Workshop
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var listeners: [Int: AsyncStream<String>.Continuation] = [:]
        var nextListener = 0
    }

    package let directory: String
    private let state = Mutex(State())
    /// Held while files are read, so that two looks do not cross; readers of `state` never wait for it.
    private let looking = Mutex(())

    /// Reads every workshop below `directory` (`NAME/` with a lesson, or `NAME.md`).
    package init(directory: String) {
        self.directory = directory
        refresh()
    }

    /// All workshops, broken ones too, by title.
    package func all() -> [Workshop] {
        state.withLock { $0.entries.values.map(\.workshop) }.sorted { ($0.title, $0.name) < ($1.title, $1.name) }
    }

    package func workshop(named name: String) -> Workshop? {
        state.withLock { $0.entries[name]?.workshop }
    }

    /// The file that `/w/NAME/files/PATH` names. `nil` unless it is a picture or another harmless type inside the
    /// workshop's own folder, not hidden, and reached by no link that leads out of it.
    package func file(workshop name: String, path: String) -> WorkshopFile? {
        guard let folder = state.withLock({ $0.entries[name]?.folder }), let segments = WebAddress.pathSegments(path) else { return nil }
        let file = segments.joined(separator: "/")
        guard let type = MediaType.served(file), let path = folder.path(of: file) else { return nil }
        return WorkshopFile(path: path, contentType: type)
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
        looking.withLock { _ in
            let folders = WorkshopFolder.list(directory)
            let known = state.withLock { $0.entries.mapValues(\.folder) }
            var changed = known.keys.filter { name in !folders.contains { $0.name == name } }
            for name in changed { state.withLock { $0.entries[name] = nil } }
            for folder in folders where known[folder.name] != folder {
                let entry = Entry(folder: folder, workshop: WorkshopReader.read(folder).workshop)
                state.withLock { $0.entries[folder.name] = entry }
                changed.append(folder.name)
            }
            let listeners = state.withLock { Array($0.listeners.values) }
            for name in changed { for listener in listeners { listener.yield(name) } }
        }
    }
}
