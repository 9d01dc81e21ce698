// How containers and pods end: hooks, the polite signal, the kill, sidecars last, then network and volumes.
internal import ClusterModel
internal import Essentials

extension PodMachine {
    /// After its stop hook a container has at least this much.
    static let minimumSeconds = 2.0
    static let killAgainSeconds = 10.0

    mutating func advanceEnding(now: Moment) -> [PodAction] {
        guard let ending else { return [] }
        var actions: [PodAction] = []
        switch sandbox {
        case .preparing, .starting, .removing: return []
        case .none, .retrying:
            // Volumes may be half there.
            sandbox = .removing
            return [.remove(logs: ending.isDeleted || ending.isVanished)]
        case .removalRetrying(let due):
            guard now.seconds >= due else { return [] }
            sandbox = .removing
            return [.remove(logs: ending.isDeleted || ending.isVanished)]
        case .removed:
            return ended(ending)
        case .up: break
        }
        for name in records.keys {
            guard let record = records[name], case .backingOff = record.phase else { continue }
            records[name]?.phase = record.end == nil ? .idle : .ended
        }
        let left = max(0, ending.until - now.seconds)
        let isStarting = records.values.contains { $0.phase == .starting }
        let others = specs.filter { $0.role != .sidecar && records[$0.name]?.isActive ?? false }
        for spec in others { actions += stop(spec.name, seconds: left, now: now, note: "Stopping container \(spec.name)") }
        if others.isEmpty, !isStarting {
            for spec in specs.reversed() where spec.role == .sidecar && records[spec.name]?.isRunning ?? false {
                actions += stop(spec.name, seconds: left, now: now, note: "Stopping container \(spec.name)")
                break
            }
        }
        guard !records.values.contains(where: { $0.isActive }) else { return actions }
        sandbox = .removing
        return actions + [.remove(logs: ending.isDeleted || ending.isVanished)]
    }

    private mutating func ended(_ ending: Ending) -> [PodAction] {
        guard ending.isDeleted || ending.isVanished else { return [] }
        guard wantsLogsRemoved else {
            // It ended before it was deleted, so its logs are still here.
            wantsLogsRemoved = true
            sandbox = .removing
            return [.remove(logs: true)]
        }
        isGone = true
        return ending.isVanished ? [] : [.forget]
    }

    /// Begins to stop a running container; does nothing where that has begun.
    mutating func stop(_ name: String, seconds: Double, now: Moment, note: String) -> [PodAction] {
        guard var record = records[name], record.isRunning, record.stop == nil, let spec = specs.first(where: { $0.name == name }) else {
            return []
        }
        var actions: [PodAction] = [.tell(.normal("Killing", note, at: spec.fieldPath))]
        if seconds <= 0 {
            record.stop = ContainerRecord.Stop(stage: .killed, until: now.seconds + Self.killAgainSeconds)
            actions.append(.signal(container: name, 9))
        } else if spec.preStop != nil, !record.hookIsRunning {
            record.stop = ContainerRecord.Stop(stage: .hook, until: now.seconds + seconds)
            actions.append(.runHook(container: name, attempt: record.attempt, .preStop))
        } else {
            record.stop = ContainerRecord.Stop(stage: .terminated, until: now.seconds + seconds)
            actions.append(.signal(container: name, Self.stopSignal(record)))
        }
        records[name] = record
        return actions
    }

    mutating func advanceStops(now: Moment) -> [PodAction] {
        var actions: [PodAction] = []
        for spec in specs {
            guard let record = records[spec.name], record.isRunning, let stop = record.stop, now.seconds >= stop.until else { continue }
            switch stop.stage {
            case .hook:
                records[spec.name]?.stop = ContainerRecord.Stop(stage: .terminated, until: now.seconds + Self.minimumSeconds)
                actions.append(.signal(container: spec.name, Self.stopSignal(record)))
            case .terminated, .killed:
                records[spec.name]?.stop = ContainerRecord.Stop(stage: .killed, until: now.seconds + Self.killAgainSeconds)
                actions.append(.signal(container: spec.name, 9))
            }
        }
        return actions
    }

    mutating func hookEnded(_ name: String, _ attempt: Int, _ kind: HookKind, failure: String, now: Moment) -> [PodAction] {
        guard let record = records[name], record.isRunning, record.attempt == attempt, let spec = specs.first(where: { $0.name == name })
        else { return [] }
        switch kind {
        case .postStart:
            records[name]?.hookIsRunning = false
            guard !failure.isEmpty else {
                settleStarted(name, spec)
                return []
            }
            return [.tell(.warning("FailedPostStartHook", "PostStartHook failed", at: spec.fieldPath))]
                + stop(name, seconds: Double(graceSeconds), now: now, note: "FailedPostStartHook")
        case .preStop:
            guard let stop = record.stop, stop.stage == .hook else { return [] }
            let left = max(Self.minimumSeconds, stop.until - now.seconds)
            records[name]?.stop = ContainerRecord.Stop(stage: .terminated, until: now.seconds + left)
            let note: [PodAction] =
                failure.isEmpty ? [] : [.tell(.warning("FailedPreStopHook", "PreStopHook failed", at: spec.fieldPath))]
            return note + [.signal(container: name, Self.stopSignal(record))]
        }
    }

    /// The signal that the image asks to be stopped with.
    static func stopSignal(_ record: ContainerRecord) -> Int32 {
        let image = record.image?.configuration ?? .null
        let text = (image["config"] ?? image)["StopSignal"]?.string ?? ""
        if let number = Int32(text) { return number }
        let names: [String: Int32] = [
            "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "WINCH": 28, "PWR": 30,
            "RTMIN+3": 37,
        ]
        return names[text.hasPrefix("SIG") ? String(text.dropFirst(3)) : text] ?? 15
    }
}
