// Decides what a lab looks like from its record and its Pods, and what is still to be done for it.
package import Essentials

/// A lab as the objects of the cluster show it.
package struct LabView: Sendable {
    package var record: LabRecord
    /// By name; those of this lab's Namespace only.
    package var pods: [String: JSON]
    package var place: QueuePlace?

    package init(record: LabRecord, pods: [String: JSON], place: QueuePlace? = nil) {
        self.record = record
        self.pods = pods
        self.place = place
    }

    package func lab(caps: Caps) -> Lab {
        var nodes = (1...record.spec.nodes).map { LabNode(index: $0, pod: pods[LabObjects.nodeName($0)]) }
        let (state, reason, message) = verdict(nodes)
        if record.isDeleting { for index in nodes.indices { nodes[index].state = .gone } }
        return Lab(
            id: record.id, workshop: record.spec.workshop, owner: record.owner, state: state, reason: reason, message: message,
            createdAt: record.lifetime.createdAt, expiresAt: record.lifetime.expiresAt, endedAt: nil,
            extensionsLeft: record.lifetime.extensionsLeft(caps: caps), queue: record.isWaiting ? place : nil,
            nodes: record.isWaiting ? [] : nodes)
    }

    private func verdict(_ nodes: [LabNode]) -> (LabState, String, String) {
        if record.isDeleting {
            return (.ending, record.end?.reason ?? "Ended", record.end?.message ?? "The lab is being removed.")
        }
        if record.isWaiting {
            let rule = place.map { "The cap “\($0.rule)” is reached" } ?? "All places are taken"
            let position = place.map { ", and you are number \($0.position) in the queue" } ?? ""
            return (.queued, place.map { _ in "CapReached" } ?? "Waiting", "\(rule)\(position). The lab starts by itself.")
        }
        if let failed = nodes.first(where: { $0.state == .failed }) {
            return (.failed, "NodeFailed", "\(failed.name): \(failed.message)")
        }
        if nodes.allSatisfy({ $0.state == .ready }) { return (.ready, "Ready", "") }
        let missing = nodes.filter { $0.state != .ready }.map(\.name).joined(separator: ", ")
        return (.creating, "NodesStarting", "Waiting for \(missing); this usually takes less than a second.")
    }

    /// The Pods that are missing and may be made now. A Pod that is still being removed is waited for.
    package var missingNodes: [Int] {
        guard !record.isWaiting, !record.isDeleting else { return [] }
        return (1...record.spec.nodes).filter { pods[LabObjects.nodeName($0)] == nil }
    }
}

/// How often one source may ask for labs: a bucket of `burst` requests that refills at `perMinute`.
package struct RequestBucket: Sendable {
    package static let burst = 30.0
    package static let perMinute = 60.0
    private var tokens = RequestBucket.burst
    private var filledAt: Timestamp
    package init(now: Timestamp) { filledAt = now }

    /// Takes one token; otherwise the seconds after which there is one again.
    package mutating func take(now: Timestamp) -> Int? {
        tokens = min(Self.burst, tokens + max(0, now.since(filledAt)) * Self.perMinute / 60)
        filledAt = now
        guard tokens >= 1 else { return max(1, Int(((1 - tokens) * 60 / Self.perMinute).rounded(.up))) }
        tokens -= 1
        return nil
    }

    package func isFull(now: Timestamp) -> Bool { tokens + now.since(filledAt) * Self.perMinute / 60 >= Self.burst }
}
