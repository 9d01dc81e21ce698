// How containers end: noted once, collected, and what they leave is taken away.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods
internal import Synchronization

extension NodePodRuntime {
    /// Notes how a container ended. False while only the node's first process knows and has not told yet.
    func noteEnd(of container: RunningContainer) -> Bool {
        if container.exit.now != nil { return true }
        let places = settings.pod(container.podUID).container(container.record.name, attempt: container.record.attempt)
        var status = kernel.peek(container.process)
        var finishedAt = clock.now()
        if status == nil { return false }
        if status == .unknown {
            if let (known, time) = noted(container.process) {
                status = known
                finishedAt = time ?? finishedAt
            } else if container.waited.add() < RunningContainer.waitsForExitLimit {
                return false
            }
        }
        let exit = ContainerExit(
            podUID: container.podUID, container: container.record.name, attempt: container.record.attempt,
            exitCode: Int(status?.code ?? 255),
            signal: nil, isOutOfMemory: container.group.map { groups.sawOutOfMemory($0) } ?? false, finishedAt: finishedAt)
        container.drain(kernel)
        finish(container, exit, places)
        return true
    }

    private func finish(_ container: RunningContainer, _ exit: ContainerExit, _ places: ContainerPlaces) {
        // Written before the process is collected: a kubelet that is killed here finds it out again.
        try? kernel.write(places.exit, exit.json.bytes, mode: 0o600, owner: nil)
        _ = kernel.collect(container.process)
        collectHelpers(except: nil)
        container.release(readiness)
        state.withLock { state in
            if state.running[container.podUID]?[container.record.name] === container {
                state.running[container.podUID]?[container.record.name] = nil
            }
        }
        if let group = container.group { for process in groups.processes(group) { try? kernel.signal(process, 9) } }
        if container.exit.set(exit) { exitInput.yield(exit) }
    }

    // Children that nobody waits for: crun forks on its way into the pod's namespaces, and what a container left that shares
    // the node's process ids comes to this process, too.
    func collectHelpers(except process: Int32?) {
        let (running, isStarting) = state.withLock { state in
            (Set(state.running.values.flatMap { $0.values.map(\.process) }), state.starting > 0)
        }
        kernel.collectOrphans(named: isStarting ? "crun" : nil, except: running.union(process.map { [$0] } ?? []))
    }

    package func removeContainer(podUID: String, container: String, attempt: Int, keepLog: Bool) async {
        guard Self.isSafe(podUID), Self.isSafe(container) else { return }
        if let running = running(podUID, container), running.record.attempt == attempt {
            try? kernel.signal(running.handle, 9)
            _ = await running.exit.value()
        }
        let places = settings.pod(podUID).container(container, attempt: attempt)
        await threads.run { [self] in
            let record = (try? kernel.readText(places.record)).flatMap { try? JSON(parsing: $0) }.flatMap { ContainerRecord($0) }
            let sandbox = sandbox(podUID)
            try? discard(places, group: record.flatMap { record in sandbox.map { $0.group + "/" + record.id } })
            if let record, let sandbox {
                try? kernel.remove("\(settings.logs)/containers/\(sandbox.name)_\(sandbox.namespace)_\(container)-\(record.id).log")
                if !keepLog {
                    let directory = settings.logDirectory(namespace: sandbox.namespace, pod: sandbox.name, uid: podUID)
                    for file in PodLog.files(of: "\(directory)/\(container)/\(attempt).log", kernel: kernel) { try? kernel.remove(file) }
                }
            }
        }
    }

    // Takes away all that a container has but its log.
    func discard(_ places: ContainerPlaces, group: String?) throws(KernelProblem) {
        if kernel.exists(places.directory) {
            for point in try kernel.mounts(below: places.directory).reversed() { try kernel.unmount(point) }
        }
        if let group { try removeGroup(group) }
        try kernel.removeTree(places.storage)
        try kernel.removeTree(places.directory)
    }
}
