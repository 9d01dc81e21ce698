// Runs one pod: asks its machine what is to be done, does it, and writes down how the pod is.
//
// One task takes events in order; everything that takes time is a child task that answers with an event.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging
internal import Pods
internal import Synchronization

final class PodWorker: Sendable {
    let uid: String
    let namespace: String
    let name: String
    let isStatic: Bool
    let world: KubeletWorld
    let volumes: PodVolumes
    let mailbox = Mailbox()
    let writer: StatusWriter
    private let first: JSON
    private let shown: Mutex<(machine: PodMachine, mirror: JSON?)>
    private let finish = Mutex<(isOver: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))
    let log = Logger(label: "kubelet")

    init(pod: JSON, world: KubeletWorld) {
        uid = pod.metaUID
        namespace = pod.metaNamespace ?? "default"
        name = pod.metaName
        isStatic = StaticPods.isStatic(pod)
        first = pod
        self.world = world
        volumes = PodVolumes(world: world, uid: pod.metaUID)
        writer = StatusWriter(client: world.client)
        shown = Mutex((PodMachine(pod: pod, now: .now()), nil))
    }

    /// How the pod is now, for those who only look.
    var machine: PodMachine { shown.withLock { $0.machine } }
    var pod: JSON { shown.withLock { $0.machine.pod } }

    func waitUntilOver() async {
        await withCheckedContinuation { continuation in
            let isOver = finish.withLock { state in
                if !state.isOver { state.waiters.append(continuation) }
                return state.isOver
            }
            if isOver { continuation.resume() }
        }
    }

    /// Until the pod is gone, or cancelled.
    func run(after predecessor: PodWorker?, adopting found: FoundSandbox?, admission: @Sendable (JSON) -> AdmissionRefusal?) async {
        await predecessor?.waitUntilOver()
        var machine = self.machine
        await withDiscardingTaskGroup { group in
            var events: [PodEvent] = []
            if let found {
                events = [.adopted(found, status: first["status"] ?? .null), .observed(first)]
            } else if machine.startTime == nil, !first.isBeingDeleted, let refusal = admission(first) {
                events = [.rejected(reason: refusal.reason, message: refusal.message)]
            } else {
                events = [.observed(first)]
            }
            var alarm = Double.infinity
            while !Task.isCancelled {
                let now = Moment.now()
                if now.seconds >= alarm { alarm = .infinity }
                for event in events {
                    let actions = machine.handle(event, now: .now())
                    shown.withLock { $0.machine = machine }
                    for action in actions { perform(action, machine, in: &group) }
                    // With the object gone there is nobody to be told.
                    if machine.isGone, !actions.contains(.forget), machine.ending?.isVanished ?? false { isOver.withLock { $0 = true } }
                }
                if !machine.isGone { writeStatus(machine, in: &group) }
                if let wake = machine.nextWake, wake < alarm - 0.001 {
                    alarm = wake
                    group.addTask { [mailbox] in
                        try? await Task.sleep(for: .seconds(max(0, wake - monotonicSeconds()) + 0.001))
                        mailbox.send(.tick)
                    }
                }
                if machine.isGone, isOver.withLock({ $0 }) { break }
                guard let content = await mailbox.next() else { break }
                events = content.events
                if let mirror = content.mirror { take(mirror) }
                if let pod = content.pod {
                    if pod.metaLabels != machine.pod.metaLabels || pod.metaAnnotations != machine.pod.metaAnnotations {
                        refreshVolumes(pod, machine, in: &group)
                    }
                    writer.observe(pod)
                    events.insert(.observed(pod), at: 0)
                }
                if content.wantsRefresh { refreshVolumes(machine.pod, machine, in: &group) }
            }
            group.cancelAll()
        }
        let waiters = finish.withLock { state in
            state.isOver = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Set when even the API object is gone.
    let isOver = Mutex(false)

    private func take(_ mirror: JSON) {
        let isOther = shown.withLock { shown in
            defer { shown.mirror = mirror }
            return shown.mirror?.metaUID != mirror.metaUID
        }
        if isOther { writer.reset() } else { writer.observe(mirror) }
    }

    // The API's object for a static pod is its mirror; until there is one, nobody is told.
    private func writeStatus(_ machine: PodMachine, in group: inout DiscardingTaskGroup) {
        let object: JSON? = isStatic ? shown.withLock { $0.mirror } : machine.pod
        guard let object else { return }
        if machine.sandbox == .removed, let phase = object["status"]?["phase"]?.string, phase == "Succeeded" || phase == "Failed",
            machine.records.values.allSatisfy({ $0.startedAt == nil })
        {
            // It ended before this kubelet began; what its status says is better than what is known now.
            return
        }
        let status = machine.status(previous: writer.latest ?? object["status"] ?? .null, world.status, now: SystemClock().now())
        guard writer.offer(status) else { return }
        let target = StatusWriter.Target(namespace: namespace, name: name, uid: object.metaUID)
        group.addTask { [writer] in await writer.write(to: target, isOver: { false }) }
    }

    private func refreshVolumes(_ pod: JSON, _ machine: PodMachine, in group: inout DiscardingTaskGroup) {
        switch machine.sandbox {
        case .up:
            let environment = world.environment(of: pod, addresses: machine.addresses)
            group.addTask { [volumes] in await volumes.refresh(pod, environment) }
        case .retrying(_, isPrepared: false): mailbox.send(.again)
        default: break
        }
    }
}
