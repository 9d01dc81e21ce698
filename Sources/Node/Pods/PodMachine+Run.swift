// What a pod that is to run needs next: volumes, sandbox, containers in their order, and again those that ended.
internal import ClusterModel
internal import Essentials

extension PodMachine {
    mutating func advance(now: Moment) -> [PodAction] {
        if let limit = pod["spec"]?["activeDeadlineSeconds"]?.int, let startSeconds, ending == nil,
            now.seconds >= startSeconds + Double(limit)
        {
            let message = "Pod was active on the node longer than the specified deadline"
            end(Ending(reason: "DeadlineExceeded", message: message, until: now.seconds + Double(graceSeconds)), now: now)
            return [.tell(.normal("DeadlineExceeded", message))] + advanceEnding(now: now)
        }
        if ending != nil { return advanceEnding(now: now) + advanceStops(now: now) }
        var actions: [PodAction] = []
        switch sandbox {
        case .none:
            sandbox = .preparing
            actions.append(.prepare)
        case .retrying(let due, let isPrepared) where now.seconds >= due:
            sandbox = isPrepared ? .starting : .preparing
            actions.append(isPrepared ? .startSandbox : .prepare)
        case .up: actions += advanceContainers(now: now)
        default: break
        }
        // Ending may have been decided just now.
        if ending != nil { return actions + advanceEnding(now: now) + advanceStops(now: now) }
        return actions + advanceStops(now: now) + advanceProbes(now: now)
    }

    private mutating func advanceContainers(now: Moment) -> [PodAction] {
        var actions: [PodAction] = []
        for spec in specs where spec.role == .ephemeral && records[spec.name]?.phase == .idle {
            actions += start(spec)
        }
        var mayGoOn = true
        for spec in specs where spec.role == .initial || spec.role == .sidecar {
            guard let record = records[spec.name] else { continue }
            if spec.role == .sidecar {
                if mayGoOn || isInitialized || record.hasStartedOnce { actions += bringUp(spec, now: now) }
                if !(records[spec.name]?.isStarted ?? false), !isInitialized { mayGoOn = false }
                continue
            }
            guard mayGoOn, !isInitialized else { continue }
            if record.phase == .ended, record.end?.exitCode == 0 { continue }
            if record.phase == .ended, restartPolicy == "Never" {
                end(Ending(until: now.seconds + Double(graceSeconds)), now: now)
                return actions
            }
            actions += bringUp(spec, now: now)
            mayGoOn = false
        }
        guard mayGoOn || isInitialized else { return actions }
        isInitialized = true
        let mains = specs.filter { $0.role == .main }
        for spec in mains { actions += bringUp(spec, now: now) }
        let isDone = mains.allSatisfy { spec in
            guard let record = records[spec.name] else { return true }
            return record.phase == .ended && !restarts(spec, record)
        }
        if isDone, !mains.isEmpty { end(Ending(until: now.seconds + Double(graceSeconds)), now: now) }
        return actions
    }

    func restarts(_ spec: ContainerSpec, _ record: ContainerRecord) -> Bool {
        switch spec.role {
        case .sidecar: return true
        case .ephemeral: return false
        case .initial: return restartPolicy != "Never" && record.end?.exitCode != 0
        case .main:
            // Another image than the one that ended is another container.
            if record.isStale { return true }
            switch restartPolicy {
            case "Never": return false
            case "OnFailure": return record.end?.exitCode != 0
            default: return true
            }
        }
    }

    // Starts what is idle or ended, after the wait that is due.
    private mutating func bringUp(_ spec: ContainerSpec, now: Moment) -> [PodAction] {
        guard var record = records[spec.name] else { return [] }
        switch record.phase {
        case .idle: return start(spec)
        case .ended:
            guard restarts(spec, record) else { return [] }
            let wait = record.crashes.next(now: now.seconds)
            if wait == 0 {
                records[spec.name] = record
                return start(spec)
            }
            record.phase = .backingOff(until: now.seconds + wait)
            record.waitReason = "CrashLoopBackOff"
            record.waitMessage = "back-off \(Self.span(wait)) restarting failed container=\(spec.name) pod=\(label)"
            records[spec.name] = record
            return [
                .tell(.warning("BackOff", "Back-off restarting failed container \(spec.name) in pod \(label)", at: spec.fieldPath))
            ]
        case .backingOff(let until):
            if now.seconds >= until { return start(spec) }
            guard let turn = record.turnsAt, now.seconds >= turn else { return [] }
            record.turnsAt = nil
            guard record.end == nil || record.waitReason == "ErrImagePull" else {
                record.waitReason = "CrashLoopBackOff"
                let wait = record.crashes.seconds / 2
                record.waitMessage = "back-off \(Self.span(wait)) restarting failed container=\(spec.name) pod=\(label)"
                records[spec.name] = record
                return [
                    .tell(.warning("BackOff", "Back-off restarting failed container \(spec.name) in pod \(label)", at: spec.fieldPath))
                ]
            }
            record.waitMessage = "Back-off pulling image \"\(spec.image)\": \(record.waitReason): \(record.waitMessage)"
            record.waitReason = "ImagePullBackOff"
            records[spec.name] = record
            return [
                .tell(.normal("BackOff", "Back-off pulling image \"\(spec.image)\"", at: spec.fieldPath)),
                .tell(.warning("Failed", "Error: ImagePullBackOff", at: spec.fieldPath)),
            ]
        default: return []
        }
    }

    private mutating func start(_ spec: ContainerSpec) -> [PodAction] {
        guard var record = records[spec.name] else { return [] }
        var actions: [PodAction] = []
        if record.hasStartedOnce {
            actions.append(.discard(container: spec.name, attempt: record.attempt, keepLog: true))
            if record.attempt > 0 { actions.append(.discard(container: spec.name, attempt: record.attempt - 1, keepLog: false)) }
            record.attempt += 1
            record.hasStartedOnce = false
        }
        record.phase = .starting
        record.isStale = false
        record.turnsAt = nil
        records[spec.name] = record
        return actions + [.start(container: spec.name, attempt: record.attempt)]
    }

    mutating func started(_ name: String, _ attempt: Int, id: String, image: PulledImage, now: Moment) -> [PodAction] {
        guard var record = records[name], record.phase == .starting, record.attempt == attempt,
            let spec = specs.first(where: { $0.name == name })
        else { return [] }
        record.phase = .running
        record.hasStartedOnce = true
        record.id = id
        record.image = image
        record.startedAt = now.wall
        record.startedSeconds = now.seconds
        record.lastEnd = record.end ?? record.lastEnd
        record.end = nil
        record.waitReason = ""
        record.waitMessage = ""
        record.pulls.reset()
        record.resources = spec.json["resources"] ?? .null
        record.hookIsRunning = spec.postStart != nil
        beginProbes(&record, spec, now: now)
        records[name] = record
        var actions: [PodAction] = []
        if record.hookIsRunning { actions.append(.runHook(container: name, attempt: attempt, .postStart)) }
        if let early = earlyExits.removeValue(forKey: name), early.exit.attempt == attempt {
            actions += exited(early.exit, message: early.message)
        }
        return actions
    }

    mutating func refused(_ name: String, _ attempt: Int, _ refusal: StartRefusal, now: Moment) -> [PodAction] {
        guard var record = records[name], record.phase == .starting, record.attempt == attempt,
            let spec = specs.first(where: { $0.name == name })
        else { return [] }
        record.waitReason = refusal.reason
        record.waitMessage = refusal.message
        earlyExits[name] = nil
        let wait: Double
        switch refusal.reason {
        case "ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed":
            wait = record.pulls.next(now: now.seconds, startsWithWait: true)
            record.turnsAt = now.seconds + Self.pullErrorSeconds
        case "InvalidImageName", "ErrImageNeverPull": wait = record.pulls.next(now: now.seconds, startsWithWait: true)
        case "CreateContainerConfigError", "FailedMount": wait = Self.configRetrySeconds
        default:
            // The container was made and its program could not be run: that counts as a start.
            record.hasStartedOnce = true
            record.lastEnd = ContainerEnd(
                id: record.id, exitCode: 128, reason: "StartError", message: refusal.message, startedAt: Timestamp(seconds: 0),
                finishedAt: now.wall)
            record.end = record.lastEnd
            if spec.role == .ephemeral || restartPolicy == "Never", spec.role != .sidecar {
                record.phase = .ended
                records[name] = record
                return [.tell(.warning("Failed", "Error: \(refusal.message)", at: spec.fieldPath))]
            }
            wait = record.crashes.next(now: now.seconds, startsWithWait: true)
            record.turnsAt = now.seconds + Self.pullErrorSeconds
        }
        record.phase = spec.role == .ephemeral && refusal.reason != "ErrImagePull" ? .ended : .backingOff(until: now.seconds + wait)
        records[name] = record
        return [.tell(.warning("Failed", "Error: \(Self.eventText(refusal))", at: spec.fieldPath))]
    }

    private static func eventText(_ refusal: StartRefusal) -> String {
        ["ErrImagePull", "InvalidImageName", "ErrImageNeverPull"].contains(refusal.reason) ? refusal.reason : refusal.message
    }

    mutating func exited(_ exit: ContainerExit, message: String) -> [PodAction] {
        guard var record = records[exit.container], record.attempt == exit.attempt else { return [] }
        if record.phase == .starting {
            earlyExits[exit.container] = (exit, message)
            return []
        }
        guard record.phase == .running else { return [] }
        record.phase = .ended
        record.end = ContainerEnd(exit, id: record.id, startedAt: record.startedAt, message: message)
        record.isReady = false
        record.isStarted = false
        record.hookIsRunning = false
        record.probes = [:]
        record.stop = nil
        records[exit.container] = record
        return []
    }

    /// `10s`, `1m20s`, `5m0s`.
    package static func span(_ seconds: Double) -> String {
        let whole = Int(seconds)
        return whole < 60 ? "\(whole)s" : "\(whole / 60)m\(whole % 60)s"
    }

    /// The steady second at which the machine wants a `tick`.
    package var nextWake: Double? {
        guard !isGone else { return nil }
        var wakes: [Double] = []
        switch sandbox {
        case .retrying(let due, _) where ending == nil: wakes.append(due)
        case .removalRetrying(let due): wakes.append(due)
        default: break
        }
        if let limit = pod["spec"]?["activeDeadlineSeconds"]?.int, let startSeconds, ending == nil {
            wakes.append(startSeconds + Double(limit))
        }
        for record in records.values {
            if let stop = record.stop { wakes.append(stop.until) }
            guard ending == nil else { continue }
            if case .backingOff(let until) = record.phase {
                wakes.append(until)
                if let turn = record.turnsAt { wakes.append(turn) }
            }
            if let due = nextProbe(record) { wakes.append(due) }
        }
        return wakes.min()
    }
}
