// The life of one pod as a state machine: what happened goes in, what is to be done comes out. No clock, no I/O.
//
//     waiting ─create→ creating ─up→ running ─ended→ backingOff ─again→ creating
//        any of them ─deleted→ removing ─removed→ gone
//        creating ─refused for good→ failed      running ─ended, not to be restarted→ succeeded | failed
package import Essentials
package import Kernel

package enum PodEvent: Sendable {
    /// The Pod is here, or is another than before.
    case observed(isBeingDeleted: Bool)
    /// The API has no such Pod any more.
    case vanished
    case created(process: Int32)
    /// `isFinal`: trying again would not help.
    case refused(reason: String, message: String, isFinal: Bool)
    case adopted(process: Int32?, startedAt: Timestamp?, restarts: Int, wasReady: Bool)
    case ended(ProcessExit)
    case ready(Bool)
    case unhealthy(String)
    case again
    case removed
}

package enum PodAction: Sendable, Equatable {
    case create
    case restart
    case watch(process: Int32)
    case awaitReady
    case waitSeconds(Int)
    case kill
    case remove
    case writeStatus
    case forget
    case tell(PodNote)
}

/// An Event to be recorded.
package struct PodNote: Sendable, Equatable {
    package var type: String
    package var reason: String
    package var message: String
    static func normal(_ reason: String, _ message: String) -> PodNote { PodNote(type: "Normal", reason: reason, message: message) }
    static func warning(_ reason: String, _ message: String) -> PodNote { PodNote(type: "Warning", reason: reason, message: message) }
}

package struct PodMachine: Sendable {
    package enum State: Sendable, Equatable {
        case waiting, creating
        case running(process: Int32)
        case backingOff
        case succeeded, failed
        case removing, gone
    }

    package struct Ended: Sendable, Equatable {
        package var exit: ProcessExit
        package var startedAt: Timestamp
        package var finishedAt: Timestamp
    }

    /// As upstream: ten seconds doubled up to five minutes, but the first time at once: a node of a lab is wanted now.
    package static let backOffSeconds = [0, 10, 20, 40, 80, 160, 300]
    /// A container that ran this long starts a new count.
    package static let backOffResetSeconds: Double = 600

    package let container: String
    package let restartPolicy: String
    package private(set) var state = State.waiting
    package private(set) var isReady = false
    package private(set) var restarts = 0
    package private(set) var startedAt: Timestamp?
    package private(set) var lastEnd: Ended?
    /// Why it waits or failed.
    package private(set) var reason = "ContainerCreating"
    package private(set) var message = ""
    private var backOffStep = 0
    /// The sandbox is there, so that starting again is a restart.
    private var hasSandbox = false

    package init(container: String, restartPolicy: String) {
        self.container = container
        self.restartPolicy = restartPolicy
    }

    package mutating func handle(_ event: PodEvent, now: Timestamp) -> [PodAction] {
        switch (state, event) {
        case (.gone, _): return []
        case (.removing, .removed):
            state = .gone
            return [.forget]
        case (.removing, _): return []

        case (_, .vanished):
            state = .removing
            isReady = false
            return [.remove]
        case (_, .observed(isBeingDeleted: true)):
            let wasRunning = isRunning
            state = .removing
            isReady = false
            return (wasRunning ? [.tell(.normal("Killing", "Stopping container \(container)"))] : []) + [.remove]

        case (.waiting, .observed):
            state = .creating
            return [.create]
        case (.waiting, .adopted(let process, let started, let restarts, let wasReady)):
            self.restarts = restarts
            hasSandbox = true
            startedAt = started ?? now
            guard let process else { return end(.unknown, now: now) }
            state = .running(process: process)
            reason = ""
            // A restart of the server is no news to those who use the node.
            isReady = wasReady
            return [.watch(process: process), .awaitReady, .writeStatus]

        case (.creating, .created(let process)):
            hasSandbox = true
            state = .running(process: process)
            startedAt = now
            reason = ""
            message = ""
            return [
                .watch(process: process), .awaitReady, .writeStatus,
                .tell(.normal("Pulled", "Container image is already present on machine")),
                .tell(.normal("Created", "Created container: \(container)")), .tell(.normal("Started", "Started container \(container)")),
            ]
        case (.creating, .refused(let reason, let message, let isFinal)):
            self.reason = reason
            self.message = message
            let note = PodAction.tell(.warning(reason == "ImageMissing" ? "ErrImageNeverPull" : "Failed", message))
            if isFinal {
                state = .failed
                return [.writeStatus, note]
            }
            state = .backingOff
            return [.writeStatus, note, .waitSeconds(nextBackOff())]

        case (.running, .ended(let exit)): return end(exit, now: now)
        case (.running, .ready(let ready)) where ready != isReady:
            isReady = ready
            return [.writeStatus]
        case (.running, .unhealthy(let why)):
            return [
                .tell(.warning("Unhealthy", why)),
                .tell(.normal("Killing", "Container \(container) failed liveness probe, will be restarted")), .kill,
            ]

        case (.backingOff, .again):
            state = .creating
            return [hasSandbox ? .restart : .create]
        default: return []
        }
    }

    private mutating func end(_ exit: ProcessExit, now: Timestamp) -> [PodAction] {
        isReady = false
        let started = startedAt ?? now
        lastEnd = Ended(exit: exit, startedAt: started, finishedAt: now)
        if restartPolicy == "Never" || (restartPolicy == "OnFailure" && exit == .exited(0)) {
            state = exit == .exited(0) ? .succeeded : .failed
            reason = exit == .exited(0) ? "Completed" : "Error"
            return [.writeStatus]
        }
        if now.since(started) > Self.backOffResetSeconds { backOffStep = 0 }
        restarts += 1
        state = .backingOff
        reason = "CrashLoopBackOff"
        let seconds = nextBackOff()
        message = "back-off \(seconds)s restarting failed container=\(container)"
        let note = seconds > 0 ? [PodAction.tell(.warning("BackOff", "Back-off restarting failed container \(container)"))] : []
        return [.writeStatus] + note + [.waitSeconds(seconds)]
    }

    private mutating func nextBackOff() -> Int {
        defer { backOffStep = min(backOffStep + 1, Self.backOffSeconds.count - 1) }
        return Self.backOffSeconds[backOffStep]
    }

    package var isRunning: Bool { if case .running = state { true } else { false } }
    package var process: Int32? { if case .running(let process) = state { process } else { nil } }
}
