// When containers are asked how they are, and what their answers mean.
internal import ClusterModel
internal import Essentials

extension PodMachine {
    /// A program that has just begun and does not answer yet is asked again after 0.1 s, 0.2 s, … instead of a whole
    /// period, and these failures do not count: pods become ready when they are. Upstream waits for the period.
    static let quickSeconds = 3.0
    static let quickLimit = 5

    func beginProbes(_ record: inout ContainerRecord, _ spec: ContainerSpec, now: Moment) {
        record.probes = [:]
        record.isStarted = spec.probes[.startup] == nil && !record.hookIsRunning
        record.isReady = record.isStarted && spec.probes[.readiness] == nil
        for (kind, probe) in spec.probes {
            record.probes[kind] = ContainerRecord.ProbeState(
                nextAt: max(now.seconds, record.startedSeconds + probe.initialDelaySeconds))
        }
    }

    func nextProbe(_ record: ContainerRecord) -> Double? {
        guard record.isRunning, record.stop == nil, !record.hookIsRunning else { return nil }
        return record.probes.filter { isDue($0.key, record) && !$0.value.isAsking }.map(\.value.nextAt).min()
    }

    // Until it has started, only that is asked; afterwards never again.
    private func isDue(_ kind: ProbeKind, _ record: ContainerRecord) -> Bool {
        guard record.probes[.startup] != nil else { return true }
        return record.isStarted ? kind != .startup : kind == .startup
    }

    mutating func advanceProbes(now: Moment) -> [PodAction] {
        var actions: [PodAction] = []
        for spec in specs where !spec.probes.isEmpty {
            guard let record = records[spec.name], record.isRunning, record.stop == nil, !record.hookIsRunning else { continue }
            for kind in ProbeKind.allCases {
                guard let state = record.probes[kind], isDue(kind, record), !state.isAsking, now.seconds >= state.nextAt else { continue }
                records[spec.name]?.probes[kind]?.isAsking = true
                actions.append(.probe(container: spec.name, attempt: record.attempt, kind))
            }
        }
        return actions
    }

    mutating func probed(_ name: String, _ attempt: Int, _ kind: ProbeKind, _ answer: ProbeAnswer, now: Moment) -> [PodAction] {
        guard var record = records[name], record.isRunning, record.attempt == attempt, var state = record.probes[kind],
            let spec = specs.first(where: { $0.name == name }), let probe = spec.probes[kind]
        else { return [] }
        state.isAsking = false
        if case .failure = answer, mayAskQuickly(kind, probe, state, record, now) {
            state.nextAt = now.seconds + 0.1 * Double(1 << state.quick)
            state.quick += 1
            records[name]?.probes[kind] = state
            return []
        }
        // In step with the first time, however long the answer took.
        state.nextAt = max(state.nextAt + probe.periodSeconds, now.seconds + min(0.1, probe.periodSeconds))
        let isSuccess = answer == .success
        state.inRow = state.lastWasSuccess == isSuccess ? state.inRow + 1 : 1
        state.lastWasSuccess = isSuccess
        var actions: [PodAction] = []
        if case .failure(let why) = answer, record.stop == nil, ending == nil {
            actions.append(.tell(.warning("Unhealthy", "\(kind.rawValue) probe failed: \(why)", at: spec.fieldPath)))
        }
        let isVerdict = state.inRow >= (isSuccess ? probe.successThreshold : probe.failureThreshold)
        if isVerdict { state.verdict = isSuccess }
        record.probes[kind] = state
        records[name] = record
        guard isVerdict else { return actions }
        return actions + judge(name, spec, kind, probe, isSuccess: isSuccess, now: now)
    }

    private mutating func judge(
        _ name: String, _ spec: ContainerSpec, _ kind: ProbeKind, _ probe: ProbeSpec, isSuccess: Bool, now: Moment
    ) -> [PodAction] {
        switch (kind, isSuccess) {
        case (.readiness, _): records[name]?.isReady = isSuccess
        case (.startup, true): settleStarted(name, spec)
        case (.liveness, true): break
        case (.startup, false), (.liveness, false):
            records[name]?.probes[kind]?.inRow = 0
            guard ending == nil else { return [] }
            let word = kind == .startup ? "startup" : "liveness"
            return stop(
                name, seconds: Double(probe.graceSeconds ?? graceSeconds), now: now,
                note: "Container \(name) failed \(word) probe, will be restarted")
        }
        return []
    }

    /// The start is over once the hook is done and the startup probe passes.
    mutating func settleStarted(_ name: String, _ spec: ContainerSpec) {
        guard let record = records[name], !record.hookIsRunning else { return }
        if spec.probes[.startup] != nil, record.probes[.startup]?.verdict != true { return }
        records[name]?.isStarted = true
        if spec.probes[.readiness] == nil { records[name]?.isReady = true }
    }

    private func mayAskQuickly(
        _ kind: ProbeKind, _ probe: ProbeSpec, _ state: ContainerRecord.ProbeState, _ record: ContainerRecord, _ now: Moment
    ) -> Bool {
        if kind == .liveness || state.verdict != nil || state.quick >= Self.quickLimit { return false }
        if case .exec = probe.question { return false }
        return now.seconds - record.startedSeconds - probe.initialDelaySeconds < Self.quickSeconds
    }
}
