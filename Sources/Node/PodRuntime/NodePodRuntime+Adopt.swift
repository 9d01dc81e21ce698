// What an earlier kubelet left: pods that run are taken over, halves of pods are removed.
internal import ClusterModel
internal import Containers
internal import Essentials
internal import Kernel
internal import Logging
package import Pods
internal import Synchronization

extension NodePodRuntime {
    package func adopt() async throws(PodRuntimeProblem) -> [FoundSandbox] {
        let uids = await threads.run { [self] in
            Set(((try? kernel.list(settings.pods)) ?? []) + ((try? kernel.list(settings.storage + "/pods")) ?? []) + groups.pods().keys)
        }
        var found: [FoundSandbox] = []
        for uid in uids.sorted() where Self.isSafe(uid) && sandbox(uid) == nil {
            guard let record = readRecord(uid), record.uid == uid, record.isComplete, await isWhole(record) else {
                let record = readRecord(uid)
                try? await removeSandbox(uid: uid, namespace: record?.namespace ?? "", name: record?.name ?? "")
                continue
            }
            state.withLock { $0.sandboxes[uid] = record }
            found.append(
                FoundSandbox(
                    namespace: record.namespace, name: record.name, uid: uid, addresses: record.addresses, createdAt: record.createdAt,
                    containers: await adoptContainers(of: record)))
        }
        return found
    }

    // Its namespaces are still pinned and, where its containers share one, the first process still runs.
    private func isWhole(_ record: SandboxRecord) async -> Bool {
        let places = settings.pod(record.uid)
        return await threads.run { [self] in
            let mounted = Set(((try? kernel.mounts(below: places.directory)) ?? []) + ((try? kernel.mounts(below: places.network)) ?? []))
            if !record.hostNetwork, !mounted.contains(places.network) { return false }
            if !mounted.contains(places.sharedMemory) { return false }
            if let pause = record.pauseProcess {
                return groups.processes(record.group + "/pause").contains(pause) || groups.version == .none
            }
            return true
        }
    }

    private func adoptContainers(of sandbox: SandboxRecord) async -> [FoundContainer] {
        await threads.run { [self] in
            let places = settings.pod(sandbox.uid)
            var found: [FoundContainer] = []
            for entry in (try? kernel.list(places.directory)) ?? [] {
                guard let dot = entry.lastIndex(of: "."), let attempt = Int(entry[entry.index(after: dot)...]) else { continue }
                let container = places.container(String(entry[..<dot]), attempt: attempt)
                guard let text = try? kernel.readText(container.record), let json = try? JSON(parsing: text),
                    let record = ContainerRecord(json)
                else { continue }
                let exit = adopt(record, container, sandbox)
                found.append(
                    FoundContainer(
                        name: record.name, attempt: attempt, id: record.id, image: record.image, startedAt: record.startedAt, exit: exit))
            }
            return found
        }
    }

    // Takes a container over; answers with its end where it has ended.
    private func adopt(_ record: ContainerRecord, _ places: ContainerPlaces, _ sandbox: SandboxRecord) -> ContainerExit? {
        if let text = try? kernel.readText(places.exit), let json = try? JSON(parsing: text), let exit = ContainerExit(json: json) {
            return exit
        }
        let group = sandbox.group + "/" + record.id
        let lost = ContainerExit(
            podUID: sandbox.uid, container: record.name, attempt: record.attempt, exitCode: 255, finishedAt: clock.now())
        // Without a process the earlier kubelet ended while it started it.
        guard let process = (try? kernel.readText(places.processFile, limitBytes: 16)).flatMap({ Int32($0) }),
            let log = try? openLog(record, sandbox)
        else { return lost }
        let outputs: [(descriptor: OwnedDescriptor, channel: UInt8)] = [(places.output, UInt8(1)), (places.errors, UInt8(2))].compactMap {
            path, channel in
            (try? kernel.openFIFO(path, blocking: false)).map { ($0, channel) }
        }
        let runs = groups.version == .none ? kernel.exists("/proc/\(process)") : groups.processes(group).contains(process)
        if runs, let handle = try? kernel.processDescriptor(process) {
            let terminal = record.terminal ? Streams.keptTerminal(handle, kernel) : nil
            let container = RunningContainer(
                podUID: sandbox.uid, record: record, process: process, handle: handle, group: group, log: log,
                input: record.stdin && !record.terminal ? try? kernel.openFIFO(places.input, blocking: false) : nil, terminal: terminal,
                outputs: terminal.map { [($0, UInt8(1))] } ?? (record.terminal ? [] : outputs))
            state.withLock { $0.running[sandbox.uid, default: [:]][record.name] = container }
            if (try? begin(container, sandbox)) != nil { return nil }
            state.withLock { $0.running[sandbox.uid]?[record.name] = nil }
        }
        // It ended while no kubelet ran: what it printed last still lies in its pipes, and the first process knows how.
        for (descriptor, channel) in outputs {
            while let bytes = try? kernel.receive(from: descriptor, limitBytes: 65536), !bytes.isEmpty {
                _ = log.append(bytes, channel: channel)
            }
        }
        log.finish()
        var exit = lost
        exit.isOutOfMemory = groups.sawOutOfMemory(group)
        if let status = kernel.peek(process), status != .unknown {
            exit.exitCode = Int(status.code)
            _ = kernel.collect(process)
        } else if let (status, time) = noted(process) {
            exit.exitCode = Int(status.code)
            exit.finishedAt = time ?? exit.finishedAt
        }
        try? kernel.write(places.exit, exit.json.bytes, mode: 0o600, owner: nil)
        exitInput.yield(exit)
        return exit
    }

    /// How a process ended that the node's first process collected.
    func noted(_ process: Int32) -> (ProcessExit, Timestamp?)? {
        guard let text = try? kernel.readText("\(settings.run)/exits/\(process)", limitBytes: 128) else { return nil }
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard let status = words.first.flatMap({ Int32($0) }) else { return nil }
        return (LinuxKernel.exit(status: status), words.count > 1 ? Timestamp(rfc3339: String(words[1])) : nil)
    }
}
