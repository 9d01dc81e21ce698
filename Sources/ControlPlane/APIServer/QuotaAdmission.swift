// Refuses pods that a ResourceQuota has no room for.
//
// What counts is the pods that are there plus the reservations of creations under way, looked at and added to under one
// lock, so two requests at once cannot share the last place.
internal import ClusterModel
internal import ClusterStore
internal import Essentials
internal import Synchronization

final class QuotaAdmission: Sendable {
    struct Reservation: Sendable {
        let namespace: String
        let id: Int
    }
    private struct State {
        var next = 0
        var reserved: [String: [Int: (name: String, use: PodUse)]] = [:]
    }
    private let state = Mutex(State())

    /// Throws 403 where a quota forbids the pod; otherwise keeps its place until `release`.
    func reserve(_ object: JSON, _ kind: Kind, store: ClusterStore) throws(ClusterProblem) -> Reservation? {
        guard kind.name == "Pod", let namespace = object.metaNamespace else { return nil }
        let quotas: [JSON]
        do throws(StoreProblem) {
            quotas = try store.list(prefix: Kind.resourceQuota.storePrefix(namespace: namespace)).objects.map(\.document)
        } catch {
            throw ClusterProblem(error, .resourceQuotas, "")
        }
        if quotas.isEmpty { return nil }
        let use = PodUse(object)
        let result: Result<Reservation, ClusterProblem> = state.withLock { state in
            do throws(ClusterProblem) {
                let pods: [JSON]
                do throws(StoreProblem) {
                    pods = try store.list(prefix: Kind.pod.storePrefix(namespace: namespace)).objects.map(\.document)
                } catch {
                    throw ClusterProblem(error, .pods, "")
                }
                let names = Set(pods.map(\.metaName))
                var used = PodUse.sum(pods)
                for entry in (state.reserved[namespace] ?? [:]).values where !names.contains(entry.name) { used.add(entry.use) }
                for quota in quotas { try Self.check(object, use, used, quota) }
                state.next += 1
                state.reserved[namespace, default: [:]][state.next] = (object.metaName, use)
                return .success(Reservation(namespace: namespace, id: state.next))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    func release(_ reservation: Reservation?) {
        guard let reservation else { return }
        state.withLock { state in
            state.reserved[reservation.namespace]?[reservation.id] = nil
            if state.reserved[reservation.namespace]?.isEmpty ?? false { state.reserved[reservation.namespace] = nil }
        }
    }

    private static func check(_ pod: JSON, _ use: PodUse, _ used: PodUse, _ quota: JSON) throws(ClusterProblem) {
        var over: [(name: String, requested: Quantity, used: Quantity, hard: Quantity)] = []
        for (name, text) in (quota["spec"]?["hard"]?.strings ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let hard = Quantity(text) else { continue }
            let requested = use[name]
            if requested.isZero {
                if PodUse.mustBeNamed.contains(name) {
                    let containers = (pod["spec"]?["containers"]?.array ?? []).compactMap { $0["name"]?.string }.joined(separator: ",")
                    throw .forbidden(
                        .pods, pod.metaName, "failed quota: \(quota.metaName): must specify \(name) for: \(containers)")
                }
                continue
            }
            let sum = used[name]
            if sum + requested > hard { over.append((name, requested, sum, hard)) }
        }
        guard !over.isEmpty else { return }
        func text(_ value: (name: String, amount: Quantity)) -> String { "\(value.name)=\(value.amount)" }
        let requested = over.map { text(($0.name, $0.requested)) }.joined(separator: ",")
        let sum = over.map { text(($0.name, $0.used)) }.joined(separator: ",")
        let limited = over.map { text(($0.name, $0.hard)) }.joined(separator: ",")
        throw .forbidden(
            .pods, pod.metaName, "exceeded quota: \(quota.metaName), requested: \(requested), used: \(sum), limited: \(limited)")
    }
}
