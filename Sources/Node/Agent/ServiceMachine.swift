// What becomes of a service: asked for, started, ended, started again. Decisions only; `Service` performs them.
//
//     dead ──start──▶ running ──stop──▶ stopping ──ended──▶ dead
//                        └──ended──▶ waiting (Restart=) ──due──▶ running,   or failed

package struct ServiceMachine: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        case dead, failed, running, waiting
        /// `again`: it is started once it has ended.
        case stopping(again: Bool)
    }

    package enum Event: Sendable, Equatable {
        case start, stop, restart
        /// The process was started or could not be.
        case started(pid: Int32)
        case notStarted
        case conditionUnmet
        /// With `status` as shells count it.
        case ended(status: Int)
        case restartDue
        case stopOverdue
    }

    package enum Action: Sendable, Equatable {
        /// Check the conditions and start; answer with `started`, `notStarted` or `conditionUnmet`.
        case launch
        case terminate
        case kill
        /// `restartDue` comes after this long.
        case wait(seconds: Double)
        case cancelWait
        case journal(String)
        /// Whoever waits for the service to start or stop hears of it now.
        case settled
    }

    /// A process that lived this long ended a row of failures.
    static let steadySeconds = 10.0
    /// The longest pause before another start.
    static let longestPauseSeconds = 10.0

    package private(set) var state = State.dead
    package private(set) var pid: Int32?
    /// When the state was entered, and when the last start was.
    package private(set) var since = 0.0
    package private(set) var restarts = 0
    package private(set) var lastStatus: Int?
    package private(set) var isConditionUnmet = false
    private var inRow = 0
    private var startedAt = 0.0

    package init() {}

    package mutating func handle(_ event: Event, unit: UnitFile, now: Double) -> [Action] {
        let title = "\(unit.name) - \(unit.description)"
        switch (event, state) {
        case (.start, .dead), (.start, .failed), (.restart, .dead), (.restart, .failed):
            restarts = 0
            inRow = 0
            return [.launch]
        case (.start, .waiting), (.restart, .waiting): return [.cancelWait, .launch]
        case (.start, .running): return [.settled]
        case (.start, .stopping), (.restart, .stopping):
            state = .stopping(again: true)
            return []
        case (.stop, .running):
            enter(.stopping(again: false), now)
            return [.journal("Stopping \(title)..."), .terminate]
        case (.restart, .running):
            enter(.stopping(again: true), now)
            return [.journal("Stopping \(title)..."), .terminate]
        case (.stop, .stopping):
            state = .stopping(again: false)
            return []
        case (.stop, .waiting):
            enter(.dead, now)
            return [.cancelWait, .journal("Stopped \(title)."), .settled]
        case (.stop, .dead), (.stop, .failed): return [.settled]
        case (.started(let pid), _):
            self.pid = pid
            isConditionUnmet = false
            startedAt = now
            enter(.running, now)
            return [.journal("Started \(title)."), .settled]
        case (.notStarted, _): return failed(unit, "exit-code", now)
        case (.conditionUnmet, _):
            isConditionUnmet = true
            enter(.dead, now)
            return [.journal("\(title) was skipped because of an unmet condition check."), .settled]
        case (.ended(let status), _):
            pid = nil
            lastStatus = status
            return ended(status, unit, title, now)
        case (.restartDue, .waiting):
            restarts += 1
            return [.journal("\(unit.name): Scheduled restart job, restart counter is at \(restarts)."), .launch]
        case (.stopOverdue, .stopping):
            return [.journal("\(unit.name): State 'stop-sigterm' timed out. Killing."), .kill]
        case (.restartDue, _), (.stopOverdue, _): return []
        }
    }

    private mutating func ended(_ status: Int, _ unit: UnitFile, _ title: String, _ now: Double) -> [Action] {
        if case .stopping(let again) = state {
            enter(.dead, now)
            return [.journal("\(unit.name): Deactivated successfully."), .journal("Stopped \(title).")] + (again ? [.launch] : [.settled])
        }
        let isClean = status == 0 || status == 143
        var actions: [Action] = []
        if isClean {
            actions.append(.journal("\(unit.name): Deactivated successfully."))
        } else {
            let code = status > 128 ? "killed, status=\(status - 128)\(Self.signal(status - 128))" : "exited, status=\(status)/FAILURE"
            actions.append(.journal("\(unit.name): Main process exited, code=\(code)"))
        }
        guard unit.restarts == .always || (unit.restarts == .onFailure && !isClean) else {
            if isClean {
                enter(.dead, now)
                return actions + [.settled]
            }
            return actions + failed(unit, status > 128 ? "signal" : "exit-code", now)
        }
        if !isClean { actions.append(.journal("\(unit.name): Failed with result '\(status > 128 ? "signal" : "exit-code")'.")) }
        inRow = now - startedAt >= Self.steadySeconds ? 0 : inRow + 1
        enter(.waiting, now)
        let pause = unit.restartSeconds * Double(1 << min(max(inRow - 1, 0), 10))
        return actions + [.wait(seconds: min(pause, max(unit.restartSeconds, Self.longestPauseSeconds)))]
    }

    private mutating func failed(_ unit: UnitFile, _ result: String, _ now: Double) -> [Action] {
        enter(.failed, now)
        return [.journal("\(unit.name): Failed with result '\(result)'."), .settled]
    }

    private mutating func enter(_ new: State, _ now: Double) {
        state = new
        since = now
    }

    static func signal(_ number: Int) -> String {
        let names = [1: "HUP", 2: "INT", 3: "QUIT", 6: "ABRT", 9: "KILL", 11: "SEGV", 15: "TERM"]
        return names[number].map { "/" + $0 } ?? ""
    }

    /// As `systemctl status` says it.
    package var active: (state: String, sub: String) {
        switch state {
        case .dead: ("inactive", "dead")
        case .failed: ("failed", "failed")
        case .running: ("active", "running")
        case .waiting: ("activating", "auto-restart")
        case .stopping: ("deactivating", "stop-sigterm")
        }
    }
}
