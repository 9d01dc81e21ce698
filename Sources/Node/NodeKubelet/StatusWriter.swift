// Writes one pod's status: at most one request at a time, always the latest, until it is written or the pod is gone.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging
internal import Synchronization

final class StatusWriter: Sendable {
    private static let retryMilliseconds = [50, 100, 200, 500, 1000, 2000, 5000, 10_000]

    private struct State {
        var wanted: JSON?
        var isWriting = false
        /// What the API has, as far as is known.
        var written: JSON = .null
        var version: UInt64 = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    /// Which object carries the status: the pod, or a static pod's mirror.
    struct Target: Sendable {
        var namespace: String
        var name: String
        var uid: String
    }

    private let client: ClusterClient
    private let state = Mutex(State())

    init(client: ClusterClient) { self.client = client }

    /// Whether the caller is to run `write`.
    func offer(_ status: JSON) -> Bool {
        state.withLock { state in
            guard status != state.written || state.wanted != nil else { return false }
            state.wanted = status
            if state.isWriting { return false }
            state.isWriting = true
            return true
        }
    }

    /// What the API shows. Someone else's change of what is ours is to be written over.
    func observe(_ pod: JSON) {
        let version = UInt64(pod.metaResourceVersion) ?? 0
        state.withLock { state in
            guard version > state.version, !state.isWriting, !state.written.isNull else { return }
            func ready(_ status: JSON?) -> JSON? { status?["conditions"]?.array?.first { $0["type"]?.string == "Ready" }?["status"] }
            if ready(pod["status"]) != ready(state.written) || pod["status"]?["phase"] != state.written["phase"] { state.written = .null }
        }
    }

    /// The last status that was written or is to be written.
    var latest: JSON? { state.withLock { $0.wanted ?? ($0.written.isNull ? nil : $0.written) } }

    /// Another object is to carry the status from now on.
    func reset() { state.withLock { $0.written = .null } }

    func write(to target: Target, isOver: @Sendable () -> Bool) async {
        var failures = 0
        while let status = state.withLock({ $0.wanted }) {
            do throws(ClusterProblem) {
                let patch = state.withLock { Self.patch(status, over: $0.written, uid: target.uid) }
                let answer = try await client.patch(
                    .pods, namespace: target.namespace, name: target.name, .strategic, patch, subresource: "status")
                failures = 0
                state.withLock { state in
                    state.written = status
                    state.version = UInt64(answer.metaResourceVersion) ?? state.version
                    if state.wanted == status { state.wanted = nil }
                }
            } catch {
                if error.isNotFound || Task.isCancelled || error.isConflict {
                    state.withLock { if $0.wanted == status { $0.wanted = nil } }
                    continue
                }
                if failures == 0 {
                    Logger(label: "kubelet").warning(
                        "pod status not written", metadata: ["pod": "\(target.namespace)/\(target.name)", "cause": "\(error)"])
                }
                try? await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(failures, Self.retryMilliseconds.count - 1)]))
                failures += 1
            }
        }
        let waiters = state.withLock { state in
            state.isWriting = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns once nothing waits to be written.
    func drain() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.isWriting { state.waiters.append(continuation) }
                return !state.isWriting
            }
            if isIdle { continuation.resume() }
        }
    }

    // Lists that the API would merge are replaced, but for the conditions, where others have theirs.
    private static func patch(_ status: JSON, over old: JSON, uid: String) -> JSON {
        var changes: JSON = .emptyObject
        for (key, value) in status.members where old[key] != value {
            if key == "podIPs", old[key] != nil {
                changes[key] = .array([["$patch": "replace"]] + (value.array ?? []))
            } else {
                changes[key] = value
            }
        }
        for (key, _) in old.members where status[key] == nil { changes[key] = .null }
        if old.isNull {
            for key in ["message", "reason"] where status[key] == nil { changes[key] = .null }
        }
        return ["metadata": ["uid": JSON(uid)], "status": changes]
    }
}
