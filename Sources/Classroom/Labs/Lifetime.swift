// Decides when a lab must end, when its owner is warned, and how far an extension reaches.
package import Essentials

package struct Lifetime: Sendable, Equatable {
    package var createdAt: Timestamp
    package var expiresAt: Timestamp
    package var extensionsUsed: Int
    package var lastActiveAt: Timestamp

    package init(createdAt: Timestamp, expiresAt: Timestamp, extensionsUsed: Int, lastActiveAt: Timestamp) {
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.extensionsUsed = extensionsUsed
        self.lastActiveAt = lastActiveAt
    }

    /// Minutes before the end at which the page warns.
    package static let warningMinutes = [15, 5, 1]

    /// Why the lab must end now, or `nil`. A clock that jumped backwards never shortens a life: only `expiresAt` counts.
    package func verdict(now: Timestamp, caps: Caps) -> (reason: String, message: String)? {
        if now >= expiresAt {
            return ("LifetimeReached", "The lab's time was up (cap “labLifetimeMinutes” and its extensions).")
        }
        let idle = caps[.idleMinutes]
        if idle > 0, now.since(lastActiveAt) >= Double(idle) * 60 {
            return ("IdleTimeReached", "Nobody had used the lab for \(idle) minutes (cap “idleMinutes”).")
        }
        return nil
    }

    /// The moment at which `verdict` can next change, for a timer.
    package func nextVerdictAt(caps: Caps) -> Timestamp {
        let idle = caps[.idleMinutes]
        return idle > 0 ? min(expiresAt, lastActiveAt.adding(seconds: Int64(idle) * 60)) : expiresAt
    }

    /// Warnings that fell due after `last` and up to `now`: the smallest minutes only, so that a late start warns once.
    package func warning(after last: Timestamp, upTo now: Timestamp) -> Int? {
        Self.warningMinutes.filter { minutes in
            let due = expiresAt.adding(seconds: Int64(-60 * minutes))
            return due > last && due <= now
        }.min()
    }

    package func extensionsLeft(caps: Caps) -> Int { max(0, caps[.extensions] - extensionsUsed) }

    /// The life after an extension by `minutes`. Staff are not counted, but the maximum holds for all.
    package func extended(minutes: Int, isStaff: Bool, caps: Caps, now: Timestamp) throws(LabProblem) -> Lifetime {
        guard minutes > 0 else { throw .invalidRequest(detail: "“minutes” must be a whole number above 0.") }
        if !isStaff {
            guard extensionsUsed < caps[.extensions] else { throw .noExtensionLeft(limit: caps[.extensions]) }
            guard minutes <= caps[.extensionMinutes] else {
                throw .capReached(
                    rule: Cap.extensionMinutes.rawValue, detail: "one extension may add at most \(caps[.extensionMinutes]) minutes.")
            }
        }
        let latest = createdAt.adding(seconds: Int64(caps[.labLifetimeMaximumMinutes]) * 60)
        guard expiresAt < latest else {
            throw .capReached(
                rule: Cap.labLifetimeMaximumMinutes.rawValue,
                detail: "a lab lives at most \(caps[.labLifetimeMaximumMinutes]) minutes, and this one has them all.")
        }
        var result = self
        result.expiresAt = min(latest, expiresAt.adding(seconds: Int64(min(minutes, 43_200)) * 60))
        result.extensionsUsed += isStaff ? 0 : 1
        result.lastActiveAt = max(lastActiveAt, now)
        return result
    }
}
