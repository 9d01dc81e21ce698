// Drives one pod: feeds what happens to its state machine and performs what comes out, one after the other.
internal import ClusterClient
internal import ClusterModel
internal import Containers
internal import Essentials
internal import Kernel
internal import Logging
internal import Network
internal import Synchronization

/// What all workers of a kubelet share.
struct WorkerSurroundings: Sendable {
    let settings: KubeletSettings
    let client: ClusterClient
    let sandboxes: PodSandboxes
    let readiness: Readiness
    let recorder: EventRecorder
    let clock: any WallClock
    /// Whether the namespace of a pod just removed is to be given up as well: it goes, and no other pod is in it.
    let isLastOfDyingNamespace: @Sendable (_ namespace: String, _ uid: String) -> Bool
}

final class PodWorker: Sendable {
    enum Input: Sendable {
        case pod(JSON)
        case event(PodEvent)
    }

    let namespace: String
    let name: String
    let uid: String
    let surroundings: WorkerSurroundings
    let pod: Mutex<JSON>
    private let inputs: AsyncStream<Input>
    private let input: AsyncStream<Input>.Continuation
    private let log: Mutex<ContainerLog?>
    private let finished = Mutex<(isOver: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))
    private let logger = Logger(label: "kubelet")

    init(pod: JSON, surroundings: WorkerSurroundings) {
        namespace = pod.metaNamespace ?? ""
        name = pod.metaName
        uid = pod.metaUID
        self.pod = Mutex(pod)
        self.surroundings = surroundings
        log = Mutex(nil)
        // The machine takes each input within milliseconds, except while the pod comes up or goes.
        (inputs, input) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    func send(_ value: Input) {
        if case .pod(let json) = value { pod.withLock { $0 = json } }
        input.yield(value)
    }

    func waitUntilFinished() async {
        await withCheckedContinuation { continuation in
            let isOver = finished.withLock { state in
                if !state.isOver { state.waiters.append(continuation) }
                return state.isOver
            }
            if isOver { continuation.resume() }
        }
    }

    var containerLog: ContainerLog? { log.withLock { $0 } }

    /// Lives until the pod is gone. `predecessor` had the same name.
    func run(after predecessor: PodWorker?, adopting: Bool) async {
        if let predecessor { await predecessor.waitUntilFinished() }
        let spec = pod.withLock { $0["spec"] ?? .null }
        var machine = PodMachine(
            container: spec["containers"]?[0]?["name"]?.string ?? "", restartPolicy: spec["restartPolicy"]?.string ?? "Always")
        await withDiscardingTaskGroup { group in
            if adopting { await adopt(&machine, in: &group) }
            for await next in inputs {
                let event: PodEvent =
                    switch next {
                    case .pod(let json): .observed(isBeingDeleted: json.isBeingDeleted)
                    case .event(let event): event
                    }
                // A late word about a process of before says nothing about the one that runs now.
                await handle(event, &machine, in: &group)
                if machine.state == .gone { break }
            }
            group.cancelAll()
        }
        let waiters = finished.withLock { state in
            state.isOver = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func adopt(_ machine: inout PodMachine, in group: inout DiscardingTaskGroup) async {
        guard let found = try? await surroundings.sandboxes.adopt(namespace: namespace, pod: name), found.record["uid"]?.string == uid
        else {
            try? await surroundings.sandboxes.remove(namespace: namespace, pod: name)
            return
        }
        let status = pod.withLock { $0["status"]?["containerStatuses"]?[0] ?? .null }
        let started = status["state"]?["running"]?["startedAt"]?.string.flatMap { Timestamp(rfc3339: $0) }
        openLog()
        await handle(
            .adopted(
                process: found.process, startedAt: started, restarts: status["restartCount"]?.int ?? 0,
                wasReady: status["ready"]?.bool ?? false),
            &machine, in: &group)
    }

    private func handle(_ event: PodEvent, _ machine: inout PodMachine, in group: inout DiscardingTaskGroup) async {
        var queue = [event]
        while !queue.isEmpty {
            for action in machine.handle(queue.removeFirst(), now: surroundings.clock.now()) {
                if let next = await perform(action, machine, in: &group) { queue.append(next) }
            }
        }
    }

    private func perform(_ action: PodAction, _ machine: PodMachine, in group: inout DiscardingTaskGroup) async -> PodEvent? {
        switch action {
        case .create, .restart: return await bringUp(isRestart: action == .restart)
        case .watch(let process):
            group.addTask { [self] in
                guard let exit = await surroundings.readiness.exit(of: process, kernel: surroundings.sandboxes.kernel) else { return }
                send(.event(.ended(exit)))
            }
        case .awaitReady:
            let process = machine.process
            group.addTask { [self] in await watchHealth(process: process) }
        case .waitSeconds(let seconds):
            group.addTask { [self] in
                if seconds > 0 { try? await Task.sleep(for: .seconds(seconds)) }
                send(.event(.again))
            }
        case .kill: if let process = machine.process { try? surroundings.sandboxes.kernel.signal(process, 9) }
        case .remove:
            await takeDown(process: machine.process)
            return .removed
        case .writeStatus: await writeStatus(machine)
        case .forget: await forget()
        case .tell(let note): surroundings.recorder.record(note, about: pod.withLock { $0 })
        }
        return nil
    }

    private func bringUp(isRestart: Bool) async -> PodEvent {
        let pod = pod.withLock { $0 }
        do {
            var context = PlanSurroundings(
                agentProgram: surroundings.settings.agentProgram, clusterProgram: surroundings.settings.clusterProgram,
                catalogue: surroundings.settings.clusterProgram == nil ? nil : surroundings.sandboxes.paths.images)
            for reference in PodPlan.references(of: pod) { context.files[reference.key] = try await contents(reference) }
            let plan = try PodPlan.make(pod, context)
            if isRestart { return .created(process: try await surroundings.sandboxes.restart(plan)) }
            let policies = try await surroundings.client.list(.networkPolicies, namespace: namespace).items
            let process = try await surroundings.sandboxes.create(
                plan, address: pod.metaAnnotations[PodPlan.addressAnnotation], egress: PodPlan.egress(policies: policies),
                record: ["uid": .string(uid)])
            openLog()
            return .created(process: process)
        } catch {
            logger.warning("pod not started", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            let isFinal = error is KubeletProblem && (error as? KubeletProblem)?.reason != "CreateContainerConfigError"
            guard let problem = error as? any Problem else {
                return .refused(reason: "CreateContainerError", message: "\(error)", isFinal: false)
            }
            return .refused(reason: problem.reason, message: problem.message, isFinal: isFinal)
        }
    }

    private func contents(_ reference: (key: String, isOptional: Bool)) async throws -> [String: [UInt8]] {
        let parts = reference.key.split(separator: "/").map(String.init)
        let isSecret = parts[0] == "secrets"
        do throws(ClusterProblem) {
            let object = try await surroundings.client.get(isSecret ? .secrets : .configMaps, namespace: namespace, name: parts[1])
            var files: [String: [UInt8]] = [:]
            for (key, value) in object["data"]?.strings ?? [:] { files[key] = isSecret ? Base64.decode(value) : Array(value.utf8) }
            for (key, value) in object["binaryData"]?.strings ?? [:] { files[key] = Base64.decode(value) }
            return files
        } catch {
            if error.isNotFound {
                if reference.isOptional { return [:] }
                throw KubeletProblem.referenceMissing(kind: isSecret ? "secret" : "configmap", name: parts[1])
            }
            throw error
        }
    }

    private func openLog() {
        let place = surroundings.sandboxes.paths.pod(namespace, name)
        let container = pod.withLock { $0["spec"]?["containers"]?[0]?["name"]?.string ?? "" }
        let log = ContainerLog(path: place.log(container), kernel: surroundings.sandboxes.kernel, clock: surroundings.clock)
        do throws(KernelProblem) { try log.follow(place, on: surroundings.readiness) } catch {
            logger.warning("output of a container is not kept", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
        }
        let old = self.log.withLock { current in
            defer { current = log }
            return current
        }
        old?.close(surroundings.readiness)
    }

    private func takeDown(process: Int32?) async {
        log.withLock { $0 }?.close(surroundings.readiness)
        // The API waits a second even for a pod that asks for none, so what the Pod itself says counts.
        let grace = pod.withLock { pod in
            pod["spec"]?["terminationGracePeriodSeconds"]?.int == 0 ? 0 : pod["metadata"]?["deletionGracePeriodSeconds"]?.int ?? 0
        }
        if let process, grace > 0 {
            try? surroundings.sandboxes.kernel.signal(process, 15)
            let readiness = surroundings.readiness
            let kernel = surroundings.sandboxes.kernel
            await withTaskGroup(of: Void.self) { group in
                group.addTask { _ = await readiness.exit(of: process, kernel: kernel) }
                group.addTask { try? await Task.sleep(for: .seconds(grace)) }
                await group.next()
                group.cancelAll()
            }
        }
        var attempt = 0
        while !Task.isCancelled {
            do {
                try await surroundings.sandboxes.remove(namespace: namespace, pod: name)
                if surroundings.isLastOfDyingNamespace(namespace, uid) { try await surroundings.sandboxes.removeGroup(namespace) }
                return
            } catch {
                // What cannot be removed must not be forgotten: the Pod stays "Terminating" and it is tried again.
                logger.error("pod not removed", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
                attempt += 1
                try? await Task.sleep(for: .milliseconds(min(100 << min(attempt, 8), 10_000)))
            }
        }
    }

    private func writeStatus(_ machine: PodMachine) async {
        let pod = pod.withLock { $0 }
        let address = await surroundings.sandboxes.address(namespace: namespace, pod: name)?.description
        let status = PodStatus.document(
            machine, pod: pod, hostAddress: surroundings.settings.address, podAddress: address, now: surroundings.clock.now())
        do throws(ClusterProblem) {
            _ = try await surroundings.client.patch(
                .pods, namespace: namespace, name: name, .merge, ["status": status], subresource: "status")
            self.pod.withLock { if $0.metaUID == uid { $0["status"] = status } }
        } catch {
            if !error.isNotFound {
                logger.warning("pod status not written", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            }
        }
    }

    // A Pod whose sandbox is gone must go too, or its namespace waits for it for ever.
    private func forget() async {
        var pause = 50
        while !Task.isCancelled {
            do throws(ClusterProblem) {
                try await surroundings.client.delete(
                    .pods, namespace: namespace, name: name, options: DeleteOptions(gracePeriodSeconds: 0, uid: uid))
                return
            } catch {
                // A conflict says that the name belongs to another pod by now.
                if error.isNotFound || error.isConflict { return }
                logger.warning("pod object not removed", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            }
            try? await Task.sleep(for: .milliseconds(pause))
            pause = min(pause * 2, 5000)
        }
    }
}
