// All newest rows in memory, sorted by key, with the last changes: what a store in another process looks like from here.
//
// Objects lie as bytes in chunks of at most `chunkLimitObjects`, so that a lookup is two binary searches and an insertion
// moves little. The history holds each event with the state before it: walking it backwards from now gives the state at an
// earlier revision. It is as long as its limits allow; what is older counts as compacted.
internal import Essentials
internal import Synchronization

struct StoreImage: Sendable {
    /// Objects in a chunk before it is split.
    static let chunkLimitObjects = 512
    /// Events the history holds, and bytes of states in it that are no longer the newest.
    static let historyLimitEvents = 20_000
    static let historyLimitBytes = 8 << 20
    /// A watch may begin this many revisions ahead: another server's answer may be faster than its rows.
    static let aheadLimitRevisions: Int64 = 10_000

    private var chunks: [[StoredObject]] = []
    private var history: [StoreEvent] = []
    private var historyFirst = 0
    private var historyBytes = 0
    /// Changes after this revision are all in the history.
    private(set) var historyStart: Int64
    private(set) var revision: Int64

    init(historyStart: Int64 = 0) {
        self.historyStart = historyStart
        revision = 0
    }

    var objectCount: Int { chunks.reduce(0) { $0 + $1.count } }

    // MARK: Changes

    /// Takes a row in and says what it changed. The rows come in order.
    mutating func event(for row: RevisionRow, ring: DocumentRing?) -> StoreEvent {
        let previous = get(row.key)
        let object = StoredObject(key: row.key, revision: row.id, created: row.created, bytes: row.value, ring: ring)
        let kind: StoreEvent.Kind = row.isDeleted ? .deleted : row.created == row.id ? .created : .modified
        return StoreEvent(kind: kind, object: object, previous: previous)
    }

    mutating func apply(_ event: StoreEvent) {
        revision = event.object.revision
        if event.kind == .deleted { remove(event.object.key) } else { put(event.object) }
        guard revision > historyStart else { return }
        history.append(event)
        historyBytes += event.supersededBytes
        while history.count - historyFirst > Self.historyLimitEvents || historyBytes > Self.historyLimitBytes { dropOldest() }
    }

    /// Forgets the history up to `bound`.
    mutating func compact(through bound: Int64) {
        while historyFirst < history.count, history[historyFirst].object.revision <= bound { dropOldest() }
        historyStart = max(historyStart, min(bound, revision))
    }

    private mutating func dropOldest() {
        historyBytes -= history[historyFirst].supersededBytes
        historyStart = history[historyFirst].object.revision
        historyFirst += 1
        // Dropped in one go now and then; until then the places still hold their objects, a few of them.
        if historyFirst >= 256, historyFirst * 8 >= history.count || historyFirst == history.count {
            history.removeFirst(historyFirst)
            historyFirst = 0
        }
    }

    // MARK: Reading

    func get(_ key: String) -> StoredObject? {
        let place = locate(key)
        return place.isFound ? chunks[place.chunk][place.index] : nil
    }

    func count(prefix: String) -> Int { rank(ClusterStore.end(of: prefix)) - rank(prefix) }

    func list(prefix: String, after: String?, limit: Int?, at revision: Int64?) throws(StoreProblem) -> StoredList {
        if let revision {
            if revision < historyStart { throw .compacted(oldest: historyStart) }
            if revision > self.revision { throw .future(current: self.revision) }
        }
        let low = after.map { $0 + "\u{0}" } ?? prefix
        let end = ClusterStore.end(of: prefix)
        let shown = revision ?? self.revision
        let overlay = shown == self.revision ? [:] : states(prefix: prefix, at: shown)
        if overlay.isEmpty {
            let total = max(0, rank(end) - rank(low))
            let count = min(total, limit ?? total)
            return StoredList(
                objects: objects(from: low, count: count), revision: shown, hasMore: count < total, remaining: total - count)
        }
        var found = objects(from: low, count: max(0, rank(end) - rank(low))).filter { overlay[$0.key] == nil }
        for case let object? in overlay.values where object.key >= low { found.append(object) }
        found.sort { $0.key < $1.key }
        let total = found.count
        if let limit, total > limit { found.removeSubrange(limit...) }
        return StoredList(objects: found, revision: shown, hasMore: found.count < total, remaining: total - found.count)
    }

    /// The states at `revision` of what changed since; a key that had none then has a `nil`.
    private func states(prefix: String, at revision: Int64) -> [String: StoredObject?] {
        var states: [String: StoredObject?] = [:]
        for event in history[historyFirst...].reversed() {
            if event.object.revision <= revision { break }
            if event.object.key.utf8.starts(with: prefix.utf8) { states[event.object.key] = .some(event.previous) }
        }
        return states
    }

    /// The changes after a revision, at most `backlogLimitRows`.
    func backlog(prefix: String, after: Int64) throws(StoreProblem) -> [StoreEvent] {
        if after < historyStart { throw .compacted(oldest: historyStart) }
        if after > revision + Self.aheadLimitRevisions { throw .future(current: revision) }
        var low = historyFirst
        var high = history.count
        while low < high {
            let middle = (low + high) / 2
            if history[middle].object.revision <= after { low = middle + 1 } else { high = middle }
        }
        let events = history[low...].filter { $0.object.key.utf8.starts(with: prefix.utf8) }
        if events.count > ClusterStore.backlogLimitRows { throw .compacted(oldest: revision) }
        return events
    }

    // MARK: The sorted chunks

    private struct Place {
        var chunk: Int
        var index: Int
        var isFound: Bool
    }

    /// Where the key is or would be put.
    private func locate(_ key: String) -> Place {
        guard !chunks.isEmpty else { return Place(chunk: 0, index: 0, isFound: false) }
        // The last chunk that begins at or before the key.
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle][0].key <= key { low = middle + 1 } else { high = middle }
        }
        let number = max(0, low - 1)
        var first = 0
        var last = chunks[number].count
        while first < last {
            let middle = (first + last) / 2
            if chunks[number][middle].key < key { first = middle + 1 } else { last = middle }
        }
        return Place(chunk: number, index: first, isFound: first < chunks[number].count && chunks[number][first].key == key)
    }

    /// How many keys come before this one.
    private func rank(_ key: String) -> Int {
        let place = locate(key)
        return chunks[..<min(place.chunk, chunks.count)].reduce(0) { $0 + $1.count } + place.index
    }

    private func objects(from key: String, count: Int) -> [StoredObject] {
        var place = locate(key)
        var objects: [StoredObject] = []
        objects.reserveCapacity(count)
        while objects.count < count, place.chunk < chunks.count {
            objects.append(contentsOf: chunks[place.chunk][place.index...].prefix(count - objects.count))
            place = Place(chunk: place.chunk + 1, index: 0, isFound: false)
        }
        return objects
    }

    private mutating func put(_ object: StoredObject) {
        let place = locate(object.key)
        if place.isFound {
            chunks[place.chunk][place.index] = object
            return
        }
        if chunks.isEmpty { chunks.append([]) }
        chunks[place.chunk].insert(object, at: place.index)
        if chunks[place.chunk].count > Self.chunkLimitObjects {
            // Keys often come in order: the front part stays nearly full then.
            let cut = place.index == Self.chunkLimitObjects ? Self.chunkLimitObjects : Self.chunkLimitObjects / 2
            chunks.insert(Array(chunks[place.chunk][cut...]), at: place.chunk + 1)
            chunks[place.chunk].removeSubrange(cut...)
        }
    }

    private mutating func remove(_ key: String) {
        let place = locate(key)
        guard place.isFound else { return }
        chunks[place.chunk].remove(at: place.index)
        if chunks[place.chunk].isEmpty { chunks.remove(at: place.chunk) }
    }
}

extension StoreEvent {
    /// What the history keeps alive because of this event.
    fileprivate var supersededBytes: Int { (previous?.bytes.count ?? 0) + (kind == .deleted ? object.bytes.count : 0) }
}

extension ClusterStore {
    /// Seconds without the process that holds the store after which what was read last no longer counts as the truth.
    static let staleLimitSeconds = 5.0

    /// Reads from the image, unless it is not here or may be out of date.
    func fromImage<Value>(_ body: (StoreImage) -> Value) throws(StoreProblem) -> Value {
        let value: Value? = state.withLock { state in
            guard let image = state.image else { return nil }
            if let lost = state.lostSince, monotonicSeconds() - lost > Self.staleLimitSeconds { return nil }
            return body(image)
        }
        guard let value else { throw .unreachable }
        return value
    }

    /// Returns once the store can be read: at once for a file, after the first load from another process otherwise; also
    /// when the task is cancelled.
    package func waitUntilReady() async {
        while !Task.isCancelled, case .remote = place {
            let isReady = state.withLock { $0.image != nil }
            if isReady { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if state.image != nil || Task.isCancelled { return true }
                        state.readyWaiters.append(continuation)
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                let waiters = state.withLock { state in
                    defer { state.readyWaiters = [] }
                    return state.readyWaiters
                }
                for waiter in waiters { waiter.resume() }
            }
        }
    }
}
