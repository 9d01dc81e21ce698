// The objects by which the API server shows static pods: made, made again when deleted, and removed with their pods.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging
internal import Pods
internal import Synchronization

final class MirrorPods: Sendable {
    private struct State {
        var wanted: [String: JSON] = [:]
        var mirrors: [String: JSON] = [:]
        /// The API answers, and the node is registered.
        var isOpen = false
    }

    private let client: ClusterClient
    private let node: NodeKnowledge
    private let state = Mutex(State())
    private let wake: AsyncStream<Void>
    private let input: AsyncStream<Void>.Continuation
    private let log = Logger(label: "kubelet")

    init(client: ClusterClient, node: NodeKnowledge) {
        self.client = client
        self.node = node
        (wake, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func want(_ pods: [JSON]) {
        state.withLock { $0.wanted = Dictionary(pods.map { ($0.objectKey, $0) }, uniquingKeysWith: { $1 }) }
        input.yield()
    }

    func open() {
        state.withLock { $0.isOpen = true }
        input.yield()
    }

    /// A mirror as the API shows it; the pod that it stands for is told by its uid.
    func note(_ mirror: JSON) -> String? {
        defer { input.yield() }
        return state.withLock { state in
            state.mirrors[mirror.objectKey] = mirror
            return state.wanted[mirror.objectKey].flatMap { StaticPods.matches(mirror, $0) ? $0.metaUID : nil }
        }
    }

    func note(gone mirror: JSON) {
        state.withLock { if $0.mirrors[mirror.objectKey]?.metaUID == mirror.metaUID { $0.mirrors[mirror.objectKey] = nil } }
        input.yield()
    }

    /// The uid of the static pod that `object` is the mirror of.
    func staticUID(namespace: String, name: String) -> String? { state.withLock { $0.wanted["\(namespace)/\(name)"]?.metaUID } }

    func run() async {
        var pause = 100
        for await _ in wake {
            while !Task.isCancelled {
                let isSettled = await settle()
                if isSettled { break }
                try? await Task.sleep(for: .milliseconds(pause))
                pause = min(pause * 2, 5000)
            }
            pause = 100
        }
    }

    private func settle() async -> Bool {
        let (wanted, mirrors, isOpen) = state.withLock { ($0.wanted, $0.mirrors, $0.isOpen) }
        guard isOpen else { return true }
        var isSettled = true
        for (key, mirror) in mirrors {
            if let pod = wanted[key], StaticPods.matches(mirror, pod), !mirror.isBeingDeleted { continue }
            do throws(ClusterProblem) {
                try await client.delete(
                    .pods, namespace: mirror.metaNamespace, name: mirror.metaName,
                    options: DeleteOptions(gracePeriodSeconds: 0, uid: mirror.metaUID))
                note(gone: mirror)
            } catch {
                if error.isNotFound || error.isConflict {
                    note(gone: mirror)
                } else {
                    isSettled = false
                }
            }
        }
        let left = state.withLock { $0.mirrors }
        for (key, pod) in wanted where left[key] == nil {
            do throws(ClusterProblem) {
                _ = try await client.create(.pods, StaticPods.mirror(of: pod, nodeUID: node.uid))
            } catch {
                if error.isAlreadyExists { continue }
                log.warning("mirror pod not made", metadata: ["pod": "\(key)", "cause": "\(error.message)"])
                isSettled = false
            }
        }
        return isSettled
    }
}
