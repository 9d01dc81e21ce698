// What every controller works with: the API, shared informers that learn of own writes at once, and the clock.
package import ClusterClient
package import ClusterModel
package import Crypto
package import Essentials

/// A loop that makes what is written true.
package protocol Controller: Sendable {
    /// Runs until cancelled.
    func run() async throws
}

/// What some controllers are told about their cluster; without it they have nothing to do.
package struct ControllerSettings: Sendable {
    /// The authority of the API server's certificate, as PEM.
    package var rootCertificate: String?
    package var signingAuthority: CertificateAuthority?
    /// Signs tokens of service accounts that never expire.
    package var tokenKey: PrivateKey?
    /// Nodes get a part of this network each.
    package var podNetwork: String?
    package var podNetworkBits = 24
    /// The file of a time zone (TZif, RFC 9636) by its name, such as `Europe/Oslo`.
    package var zoneFile: @Sendable (String) -> [UInt8]? = { _ in nil }

    package init() {}
}

package struct ControllerContext: Sendable {
    package var settings = ControllerSettings()
    package let client: ClusterClient
    package let informers: SharedInformers
    package let clock: any WallClock

    package init(client: ClusterClient, informers: SharedInformers, clock: any WallClock = SystemClock()) {
        self.client = client
        self.informers = informers
        self.clock = clock
    }

    package func events(_ component: String) -> EventWriter { EventWriter(client: client, component: component, clock: clock) }

    package func create(_ resource: GroupVersionResource, _ object: JSON) async throws(ClusterProblem) -> JSON {
        let created = try await client.create(resource, object)
        informers.existing(resource)?.note(written: created)
        return created
    }

    @discardableResult
    package func update(_ resource: GroupVersionResource, _ object: JSON) async throws(ClusterProblem) -> JSON {
        let updated = try await client.update(resource, object)
        informers.existing(resource)?.note(written: updated)
        return updated
    }

    /// Replaces the status of `object`, if `status` differs from it.
    @discardableResult
    package func setStatus(_ resource: GroupVersionResource, of object: JSON, to status: JSON) async throws(ClusterProblem) -> JSON {
        if let old = object["status"], old.isSame(as: status) { return object }
        var changed = object
        changed["status"] = status
        let updated = try await client.updateStatus(resource, changed)
        informers.existing(resource)?.note(written: updated)
        return updated
    }

    @discardableResult
    package func patch(
        _ resource: GroupVersionResource, _ object: JSON, as kind: PatchKind = .strategic, _ patch: JSON, subresource: String? = nil
    ) async throws(ClusterProblem) -> JSON {
        let patched = try await client.patch(
            resource, namespace: object.metaNamespace, name: object.metaName, kind, patch, subresource: subresource)
        informers.existing(resource)?.note(written: patched)
        return patched
    }

    /// Deletes just this object and not a successor of its name. Answers with false where it is gone already.
    @discardableResult
    package func delete(
        _ resource: GroupVersionResource, _ object: JSON, policy: String? = nil, graceSeconds: Int? = nil
    ) async throws(ClusterProblem) -> Bool {
        let options = DeleteOptions(gracePeriodSeconds: graceSeconds, propagationPolicy: policy, uid: object.metaUID)
        do throws(ClusterProblem) {
            let answer = try await client.delete(resource, namespace: object.metaNamespace, name: object.metaName, options: options)
            if answer["kind"] == "Status" {
                informers.existing(resource)?.note(gone: object)
            } else {
                informers.existing(resource)?.note(written: answer)
            }
            return true
        } catch {
            // Another object of the same name is not meant.
            if error.isNotFound || error.isConflict { return false }
            throw error
        }
    }
}

/// Runs a controller's parts: once all caches are filled, keys that `feeds` put into the queue are given to `work`.
func reconcile(
    _ queue: WorkQueue, workers: Int = 2, caches: [Informer], events: EventWriter? = nil,
    feeds: [@Sendable () async throws -> Void], _ work: @escaping @Sendable (String) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        if let events { group.addTask { try await events.run() } }
        for cache in caches { await cache.waitForSync() }
        try Task.checkCancellation()
        for feed in feeds { group.addTask { try await feed() } }
        group.addTask { try await queue.run(workers: workers, work) }
        try await group.next()
        group.cancelAll()
    }
}

extension Informer {
    /// Adds the key of every object that changes.
    func feed(_ queue: WorkQueue) -> @Sendable () async throws -> Void {
        {
            for await change in self.changes() { queue.add(change.object.objectKey) }
            try Task.checkCancellation()
        }
    }

    /// The object with a key as `objectKey` gives it.
    func item(key: String) -> JSON? {
        guard let slash = key.firstIndex(of: "/") else { return item(name: key) }
        return item(namespace: String(key[..<slash]), name: String(key[key.index(after: slash)...]))
    }
}
