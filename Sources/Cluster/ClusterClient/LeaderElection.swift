// Holds a Lease so that of several equal processes one works (kube-controller-manager, kube-scheduler).
//
// Cheap on purpose: one write a quarter of a minute. A process takes over at once what a predecessor on its own host held:
// both cannot live, since they would listen on the same port; otherwise it waits until the lease was not renewed for its time.
internal import ClusterModel
package import Essentials
internal import Logging

package struct LeaderElection: Sendable {
    package static let leaseSeconds = 40
    package static let renewSeconds = 15
    /// So many failed attempts follow each other quickly and in silence.
    static let quickAttempts = 20
    /// How often a lease that someone else holds is looked at, in seconds.
    static let retrySeconds = 5

    private let client: ClusterClient
    private let name: String
    private let host: String
    private let identity: String
    private let clock: any WallClock
    private let log = Logger(label: "leaderelection")

    package init(client: ClusterClient, name: String, host: String, clock: any WallClock = SystemClock()) {
        self.client = client
        self.name = name
        self.host = host
        identity = host + "_" + Identifier.uuid()
        self.clock = clock
    }

    /// What to do about a lease: `nil` seen means that there is none.
    enum Decision: Equatable { case create, renew, takeOver, wait }

    static func decide(_ lease: JSON?, identity: String, host: String, unchangedSeconds: Double) -> Decision {
        guard let lease else { return .create }
        let holder = lease["spec"]?["holderIdentity"]?.string ?? ""
        if holder == identity { return .renew }
        if holder.isEmpty || holder.hasPrefix(host + "_") { return .takeOver }
        let seconds = lease["spec"]?["leaseDurationSeconds"]?.int ?? leaseSeconds
        return unchangedSeconds > Double(seconds) ? .takeOver : .wait
    }

    /// Returns once this process leads.
    package func acquire() async throws {
        var seen: (text: String, since: Double) = ("", monotonicSeconds())
        var failures = 0
        while true {
            do throws(ClusterProblem) {
                let lease = try await read()
                let text = lease?.metaResourceVersion ?? ""
                if text != seen.text { seen = (text, monotonicSeconds()) }
                let unchanged = monotonicSeconds() - seen.since
                let decision = Self.decide(lease, identity: identity, host: host, unchangedSeconds: unchanged)
                if decision != .wait {
                    let held = try await write(lease, decision)
                    log.info("successfully acquired lease", metadata: ["lease": "kube-system/\(name)", "holder": "\(identity)"])
                    await tell(held)
                    return
                }
            } catch {
                // A cluster that begins in this moment has neither the namespace nor the roles yet.
                failures += 1
                if failures > Self.quickAttempts {
                    log.warning("lease not acquired yet", metadata: ["lease": "kube-system/\(name)", "cause": "\(error.message)"])
                }
                try await Task.sleep(for: .milliseconds(failures > Self.quickAttempts ? 1_000 : 50))
                continue
            }
            try await Task.sleep(for: .seconds(Self.retrySeconds))
        }
    }

    /// Renews until another holder is seen, which is the end, or the task is cancelled.
    package func hold() async throws {
        while true {
            try await Task.sleep(for: .seconds(Self.renewSeconds))
            do throws(ClusterProblem) {
                let lease = try await read()
                guard Self.decide(lease, identity: identity, host: host, unchangedSeconds: 0) != .wait else {
                    log.error("leaderelection lost", metadata: ["lease": "kube-system/\(name)"])
                    return
                }
                _ = try await write(lease, lease == nil ? .create : .renew)
            } catch {
                log.warning("lease not renewed", metadata: ["lease": "kube-system/\(name)", "cause": "\(error.message)"])
            }
        }
    }

    private func read() async throws(ClusterProblem) -> JSON? {
        do throws(ClusterProblem) { return try await client.get(.leases, namespace: "kube-system", name: name) } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    private func write(_ lease: JSON?, _ decision: Decision) async throws(ClusterProblem) -> JSON {
        let now = JSON(clock.now().rfc3339Micro)
        var spec = lease?["spec"] ?? .emptyObject
        spec["holderIdentity"] = JSON(identity)
        spec["leaseDurationSeconds"] = JSON(Self.leaseSeconds)
        spec["renewTime"] = now
        if decision != .renew {
            spec["acquireTime"] = now
            spec["leaseTransitions"] = JSON(lease == nil ? 0 : (spec["leaseTransitions"]?.int ?? 0) + 1)
        }
        guard var object = lease else {
            return try await client.create(
                .leases,
                [
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": ["name": JSON(name), "namespace": "kube-system"], "spec": spec,
                ])
        }
        object["spec"] = spec
        return try await client.update(.leases, object)
    }

    private func tell(_ lease: JSON) async {
        let now = JSON(clock.now().rfc3339)
        let event: JSON = [
            "metadata": ["name": JSON(name + "." + Identifier.short(length: 16)), "namespace": "kube-system"],
            "involvedObject": [
                "kind": "Lease", "namespace": "kube-system", "name": JSON(name), "uid": JSON(lease.metaUID),
                "apiVersion": "coordination.k8s.io/v1", "resourceVersion": JSON(lease.metaResourceVersion),
            ],
            "reason": "LeaderElection", "message": JSON(identity + " became leader"), "type": "Normal", "count": 1,
            "source": ["component": JSON(name)], "reportingComponent": JSON(name), "firstTimestamp": now, "lastTimestamp": now,
        ]
        _ = try? await client.create(.events, event)
    }
}
