// Tells which services a change of a pod concerns: those that select it now and those that did before.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct ServiceFeed: Sendable {
    static let byNamespace = "namespace"

    let services: Informer
    let pods: Informer

    init(_ context: ControllerContext) {
        services = context.informers.informer(.services)
        pods = context.informers.informer(.pods)
        services.addIndex(Self.byNamespace) { [$0.metaNamespace ?? ""] }
        pods.addIndex(Self.byNamespace) { [$0.metaNamespace ?? ""] }
    }

    func pods(_ service: JSON, _ selector: [String: String]) -> [JSON] {
        pods.items(index: Self.byNamespace, value: service.metaNamespace ?? "").filter { EndpointPlan.selects(selector, $0) }
    }

    func podChanges(_ queue: WorkQueue) -> @Sendable () async throws -> Void {
        {
            var known: [String: (facts: JSON, services: Set<String>)] = [:]
            for await change in pods.changes() {
                let pod = change.object
                let key = pod.objectKey
                let before = known[key]
                var isGone = false
                if case .deleted = change { isGone = true }
                let facts = EndpointPlan.facts(pod)
                if !isGone, facts == before?.facts { continue }
                // Services may have come since the pod was last looked at, so they are asked for at its end too.
                var now: Set<String> = []
                for service in services.items(index: Self.byNamespace, value: pod.metaNamespace ?? "") {
                    if let selector = EndpointPlan.selector(service), EndpointPlan.selects(selector, pod) { now.insert(service.objectKey) }
                }
                known[key] = isGone ? nil : (facts, now)
                for service in now.union(before?.services ?? []) { queue.add(service) }
            }
            try Task.checkCancellation()
        }
    }
}
