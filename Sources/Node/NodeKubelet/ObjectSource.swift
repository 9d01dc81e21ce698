// ConfigMaps and Secrets for pods: fetched when one starts, watched one by one while a volume shows them.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials
internal import Pods
internal import Synchronization

struct ObjectKey: Sendable, Hashable {
    var isSecret: Bool
    var namespace: String
    var name: String
    var resource: GroupVersionResource { isSecret ? .secrets : .configMaps }
}

final class ObjectSource: Sendable {
    /// Objects watched at once; what is beyond is looked at once a minute instead.
    static let watchLimit = 64
    /// The certificate of the cluster, the same in every namespace and all its life: asking once in a while will do.
    static let certificateMap = "kube-root-ca.crt"
    static let certificateSeconds = 600.0

    private struct Watched {
        var users: Set<String>
        var task: Task<Void, Never>
    }
    private struct State {
        var watched: [ObjectKey: Watched] = [:]
        var certificates: [String: (data: [String: [UInt8]], at: Double)] = [:]
        var onChange: (@Sendable (Set<String>) -> Void)?
    }

    private let client: ClusterClient
    private let state = Mutex(State())

    init(client: ClusterClient) { self.client = client }

    /// Called with the uids of the pods that use an object that changed.
    func onChange(_ body: @escaping @Sendable (Set<String>) -> Void) { state.withLock { $0.onChange = body } }

    /// The named objects as they are now; those that do not exist are left out.
    func fetch(namespace: String, configMaps: Set<String>, secrets: Set<String>) async throws(ClusterProblem) -> KeyedSnapshot {
        var snapshot = KeyedSnapshot()
        for name in configMaps {
            snapshot.configMaps[name] = try await data(ObjectKey(isSecret: false, namespace: namespace, name: name))
        }
        for name in secrets { snapshot.secrets[name] = try await data(ObjectKey(isSecret: true, namespace: namespace, name: name)) }
        return snapshot
    }

    private func data(_ key: ObjectKey) async throws(ClusterProblem) -> [String: [UInt8]]? {
        let isCertificate = !key.isSecret && key.name == Self.certificateMap
        if isCertificate, let known = state.withLock({ $0.certificates[key.namespace] }),
            monotonicSeconds() - known.at < Self.certificateSeconds
        {
            return known.data
        }
        do throws(ClusterProblem) {
            let object = try await client.get(key.resource, namespace: key.namespace, name: key.name)
            let data = Self.data(of: object, isSecret: key.isSecret)
            if isCertificate { state.withLock { $0.certificates[key.namespace] = (data, monotonicSeconds()) } }
            return data
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    static func data(of object: JSON, isSecret: Bool) -> [String: [UInt8]] {
        var data: [String: [UInt8]] = [:]
        for (key, value) in object["data"]?.strings ?? [:] { data[key] = isSecret ? Base64.decode(value) ?? [] : Array(value.utf8) }
        for (key, value) in object["binaryData"]?.strings ?? [:] { data[key] = Base64.decode(value) ?? [] }
        return data
    }

    /// The pod `uid` wants to hear of changes of these objects, and of no others.
    func watch(uid: String, _ keys: Set<ObjectKey>) {
        let keys = keys.filter { $0.isSecret || $0.name != Self.certificateMap }
        state.withLock { state in
            for (key, watched) in state.watched where watched.users.contains(uid) && !keys.contains(key) {
                state.watched[key]?.users.remove(uid)
                if watched.users.count == 1 {
                    watched.task.cancel()
                    state.watched[key] = nil
                }
            }
            for key in keys {
                if state.watched[key] != nil {
                    state.watched[key]?.users.insert(uid)
                } else if state.watched.count < Self.watchLimit {
                    let task = Task { [weak self] in await self?.follow(key) ?? () }
                    state.watched[key] = Watched(users: [uid], task: task)
                }
            }
        }
    }

    func forget(uid: String) { watch(uid: uid, []) }

    func close() {
        let tasks = state.withLock { state in
            defer { state.watched = [:] }
            return state.watched.values.map(\.task)
        }
        for task in tasks { task.cancel() }
    }

    private func follow(_ key: ObjectKey) async {
        let informer = Informer(
            client: client, resource: key.resource, namespace: key.namespace, fieldSelector: "metadata.name=\(key.name)")
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await informer.run() }
            await informer.waitForSync()
            for await change in informer.changes() {
                if case .deleted = change { continue }
                let (users, onChange) = state.withLock { ($0.watched[key]?.users ?? [], $0.onChange) }
                onChange?(users)
            }
            group.cancelAll()
        }
    }
}
