// What waits for a pod's worker: the latest Pod, and what happened meanwhile.
internal import Essentials
internal import Pods
internal import Synchronization

final class Mailbox: Sendable {
    /// Events that wait; each container and probe has one under way at most, so more than this is a bug and the oldest go.
    static let limitEvents = 512

    private struct State {
        var pod: JSON?
        var mirror: JSON?
        var events: [PodEvent] = []
        var wantsRefresh = false
        var isPoked = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    struct Content {
        var pod: JSON?
        var mirror: JSON?
        var events: [PodEvent]
        var wantsRefresh: Bool
    }
    private let state = Mutex(State())

    func send(pod: JSON) { change { $0.pod = pod } }
    func send(mirror: JSON) { change { $0.mirror = mirror } }
    func send(_ event: PodEvent) {
        change { state in
            if state.events.count >= Self.limitEvents { state.events.removeFirst() }
            state.events.append(event)
        }
    }
    /// Volumes are to be looked at again.
    func refresh() { change { $0.wantsRefresh = true } }
    func poke() { change { $0.isPoked = true } }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            let waiter = state.waiter
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    private func take() -> Content? {
        state.withLock { state in
            guard state.pod != nil || state.mirror != nil || !state.events.isEmpty || state.wantsRefresh || state.isPoked else {
                return nil
            }
            let content = Content(pod: state.pod, mirror: state.mirror, events: state.events, wantsRefresh: state.wantsRefresh)
            state.pod = nil
            state.mirror = nil
            state.events = []
            state.wantsRefresh = false
            state.isPoked = false
            return content
        }
    }

    /// `nil` when the task is cancelled.
    func next() async -> Content? {
        while !Task.isCancelled {
            if let content = take() { return content }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let mustWait = state.withLock { state in
                        let isEmpty =
                            state.pod == nil && state.mirror == nil && state.events.isEmpty && !state.wantsRefresh && !state.isPoked
                        guard isEmpty, !Task.isCancelled else { return false }
                        state.waiter = continuation
                        return true
                    }
                    if !mustWait { continuation.resume() }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume()
            }
        }
        return nil
    }
}
