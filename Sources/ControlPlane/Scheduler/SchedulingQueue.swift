// Which pod is next: the most important first, those that fitted nowhere when something has changed and their pause is over.
// No clock: the caller says what time it is, in monotonic seconds.
internal import Essentials

struct SchedulingQueue: Sendable {
    /// The pause after the first failure, doubled with each, and its limit, in seconds. Upstream begins with 1.
    static let firstPauseSeconds = 0.1
    static let longestPauseSeconds = 10.0
    /// A pod that fitted nowhere is tried again after this many seconds even if nothing seems to have changed.
    static let forgottenSeconds = 300.0

    private struct Entry {
        var pod: PodFacts
        var order: Int
        var failures = 0
        /// May not be tried before.
        var notBefore = 0.0
        var failedAt = 0.0
    }

    private var entries: [String: Entry] = [:]
    /// Keys by importance and age; only keys whose turn may come.
    private var ready: [ReadyKey] = []
    private var pausing: Set<String> = []
    private var unschedulable: Set<String> = []
    private var nextOrder = 0
    /// Pods that are being decided now: a change meanwhile counts for them too.
    private var changedWhile: Set<String> = []
    private var inHand: Set<String> = []

    private struct ReadyKey: Comparable {
        var priority: Int64
        var order: Int
        var key: String
        static func < (one: ReadyKey, other: ReadyKey) -> Bool {
            one.priority != other.priority ? one.priority > other.priority : one.order < other.order
        }
    }

    var isEmpty: Bool { entries.isEmpty }
    var waitingKeys: [String] { Array(entries.keys) }
    func pod(_ key: String) -> PodFacts? { entries[key]?.pod }

    /// A new pod, or a new state of one that waits. `isChanged`: what placing depends on is another now.
    mutating func set(_ pod: PodFacts, isChanged: Bool) {
        if entries[pod.key] != nil {
            entries[pod.key]?.pod = pod
            if isChanged { wake(pod.key, now: 0, ignoresPause: true) }
            return
        }
        entries[pod.key] = Entry(pod: pod, order: nextOrder)
        nextOrder += 1
        makeReady(pod.key)
    }

    mutating func remove(_ key: String) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        let place = ReadyKey(priority: entry.pod.priority, order: entry.order, key: key)
        if let index = index(of: place) { ready.remove(at: index) }
        pausing.remove(key)
        unschedulable.remove(key)
        inHand.remove(key)
        changedWhile.remove(key)
    }

    /// The next pod, which stays in hand until `finish`, `fail` or `remove`.
    mutating func take(now: Double) -> PodFacts? {
        release(now: now)
        guard !ready.isEmpty else { return nil }
        let key = ready.removeFirst().key
        inHand.insert(key)
        changedWhile.remove(key)
        return entries[key]?.pod
    }

    /// When the next pause ends.
    func nextMoment() -> Double? {
        let pauses = pausing.compactMap { entries[$0]?.notBefore }
        let forgotten = unschedulable.compactMap { entries[$0].map { $0.failedAt + Self.forgottenSeconds } }
        return (pauses + forgotten).min()
    }

    /// The pod in hand fits nowhere, or something failed (`isError`: it is tried again without waiting for a change).
    mutating func fail(_ key: String, isError: Bool = false, now: Double) {
        guard inHand.remove(key) != nil, entries[key] != nil else { return }
        entries[key]?.failures += 1
        let failures = entries[key]?.failures ?? 1
        let pause = min(Self.longestPauseSeconds, Self.firstPauseSeconds * Double(1 << min(failures - 1, 10)))
        entries[key]?.notBefore = now + pause
        entries[key]?.failedAt = now
        if isError || changedWhile.remove(key) != nil { pausing.insert(key) } else { unschedulable.insert(key) }
    }

    /// Something has changed that may help the pods that `isHelped` names.
    mutating func wakeAll(now: Double, where isHelped: (PodFacts) -> Bool = { _ in true }) {
        for key in unschedulable { if let pod = entries[key]?.pod, isHelped(pod) { wake(key, now: now) } }
        for key in inHand { if let pod = entries[key]?.pod, isHelped(pod) { changedWhile.insert(key) } }
    }

    private mutating func wake(_ key: String, now: Double, ignoresPause: Bool = false) {
        if inHand.contains(key) {
            changedWhile.insert(key)
            return
        }
        guard unschedulable.remove(key) != nil || (ignoresPause && pausing.remove(key) != nil) else { return }
        if ignoresPause || entries[key]?.notBefore ?? 0 <= now { makeReady(key) } else { pausing.insert(key) }
    }

    private mutating func release(now: Double) {
        for key in pausing where entries[key]?.notBefore ?? 0 <= now {
            pausing.remove(key)
            makeReady(key)
        }
        for key in unschedulable where (entries[key]?.failedAt ?? 0) + Self.forgottenSeconds <= now {
            unschedulable.remove(key)
            makeReady(key)
        }
    }

    private mutating func makeReady(_ key: String) {
        guard let entry = entries[key] else { return }
        let place = ReadyKey(priority: entry.pod.priority, order: entry.order, key: key)
        ready.insert(place, at: insertion(of: place))
    }

    private func insertion(of place: ReadyKey) -> Int {
        var low = 0
        var high = ready.count
        while low < high {
            let middle = (low + high) / 2
            if ready[middle] < place { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func index(of place: ReadyKey) -> Int? {
        let index = insertion(of: place)
        return index < ready.count && ready[index].key == place.key ? index : nil
    }
}
