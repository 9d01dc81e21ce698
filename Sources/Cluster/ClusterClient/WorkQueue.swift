// A queue of keys to look at: each key waits at most once, is worked on by one worker at a time, and comes back later
// and later while it fails.
internal import Essentials
internal import Logging
internal import Synchronization

package final class WorkQueue: Sendable {
    /// Waits after the first, second, … failure in a row, in milliseconds; the last one holds from then on.
    package static let retryMilliseconds = [5, 20, 100, 500, 2_000, 10_000, 60_000]

    private struct State {
        var order: [String] = []
        var head = 0
        var waiting: Set<String> = []
        var working: Set<String> = []
        /// Came up again while it was worked on.
        var again: Set<String> = []
        var failures: [String: Int] = [:]
        /// One timer a key: the earliest that was asked for.
        var timers: [String: (due: Double, number: Int, task: Task<Void, Never>)] = [:]
        var nextTimer = 0
        var idle: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextIdle = 0
    }
    private let state = Mutex(State())

    package init() {}

    deinit { state.withLock { for timer in $0.timers.values { timer.task.cancel() } } }

    package func add(_ key: String) {
        let sleeper = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.working.contains(key) {
                state.again.insert(key)
                return nil
            }
            guard state.waiting.insert(key).inserted else { return nil }
            state.order.append(key)
            guard let number = state.idle.keys.first else { return nil }
            return state.idle.removeValue(forKey: number)
        }
        sleeper?.resume()
    }

    /// Adds the key after a while; where it is to come sooner already, that time stays.
    package func add(_ key: String, afterMilliseconds delay: Int) {
        let due = monotonicSeconds() + Double(delay) / 1000
        state.withLock { state in
            if let timer = state.timers[key] {
                guard due < timer.due else { return }
                timer.task.cancel()
            }
            state.nextTimer += 1
            let number = state.nextTimer
            let task = Task { [weak self] in
                do { try await Task.sleep(for: .milliseconds(delay)) } catch { return }
                self?.ring(key, number)
            }
            state.timers[key] = (due, number, task)
        }
    }

    private func ring(_ key: String, _ number: Int) {
        let isDue = state.withLock { state in
            guard state.timers[key]?.number == number else { return false }
            state.timers[key] = nil
            return true
        }
        if isDue { add(key) }
    }

    /// Gives each key to `work`, `workers` at a time, until cancelled. A key whose work throws comes back after a while.
    package func run(workers: Int = 1, _ work: @escaping @Sendable (String) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<workers {
                group.addTask {
                    while let key = await self.next() {
                        do {
                            try await work(key)
                            self.finish(key, failed: false)
                        } catch {
                            if Task.isCancelled { break }
                            Logger(label: "workqueue").debug("to be tried again", metadata: ["key": "\(key)", "cause": "\(error)"])
                            self.finish(key, failed: true)
                        }
                    }
                    try Task.checkCancellation()
                }
            }
            try await group.waitForAll()
        }
    }

    private func take() -> String? {
        state.withLock { state in
            guard state.head < state.order.count else { return nil }
            let key = state.order[state.head]
            state.head += 1
            if state.head == state.order.count || state.head > 1024 {
                state.order.removeFirst(state.head)
                state.head = 0
            }
            state.waiting.remove(key)
            state.working.insert(key)
            return key
        }
    }

    private func next() async -> String? {
        while !Task.isCancelled {
            if let key = take() { return key }
            let number = state.withLock { state in
                state.nextIdle += 1
                return state.nextIdle
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let mustWait = state.withLock { state in
                        guard state.head == state.order.count, !Task.isCancelled else { return false }
                        state.idle[number] = continuation
                        return true
                    }
                    if !mustWait { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.idle.removeValue(forKey: number) }?.resume()
            }
        }
        return nil
    }

    private func finish(_ key: String, failed: Bool) {
        let (isDue, delay) = state.withLock { state -> (Bool, Int?) in
            state.working.remove(key)
            let isDue = state.again.remove(key) != nil
            guard failed else {
                state.failures[key] = nil
                return (isDue, nil)
            }
            let count = state.failures[key] ?? 0
            state.failures[key] = count + 1
            return (isDue, Self.retryMilliseconds[min(count, Self.retryMilliseconds.count - 1)])
        }
        if let delay { add(key, afterMilliseconds: delay) } else if isDue { add(key) }
    }
}
