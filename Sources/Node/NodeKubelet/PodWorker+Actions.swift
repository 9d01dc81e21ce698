// How a worker does what its pod's machine asks for.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging
internal import Pods
internal import Synchronization

extension PodWorker {
    /// A container's last words are read back to this length.
    static let messageLimitBytes = 4096
    static let logMessageLimitBytes = 2048
    static let logMessageLines = 80

    func perform(_ action: PodAction, _ machine: PodMachine, in group: inout DiscardingTaskGroup) {
        let pod = machine.pod
        switch action {
        case .prepare: group.addTask { [self] in await prepare(pod, machine) }
        case .startSandbox: group.addTask { [self] in await startSandbox(pod) }
        case .start(let container, let attempt):
            guard let spec = machine.specs.first(where: { $0.name == container }) else { return }
            group.addTask { [self] in await start(spec, attempt, pod, machine.addresses) }
        case .probe(let container, let attempt, let kind):
            guard let probe = machine.specs.first(where: { $0.name == container })?.probes[kind] else { return }
            let address = machine.addresses.first ?? world.node.address
            group.addTask { [self] in
                let answer = await prober.ask(probe, podUID: uid, container: container, address: address)
                mailbox.send(.probed(container: container, attempt: attempt, kind, answer))
            }
        case .runHook(let container, let attempt, let kind):
            guard let spec = machine.specs.first(where: { $0.name == container }),
                let hook = kind == .postStart ? spec.postStart : spec.preStop
            else { return }
            let address = machine.addresses.first ?? world.node.address
            let seconds = machine.records[container]?.stop.map { max(0.1, $0.until - monotonicSeconds()) } ?? 3600
            group.addTask { [self] in
                let failure = await prober.run(hook: hook, spec: spec, podUID: uid, address: address, seconds: seconds)
                mailbox.send(.hookEnded(container: container, attempt: attempt, kind, failure: failure))
            }
        case .signal(let container, let number):
            group.addTask { [self] in await world.runtime.signal(podUID: uid, container: container, number) }
        case .discard(let container, let attempt, let keepLog):
            group.addTask { [self] in
                await world.runtime.removeContainer(podUID: uid, container: container, attempt: attempt, keepLog: keepLog)
            }
        case .remove(let logs): group.addTask { [self] in await remove(logs: logs) }
        case .forget: group.addTask { [self] in await forget() }
        case .tell(let note): world.events.record(note, about: pod)
        }
    }

    var prober: Prober { Prober(runtime: world.runtime, readiness: world.readiness, sessions: world.sessions) }

    /// A container of this pod ended.
    func note(_ exit: ContainerExit) async {
        let spec = machine.specs.first { $0.name == exit.container }
        var message = await world.runtime.terminationMessage(podUID: uid, container: exit.container, attempt: exit.attempt)
        if message.isEmpty, exit.exitCode != 0, spec?.json["terminationMessagePolicy"]?.string == "FallbackToLogsOnError" {
            var options = PodLogOptions()
            options.tailLines = Self.logMessageLines
            var bytes: [UInt8] = []
            if let log = try? world.runtime.log(
                podUID: uid, namespace: namespace, pod: name, container: exit.container, attempt: exit.attempt, options)
            {
                for await chunk in log { bytes += chunk }
            }
            message = String(decoding: bytes.suffix(Self.logMessageLimitBytes), as: UTF8.self)
        }
        mailbox.send(.exited(exit, message: String(message.prefix(Self.messageLimitBytes))))
    }

    private func prepare(_ pod: JSON, _ machine: PodMachine) async {
        // Services come with the API; a static pod may have to start the API first.
        if !isStatic { await world.servicesKnown.wait() }
        do throws(PodRuntimeProblem) {
            try await volumes.prepare(pod, world.environment(of: pod, addresses: machine.addresses))
            mailbox.send(.prepared)
        } catch {
            log.warning("volumes not ready", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            mailbox.send(.notPrepared(reason: error.reason, message: error.message))
        }
    }

    private func startSandbox(_ pod: JSON) async {
        if pod["spec"]?["hostNetwork"] != true, let problem = await world.runtime.networkProblem() {
            mailbox.send(
                .sandboxRefused(reason: "NetworkNotReady", message: "network is not ready: \(NodeConditions.networkMessage(problem))"))
            return
        }
        let plan = PodPlans.sandbox(pod, nodeName: world.settings.nodeName, world.settings.resolver)
        do throws(PodRuntimeProblem) {
            var addresses = try await world.runtime.startSandbox(plan)
            if addresses.isEmpty, plan.hostNetwork, !world.node.address.isEmpty { addresses = [world.node.address] }
            mailbox.send(.sandboxStarted(addresses: addresses))
        } catch {
            log.warning("sandbox not started", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            mailbox.send(
                .sandboxRefused(reason: "FailedCreatePodSandBox", message: "Failed to create pod sandbox: \(error.message)"))
        }
    }

    private func start(_ spec: ContainerSpec, _ attempt: Int, _ pod: JSON, _ addresses: [String]) async {
        do throws(PodRuntimeProblem) {
            let image = try await image(spec, pod)
            let environment = world.environment(of: pod, addresses: addresses)
            // After a restart of the kubelet they may not have been found yet.
            if !volumes.hasAll(of: pod) { try await volumes.prepare(pod, environment) }
            let names = PodEnvironment.references(spec.json)
            var objects = KeyedSnapshot()
            if !names.configMaps.isEmpty || !names.secrets.isEmpty {
                do throws(ClusterProblem) {
                    objects = try await world.objects.fetch(namespace: namespace, configMaps: names.configMaps, secrets: names.secrets)
                } catch { throw PodRuntimeProblem(reason: "CreateContainerConfigError", message: error.message) }
            }
            let variables = try environment.variables(of: spec.json, objects)
            let plan = try PodPlans.container(
                spec, of: pod, attempt: attempt, image: image, environment: variables, mounts: try volumes.mounts(of: spec, variables))
            let id = try await world.runtime.startContainer(plan)
            tell(.normal("Created", "Created container: \(spec.name)", at: spec.fieldPath), pod)
            tell(.normal("Started", "Started container \(spec.name)", at: spec.fieldPath), pod)
            mailbox.send(.started(container: spec.name, attempt: attempt, id: id, image: image))
        } catch {
            log.warning(
                "container not started",
                metadata: ["pod": "\(namespace)/\(name)", "container": "\(spec.name)", "cause": "\(error)"])
            mailbox.send(
                .refused(container: spec.name, attempt: attempt, StartRefusal(reason: error.reason, message: error.message)))
        }
    }

    private func tell(_ note: PodNote, _ pod: JSON) { world.events.record(note, about: pod) }

    private func image(_ spec: ContainerSpec, _ pod: JSON) async throws(PodRuntimeProblem) -> PulledImage {
        let path = spec.fieldPath
        if spec.pullPolicy != "Always", let image = await world.runtime.image(spec.image) {
            tell(.normal("Pulled", "Container image \"\(spec.image)\" already present on machine", at: path), pod)
            return image
        }
        if spec.pullPolicy == "Never" {
            let message = "Container image \"\(spec.image)\" is not present with pull policy of Never"
            tell(.warning("ErrImageNeverPull", message, at: path), pod)
            throw PodRuntimeProblem(reason: "ErrImageNeverPull", message: message)
        }
        let begun = monotonicSeconds()
        tell(.normal("Pulling", "Pulling image \"\(spec.image)\"", at: path), pod)
        var secrets: [JSON] = []
        for reference in pod["spec"]?["imagePullSecrets"]?.array ?? [] {
            guard let name = reference["name"]?.string else { continue }
            if let secret = try? await world.client.get(.secrets, namespace: namespace, name: name) {
                secrets.append(secret)
            } else {
                tell(
                    .warning(
                        "FailedToRetrieveImagePullSecret",
                        "Unable to retrieve some image pull secrets (\(name)); attempting to pull the image may not succeed."), pod)
            }
        }
        do throws(PodRuntimeProblem) {
            let image = try await world.runtime.pull(spec.image, secrets: secrets)
            let span = Self.milliseconds(monotonicSeconds() - begun)
            let size = "Image size: \(image.sizeBytes) bytes."
            let message = "Successfully pulled image \"\(spec.image)\" in \(span) (\(span) including waiting). \(size)"
            tell(.normal("Pulled", message, at: path), pod)
            return image
        } catch {
            if error.reason == "InvalidImageName" {
                tell(.warning("InspectFailed", error.message, at: path), pod)
                throw error
            }
            tell(.warning("Failed", "Failed to pull image \"\(spec.image)\": \(error.message)", at: path), pod)
            throw PodRuntimeProblem(reason: "ErrImagePull", message: error.message, cause: error.cause)
        }
    }

    private static func milliseconds(_ seconds: Double) -> String {
        let whole = Int(seconds * 1000)
        guard whole >= 1000 else { return "\(whole)ms" }
        let rest = String(whole % 1000 + 1000).dropFirst()
        return "\(whole / 1000).\(rest)s"
    }

    private func remove(logs: Bool) async {
        do {
            try await world.runtime.removeSandbox(uid: uid, namespace: namespace, name: name)
            try volumes.remove()
            if logs { try removeLogs() }
            mailbox.send(.sandboxRemoved)
        } catch {
            // What cannot be removed must not be forgotten: the pod stays "Terminating" and it is tried again.
            log.error("pod not removed", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            mailbox.send(.removalFailed)
        }
    }

    private func removeLogs() throws(KernelProblem) {
        let folder = "\(world.settings.logFolder)/\(namespace)_\(name)_\(uid)"
        let kernel = LinuxKernel()
        try kernel.removeTree(folder)
        // Links to the files that were in it.
        let links = world.settings.logFolder + "/../containers"
        for link in try kernel.list(links) where link.hasPrefix("\(name)_\(namespace)_") {
            let path = "\(links)/\(link)"
            if VolumeFiles.kind(path) == nil { try kernel.remove(path) }
        }
    }

    // A Pod whose sandbox is gone must go too, or its name and its namespace wait for it for ever.
    private func forget() async {
        await writer.drain()
        var pause = 50
        while !Task.isCancelled {
            do throws(ClusterProblem) {
                try await world.client.delete(
                    .pods, namespace: namespace, name: name, options: DeleteOptions(gracePeriodSeconds: 0, uid: uid))
                break
            } catch {
                // A conflict says that the name belongs to another pod by now.
                if error.isNotFound || error.isConflict { break }
                log.warning("pod object not removed", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error)"])
            }
            try? await Task.sleep(for: .milliseconds(pause))
            pause = min(pause * 2, 5000)
        }
        isOver.withLock { $0 = true }
        mailbox.poke()
    }
}
