// Watching: each change after a revision, once and in order, through a bounded buffer.
internal import Database
internal import Synchronization

/// A change as the store made it.
package struct StoreEvent: Sendable {
    package enum Kind: Sendable { case created, modified, deleted }
    package let kind: Kind
    /// The new state; of a deletion, the last state under the deletion's revision.
    package let object: StoredObject
    package let previous: StoredObject?
}

/// One watcher, whatever its elements are. It holds events back until its backlog is read.
final class Watcher: Sendable {
    enum Delivery { case taken, full, gone }
    typealias Sink = @Sendable (StoreEvent) -> Delivery

    private enum Phase {
        case holding([StoreEvent])
        case live(Sink, after: Int64)
    }

    private let prefix: String
    private let phase: Mutex<Phase>
    /// Ends the stream with `compacted`. Called without the store's lock, for ending a stream takes it.
    private let end: Mutex<(@Sendable () -> Void)?>
    /// Set when the reader is gone. A stream may end while its task's own lock is held, and the store wakes tasks under
    /// its lock; so the end of a stream takes no lock of ours, and the store drops the watcher at its next turn.
    private let readerIsGone = Atomic(false)

    init(prefix: String) {
        self.prefix = prefix
        phase = Mutex(.holding([]))
        end = Mutex(nil)
    }

    /// Called in order of revisions, under the store's lock.
    func deliver(_ event: StoreEvent) -> Delivery {
        if isGone { return .gone }
        guard event.object.key.utf8.starts(with: prefix.utf8) else { return .taken }
        return phase.withLock { phase in
            switch phase {
            case .live(let sink, let after): return event.object.revision > after ? sink(event) : .taken
            case .holding(var events):
                phase = .holding([])
                events.append(event)
                let count = events.count
                phase = .holding(events)
                return count <= ClusterStore.watcherLimitEvents ? .taken : .full
            }
        }
    }

    /// Passes the backlog on, then what came meanwhile, and from now on all at once.
    func release(backlog: [StoreEvent], after: Int64, end: @escaping @Sendable () -> Void, sink: @escaping Sink) -> Delivery {
        self.end.withLock { $0 = end }
        return phase.withLock { phase in
            guard case .holding(let held) = phase else { return .gone }
            var last = after
            for event in backlog + held where event.object.revision > last {
                last = event.object.revision
                let delivery = sink(event)
                if delivery != .taken { return delivery }
            }
            phase = .live(sink, after: last)
            return .taken
        }
    }

    func finish() { end.withLock { $0 }?() }

    func leave() { readerIsGone.store(true, ordering: .releasing) }
    var isGone: Bool { readerIsGone.load(ordering: .acquiring) }
}

/// An open watch. It ends when its stream is dropped or cancelled.
package struct StoreWatch<Element: Sendable>: Sendable {
    package let events: AsyncStream<Element>
    package let control: WatchControl<Element>
}

/// The server's end of a watch. Holding it does not keep the watch open.
package struct WatchControl<Element: Sendable>: Sendable {
    private let continuation: AsyncStream<Element>.Continuation
    private let store: ClusterStore
    private let onEnd: EndHook

    /// Guards what is to happen once at the end.
    final class EndHook: Sendable {
        private let action = Mutex<(@Sendable () -> Void)?>(nil)
        private let isOver = Mutex(false)
        func set(_ body: @escaping @Sendable () -> Void) {
            if isOver.withLock({ $0 }) { body() } else { action.withLock { $0 = body } }
        }
        func fire() {
            isOver.withLock { $0 = true }
            action.withLock { action in
                defer { action = nil }
                return action
            }?()
        }
    }

    init(continuation: AsyncStream<Element>.Continuation, store: ClusterStore, onEnd: EndHook) {
        self.continuation = continuation
        self.store = store
        self.onEnd = onEnd
    }

    /// Adds an element that says what revision the watch has reached.
    package func mark(_ make: (Int64) -> Element?) {
        store.state.withLock { state in if let element = make(state.revision) { _ = continuation.yield(element) } }
    }

    package func finish() { continuation.finish() }

    /// Runs `body` when the watch is over, for whatever reason.
    package func whenEnded(_ body: @escaping @Sendable () -> Void) { onEnd.set(body) }
}

extension ClusterStore {
    /// The changes to keys with `prefix` after revision `after`, behind `initial`, each as `transform` shapes it (`nil`:
    /// left out). When the reader falls too far behind, the stream ends with what `failure` makes of `compacted`.
    ///
    /// `transform` runs while the store is locked: it must be quick and must not call the store. So does `admits`, which says
    /// whether one more element may wait for the reader; without it only their number is limited.
    package func watch<Element: Sendable>(
        prefix: String, after: Int64, initial: [Element] = [], failure: @escaping @Sendable (StoreProblem) -> Element,
        admits: @escaping @Sendable (Element) -> Bool = { _ in true }, transform: @escaping @Sendable (StoreEvent) -> Element?
    ) throws(StoreProblem) -> StoreWatch<Element> {
        let watcher = Watcher(prefix: prefix)
        let registered: Result<(Int, Int64), StoreProblem> = state.withLock { state in
            guard after >= state.compacted else { return .failure(.compacted(oldest: state.compacted)) }
            state.dropGoneWatchers()
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = watcher
            return .success((state.nextWatcher, state.revision))
        }
        let (id, published) = try registered.get()
        let backlog: [StoreEvent]
        do throws(StoreProblem) {
            backlog = try self.backlog(prefix: prefix, after: after, through: published)
        } catch {
            forget(watcher: id)
            throw error
        }
        // One place more than the limit is kept for the element that says why the watch ends.
        let limit = Self.watcherLimitEvents + backlog.count + initial.count + 1
        let (stream, continuation) = AsyncStream.makeStream(of: Element.self, bufferingPolicy: .bufferingOldest(limit))
        let hook = WatchControl<Element>.EndHook()
        continuation.onTermination = { _ in
            watcher.leave()
            hook.fire()
        }
        for element in initial { continuation.yield(element) }
        let end: @Sendable () -> Void = {
            continuation.yield(failure(.compacted(oldest: published)))
            continuation.finish()
        }
        let delivery = watcher.release(backlog: backlog, after: after, end: end) { event in
            guard let element = transform(event) else { return .taken }
            guard admits(element) else { return .full }
            switch continuation.yield(element) {
            case .enqueued(let remaining): return remaining > 1 ? .taken : .full
            case .dropped: return .full
            default: return .gone
            }
        }
        if delivery != .taken {
            forget(watcher: id)
            end()
        }
        return StoreWatch(events: stream, control: WatchControl(continuation: continuation, store: self, onEnd: hook))
    }

    /// Watchers there are now.
    package var watcherCount: Int { state.withLock { state in state.watchers.values.count { !$0.isGone } } }

    private func forget(watcher id: Int) { state.withLock { $0.watchers[id] = nil } }

    private func backlog(prefix: String, after: Int64, through: Int64) throws(StoreProblem) -> [StoreEvent] {
        if after == through { return [] }
        if case .remote = place {
            let result = try fromImage { image in Result { () throws(StoreProblem) in try image.backlog(prefix: prefix, after: after) } }
            return try result.get()
        }
        do {
            return try database.read { connection in
                if after > through {
                    // A list may have seen rows that are committed but not published yet; anything later is no revision of ours.
                    let newest = try connection.first("SELECT MAX(id) FROM revision")?.integer(0) ?? 0
                    if after > newest { throw StoreProblem.future(current: newest) }
                    return []
                }
                var events: [StoreEvent] = []
                var isTooLong = false
                try connection.each(
                    """
                    SELECT r.id, r.key, r.created, r.deleted, r.value, p.id, p.created, p.value FROM revision r
                    LEFT JOIN revision p ON p.id = r.previous AND r.previous > 0
                    WHERE r.id > ?1 AND r.id <= ?2 AND r.key >= ?3 AND r.key < ?4 ORDER BY r.id
                    """, [.integer(after), .integer(through), .text(prefix), .text(Self.end(of: prefix))]
                ) { (row) throws(DatabaseProblem) in
                    let object = StoredObject(key: row.text(1), revision: row.integer(0), created: row.integer(2), bytes: row.blob(4))
                    let previous =
                        row.isNull(5)
                        ? nil : StoredObject(key: row.text(1), revision: row.integer(5), created: row.integer(6), bytes: row.blob(7))
                    let kind: StoreEvent.Kind = row.bool(3) ? .deleted : row.integer(2) == row.integer(0) ? .created : .modified
                    events.append(StoreEvent(kind: kind, object: object, previous: previous))
                    isTooLong = events.count > Self.backlogLimitRows
                    return !isTooLong
                }
                if isTooLong { throw StoreProblem.compacted(oldest: through) }
                return events
            }
        } catch {
            throw StoreProblem(error)
        }
    }
}

extension ClusterStore.State {
    mutating func dropGoneWatchers() { watchers = watchers.filter { !$0.value.isGone } }
}
