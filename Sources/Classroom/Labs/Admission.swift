// Decides whether a lab may start now, must wait, or is refused: the rule by name, the place and an estimate.
package import Essentials

/// What the decision needs to know of a lab that exists.
package struct LabLoad: Sendable {
    package var id: String
    package var owner: String
    package var address: String
    package var isWaiting: Bool
    package var createdAt: Timestamp
    package var expiresAt: Timestamp

    package init(id: String, owner: String, address: String, isWaiting: Bool, createdAt: Timestamp, expiresAt: Timestamp) {
        self.id = id
        self.owner = owner
        self.address = address
        self.isWaiting = isWaiting
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

package enum Admission: Sendable, Equatable {
    case start
    case wait(rule: Cap)
}

/// Pure decisions on who gets a place. `load` lists every lab that has not ended.
package struct AdmissionRules: Sendable {
    package let caps: Caps
    package let memoryTotalBytes: Int64
    package init(caps: Caps, memoryTotalBytes: Int64) {
        self.caps = caps
        self.memoryTotalBytes = memoryTotalBytes
    }

    /// May `owner` have one more lab at all? Staff may exceed the caps on people, not those on the machine.
    package func request(owner: String, address: String, isStaff: Bool, load: [LabLoad]) throws(LabProblem) {
        if !isStaff {
            let mine = load.count { $0.owner == owner }
            guard mine < caps[.labsPerPerson] else {
                throw .capReached(
                    rule: Cap.labsPerPerson.rawValue,
                    detail: "you hold \(mine) lab\(mine == 1 ? "" : "s") already. End one of them, then start this workshop again.")
            }
            let near = load.count { $0.address == address }
            guard near < caps[.labsPerAddress] else {
                throw .capReached(
                    rule: Cap.labsPerAddress.rawValue,
                    detail: "\(near) labs are held from your network address. Wait until one ends, or ask the admin to raise the cap.")
            }
        }
        let waiting = load.count { $0.isWaiting }
        guard waiting < max(1, caps[.queueLength]) || canStart(load: load, memoryUsedBytes: 0) == nil else {
            throw .capReached(rule: Cap.queueLength.rawValue, detail: "\(waiting) labs are waiting already. Try again in a few minutes.")
        }
    }

    /// The cap that keeps one more lab from starting, or `nil`.
    package func canStart(load: [LabLoad], memoryUsedBytes: Int64) -> Cap? {
        let running = load.count { !$0.isWaiting }
        if running >= caps[.labsTotal] { return .labsTotal }
        if memoryUsedBytes >= memoryLimitBytes { return .memoryTotalMiB }
        return nil
    }

    /// The memory all labs may use together.
    package var memoryLimitBytes: Int64 {
        let configured = Int64(caps[.memoryTotalMiB]) << 20
        return configured > 0 ? configured : memoryTotalBytes / 5 * 4
    }

    /// The waiting labs in the order in which they get a place.
    package static func queue(_ load: [LabLoad]) -> [String] {
        load.filter(\.isWaiting).sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }.map(\.id)
    }

    /// Seconds until the lab at `position` (from 1) probably gets a place: when that many running labs will have expired.
    package static func estimateSeconds(position: Int, load: [LabLoad], now: Timestamp) -> Int? {
        let ends = load.filter { !$0.isWaiting }.map(\.expiresAt).sorted()
        guard !ends.isEmpty else { return nil }
        let end = ends[min(position, ends.count) - 1]
        return max(0, Int(end.since(now)))
    }
}
