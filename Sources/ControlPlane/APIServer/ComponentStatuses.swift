// The state of the control plane's parts, as `kubectl get componentstatuses` shows it. Nothing is stored: the leases that the
// parts renew tell whether they are there, and the store answers for itself.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

extension APIServer {
    func componentStatuses(_ request: APIRequest, _ target: ResourceTarget) throws(ClusterProblem) -> APIResponse {
        let all = [
            Self.status("controller-manager", problem(withLease: "kube-controller-manager")),
            Self.status("scheduler", problem(withLease: "kube-scheduler")), Self.status("etcd-0", problemWithStore),
        ]
        guard let name = target.name else {
            let rendering = try Rendering(request)
            return respond(rendering.list(all, target.kind, metadata: .emptyObject, at: clock.now()), status: 200, to: request)
        }
        guard let found = all.first(where: { $0.metaName == name }) else { throw .notFound(target.resource, name) }
        return respond(try Rendering(request).apply(found, target.kind, at: clock.now()), status: 200, to: request)
    }

    private static func status(_ name: String, _ problem: String?) -> JSON {
        [
            "kind": "ComponentStatus", "apiVersion": "v1", "metadata": ["name": JSON(name), "creationTimestamp": .null],
            "conditions": [
                ["type": "Healthy", "status": problem == nil ? "True" : "False", "message": JSON(problem ?? "ok")]
            ],
        ]
    }

    /// `nil` while the holder renews the lease in time.
    private func problem(withLease name: String) -> String? {
        let key = Kind.lease.storeKey(namespace: "kube-system", name: name)
        guard let lease = ((try? store.get(key)) ?? nil)?.document["spec"],
            let renewed = lease["renewTime"]?.string.flatMap(Timestamp.init(rfc3339:))
        else { return "no \(name) holds a lease" }
        let age = clock.now().since(renewed)
        guard age > Double(lease["leaseDurationSeconds"]?.int ?? 15) else { return nil }
        return "\(lease["holderIdentity"]?.string ?? name) renewed its lease \(Age.text(seconds: Int64(age))) ago"
    }

    private var problemWithStore: String? {
        do throws(StoreProblem) {
            try store.check()
            return nil
        } catch {
            return error.message
        }
    }
}
