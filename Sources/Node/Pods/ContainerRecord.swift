// What the machine knows of one container: where it is in its life, how it ended before, and what its probes say.
package import Essentials

package struct ContainerEnd: Sendable, Equatable {
    package var id: String
    package var exitCode: Int
    package var reason: String
    package var message: String
    package var startedAt: Timestamp?
    package var finishedAt: Timestamp
}

package struct ContainerRecord: Sendable {
    package enum Phase: Sendable, Equatable {
        /// Not its turn yet.
        case idle
        /// The image is looked for and the container made.
        case starting
        /// Waits to be tried again at a steady second.
        case backingOff(until: Double)
        case running
        case ended
    }

    /// A running container on its way out.
    package struct Stop: Sendable, Equatable {
        package enum Stage: Sendable, Equatable { case hook, terminated, killed }
        package var stage: Stage
        /// The steady second at which the next stage begins, whatever happens.
        package var until: Double
    }

    package struct ProbeState: Sendable, Equatable {
        package var nextAt: Double
        package var isAsking = false
        package var inRow = 0
        package var lastWasSuccess: Bool?
        /// `nil` until the first verdict.
        package var verdict: Bool?
        /// How often the quick beginning was used.
        package var quick = 0
    }

    package var phase = Phase.idle
    /// Of the present or last start; also the number of restarts.
    package var attempt = 0
    package var hasStartedOnce = false
    package var id = ""
    package var image: PulledImage?
    package var startedAt: Timestamp?
    package var startedSeconds = 0.0
    /// How the present attempt ended.
    package var end: ContainerEnd?
    /// How the attempt before ended.
    package var lastEnd: ContainerEnd?
    /// What `state.waiting` says.
    package var waitReason = ""
    package var waitMessage = ""
    package var stop: Stop?
    /// The Pod wants another image than the one that runs.
    package var isStale = false
    package var crashes = BackOff()
    package var pulls = BackOff()
    /// Since when it is to say ImagePullBackOff instead of ErrImagePull, CrashLoopBackOff instead of RunContainerError.
    package var turnsAt: Double?
    package var hookIsRunning = false
    package var probes: [ProbeKind: ProbeState] = [:]
    /// Passed its startup probe, or has none.
    package var isStarted = false
    package var isReady = false
    /// Resources in force.
    package var resources: JSON = .null

    package init() {}

    package var isRunning: Bool { phase == .running }
    /// Something of it may be alive.
    package var isActive: Bool { phase == .running || phase == .starting }
}

/// Waits that double.
package struct BackOff: Sendable, Equatable {
    package static let firstSeconds = 10.0
    package static let limitSeconds = 300.0
    /// So long without trouble and it begins anew.
    package static let resetSeconds = 600.0

    package private(set) var seconds = 0.0
    private var lastAt = -Double.infinity

    package init() {}

    /// The wait that is due now: none the first time, then 10 s, doubled up to 5 min.
    package mutating func next(now: Double, startsWithWait: Bool = false) -> Double {
        if now - lastAt > Self.resetSeconds { seconds = 0 }
        let isFirst = seconds == 0
        let wait = isFirst && !startsWithWait ? 0 : max(seconds, isFirst ? Self.firstSeconds : 0)
        seconds = isFirst ? Self.firstSeconds * (startsWithWait ? 2 : 1) : min(seconds * 2, Self.limitSeconds)
        lastAt = now + wait
        return wait
    }

    package mutating func reset() { self = BackOff() }
}
