// The life of one pod as a state machine: what happened goes in, what is to be done comes out. No clock, no I/O.
//
// After each event the machine looks at the whole pod and asks for what is missing, as a reconciler does; an action is
// asked for once, and its answer is an event. Order of life:
//
//     none → preparing (volumes) → starting (sandbox) → up: init containers and sidecars in turn, then all others
//     up → ending: main containers end, then sidecars from the last to the first → removing → removed
//
// `nextWake` says when it wants to be asked again though nothing happens. To add a reason for a pod to end, see `Ending`.
internal import ClusterModel
package import Essentials

package struct PodMachine: Sendable {
    package enum Sandbox: Sendable, Equatable {
        case none
        case preparing
        case starting
        /// Waits to try again; with `isPrepared` only the sandbox is missing.
        case retrying(at: Double, isPrepared: Bool)
        case up
        case removing
        case removalRetrying(at: Double)
        case removed
    }

    /// Why the whole pod goes.
    package struct Ending: Sendable, Equatable {
        /// The API object carries a deletion timestamp.
        package var isDeleted = false
        /// The object is gone already.
        package var isVanished = false
        /// What the pod's status says about it: evicted, out of time.
        package var reason = ""
        package var message = ""
        /// The steady second at which everything left is killed.
        package var until: Double
    }

    /// The first wait for volumes or a sandbox that could not be had; then twice as long, up to the limit.
    package static let sandboxRetrySeconds = 1.0
    package static let sandboxRetryLimitSeconds = 60.0
    package static let configRetrySeconds = 8.0
    /// After a failed pull the status says ErrImagePull for so long, then ImagePullBackOff.
    package static let pullErrorSeconds = 3.0

    package internal(set) var pod: JSON
    package internal(set) var specs: [ContainerSpec]
    package internal(set) var records: [String: ContainerRecord] = [:]
    package internal(set) var sandbox = Sandbox.none
    package internal(set) var addresses: [String] = []
    package internal(set) var ending: Ending?
    package internal(set) var isInitialized = false
    package internal(set) var startTime: Timestamp?
    /// The pod's life here is over: nothing is left of it, and the API is told.
    package internal(set) var isGone = false
    var startSeconds: Double?
    var earlyExits: [String: (exit: ContainerExit, message: String)] = [:]
    var wantsLogsRemoved = false
    private var retries = 0

    package init(pod: JSON, now: Moment) {
        self.pod = pod
        specs = ContainerSpec.all(of: pod)
        for spec in specs { records[spec.name] = ContainerRecord() }
        restore(pod["status"] ?? .null, now: now)
    }

    package var namespace: String { pod.metaNamespace ?? "default" }
    package var name: String { pod.metaName }
    package var uid: String { pod.metaUID }
    package var restartPolicy: String { pod["spec"]?["restartPolicy"]?.string ?? "Always" }
    /// `NAME_NAMESPACE(UID)`, as upstream's messages name pods.
    package var label: String { "\(name)_\(namespace)(\(uid))" }
    package var graceSeconds: Int { pod["spec"]?["terminationGracePeriodSeconds"]?.int ?? 30 }
    /// Its containers have ended for good, or it goes.
    package var isOver: Bool { ending != nil }

    package mutating func handle(_ event: PodEvent, now: Moment) -> [PodAction] {
        guard !isGone else { return [] }
        if startTime == nil {
            startTime = now.wall
            startSeconds = now.seconds
        }
        return note(event, now: now) + advance(now: now)
    }

    private mutating func note(_ event: PodEvent, now: Moment) -> [PodAction] {
        switch event {
        case .observed(let pod): return observe(pod, now: now)
        case .vanished:
            end(Ending(isVanished: true, until: now.seconds + Double(min(graceSeconds, 30))), now: now)
        case .adopted(let found, let status): return adopt(found, status, now: now)
        case .prepared:
            guard sandbox == .preparing else { return [] }
            sandbox = .retrying(at: 0, isPrepared: true)
            retries = 0
        case .notPrepared(let reason, let message):
            guard sandbox == .preparing else { return [] }
            sandbox = .retrying(at: now.seconds + nextRetry(), isPrepared: false)
            return [.tell(.warning(reason, message))]
        case .sandboxStarted(let addresses):
            self.addresses = addresses
            if sandbox == .starting {
                sandbox = .up
                beginAnew()
            }
            retries = 0
        case .sandboxRefused(let reason, let message):
            guard sandbox == .starting else { return [] }
            sandbox = .retrying(at: now.seconds + nextRetry(), isPrepared: true)
            return [.tell(.warning(reason, message))]
        case .started(let container, let attempt, let id, let image):
            return started(container, attempt, id: id, image: image, now: now)
        case .refused(let container, let attempt, let refusal): return refused(container, attempt, refusal, now: now)
        case .exited(let exit, let message): return exited(exit, message: message)
        case .probed(let container, let attempt, let kind, let answer): return probed(container, attempt, kind, answer, now: now)
        case .hookEnded(let container, let attempt, let kind, let failure):
            return hookEnded(container, attempt, kind, failure: failure, now: now)
        case .sandboxRemoved:
            sandbox = .removed
            addresses = ending?.isDeleted == true ? addresses : []
        case .removalFailed: sandbox = .removalRetrying(at: now.seconds + Self.sandboxRetrySeconds)
        case .evicted(let reason, let message):
            end(Ending(reason: reason, message: message, until: now.seconds), now: now)
            return [.tell(.warning(reason, message))]
        case .rejected(let reason, let message):
            end(Ending(reason: reason, message: "Pod was rejected: " + message, until: now.seconds), now: now)
            sandbox = .removed
            return [.tell(.warning(reason, message))]
        case .again:
            if case .retrying(_, let isPrepared) = sandbox { sandbox = .retrying(at: now.seconds, isPrepared: isPrepared) }
            for (name, record) in records {
                if case .backingOff = record.phase, record.waitReason == "CreateContainerConfigError" {
                    records[name]?.phase = .backingOff(until: now.seconds)
                }
            }
        case .tick: break
        }
        return []
    }

    // In a new sandbox the init containers do their work again, where main containers are to run in it.
    private mutating func beginAnew() {
        guard ending == nil,
            specs.contains(where: { spec in
                guard spec.role == .main, let record = records[spec.name] else { return false }
                return record.phase != .ended || restarts(spec, record)
            })
        else { return }
        isInitialized = false
        for spec in specs where spec.role == .initial {
            guard var record = records[spec.name], record.phase == .ended else { continue }
            record.phase = .idle
            record.lastEnd = record.end
            record.end = nil
            records[spec.name] = record
        }
    }

    private mutating func nextRetry() -> Double {
        defer { retries = min(retries + 1, 10) }
        return min(Self.sandboxRetrySeconds * Double(1 << retries), Self.sandboxRetryLimitSeconds)
    }

    private mutating func observe(_ new: JSON, now: Moment) -> [PodAction] {
        var actions: [PodAction] = []
        pod = new
        let fresh = ContainerSpec.all(of: new)
        if fresh != specs {
            for spec in fresh {
                guard let old = specs.first(where: { $0.name == spec.name }) else {
                    records[spec.name] = ContainerRecord()
                    continue
                }
                if old.image != spec.image, var record = records[spec.name] {
                    record.pulls.reset()
                    if case .backingOff = record.phase, record.end == nil { record.phase = .idle }
                    records[spec.name] = record
                    if record.isRunning {
                        records[spec.name]?.crashes.reset()
                        records[spec.name]?.isStale = true
                        actions += stop(
                            spec.name, seconds: Double(graceSeconds), now: now,
                            note: "Container \(spec.name) definition changed, will be restarted")
                    }
                }
            }
            specs = fresh
        }
        if new.isBeingDeleted {
            let wanted = graceSeconds == 0 ? 0 : new["metadata"]?["deletionGracePeriodSeconds"]?.int ?? graceSeconds
            end(Ending(isDeleted: true, until: now.seconds + Double(wanted)), now: now)
        }
        return actions
    }

    /// The pod is to end; a second reason can only make it sooner.
    mutating func end(_ new: Ending, now: Moment) {
        guard var old = ending else {
            ending = new
            return
        }
        old.isDeleted = old.isDeleted || new.isDeleted
        old.isVanished = old.isVanished || new.isVanished
        if old.reason.isEmpty, !new.isDeleted, !new.isVanished { (old.reason, old.message) = (new.reason, new.message) }
        if new.until < old.until {
            old.until = new.until
            for name in records.keys {
                if let stop = records[name]?.stop, stop.until > new.until { records[name]?.stop?.until = new.until }
            }
        }
        ending = old
    }
}

// What there was before this kubelet.
extension PodMachine {
    // A node that was switched off: its containers are lost, but how often they ran is not.
    private mutating func restore(_ status: JSON, now: Moment) {
        startTime = status["startTime"]?.string.flatMap(Timestamp.init(rfc3339:))
        if let startTime { startSeconds = now.seconds - now.wall.since(startTime) }
        let phase = status["phase"]?.string
        if phase == "Succeeded" || phase == "Failed" {
            ending = Ending(until: now.seconds)
            sandbox = .removed
        }
        for old in Self.statuses(status) {
            guard let name = old["name"]?.string, var record = records[name] else { continue }
            record.attempt = old["restartCount"]?.int ?? 0
            record.lastEnd = ContainerEnd(old["lastState"]?["terminated"])
            record.id = Self.plainID(old["containerID"])
            if let ended = ContainerEnd(old["state"]?["terminated"]) {
                record.end = ended
                record.phase = .ended
                record.hasStartedOnce = true
            } else if !record.id.isEmpty {
                let started = old["state"]?["running"]?["startedAt"]?.string.flatMap(Timestamp.init(rfc3339:))
                record.hasStartedOnce = true
                if old["state"]?["running"] != nil {
                    record.end = ContainerEnd(
                        id: record.id, exitCode: 137, reason: "ContainerStatusUnknown",
                        message: "The container could not be located when the pod was terminated", startedAt: started,
                        finishedAt: now.wall)
                    record.phase = .ended
                } else {
                    record.end = record.lastEnd
                    record.phase = record.end == nil ? .idle : .ended
                }
            }
            records[name] = record
        }
    }

    private mutating func adopt(_ found: FoundSandbox, _ status: JSON, now: Moment) -> [PodAction] {
        guard sandbox == .none else { return [] }
        sandbox = .up
        addresses = found.addresses
        if startTime == nil || startTime.map({ $0 > found.createdAt }) == true {
            startTime = found.createdAt
            startSeconds = now.seconds - now.wall.since(found.createdAt)
        }
        let known = Dictionary(Self.statuses(status).map { ($0["name"]?.string ?? "", $0) }, uniquingKeysWith: { $1 })
        for spec in specs {
            let lives = found.containers.filter { $0.name == spec.name }.sorted { $0.attempt < $1.attempt }
            guard let last = lives.last, var record = records[spec.name] else { continue }
            record.phase = .idle
            record.attempt = last.attempt
            record.id = last.id
            record.image = last.image
            record.startedAt = last.startedAt
            record.startedSeconds = now.seconds - now.wall.since(last.startedAt)
            record.hasStartedOnce = true
            record.end = nil
            if let before = lives.dropLast().last, let exit = before.exit {
                record.lastEnd = ContainerEnd(exit, id: before.id, startedAt: before.startedAt, message: "")
            }
            record.lastEnd = record.lastEnd ?? ContainerEnd(known[spec.name]?["lastState"]?["terminated"])
            if let exit = last.exit {
                record.phase = .ended
                record.end = ContainerEnd(exit, id: last.id, startedAt: last.startedAt, message: "")
            } else {
                record.phase = .running
                record.resources = spec.json["resources"] ?? .null
                let old = known[spec.name]
                beginProbes(&record, spec, now: now)
                // A restart of the kubelet is no news to those who use the pod.
                if let old, Self.plainID(old["containerID"]) == last.id {
                    record.isStarted = old["started"]?.bool ?? record.isStarted
                    record.isReady = old["ready"]?.bool ?? record.isReady
                    if record.isReady { record.probes[.readiness]?.verdict = true }
                }
            }
            records[spec.name] = record
        }
        // What must have ended before the main containers began need not be here any more.
        if specs.contains(where: { spec in spec.role == .main && found.containers.contains { $0.name == spec.name } }) {
            isInitialized = true
            for spec in specs where spec.role == .initial && records[spec.name]?.phase == .idle {
                records[spec.name]?.phase = .ended
                records[spec.name]?.end = ContainerEnd(
                    id: "", exitCode: 0, reason: "Completed", message: "", startedAt: found.createdAt, finishedAt: found.createdAt)
            }
        }
        return [.prepare]
    }

    private static func statuses(_ status: JSON) -> [JSON] {
        ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"].flatMap { status[$0]?.array ?? [] }
    }

    private static func plainID(_ id: JSON?) -> String {
        let text = id?.string ?? ""
        return text.split(separator: "/").last.map(String.init) ?? ""
    }
}

extension ContainerEnd {
    init(_ exit: ContainerExit, id: String, startedAt: Timestamp?, message: String) {
        self.init(
            id: id, exitCode: exit.exitCode,
            reason: exit.isOutOfMemory ? "OOMKilled" : exit.exitCode == 0 ? "Completed" : "Error", message: message, startedAt: startedAt,
            finishedAt: exit.finishedAt)
    }

    /// From a status; `nil` where it tells of no end.
    init?(_ terminated: JSON?) {
        guard let terminated, let code = terminated["exitCode"]?.int else { return nil }
        func time(_ key: String) -> Timestamp? { terminated[key]?.string.flatMap(Timestamp.init(rfc3339:)) }
        self.init(
            id: terminated["containerID"]?.string?.split(separator: "/").last.map(String.init) ?? "", exitCode: code,
            reason: terminated["reason"]?.string ?? "", message: terminated["message"]?.string ?? "", startedAt: time("startedAt"),
            finishedAt: time("finishedAt") ?? Timestamp(seconds: 0))
    }
}
